// Power cuts and kills at every change of the disk: what recovery shows is what was appended, in
// order, and at least what was acknowledged.
#include <cstdlib>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "base/planted_bug.h"
#include "storage/wal/testing/wal_fixture.h"

namespace kvstore::storage {
namespace {

using testing::LogDriver;
using testing::LogModel;
using testing::WalFixture;

// KVSTORE_SEED moves every scenario to seeds of its own, to look further than the gate does.
std::uint64_t seed_base() {
    const char* text = std::getenv("KVSTORE_SEED");
    return text == nullptr ? 0 : std::strtoull(text, nullptr, 10) * 100;
}

struct Scenario {
    std::uint64_t seed = 1;
    Durability durability = Durability::kAlways;
    sim::CrashKind crash = sim::CrashKind::kPowerLoss;
    int turn_count = 60;
    // Changes of the disk between two of the crashes that are tried.
    std::uint64_t stride = 1;
    // After the first crash another one, at so many changes into recovery.
    bool crashes_in_recovery = false;
    bool fails_writes = false;
};

// Appends at random for some turns, with pauses of chance in between.
async::Task<bool> work(env::Env* env, LogDriver* driver, std::uint64_t seed, int turn_count) {
    Random random(seed);
    for (int turn = 0; turn < turn_count; ++turn) {
        const std::uint64_t step_count = 1 + random.below(4);
        for (std::uint64_t i = 0; i < step_count; ++i) {
            if (!driver->random_step(3).ok()) {
                co_return false;
            }
        }
        const std::uint64_t dice = random.below(10);
        const Duration pause = std::chrono::microseconds(dice < 9 ? random.below(3000) : 250'000);
        co_await env->clock.sleep(pause);
    }
    co_return true;
}

// What went wrong with one crash; empty when nothing did.
class CrashRun {
public:
    CrashRun(const Scenario& scenario, std::uint64_t cut)
        : scenario_(scenario), cut_(cut), log_(scenario.seed * 1000 + cut) {
        log_.options.durability = scenario.durability;
        log_.options.recycled_segments_max = 2;
        log_.options.sync_interval = kSyncInterval;
    }

    // Sets `*was_late` when the work ended before the crash.
    std::string run(bool* was_late) {
        if (const Status opened = log_.open(); !opened.ok()) {
            return "first open: " + opened.to_string();
        }
        if (scenario_.fails_writes) {
            log_.host.disk_faults().on(sim::DiskCall::kWrite).nth = cut_;
        } else {
            arm_crash(cut_);
        }
        const auto worked = log_.world.try_block_on(
            log_.host,
            work(&log_.host.env(), log_.driver.get(), scenario_.seed, scenario_.turn_count));
        *was_late = worked.value_or(false);
        const MonotonicTime ended = log_.world.now();
        log_.host.disk_faults() = sim::DiskFaults();
        crash();
        // What was acknowledged in the last interval may be lost with the power.
        const bool may_lose = scenario_.durability == Durability::kInterval &&
                              scenario_.crash == sim::CrashKind::kPowerLoss;
        count_min_ = may_lose ? log_.driver->acknowledged_count(ended - kSyncInterval * 2)
                              : log_.driver->acknowledged_count();
        std::string problem = reopen();
        // What recovery showed must stay, whatever comes next.
        if (problem.empty()) {
            problem = go_on();
        }
        return problem;
    }

private:
    static constexpr Duration kSyncInterval = std::chrono::milliseconds(20);

    // Ends the process at its n-th change of the disk from now on, or after n short whiles.
    void arm_crash(std::uint64_t n) {
        if (scenario_.crash == sim::CrashKind::kPowerLoss) {
            log_.host.crash_at_change(n);
            return;
        }
        log_.world.after(std::chrono::microseconds(97) * n, [this, life = log_.host.life()] {
            if (log_.host.is_up() && log_.host.life() == life) {
                log_.world.crash(log_.host, sim::CrashKind::kKill);
            }
        });
    }
    void crash() {
        log_.host.crash_at_change(0);
        log_.crash(scenario_.crash);
    }

    std::string reopen() {
        before_ = std::move(log_.driver);
        if (scenario_.crashes_in_recovery) {
            arm_crash(1 + cut_ % 7);
            const Status opened = log_.open();
            if (!opened.ok() && opened.code() != Code::kUnavailable) {
                return "open that is cut short: " + opened.to_string();
            }
            const bool shown = opened.ok();
            const LogModel seen = log_.recovered;
            if (shown && !before_->allows(seen, count_min_)) {
                return "shown: " + to_string(seen);
            }
            crash();
        }
        if (const Status opened = log_.open(); !opened.ok()) {
            return "open: " + opened.to_string();
        }
        if (!before_->allows(log_.recovered, count_min_)) {
            return "recovered: " + to_string(log_.recovered) +
                   "\nexpected:  " + to_string(before_->model()) + "\nacknowledged " +
                   std::to_string(before_->acknowledged_count()) + " of " +
                   std::to_string(before_->step_count());
        }
        return {};
    }

    std::string go_on() {
        const LogModel first = log_.recovered;
        log_.driver->released = before_->released;
        for (std::uint64_t group = 1; group <= 3; ++group) {
            if (!log_.driver->append_next(GroupId(group), "more").ok()) {
                return "append after recovery";
            }
        }
        log_.settle();
        if (log_.driver->acknowledged_count() != 3) {
            return "appends after recovery are not acknowledged";
        }
        const auto kept = std::move(log_.driver);
        log_.crash(sim::CrashKind::kKill);
        if (const Status opened = log_.open(); !opened.ok()) {
            return "third open: " + opened.to_string();
        }
        if (!kept->allows(log_.recovered, kept->acknowledged_count())) {
            return "later recovered: " + to_string(log_.recovered) +
                   "\nexpected:  " + to_string(kept->model());
        }
        return {};
    }

    Scenario scenario_;
    std::uint64_t cut_;
    WalFixture log_;
    std::unique_ptr<LogDriver> before_;
    std::size_t count_min_ = 0;
};

// Crashes at each change in turn. The first problem, or nothing.
std::optional<std::string> find_problem(Scenario scenario) {
    scenario.seed += seed_base();
    for (std::uint64_t cut = 1;; cut += scenario.stride) {
        bool was_late = false;
        CrashRun run(scenario, cut);
        const std::string problem = run.run(&was_late);
        if (!problem.empty()) {
            return "seed " + std::to_string(scenario.seed) + ", crash at change " +
                   std::to_string(cut) + ": " + problem;
        }
        if (was_late) {
            return std::nullopt;
        }
    }
}

void expect_no_problem(const Scenario& scenario) {
    const auto problem = find_problem(scenario);
    EXPECT_FALSE(problem.has_value()) << *problem;
}

TEST(WalCrash, APowerCutAtAnyChangeLosesNothingAcknowledged) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        expect_no_problem({.seed = seed});
    }
}

TEST(WalCrash, ASecondPowerCutDuringRecoveryLosesNothingEither) {
    for (std::uint64_t seed = 11; seed <= 13; ++seed) {
        expect_no_problem({.seed = seed, .stride = 2, .crashes_in_recovery = true});
    }
}

TEST(WalCrash, AKillAtAnyChangeLosesNothingAcknowledged) {
    expect_no_problem({.seed = 21, .crash = sim::CrashKind::kKill, .stride = 60});
}

TEST(WalCrash, AKillLosesNothingThatTheOperatingSystemHas) {
    for (std::uint64_t seed = 31; seed <= 32; ++seed) {
        expect_no_problem({.seed = seed,
                           .durability = Durability::kInterval,
                           .crash = sim::CrashKind::kKill,
                           .stride = 60});
        expect_no_problem({.seed = seed,
                           .durability = Durability::kInterval,
                           .crash = sim::CrashKind::kKill,
                           .stride = 111,
                           .crashes_in_recovery = true});
    }
}

TEST(WalCrash, AKillDuringTheFirstOpenLeavesNothingThatALaterPowerCutTakesAway) {
    for (int kill_at = 0; kill_at < 40; ++kill_at) {
        WalFixture log(static_cast<std::uint64_t>(kill_at));
        log.world.after(std::chrono::microseconds(100) * kill_at,
                        [&] { log.world.crash(log.host, sim::CrashKind::kKill); });
        static_cast<void>(log.open());
        log.world.run_for(std::chrono::milliseconds(10));
        log.crash(sim::CrashKind::kKill);
        ASSERT_TRUE(log.open().ok());
        ASSERT_TRUE(log.driver->append_next(GroupId(1), "kept").ok());
        log.settle();
        log.crash(sim::CrashKind::kPowerLoss);
        ASSERT_TRUE(log.open().ok());
        ASSERT_EQ(log.recovered.groups[GroupId(1)].last, Index(1)) << kill_at;
    }
}

TEST(WalCrash, APowerCutLosesAtMostAnIntervalOfWhatIsSyncedAtIntervals) {
    for (std::uint64_t seed = 51; seed <= 53; ++seed) {
        expect_no_problem({.seed = seed, .durability = Durability::kInterval});
        expect_no_problem({.seed = seed,
                           .durability = Durability::kInterval,
                           .stride = 3,
                           .crashes_in_recovery = true});
    }
}

TEST(WalCrash, AFailedWriteLosesNothingAcknowledgedBeforeIt) {
    for (std::uint64_t seed = 41; seed <= 42; ++seed) {
        expect_no_problem({.seed = seed, .stride = 2, .fails_writes = true});
    }
}

#ifdef KVSTORE_PLANTED_BUGS
void expect_found(PlantedBug bug, Scenario scenario) {
    const ScopedPlantedBug planted(bug);
    for (std::uint64_t tries = 0; tries < 20; ++tries, ++scenario.seed) {
        if (find_problem(scenario).has_value()) {
            return;
        }
    }
    ADD_FAILURE() << planted_bug_name(bug) << " is not found";
}

TEST(WalCrash, FindsASkippedSync) {
    expect_found(PlantedBug::kWalSkipSync, {.seed = 1});
}
TEST(WalCrash, FindsAnEarlyAcknowledgement) {
    expect_found(PlantedBug::kWalAcknowledgeEarly, {.seed = 1});
}
TEST(WalCrash, FindsStaleRecordsThatCount) {
    expect_found(PlantedBug::kWalAcceptStaleRecords, {.seed = 1});
}
TEST(WalCrash, FindsASkippedDirectorySync) {
    expect_found(PlantedBug::kWalSkipDirectorySync, {.seed = 1});
}
TEST(WalCrash, FindsARetryAfterAFailedWrite) {
    expect_found(PlantedBug::kWalRetryAfterFailure, {.seed = 41, .fails_writes = true});
}
TEST(WalCrash, FindsASegmentRecycledTooEarly) {
    expect_found(PlantedBug::kWalReleaseTooMuch, {.seed = 1});
}
#endif

}  // namespace
}  // namespace kvstore::storage
