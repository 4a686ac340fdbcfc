// A world with one host and a write-ahead log on it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "base/log.h"
#include "sim/world.h"
#include "storage/wal/testing/log_driver.h"
#include "storage/wal/wal.h"

namespace kvstore::storage::testing {

class WalFixture {
public:
    explicit WalFixture(std::uint64_t seed = 1, sim::WorldOptions world_options = {})
        : world(seed, world_options), host(world.add_host("n1")) {
        options.segment_bytes = 64U << 10U;
        options.disk_reserve_bytes = 0;
        // Crashes and failures by the hundred would each be logged.
        set_log_level(LogLevel::kOff);
    }
    ~WalFixture() {
        set_log_level(log_level_before_);
        if (wal != nullptr && host.is_up()) {
            static_cast<void>(stop());
        } else if (wal != nullptr) {
            sim::bury(std::move(wal));
        }
    }
    WalFixture(const WalFixture&) = delete;
    WalFixture& operator=(const WalFixture&) = delete;

    // Opens the log; `recovered` is then what it showed.
    Status open() {
        recovered = LogModel();
        auto opened = world.try_block_on(
            host, Wal::open(&host.env(), std::string(kDirectory), options, &recovered));
        if (!opened) {
            return {Code::kUnavailable, "the host went down"};
        }
        if (!opened->ok()) {
            return opened->status();
        }
        wal = std::move(*opened).value();
        drive(recovered);
        return {};
    }
    // A driver that goes on from `begin`.
    void drive(const LogModel& begin) {
        if (driver != nullptr) {
            sim::bury(std::move(driver));
        }
        driver =
            std::make_unique<LogDriver>(wal.get(), &host.env().clock, begin, world.random().next());
    }

    Status stop() {
        auto stopped = world.try_block_on(host, wal->stop());
        if (!stopped) {
            sim::bury(std::move(wal));
            return {Code::kUnavailable, "the host went down"};
        }
        wal.reset();
        return *stopped;
    }

    // Ends the process (if it has not ended) and begins another.
    void crash(sim::CrashKind kind = sim::CrashKind::kPowerLoss) {
        if (host.is_up()) {
            world.crash(host, kind);
        }
        if (wal != nullptr) {
            sim::bury(std::move(wal));
        }
        world.restart(host);
    }

    // Runs the world until everything appended was written.
    void settle() { world.run_for(std::chrono::milliseconds(20)); }

    Result<WalReport> verify() {
        return world.block_on(host, verify_wal(&host.env(), std::string(kDirectory)));
    }

    [[nodiscard]] static std::string path(std::string_view name) {
        return std::string(kDirectory) + "/" + std::string(name);
    }
    [[nodiscard]] std::vector<std::string> files() {
        auto listed = world.block_on(host, host.env().disk.list(std::string(kDirectory)));
        std::vector<std::string> names;
        if (listed.ok()) {
            for (const auto& entry : *listed) {
                names.push_back(entry.name);
            }
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    static constexpr std::string_view kDirectory = "core-0/wal";

    sim::World world;
    sim::Host& host;
    WalOptions options;
    LogModel recovered;
    std::unique_ptr<Wal> wal;
    std::unique_ptr<LogDriver> driver;

private:
    LogLevel log_level_before_ = log_level();
};

}  // namespace kvstore::storage::testing
