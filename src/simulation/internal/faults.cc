#include "simulation/internal/faults.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace kvstore::simulation::internal {
namespace {

bool is_up(const Member& member) {
    return member.is_up() && !member.is_paused();
}

bool is_running(const Member& member) {
    return member.is_member && member.host->is_up() && !member.is_paused() &&
           member.state != Member::State::kStopping;
}

bool has_sound_disk(const Member& member) {
    return is_up(member) && !member.disk_misbehaves;
}

// One of three replicas, or more: not before a cluster that grows has as many.
bool may_lose_a_disk(Fleet& fleet) {
    constexpr std::size_t kReplicas = 3;
    return fleet.size() >= kReplicas &&
           std::ranges::none_of(fleet.members(),
                                [](const auto& member) { return member->is_joiner(); });
}

}  // namespace

Faults::Faults(
    sim::World& world, Fleet& fleet, Operators& operators, Random& random, const Plan& plan)
    : world_(world),
      fleet_(fleet),
      operators_(operators),
      random_(random),
      plan_(plan),
      at_once_max_(static_cast<std::uint32_t>(random.between(1, 3))),
      gap_max_(std::chrono::milliseconds(random.between(500, 8'000))),
      disks_left_(may_lose_a_disk(fleet) ? 1U : 0U) {}

Duration Faults::some(std::uint64_t least_ms, std::uint64_t most_ms) {
    return std::chrono::milliseconds(random_.between(least_ms, most_ms));
}

void Faults::start() {
    if (!plan_.faults.empty()) {
        plan_next();
    }
}

void Faults::plan_next() {
    const auto gap = Duration(
        static_cast<Duration::rep>(random_.below(static_cast<std::uint64_t>(gap_max_.count()))));
    world_.after(gap, [this] {
        if (is_over_) {
            return;
        }
        if (active_count_ < at_once_max_) {
            begin_one();
        }
        plan_next();
    });
}

void Faults::begin_one() {
    const FaultKind kind = plan_.faults[random_.below(plan_.faults.size())];
    // Short ones are the common ones; some outlast every timeout.
    const Duration span = random_.chance(1, 5) ? some(5'000, 20'000) : some(100, 5'000);
    log_info("simulation: fault", {{"kind", fault_name(kind)}, {"ms", span.count() / 1'000'000}});
    if (begin(kind, span)) {
        ++counts_[static_cast<std::size_t>(kind)];
    }
}

bool Faults::begin(FaultKind kind, Duration span) {
    switch (kind) {
        case FaultKind::kPowerLoss:
        case FaultKind::kKill: return crash_one(kind, span);
        case FaultKind::kKillAll: return crash_all(span);
        case FaultKind::kPause: return pause_one(span);
        case FaultKind::kCrashAtChange: return crash_at_change();
        case FaultKind::kCrashInRecovery: return crash_in_recovery();
        case FaultKind::kIsolate:
        case FaultKind::kHalves:
        case FaultKind::kOneWay:
        case FaultKind::kBridge: return cut(kind, span);
        case FaultKind::kFlap: return flap();
        case FaultKind::kSlowLink:
        case FaultKind::kLossyLink:
        case FaultKind::kCorruptLink:
        case FaultKind::kResetLink: return spoil_links(kind, span);
        case FaultKind::kSlowDisk:
        case FaultKind::kFullDisk:
        case FaultKind::kFailingWrite:
        case FaultKind::kFailingSync:
        case FaultKind::kFailingRead: return spoil_disk(kind, span);
        case FaultKind::kClockJump: return jump_clock();
        case FaultKind::kRollingRestart: return restart_all();
        case FaultKind::kWipe:
        case FaultKind::kFlip: return replace_disk(kind, span);
        case FaultKind::kDrain:
        case FaultKind::kDecommission: return send_away(kind, span);
        case FaultKind::kMoveLeader: return operators_.move_leader();
        case FaultKind::kMoveShard: return operators_.move_shard();
        case FaultKind::kCount: break;
    }
    return false;
}

Member* Faults::choose(bool (*is_suitable)(const Member&)) {
    std::vector<Member*> suitable;
    for (const std::unique_ptr<Member>& member : fleet_.members()) {
        if (is_suitable(*member)) {
            suitable.push_back(member.get());
        }
    }
    if (suitable.empty()) {
        return nullptr;
    }
    // Rather who leads: that is where most can go wrong.
    const auto leader = std::ranges::find_if(suitable, &Member::leads);
    return leader != suitable.end() && random_.chance(1, 3)
               ? *leader
               : suitable[random_.below(suitable.size())];
}

void Faults::end_after(Duration span, Callback<void()> end) {
    ++active_count_;
    world_.after(span, [this, epoch = epoch_, ending = std::move(end)]() mutable {
        if (epoch == epoch_) {
            --active_count_;
            ending();
        }
    });
}

// ---- processes ----

void Faults::hold_down(Member& member, Duration span) {
    ++member.holds;
    end_after(span, [this, &member] {
        --member.holds;
        fleet_.start(member);
    });
}

bool Faults::crash_one(FaultKind kind, Duration span) {
    Member* const member = choose(is_running);
    if (member == nullptr) {
        return false;
    }
    fleet_.crash(*member,
                 kind == FaultKind::kKill ? sim::CrashKind::kKill : sim::CrashKind::kPowerLoss);
    hold_down(*member, random_.chance(1, 3) ? some(1, 300) : span);
    return true;
}

bool Faults::crash_all(Duration span) {
    const auto kind = random_.chance(1, 2) ? sim::CrashKind::kKill : sim::CrashKind::kPowerLoss;
    for (const std::unique_ptr<Member>& member : fleet_.members()) {
        if (is_running(*member)) {
            fleet_.crash(*member, kind);
            hold_down(*member, std::min(span, some(10, 3'000)));
        }
    }
    return true;
}

bool Faults::pause_one(Duration span) {
    Member* const member = choose(is_running);
    if (member == nullptr) {
        return false;
    }
    fleet_.pause(*member);
    const Duration pause = random_.chance(1, 4) ? span + some(0, 10'000) : span;
    end_after(pause, [this, member] { fleet_.resume(*member); });
    return true;
}

bool Faults::crash_at_change() {
    Member* const member = choose(is_running);
    if (member == nullptr) {
        return false;
    }
    // Fleet::look() finds it down and starts it again.
    member->host->crash_at_change(random_.between(1, 300));
    return true;
}

bool Faults::crash_in_recovery() {
    Member* const member = choose(is_running);
    if (member == nullptr) {
        return false;
    }
    fleet_.crash(*member, sim::CrashKind::kPowerLoss);
    world_.after(some(10, 1'000), [this, member] {
        fleet_.start(*member);
        if (member->host->is_up() && !is_over_) {
            member->host->crash_at_change(random_.between(1, 60));
        }
    });
    return true;
}

// ---- network ----

// Of any member; rather of one that leads.
std::size_t Faults::choose_place() {
    const std::size_t at = random_.below(fleet_.size());
    for (std::size_t i = 0; i < fleet_.size() && random_.chance(2, 3); ++i) {
        if (fleet_.at((at + i) % fleet_.size()).leads()) {
            return (at + i) % fleet_.size();
        }
    }
    return at;
}

void Faults::cut_halves() {
    std::vector<Member*> shuffled;
    for (const std::unique_ptr<Member>& member : fleet_.members()) {
        shuffled.insert(
            shuffled.begin() + static_cast<std::ptrdiff_t>(random_.below(shuffled.size() + 1)),
            member.get());
    }
    const std::size_t middle = random_.between(1, shuffled.size() - 1);
    for (std::size_t i = 0; i < middle; ++i) {
        for (std::size_t j = middle; j < shuffled.size(); ++j) {
            world_.partition(*shuffled[i]->host, *shuffled[j]->host);
        }
    }
}

bool Faults::cut(FaultKind kind, Duration span) {
    if (fleet_.size() < 2) {
        return false;
    }
    const std::size_t at = choose_place();
    sim::Host& victim = *fleet_.at(at).host;
    sim::Host& another =
        *fleet_.at((at + random_.between(1, fleet_.size() - 1)) % fleet_.size()).host;
    const bool is_deaf = random_.chance(1, 2);
    switch (kind) {
        case FaultKind::kHalves: cut_halves(); break;
        case FaultKind::kBridge: world_.partition(victim, another); break;
        default:
            for (const std::unique_ptr<Member>& other : fleet_.members()) {
                if (other->host == &victim) {
                    continue;
                }
                if (kind == FaultKind::kIsolate || is_deaf) {
                    world_.block(*other->host, victim);
                }
                if (kind == FaultKind::kIsolate || !is_deaf) {
                    world_.block(victim, *other->host);
                }
            }
    }
    end_after(span, [this] { world_.heal_all(); });
    return true;
}

bool Faults::flap() {
    if (fleet_.size() < 2) {
        return false;
    }
    sim::Host* const victim = fleet_.at(choose_place()).host;
    const std::uint64_t count = random_.between(3, 8);
    Duration at{};
    for (std::uint64_t i = 0; i < count; ++i) {
        world_.after(at, [this, victim, epoch = epoch_] {
            if (epoch == epoch_) {
                world_.isolate(*victim);
            }
        });
        at += some(50, 800);
        world_.after(at, [this, epoch = epoch_] {
            if (epoch == epoch_) {
                world_.heal_all();
            }
        });
        at += some(50, 800);
    }
    end_after(at, [] {});
    return true;
}

bool Faults::spoil_links(FaultKind kind, Duration span) {
    if (fleet_.size() < 2) {
        return false;
    }
    sim::Host* const victim = fleet_.at(choose_place()).host;
    sim::LinkOptions bad;
    switch (kind) {
        case FaultKind::kSlowLink:
            bad.latency = {some(10, 50), some(50, 300)};
            bad.bandwidth = random_.chance(1, 2) ? random_.between(20'000, 1'000'000) : 0;
            break;
        case FaultKind::kLossyLink: bad.loss = 200'000; break;
        case FaultKind::kCorruptLink: bad.corruption = 20'000; break;
        default: bad.reset = 10'000; break;
    }
    const auto set = [this, victim](const sim::LinkOptions& options) {
        for (const std::unique_ptr<Member>& other : fleet_.members()) {
            if (other->host != victim) {
                world_.link(*victim, *other->host) = options;
                world_.link(*other->host, *victim) = options;
            }
        }
    };
    set(bad);
    end_after(span, [set] { set(sim::LinkOptions()); });
    return true;
}

// ---- disks and clocks ----

void Faults::mend_disk(Member& member) {
    member.host->disk_faults() = {};
    if (std::exchange(member.disk_misbehaves, false)) {
        member.mended = world_.now();
    }
    if (member.has_failed_replica()) {
        // A log that has failed takes writes again after a restart only.
        fleet_.crash(member,
                     random_.chance(1, 2) ? sim::CrashKind::kKill : sim::CrashKind::kPowerLoss);
    }
    fleet_.start(member);
}

bool Faults::spoil_disk(FaultKind kind, Duration span) {
    Member* const member = choose(has_sound_disk);
    if (member == nullptr) {
        return false;
    }
    sim::DiskFaults& faults = member->host->disk_faults();
    member->disk_misbehaves = true;
    switch (kind) {
        case FaultKind::kSlowDisk:
            faults.slowness = static_cast<std::uint32_t>(random_.between(2, 100));
            faults.stall_chance = 20'000;
            faults.stall = some(50, 1'000);
            break;
        case FaultKind::kFullDisk: faults.capacity = random_.below(8U << 20U); break;
        case FaultKind::kFailingWrite:
            faults.on(sim::DiskCall::kWrite).nth = random_.between(1, 100);
            break;
        case FaultKind::kFailingSync:
            faults.on(sim::DiskCall::kSync).nth = random_.between(1, 30);
            break;
        default: faults.on(sim::DiskCall::kRead).nth = random_.between(1, 20); break;
    }
    end_after(span, [this, member, kind] {
        if (kind == FaultKind::kFullDisk && member->has_failed_log()) {
            fleet_.fail(member->name + " would need a restart after its disk was full");
        }
        mend_disk(*member);
    });
    return true;
}

bool Faults::jump_clock() {
    Member& member = fleet_.at(random_.below(fleet_.size()));
    if (plan_.has_expiry) {
        const auto skew = static_cast<std::uint64_t>(plan_.skew_max.count());
        member.host->set_wall_clock_skew(
            Duration(static_cast<Duration::rep>(random_.below(2 * skew + 1))) - plan_.skew_max);
        return true;
    }
    const auto jump = static_cast<std::int64_t>(random_.below(240'000)) - 120'000;
    member.host->jump_wall_clock(std::chrono::milliseconds(jump));
    return true;
}

// ---- operators ----

bool Faults::restart_all() {
    if (is_restarting_) {
        return false;
    }
    is_restarting_ = true;
    restart_next(0);
    return true;
}

// Goes on when the node before is up again, or after a while without it.
void Faults::restart_next(std::size_t number) {
    if (is_over_ || number == fleet_.size()) {
        is_restarting_ = false;
        return;
    }
    Member& member = fleet_.at(number);
    if (is_up(member)) {
        fleet_.stop(member);
    }
    world_.after(some(1'000, 6'000), [this, &member, number] {
        fleet_.start(member);
        world_.after(some(1'000, 4'000), [this, number] { restart_next(number + 1); });
    });
}

// Loses what a node has promised, wholly or by a bit, after a graceful stop: the last record of a
// log that was not ended looks like one half written when a bit of it flips.
bool Faults::replace_disk(FaultKind kind, Duration span) {
    Member* const member = choose(has_sound_disk);
    if (member == nullptr || disks_left_ == 0 || !fleet_.all_up()) {
        return false;
    }
    --disks_left_;
    ++member->holds;
    member->is_damaged = true;
    fleet_.stop(*member);
    end_after(std::max(span, Duration(std::chrono::seconds(8))), [this, member] {
        --member->holds;
        fleet_.start(*member);
    });
    world_.after(std::chrono::seconds(6), [this, member, kind, epoch = epoch_] {
        if (epoch != epoch_ || member->state != Member::State::kDown) {
            return;
        }
        if (kind == FaultKind::kWipe) {
            fleet_.wipe(*member);
            return;
        }
        const auto place = member->host->flip_random_bit();
        if (place.ok()) {
            log_info("simulation: flipped a bit", {{"place", *place}});
        }
    });
    return true;
}

bool Faults::send_away(FaultKind kind, Duration span) {
    Member* const member = choose(is_up);
    if (member == nullptr || (member->was_sent_away && !member->is_wanted_back)) {
        return false;
    }
    const bool is_asked =
        kind == FaultKind::kDrain ? operators_.drain(*member) : operators_.decommission(*member);
    if (is_asked) {
        end_after(3 * span, [member] { Operators::take_back(*member); });
    }
    return is_asked;
}

// ---- the end ----

void Faults::heal() {
    is_over_ = true;
    ++epoch_;
    active_count_ = 0;
    world_.heal_all();
    for (const std::unique_ptr<Member>& from : fleet_.members()) {
        for (const std::unique_ptr<Member>& to : fleet_.members()) {
            world_.link(*from->host, *to->host) = sim::LinkOptions();
        }
    }
    for (const std::unique_ptr<Member>& member : fleet_.members()) {
        fleet_.resume(*member);
        member->host->crash_at_change(0);
        member->holds = 0;
        mend_disk(*member);
        // A call that had begun by then may fail yet.
        world_.after(Fleet::kLastCalls, [this, &each = *member] { mend_disk(each); });
        Operators::take_back(*member);
    }
}

}  // namespace kvstore::simulation::internal
