// The hot path allocates nothing: counted by an operator new of this test program's own. Not under
// the thread sanitizer, whose own operator new cannot be replaced.
#if !__has_feature(thread_sanitizer)
#include <gtest/gtest.h>

#include "base/testing/count_allocations.h"
#include "mvcc/shard.h"
#include "mvcc/testing/one_record_engine.h"
#include "mvcc/testing/run_now.h"

namespace kvstore::mvcc {
namespace {

using kvstore::testing::allocation_count;

class SilentSink final : public ApplySink {
public:
    void on_operation(std::size_t /*at*/, const OperationResult& /*result*/) override {}
    void on_command(const CommandResult& /*result*/) override {}
};

std::size_t allocations_of(const Operation& operation, std::uint64_t history_ms) {
    testing::OneRecordEngine engine;
    auto shard = testing::run_now(Shard::open(&engine, history_ms)).value();
    Bytes encoded;
    encode_command(Version(1'000'000, 0), operation, encoded);
    SilentSink sink;
    std::size_t before = 0;
    for (std::uint64_t i = 1; i <= 20; ++i) {
        if (i == 11) {
            before = allocation_count();  // by now every buffer has its room
        }
        EXPECT_TRUE(shard->apply(Index(i), encoded, &sink).ok());
        EXPECT_TRUE(shard->finish_batch().ok());
    }
    return allocation_count() - before;
}

TEST(Allocation, IsCounted) {
    const std::size_t before = allocation_count();
    const Bytes text(1000, 'x');
    EXPECT_EQ(text.size(), 1000U);
    EXPECT_GT(allocation_count(), before);
}

TEST(Allocation, DoesNotHappenForSteadyCommandsOnOneKey) {
    const Bytes value(100, 'v');
    Operation put{.kind = OperationKind::kPut, .key = "a key that is long", .argument = value};
    EXPECT_EQ(allocations_of(put, 0), 0U);
    EXPECT_EQ(allocations_of(put, 1000), 0U) << "with history";
    put.wants_previous = true;
    put.expiry_mode = ExpiryMode::kAt;
    put.expires_at_ms = 2'000'000;
    EXPECT_EQ(allocations_of(put, 0), 0U) << "with expiry and the previous record";
    const Operation increment{.kind = OperationKind::kIncrement, .key = "n", .delta = 1};
    EXPECT_EQ(allocations_of(increment, 0), 0U);
    const Operation get{.kind = OperationKind::kGet, .key = "a key that is long"};
    EXPECT_EQ(allocations_of(get, 0), 0U);
}

}  // namespace
}  // namespace kvstore::mvcc
#endif
