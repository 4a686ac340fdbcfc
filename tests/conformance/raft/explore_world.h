// Worlds of three members and the channels between them, as numbers: each member's
// state, each message and each thing an onlooker knows is kept once and named by its
// place in a table, and so is what follows from a step. A world is then a few dozen
// bytes, and most steps are taken without running the core again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "explore_member.h"

namespace kvstore::raft::conformance {

// What may happen in a world, and how often.
struct Bounds {
    std::uint64_t terms = 3;  // the first is 1, without a leader
    std::uint64_t entries = 2;
    std::uint64_t crashes = 1;
    std::uint64_t changes = 1;
    ConfOperation change = ConfOperation::kRemove;
    // Messages that a channel holds. The oldest is lost when one more does not fit.
    std::size_t channel = 1;
    // Whether leaders send heartbeats, or just hear the answers that wake their appends.
    bool heartbeats = false;
    bool answers = true;
};

inline constexpr std::size_t kChannels = kMembers * (kMembers - 1);
inline constexpr std::size_t kChannelMax = 2;

struct World {
    std::array<std::uint32_t, kMembers> members{};
    std::uint32_t onlooker = 0;
    // Oldest first; 0 is none.
    std::array<std::array<std::uint16_t, kChannelMax>, kChannels> channels{};
    std::uint8_t entries = 0;
    std::uint8_t crashes = 0;
    std::uint8_t changes = 0;
};

// One of the things that can happen next.
struct Action {
    EventKind kind = EventKind::kCampaign;
    std::uint8_t member = 0;   // whose step it is, from 0
    std::uint8_t channel = 0;  // that delivers
    std::uint8_t target = 0;   // of a change; or who answers
    bool loss = false;         // the channel loses the message instead
    // 0: none. Otherwise the crash comes at this point of the step.
    std::uint8_t cut = 0;
};

// What is known of everybody's past: who led, and what was committed.
struct Onlooker {
    struct Committed {
        Entry entry;
        Term seen_in;  // the lowest term of a member that knew it to be committed
        ConfState conf;
    };
    std::map<Term, NodeId> leaders;
    std::map<Index, Committed> committed;

    // Election safety, leader completeness and state machine safety (thesis figure 3.2).
    // Empty, or the rule that `note` breaks.
    [[nodiscard]] std::string learn(const Note& note);
    [[nodiscard]] std::uint64_t fingerprint(const Relabelling& names) const;
};

using Prints = std::array<std::uint64_t, kRelabellings.size()>;

class Universe {
public:
    explicit Universe(const Bounds& bounds);

    [[nodiscard]] World first() const { return first_; }
    // All that could happen anywhere, allowed now or not.
    [[nodiscard]] const std::vector<Action>& actions() const { return actions_; }
    // The world after the action; none where it cannot happen.
    [[nodiscard]] std::optional<World> after(const World& world, const Action& action);
    // The same for all worlds that differ by the members' names alone.
    [[nodiscard]] std::uint64_t fingerprint(const World& world) const;
    // By the names of one relabelling.
    [[nodiscard]] std::uint64_t fingerprint(const World& world, std::size_t relabelling) const;
    // What is the same action where the members are called otherwise.
    [[nodiscard]] static Action relabelled(const Action& action, std::size_t relabelling);

    // The first broken rule.
    [[nodiscard]] const std::string& failure() const { return failure_; }
    [[nodiscard]] std::string describe(const World& world) const;
    [[nodiscard]] std::string describe(const World& before, const Action& action) const;
    [[nodiscard]] std::string sizes() const;

private:
    using LocalId = std::uint32_t;
    using MessageId = std::uint16_t;

    struct End {
        LocalId member = 0;
        std::uint32_t notes = 0;
        std::vector<MessageId> sent;
    };
    struct Outcome {
        bool refused = false;
        End end;
        std::vector<End> cuts;
    };

    const Outcome& outcome(LocalId member, EventKind kind, std::uint32_t argument);
    Event event_of(EventKind kind, std::uint32_t argument) const;
    End intern(Ending&& ending);
    LocalId intern(std::unique_ptr<Member> member);
    MessageId intern(Message&& message);
    std::uint32_t intern_notes(std::vector<Note>&& notes);
    std::uint32_t intern(Onlooker&& onlooker);
    std::uint32_t learned(std::uint32_t onlooker, std::uint32_t notes);
    [[nodiscard]] bool allows(const World& world, const Action& action) const;
    bool is_dead(MessageId message, LocalId receiver);
    void send(World& world, MessageId message) const;
    void bury_dead(World& world);
    void make_actions();

    Bounds bounds_;
    World first_;
    std::vector<Action> actions_;
    std::string failure_;

    std::vector<std::unique_ptr<Member>> members_;
    std::vector<Prints> member_prints_;
    std::unordered_map<std::uint64_t, LocalId> member_ids_;

    std::vector<Message> messages_;
    std::vector<Prints> message_prints_;
    std::unordered_map<std::uint64_t, MessageId> message_ids_;

    std::vector<Onlooker> onlookers_;
    std::vector<Prints> onlooker_prints_;
    std::unordered_map<std::uint64_t, std::uint32_t> onlooker_ids_;

    std::vector<std::vector<Note>> notes_;
    std::unordered_map<std::uint64_t, std::uint32_t> note_ids_;
    std::unordered_map<std::uint64_t, std::uint32_t> learned_;

    std::vector<std::unique_ptr<Outcome>> outcomes_;
    std::unordered_map<std::uint64_t, std::uint32_t> outcome_ids_;
};

}  // namespace kvstore::raft::conformance
