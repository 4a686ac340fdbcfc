// A whole group in one thread: members, their disks, their state machines and the
// network between them, each step chosen by the caller. Every step is checked against
// the members' own invariants and against what only a view over all can tell:
//
//   election safety         one leader a term
//   state machine safety    one history: an index has one committed entry, for all
//   leader completeness     a leader holds all that was committed in earlier terms
//   linearizable reads      a read sees all that was acknowledged before it was asked
//
// Disks write in order and tell late; a crash loses what was not written, or writes part
// of it without telling. The first broken rule is kept in failure().
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/invariants.h"
#include "raft/node.h"
#include "raft/testing/memory_log.h"

namespace kvstore::raft::testing {

// A state machine that remembers its whole past as one number.
struct Image {
    Index index;
    Term term;
    std::uint64_t digest = 0;
    ConfState conf;
};

struct Replica {
    Config config;
    MemoryLog log;
    HardState hard;
    Image checkpoint;  // what its state machine finds after a crash
    std::optional<Node> node;

    // Of this life.
    Image machine;
    std::deque<Ready> writes;       // handed to the disk, not durable
    std::uint64_t durable_seq = 0;  // durable, perhaps not told yet
    std::uint64_t told_seq = 0;
    std::deque<std::vector<Entry>> applies;
    std::map<ReadToken, Index> reads;  // asked, with what was acknowledged by then
    std::uint64_t lives = 0;
    Index installed;  // by a snapshot, in this life
};

class Cluster {
public:
    // Members 1 to `voters`, whose logs begin behind a snapshot at index 1: so whoever
    // joins later is sent one, and learns the configuration from it.
    Cluster(std::size_t voters, const Config& config);
    ~Cluster();
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;
    Cluster(Cluster&&) = delete;
    Cluster& operator=(Cluster&&) = delete;

    // The same group once more, in exactly this state.
    [[nodiscard]] std::unique_ptr<Cluster> clone() const;
    // Equal states have equal hashes. Does not look at time.
    [[nodiscard]] std::uint64_t state_hash() const;

    // An empty member that some change of membership may add. Knows nobody.
    void add_blank(NodeId id);

    [[nodiscard]] Replica& replica(NodeId id) { return replicas_.at(id); }
    [[nodiscard]] bool is_up(NodeId id) { return replica(id).node.has_value(); }
    // Requires: the member is up.
    [[nodiscard]] Node& node(NodeId id) { return *replica(id).node; }
    [[nodiscard]] Node& node(std::uint64_t id) { return node(NodeId(id)); }
    [[nodiscard]] std::vector<NodeId> ids() const;

    // ---- single steps ----
    void tick(NodeId id);
    void campaign(NodeId id);
    [[nodiscard]] Result<Proposed> propose(NodeId id, ByteView command);
    [[nodiscard]] Result<Proposed> propose_batch(NodeId id, std::size_t count, ByteView command);
    [[nodiscard]] Result<Proposed> change(NodeId id, const ConfChange& change);
    [[nodiscard]] Result<ReadToken> read(NodeId id);
    [[nodiscard]] Status transfer(NodeId id, NodeId heir);
    [[nodiscard]] Status forget_leader(NodeId id);
    void unreachable(NodeId id, NodeId peer);
    void wake(NodeId id);
    // What a host does for its leaders: tells what became of snapshots.
    void report_snapshots(NodeId id);
    // For people: each member in a line.
    [[nodiscard]] std::string describe();

    // Takes the member's Ready, if it has one, and puts its parts under way.
    bool take_ready(NodeId id);
    // The oldest write of the member becomes durable. False when there is none.
    bool write_one(NodeId id);
    // The member hears of all that is durable.
    bool tell_persisted(NodeId id);
    bool apply_one(NodeId id);

    // Saves the state machine; then the log may be cut up to there.
    void save_checkpoint(NodeId id);
    void compact(NodeId id);

    // Loses everything in memory. Writes that were under way: the first `written` of
    // them happened.
    void crash(NodeId id, std::size_t written = 0);
    void restart(NodeId id);

    // ---- network ----
    [[nodiscard]] std::vector<Message>& messages() { return messages_; }
    // Takes one message out and hands it to its receiver, if that can be reached.
    void deliver(std::size_t position);
    void drop(std::size_t position);
    void cut(NodeId a, NodeId b);  // both ways
    void cut_one_way(NodeId from, NodeId to) { cuts_.insert({from, to}); }
    void isolate(NodeId id);
    void heal() { cuts_.clear(); }
    // Everybody's appends but this member's arrive.
    void mute(NodeId id) { muted_ = id; }
    [[nodiscard]] bool is_cut(NodeId from, NodeId to) const { return cuts_.contains({from, to}); }

    // ---- longer walks ----
    // Delivers, writes and applies in order until nothing is left to do.
    void settle();
    // Ticks everybody and settles, `ticks` times.
    void run(std::size_t ticks);
    // Elects by campaigning, and settles.
    void elect(NodeId id);
    // The leader of the highest term, if there is one.
    [[nodiscard]] NodeId leader();

    [[nodiscard]] const std::string& failure() const { return failure_; }
    void fail(const std::string& what);
    [[nodiscard]] std::uint64_t steps() const { return steps_; }
    [[nodiscard]] Index acknowledged() const { return acknowledged_; }
    [[nodiscard]] std::uint64_t reads_served() const { return reads_served_; }
    [[nodiscard]] std::uint64_t leaders_seen() const { return leaders_.size(); }
    [[nodiscard]] const std::map<Index, Image>& history() const { return history_; }
    // What was applied at each index.
    [[nodiscard]] const std::map<Index, Payload>& commands() const { return commands_; }
    // A quarantined member is a failure unless this is set.
    void allow_quarantine() { quarantine_allowed_ = true; }
    // Entries that were acknowledged to clients but are in nobody's history: none.
    void check_converged();

private:
    struct Committed {
        Term entry_term;
        Term seen_in;  // the lowest term of a member that knew it to be committed
    };

    template <typename Action>
    auto act(NodeId id, Action&& action);
    void check(NodeId id, const Observation& before);
    void check_commit(NodeId id, const Observation& before, const Node& node);
    void check_leader(NodeId id, const Node& node);
    void start(Replica& replica);
    void serve_reads(Replica& replica);
    void apply_entry(NodeId id, Replica& replica, const Entry& entry);
    void write_ready(Replica& replica, Ready& ready);

    Config config_;
    std::map<NodeId, Replica> replicas_;
    std::vector<Message> messages_;
    std::set<std::pair<NodeId, NodeId>> cuts_;
    NodeId muted_;

    std::map<Term, NodeId> leaders_;
    std::map<Index, Committed> committed_;
    std::map<Index, Image> history_;  // the state after each index
    std::map<Index, Payload> commands_;
    std::map<Index, Term> proposed_;  // awaiting their acknowledgement
    std::map<NodeId, std::map<ReadToken, Index>> ready_reads_;
    Index acknowledged_;
    std::uint64_t reads_served_ = 0;
    std::uint64_t steps_ = 0;
    bool quarantine_allowed_ = false;
    std::string failure_;
};

}  // namespace kvstore::raft::testing
