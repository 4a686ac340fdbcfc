#include "rpc/internal/link.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/planted_bug.h"

namespace kvstore::rpc::internal {
namespace {

using env::Connection;

// The socket layer does not say when it has room below its high water, so it is asked.
constexpr Duration kRefillInterval = std::chrono::milliseconds(1);
// Fewer bytes in a ping interval may be pings that a damaged length has swallowed: no life.
constexpr std::size_t kLifeBytesMin = 4096;
// Small payloads of one read share buffers of this size.
constexpr std::size_t kBlockSize = 64U << 10U;
// An empty output buffer above this size is given back.
constexpr std::size_t kOutputKeepMax = 1U << 20U;

}  // namespace

class LinkHandler final : public env::ConnectionHandler {
public:
    LinkHandler(Core& core, std::shared_ptr<Link> link) : core_(core), link_(std::move(link)) {
        const bool has_entered = core_.gate.try_enter();
        KVSTORE_ASSERT(has_entered);
        if (link_->role_ == Link::Role::kAccepted) {
            ++core_.incoming_connections;
        }
    }
    LinkHandler(const LinkHandler&) = delete;
    LinkHandler& operator=(const LinkHandler&) = delete;
    ~LinkHandler() override {
        if (link_->role_ == Link::Role::kAccepted) {
            --core_.incoming_connections;
        }
        // The link may hold the last reference to what lives in the gate.
        link_.reset();
        core_.gate.leave();
    }

