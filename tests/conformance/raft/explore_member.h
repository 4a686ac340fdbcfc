// One member of the explored world: a real core, the disk under it and the state machine
// over it, at rest between two steps. Whatever happens to it is carried through: what
// the core hands out is written, told to be durable and applied until nothing is due.
//
// What a step does depends on the member and on the event alone, so whoever explores
// need take each step once, however many worlds it occurs in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/node.h"
#include "raft/testing/memory_log.h"
#include "relabel.h"

namespace kvstore::raft::conformance {

enum class EventKind : std::uint8_t {
    kCampaign,
    kPropose,
    kChange,
    kHeartbeat,  // a leader's clock moves on
    kAnswered,   // a leader hears a heartbeat's answer, however old
    kDeliver,
    kCrash,  // at rest: everything that is not on the disk is gone
};

struct Event {
    EventKind kind = EventKind::kCampaign;
    ConfStep change;
    NodeId answering;
    Message message;
};

// What an onlooker who sees all members must know of a step.
struct Note {
    // Not kNoNode: this member has begun to lead.
    NodeId leads;
    Term term;
    // Of the log from index 1 on, when it began to lead.
    std::vector<Term> log_terms;
    // Otherwise: this was committed here, and has led to this configuration.
    Entry committed;
    ConfState conf;
};

class Member;

// How a step ended: with the member at rest again, or, in `cuts`, with the crash that
// could have come on the way.
struct Ending {
    std::unique_ptr<Member> member;
    std::vector<Message> sent;
    std::vector<Note> notes;
};

struct Deed {
    // The core declined: nothing has happened.
    bool refused = false;
    std::string failure;
    Ending end;
    std::vector<Ending> cuts;
};

class Member {
public:
    // A member that starts for the first time, in a group of three.
    Member(NodeId id, const ConfState& genesis);
    Member(const Member& other);
    Member& operator=(const Member&) = delete;
    Member(Member&&) = delete;
    Member& operator=(Member&&) = delete;
    ~Member() = default;

    // What follows from `event`. This member stays as it is.
    [[nodiscard]] Deed perform(const Event& event) const;

    [[nodiscard]] const Node& node() const { return *node_; }
    // Equal states have equal fingerprints, with the members' names exchanged or not.
    [[nodiscard]] std::uint64_t fingerprint(const Relabelling& names) const;
    [[nodiscard]] std::string describe() const;

private:
    struct Machine {
        Index index;
        ConfState conf;
    };

    void start(Deed& deed);
    [[nodiscard]] Ending restarted(const Ending& so_far, std::string& failure) const;
    template <typename Action>
    void act(Deed& deed, Action&& action);
    bool begin(const Event& event, Deed& deed);
    void work(Deed& deed);
    void apply(Deed& deed, const std::vector<Entry>& entries);

    Config config_;
    testing::MemoryLog log_;
    HardState hard_;
    Machine checkpoint_;
    Machine machine_;
    std::optional<Node> node_;
};

}  // namespace kvstore::raft::conformance
