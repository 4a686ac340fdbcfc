#include "history/operation.h"

#include <gtest/gtest.h>

#include "history/recorder.h"
#include "history/testing/script.h"

namespace kvstore::history {
namespace {

using testing::parse_script;

Operation read_of(MaybeValue observed) {
    Operation operation;
    operation.outcome = Outcome::kOk;
    operation.key = "k";
    operation.observed = std::move(observed);
    return operation;
}

TEST(Operation, RefusesWhatNoClientCanHaveRecorded) {
    const Operation good = read_of("a");
    ASSERT_TRUE(check_operation(good).ok());
    const auto refuses = [&good](auto change) {
        Operation bad = good;
        change(bad);
        return check_operation(bad).code() == Code::kInvalidArgument;
    };

    EXPECT_TRUE(refuses([](Operation& bad) { bad.observed.reset(); }));
    EXPECT_TRUE(refuses([](Operation& bad) { bad.outcome = Outcome::kUnknown; }));
    EXPECT_TRUE(refuses([](Operation& bad) { bad.returned -= Duration(1); }));
    EXPECT_TRUE(refuses([](Operation& bad) { bad.argument = "b"; }));
    EXPECT_TRUE(refuses([](Operation& bad) { bad.expected = "b"; }));
    EXPECT_TRUE(refuses([](Operation& bad) { bad.is_matched = false; }));
    EXPECT_TRUE(refuses([](Operation& bad) { bad.delta = 1; }));
    EXPECT_TRUE(refuses([](Operation& bad) { bad.number = 1; }));
    EXPECT_TRUE(refuses([](Operation& bad) { bad.kind = OperationKind::kWrite; }));
    EXPECT_TRUE(refuses([](Operation& bad) { bad.kind = OperationKind::kIncrement; }));
    EXPECT_TRUE(refuses([](Operation& bad) {
        bad.kind = OperationKind::kDelete;
        bad.number = 2;
    }));
    EXPECT_TRUE(refuses([](Operation& bad) {
        bad.kind = OperationKind::kDelete;
        bad.consistency = Consistency::kCausal;
    }));
    EXPECT_TRUE(refuses([](Operation& bad) {
        bad.kind = OperationKind::kCompareAndSet;
        bad.outcome = Outcome::kFailed;
        bad.observed.reset();
        bad.is_matched = false;
    }));
}

TEST(Operation, IsTold) {
    const History history = parse_script(R"(
        1 0 1 write a
        1 2 3 read -> -
        1 4 5 cas - b -> no
        1 6 ? inc 2
        1 8 9 inc 2 -> 4
        1 8 x append xy
    )");

    EXPECT_EQ(operation_text(history[0]), R"(write "a")");
    EXPECT_EQ(operation_text(history[1]), "read -> absent");
    EXPECT_EQ(operation_text(history[2]), R"(compare-and-set absent to "b", no match)");
    EXPECT_EQ(operation_text(history[3]), "increment by 2 (unknown)");
    EXPECT_EQ(operation_text(history[4]), "increment by 2 -> 4");
    EXPECT_EQ(operation_text(history[5]), R"(append "xy" (failed))");
    EXPECT_EQ(value_text(Bytes("\x01\"\xff")), R"("\x01\"\xff")");
    EXPECT_EQ(value_text(Bytes(50, 'a')), '"' + Bytes(40, 'a') + "\"... (50 bytes)");
}

TEST(Operation, NamesAreReadBack) {
    EXPECT_EQ(find_kind("compare-and-set"), OperationKind::kCompareAndSet);
    EXPECT_EQ(find_outcome("unknown"), Outcome::kUnknown);
    EXPECT_EQ(find_consistency("bounded"), Consistency::kBounded);
    EXPECT_FALSE(find_kind("Read").has_value());
}

TEST(Partition, HasEachKeysOperationsInOrderOfCall) {
    const History history = parse_script(R"(
        1 5 9 write a key=b
        1 7 8 write a key=a
        2 1 2 write b key=b
    )");

    const std::vector<KeyOperations> keys = partition_by_key(history);

    ASSERT_EQ(keys.size(), 2);
    EXPECT_EQ(keys[0].key, "a");
    EXPECT_EQ(keys[1].places, (std::vector<std::size_t>{2, 0}));
}

TEST(Recorder, KeepsTheOrderOfWhatHappensAtOneMoment) {
    Recorder recorder;
    const MonotonicTime now{};
    Operation write;
    write.kind = OperationKind::kWrite;
    write.argument = "a";

    const auto first = recorder.begin(write, now);
    recorder.end(first, Outcome::kOk, now);
    const auto second = recorder.begin(write, now);

    const History& history = recorder.history();
    EXPECT_LT(history[first].called, history[first].returned);
    EXPECT_LT(history[first].returned, history[second].called);
    EXPECT_EQ(history[second].outcome, Outcome::kUnknown) << "nobody was told how it ended";
    EXPECT_EQ(effect_deadline(history[second]), MonotonicTime::max());
}

}  // namespace
}  // namespace kvstore::history
