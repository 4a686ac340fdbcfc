// The checkers against the definition, over thousands of random histories small enough to try every
// order; and large ones, which must be decided in seconds.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/parse.h"
#include "base/random.h"
#include "history/internal/problem.h"
#include "history/internal/search.h"
#include "history/internal/zones.h"
#include "history/linearizability.h"
#include "history/testing/brute_force.h"
#include "history/testing/generate.h"
#include "history/verify.h"

namespace kvstore::history {
namespace {

using testing::GenerateOptions;

std::uint64_t first_seed() {
    const char* const seed = std::getenv("KVSTORE_SEED");
    return seed == nullptr ? 1 : parse_uint64(seed).value_or(1);
}

std::string text_of(const History& history) {
    std::string text;
    for (const Operation& operation : history) {
        text += std::to_string(operation.called.time_since_epoch().count()) + " .. " +
                std::to_string(operation.returned.time_since_epoch().count()) + "  " +
                operation_text(operation) + "\n";
    }
    return text;
}

internal::Problem problem_of(const History& history) {
    std::vector<std::size_t> places;
    std::vector<internal::Role> roles;
    for (const KeyOperations& key : partition_by_key(history)) {
        places = key.places;
    }
    for (const std::size_t place : places) {
        roles.push_back(internal::role_of(history[place]));
    }
    return internal::make_problem(history, places, roles);
}

struct Mix {
    std::string_view name;
    std::vector<OperationKind> kinds;
    std::uint64_t values;
};

const std::vector<Mix>& mixes() {
    using enum OperationKind;
    static const std::vector<Mix> kMixes{
        {"UniqueValues", {kRead, kRead, kWrite}, 0},
        {"FewValues", {kRead, kRead, kWrite, kDelete}, 2},
        {"CompareAndSet", {kRead, kWrite, kCompareAndSet, kCompareAndSet, kDelete}, 2},
        {"Counters", {kRead, kIncrement, kIncrement}, 0},
        {"Appends", {kRead, kAppend, kAppend, kDelete}, 2},
        {"Everything", {kRead, kRead, kWrite, kDelete, kCompareAndSet, kIncrement, kAppend}, 3},
    };
    return kMixes;
}

class AgainstTheDefinition : public ::testing::TestWithParam<std::size_t> {
protected:
    // A history of at most 7 operations, as a store that keeps its word might have given it; every
    // other one with an answer or two changed, which makes about half of those impossible.
    static History small_history(std::uint64_t seed) { return make_history(seed, 2, 7); }

