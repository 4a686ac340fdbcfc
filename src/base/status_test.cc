#include "base/status.h"

#include <memory>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace kvstore {
namespace {

TEST(Status, IsOkByDefaultAndSmall) {
    const Status status;

    EXPECT_TRUE(status.ok());
    EXPECT_EQ(status.code(), Code::kOk);
    EXPECT_EQ(status.effect(), Effect::kNone);
    EXPECT_EQ(status.message(), "");
    EXPECT_EQ(status.to_string(), "ok");
    EXPECT_EQ(sizeof(Status), sizeof(void*));
}

TEST(Status, CarriesCodeEffectAndMessage) {
    const Status status(Code::kIoError, Effect::kUnknown, "wal/1: write failed");

    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.code(), Code::kIoError);
    EXPECT_EQ(status.effect(), Effect::kUnknown);
    EXPECT_EQ(status.to_string(), "i/o error: wal/1: write failed");
}

TEST(Status, SaysNoEffectWhereNoneIsGiven) {
    EXPECT_EQ(Status(Code::kNotFound, "x").effect(), Effect::kNone);
}

TEST(Status, CopiesAreEqualAndIndependent) {
    Status original(Code::kConflict, Effect::kUnknown, "first");
    const Status copy = original;
    Status assigned;
    assigned = original;
    original = Status();

    EXPECT_EQ(copy.message(), "first");
    EXPECT_EQ(assigned.effect(), Effect::kUnknown);
    assigned = *&assigned;
    EXPECT_EQ(assigned.message(), "first");
}

TEST(Status, PutsContextBeforeTheMessageAndKeepsTheRest) {
    const Status status =
        Status(Code::kCorruption, Effect::kUnknown, "bad checksum").with_context("a");

    EXPECT_EQ(status.message(), "a: bad checksum");
    EXPECT_EQ(status.code(), Code::kCorruption);
    EXPECT_EQ(status.effect(), Effect::kUnknown);
    EXPECT_TRUE(Status().with_context("a").ok());
}

TEST(Status, TurnsItsEffectIntoUnknownAndNeverBack) {
    EXPECT_EQ(Status(Code::kIoError, "x").with_unknown_effect().effect(), Effect::kUnknown);
    EXPECT_TRUE(Status().with_unknown_effect().ok());
}

TEST(Status, NamesEveryCodeDifferently) {
    std::set<std::string_view> names;
    for (unsigned code = 0; code <= static_cast<unsigned>(Code::kInternal); ++code) {
        names.insert(code_name(static_cast<Code>(code)));
    }

    EXPECT_EQ(names.size(), static_cast<unsigned>(Code::kInternal) + 1);
}

TEST(Result, HoldsAValueOrTheReasonWhyThereIsNone) {
    const Result<int> value = 3;
    const Result<int> error = Status(Code::kNotFound, "no");

    EXPECT_TRUE(value.ok());
    EXPECT_EQ(*value, 3);
    EXPECT_TRUE(value.status().ok());
    EXPECT_FALSE(error.ok());
    EXPECT_EQ(error.status().code(), Code::kNotFound);
}

TEST(Result, MovesItsValueOut) {
    Result<std::unique_ptr<int>> result = std::make_unique<int>(5);

    const std::unique_ptr<int> taken = *std::move(result);

    EXPECT_EQ(*taken, 5);
}

TEST(Result, HoldsAStringAndABoolWithoutConfusion) {
    EXPECT_EQ(Result<std::string>("text")->size(), 4U);
    EXPECT_FALSE(*Result<bool>(false));
}

TEST(ResultDeathTest, RefusesAnOkStatusAndAValueThatIsNotThere) {
    EXPECT_DEATH((void)Result<int>(Status()), "assertion failed");
    EXPECT_DEATH((void)*Result<int>(Status(Code::kNotFound, "no")), "assertion failed");
    EXPECT_DEATH((void)Status(Code::kOk, "fine"), "assertion failed");
}

Result<int> half(int number) {
    if (number % 2 != 0) {
        return Status(Code::kInvalidArgument, "odd");
    }
    return number / 2;
}

Result<int> quarter(int number) {
    KVSTORE_TRY(const int halved, half(number));
    KVSTORE_TRY(const int result, half(halved));
    return result;
}

Status check_even(int number) {
    KVSTORE_CHECK_OK(half(number).status());
    return {};
}

TEST(Try, GoesOnWithTheValueOrReturnsTheError) {
    EXPECT_EQ(*quarter(8), 2);
    EXPECT_EQ(quarter(6).status().message(), "odd");
    EXPECT_EQ(quarter(5).status().code(), Code::kInvalidArgument);
}

TEST(Try, ChecksAStatus) {
    EXPECT_TRUE(check_even(2).ok());
    EXPECT_EQ(check_even(3).message(), "odd");
}

}  // namespace
}  // namespace kvstore
