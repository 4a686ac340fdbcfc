// The HTTP API over a store of the memory engine in a simulated world, without a network between.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "frontend/rest/service.h"
#include "http/message.h"
#include "kv/administration.h"
#include "kv/testing/kv_fixture.h"
#include "metrics/registry.h"

namespace kvstore::rest::testing {

// An answer that is easy to ask.
struct Answer {
    unsigned status = 0;
    std::string type;
    http::Headers headers;
    std::string body;

    [[nodiscard]] std::string header(std::string_view name) const {
        return std::string(http::find_header(headers, name).value_or(""));
    }
    // Of the JSON object that the body is; null where there is none of that name.
    [[nodiscard]] boost::json::value at(std::string_view name) const;
    [[nodiscard]] std::string text(std::string_view name) const;
    [[nodiscard]] std::int64_t number(std::string_view name) const;
    [[nodiscard]] bool has(std::string_view name) const;
};

class RestFixture : public kv::testing::KvFixture {
protected:
    RestFixture();
    ~RestFixture() override;

    // Opens the store with `options_`; a test calls it to change them, the first call() otherwise.
    // Without an administration_ by then, the node is alone.
    void start();

    // `target` as it stands in a request line.
    Answer call(http::Method method,
                std::string_view target,
                std::string body = "",
                http::Headers headers = {});
    Answer get(std::string_view target, http::Headers headers = {}) {
        return call(http::Method::kGet, target, "", std::move(headers));
    }
    Answer post(std::string_view target, std::string body = "", http::Headers headers = {}) {
        return call(http::Method::kPost, target, std::move(body), std::move(headers));
    }
    Answer put(std::string_view target, std::string body, http::Headers headers = {}) {
        return call(http::Method::kPut, target, std::move(body), std::move(headers));
    }
    Answer erase(std::string_view target, std::string body = "", http::Headers headers = {}) {
        return call(http::Method::kDelete, target, std::move(body), std::move(headers));
    }
    Answer patch(std::string_view target, std::string body) {
        return call(http::Method::kPatch, target, std::move(body));
    }

    // Whether the service answers this without a coroutine.
    bool answers_at_once(http::Method method, std::string_view target, http::Headers headers = {});

    metrics::Registry registry_;
    NodeFacts facts_;
    std::vector<ReadyCheck> checks_;
    std::unique_ptr<kv::Administration> administration_;
    std::unique_ptr<RestService> service_;
};

// That it is a problem of this status, which says in full that nothing was done.
void expect_problem(const Answer& answer, unsigned status, std::string_view title);

}  // namespace kvstore::rest::testing
