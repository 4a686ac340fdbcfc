#include "simulation/simulation.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "history/expiry.h"
#include "history/verify.h"
#include "sim/world.h"
#include "simulation/internal/clients.h"
#include "simulation/internal/faults.h"
#include "simulation/internal/fleet.h"
#include "simulation/internal/keyspaces.h"
#include "simulation/internal/operators.h"
#include "simulation/internal/plan.h"
#include "simulation/internal/replica_watch.h"

namespace kvstore::simulation {
namespace {

using history::OperationKind;
using history::Outcome;
using internal::Answer;
using internal::draw_plan;
using internal::Member;

constexpr Duration kStartPatience = std::chrono::seconds(30);
// A node that lost its disk joins again when its name is free: others find it dead first.
constexpr Duration kRejoinPatience = std::chrono::minutes(3);
constexpr Duration kAnswerPatience = std::chrono::seconds(30);
constexpr Duration kQuietPatience = std::chrono::seconds(30);
constexpr Duration kProbePause = std::chrono::milliseconds(100);
constexpr std::uint32_t kReadsAtOnce = 16;

std::uint32_t draw_nodes(Random& random) {
    const std::uint64_t dice = random.below(10);
    return dice < 6   ? 3U
           : dice < 8 ? 5U
           : dice < 9 ? 4U
                      : static_cast<std::uint32_t>(random.between(1, kNodesMax));
}

// How many of the nodes are not there from the beginning.
std::uint32_t draw_joiners(Random& random, std::uint32_t nodes) {
    return nodes > 1 && random.chance(1, 4)
               ? static_cast<std::uint32_t>(random.between(1, nodes - 1))
               : 0U;
}

history::Operation question_of(OperationKind kind, Bytes key) {
    history::Operation question;
    question.kind = kind;
    question.key = std::move(key);
    return question;
}

class Run {
public:
    Run(std::uint64_t seed, const Options& options, Progress progress)
        : options_(options),
          progress_(std::move(progress)),
          random_(seed ^ 0xc1a57e25ULL),
          plan_(draw_plan(random_, options)),
          world_(seed, {.clock_skew_max = plan_.skew_max}),
          node_count_(options.nodes != 0 ? options.nodes : draw_nodes(random_)),
          joiner_count_(draw_joiners(random_, node_count_)),
          fleet_(world_, random_, node_count_ - joiner_count_, joiner_count_),
          keyspaces_(world_, fleet_, plan_.keyspaces),
          operators_(world_, fleet_, random_),
          clients_(world_, fleet_, random_, options, plan_),
          faults_(world_, fleet_, operators_, random_, plan_) {}

    Report run() {
        begin_ = world_.now();
        look();
        bool goes_on = start_all();
        if (goes_on) {
            keyspaces_.start();
            clients_.start();
            faults_.start();
            plan_growth();
            goes_on = run_for(options_.length);
        }
        goes_on = goes_on && recover() && end_clients() && read_everything() && settle();
        if (goes_on) {
            judge();
        }
        fill_report();
        return std::move(report_);
    }

private:
    void fail(const std::string& what) {
        if (report_.violation.empty()) {
            const auto since =
                std::chrono::duration_cast<std::chrono::milliseconds>(world_.now() - begin_);
            report_.violation = "after " + std::to_string(since.count()) + " ms: " + what;
        }
    }
    [[nodiscard]] bool has_failed() const {
        return !report_.violation.empty() || !fleet_.failure().empty();
    }

    // For the length of the run.
    void look() {
        fleet_.look();
        const std::string difference = watch_.look(fleet_);
        if (!difference.empty()) {
            fail(difference);
        }
        if (progress_ && world_.now() - told_ >= std::chrono::seconds(1)) {
            told_ = world_.now();
            progress_(world_.now() - begin_, options_.length);
        }
        world_.after(internal::Fleet::kLookInterval, [this] { look(); });
    }

    // False when something has failed meanwhile.
    bool run_for(Duration span) {
        const MonotonicTime end = world_.now() + span;
        world_.run_until([&] { return has_failed() || world_.now() >= end; }, span);
        return !has_failed();
    }
    template <typename Done>
    bool wait(Done done, Duration patience, const char* otherwise) {
        world_.run_until([&] { return has_failed() || done(); }, patience);
        if (!has_failed() && !done()) {
            fail(otherwise);
        }
        return !has_failed();
    }

