// The words of the protocol: entries, states, configurations, limits. Plain values.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"

namespace kvstore::raft {

// No member: nobody voted for, no leader known.
inline constexpr NodeId kNoNode{};

// Requires: index > 0.
[[nodiscard]] constexpr Index previous(Index index) noexcept {
    return Index(index.value() - 1);
}

// How many indexes lie in [from, to); none when `to` is not above `from`.
[[nodiscard]] constexpr std::uint64_t count_between(Index from, Index to) noexcept {
    return to > from ? to.value() - from.value() : 0;
}

// Immutable bytes that log, write-ahead log, transport and apply loop share without
// copying. A payload may be a window into a larger buffer, such as a received frame.
class Payload {
public:
    Payload() noexcept = default;
    Payload(std::shared_ptr<const void> owner, ByteView bytes) noexcept
        : owner_(std::move(owner)), bytes_(bytes) {}

    [[nodiscard]] static Payload copy_of(ByteView bytes);

    [[nodiscard]] ByteView view() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

    friend bool operator==(const Payload& a, const Payload& b) noexcept {
        return a.bytes_ == b.bytes_;
    }

private:
    std::shared_ptr<const void> owner_;
    ByteView bytes_;
};

enum class EntryKind : std::uint8_t {
    kCommand,     // an empty payload is the no-op that opens a term
    kConfChange,  // an encoded ConfChange (conf_change.h)
};

struct Entry {
    Term term;
    Index index;
    EntryKind kind = EntryKind::kCommand;
    Payload data;

    friend bool operator==(const Entry&, const Entry&) = default;
};

// What an entry counts towards every limit in bytes. The fixed part stands for term,
// index and framing, so that a flood of empty entries is bounded too.
[[nodiscard]] std::size_t entry_bytes(const Entry& entry) noexcept;
using EntryBytes = std::size_t (*)(const Entry&) noexcept;

// What a member must find again after a crash, beside its log (thesis figure 3.1).
struct HardState {
    Term term;
    NodeId vote;
    // Optional by the thesis; kept so that a restart need not wait for a leader to
    // learn what it may apply.
    Index commit;

    friend bool operator==(const HardState&, const HardState&) = default;
};

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

struct SoftState {
    NodeId leader;
    Role role = Role::kFollower;

    friend bool operator==(const SoftState&, const SoftState&) = default;
};

// A group's configuration as it is stored. Lists are sorted and hold each id once.
struct ConfState {
    std::vector<NodeId> voters;
    // The old majority's voters while a joint configuration is in force.
    std::vector<NodeId> voters_outgoing;
    std::vector<NodeId> learners;
    // Outgoing voters that become learners when the joint configuration is left: they
    // cannot be both at once.
    std::vector<NodeId> learners_next;
    bool auto_leave = false;

    friend bool operator==(const ConfState&, const ConfState&) = default;
};

enum class ConfOperation : std::uint8_t { kAddVoter, kAddLearner, kRemove };

struct ConfStep {
    ConfOperation operation = ConfOperation::kAddVoter;
    NodeId node;

    friend bool operator==(const ConfStep&, const ConfStep&) = default;
};

// How the group passes from the old to the new configuration (thesis 4.1, 4.3).
enum class Transition : std::uint8_t {
    kAutomatic,      // one step directly, several through a joint configuration left by itself
    kJoint,          // always joint, left by itself
    kJointExplicit,  // always joint, left when an empty change is proposed
};

// A change of membership. Without steps it leaves the joint configuration.
struct ConfChange {
    std::vector<ConfStep> steps;
    Transition transition = Transition::kAutomatic;
    // For the layer above, such as the address of a new member. Not read here.
    Payload context;

    friend bool operator==(const ConfChange&, const ConfChange&) = default;
};

// A state machine's image as the core knows it. The bytes stream beside the core.
struct SnapshotMeta {
    Index index;
    Term term;
    ConfState conf;
    // Tells the driver which image this is. Not read here.
    std::uint64_t handle = 0;

    friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};
using SnapshotRef = std::shared_ptr<const SnapshotMeta>;

// Names one read. Minted by the core alone and never twice, because a reused name let
// an old confirmation answer a new read in an elder engine (etcd issue 20418).
struct ReadToken {
    Term term;
    // Carries Config::incarnation above a count, so that a member that restarts
    // within a term cannot take an answer to a question of its former life.
    std::uint64_t sequence = 0;

    friend auto operator<=>(const ReadToken&, const ReadToken&) = default;
};

enum class ReadMode : std::uint8_t {
    kQuorum,  // each read is confirmed by a majority (thesis 6.4)
    kLease,   // a majority's promise not to elect saves the round (thesis 6.4.1)
};

enum class ApplyMode : std::uint8_t {
    // An entry is handed over for applying once it is known to be durable here.
    kAfterPersist,
    // It may come in the Ready that persists it; the driver applies after persisting.
    kWithPersist,
};

struct Config {
    GroupId group;
    NodeId id;
    std::uint32_t election_ticks = 10;
    std::uint32_t heartbeat_ticks = 1;
    // Of the randomized election timeout. Differs between members, or they keep
    // splitting votes.
    std::uint64_t seed = 0;
    // Grows with every start of this member; see ReadToken.
    std::uint64_t incarnation = 0;

    std::size_t append_bytes_max = 1U << 20U;
    std::size_t inflight_bytes_max = 8U << 20U;
    std::size_t uncommitted_bytes_max = 64U << 20U;
    std::size_t apply_bytes_max = 4U << 20U;
    std::uint32_t inflight_messages_max = 256;
    EntryBytes entry_bytes = raft::entry_bytes;

    // Appends leave with the next Ready instead of with each proposal: one message a peer
    // for everything that arrived in a turn of the driver's loop.
    bool coalesce_appends = true;
    bool pre_vote = true;
    bool check_quorum = true;
    // Whether a leader that its own change removed steps down once that has committed
    // (thesis 4.2.2). Off, it leads on until others elect.
    bool step_down_on_removal = true;
    // Whether vote messages carry the commit index, so that members learn from one
    // another what is committed even while nobody can lead (see spread_commit()).
    bool commit_in_votes = true;
    ReadMode reads = ReadMode::kQuorum;
    // Taken off a lease, in ticks, for clocks that run apart.
    std::uint32_t lease_margin_ticks = 1;
    ApplyMode apply = ApplyMode::kAfterPersist;
    // Ticks without work after which a leader lets its group sleep; 0 is never.
    std::uint32_t hibernate_after_ticks = 0;
};

}  // namespace kvstore::raft
