#include "http/server.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/assert.h"

namespace kvstore::http {
namespace {

namespace beast = boost::beast::http;

using Parser = beast::request_parser<beast::string_body>;

Method to_method(beast::verb verb) {
    switch (verb) {
        case beast::verb::get: return Method::kGet;
        case beast::verb::head: return Method::kHead;
        case beast::verb::put: return Method::kPut;
        case beast::verb::post: return Method::kPost;
        case beast::verb::delete_: return Method::kDelete;
        case beast::verb::patch: return Method::kPatch;
        case beast::verb::options: return Method::kOptions;
        default: return Method::kOther;
    }
}

std::string_view view(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

unsigned status_of(const boost::system::error_code& error) {
    if (error == beast::error::header_limit) {
        return 431;
    }
    if (error == beast::error::body_limit) {
        return 413;
    }
    if (error == beast::error::bad_version) {
        return 505;
    }
    return 400;
}

std::string why_of(const boost::system::error_code& error) {
    if (error == beast::error::header_limit) {
        return "the request line and headers are too large";
    }
    if (error == beast::error::body_limit) {
        return "the body is too large";
    }
    return "malformed HTTP request: " + error.message();
}

void append_number(Bytes& to, std::size_t number) {
    std::array<char, 20> digits;
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    to.append(digits.data(), written.ptr);
}

enum class BodyMode : std::uint8_t { kSend, kOmit };

void append_response(Bytes& to, const Response& response, BodyMode body, bool keep_alive) {
    to += "HTTP/1.1 ";
    append_number(to, response.status);
    to += ' ';
    to += reason_phrase(response.status);
    if (!response.content_type.empty()) {
        to += "\r\nContent-Type: ";
        to += response.content_type;
    }
    if (response.status != 204 && response.status != 304) {
        to += "\r\nContent-Length: ";
        append_number(to, response.body.size());
    }
    for (const auto& [name, value] : response.headers) {
        to += "\r\n";
        to += name;
        to += ": ";
        to += value;
    }
    to += keep_alive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n";
    if (body == BodyMode::kSend && response.status != 204 && response.status != 304) {
        to += response.body;
    }
}

}  // namespace

// One connection's state. Outlives the connection while a request of it is under way.
class Server::ConnectionState : public std::enable_shared_from_this<ConnectionState> {
public:
    ConnectionState(Server& server, env::Connection& connection)
        : server_(server), connection_(&connection) {
        server_.connections_.insert(this);
        ++server_.statistics_.connection_count;
        restart_timer(server_.options_.idle_timeout);
    }
    ConnectionState(const ConnectionState&) = delete;
    ConnectionState& operator=(const ConnectionState&) = delete;
    ~ConnectionState() { KVSTORE_ASSERT(connection_ == nullptr); }

    void on_input();
    void on_input_end();
    void on_output_drained() { on_input(); }
    void on_closed();
    void close_when_idle();
    void abort() { connection_->close(env::Connection::CloseMode::kNow); }

private:
    // A new request's body counts as this much more than its bytes, for headers and bookkeeping.
    static constexpr std::size_t kRequestOverhead = 4096;

    bool parse();
    void begin_request();
    void note_headers_done();
    void finish_request();
    Request take_request();
    async::Task<void> answer_later(std::shared_ptr<ConnectionState> self, Request request);
    void send(const Response& response, BodyMode body);
    void refuse(unsigned status, std::string_view why);
    void restart_timer(Duration span);
    void stop_timer();
    void on_timeout();
    void charge(std::size_t bytes);

