#include "posix/internal/posix_connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "posix/internal/endpoint.h"
#include "posix/internal/errors.h"
#include "posix/internal/posix_network.h"

namespace kvstore::posix {
namespace {

// What one connection may read in one turn, so that a flood on one does not starve the others.
constexpr std::size_t kReadPerTurnMax = 256U << 10U;
// An empty output buffer above this size is given back.
constexpr std::size_t kOutputKeepMax = 64U << 10U;
// Lingering ends when the peer goes on sending.
constexpr std::size_t kSwallowMax = 4U << 20U;
// Sweeps without a byte taken, after which a closing connection is cut off.
constexpr std::uint8_t kFlushSweepsMax = 5;

void clear_output(Bytes& bytes) {
    if (bytes.capacity() > kOutputKeepMax) {
        Bytes().swap(bytes);
    } else {
        bytes.clear();
    }
}

}  // namespace

PosixConnection::PosixConnection(PosixNetwork& network, int descriptor, env::Address peer)
    : network_(network), descriptor_(descriptor), peer_(std::move(peer)) {}

PosixConnection::~PosixConnection() {
    close_descriptor();
}

void PosixConnection::set_handler(std::unique_ptr<env::ConnectionHandler> handler) {
    handler_ = std::move(handler);
}

const env::Address& PosixConnection::local() const {
    if (local_.host.empty() && descriptor_ >= 0) {
        Endpoint endpoint;
        if (::getsockname(descriptor_, endpoint.address(), &endpoint.size) == 0) {
            local_ = endpoint.to_address();
        }
    }
    return local_;
}

void PosixConnection::expect_input(std::size_t size) {
    input_.expect(std::min(size, network_.input_bytes_max()));
}

Bytes& PosixConnection::output() {
    if (state_ != State::kOpen) {
        // Goes nowhere, and must not gather.
        clear_output(output_);
    }
    return output_;
}

std::size_t PosixConnection::output_size() const {
    const std::size_t waiting = pending_.size() - pending_sent_;
    return state_ == State::kOpen ? waiting + output_.size() : waiting;
}

void PosixConnection::flush_later() {
    if (!is_send_blocked_ && state_ != State::kEnded) {
        network_.scheduler().at_turn_end(*this, Phase::kFlush);
    }
}

void PosixConnection::resume_input() {
    is_paused_ = false;
    if (is_readable_ && may_read()) {
        network_.read_later(*this);
    }
}

void PosixConnection::close(CloseMode mode) {
    if (mode == CloseMode::kNow) {
        if (state_ == State::kOpen || state_ == State::kFlushing) {
            end(Status());
        }
        return;
    }
    if (state_ != State::kOpen) {
        return;
    }
    state_ = State::kFlushing;
    // From here on only `pending_` is sent: what is appended to `output_` goes nowhere.
    if (pending_.empty()) {
        std::swap(pending_, output_);
    } else {
        pending_ += output_;
    }
    clear_output(output_);
    flush_later();
}

void PosixConnection::on_ready(std::uint32_t events) {
    if (state_ == State::kEnded) {
        return;
    }
    if ((events & EPOLLOUT) != 0 && is_send_blocked_) {
        is_send_blocked_ = false;
        flush_later();
    }
    if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0) {
        return;
    }
    is_readable_ = true;
    peer_hung_up_ = peer_hung_up_ || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (state_ == State::kLingering) {
        swallow_input();
    } else if (may_read()) {
        read();
    } else if ((events & EPOLLERR) != 0) {
        int error = 0;
        socklen_t size = sizeof(error);
        ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size);
        end(socket_error(error));
    }
}

bool PosixConnection::may_read() const {
    return state_ == State::kOpen && !is_paused_ && !is_above_high_water_ && !input_has_ended_ &&
           handler_ != nullptr;
}

void PosixConnection::read_again() {
    if (is_readable_ && may_read()) {
        read();
    }
}

void PosixConnection::read() {
    std::size_t taken = 0;
    while (read_once(&taken)) {
        if (taken >= kReadPerTurnMax) {
            network_.read_later(*this);
            break;
        }
    }
    if (state_ == State::kOpen && input_.empty()) {
        input_.shrink(InputBuffer::kKeepMax);
    }
}

bool PosixConnection::read_once(std::size_t* taken) {
    if (input_.size() >= network_.input_bytes_max()) {
        end(Status(Code::kTooLarge, peer_.to_string() + " sent more than fits one input"));
        return false;
    }
    input_.make_room();
    const std::size_t room = input_.room_size();
    const ssize_t received = ::recv(descriptor_, input_.room(), room, 0);
    if (received < 0) {
        if (errno == EINTR) {
            return true;
        }
        if (errno == EAGAIN) {
            is_readable_ = false;
        } else {
            end(socket_error(errno));
        }
        return false;
    }
    if (received == 0) {
        on_peer_end();
        return false;
    }
    const auto size = static_cast<std::size_t>(received);
    *taken += size;
    has_moved_ = true;
    // A short read has emptied the socket: what comes now makes a new event. Not so at the end of
    // the stream, whose event we have had.
    is_readable_ = size == room || peer_hung_up_;
    input_.added(size);
    handler_->on_input(*this);
    note_pressure();
    return is_readable_ && may_read();
}

