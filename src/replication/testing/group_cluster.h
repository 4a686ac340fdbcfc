// One Raft group over several simulated machines, each with a log and an engine on its own disk,
// and messages between them that arrive late, out of order or not at all.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "replication/strong/raft_group.h"
#include "replication/testing/told.h"
#include "sim/world.h"

namespace kvstore::replication::testing {

// Lifetime  Ends what is up when it is destroyed.
class GroupCluster {
public:
    explicit GroupCluster(std::uint64_t seed, std::size_t size);
    GroupCluster(const GroupCluster&) = delete;
    GroupCluster& operator=(const GroupCluster&) = delete;
    ~GroupCluster();

    // Members are numbered from 1, as their node ids.
    void start(std::uint64_t member);
    void start_all();
    void stop(std::uint64_t member);
    void crash(std::uint64_t member, sim::CrashKind kind = sim::CrashKind::kPowerLoss);
    [[nodiscard]] bool is_up(std::uint64_t member) const { return at(member).group != nullptr; }
    [[nodiscard]] RaftGroup& group(std::uint64_t member) { return *at(member).group; }
    [[nodiscard]] sim::Host& machine(std::uint64_t member) { return *at(member).machine; }
    [[nodiscard]] sim::World& world() { return world_; }

    // Messages from `from` to `to` are lost.
    void block(std::uint64_t from, std::uint64_t to) { blocked_.emplace(from, to); }
    // Cut off from all others, both ways.
    void isolate(std::uint64_t member);
    void heal() { blocked_.clear(); }
    // Of a million messages.
    void lose(std::uint32_t per_million) { loss_ = per_million; }

    // Waits until one member that is up and not cut off leads. Returns: 0 when none does in time.
    std::uint64_t wait_for_leader(Duration limit = std::chrono::seconds(20));
    [[nodiscard]] std::uint64_t leader() const;

    // Proposes in a turn of the member, and does not wait.
    Told& propose(std::uint64_t member, const mvcc::Operation& operation);
    void wait(Told& told, Duration limit = std::chrono::seconds(20));
    Told& put(std::uint64_t member, ByteView key, ByteView value);
    // Of the replica, however old.
    std::optional<Bytes> local_value(std::uint64_t member, ByteView key);
    // A linearizable read at the member.
    Result<std::optional<Bytes>> read(std::uint64_t member, ByteView key);
    Status read_barrier(std::uint64_t member, Duration patience = std::chrono::seconds(2));
    // Waits until every member that is up has applied the same, and compares their digests.
    ::testing::AssertionResult agree(Duration limit = std::chrono::seconds(20));

    template <typename T>
    T run(std::uint64_t member, async::Task<T> task) {
        return world_.block_on(*at(member).machine, std::move(task));
    }

private:
    class Bus;
    struct Member {
        std::uint64_t id = 0;
        sim::Host* machine = nullptr;
        std::unique_ptr<HybridClock> clock;
        std::unique_ptr<Bus> link;
        std::unique_ptr<storage::Wal> wal;
        std::unique_ptr<GroupShared> shared;
        std::unique_ptr<RaftGroup> group;
        std::shared_ptr<bool> is_ticking;
    };

    Member& at(std::uint64_t member) { return *members_.at(member - 1); }
    [[nodiscard]] const Member& at(std::uint64_t member) const { return *members_.at(member - 1); }
    async::Task<Status> open(Member* member);
    void deliver(const raft::Message& message);
    template <typename Work>
    void on_core(std::uint64_t member, Work work);

    sim::World world_;
    std::vector<std::unique_ptr<Member>> members_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> blocked_;
    std::uint32_t loss_ = 0;
    std::deque<Told> told_;  // outlives every group
};

}  // namespace kvstore::replication::testing
