// Calls are found by number and by deadline, each once.
#include "rpc/internal/call_table.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "rpc/testing/test_node.h"

namespace kvstore::rpc::internal {
namespace {

using std::chrono::milliseconds;
using testing::Outcome;

constexpr MonotonicTime kStart{std::chrono::hours(1000)};

TEST(CallTable, NeverUsesANumberTwice) {
    CallTable table;
    Outcome sink;
    std::uint64_t last = 0;
    for (int i = 0; i < 1000; ++i) {
        EXPECT_LT(last, table.next_id());
        const std::uint64_t id = table.add(&sink, async::Deadline::never(), kStart);
        EXPECT_GT(id, last);
        EXPECT_LT(id, table.next_id());
        last = id;
        EXPECT_TRUE(table.contains(id));
        if (i % 3 != 0) {
            EXPECT_EQ(table.take(id), &sink);
        }
        EXPECT_EQ(table.take(id) != nullptr, i % 3 == 0) << "taken once";
    }
    EXPECT_EQ(table.size(), 0U);
    EXPECT_EQ(table.take(0), nullptr);
    EXPECT_EQ(table.take(~0ULL), nullptr);
}

TEST(CallTable, WithoutDeadlinesAsksForNoCheck) {
    CallTable table;
    Outcome sink;
    table.add(&sink, async::Deadline::never(), kStart);
    EXPECT_EQ(table.next_check(), MonotonicTime::max());
    EXPECT_TRUE(table.take_expired(kStart + std::chrono::hours(1)).empty());
    EXPECT_EQ(table.take_all().size(), 1U);
}

// A model with plain maps, time that passes in steps of all sizes, and checks made exactly when
// the table asks for them.
TEST(CallTable, TakesOutWhatHasExpiredAndNothingElse) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        CallTable table;
        Outcome sink;
        std::map<std::uint64_t, MonotonicTime> model;
        MonotonicTime now = kStart;
        for (int step = 0; step < 300; ++step) {
            switch (random.below(3)) {
                case 0: {
                    const Duration patience(random.below(1ULL << random.between(1, 36)));
                    model.emplace(table.add(&sink, async::Deadline{now + patience}, now),
                                  now + patience);
                    break;
                }
                case 1:
                    if (!model.empty()) {
                        auto at = model.begin();
                        std::advance(at, static_cast<int>(random.below(model.size())));
                        EXPECT_EQ(table.take(at->first), &sink);
                        model.erase(at);
                    }
                    break;
                default: {
                    const MonotonicTime until =
                        now + Duration(random.below(1ULL << random.between(1, 37)));
                    while (table.next_check() <= until) {
                        now = std::max(now, table.next_check());
                        std::uint64_t last = 0;
                        for (const CallTable::Call& call : table.take_expired(now)) {
                            EXPECT_GT(call.id, last);
                            last = call.id;
                            ASSERT_TRUE(model.contains(call.id));
                            EXPECT_LE(model[call.id], now) << "not before its time";
                            EXPECT_GE(model[call.id] + 2 * CallTable::kTick, now);
                            model.erase(call.id);
                        }
                    }
                    now = until;
                    for (const auto& [id, deadline] : model) {
                        EXPECT_GT(deadline + CallTable::kTick, now) << "not long after it";
                    }
                }
            }
            ASSERT_EQ(table.size(), model.size());
        }
        for (const CallTable::Call& call : table.take_all()) {
            EXPECT_EQ(model.erase(call.id), 1U);
        }
        EXPECT_TRUE(model.empty());
        EXPECT_EQ(table.next_check(), MonotonicTime::max());
    }
}

TEST(CallTable, FindsEverythingExpiredAfterALongPause) {
    CallTable table;
    Outcome sink;
    for (int i = 0; i < 1000; ++i) {
        table.add(&sink, async::Deadline{kStart + milliseconds(37 * i)}, kStart);
    }
    const auto expired = table.take_expired(kStart + milliseconds(37 * 499));
    EXPECT_GE(expired.size(), 499U);
    EXPECT_LE(expired.size(), 500U);
    EXPECT_EQ(table.take_expired(kStart + std::chrono::hours(1)).size(), 1000 - expired.size());
    EXPECT_EQ(table.size(), 0U);
}

}  // namespace
}  // namespace kvstore::rpc::internal