    bool start_all() {
        for (const auto& member : fleet_.members()) {
            world_.after(std::chrono::milliseconds(random_.below(1'000)),
                         [this, &member = *member] { fleet_.start(member); });
        }
        return wait([this] { return fleet_.all_up(); }, kStartPatience, "the cluster did not form");
    }

    // In the first half, so that what follows from it is under faults too.
    void plan_growth() {
        for (std::uint32_t i = 0; i < joiner_count_; ++i) {
            const auto half = static_cast<std::uint64_t>(options_.length.count() / 2);
            world_.after(Duration(static_cast<Duration::rep>(random_.below(half + 1))),
                         [this] { fleet_.grow(); });
        }
    }

    // ---- healing ----

    // Writes and reads through the member until both are done.
    void probe(Member& member, OperationKind kind, std::uint32_t* served) {
        if (has_failed()) {
            return;
        }
        if (!member.is_up()) {
            fleet_.start(member);
            world_.after(kProbePause,
                         [this, &member, kind, served] { probe(member, kind, served); });
            return;
        }
        history::Operation question = question_of(kind, "healed." + member.name);
        if (kind == OperationKind::kWrite) {
            question.argument = Bytes(std::to_string(++probe_count_));
        }
        clients_.ask(
            member, std::move(question), [this, &member, kind, served](const Answer& answer) {
                if (answer.outcome == Outcome::kOk && kind == OperationKind::kRead) {
                    ++*served;
                    return;
                }
                const auto next =
                    answer.outcome == Outcome::kOk ? OperationKind::kRead : OperationKind::kWrite;
                world_.after(kProbePause,
                             [this, &member, next, served] { probe(member, next, served); });
            });
    }

    bool recover() {
        log_info("simulation: healed", {});
        faults_.heal();
        const MonotonicTime healed = world_.now();
        std::uint32_t rejoining = 0;
        for (const auto& member : fleet_.members()) {
            const bool is_new = member->was_sent_away ||
                                (!member->is_up() && (member->is_damaged || member->is_joiner()));
            rejoining += is_new ? 1U : 0U;
            probe(*member, OperationKind::kWrite, is_new ? &rejoined_ : &served_);
        }
        const auto others = static_cast<std::uint32_t>(fleet_.size()) - rejoining;
        if (!wait([&] { return served_ == others; },
                  options_.recovery_max,
                  "not every node served a write and a read in time after the last fault")) {
            return false;
        }
        report_.longest_recovery = world_.now() - healed;
        return wait([&] { return rejoined_ == rejoining && keyspaces_.are_made(); },
                    kRejoinPatience,
                    "a node that joins, or lost its disk, did not serve in time");
    }

    bool end_clients() {
        clients_.stop();
        return wait([this] { return clients_.is_idle(); },
                    kAnswerPatience,
                    "a client was not answered after everything was healed");
    }

    // ---- the end ----

    // Linearizable reads of every key, through one node after another.
    bool read_everything() {
        unread_ = clients_.keys();
        for (std::uint32_t i = 0; i < kReadsAtOnce; ++i) {
            read_next();
        }
        return wait([this] { return unread_.empty() && reading_ == 0; },
                    std::chrono::minutes(5),
                    "not every key could be read after everything was healed");
    }
    void read_next() {
        if (unread_.empty() || has_failed()) {
            return;
        }
        Bytes key = std::move(unread_.back());
        unread_.pop_back();
        ++reading_;
        Member& member = fleet_.at(++read_count_ % fleet_.size());
        if (!member.is_up()) {
            if (member.was_sent_away) {
                read_again(key);
            } else {
                fail(member.name + " went down by itself");
            }
            return;
        }
        clients_.ask(
            member, question_of(OperationKind::kRead, key), [this, key](const Answer& answer) {
                if (answer.outcome != Outcome::kOk) {
                    read_again(key);
                    return;
                }
                --reading_;
                read_next();
            });
    }

    void read_again(const Bytes& key) {
        --reading_;
        unread_.push_back(key);
        world_.after(kProbePause, [this] { read_next(); });
    }

    bool settle() {
        std::string unsettled;
        world_.run_until(
            [&] {
                unsettled = internal::ReplicaWatch::find_unsettled(fleet_);
                return has_failed() || unsettled.empty();
            },
            kQuietPatience);
        if (!unsettled.empty()) {
            fail("replicas did not settle after everything was healed: " + unsettled);
        }
        return !has_failed();
    }

    void judge() {
        const std::string damaged = internal::ReplicaWatch::verify(fleet_);
        if (!damaged.empty()) {
            fail(damaged);
        }
        const std::string difference = watch_.look(fleet_);
        if (!difference.empty()) {
            fail(difference);
        }
        history::VerifyOptions options;
        options.staleness_max = clients_.staleness_max();
        judged_ = history::with_expiries(
            clients_.history(),
            plan_.skew_max > Duration(0) ? history::Clocks::kDiffer : history::Clocks::kAgree);
        const history::Verification verification = history::verify(judged_, options);
        explain("linearizability", verification.linearizability);
        explain("durability", verification.durability);
        explain("counters", verification.counters);
        explain("sessions", verification.sessions);
        explain("weak reads", verification.weak_reads);
        explain("expiry", verification.expiry);
    }

    void explain(const std::string& check, const history::CheckReport& checked) {
        report_.keys_undecided += checked.undecided.size();
        if (checked.violations.empty()) {
            return;
        }
        const history::Violation& violation = checked.violations.front();
        std::string text = check + " of key '" + violation.key + "': " + violation.reason;
        for (const std::size_t place : violation.window) {
            const history::Operation& operation = judged_[place];
            const auto us = [this](MonotonicTime time) {
                return std::to_string((time - begin_) / std::chrono::microseconds(1));
            };
            text += "\n  client " + std::to_string(operation.client.value());
            if (operation.node) {
                text += " at n" + std::to_string(operation.node->value());
            }
            text += ", " + us(operation.called) + " to " +
                    (operation.outcome == Outcome::kOk ? us(operation.returned) : "?") + " us: ";
            if (operation.consistency) {
                text += std::string(history::consistency_name(*operation.consistency)) + " ";
            }
            text += history::operation_text(operation);
            if (operation.expiry) {
                text += ", until " + us(operation.expiry->earliest) + " to " +
                        (operation.expiry->latest == MonotonicTime::max()
                             ? "?"
                             : us(operation.expiry->latest)) +
                        " us";
            }
            if (place == violation.culprit) {
                text += "   <-- cannot be explained";
            }
        }
        fail(text);
    }

    void fill_report() {
        if (report_.violation.empty() && !fleet_.failure().empty()) {
            fail(fleet_.failure());
        }
        std::uint64_t hash = world_.trace_hash();
        for (const history::Operation& operation : clients_.history()) {
            switch (operation.outcome) {
                case Outcome::kOk: ++report_.operations_ok; break;
                case Outcome::kFailed: ++report_.operations_failed; break;
                case Outcome::kUnknown: ++report_.operations_unknown; break;
            }
            hash = mix64(hash ^
                         static_cast<std::uint64_t>(operation.returned.time_since_epoch().count()));
            hash = mix64(std::rotl(hash, 7) ^ static_cast<std::uint64_t>(operation.outcome));
            if (operation.observed && *operation.observed) {
                hash = hash64(**operation.observed, hash);
            }
        }
        report_.trace_hash = hash;
        report_.nodes = static_cast<std::uint32_t>(fleet_.size());
        report_.virtual_time = world_.now() - begin_;
        report_.faults = faults_.counts();
        report_.elections = fleet_.elections();
        report_.starts = fleet_.start_count();
        report_.refused_starts = fleet_.refused_start_count();
        report_.digests_compared = watch_.compared_count();
    }

    Options options_;
    Progress progress_;
    Random random_;
    internal::Plan plan_;
    sim::World world_;
    std::uint32_t node_count_;
    std::uint32_t joiner_count_;
    internal::Fleet fleet_;
    internal::Keyspaces keyspaces_;
    internal::Operators operators_;
    internal::Clients clients_;
    internal::Faults faults_;
    internal::ReplicaWatch watch_;
    MonotonicTime begin_;
    MonotonicTime told_;
    std::uint64_t probe_count_ = 0;
    std::uint32_t served_ = 0;
    std::uint32_t rejoined_ = 0;
    std::vector<Bytes> unread_;
    std::uint32_t reading_ = 0;
    std::size_t read_count_ = 0;
    history::History judged_;
    Report report_;
};

}  // namespace

Report run(std::uint64_t seed, const Options& options, Progress progress) {
    // What crashed nodes left behind may refer to the world: it is buried with them.
    auto run = std::make_shared<Run>(seed, options, std::move(progress));
    Report report = run->run();
    sim::internal::bury(std::move(run));
    return report;
}

}  // namespace kvstore::simulation
