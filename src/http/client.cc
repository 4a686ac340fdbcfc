#include "http/client.h"

#include <optional>
#include <string_view>
#include <utility>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "async/sync.h"
#include "base/assert.h"

namespace kvstore::http {
namespace {

namespace beast = boost::beast::http;

using Parser = beast::response_parser<beast::string_body>;
using Answer = async::OneShot<Result<Response>>;

std::string_view view(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

Status lost(std::string_view why) {
    return {Code::kUnavailable, Effect::kUnknown, std::string(why)};
}

void append_request(Bytes& to, const ClientRequest& request, const env::Address& server) {
    to += method_name(request.method);
    to += ' ';
    to += request.target;
    to += " HTTP/1.1\r\nHost: ";
    to += server.to_string();
    for (const auto& [name, value] : request.headers) {
        to += "\r\n" + name + ": " + value;
    }
    const bool may_have_body = request.method == Method::kPut || request.method == Method::kPost ||
                               request.method == Method::kPatch;
    if (may_have_body || !request.body.empty()) {
        to += "\r\nContent-Length: " + std::to_string(request.body.size());
    }
    to += "\r\n\r\n";
    to += request.body;
}

}  // namespace

// One connection and the answer that is awaited on it. Shared by client and handler, since either
// may go first.
class Client::Link {
public:
    Link(env::Clock& clock, ClientOptions options) : clock_(clock), options_(options) {}
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link() { KVSTORE_ASSERT(answer_ == nullptr); }

    // False when the connection has ended already.
    [[nodiscard]] bool attach(env::Connection* connection) {
        connection_ = has_ended_ ? nullptr : connection;
        return !has_ended_;
    }
    [[nodiscard]] bool is_open() const { return connection_ != nullptr && !is_closing_; }

    void begin(const ClientRequest& request,
               const env::Address& server,
               Answer* answer,
               async::Deadline deadline);
    void on_input();
    void on_input_end();
    void on_closed(const Status& reason);
    void close();

private:
    void finish(Result<Response> result);
    Response take_response();
    bool parse();

    env::Clock& clock_;
    ClientOptions options_;
    env::Connection* connection_ = nullptr;  // null before connecting and once closed
    std::optional<Parser> parser_;
    Answer* answer_ = nullptr;  // null while nothing is awaited
    env::TimerId timer_;
    bool is_closing_ = false;
    bool has_ended_ = false;
};

class Client::Handler final : public env::ConnectionHandler {
public:
    explicit Handler(std::shared_ptr<Link> link) : link_(std::move(link)) {}
    void on_input(env::Connection& /*connection*/) override { link_->on_input(); }
    void on_input_end(env::Connection& /*connection*/) override { link_->on_input_end(); }
    void on_closed(env::Connection& /*connection*/, const Status& reason) override {
        link_->on_closed(reason);
    }

private:
    std::shared_ptr<Link> link_;
};

void Client::Link::begin(const ClientRequest& request,
                         const env::Address& server,
                         Answer* answer,
                         async::Deadline deadline) {
    KVSTORE_ASSERT(answer_ == nullptr);
    answer_ = answer;
    parser_.emplace();
    parser_->eager(true);
    parser_->header_limit(static_cast<std::uint32_t>(options_.header_bytes_max));
    parser_->body_limit(options_.body_bytes_max);
    append_request(connection_->output(), request, server);
    connection_->flush_later();
    if (deadline.at == MonotonicTime::max()) {
        return;
    }
    timer_ = clock_.start_timer(deadline.at, [this] {
        timer_ = env::TimerId();
        finish(Status(Code::kDeadlineExceeded, Effect::kUnknown, "no answer in time"));
        close();
    });
}

void Client::Link::finish(Result<Response> result) {
    if (timer_ != env::TimerId()) {
        clock_.cancel_timer(timer_);
        timer_ = env::TimerId();
    }
    parser_.reset();
    if (answer_ != nullptr) {
        std::exchange(answer_, nullptr)->set(std::move(result));
    }
}

void Client::Link::close() {
    is_closing_ = true;
    if (connection_ != nullptr) {
        connection_->close(env::Connection::CloseMode::kNow);
    }
}

Response Client::Link::take_response() {
    const bool keep_alive = parser_->keep_alive();
    auto message = parser_->release();
    Response response;
    response.status = message.result_int();
    for (const auto& field : message) {
        response.headers.emplace_back(std::string(view(field.name_string())),
                                      std::string(view(field.value())));
    }
    response.content_type = find_header(response.headers, "Content-Type").value_or("");
    response.body = std::move(message.body());
    if (!keep_alive) {
        close();
    }
    return response;
}

// Takes what is there. Returns: whether to go on.
bool Client::Link::parse() {
    const ByteView input = connection_->input();
    if (input.empty()) {
        return false;
    }
    boost::system::error_code error;
    const std::size_t used =
        parser_->put(boost::asio::const_buffer(input.data(), input.size()), error);
    connection_->consume(used);
    if (error && error != beast::error::need_more) {
        finish(lost("the answer is no HTTP: " + error.message()));
        close();
        return false;
    }
    if (parser_->is_done()) {
        // "100 Continue" and its kind come before the answer.
        if (parser_->get().result_int() / 100 == 1) {
            parser_.emplace();
            parser_->eager(true);
            return true;
        }
        finish(take_response());
        return false;
    }
    return error != beast::error::need_more && used > 0;
}

void Client::Link::on_input() {
    while (connection_ != nullptr && answer_ != nullptr && parse()) {
    }
    if (connection_ != nullptr && answer_ == nullptr && !connection_->input().empty()) {
        // Bytes that nobody asked for: whose answer the next would be is unknown.
        close();
    }
}

void Client::Link::on_input_end() {
    on_input();
    if (answer_ != nullptr) {
        // Beast asserts that there was a beginning of what ends.
        boost::system::error_code error;
        const bool has_begun = parser_->got_some();
        if (has_begun) {
            parser_->put_eof(error);
        }
        if (has_begun && !error && parser_->is_done()) {
            finish(take_response());
        } else {
            finish(lost("the server closed the connection before it answered"));
        }
    }
    close();
}

void Client::Link::on_closed(const Status& reason) {
    connection_ = nullptr;
    has_ended_ = true;
    if (answer_ != nullptr) {
        finish(lost(reason.ok() ? "the connection closed before the answer"
                                : std::string(reason.message())));
    }
}

Client::Client(env::Env& env, env::Address server, ClientOptions options)
    : env_(env), server_(std::move(server)), options_(options) {}

Client::~Client() {
    if (link_ != nullptr) {
        link_->close();
    }
}

bool Client::is_connected() const {
    return link_ != nullptr && link_->is_open();
}

async::Task<Status> Client::connect(async::Deadline deadline) {
    link_ = std::make_shared<Link>(env_.clock, options_);
    auto connected =
        co_await env_.network.connect(server_, std::make_unique<Handler>(link_), deadline);
    if (!connected.ok()) {
        link_.reset();
        const Status why = connected.status();
        co_return Status(why.code(), Effect::kNone, std::string(why.message()));
    }
    if (!link_->attach(*connected)) {
        link_.reset();
        co_return Status(Code::kUnavailable, "the server closed the connection at once");
    }
    co_return Status();
}

async::Task<Result<Response>> Client::request(ClientRequest request, async::Deadline deadline) {
    if (!is_connected()) {
        KVSTORE_CO_CHECK_OK(co_await connect(deadline));
    }
    Answer answer(env_.scheduler);
    link_->begin(request, server_, &answer, deadline);
    co_return co_await answer;
}

}  // namespace kvstore::http