void PosixConnection::on_peer_end() {
    is_readable_ = false;
    input_has_ended_ = true;
    handler_->on_input_end(*this);
}

void PosixConnection::note_pressure() {
    if (!is_above_high_water_ && output_size() > kOutputHighWater) {
        is_above_high_water_ = true;
        flush_later();
    }
}

void PosixConnection::flush() {
    if (state_ == State::kOpen || state_ == State::kFlushing) {
        note_pressure();
        if (output_size() == 0 || send_some()) {
            after_flush();
        }
    }
}

bool PosixConnection::send_some() {
    std::array<iovec, 2> parts = {};
    parts[0] = {.iov_base = pending_.data() + pending_sent_,
                .iov_len = pending_.size() - pending_sent_};
    parts[1] = {.iov_base = output_.data(), .iov_len = output_.size()};
    const std::size_t size = output_size();
    ssize_t sent = 0;
    do {
        if (parts[0].iov_len == 0 || parts[0].iov_len == size) {
            const iovec& only = parts[0].iov_len == 0 ? parts[1] : parts[0];
            sent = ::send(descriptor_, only.iov_base, only.iov_len, MSG_NOSIGNAL);
        } else {
            msghdr message = {};
            message.msg_iov = parts.data();
            message.msg_iovlen = parts.size();
            sent = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
        }
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) {
        end(socket_error(errno));
        return false;
    }
    is_send_blocked_ = sent < 0 || static_cast<std::size_t>(sent) < size;
    if (sent > 0) {
        note_sent(static_cast<std::size_t>(sent));
    }
    return true;
}

void PosixConnection::note_sent(std::size_t size) {
    has_moved_ = true;
    const std::size_t first = pending_.size() - pending_sent_;
    if (size < first) {
        pending_sent_ += size;
        return;
    }
    clear_output(pending_);
    pending_sent_ = 0;
    if (state_ != State::kOpen) {
        return;
    }
    if (size - first == output_.size()) {
        clear_output(output_);
    } else {
        // The rest is not moved to the front, which would cost its length for every send.
        std::swap(pending_, output_);
        pending_sent_ = size - first;
    }
}

void PosixConnection::after_flush() {
    if (state_ == State::kFlushing) {
        if (output_size() > 0) {
            return;
        }
        if (input_has_ended_ || ::shutdown(descriptor_, SHUT_WR) != 0) {
            end(Status());
        } else {
            state_ = State::kLingering;
            idle_sweeps_ = 0;
            network_.retire(*this);
            // What came meanwhile, perhaps the peer's end, has had its event.
            if (is_readable_) {
                swallow_input();
            }
        }
        return;
    }
    if (!is_above_high_water_ || output_size() >= kOutputLowWater) {
        return;
    }
    is_above_high_water_ = false;
    handler_->on_output_drained(*this);
    if (is_readable_ && may_read()) {
        network_.read_later(*this);
    }
}

void PosixConnection::swallow_input() {
    // Lets the kernel drop the bytes without handing them over.
    ssize_t size = 0;
    do {
        size = ::recv(descriptor_, nullptr, kSwallowMax, MSG_TRUNC);
        swallowed_ += size > 0 ? static_cast<std::size_t>(size) : 0;
    } while (swallowed_ < kSwallowMax && (size > 0 || (size < 0 && errno == EINTR)));
    const bool may_go_on = size < 0 && errno == EAGAIN;
    if (!may_go_on) {
        end(Status());
    }
}

void PosixConnection::end(Status reason) {
    if (state_ == State::kEnded) {
        return;
    }
    close_descriptor();
    end_reason_ = state_ == State::kLingering ? Status() : std::move(reason);
    state_ = State::kEnded;
    clear_output(pending_);
    pending_sent_ = 0;
    network_.retire(*this);
}

bool PosixConnection::report_end() {
    if (handler_ != nullptr) {
        // Kept until the call has returned, and gone before the connection is.
        const std::unique_ptr<env::ConnectionHandler> handler = std::exchange(handler_, nullptr);
        handler->on_closed(*this, end_reason_);
    }
    return state_ == State::kLingering;
}

void PosixConnection::sweep() {
    idle_sweeps_ = has_moved_ ? std::uint8_t{0} : static_cast<std::uint8_t>(idle_sweeps_ + 1);
    has_moved_ = false;
    if (state_ == State::kLingering && idle_sweeps_ > 1) {
        end(Status());
    } else if (state_ == State::kFlushing && idle_sweeps_ > kFlushSweepsMax) {
        end(Status(Code::kDeadlineExceeded, peer_.to_string() + " takes no output"));
    } else if (state_ == State::kOpen && idle_sweeps_ > 0) {
        idle_sweeps_ = 1;
        input_.shrink(0);
        if (output_.empty()) {
            Bytes().swap(output_);
        }
    }
}

Status PosixConnection::socket_error(int error) const {
    return {Code::kUnavailable, "connection with " + peer_.to_string() + ": " + error_text(error)};
}

void PosixConnection::close_descriptor() {
    if (descriptor_ >= 0) {
        network_.reactor().forget(*this);
        ::close(descriptor_);
        descriptor_ = -1;
    }
}

}  // namespace kvstore::posix
