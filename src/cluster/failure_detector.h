// Who is alive, as one node sees it: a failure detector in the way of SWIM (Das, Gupta, Motivala,
// "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership Protocol", DSN 2002),
// with the local health of Lifeguard (Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness
// for More Accurate Failure Detection", DSN-W 2018). As a state machine without a world around it:
// time comes as ticks, messages go in and come out.
//
// Once a period a node probes one other, in an order shuffled anew for each round (SWIM 4.3): it
// pings; without an answer it pings once more and asks a few others to ping on its behalf (SWIM
// 3.1). Without an answer by any way until the period ends, it suspects the other (SWIM 4.2), and
// says so in every message: updates ride on pings and answers, each a bounded number of times, the
// freshest first (SWIM 4.1). A suspect that hears of it raises its incarnation, which overrides
// what was said of it. One that does not in time is dead.
//
// What one says of a node overrides what another holds when its (incarnation, state) is greater,
// with alive < suspect < dead < left.
//
// From Lifeguard: how long a suspect has left falls as others find it silent too (4,
// LHA-Suspicion); what is held against a node is told to it first (4, Buddy System); a node whose
// own probes fail although others had no chance to confirm it, or that must defend itself, takes
// itself for slow and gives everybody more time (4, LHA-Probe). Those asked to probe answer also
// when they had no answer (nack), so that a node can tell its own silence from the other's.
//
// Ours:
//   - A node that this one suspects by its own probe is probed again every period until it answers
//     or is dead. At 20 % loss most suspicions end so, before anybody else hears of them.
//   - Nobody's word is taken for a death. It makes a suspect, who has the shortest time left to
//     answer. A node that was cut off and comes back, and takes everybody for dead, buries nobody.
//   - Now and then a dead node is pinged. So two halves that took each other for dead find together
//     again, and a node that was paused learns what became of it.
//   - Who says something older than what is known has the newer told to it.
//   - Time is ticks of this process: one that was stopped for a minute has seen none, and accuses
//     nobody of the silence it did not listen to.
//   - Who belongs to the cluster is not rumour. It is told by set_members(), from the system shard;
//     what is said of others is passed over.
//
// A node sends, when nobody fails, one ping and on average one answer a period, however large the
// cluster is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/id.h"
#include "base/random.h"
#include "wire/gossip.h"

namespace kvstore::cluster {

// How often tick() was called.
using Tick = std::uint64_t;

// With a tick of 100 ms, as gossip.h has it, a crash is known to all after 6 s in a cluster of
// three and after 15 s in one of sixty-four, and at 20 % loss of messages nobody is declared dead
// (failure_detector_test.cc).
struct FailureDetectorOptions {
    std::uint32_t period_ticks = 5;
    std::uint32_t ping_timeout_ticks = 2;
    std::uint32_t relays = 3;  // asked to ping on behalf of another
    // How long a suspect has: (multiplier * log2 of the nodes) periods when enough others confirm
    // it, `max_factor` times that when nobody does.
    std::uint32_t suspicion_multiplier = 3;
    std::uint32_t suspicion_max_factor = 3;
    // An update is sent (multiplier * log2 of the nodes) times by each node.
    std::uint32_t retransmit_multiplier = 3;
    std::uint32_t updates_per_message_max = 24;
    std::uint32_t dead_ping_periods = 4;
    std::uint32_t health_max = 3;  // by which a period grows, in periods
};

// What one node holds of another.
struct MemberView {
    wire::MemberState state = wire::MemberState::kAlive;
    std::uint64_t incarnation = 0;
    Tick since = 0;  // when `state` became what it is, here
};

// What became known since the last call of take_output().
struct FailureDetectorOutput {
    struct Message {
        NodeId to;
        wire::GossipMessage message;
    };
    struct Change {
        NodeId node;
        wire::MemberState state = wire::MemberState::kAlive;
    };
    std::vector<Message> messages;
    std::vector<Change> changes;  // in order; a node may change more than once
    // Who told of a higher version of the shard map than was known here, if anybody did.
    NodeId map_version_from;
};

// Lifetime   Owned by its driver, for one life of the process.
// Runs on    One core.
// Never      Fails. What a peer says that makes no sense is passed over.
//
// Invariants
//   what is held of a member only ever rises in (incarnation, state)
//   nobody but this node raises its own incarnation
//   queued updates, probes and relays under way are bounded
class FailureDetector {
public:
    // `seed` decides the order of probes.
    FailureDetector(NodeId self, FailureDetectorOptions options, std::uint64_t seed);

