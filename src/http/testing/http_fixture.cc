#include "http/testing/http_fixture.h"

#include "base/assert.h"
#include "base/parse.h"

namespace kvstore::http::testing {
namespace {

constexpr std::uint16_t kPort = 80;
// Long enough for what waits for nothing but the network.
constexpr Duration kRest = std::chrono::milliseconds(100);
constexpr std::string_view kAnswerBegins = "HTTP/1.1 ";

}  // namespace

class RawClient::Ear final : public env::ConnectionHandler {
public:
    explicit Ear(std::shared_ptr<End> end) : end_(std::move(end)) {}

    void on_input(env::Connection& connection) override {
        end_->received += connection.input();
        connection.consume(connection.input().size());
    }
    void on_closed(env::Connection& /*connection*/, const Status& /*reason*/) override {
        end_->connection = nullptr;
    }

private:
    std::shared_ptr<End> end_;
};

std::unique_ptr<RawClient> RawClient::connect(sim::Host& host, const env::Address& server) {
    auto client = std::make_unique<RawClient>(host.world());
    auto connected = host.world().block_on(
        host,
        host.env().network.connect(
            server, std::make_unique<Ear>(client->end_), async::Deadline::never()));
    KVSTORE_ASSERT(connected.ok());
    client->end_->connection = *connected;
    return client;
}

RawClient::~RawClient() {
    if (end_->connection != nullptr) {
        end_->connection->close(env::Connection::CloseMode::kNow);
    }
}

void RawClient::send(std::string_view bytes) {
    if (end_->connection == nullptr) {
        return;
    }
    end_->connection->output().append(bytes);
    end_->connection->flush_later();
}

std::string RawClient::ask(std::string_view bytes) {
    send(bytes);
    world_.run_for(kRest);
    return take();
}

std::size_t RawClient::unsent() const {
    return end_->connection == nullptr ? 0 : end_->connection->output_size();
}

void RawClient::close() {
    if (end_->connection != nullptr) {
        end_->connection->close(env::Connection::CloseMode::kAfterFlush);
    }
    world_.run_for(kRest);
}

void RawClient::stop_reading() {
    end_->connection->pause_input();
}

void RawClient::read_on() {
    end_->connection->resume_input();
}

// ---- the service ----

Response ScriptedService::answer(const Request& request) {
    Response response;
    response.content_type = "text/plain";
    if (request.path == "/big") {
        response.body.assign(*parse_uint64(request.parameter("n").value_or("0")), 'x');
    } else {
        response.body =
            std::string(method_name(request.method)) + " " + request.path + " " + request.body;
    }
    return response;
}

bool ScriptedService::try_handle(const Request& request, Response& response) {
    if (!request.path.starts_with("/now") && request.path != "/big") {
        return false;
    }
    requests.push_back(request);
    response = answer(request);
    return true;
}

async::Task<Response> ScriptedService::handle(Request request) {
    requests.push_back(request);
    if (!request.path.starts_with("/soon")) {
        co_await env_.clock.sleep(delay);
    }
    ++done_count;
    co_return answer(request);
}

Response ScriptedService::refuse(unsigned status, std::string_view why) {
    Response response;
    response.status = status;
    response.content_type = "text/plain";
    response.body = "refused: " + std::string(why);
    return response;
}

// ---- the fixture ----

HttpFixture::~HttpFixture() {
    stop();
}

void HttpFixture::start() {
    server_ = std::make_unique<Server>(machine_.env(), service_, options_);
    auto listening = machine_.env().network.listen(
        {.host = machine_.name(), .port = kPort},
        [this](env::Connection& connection) { return server_->accept(connection); });
    KVSTORE_ASSERT(listening.ok());
    listener_ = *std::move(listening);
}

void HttpFixture::stop() {
    listener_.reset();
    if (server_ != nullptr) {
        world_.block_on(machine_, server_->stop());
        server_.reset();
    }
}

std::unique_ptr<RawClient> HttpFixture::connect() {
    if (server_ == nullptr) {
        start();
    }
    return RawClient::connect(machine_, {.host = machine_.name(), .port = kPort});
}

std::string HttpFixture::ask(std::string_view bytes) {
    return connect()->ask(bytes);
}

std::string HttpFixture::get(std::string_view target) {
    return "GET " + std::string(target) + " HTTP/1.1\r\n\r\n";
}

std::string HttpFixture::post(std::string_view target, std::string_view body) {
    return "POST " + std::string(target) +
           " HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
}

unsigned status_of(std::string_view answer) {
    if (!answer.starts_with(kAnswerBegins)) {
        return 0;
    }
    const auto status = parse_uint64(answer.substr(kAnswerBegins.size(), 3));
    return static_cast<unsigned>(status.value_or(0));
}

std::size_t count_answers(std::string_view answers) {
    std::size_t count = 0;
    for (std::size_t at = answers.find(kAnswerBegins); at != std::string_view::npos;
         at = answers.find(kAnswerBegins, at + 1)) {
        ++count;
    }
    return count;
}

}  // namespace kvstore::http::testing
