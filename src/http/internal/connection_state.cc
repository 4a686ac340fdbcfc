#include "http/internal/connection_state.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"

namespace kvstore::http {
namespace {

// A request counts as this much more than its body, for headers and bookkeeping.
constexpr std::size_t kRequestOverhead = 4096;
// Input above this stays with the operating system while a request is answered.
constexpr std::size_t kWaitingInputMax = 256U << 10U;

}  // namespace

Server::ConnectionState::ConnectionState(Server& server, env::Connection& connection)
    : server_(server), number_(++server.connections_ever_), connection_(&connection) {
    server_.connections_.emplace(number_, this);
    ++server_.statistics_.connection_count;
    set_deadline();
}

Server::ConnectionState::~ConnectionState() {
    KVSTORE_ASSERT(connection_ == nullptr);
    KVSTORE_ASSERT(charged_ == 0);
}

// ---- the connection ----

void Server::ConnectionState::on_output_drained() {
    // What was not read meanwhile could not be sent.
    header_begin_.reset();
    body_begin_.reset();
    advance();
}

void Server::ConnectionState::on_input_end() {
    has_input_ended_ = true;
    advance();
}

void Server::ConnectionState::on_closed() {
    if (timer_ != env::TimerId()) {
        server_.env_.clock.cancel_timer(timer_);
        timer_ = env::TimerId();
    }
    connection_ = nullptr;
    reader_.reset();
    recharge();
    server_.connections_.erase(number_);
    --server_.statistics_.connection_count;
}

void Server::ConnectionState::close_when_idle() {
    keep_alive_ = false;
    if (!is_answering_ && !reader_ && !is_closing_) {
        is_closing_ = true;
        connection_->close(env::Connection::CloseMode::kAfterFlush);
    }
}

void Server::ConnectionState::give_up() {
    if (!is_closing_) {
        refuse(503, "the server is stopping");
    }
}

void Server::ConnectionState::abort() {
    connection_->close(env::Connection::CloseMode::kNow);
}

// ---- requests ----

bool Server::ConnectionState::is_backed_up() const {
    return connection_->output_size() > env::Connection::kOutputHighWater;
}

bool Server::ConnectionState::may_take() const {
    return connection_ != nullptr && !is_answering_ && !is_closing_ && !is_backed_up();
}

// Takes requests and answers them until one must wait, input runs out, or output backs up.
void Server::ConnectionState::advance() {
    if (is_advancing_) {
        return;  // a request that was answered at once: the loop below goes on
    }
    is_advancing_ = true;
    while (may_take() && take()) {
    }
    is_advancing_ = false;
    settle();
}

// Returns: whether to go on.
bool Server::ConnectionState::take() {
    if (!reader_) {
        // Some clients send an empty line behind a body (RFC 9112, 2.2).
        while (connection_->input().starts_with("\r\n")) {
            connection_->consume(2);
        }
    }
    const ByteView input = connection_->input();
    if (input.empty() || (!reader_ && input == "\r")) {
        return false;
    }
    if (!reader_) {
        reader_.emplace(server_.options_.header_bytes_max, server_.options_.body_bytes_max);
        body_mode_ = internal::BodyMode::kSend;
    }
    const bool had_headers = reader_->has_headers();
    const std::size_t used = reader_->take(input);
    connection_->consume(used);
    if (reader_->has_headers() && !had_headers) {
        note_headers();
    }
    if (is_closing_) {
        return false;
    }
    if (reader_->refusal()) {
        refuse(reader_->refusal()->status, reader_->refusal()->why);
        return false;
    }
    if (reader_->is_done()) {
        finish_request();
        return true;
    }
    recharge();
    if (!server_.has_room(0)) {
        refuse(503, "too many bytes of requests and answers under way; try again");
    }
    return false;
}

void Server::ConnectionState::note_headers() {
    is_http_10_ = reader_->is_http_10();
    if (reader_->head().method == Method::kHead) {
        body_mode_ = internal::BodyMode::kOmit;
    }
    if (reader_->refusal()) {
        return;
    }
    if (!server_.has_room(std::max(kRequestOverhead, reader_->announced()))) {
        refuse(503, "too many bytes of requests and answers under way; try again");
        return;
    }
    if (reader_->awaits_continue()) {
        connection_->output() += "HTTP/1.1 100 Continue\r\n\r\n";
        connection_->flush_later();
    }
}

void Server::ConnectionState::finish_request() {
    ++server_.statistics_.request_count;
    keep_alive_ = keep_alive_ && reader_->keep_alive() && !server_.is_stopping_;
    Request request = reader_->release();
    reader_.reset();
    header_begin_.reset();
    body_begin_.reset();
    request.peer = connection_->peer();
    if (request.path.empty()) {
        ++server_.statistics_.refused_count;
        send(server_.service_.refuse(400, "malformed request target"));
        return;
    }
    Response response;
    if (server_.service_.try_handle(request, response)) {
        send(response);
        return;
    }
    is_answering_ = true;
    answering_bytes_ = kRequestOverhead + request.body.size();
    recharge();
    if (!server_.gate_.spawn(answer_later(shared_from_this(), std::move(request)))) {
        is_answering_ = false;
        answering_bytes_ = 0;
        refuse(503, "the server is stopping");
    }
}

async::Task<void> Server::ConnectionState::answer_later(std::shared_ptr<ConnectionState> self,
                                                        Request request) {
    const Response response = co_await self->server_.service_.handle(std::move(request));
    self->is_answering_ = false;
    self->answering_bytes_ = 0;
    if (self->connection_ == nullptr) {
        self->recharge();
        co_return;
    }
    self->send(response);
    self->advance();
}

// ---- answers ----

void Server::ConnectionState::send(const Response& response) {
    using internal::Afterwards;
    if (!keep_alive_) {
        send_and_close(response);
        return;
    }
    append_response(connection_->output(),
                    response,
                    body_mode_,
                    is_http_10_ ? Afterwards::kSayKeepAlive : Afterwards::kKeepAlive);
    connection_->flush_later();
    recharge();
}

void Server::ConnectionState::send_and_close(const Response& response) {
    append_response(connection_->output(), response, body_mode_, internal::Afterwards::kClose);
    connection_->flush_later();
    is_closing_ = true;
    connection_->close(env::Connection::CloseMode::kAfterFlush);
    recharge();
    expect_by(MonotonicTime::max());
}

// Answers what never became a request, and closes: where the next request would begin is unknown.
void Server::ConnectionState::refuse(unsigned status, std::string_view why) {
    ++server_.statistics_.refused_count;
    const Response response = server_.service_.refuse(status, why);
    reader_.reset();
    send_and_close(response);
}

// What follows from where the connection stands after it was advanced.
void Server::ConnectionState::settle() {
    if (connection_ == nullptr || is_closing_) {
        return;
    }
    pause_when_waiting();
    if (has_input_ended_ && may_take()) {
        is_closing_ = true;
        connection_->close(env::Connection::CloseMode::kAfterFlush);
        return;
    }
    set_deadline();
}

void Server::ConnectionState::pause_when_waiting() {
    const bool is_waiting = is_answering_ || is_backed_up();
    if (is_waiting && !is_input_paused_ && connection_->input().size() > kWaitingInputMax) {
        is_input_paused_ = true;
        connection_->pause_input();
    } else if (!is_waiting && is_input_paused_) {
        is_input_paused_ = false;
        connection_->resume_input();
    }
}

// ---- time ----

void Server::ConnectionState::set_deadline() {
    const MonotonicTime now = server_.env_.clock.now();
    if (is_answering_) {
        expect_by(MonotonicTime::max());
    } else if (!reader_ || is_backed_up()) {
        expect_by(now + server_.options_.idle_timeout);
    } else if (!reader_->has_headers()) {
        header_begin_ = header_begin_.value_or(now);
        expect_by(*header_begin_ + server_.options_.header_timeout);
    } else {
        body_begin_ = body_begin_.value_or(now);
        const auto seconds = reader_->body_size() / ServerOptions::kBodyBytesPerSecond;
        expect_by(*body_begin_ + server_.options_.body_timeout + std::chrono::seconds(seconds));
    }
}

// A timer that runs is let run where the deadline is later: requests that come whole start none.
void Server::ConnectionState::expect_by(MonotonicTime deadline) {
    deadline_ = deadline;
    if (deadline == MonotonicTime::max()) {
        return;
    }
    if (timer_ != env::TimerId() && timer_at_ > deadline) {
        server_.env_.clock.cancel_timer(timer_);
        timer_ = env::TimerId();
    }
    if (timer_ == env::TimerId()) {
        start_timer(deadline);
    }
}

void Server::ConnectionState::start_timer(MonotonicTime when) {
    timer_at_ = when;
    timer_ = server_.env_.clock.start_timer(when, [this] { on_timer(); });
}

void Server::ConnectionState::on_timer() {
    timer_ = env::TimerId();
    if (deadline_ == MonotonicTime::max()) {
        return;
    }
    if (deadline_ > server_.env_.clock.now()) {
        start_timer(deadline_);
        return;
    }
    on_timeout();
}

void Server::ConnectionState::on_timeout() {
    if (reader_ && !is_backed_up()) {
        refuse(408, "the request did not arrive in time");
        return;
    }
    is_closing_ = true;
    connection_->close(env::Connection::CloseMode::kAfterFlush);
}

// ---- memory ----

void Server::ConnectionState::recharge() {
    std::size_t bytes = answering_bytes_;
    bytes += connection_ != nullptr ? connection_->output_size() : 0;
    bytes += reader_ ? kRequestOverhead + reader_->body_size() : 0;
    server_.memory_bytes_ += bytes;
    server_.memory_bytes_ -= charged_;
    charged_ = bytes;
}

}  // namespace kvstore::http
