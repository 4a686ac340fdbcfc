// One member of one Raft group, as a deterministic state machine without a world around
// it. Start reading here; README.md tells how a driver uses it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/status.h"
#include "raft/log_view.h"
#include "raft/messages.h"
#include "raft/node_status.h"
#include "raft/types.h"

namespace kvstore::raft {

struct Core;

// What a member begins with: what its disk holds, or nothing.
struct Recovered {
    HardState hard;
    ConfState conf;
    // The state machine reflects the log up to here, and the configuration too.
    Index applied;
};

// Lifetime   Owned by its driver, from recovery until the member leaves or stops.
// Runs on    The core of its group. Nothing here blocks, waits or asks what time it is:
//            time arrives through tick().
// Never      Fails on input. What the protocol does not allow is dropped and counted;
//            what proves a broken promise, such as a lost log, quarantines this member,
//            after which it says nothing more. Only a driver that breaks a `Requires`
//            stops the process.
//
// Invariants (checked by invariants.h after every step in tests and in the simulator)
//   the term never falls, and within a term the vote is given once
//   commit never falls and never passes the end of the log
//   committed entries never change
//   an entry of an older term is committed only beneath one of this term (thesis 3.6.2)
class Node {
public:
    Node(const Config& config, const LogView& log, const Recovered& recovered);
    ~Node();
    Node(Node&&) noexcept;
    Node& operator=(Node&&) noexcept;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // A second member in exactly this state, over a log of its own. For exploration.
    [[nodiscard]] Node clone(const LogView& log) const;

    // ---- events ----
    void tick();
    void step(Message message);
    // Asks for an election now, by pre-vote where that is on.
    void campaign();

    // Appends commands, all or none. An empty command is allowed.
    // Requires: at least one.
    // Errors, all with Effect::kNone: kNotLeader; kUnavailable: leadership is being
    //         handed over; kOverloaded: too much is uncommitted.
    // The index names the first entry only as long as the term lasts: what is committed
    // there may be another leader's, unless the term fits.
    [[nodiscard]] Result<Proposed> propose(std::span<const Payload> commands);

    // See membership.h.
    [[nodiscard]] Result<Proposed> propose_conf_change(const ConfChange& change);
    // Requires: called for each committed EntryKind::kConfChange, in order, before
    //           on_applied() of its index.
    ConfState apply_conf_change(const ConfChange& change);

    // See read_index.h.
    [[nodiscard]] Result<ReadToken> read_index();
    // See transfer.h.
    [[nodiscard]] Status transfer_leader(NodeId heir);
    [[nodiscard]] Status forget_leader();

    void report_unreachable(NodeId peer);
    void report_snapshot(NodeId peer, SnapshotOutcome outcome);
    // Entries that the LogView was asked for are at hand now.
    void on_log_loaded();
    // The host has work for this group.
    void wake();
    // Nothing has come from the leader's node for an election timeout, or, where this member
    // leads, from another member's. Only a group that sleeps needs to be told.
    void doubt_leader();
    // The host found this member's data to be broken, or failed to write it: it must not
    // take part any longer.
    void quarantine(std::string reason);

    // ---- output ----
    [[nodiscard]] bool has_ready() const;
    // Hands over what has become due. More may be taken before earlier ones are
    // persisted; they are to be persisted in the order of their `seq`.
    [[nodiscard]] Ready ready();
    // Everything in the Readys up to `seq` is durable. One call may answer for several.
    // Requires: seq was handed out.
    void on_persisted(std::uint64_t seq);
    // Everything up to `index` is applied.
    // Requires: it was handed over for applying.
    void on_applied(Index index);

    // ---- questions ----
    [[nodiscard]] Term term() const;
    [[nodiscard]] Role role() const;
    [[nodiscard]] NodeId leader() const;
    // To whom this leader is handing over; 0: to nobody.
    [[nodiscard]] NodeId heir() const;
    [[nodiscard]] Index commit_index() const;
    [[nodiscard]] bool is_leader() const { return role() == Role::kLeader; }
    [[nodiscard]] bool is_quarantined() const;
    // Time stands still for this member.
    [[nodiscard]] bool is_asleep() const;
    [[nodiscard]] NodeStatus status() const;
    // None outside [first - 1, last].
    [[nodiscard]] std::optional<Term> term_at(Index index) const;
    // Equal states have equal hashes, whatever road led to them.
    [[nodiscard]] std::uint64_t state_hash() const;

    // The whole state, for the invariants checker of this module.
    [[nodiscard]] const Core& core() const { return *core_; }

    // Replaces the randomized timeout until the next change of role. For replays.
    void set_election_timeout(std::uint32_t ticks);

private:
    explicit Node(std::unique_ptr<Core> core);

    void step_message(Message&& message);

    std::unique_ptr<Core> core_;
};

}  // namespace kvstore::raft
