#include "cluster/failure_detector.h"

#include <algorithm>
#include <array>
#include <bit>
#include <tuple>
#include <utility>

#include "base/assert.h"

namespace kvstore::cluster {

using wire::GossipKind;
using wire::GossipMessage;
using wire::GossipUpdate;
using wire::MemberState;

namespace {

// Nobody has defended itself so often; beyond it, incarnations could not rise for ever.
constexpr std::uint64_t kIncarnationMax = 1ULL << 62U;

// What is held, and what is told, as the order that decides between them.
std::tuple<std::uint64_t, MemberState> rank(const MemberView& view) {
    return {view.incarnation, view.state};
}
std::tuple<std::uint64_t, MemberState> rank(const GossipUpdate& update) {
    return {update.incarnation, update.state};
}

bool may_be_reached(MemberState state) {
    return state == MemberState::kAlive || state == MemberState::kSuspect;
}

}  // namespace

FailureDetector::FailureDetector(NodeId self, FailureDetectorOptions options, std::uint64_t seed)
    : self_(self), options_(options), random_(seed) {
    KVSTORE_ASSERT(options_.ping_timeout_ticks < options_.period_ticks);
    KVSTORE_ASSERT(options_.updates_per_message_max + 2 <= wire::kGossipUpdatesMax);
}

void FailureDetector::set_members(const std::vector<NodeId>& members) {
    std::map<NodeId, Member> next;
    for (const NodeId id : members) {
        if (id == self_) {
            continue;
        }
        auto known = members_.extract(id);
        if (known.empty()) {
            Member member;
            member.view.since = now_;
            next.emplace(id, member);
            // Into the round that is under way: at a place by chance, so that not everybody probes
            // the newcomer at once (SWIM 4.3).
            round_.insert(
                round_.begin() + static_cast<std::ptrdiff_t>(random_.below(round_.size() + 1)), id);
        } else {
            next.insert(std::move(known));
        }
    }
    members_ = std::move(next);
    const auto is_gone = [this](NodeId id) {
        return !members_.contains(id);
    };
    std::erase_if(round_, is_gone);
    std::erase_if(probes_, [&](const Probe& probe) { return is_gone(probe.target); });
    std::erase_if(relays_, [&](const Relay& relay) {
        return is_gone(relay.target) || is_gone(relay.origin);
    });
}

void FailureDetector::tick() {
    ++now_;
    if (is_leaving_) {
        return;
    }
    advance_relays();
    advance_probes();
    bury_overdue_suspects();
    if (now_ >= next_period_) {
        next_period_ = now_ + Tick(options_.period_ticks) * (1 + health_);
        begin_period();
    }
}

void FailureDetector::receive(NodeId from, const GossipMessage& message) {
    if (!members_.contains(from)) {
        return;
    }
    if (message.map_version > map_version_) {
        map_version_ = message.map_version;
        output_.map_version_from = from;
    }
    for (const GossipUpdate& update : message.updates) {
        take_in(update);
    }
    switch (message.kind) {
        case GossipKind::kPing: on_ping(from, message); break;
        case GossipKind::kAck:
        case GossipKind::kNack: on_answer(from, message); break;
        case GossipKind::kRequest: on_request(from, message); break;
    }
}

void FailureDetector::leave() {
    if (is_leaving_) {
        return;
    }
    is_leaving_ = true;
    probes_.clear();
    relays_.clear();
    for (const NodeId node : some_alive(options_.relays + 2, NodeId())) {
        send(node, GossipKind::kPing, ++last_number_);
    }
}

FailureDetectorOutput FailureDetector::take_output() {
    return std::exchange(output_, {});
}

void FailureDetector::raise_map_version(std::uint64_t version) {
    map_version_ = std::max(map_version_, version);
}

const MemberView* FailureDetector::find(NodeId node) const {
    const auto found = members_.find(node);
    return found == members_.end() ? nullptr : &found->second.view;
}

// Lifeguard 4 has the logarithm of the confirmations; with at most three of them it is a table.
Tick FailureDetector::suspicion_ticks(std::size_t confirmations) const {
    constexpr std::array<std::array<Tick, 4>, 4> kPerMilleOfTheWay = {{
        {0, 0, 0, 0},
        {0, 1000, 1000, 1000},
        {0, 631, 1000, 1000},
        {0, 500, 792, 1000},
    }};
    // Besides the suspect and the first accuser.
    const std::size_t others = members_.empty() ? 0 : members_.size() - 1;
    const std::size_t enough = std::min(kConfirmationsMax, others);
    const Tick shortest =
        Tick(options_.suspicion_multiplier) * log_of_nodes() * options_.period_ticks;
    const Tick longest = shortest * options_.suspicion_max_factor;
    const Tick way = kPerMilleOfTheWay[enough][std::min(confirmations, enough)];
    return longest - (longest - shortest) * way / 1000;
}

// Rounded up, of all nodes with this one; at least 1.
std::uint32_t FailureDetector::log_of_nodes() const {
    return std::max(1U, static_cast<std::uint32_t>(std::bit_width(members_.size())));
}

std::uint32_t FailureDetector::sends_max() const {
    return options_.retransmit_multiplier * log_of_nodes();
}

GossipUpdate FailureDetector::own_update() const {
    return {.node = self_,
            .incarnation = incarnation_,
            .state = is_leaving_ ? MemberState::kLeft : MemberState::kAlive,
            .accuser = NodeId()};
}

GossipUpdate FailureDetector::update_of(NodeId node, const Member& member) {
    GossipUpdate update{.node = node,
                        .incarnation = member.view.incarnation,
                        .state = member.view.state,
                        .accuser = NodeId()};
    if (!member.accusers.empty()) {
        // In turn, so that each of them is heard of.
        update.accuser = member.accusers[member.sends % member.accusers.size()];
    }
    return update;
}

void FailureDetector::send(NodeId to, GossipKind kind, std::uint64_t number, NodeId target) {
    output_.messages.push_back({.to = to,
                                .message = {.kind = kind,
                                            .number = number,
                                            .target = target,
                                            .map_version = map_version_,
                                            .updates = pick_updates(to)}});
}

std::vector<GossipUpdate> FailureDetector::pick_updates(NodeId to) {
    std::vector<GossipUpdate> updates = {own_update()};
    const auto receiver = members_.find(to);
    if (receiver != members_.end() && receiver->second.view.state != MemberState::kAlive) {
        updates.push_back(update_of(to, receiver->second));
    }
    std::vector<std::tuple<std::uint32_t, NodeId, Member*>> fresh;
    const std::uint32_t limit = sends_max();
    for (auto& [id, member] : members_) {
        if (id != to && member.sends < limit) {
            fresh.emplace_back(member.sends, id, &member);
        }
    }
    const std::size_t count = std::min<std::size_t>(fresh.size(), options_.updates_per_message_max);
    std::ranges::partial_sort(fresh, fresh.begin() + static_cast<std::ptrdiff_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
        const auto& [sends, id, member] = fresh[i];
        updates.push_back(update_of(id, *member));
        ++member->sends;
    }
    return updates;
}

void FailureDetector::begin_period() {
    ++periods_;
    const NodeId target = next_in_round();
    if (target != NodeId()) {
        probe(target);
    }
    last_suspect_probed_ = next_after(last_suspect_probed_,
                                      [](const Member& member) { return member.is_accused_here; });
    if (last_suspect_probed_ != NodeId()) {
        probe(last_suspect_probed_);
    }
    if (periods_ % options_.dead_ping_periods == 0) {
        last_dead_pinged_ = next_after(last_dead_pinged_, [](const Member& member) {
            return member.view.state == MemberState::kDead;
        });
        if (last_dead_pinged_ != NodeId()) {
            send(last_dead_pinged_, GossipKind::kPing, ++last_number_);
        }
    }
}

NodeId FailureDetector::next_in_round() {
    for (std::size_t rounds_begun = 0; rounds_begun < 2;) {
        while (!round_.empty()) {
            const NodeId next = round_.back();
            round_.pop_back();
            if (may_be_reached(members_.at(next).view.state)) {
                return next;
            }
        }
        ++rounds_begun;
        for (const auto& [id, member] : members_) {
            round_.push_back(id);
        }
        for (std::size_t left = round_.size(); left > 1; --left) {
            std::swap(round_[left - 1], round_[random_.below(left)]);
        }
    }
    return {};
}

template <typename Predicate>
NodeId FailureDetector::next_after(NodeId last, Predicate is_it) const {
    const auto matches = [&](const auto& entry) {
        return is_it(entry.second);
    };
    const auto start = members_.upper_bound(last);
    auto found = std::find_if(start, members_.end(), matches);
    if (found == members_.end()) {
        found = std::find_if(members_.begin(), start, matches);
        if (found == start) {
            return {};
        }
    }
    return found->first;
}

std::vector<NodeId> FailureDetector::some_alive(std::size_t count, NodeId but) {
    std::vector<NodeId> alive;
    for (const auto& [id, member] : members_) {
        if (id != but && member.view.state == MemberState::kAlive) {
            alive.push_back(id);
        }
    }
    count = std::min(count, alive.size());
    for (std::size_t i = 0; i < count; ++i) {
        std::swap(alive[i], alive[i + random_.below(alive.size() - i)]);
    }
    alive.resize(count);
    return alive;
}

void FailureDetector::probe(NodeId target) {
    const bool is_under_way = std::ranges::any_of(
        probes_, [target](const Probe& probe) { return probe.target == target; });
    if (is_under_way) {
        return;
    }
    Probe probe;
    probe.number = ++last_number_;
    probe.target = target;
    probe.start = now_;
    probes_.push_back(probe);
    send(target, GossipKind::kPing, probe.number);
}

void FailureDetector::advance_probes() {
    const Tick slowness = 1 + health_;
    std::vector<Probe> failed;
    for (Probe& probe : probes_) {
        const Tick waited = now_ - probe.start;
        if (waited >= options_.period_ticks * slowness) {
            failed.push_back(probe);
        } else if (!probe.has_asked_relays && waited >= options_.ping_timeout_ticks * slowness) {
            ask_relays(probe);
        }
    }
    for (const Probe& probe : failed) {
        std::erase_if(probes_, [&](const Probe& other) { return other.number == probe.number; });
        fail_probe(probe);
    }
}

void FailureDetector::ask_relays(Probe& probe) {
    probe.has_asked_relays = true;
    send(probe.target, GossipKind::kPing, probe.number);
    for (const NodeId relay : some_alive(options_.relays, probe.target)) {
        send(relay, GossipKind::kRequest, probe.number, probe.target);
        ++probe.relays_asked;
    }
}

void FailureDetector::fail_probe(const Probe& probe) {
    if (probe.relays_asked > 0 && !probe.is_answered_by_relay) {
        worsen_health();  // nobody answered at all: it may well be this node
    }
    suspect(probe.target);
}

void FailureDetector::advance_relays() {
    for (const Relay& relay : relays_) {
        if (now_ >= relay.give_up) {
            send(relay.origin, GossipKind::kNack, relay.origin_number, relay.target);
        }
    }
    std::erase_if(relays_, [this](const Relay& relay) { return now_ >= relay.give_up; });
}

void FailureDetector::on_ping(NodeId from, const GossipMessage& message) {
    send(from, GossipKind::kAck, message.number);
}

void FailureDetector::on_answer(NodeId from, const GossipMessage& message) {
    const auto relay = std::ranges::find(relays_, message.number, &Relay::number);
    if (relay != relays_.end() && relay->target == from && message.kind == GossipKind::kAck) {
        const Relay done = *relay;
        relays_.erase(relay);
        send(done.origin, GossipKind::kAck, done.origin_number, done.target);
        return;
    }
    const auto probe = std::ranges::find(probes_, message.number, &Probe::number);
    const NodeId target = message.target == NodeId() ? from : message.target;
    if (probe == probes_.end() || probe->target != target) {
        return;
    }
    if (message.kind == GossipKind::kNack) {
        probe->is_answered_by_relay = true;
        return;
    }
    probes_.erase(probe);
    health_ -= health_ > 0 ? 1 : 0;
}

void FailureDetector::on_request(NodeId from, const GossipMessage& message) {
    if (is_leaving_ || relays_.size() >= kRelaysMax || !members_.contains(message.target)) {
        return;
    }
    Relay relay;
    relay.number = ++last_number_;
    relay.target = message.target;
    relay.origin = from;
    relay.origin_number = message.number;
    relay.give_up = now_ + options_.ping_timeout_ticks;
    relays_.push_back(relay);
    send(relay.target, GossipKind::kPing, relay.number);
}

void FailureDetector::take_in(const GossipUpdate& update) {
    if (update.incarnation > kIncarnationMax) {
        return;
    }
    if (update.node == self_) {
        defend(update);
        return;
    }
    const auto found = members_.find(update.node);
    if (found == members_.end()) {
        return;
    }
    Member& member = found->second;
    const bool is_death = update.state == MemberState::kDead;
    GossipUpdate told = update;
    told.state = is_death ? MemberState::kSuspect : update.state;
    if (rank(told) > rank(member.view)) {
        hold(told.node, member, told.state, told.incarnation);
    }
    if (rank(told) == rank(member.view) && told.state == MemberState::kSuspect) {
        confirm(member, told.accuser);
        member.is_dead_elsewhere = member.is_dead_elsewhere || is_death;
    }
    if (rank(update) >= rank(member.view)) {
        return;
    }
    // Somebody knows less: a few more messages carry what is known here.
    constexpr std::uint32_t kReminders = 3;
    const std::uint32_t limit = sends_max();
    member.sends = std::min(member.sends, limit > kReminders ? limit - kReminders : 0);
}

// Somebody holds something of this node that is not so; also what an earlier life of it said.
void FailureDetector::defend(const GossipUpdate& update) {
    const bool is_accused = update.state != MemberState::kAlive;
    if (is_leaving_ || update.incarnation < incarnation_) {
        return;
    }
    if (is_accused) {
        worsen_health();
    }
    incarnation_ = update.incarnation + (is_accused ? 1 : 0);
}

void FailureDetector::suspect(NodeId node) {
    Member& member = members_.at(node);
    if (member.view.state == MemberState::kAlive) {
        hold(node, member, MemberState::kSuspect, member.view.incarnation);
    }
    if (member.view.state == MemberState::kSuspect) {
        member.is_accused_here = true;
        confirm(member, self_);
    }
}

void FailureDetector::confirm(Member& member, NodeId accuser) {
    const bool is_known = std::ranges::find(member.accusers, accuser) != member.accusers.end();
    if (accuser != NodeId() && !is_known && member.accusers.size() <= kConfirmationsMax) {
        member.accusers.push_back(accuser);
        member.sends = 0;
    }
}

void FailureDetector::hold(NodeId node,
                           Member& member,
                           MemberState state,
                           std::uint64_t incarnation) {
    KVSTORE_ASSERT(std::tuple(incarnation, state) > rank(member.view));
    member.view.incarnation = incarnation;
    member.accusers.clear();
    member.is_accused_here = false;
    member.is_dead_elsewhere = false;
    member.sends = 0;
    if (member.view.state != state) {
        member.view.state = state;
        member.view.since = now_;
        output_.changes.push_back({.node = node, .state = state});
    } else if (state == MemberState::kSuspect) {
        member.view.since = now_;  // suspected anew: it has answered in between
    }
}

void FailureDetector::bury_overdue_suspects() {
    for (auto& [id, member] : members_) {
        if (member.view.state != MemberState::kSuspect) {
            continue;
        }
        std::size_t confirmations = member.accusers.empty() ? 0 : member.accusers.size() - 1;
        if (member.is_dead_elsewhere) {
            confirmations = kConfirmationsMax;
        }
        if (now_ - member.view.since >= suspicion_ticks(confirmations)) {
            hold(id, member, MemberState::kDead, member.view.incarnation);
        }
    }
}

void FailureDetector::worsen_health() {
    health_ = std::min(health_ + 1, options_.health_max);
}

}  // namespace kvstore::cluster
