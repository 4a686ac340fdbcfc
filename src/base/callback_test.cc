#include "base/callback.h"

#include <array>
#include <memory>
#include <utility>

#include <gtest/gtest.h>

namespace kvstore {
namespace {

// How often a callable was made, moved and destroyed.
struct Counts {
    int moves = 0;
    int destroyed = 0;
    int made = 0;
};

// kSize words large; three fit into a Callback.
template <std::size_t kSize>
class Counted {
public:
    explicit Counted(Counts& counts) : counts_(&counts) { ++counts_->made; }
    Counted(Counted&& other) noexcept : counts_(other.counts_) {
        ++counts_->made;
        ++counts_->moves;
    }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    Counted& operator=(Counted&&) = delete;
    ~Counted() { ++counts_->destroyed; }
    int operator()(int number) const { return number + static_cast<int>(kSize); }

private:
    Counts* counts_;
    std::array<void*, kSize - 1> padding_{};
};

template <typename T>
class CallbackOf : public testing::Test {};
using Sizes = testing::Types<Counted<2>, Counted<3>, Counted<4>, Counted<20>>;
TYPED_TEST_SUITE(CallbackOf, Sizes);

TYPED_TEST(CallbackOf, AnySizeIsDestroyedOnceForEachTimeItWasMade) {
    Counts counts;
    {
        Callback<int(int)> first = TypeParam(counts);
        Callback<int(int)> second = std::move(first);
        Callback<int(int)> third;
        third = std::move(second);
        EXPECT_GT(third(1), 1);
        EXPECT_FALSE(first);   // NOLINT(bugprone-use-after-move): empty is what is promised
        EXPECT_FALSE(second);  // NOLINT(bugprone-use-after-move)
        EXPECT_EQ(counts.made - counts.destroyed, 1);
    }
    EXPECT_EQ(counts.made, counts.destroyed);
}

TYPED_TEST(CallbackOf, AnySizeIsDestroyedWhenItIsReplacedOrReset) {
    Counts counts;
    Callback<int(int)> callback = TypeParam(counts);
    callback = [](int number) {
        return number;
    };
    EXPECT_EQ(counts.made, counts.destroyed);
    EXPECT_EQ(callback(7), 7);

    callback = TypeParam(counts);
    callback.reset();
    EXPECT_EQ(counts.made, counts.destroyed);
    EXPECT_FALSE(callback);
}

TEST(Callback, MovesLargeCallablesByTheirPointer) {
    Counts counts;
    Callback<int(int)> first = Counted<20>(counts);
    const int moves = counts.moves;

    const Callback<int(int)> second = std::move(first);

    EXPECT_EQ(counts.moves, moves);
}

TEST(Callback, CarriesWhatCannotBeCopied) {
    auto number = std::make_unique<int>(5);
    Callback<int()> callback = [number = std::move(number)] {
        return *number;
    };

    EXPECT_EQ(callback(), 5);
    EXPECT_EQ(callback(), 5);
}

TEST(Callback, PassesReferencesAndMoveOnlyArguments) {
    Callback<void(int&, std::unique_ptr<int>)> add = [](int& to, std::unique_ptr<int> what) {
        to += *what;
    };
    int total = 1;

    add(total, std::make_unique<int>(2));

    EXPECT_EQ(total, 3);
}

TEST(Callback, KeepsItselfWhenMovedOntoItself) {
    Callback<int()> callback = [] {
        return 1;
    };
    Callback<int()>& same = callback;

    callback = std::move(same);

    EXPECT_EQ(callback(), 1);
}

TEST(CallbackDeathTest, DoesNotCallNothing) {
    Callback<void()> empty;

    EXPECT_FALSE(empty);
    EXPECT_DEATH(empty(), "assertion failed");
}

}  // namespace
}  // namespace kvstore