    // Who belongs to the cluster; `self` may be among them or not. A new member counts as alive
    // until found otherwise; one that goes is forgotten.
    void set_members(const std::vector<NodeId>& members);

    void tick();

    // Takes in a message. From no member: passed over.
    void receive(NodeId from, const wire::GossipMessage& message);

    // Tells some others that this node leaves on purpose. It probes nobody from now on.
    void leave();

    [[nodiscard]] FailureDetectorOutput take_output();

    // The highest that was set or heard.
    [[nodiscard]] std::uint64_t map_version() const { return map_version_; }
    // Lower ones than what is known are passed over.
    void raise_map_version(std::uint64_t version);

    // Null: no member, or this node itself.
    [[nodiscard]] const MemberView* find(NodeId node) const;
    [[nodiscard]] Tick now() const { return now_; }
    [[nodiscard]] std::uint64_t incarnation() const { return incarnation_; }
    // 0: well; the higher, the slower this node takes itself to be.
    [[nodiscard]] std::uint32_t health() const { return health_; }
    // After how many ticks a suspect of whom `confirmations` others say the same is dead.
    [[nodiscard]] Tick suspicion_ticks(std::size_t confirmations) const;

private:
    static constexpr std::size_t kConfirmationsMax = 3;
    static constexpr std::size_t kRelaysMax = 256;

    struct Member {
        MemberView view;
        std::vector<NodeId> accusers;    // while suspect; the first, and those who confirm it
        bool is_accused_here = false;    // while suspect: this node's own probe failed
        bool is_dead_elsewhere = false;  // while suspect: others have waited long enough
        std::uint32_t sends = 0;         // of what is held now
    };
    struct Probe {
        std::uint64_t number = 0;
        NodeId target;
        Tick start = 0;
        std::uint32_t relays_asked = 0;
        bool is_answered_by_relay = false;  // with a nack
        bool has_asked_relays = false;
    };
    // A ping on behalf of another.
    struct Relay {
        std::uint64_t number = 0;
        NodeId target;
        NodeId origin;
        std::uint64_t origin_number = 0;
        Tick give_up = 0;
    };

    // Sending.
    void send(NodeId to, wire::GossipKind kind, std::uint64_t number, NodeId target = {});
    [[nodiscard]] std::vector<wire::GossipUpdate> pick_updates(NodeId to);
    [[nodiscard]] static wire::GossipUpdate update_of(NodeId node, const Member& member);
    [[nodiscard]] wire::GossipUpdate own_update() const;
    [[nodiscard]] std::uint32_t log_of_nodes() const;
    [[nodiscard]] std::uint32_t sends_max() const;

    // Probing.
    void begin_period();
    void probe(NodeId target);
    void advance_probes();
    void ask_relays(Probe& probe);
    void fail_probe(const Probe& probe);
    void advance_relays();
    [[nodiscard]] NodeId next_in_round();
    // The next after `last` in the order of ids, and around, of those that `is_it` holds for.
    template <typename Predicate>
    [[nodiscard]] NodeId next_after(NodeId last, Predicate is_it) const;
    [[nodiscard]] std::vector<NodeId> some_alive(std::size_t count, NodeId but);

    // Receiving.
    void on_ping(NodeId from, const wire::GossipMessage& message);
    void on_answer(NodeId from, const wire::GossipMessage& message);
    void on_request(NodeId from, const wire::GossipMessage& message);

    // Knowing.
    void take_in(const wire::GossipUpdate& update);
    void defend(const wire::GossipUpdate& update);
    void suspect(NodeId node);
    static void confirm(Member& member, NodeId accuser);
    void hold(NodeId node, Member& member, wire::MemberState state, std::uint64_t incarnation);
    void bury_overdue_suspects();
    void worsen_health();

    NodeId self_;
    FailureDetectorOptions options_;
    Random random_;
    Tick now_ = 0;
    Tick next_period_ = 0;
    std::uint64_t periods_ = 0;
    std::uint64_t incarnation_ = 1;
    bool is_leaving_ = false;
    std::uint32_t health_ = 0;
    std::uint64_t map_version_ = 0;
    std::uint64_t last_number_ = 0;
    std::map<NodeId, Member> members_;
    std::vector<NodeId> round_;  // who is still to be probed in this round, the next at the back
    NodeId last_suspect_probed_;
    NodeId last_dead_pinged_;
    std::vector<Probe> probes_;
    std::vector<Relay> relays_;
    FailureDetectorOutput output_;
};

}  // namespace kvstore::cluster
