// What members say to one another, and what a member asks of its driver.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "raft/types.h"

namespace kvstore::raft {

enum class MessageKind : std::uint8_t {
    kPreVote,
    kPreVoteReply,
    kVote,
    kVoteReply,
    kAppend,
    kAppendReply,
    kHeartbeat,
    kHeartbeatReply,
    kSnapshot,
    kTimeoutNow,
    kReadIndex,
    kReadIndexReply,
    kWakeUp,
};

[[nodiscard]] std::string_view message_kind_name(MessageKind kind) noexcept;

// One message. Which fields speak depends on the kind:
//
//   vote, pre-vote          log_term/index: the candidate's last entry; transfer;
//                           commit/commit_term, also in a refusal
//   append                  log_term/index: the entry before `entries`; commit
//   append reply            index acknowledged; or reject: index refused,
//                           hint_index/hint_term where the logs may agree
//   heartbeat and reply     commit; read_round; hibernate
//   snapshot                snapshot
//   read index and reply    read; index from which the read may be served
struct Message {
    MessageKind kind = MessageKind::kWakeUp;
    GroupId group;
    NodeId from;
    NodeId to;
    Term term;
    Term log_term;
    Index index;
    Index commit;
    Term commit_term;
    bool reject = false;
    // The election was asked for by the leader: leases do not stand in its way.
    bool transfer = false;
    bool hibernate = false;
    Index hint_index;
    Term hint_term;
    std::uint64_t read_round = 0;
    ReadToken read;
    std::vector<Entry> entries;
    SnapshotRef snapshot;
};

// What this member will tell itself when on_persisted() comes: its own vote, or its own
// copy of an entry. For traces only; nobody delivers it.
struct SelfAnswer {
    MessageKind kind = MessageKind::kAppendReply;
    Term term;
    Index index;

    friend bool operator==(const SelfAnswer&, const SelfAnswer&) = default;
};

struct ReadyRead {
    ReadToken token;
    // The read may be served once this index is applied.
    Index at;

    friend bool operator==(const ReadyRead&, const ReadyRead&) = default;
};

// What the driver owes the world after a step.
//
// `hard`, `install` and `append` are to be made durable together and in the order of
// `seq`; then on_persisted(seq) is called. `send_now` may leave before that,
// `send_after_persist` must not: a vote or an acknowledgement that a crash can take
// back breaks election safety and leader completeness (thesis 3.8).
struct Ready {
    std::uint64_t seq = 0;
    std::optional<SoftState> soft;
    std::optional<HardState> hard;
    // Whether what is to be persisted needs an fsync, or may ride with a later one.
    bool must_sync = false;
    // Everything from append[0].index on is replaced.
    std::vector<Entry> append;
    // Replaces the whole log and the state machine; comes without `append`.
    SnapshotRef install;
    std::vector<Message> send_now;
    std::vector<Message> send_after_persist;
    // To apply in order; then on_applied() is called. Never beyond what is durable
    // here, or is durable once this Ready is (Config::apply).
    std::vector<Entry> committed;
    std::vector<ReadyRead> reads;
    std::vector<SelfAnswer> self_answers;

    [[nodiscard]] bool needs_persist() const noexcept {
        return hard.has_value() || !append.empty() || install != nullptr ||
               !send_after_persist.empty() || !self_answers.empty();
    }
};

// Where a proposal stands in the log. It is the proposer's only as long as `term` lasts.
struct Proposed {
    Term term;
    Index first;
};

enum class SnapshotOutcome : bool { kFailed, kArrived };

}  // namespace kvstore::raft