    Server& server_;
    env::Connection* connection_;  // null once closed
    std::optional<Parser> parser_;
    env::TimerId timer_;
    std::size_t charged_ = 0;
    bool is_answering_ = false;
    bool has_headers_ = false;
    bool keep_alive_ = true;
    bool is_closing_ = false;
    bool input_ended_ = false;
};

// What the connection owns; the state is shared with requests under way.
class Server::Handler final : public env::ConnectionHandler {
public:
    explicit Handler(std::shared_ptr<ConnectionState> state) : state_(std::move(state)) {}
    void on_input(env::Connection& /*connection*/) override { state_->on_input(); }
    void on_output_drained(env::Connection& /*connection*/) override {
        state_->on_output_drained();
    }
    void on_input_end(env::Connection& /*connection*/) override { state_->on_input_end(); }
    void on_closed(env::Connection& /*connection*/, const Status& /*reason*/) override {
        state_->on_closed();
    }

private:
    std::shared_ptr<ConnectionState> state_;
};

void Server::ConnectionState::restart_timer(Duration span) {
    stop_timer();
    env::Clock& clock = server_.env_.clock;
    timer_ = clock.start_timer(clock.now() + span, [this] {
        timer_ = env::TimerId();
        on_timeout();
    });
}

void Server::ConnectionState::stop_timer() {
    if (timer_ != env::TimerId()) {
        server_.env_.clock.cancel_timer(timer_);
        timer_ = env::TimerId();
    }
}

void Server::ConnectionState::on_timeout() {
    if (connection_ == nullptr || is_answering_) {
        return;
    }
    if (!parser_) {
        connection_->close(env::Connection::CloseMode::kAfterFlush);
        return;
    }
    refuse(408, "the request did not arrive in time");
}

void Server::ConnectionState::charge(std::size_t bytes) {
    server_.memory_bytes_ += bytes;
    server_.memory_bytes_ -= charged_;
    charged_ = bytes;
}

void Server::ConnectionState::on_closed() {
    stop_timer();
    charge(0);
    connection_ = nullptr;
    server_.connections_.erase(this);
    --server_.statistics_.connection_count;
}

void Server::ConnectionState::on_input_end() {
    input_ended_ = true;
    on_input();
    if (connection_ != nullptr && !is_answering_) {
        connection_->close(env::Connection::CloseMode::kAfterFlush);
    }
}

void Server::ConnectionState::close_when_idle() {
    keep_alive_ = false;
    if (!is_answering_ && !parser_) {
        connection_->close(env::Connection::CloseMode::kAfterFlush);
    }
}

// Parses and answers until a request must wait, input runs out, or output backs up.
void Server::ConnectionState::on_input() {
    while (connection_ != nullptr && !is_answering_ && !is_closing_ &&
           connection_->output_size() < env::Connection::kOutputHighWater && parse()) {
    }
}

void Server::ConnectionState::begin_request() {
    parser_.emplace();
    parser_->eager(true);
    parser_->header_limit(static_cast<std::uint32_t>(server_.options_.header_bytes_max));
    parser_->body_limit(server_.options_.body_bytes_max);
    has_headers_ = false;
    charge(kRequestOverhead);
    restart_timer(server_.options_.header_timeout);
}

// Takes what is there. Returns: whether to go on.
bool Server::ConnectionState::parse() {
    if (connection_->input().empty()) {
        return false;
    }
    if (!parser_) {
        begin_request();
    }
    boost::system::error_code error;
    const ByteView input = connection_->input();
    const std::size_t used =
        parser_->put(boost::asio::const_buffer(input.data(), input.size()), error);
    connection_->consume(used);
    if (error && error != beast::error::need_more) {
        refuse(status_of(error), why_of(error));
        return false;
    }
    if (parser_->is_header_done() && !has_headers_) {
        note_headers_done();
        if (is_closing_) {
            return false;
        }
    }
    if (parser_->is_done()) {
        finish_request();
        return true;
    }
    if (has_headers_) {
        charge(kRequestOverhead + parser_->get().body().size());
        restart_timer(server_.options_.body_timeout);
    }
    return error != beast::error::need_more && used > 0;
}

void Server::ConnectionState::note_headers_done() {
    has_headers_ = true;
    const auto length = parser_->content_length();
    const std::size_t announced = length ? static_cast<std::size_t>(*length) : 0;
    if (server_.memory_bytes_ + announced > server_.options_.memory_bytes_max) {
        refuse(503, "too many bytes of requests under way; try again");
        return;
    }
    if (!parser_->is_done() &&
        boost::beast::iequals(parser_->get()[beast::field::expect], "100-continue")) {
        connection_->output() += "HTTP/1.1 100 Continue\r\n\r\n";
        connection_->flush_later();
    }
}

Request Server::ConnectionState::take_request() {
    auto message = parser_->release();
    Request request;
    request.method = to_method(message.method());
    for (const auto& field : message) {
        request.headers.emplace_back(std::string(view(field.name_string())),
                                     std::string(view(field.value())));
    }
    request.body = std::move(message.body());
    request.peer = connection_->peer();
    // A target that cannot be read leaves the path empty.
    if (!parse_target(view(message.target()), request)) {
        request.path.clear();
    }
    return request;
}

void Server::ConnectionState::finish_request() {
    ++server_.statistics_.request_count;
    keep_alive_ = keep_alive_ && parser_->keep_alive() && !server_.is_stopping_;
    Request request = take_request();
    parser_.reset();
    stop_timer();
    if (request.path.empty()) {
        send(server_.service_.refuse(400, "malformed request target"), BodyMode::kSend);
        return;
    }
    const BodyMode body = request.method == Method::kHead ? BodyMode::kOmit : BodyMode::kSend;
    Response response;
    if (server_.service_.try_handle(request, response)) {
        send(response, body);
        return;
    }
    is_answering_ = true;
    charge(kRequestOverhead + request.body.size());
    if (!server_.gate_.spawn(answer_later(shared_from_this(), std::move(request)))) {
        is_answering_ = false;
        keep_alive_ = false;
        send(server_.service_.refuse(503, "the server is stopping"), body);
    }
}

async::Task<void> Server::ConnectionState::answer_later(std::shared_ptr<ConnectionState> self,
                                                        Request request) {
    const BodyMode body = request.method == Method::kHead ? BodyMode::kOmit : BodyMode::kSend;
    const Response response = co_await self->server_.service_.handle(std::move(request));
    self->is_answering_ = false;
    if (self->connection_ == nullptr) {
        co_return;
    }
    self->send(response, body);
    self->on_input();
    if (self->connection_ != nullptr && self->input_ended_ && !self->is_answering_) {
        self->connection_->close(env::Connection::CloseMode::kAfterFlush);
    }
}

void Server::ConnectionState::send(const Response& response, BodyMode body) {
    append_response(connection_->output(), response, body, keep_alive_);
    connection_->flush_later();
    charge(0);
    if (!keep_alive_) {
        is_closing_ = true;
        connection_->close(env::Connection::CloseMode::kAfterFlush);
        return;
    }
    restart_timer(server_.options_.idle_timeout);
}

// Answers what never became a request, and closes: where the next request would begin is unknown.
void Server::ConnectionState::refuse(unsigned status, std::string_view why) {
    ++server_.statistics_.refused_count;
    parser_.reset();
    stop_timer();
    keep_alive_ = false;
    send(server_.service_.refuse(status, why), BodyMode::kSend);
}

// ---- the server ----

Server::Server(env::Env& env, Service& service, ServerOptions options)
    : env_(env), service_(service), options_(options), gate_(env.scheduler) {}

Server::~Server() {
    KVSTORE_ASSERT(connections_.empty());
}

std::unique_ptr<env::ConnectionHandler> Server::accept(env::Connection& connection) {
    if (is_stopping_ || connections_.size() >= options_.connections_max) {
        ++statistics_.refused_count;
        return nullptr;
    }
    return std::make_unique<Handler>(std::make_shared<ConnectionState>(*this, connection));
}

async::Task<void> Server::stop() {
    is_stopping_ = true;
    const std::vector<ConnectionState*> open(connections_.begin(), connections_.end());
    for (ConnectionState* connection : open) {
        if (connections_.contains(connection)) {
            connection->close_when_idle();
        }
    }
    co_await gate_.close();
    // Requests that had only begun to arrive are given up; closing takes a few turns.
    while (!connections_.empty()) {
        const std::vector<ConnectionState*> left(connections_.begin(), connections_.end());
        for (ConnectionState* connection : left) {
            if (connections_.contains(connection)) {
                connection->abort();
            }
        }
        co_await env_.clock.sleep(std::chrono::milliseconds(1));
    }
}

}  // namespace kvstore::http
