// Commands that walk over keys: SCAN, KEYS, RANDOMKEY.
//
// Keys are walked in their order. A cursor of SCAN stands for the key at which to go on, which the
// core remembers (cursors.h).
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "async/sync.h"
#include "base/parse.h"
#include "frontend/resp/glob.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"

namespace kvstore::resp {
namespace {

constexpr std::size_t kPageKeysMax = 10'000;
constexpr std::int64_t kScanCountDefault = 10;

// Keys among which RANDOMKEY chooses.
constexpr std::size_t kRandomKeys = 1000;

struct ScanOptions {
    std::int64_t count = kScanCountDefault;
    std::optional<ByteView> pattern;
    bool wants_strings = true;
};

// Empty: `options` are right. Otherwise the error.
std::string_view take_scan_options(Arguments arguments, ScanOptions& options) {
    for (std::size_t at = 2; at < arguments.size(); at += 2) {
        if (at + 1 >= arguments.size()) {
            return kSyntaxError;
        }
        const std::string word = lower_case(arguments[at]);
        if (word == "count") {
            const auto count = parse_int64(arguments[at + 1]);
            if (!count) {
                return kNotAnInteger;
            }
            if (*count < 1) {
                return kSyntaxError;
            }
            options.count = *count;
        } else if (word == "match") {
            options.pattern = arguments[at + 1];
        } else if (word == "type") {
            options.wants_strings = equals_ignoring_case(arguments[at + 1], "string");
        } else {
            return kSyntaxError;
        }
    }
    return {};
}

// A walk over all keys that a pattern can match, in pages.
mvcc::ScanRequest walk(std::optional<ByteView> pattern) {
    mvcc::ScanRequest request;
    request.keys_only = true;
    request.limit = kPageKeysMax;
    if (pattern) {
        request.from = glob_prefix(*pattern);
        request.to = prefix_end(request.from);
    }
    return request;
}

async::Task<void> scan(AwaitedCall* call) {
    ScanOptions options;
    const auto cursor = parse_uint64(call->arguments()[1]);
    if (!cursor) {
        call->reply.error("ERR invalid cursor");
        co_return;
    }
    const std::string_view error = take_scan_options(call->arguments(), options);
    if (!error.empty()) {
        call->reply.error(error);
        co_return;
    }
    mvcc::ScanRequest request = walk(options.pattern);
    request.limit = static_cast<std::size_t>(
        std::min<std::int64_t>(options.count, static_cast<std::int64_t>(kPageKeysMax)));
    if (*cursor != 0) {
        const auto place = call->core.cursors().find(*cursor);
        if (!place) {
            call->reply.error("ERR invalid cursor");
            co_return;
        }
        request.from = std::max(request.from, *place);
    }
    auto page = co_await call->core.kv().scan(call->context, call->keyspace, std::move(request));
    if (!page.ok()) {
        call->reply.status(page.status());
        co_return;
    }
    const auto is_shown = [&options](const mvcc::ScanRow& row) {
        return options.wants_strings &&
               (!options.pattern || glob_matches(*options.pattern, row.key));
    };
    const std::uint64_t next = page->has_more ? call->core.cursors().add(std::move(page->next)) : 0;
    call->reply.array(2);
    call->reply.bulk(std::to_string(next));
    call->reply.array(static_cast<std::size_t>(std::ranges::count_if(page->rows, is_shown)));
    for (const mvcc::ScanRow& row : page->rows) {
        if (is_shown(row)) {
            call->reply.bulk(row.key);
        }
    }
}

async::Task<void> keys(AwaitedCall* call) {
    Bytes pattern(call->arguments()[1]);
    const mvcc::ScanRequest all = walk(pattern);
    Bytes found;
    std::size_t count = 0;
    ReplyWriter writer(found, call->reply.protocol(), nullptr);
    Bytes from = all.from;
    while (true) {
        mvcc::ScanRequest request = all;
        request.from = from;
        auto page =
            co_await call->core.kv().scan(call->context, call->keyspace, std::move(request));
        if (!page.ok()) {
            call->reply.status(page.status());
            co_return;
        }
        for (const mvcc::ScanRow& row : page->rows) {
            if (glob_matches(pattern, row.key)) {
                writer.bulk(row.key);
                ++count;
            }
        }
        if (!page->has_more || call->session() == nullptr) {
            break;
        }
        from = std::move(page->next);
        co_await async::yield(call->core.env().scheduler);
    }
    call->reply.array(count);
    call->reply.raw(found);
}

// A key somewhere between the first and the last, near which to look.
Bytes probe_between(ByteView first, ByteView last, Core& core) {
    std::size_t common = 0;
    while (common < first.size() && common < last.size() && first[common] == last[common]) {
        ++common;
    }
    Bytes probe(first.substr(0, common));
    const auto low =
        common < first.size() ? static_cast<unsigned char>(first[common]) : std::uint64_t{0};
    const auto high =
        common < last.size() ? static_cast<unsigned char>(last[common]) : std::uint64_t{0};
    if (high < low) {
        return probe;
    }
    probe.push_back(static_cast<char>(low + (core.random() % (high - low + 1))));
    for (std::uint64_t bytes = core.random(), i = 0; i < sizeof(bytes); ++i, bytes >>= 8U) {
        probe.push_back(static_cast<char>(bytes & 0xffU));
    }
    return probe;
}

// Every key of a small keyspace is as likely as any other; of a large one, keys beside wide gaps
// are chosen more often.
async::Task<void> random_key(AwaitedCall* call) {
    kv::Kv& kv = call->core.kv();
    mvcc::ScanRequest request = walk(std::nullopt);
    request.limit = kRandomKeys;
    auto page = co_await kv.scan(call->context, call->keyspace, request);
    if (page.ok() && page->has_more) {
        mvcc::ScanRequest backward = request;
        backward.limit = 1;
        backward.reverse = true;
        const auto last = co_await kv.scan(call->context, call->keyspace, std::move(backward));
        if (last.ok() && !last->rows.empty()) {
            request.from =
                probe_between(page->rows.front().key, last->rows.front().key, call->core);
            auto near = co_await kv.scan(call->context, call->keyspace, std::move(request));
            if (near.ok() && !near->rows.empty()) {
                page = std::move(near);
            }
        }
    }
    if (!page.ok()) {
        call->reply.status(page.status());
        co_return;
    }
    if (page->rows.empty()) {
        call->reply.null();
        co_return;
    }
    call->reply.bulk(page->rows[call->core.random() % page->rows.size()].key);
}

}  // namespace

Outcome scan_command(Call& call) {
    return call.await(scan);
}

Outcome keys_command(Call& call) {
    return call.await(keys);
}

Outcome randomkey_command(Call& call) {
    return call.await(random_key);
}

}  // namespace kvstore::resp
