// A host of shards over a simulated disk, and writes that are short to say.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include <gtest/gtest.h>

#include "replication/host.h"
#include "replication/testing/told.h"
#include "sim/world.h"

namespace kvstore::replication::testing {

class HostFixture : public ::testing::Test {
protected:
    HostFixture();
    ~HostFixture() override;

    // ---- the process ----
    Status open();
    void must_open();
    Status stop();
    // Ends the process and begins another, in which nothing is open yet.
    void crash(sim::CrashKind kind = sim::CrashKind::kPowerLoss);
    // Runs `work` in a turn of the host.
    template <typename Work>
    void on_core(Work work);
    template <typename T>
    T run(async::Task<T> task) {
        return world_.block_on(machine_, std::move(task));
    }

    // ---- shards ----
    static ShardDescription describe(std::uint64_t shard, std::uint64_t history_ms = 0);
    Group& create(std::uint64_t shard, std::uint64_t history_ms = 0);
    [[nodiscard]] Group& group(std::uint64_t shard);
    Status drop(std::uint64_t shard) { return run(host_->drop_shard(ShardId(shard))); }

    // ---- writes and reads ----
    // Proposes in a turn of the host, and does not wait.
    Told& propose(std::uint64_t shard, const mvcc::Operation& operation);
    // Waits for the outcome, ten seconds at most.
    void wait(Told& told);
    Told& put(std::uint64_t shard, ByteView key, ByteView value);
    Told& increment(std::uint64_t shard, ByteView key);
    std::optional<Bytes> value(std::uint64_t shard, ByteView key);
    // Every table of every shard against the others.
    Status verify();

    sim::World world_{1};
    sim::Host& machine_ = world_.add_host("n1");
    HostSettings options_;
    std::unique_ptr<Host> host_;
    std::deque<Told> told_;  // outlives every group

private:
    static async::Task<bool> call(Callback<void()>* work) {
        (*work)();
        co_return true;
    }
};

template <typename Work>
void HostFixture::on_core(Work work) {
    Callback<void()> callback = [&work] {
        work();
    };
    world_.block_on(machine_, call(&callback));
}

}  // namespace kvstore::replication::testing
