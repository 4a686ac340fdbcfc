#include "explore_world.h"

#include <algorithm>

#include "base/assert.h"
#include "raft/internal/core.h"

namespace kvstore::raft::conformance {

namespace {

constexpr std::uint64_t pair_of(std::uint64_t high, std::uint64_t low) {
    return high << 32U | low;
}

// Channels in the order 1→2, 1→3, 2→1, 2→3, 3→1, 3→2.
std::size_t channel_of(NodeId from, NodeId to) {
    const std::size_t skipped = to > from ? 1 : 0;
    return (from.value() - 1) * (kMembers - 1) + (to.value() - 1 - skipped);
}

std::pair<NodeId, NodeId> ends_of(std::size_t channel) {
    const NodeId from(channel / (kMembers - 1) + 1);
    const std::uint64_t to = channel % (kMembers - 1) + 1;
    return {from, NodeId(to >= from.value() ? to + 1 : to)};
}

template <typename State>
Prints prints_of(const State& state) {
    Prints prints{};
    for (std::size_t i = 0; i < kRelabellings.size(); ++i) {
        prints[i] = mix64(state(kRelabellings[i]));
    }
    return prints;
}

std::uint64_t fingerprint_of(const Note& note) {
    RelabelledPrint print(kRelabellings[0]);
    print.add(note.leads).add(note.term).add(note.committed).add(note.conf);
    for (const Term term : note.log_terms) {
        print.add(term);
    }
    return print.value();
}

}  // namespace

std::string Onlooker::learn(const Note& note) {
    if (note.leads == kNoNode) {
        const auto [place, fresh] = committed.try_emplace(
            note.committed.index, Committed{note.committed, note.term, note.conf});
        Committed& known = place->second;
        if (known.entry != note.committed) {
            return "another entry was committed at the same index (state machine safety)";
        }
        if (known.conf != note.conf) {
            return "members apply different histories";
        }
        known.seen_in = std::min(known.seen_in, note.term);
        return "";
    }
    const auto [place, fresh] = leaders.try_emplace(note.term, note.leads);
    if (place->second != note.leads) {
        return "two leaders in one term (election safety)";
    }
    for (const auto& [index, known] : committed) {
        const bool holds = index.value() <= note.log_terms.size() &&
                           note.log_terms[index.value() - 1] == known.entry.term;
        if (known.seen_in < note.term && !holds) {
            return "a leader lacks a committed entry (leader completeness)";
        }
    }
    return "";
}

std::uint64_t Onlooker::fingerprint(const Relabelling& names) const {
    RelabelledPrint print(names);
    for (const auto& [term, leader] : leaders) {
        print.add(term).add(leader);
    }
    for (const auto& [index, known] : committed) {
        print.add(known.entry).add(known.seen_in).add(known.conf);
    }
    return print.value();
}

Universe::Universe(const Bounds& bounds) : bounds_(bounds) {
    KVSTORE_ASSERT(bounds.channel > 0 && bounds.channel <= kChannelMax);
    ConfState genesis;
    genesis.voters = {NodeId(1), NodeId(2), NodeId(3)};
    for (std::size_t i = 0; i < kMembers; ++i) {
        first_.members[i] = intern(std::make_unique<Member>(genesis.voters[i], genesis));
    }
    messages_.emplace_back();  // so that 0 is none
    message_prints_.emplace_back();
    notes_.emplace_back();
    note_ids_[0] = 0;
    first_.onlooker = intern(Onlooker());
    make_actions();
}

void Universe::make_actions() {
    for (std::uint8_t channel = 0; channel < kChannels; ++channel) {
        const auto to = static_cast<std::uint8_t>(ends_of(channel).second.value() - 1);
        actions_.push_back({.kind = EventKind::kDeliver, .member = to, .channel = channel});
        if (bounds_.channel > 1) {
            // Where a channel holds one message, one that never arrives is as good as lost.
            actions_.push_back(
                {.kind = EventKind::kDeliver, .member = to, .channel = channel, .loss = true});
        }
    }
    for (std::uint8_t member = 0; member < kMembers; ++member) {
        actions_.push_back({.kind = EventKind::kCampaign, .member = member});
        actions_.push_back({.kind = EventKind::kPropose, .member = member});
        for (std::uint8_t target = 0; target < kMembers; ++target) {
            actions_.push_back({.kind = EventKind::kChange, .member = member, .target = target});
        }
        if (bounds_.heartbeats) {
            actions_.push_back({.kind = EventKind::kHeartbeat, .member = member});
        }
        for (std::uint8_t peer = 0; bounds_.answers && peer < kMembers; ++peer) {
            if (peer != member) {
                actions_.push_back(
                    {.kind = EventKind::kAnswered, .member = member, .target = peer});
            }
        }
    }
    if (bounds_.crashes == 0) {
        return;
    }
    // How often a step can be cut short; more is a failure.
    constexpr std::uint8_t kCutsMax = 3;
    const std::vector<Action> whole = actions_;
    for (std::uint8_t cut = 1; cut <= kCutsMax; ++cut) {
        for (Action action : whole) {
            if (!action.loss) {
                action.cut = cut;
                actions_.push_back(action);
            }
        }
    }
    for (std::uint8_t member = 0; member < kMembers; ++member) {
        actions_.push_back({.kind = EventKind::kCrash, .member = member});
    }
}

Action Universe::relabelled(const Action& action, std::size_t relabelling) {
    const Relabelling& names = kRelabellings.at(relabelling);
    const auto renamed = [&names](std::uint8_t member) {
        return static_cast<std::uint8_t>(names.of(NodeId(member + 1U)).value() - 1);
    };
    Action other = action;
    other.member = renamed(action.member);
    other.target = renamed(action.target);
    const auto [from, to] = ends_of(action.channel);
    other.channel = static_cast<std::uint8_t>(channel_of(names.of(from), names.of(to)));
    return other;
}

bool Universe::allows(const World& world, const Action& action) const {
    const Node& node = members_[world.members[action.member]]->node();
    if (action.cut > 0 && world.crashes >= bounds_.crashes) {
        return false;
    }
    switch (action.kind) {
        case EventKind::kDeliver: return world.channels[action.channel][0] != 0;
        case EventKind::kCampaign: return !node.is_leader() && node.term().value() < bounds_.terms;
        case EventKind::kPropose: return node.is_leader() && world.entries < bounds_.entries;
        case EventKind::kChange: return node.is_leader() && world.changes < bounds_.changes;
        case EventKind::kHeartbeat:
        case EventKind::kAnswered: return node.is_leader();
        case EventKind::kCrash: return world.crashes < bounds_.crashes;
    }
    return false;
}

std::optional<World> Universe::after(const World& world, const Action& action) {
    if (!allows(world, action)) {
        return std::nullopt;
    }
    World next = world;
    const bool aims = action.kind == EventKind::kChange || action.kind == EventKind::kAnswered;
    std::uint32_t argument = aims ? action.target : 0;
    if (action.kind == EventKind::kDeliver) {
        auto& channel = next.channels[action.channel];
        argument = channel[0];
        std::rotate(channel.begin(), channel.begin() + 1, channel.end());
        channel.back() = 0;
        if (action.loss) {
            return next;
        }
    }
    const Outcome& found = outcome(world.members[action.member], action.kind, argument);
    if (found.refused || action.cut > found.cuts.size()) {
        return std::nullopt;
    }
    const End& end = action.cut > 0 ? found.cuts[action.cut - 1U] : found.end;
    next.members[action.member] = end.member;
    const auto count = [](std::uint8_t& counter, bool one_more) {
        if (one_more) {
            ++counter;
        }
    };
    count(next.entries, action.kind == EventKind::kPropose);
    count(next.changes, action.kind == EventKind::kChange);
    count(next.crashes, action.kind == EventKind::kCrash || action.cut > 0);
    if (end.notes != 0) {
        next.onlooker = learned(world.onlooker, end.notes);
    }
    for (const MessageId message : end.sent) {
        send(next, message);
    }
    bury_dead(next);
    return next;
}

void Universe::send(World& world, MessageId message) const {
    auto& channel = world.channels[channel_of(messages_[message].from, messages_[message].to)];
    for (std::size_t i = 0; i < bounds_.channel; ++i) {
        if (channel[i] == 0) {
            channel[i] = message;
            return;
        }
    }
    std::rotate(channel.begin(), channel.begin() + 1, channel.begin() + bounds_.channel);
    channel[bounds_.channel - 1] = message;
}

// Whether the message can change nothing any more, now or later: it belongs to an earlier
// term, which nobody here answers, or to an election or a leadership of this term that is
// over for its receiver and cannot come again.
bool Universe::is_dead(MessageId message, LocalId receiver) {
    const Message& one = messages_[message];
    const Node& node = members_[receiver]->node();
    const bool past = one.term < node.term();
    const bool late_vote = one.term == node.term() && one.kind == MessageKind::kVoteReply &&
                           node.role() != Role::kCandidate;
    const bool late_reply =
        one.term == node.term() && node.role() == Role::kFollower &&
        (one.kind == MessageKind::kAppendReply || one.kind == MessageKind::kHeartbeatReply);
    if (!past && !late_vote && !late_reply) {
        return false;
    }
    const Outcome& found = outcome(receiver, EventKind::kDeliver, message);
    if (found.end.member != receiver || !found.end.sent.empty()) {
        failure_ = "a message that should be dead has an effect";
    }
    return true;
}

void Universe::bury_dead(World& world) {
    for (std::size_t i = 0; i < kChannels; ++i) {
        const LocalId receiver = world.members[ends_of(i).second.value() - 1];
        auto& channel = world.channels[i];
        const auto live = std::remove_if(channel.begin(), channel.end(), [&](MessageId message) {
            return message == 0 || is_dead(message, receiver);
        });
        std::fill(live, channel.end(), MessageId(0));
    }
}

std::uint64_t Universe::fingerprint(const World& world, std::size_t relabelling) const {
    std::uint64_t sum = onlooker_prints_[world.onlooker][relabelling];
    for (const LocalId member : world.members) {
        sum += member_prints_[member][relabelling];
    }
    for (const auto& channel : world.channels) {
        for (std::size_t i = 0; i < kChannelMax; ++i) {
            const std::uint64_t print = message_prints_[channel[i]][relabelling];
            sum += i == 0 ? print : mix64(print + i);
        }
    }
    return sum;
}

std::uint64_t Universe::fingerprint(const World& world) const {
    std::uint64_t least = UINT64_MAX;
    for (std::size_t i = 0; i < kRelabellings.size(); ++i) {
        least = std::min(least, fingerprint(world, i));
    }
    const std::uint64_t used = world.entries + 16U * world.crashes + 256U * world.changes;
    return mix64(least ^ mix64(used));
}

const Universe::Outcome& Universe::outcome(LocalId member, EventKind kind, std::uint32_t argument) {
    const std::uint64_t key = pair_of(member, static_cast<std::uint32_t>(kind) << 24U | argument);
    const auto [place, fresh] =
        outcome_ids_.try_emplace(key, static_cast<std::uint32_t>(outcomes_.size()));
    if (!fresh) {
        return *outcomes_[place->second];
    }
    Deed deed = members_[member]->perform(event_of(kind, argument));
    if (!deed.failure.empty()) {
        failure_ = deed.failure;
        deed.refused = true;
    }
    auto made = std::make_unique<Outcome>();
    made->refused = deed.refused;
    if (!deed.refused) {
        made->end = intern(std::move(deed.end));
        for (Ending& cut : deed.cuts) {
            made->cuts.push_back(intern(std::move(cut)));
        }
    }
    outcomes_.push_back(std::move(made));
    return *outcomes_.back();
}

Event Universe::event_of(EventKind kind, std::uint32_t argument) const {
    Event event;
    event.kind = kind;
    if (kind == EventKind::kDeliver) {
        event.message = messages_[argument];
    } else if (kind == EventKind::kChange) {
        event.change = {bounds_.change, NodeId(argument + 1U)};
    } else if (kind == EventKind::kAnswered) {
        event.answering = NodeId(argument + 1U);
    }
    return event;
}

Universe::End Universe::intern(Ending&& ending) {
    End end;
    end.member = intern(std::move(ending.member));
    end.notes = intern_notes(std::move(ending.notes));
    for (Message& message : ending.sent) {
        end.sent.push_back(intern(std::move(message)));
    }
    return end;
}

Universe::LocalId Universe::intern(std::unique_ptr<Member> member) {
    const std::uint64_t print = member->fingerprint(kRelabellings[0]);
    const auto [place, fresh] =
        member_ids_.try_emplace(print, static_cast<LocalId>(members_.size()));
    if (fresh) {
        member_prints_.push_back(
            prints_of([&](const Relabelling& names) { return member->fingerprint(names); }));
        members_.push_back(std::move(member));
    }
    return place->second;
}

Universe::MessageId Universe::intern(Message&& message) {
    const auto fingerprint = [&message](const Relabelling& names) {
        return RelabelledPrint(names).add(message).value();
    };
    KVSTORE_ASSERT(messages_.size() <= UINT16_MAX);
    const auto [place, fresh] = message_ids_.try_emplace(fingerprint(kRelabellings[0]),
                                                         static_cast<MessageId>(messages_.size()));
    if (fresh) {
        message_prints_.push_back(prints_of(fingerprint));
        messages_.push_back(std::move(message));
    }
    return place->second;
}

std::uint32_t Universe::intern_notes(std::vector<Note>&& notes) {
    Fingerprint print;
    for (const Note& note : notes) {
        print.add(fingerprint_of(note));
    }
    const auto [place, fresh] =
        note_ids_.try_emplace(print.value(), static_cast<std::uint32_t>(notes_.size()));
    if (fresh) {
        notes_.push_back(std::move(notes));
    }
    return place->second;
}

std::uint32_t Universe::intern(Onlooker&& onlooker) {
    const auto fingerprint = [&onlooker](const Relabelling& names) {
        return onlooker.fingerprint(names);
    };
    const auto [place, fresh] = onlooker_ids_.try_emplace(
        fingerprint(kRelabellings[0]), static_cast<std::uint32_t>(onlookers_.size()));
    if (fresh) {
        onlooker_prints_.push_back(prints_of(fingerprint));
        onlookers_.push_back(std::move(onlooker));
    }
    return place->second;
}

std::uint32_t Universe::learned(std::uint32_t onlooker, std::uint32_t notes) {
    const auto known = learned_.find(pair_of(onlooker, notes));
    if (known != learned_.end()) {
        return known->second;
    }
    Onlooker wiser = onlookers_[onlooker];
    for (const Note& note : notes_[notes]) {
        const std::string broken = wiser.learn(note);
        if (!broken.empty()) {
            failure_ = broken;
            return onlooker;
        }
    }
    const std::uint32_t id = intern(std::move(wiser));
    learned_[pair_of(onlooker, notes)] = id;
    return id;
}

std::string Universe::describe(const World& world) const {
    std::string text;
    for (const LocalId member : world.members) {
        text += members_[member]->describe();
    }
    return text;
}

std::string Universe::describe(const World& before, const Action& action) const {
    static constexpr const char* kNames[] = {"campaigns",
                                             "takes an entry",
                                             "takes a change",
                                             "beats",
                                             "is answered",
                                             "receives",
                                             "crashes"};
    std::string text = "n" + std::to_string(action.member + 1) + " " +
                       kNames[static_cast<std::size_t>(action.kind)];
    if (action.kind == EventKind::kChange) {
        text += " of n" + std::to_string(action.target + 1);
    }
    if (action.kind == EventKind::kDeliver) {
        const Message& message = messages_[before.channels[action.channel][0]];
        text += " n" + std::to_string(message.from.value()) + "'s " +
                std::string(message_kind_name(message.kind)) +
                " term=" + std::to_string(message.term.value()) +
                " index=" + std::to_string(message.index.value()) +
                " commit=" + std::to_string(message.commit.value()) +
                " entries=" + std::to_string(message.entries.size()) +
                (message.reject ? " rejected" : "");
    }
    text += action.loss ? ", lost" : "";
    text += action.cut > 0 ? ", crashing on the way" : "";
    return text;
}

std::string Universe::sizes() const {
    return std::to_string(members_.size()) + " member states, " +
           std::to_string(messages_.size() - 1) + " messages, " + std::to_string(outcomes_.size()) +
           " steps of the core, " + std::to_string(onlookers_.size()) + " histories";
}

}  // namespace kvstore::raft::conformance