    static History make_history(std::uint64_t seed,
                                std::uint64_t size_min,
                                std::uint64_t size_max) {
        Random random(seed);
        const Mix& mix = mixes()[GetParam()];
        const GenerateOptions options{.operations = random.between(size_min, size_max),
                                      .clients = random.between(2, size_max / 2),
                                      .kinds = mix.kinds,
                                      .values = mix.values,
                                      .unknown_percent = random.chance(1, 2) ? 30U : 0U,
                                      .failed_percent = random.chance(1, 4) ? 10U : 0U,
                                      .tells_more = random.chance(1, 2)};
        History history = generate(options, random);
        for (std::uint64_t changes = random.below(3); changes > 0; --changes) {
            testing::change_an_answer(history, random);
        }
        return history;
    }
};

TEST_P(AgainstTheDefinition, EveryWayToDecideAgrees) {
    constexpr std::uint64_t kSeeds = 10'000;
    std::uint64_t good = 0;
    for (std::uint64_t seed = first_seed(); seed < first_seed() + kSeeds; ++seed) {
        const History history = small_history(seed);
        const bool expected = testing::is_linearizable_by_brute_force(history);
        const Verdict verdict = expected ? Verdict::kHolds : Verdict::kViolated;
        good += expected ? 1 : 0;

        ASSERT_EQ(check_linearizability(history).verdict(), verdict) << "seed " << seed << "\n"
                                                                     << text_of(history);
        internal::Problem problem = problem_of(history);
        ASSERT_EQ(internal::Search(problem, 1'000'000).run(), verdict) << "seed " << seed << "\n"
                                                                       << text_of(history);
        const auto by_zones = internal::judge_by_zones(problem_of(history));
        ASSERT_EQ(by_zones.value_or(verdict), verdict) << "seed " << seed << "\n"
                                                       << text_of(history);
    }
    EXPECT_GT(good, kSeeds / 4) << "too few histories hold to prove anything";
    EXPECT_LT(good, kSeeds - kSeeds / 10) << "too few histories are bad to prove anything";
}

// Long enough for every rule that makes the search faster to matter.
TEST_P(AgainstTheDefinition, TheSearchAgreesOnLongerHistories) {
    constexpr std::uint64_t kSeeds = 3000;
    for (std::uint64_t seed = first_seed(); seed < first_seed() + kSeeds; ++seed) {
        const History longer = make_history(seed, 8, 18);
        const Verdict verdict =
            testing::is_linearizable_by_brute_force(longer) ? Verdict::kHolds : Verdict::kViolated;
        internal::Problem problem = problem_of(longer);
        ASSERT_EQ(internal::Search(problem, 1'000'000).run(), verdict) << "seed " << seed << "\n"
                                                                       << text_of(longer);
        ASSERT_EQ(check_linearizability(longer).verdict(), verdict) << "seed " << seed << "\n"
                                                                    << text_of(longer);
    }
}

// What the other checkers call a violation is one by the definition as well: none raises an alarm
// over a history that is linearizable.
TEST_P(AgainstTheDefinition, NoCheckerRaisesAFalseAlarm) {
    constexpr std::uint64_t kSeeds = 10'000;
    for (std::uint64_t seed = first_seed(); seed < first_seed() + kSeeds; ++seed) {
        History history = small_history(seed);
        if (!testing::is_linearizable_by_brute_force(history)) {
            continue;
        }
        Random random(seed);
        for (Operation& operation : history) {
            if (operation.kind == OperationKind::kRead && random.chance(1, 3)) {
                operation.consistency = static_cast<Consistency>(random.below(4));
            }
        }

        const Verification verification = verify(history, {.staleness_max = Duration(0)});

        ASSERT_EQ(verification.verdict(), Verdict::kHolds) << "seed " << seed << "\n"
                                                           << text_of(history);
    }
}

// An explanation is a history of its own, and impossible by itself: whatever else the clients did.
TEST_P(AgainstTheDefinition, ExplanationsAreViolationsThemselves) {
    constexpr std::uint64_t kSeeds = 5000;
    for (std::uint64_t seed = first_seed(); seed < first_seed() + kSeeds; ++seed) {
        const History history = small_history(seed);
        const CheckReport report = check_linearizability(history);
        if (report.violations.empty()) {
            continue;
        }
        const Violation& violation = report.violations.front();
        ASSERT_TRUE(violation.culprit.has_value());
        ASSERT_TRUE(std::ranges::count(violation.window, *violation.culprit) == 1);
        const MonotonicTime end = history[*violation.culprit].returned;
        History window;
        for (const std::size_t place : violation.window) {
            window.push_back(history[place]);
            // Later answers are no part of the explanation.
            if (effect_deadline(history[place]) > end) {
                window.back().outcome = Outcome::kUnknown;
            }
        }
        ASSERT_FALSE(testing::is_linearizable_by_brute_force(window)) << "seed " << seed << "\n"
                                                                      << text_of(window) << "of\n"
                                                                      << text_of(history);
    }
}

INSTANTIATE_TEST_SUITE_P(Linearizability,
                         AgainstTheDefinition,
                         ::testing::Range<std::size_t>(0, mixes().size()),
                         [](const ::testing::TestParamInfo<std::size_t>& mix) {
                             return std::string(mixes()[mix.param].name);
                         });

GenerateOptions large(std::vector<OperationKind> kinds, std::uint64_t values) {
    return {.operations = 100'000,
            .clients = 50,
            .keys = 100,
            .kinds = std::move(kinds),
            .values = values,
            .unknown_percent = 10,
            .failed_percent = 2,
            .tells_more = true,
            .has_final_reads = true};
}

// Gives a read in the middle a value that was overwritten long before it was called.
std::size_t make_stale(History& history) {
    for (std::size_t i = history.size() / 2;; ++i) {
        Operation& read = history[i];
        if (read.kind != OperationKind::kRead || read.outcome != Outcome::kOk) {
            continue;
        }
        for (const Operation& write : history) {
            if (write.key == read.key && write.kind == OperationKind::kWrite &&
                write.outcome == Outcome::kOk && write.argument != *read.observed) {
                read.observed = write.argument;
                return i;
            }
        }
    }
}

TEST(LargeHistory, OfWritesAndReadsIsDecided) {
    using enum OperationKind;
    Random random(first_seed());
    History history = generate(large({kRead, kRead, kWrite}, 0), random);
    EXPECT_EQ(verify(history).verdict(), Verdict::kHolds);

    const std::size_t stale = make_stale(history);

    const CheckReport report = check_linearizability(history);
    ASSERT_EQ(report.violation_count, 1);
    EXPECT_EQ(report.violations.front().culprit, stale);
    EXPECT_LE(report.violations.front().window.size(), 4);
}

TEST(LargeHistory, OfEveryOperationIsDecided) {
    using enum OperationKind;
    Random random(first_seed());
    History history =
        generate(large({kRead, kRead, kRead, kWrite, kWrite, kDelete, kCompareAndSet}, 0), random);
    EXPECT_EQ(verify(history).verdict(), Verdict::kHolds);

    const std::size_t stale = make_stale(history);

    const CheckReport report = check_linearizability(history);
    ASSERT_EQ(report.violation_count, 1);
    EXPECT_EQ(report.violations.front().key, history[stale].key);
    EXPECT_LE(report.violations.front().window.size(), 12);
}

TEST(LargeHistory, OfCountersIsDecided) {
    using enum OperationKind;
    Random random(first_seed());
    History history = generate(large({kRead, kIncrement, kIncrement}, 0), random);
    EXPECT_EQ(verify(history).verdict(), Verdict::kHolds);
}

// A hot counter: 50 clients at a time, a tenth of the increments without an answer.
TEST(LargeHistory, OfOneCounterIsDecided) {
    using enum OperationKind;
    Random random(first_seed());
    GenerateOptions options = large({kRead, kIncrement}, 0);
    options.operations = 5000;
    options.keys = 1;
    EXPECT_EQ(check_linearizability(generate(options, random)).verdict(), Verdict::kHolds);
}

TEST(LargeHistory, OfOneKeyIsDecided) {
    using enum OperationKind;
    Random random(first_seed());
    GenerateOptions options = large({kRead, kRead, kWrite}, 0);
    options.keys = 1;
    History history = generate(options, random);
    EXPECT_EQ(check_linearizability(history).verdict(), Verdict::kHolds);

    const std::size_t stale = make_stale(history);

    const CheckReport report = check_linearizability(history);
    ASSERT_EQ(report.violation_count, 1);
    EXPECT_EQ(report.violations.front().culprit, stale);
}

}  // namespace
}  // namespace kvstore::history
