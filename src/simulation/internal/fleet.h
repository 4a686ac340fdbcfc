// The nodes of a simulated cluster: machines, and the lives of the servers on them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/random.h"
#include "base/status.h"
#include "base/time.h"
#include "server/config.h"
#include "server/node.h"
#include "sim/world.h"

namespace kvstore::simulation::internal {

// A machine, and whoever runs on it.
struct Member {
    enum class State : std::uint8_t { kDown, kStarting, kUp, kStopping };

    std::string name;
    sim::Host* host = nullptr;
    server::Config config;
    State state = State::kDown;
    server::Node* node = nullptr;  // while up
    std::uint64_t life = 0;        // of the host, in which `state` holds
    std::uint32_t holds = 0;       // faults that keep it down
    bool is_member = true;         // false until it is let join
    std::uint64_t pause_life = 0;  // the life in which it is paused; 0: it is not
    // Its disk may have lost what it promised: by a flipped bit, or all of it.
    bool is_damaged = false;
    // Operators asked it to give everything away, or to lead nothing, at some time; whether that is
    // to be taken back; and under which number it was removed last.
    bool was_sent_away = false;
    bool is_wanted_back = false;
    NodeId dismissed;
    bool has_new_disk = false;            // wiped, and not up again since
    bool disk_misbehaves = false;         // starting may fail
    std::optional<MonotonicTime> mended;  // when it last ceased to; a call of before may fail yet
    std::uint64_t elections = 0;          // won in lives that are over
    std::uint64_t elections_now = 0;

    // Not in the moment between a crash of the machine and look().
    [[nodiscard]] bool is_up() const { return state == State::kUp && host->is_up(); }
    [[nodiscard]] bool is_paused() const { return pause_life != 0; }
    [[nodiscard]] bool is_joiner() const { return !config.join.empty(); }
    // Whether a replica here takes no part any more: it needs a restart.
    [[nodiscard]] bool has_failed_replica() const;
    [[nodiscard]] bool has_failed_log() const;
    // Whether it believes to lead a shard that is not the system's.
    [[nodiscard]] bool leads() const;
};

// Lifetime  Of one run; ends before its world.
// Runs on   Outside all hosts: from events of the world.
class Fleet {
public:
    // `founders` begin the cluster; `joiners` are machines that nobody starts yet.
    Fleet(sim::World& world, Random& random, std::uint32_t founders, std::uint32_t joiners);
    Fleet(const Fleet&) = delete;
    Fleet& operator=(const Fleet&) = delete;

    [[nodiscard]] std::vector<std::unique_ptr<Member>>& members() { return members_; }
    [[nodiscard]] std::size_t size() const { return members_.size(); }
    [[nodiscard]] Member& at(std::size_t number) { return *members_[number]; }

    // Starts it where it is down and nothing holds it down.
    void start(Member& member);
    void crash(Member& member, sim::CrashKind kind);
    // Gracefully; it is down afterwards. Requires: is_up().
    void stop(Member& member);
    void pause(Member& member);
    void resume(Member& member);
    // An empty disk under an old name. Requires: it is down.
    void wipe(Member& member);

    // A new node with an empty disk under the name of one that was removed.
    void begin_anew(Member& member);

    // What the machines did by themselves (a crash at a disk change), and how their replicas are.
    // Called every kLookInterval.
    void look();
    static constexpr Duration kLookInterval = std::chrono::milliseconds(100);
    // So long after a disk was mended a call that had begun before may fail.
    static constexpr Duration kLastCalls = std::chrono::seconds(2);

    // But those who have not joined yet.
    [[nodiscard]] bool all_up() const;
    // Lets one more node join; nothing when all have.
    void grow();
    // What a node promised and did not keep; empty: nothing.
    [[nodiscard]] const std::string& failure() const { return failure_; }
    void fail(std::string what);

    [[nodiscard]] std::uint64_t start_count() const { return start_count_; }
    [[nodiscard]] std::uint64_t refused_start_count() const { return refused_start_count_; }
    [[nodiscard]] std::uint64_t elections() const;

private:
    Member& add_member(const server::Config& common);
    async::Task<void> open(Member* member, std::uint64_t life);
    async::Task<void> close(Member* member, std::uint64_t life);
    void on_start_failed(Member& member, std::uint64_t life, const Status& why);
    void on_down(Member& member);

    sim::World& world_;
    Random& random_;
    std::vector<std::unique_ptr<Member>> members_;
    std::string failure_;
    std::uint64_t start_count_ = 0;
    std::uint64_t refused_start_count_ = 0;
};

}  // namespace kvstore::simulation::internal
