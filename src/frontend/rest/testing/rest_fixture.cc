#include "frontend/rest/testing/rest_fixture.h"

#include <utility>

#include "base/assert.h"

namespace kvstore::rest::testing {
namespace {

namespace json = boost::json;

async::Task<http::Response> ask(RestService* service, http::Request request) {
    http::Response response;
    if (service->try_handle(request, response)) {
        co_return response;
    }
    co_return co_await service->handle(std::move(request));
}

http::Request make_request(http::Method method,
                           std::string_view target,
                           std::string body,
                           http::Headers headers) {
    http::Request request;
    request.method = method;
    KVSTORE_ASSERT(http::parse_target(target, request));
    request.headers = std::move(headers);
    request.body = std::move(body);
    return request;
}

}  // namespace

json::value Answer::at(std::string_view name) const {
    boost::system::error_code error;
    const json::value parsed = json::parse(body, error);
    if (error || !parsed.is_object() || !parsed.as_object().contains(name)) {
        return {};
    }
    return parsed.as_object().at(name);
}

std::string Answer::text(std::string_view name) const {
    const json::value found = at(name);
    return found.is_string() ? std::string(found.as_string())
                             : "no text: " + json::serialize(found);
}

std::int64_t Answer::number(std::string_view name) const {
    boost::system::error_code error;
    const auto number = at(name).to_number<std::int64_t>(error);
    EXPECT_FALSE(error) << name << " in " << body;
    return error ? -1 : number;
}

bool Answer::has(std::string_view name) const {
    boost::system::error_code error;
    const json::value parsed = json::parse(body, error);
    return !error && parsed.is_object() && parsed.as_object().contains(name);
}

RestFixture::RestFixture() {
    facts_.node_id = "n1";
    facts_.version = "1.2.3";
    facts_.durability = "always";
    facts_.http_address = "127.0.0.1:8080";
}

RestFixture::~RestFixture() {
    service_.reset();
    administration_.reset();
}

void RestFixture::start() {
    must_open();
    if (administration_ == nullptr) {
        cluster::NodeRecord self;
        self.id = NodeId(1);
        self.name = facts_.node_id;
        self.http_address = facts_.http_address;
        administration_ = std::make_unique<kv::AloneAdministration>(*kv_, std::move(self));
    }
    service_ = std::make_unique<RestService>(
        *kv_, registry_, facts_, [this] { return checks_; }, *administration_);
}

Answer RestFixture::call(http::Method method,
                         std::string_view target,
                         std::string body,
                         http::Headers headers) {
    if (service_ == nullptr) {
        start();
    }
    http::Request request = make_request(method, target, std::move(body), std::move(headers));
    http::Response response = run(ask(service_.get(), std::move(request)));
    return {.status = response.status,
            .type = std::move(response.content_type),
            .headers = std::move(response.headers),
            .body = std::move(response.body)};
}

bool RestFixture::answers_at_once(http::Method method,
                                  std::string_view target,
                                  http::Headers headers) {
    if (service_ == nullptr) {
        start();
    }
    const http::Request request = make_request(method, target, "", std::move(headers));
    bool answered = false;
    on_core([&] {
        http::Response response;
        answered = service_->try_handle(request, response);
    });
    return answered;
}

void expect_problem(const Answer& answer, unsigned status, std::string_view title) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(answer.type, "application/problem+json");
    EXPECT_EQ(answer.number("status"), status);
    EXPECT_EQ(answer.text("title"), title) << answer.body;
    EXPECT_TRUE(answer.text("type").starts_with("urn:kvstore:error:")) << answer.body;
    EXPECT_FALSE(answer.text("detail").empty());
    EXPECT_EQ(answer.text("effect"), "none") << answer.body;
}

}  // namespace kvstore::rest::testing