    void on_input(Connection& /*connection*/) override { link_->on_input(); }
    void on_output_drained(Connection& /*connection*/) override { link_->on_output_drained(); }
    void on_input_end(Connection& /*connection*/) override { link_->on_input_end(); }
    void on_closed(Connection& /*connection*/, const Status& reason) override {
        link_->on_closed(reason);
    }

private:
    Core& core_;
    std::shared_ptr<Link> link_;
};

Link::~Link() {
    KVSTORE_ASSERT(!is_open_);
}

std::unique_ptr<env::ConnectionHandler> Link::make_handler() {
    return std::make_unique<LinkHandler>(core_, shared_from_this());
}

bool Link::attach(Connection& connection) {
    if (has_ended_) {
        return false;
    }
    connection_ = &connection;
    address_ = connection.peer();
    is_open_ = true;
    number_ = ++core_.last_link;
    core_.links.emplace(number_, this);
    core_.instruments.connections.add(1);
    return true;
}

void Link::set_deadline(MonotonicTime when, std::string_view why) {
    deadline_ = when;
    deadline_words_ = why;
    if (is_open_) {
        watch();
    }
}

void Link::begin(NodeId peer) {
    KVSTORE_ASSERT(is_open_);
    peer_ = peer;
    payload_max_ = core_.options.frame_bytes_max;
    has_begun_ = true;
    deadline_ = MonotonicTime::max();
    heard_at_ = core_.now();
    ping_at_ = heard_at_ + core_.options.ping_interval;
    watch();
}

// ---- output ----

void Link::send(wire::FrameKind kind, std::uint16_t topic, std::uint64_t call, ByteView payload) {
    if (is_open_) {
        wire::append_frame(out_, kind, topic, call, payload);
        core_.instruments.frames_sent.add();
        flush_later();
    }
}

void Link::send_frames(ByteView frames, std::uint64_t count) {
    if (is_open_ && count > 0) {
        out_ += frames;
        core_.instruments.frames_sent.add(count);
        flush_later();
    }
}

// Ours is asked for before the connection's, and hooks run in the order in which they were asked
// for: the frames are down when the connection flushes.
void Link::flush_later() {
    if (is_open_) {
        core_.env.scheduler.at_turn_end(*this, Phase::kFlush);
        connection_->flush_later();
    }
}

std::size_t Link::waiting() const {
    return is_open_ ? out_.size() - out_sent_ + connection_->output_size() : 0;
}

void Link::run_at_turn_end() {
    const std::shared_ptr<Link> keep = shared_from_this();
    if (is_open_ && user_ != nullptr) {
        user_->before_flush();
    }
    hand_over();
    if (is_open_ && user_ != nullptr && pace_ == OutputPace::kAtOnce &&
        waiting() <= Connection::kOutputHighWater) {
        user_->on_output_room();
    }
}

void Link::hand_over() {
    if (!is_open_ || out_.empty()) {
        return;
    }
    Bytes& output = connection_->output();
    std::size_t size = out_.size() - out_sent_;
    if (pace_ == OutputPace::kBelowHighWater) {
        size = std::min(size,
                        Connection::kOutputHighWater -
                            std::min(Connection::kOutputHighWater, connection_->output_size()));
    }
    if (output.empty() && size == out_.size()) {
        std::swap(output, out_);
    } else {
        output.append(out_, out_sent_, size);
        out_sent_ += size;
        if (out_sent_ == out_.size()) {
            out_.clear();
            out_sent_ = 0;
        } else if (out_sent_ > out_.size() / 2) {
            out_.erase(0, out_sent_);
            out_sent_ = 0;
        }
    }
    if (out_.empty() && out_.capacity() > kOutputKeepMax) {
        Bytes().swap(out_);
    }
    if (size > 0) {
        handed_over_ += size;
        core_.instruments.bytes_sent.add(size);
        connection_->flush_later();
        if (user_ != nullptr) {
            user_->on_handed_over();
        }
    }
    if (is_open_ && !out_.empty() && refill_timer_ == env::TimerId()) {
        refill_timer_ = core_.env.clock.start_timer(core_.now() + kRefillInterval, [this] {
            refill_timer_ = env::TimerId();
            hand_over();
        });
    }
}

void Link::on_output_drained() {
    if (is_open_ && user_ != nullptr && pace_ == OutputPace::kAtOnce) {
        user_->on_output_room();
    }
}

// ---- input ----

void Link::on_input() {
    const std::shared_ptr<Link> keep = shared_from_this();
    if (!is_open_) {
        return;
    }
    const std::size_t size = connection_->input().size();
    received_ += size - std::min(size, unread_);
    core_.instruments.bytes_received.add(size - std::min(size, unread_));
    unread_ = size;
    read_frames();
    if (refill_timer_ != env::TimerId()) {
        hand_over();
    }
}

void Link::read_frames() {
    if (is_reading_) {
        return;
    }
    is_reading_ = true;
    while (is_open_ && !is_paused_ && read_frame()) {
    }
    is_reading_ = false;
    block_.reset();
    block_size_ = 0;
    if (is_open_) {
        unread_ = connection_->input().size();
    }
}

// False when there is no whole frame, or no connection any more.
bool Link::read_frame() {
    const ByteView input = connection_->input();
    const auto header = wire::read_frame_header(input, payload_max_);
    if (!header.ok()) {
        end_damaged(header.status().message());
        return false;
    }
    if (!header->has_value()) {
        return false;
    }
    const std::size_t size = (*header)->size();
    if (input.size() < size) {
        connection_->expect_input(size);
        return false;
    }
    if (!wire::is_frame_whole(input, **header) && !planted_bug(PlantedBug::kRpcSkipsChecksum)) {
        end_damaged("a wrong checksum");
        return false;
    }
    core_.instruments.frames_received.add();
    heard_at_ = core_.now();
    take_frame(**header, input.substr(wire::kFrameHeaderSize, size - wire::kFrameHeaderSize));
    if (!is_open_) {
        return false;
    }
    connection_->consume(size);
    return true;
}

void Link::take_frame(const wire::FrameHeader& header, ByteView payload) {
    const bool is_accepted = role_ == Role::kAccepted;
    if (header.kind == wire::FrameKind::kPing && is_accepted && has_begun_) {
        send(wire::FrameKind::kPong, 0, header.call, {});
    } else if (header.kind == wire::FrameKind::kPong && !is_accepted && has_begun_) {
        on_pong(header);
    } else if (user_ != nullptr) {
        user_->on_frame(header, payload);
    } else {
        end_damaged("a frame that nobody asked for");
    }
}

void Link::on_pong(const wire::FrameHeader& header) {
    if (header.call != last_ping_ || last_pong_ == last_ping_) {
        return;
    }
    last_pong_ = last_ping_;
    round_trip_ = core_.now() - ping_sent_at_;
    core_.instruments.round_trip.record(static_cast<std::uint64_t>(round_trip_.count()));
}

Received Link::kept_alone(ByteView payload) {
    auto buffer = std::make_shared_for_overwrite<char[]>(payload.size());
    std::memcpy(buffer.get(), payload.data(), payload.size());
    const ByteView view(buffer.get(), payload.size());
    return {.owner = std::move(buffer), .bytes = view};
}

Received Link::kept(ByteView payload) {
    if (payload.size() > block_size_ - block_used_ || block_ == nullptr) {
        const std::size_t left = std::min(kBlockSize, connection_->input().size());
        block_size_ = std::max(left, payload.size());
        block_used_ = 0;
        block_ = std::make_shared_for_overwrite<char[]>(block_size_);
    }
    char* to = block_.get() + block_used_;
    std::memcpy(to, payload.data(), payload.size());
    block_used_ += payload.size();
    return {.owner = block_, .bytes = ByteView(to, payload.size())};
}

void Link::pause() {
    is_paused_ = true;
    if (is_open_) {
        connection_->pause_input();
    }
}

void Link::resume() {
    if (!is_paused_) {
        return;
    }
    is_paused_ = false;
    if (!is_open_) {
        return;
    }
    const std::shared_ptr<Link> keep = shared_from_this();
    // What waited was no silence of the peer's.
    heard_at_ = core_.now();
    read_frames();
    if (is_open_ && !is_paused_) {
        connection_->resume_input();
    }
}

// ---- life ----

void Link::start_timer(MonotonicTime when) {
    if (timer_ != env::TimerId()) {
        core_.env.clock.cancel_timer(timer_);
    }
    timer_ = core_.env.clock.start_timer(when, [this] {
        timer_ = env::TimerId();
        const std::shared_ptr<Link> keep = shared_from_this();
        on_timer();
    });
}

void Link::watch() {
    MonotonicTime when = deadline_;
    if (has_begun_) {
        when = std::min(when, heard_at_ + core_.options.silence_max);
        when = std::min(when, ping_at_);
    }
    if (when != MonotonicTime::max()) {
        start_timer(when);
    }
}

// Bytes that come, or that a peer with a full window takes, are signs of life too.
void Link::note_progress(MonotonicTime now) {
    const std::uint64_t taken = handed_over_ - connection_->output_size();
    if (is_paused_ || received_ - seen_received_ >= kLifeBytesMin ||
        (was_waiting_ && taken > seen_taken_)) {
        heard_at_ = now;
    }
    seen_received_ = received_;
    seen_taken_ = taken;
    was_waiting_ = connection_->output_size() > 0;
}

void Link::on_timer() {
    const MonotonicTime now = core_.now();
    if (now >= deadline_) {
        close(Status(Code::kDeadlineExceeded, deadline_words_));
        return;
    }
    if (!has_begun_) {
        watch();
        return;
    }
    note_progress(now);
    if (now >= heard_at_ + core_.options.silence_max) {
        const auto silence = std::chrono::duration_cast<std::chrono::milliseconds>(now - heard_at_);
        close(Status(Code::kDeadlineExceeded,
                     "silent for " + std::to_string(silence.count()) + " ms"));
        return;
    }
    if (now >= ping_at_) {
        ping_at_ = now + core_.options.ping_interval;
        if (role_ == Role::kConnected && last_pong_ == last_ping_) {
            ping_sent_at_ = now;
            send(wire::FrameKind::kPing, 0, ++last_ping_, {});
        }
    }
    watch();
}

void Link::on_input_end() {
    if (is_open_) {
        close(Status(Code::kUnavailable, "the peer closed the connection"));
    }
}

void Link::on_closed(const Status& reason) {
    has_ended_ = true;
    if (is_open_) {
        close(reason.ok() ? Status(Code::kUnavailable, "the connection was closed") : reason);
    }
    core_.links.erase(number_);
    connection_ = nullptr;
}

void Link::become_closed() {
    is_open_ = false;
    for (env::TimerId* timer : {&timer_, &refill_timer_}) {
        if (*timer != env::TimerId()) {
            core_.env.clock.cancel_timer(*timer);
            *timer = env::TimerId();
        }
    }
    core_.instruments.connections.add(-1);
    Bytes().swap(out_);
    out_sent_ = 0;
}

void Link::close(const Status& why) {
    if (!is_open_) {
        return;
    }
    const std::shared_ptr<Link> keep = shared_from_this();
    env::Connection& connection = *connection_;
    become_closed();
    connection.close(Connection::CloseMode::kNow);
    if (user_ != nullptr) {
        std::exchange(user_, nullptr)->on_link_down(why);
    }
}

void Link::abort(const Status& why) {
    if (is_flushing_ && connection_ != nullptr) {
        is_flushing_ = false;
        connection_->close(Connection::CloseMode::kNow);
    }
    close(why);
}

void Link::end_damaged(std::string_view what) {
    if (is_open_) {
        core_.instruments.frames_damaged.add();
        close(Status(Code::kCorruption,
                     "damaged input from " + address_.to_string() + ": " + std::string(what)));
    }
}

void Link::close_after_flush() {
    if (!is_open_) {
        return;
    }
    const std::shared_ptr<Link> keep = shared_from_this();
    user_ = nullptr;
    pace_ = OutputPace::kAtOnce;
    hand_over();
    env::Connection& connection = *connection_;
    become_closed();
    is_flushing_ = true;
    connection.close(Connection::CloseMode::kAfterFlush);
}

}  // namespace kvstore::rpc::internal
