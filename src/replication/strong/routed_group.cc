#include "replication/strong/routed_group.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/planted_bug.h"
#include "replication/strong/forward_codec.h"
#include "replication/strong/outcome_codec.h"
#include "wire/topics.h"

namespace kvstore::replication {
namespace {

Status stopping() {
    return {Code::kUnavailable, "the server is stopping"};
}

// What a proposer is told: that another node leads, or was too slow, is no business of his.
Status as_told(const Status& why) {
    if (why.code() == Code::kNotLeader || why.code() == Code::kDeadlineExceeded) {
        return {Code::kUnavailable, why.effect(), std::string(why.message())};
    }
    return why;
}

bool is_passing(const Status& why) {
    return why.code() == Code::kNotLeader || why.code() == Code::kUnavailable;
}

}  // namespace

// One command that waits for a leader, or is on its way to one.
class RoutedGroup::Forward final : public rpc::CallSink {
public:
    Forward(RoutedGroup* group, Proposal* its_proposal, Bytes its_command, MonotonicTime at)
        : proposal(its_proposal), command(std::move(its_command)), give_up(at), group_(group) {}
    virtual ~Forward() = default;

    void on_answer(rpc::Received answer) override {
        if (group_ != nullptr) {
            group_->on_answer(number, answer.bytes);
        } else {
            delete this;
        }
    }
    void on_failed(const Status& why) override {
        if (group_ != nullptr) {
            group_->on_failed(number, why);
        } else {
            delete this;
        }
    }
    // Its group is gone, and the answer is still to come: it owns itself from now on.
    static void orphan(std::unique_ptr<Forward> forward) { forward.release()->group_ = nullptr; }

    void fail(const Status& why) {
        if (proposal != nullptr) {
            proposal->on_failed(as_told(why));
        }
    }

    std::uint64_t number = 0;
    Proposal* proposal;
    Bytes command;
    MonotonicTime give_up;
    KnownLeader sent_to{};
    MonotonicTime sent_at{};

private:
    RoutedGroup* group_;
};

RoutedGroup::RoutedGroup(RouteShared& shared, ShardId shard)
    : shared_(shared),
      shard_(shard),
      finder_(shared, shard, [this] { on_leader_change(); }),
      progress_(shared.env.scheduler),
      asking_(shared.env.scheduler),
      no_replica_gate_(shared.env.scheduler) {
    async::spawn(no_replica_gate_.close());
}

RoutedGroup::~RoutedGroup() {
    KVSTORE_ASSERT(waiting_.empty());
    KVSTORE_ASSERT(under_way_.empty());
    set_replica(nullptr);
}

void RoutedGroup::set_replica(RaftGroup* replica) {
    if (replica_ != nullptr) {
        replica_->set_leader_watcher(nullptr);
    }
    replica_ = replica;
    only_replica_ = shared_.transport == nullptr ? replica : nullptr;
    finder_.set_replica(replica);
    if (replica != nullptr) {
        replica->set_leader_watcher(this);
    }
    push_soon();
}

// ---- the replica ----

async::Task<Status> RoutedGroup::read_barrier(async::Deadline deadline) {
    if (replica_ == nullptr) {
        co_return Status(Code::kUnavailable, "this node has no replica of the shard");
    }
    co_return co_await replica_->read_barrier(deadline);
}

async::Task<Status> RoutedGroup::wait_applied(Revision revision, async::Deadline deadline) {
    if (replica_ == nullptr) {
        co_return Status(Code::kUnavailable, "this node has no replica of the shard");
    }
    co_return co_await replica_->wait_applied(revision, deadline);
}

mvcc::Shard& RoutedGroup::shard() {
    KVSTORE_ASSERT(replica_ != nullptr);
    return replica_->shard();
}

async::Gate& RoutedGroup::gate() {
    return replica_ != nullptr ? replica_->gate() : no_replica_gate_;
}

void RoutedGroup::note_damage(const Status& why) {
    if (replica_ != nullptr) {
        replica_->note_damage(why);
    }
}

const Status& RoutedGroup::health() const {
    static const Status kNothingWrong;
    return replica_ != nullptr ? replica_->health() : kNothingWrong;
}

// ---- commands ----

// Those that still may be tried again come first.
bool RoutedGroup::leads_here() const {
    const bool is_free =
        waiting_.empty() && (under_way_.empty() || under_way_.rbegin()->first < settled_below_);
    return is_free && replica_ != nullptr && replica_->takes_proposals();
}

Status RoutedGroup::propose(const mvcc::Operation& operation, Proposal* proposal) {
    if (only_replica_ != nullptr) {
        return only_replica_->propose(operation, proposal);
    }
    if (leads_here()) {
        return replica_->propose(operation, proposal);
    }
    Bytes command;
    mvcc::encode_command(Version(), operation, command);
    return forward(std::move(command), proposal);
}

Status RoutedGroup::propose(const mvcc::Command& command, Proposal* proposal) {
    if (only_replica_ != nullptr) {
        return only_replica_->propose(command, proposal);
    }
    if (leads_here()) {
        return replica_->propose(command, proposal);
    }
    Bytes encoded;
    mvcc::encode_command(command, encoded);
    return forward(std::move(encoded), proposal);
}

Status RoutedGroup::forward(Bytes command, Proposal* proposal) {
    if (is_refusing_) {
        return stopping();
    }
    KVSTORE_CHECK_OK(check_somewhere());
    if (shared_.transport == nullptr) {
        return {Code::kUnavailable, "this node has no replica of the shard, and knows no other"};
    }
    const std::size_t size = command.size() + kForwardOverhead;
    if (shared_.bytes + size > shared_.bytes_max) {
        return {Code::kOverloaded, "too many writes wait for other nodes; try again"};
    }
    shared_.bytes += size;
    auto added = std::make_unique<Forward>(
        this, proposal, std::move(command), shared_.env.clock.now() + kPatience);
    added->number = next_number_++;
    waiting_.emplace(added->number, std::move(added));
    push_soon();
    return {};
}

// Errors: kCorruption: the only replica is damaged.
Status RoutedGroup::check_somewhere() {
    const bool is_lost = replica_ == nullptr && !damage_.ok() && shared_.others(shard_).empty();
    return is_lost ? Status(damage_.code(), Effect::kNone, std::string(damage_.message()))
                   : Status();
}

std::unique_ptr<RoutedGroup::Forward> RoutedGroup::take(Forwards& from, std::uint64_t number) {
    auto node = from.extract(number);
    KVSTORE_ASSERT(!node.empty());
    shared_.bytes -= node.mapped()->command.size() + kForwardOverhead;
    return std::move(node.mapped());
}

void RoutedGroup::on_leader_change() {
    progress_.set();
    give_up_questions();
    push_soon();
}

void RoutedGroup::push_soon() {
    if (shared_.transport != nullptr) {
        shared_.env.scheduler.at_turn_end(*this, Phase::kPropose);
    }
}

// Sends what may go, in order. Who is told of an outcome meanwhile may propose more.
void RoutedGroup::push_on() {
    fail_waiting(settled_below_,
                 {Code::kUnavailable, "the leader refused it, and has taken a later command"});
    while (!waiting_.empty()) {
        const std::optional<KnownLeader> leader = finder_.find();
        if (!leader) {
            finder_.look_up();
            return;
        }
        if (!may_go_to(*leader) || !start_first(*leader)) {
            return;
        }
    }
}

// Whether the first that waits may be sent there now.
bool RoutedGroup::may_go_to(const KnownLeader& leader) {
    const std::uint64_t first = waiting_.begin()->first;
    if (!under_way_.empty() && under_way_.rbegin()->first > first) {
        return false;  // it was refused, and those behind it may not have been
    }
    const bool is_alone = under_way_.empty() || under_way_.rbegin()->first < settled_below_;
    if (!is_alone && heading_ != leader) {
        const MonotonicTime now = shared_.env.clock.now();
        if (!turned_at_) {
            turned_at_ = now;
        }
        if (now - *turned_at_ < kTurnPatience) {
            return false;
        }
        settled_below_ = first;
    }
    turned_at_.reset();
    heading_ = leader;
    return true;
}

// Returns: false when it has to wait.
bool RoutedGroup::start_first(const KnownLeader& leader) {
    Forward& first = *waiting_.begin()->second;
    if (leader.node == shared_.self) {
        const std::unique_ptr<Forward> taken = take(waiting_, first.number);
        propose_here(*taken);
        return true;
    }
    scratch_.clear();
    encode_forward_request({.kind = ForwardKind::kPropose,
                            .shard = shard_,
                            .term = leader.term,
                            .body = first.command},
                           scratch_);
    const async::Deadline deadline{.at = shared_.env.clock.now() + kAnswerPatience};
    const Status started =
        shared_.transport->start_call(leader.node, wire::kForwardTopic, scratch_, deadline, &first);
    if (started.ok()) {
        first.sent_to = leader;
        first.sent_at = shared_.env.clock.now();
        under_way_.insert(waiting_.extract(waiting_.begin()));
        return true;
    }
    if (started.code() == Code::kTooLarge) {
        take(waiting_, first.number)->fail(started);
        return true;
    }
    finder_.note_lost(leader);
    return false;
}

void RoutedGroup::propose_here(const Forward& forward) {
    mvcc::Command command;
    Status taken = mvcc::decode_command(forward.command, command);
    if (taken.ok()) {
        taken = replica_->propose(command, forward.proposal);
    }
    if (!taken.ok() && forward.proposal != nullptr) {
        forward.proposal->on_failed(as_told(taken));
    }
}

void RoutedGroup::on_answer(std::uint64_t number, ByteView answer) {
    const std::unique_ptr<Forward> taken = take(under_way_, number);
    settle(number);
    const Status told = replay_outcome(answer, taken->proposal);
    if (!told.ok()) {
        taken->fail(told.with_unknown_effect());
    }
}

void RoutedGroup::on_failed(std::uint64_t number, const Status& why) {
    const Forward& failed = *under_way_.at(number);
    if (why.code() == Code::kNotLeader) {
        finder_.note_refused(failed.sent_to);
    } else if (why.code() == Code::kUnavailable || why.code() == Code::kDeadlineExceeded) {
        finder_.note_lost(failed.sent_to);
    }
    const bool is_undone =
        why.effect() == Effect::kNone || planted_bug(PlantedBug::kRouteRetriesUnknown);
    const bool may_try_again = is_undone && is_passing(why) && !is_refusing_ &&
                               number >= settled_below_ && shared_.env.clock.now() < failed.give_up;
    if (may_try_again) {
        waiting_.insert(under_way_.extract(number));
        // Where it was unavailable it is not asked again before the next tick.
        if (why.code() == Code::kNotLeader) {
            push_soon();
        }
        return;
    }
    const std::unique_ptr<Forward> taken = take(under_way_, number);
    settle(why.effect() == Effect::kUnknown ? number : 0);
    taken->fail(why);
}

// One that was under way has been told: this one and those before it are not tried again; 0: none
// of them is done.
void RoutedGroup::settle(std::uint64_t number) {
    settled_below_ = std::max(settled_below_, number);
    push_soon();
    if (is_refusing_) {
        progress_.set();
    }
}

void RoutedGroup::fail_waiting(std::uint64_t below, const Status& why) {
    while (!waiting_.empty() && waiting_.begin()->first < below) {
        take(waiting_, waiting_.begin()->first)->fail(why);
    }
}

void RoutedGroup::fail_impatient() {
    const MonotonicTime now = shared_.env.clock.now();
    while (!waiting_.empty() && waiting_.begin()->second->give_up <= now) {
        take(waiting_, waiting_.begin()->first)
            ->fail({Code::kUnavailable, "no leader of the shard could be reached"});
    }
}

// A leader that was cut off answers nothing for seconds, while another has long taken over.
void RoutedGroup::look_after_those_under_way() {
    if (under_way_.empty()) {
        overtaken_at_.reset();
        return;
    }
    const Forward& first = *under_way_.begin()->second;
    const MonotonicTime now = shared_.env.clock.now();
    if (now - first.sent_at > kTurnPatience) {
        finder_.look_up();
    }
    const std::optional<KnownLeader> leader = finder_.find();
    if (!leader || leader->term <= first.sent_to.term) {
        overtaken_at_.reset();
        return;
    }
    overtaken_at_ = overtaken_at_.value_or(now);
    if (now - *overtaken_at_ >= kTurnPatience) {
        overtaken_at_.reset();
        give_up(*leader);
    }
}

// Tells what is under way to leaders before this one as unknown.
void RoutedGroup::give_up(const KnownLeader& newer) {
    std::vector<Proposal*> lost;
    while (!under_way_.empty() && under_way_.begin()->second->sent_to.term < newer.term) {
        std::unique_ptr<Forward> left = take(under_way_, under_way_.begin()->first);
        settle(left->number);
        if (Proposal* const proposal = std::exchange(left->proposal, nullptr)) {
            lost.push_back(proposal);
        }
        Forward::orphan(std::move(left));
    }
    for (Proposal* const proposal : lost) {
        proposal->on_failed(Status(Code::kUnavailable, "the leader was replaced before it answered")
                                .with_unknown_effect());
    }
}

// ---- questions ----

// One question on its way to a leader.
struct RoutedGroup::Asked {
    Asked(async::Scheduler& scheduler, KnownLeader whom, MonotonicTime now)
        : told(scheduler), to(whom), at(now) {}
    async::OneShot<Result<Bytes>> told;
    KnownLeader to;
    MonotonicTime at;
};

// Owns itself until it is told, which may be after nobody waits any more.
class RoutedGroup::Question final : public rpc::CallSink {
public:
    explicit Question(const std::shared_ptr<Asked>& asked) : asked_(asked) {}
    virtual ~Question() = default;

    void on_answer(rpc::Received answer) override { tell(Bytes(answer.bytes)); }
    void on_failed(const Status& why) override { tell(why); }

private:
    void tell(Result<Bytes> answer) {
        const std::unique_ptr<Question> self(this);
        if (const auto asked = asked_.lock(); asked != nullptr && !asked->told.is_set()) {
            asked->told.set(std::move(answer));
        }
    }

    std::weak_ptr<Asked> asked_;
};

async::Task<Result<Bytes>> RoutedGroup::ask_node(KnownLeader to,
                                                 Bytes* request,
                                                 async::Deadline deadline) {
    auto asked = std::make_shared<Asked>(shared_.env.scheduler, to, shared_.env.clock.now());
    auto question = std::make_unique<Question>(asked);
    KVSTORE_CO_CHECK_OK(shared_.transport->start_call(
        to.node, wire::kForwardTopic, *request, deadline, question.get()));
    question.release();
    asked_.push_back(asked);
    Result<Bytes> answer = co_await asked->told;
    std::erase(asked_, asked);
    co_return answer;
}

void RoutedGroup::give_up_questions() {
    const std::optional<KnownLeader> leader = asked_.empty() ? std::nullopt : finder_.find();
    if (!leader) {
        return;
    }
    for (const std::shared_ptr<Asked>& asked : asked_) {
        // One without a term was asked as any replica.
        if (asked->to.term != Term() && asked->to.term < leader->term && !asked->told.is_set()) {
            asked->told.set(Status(Code::kUnavailable, "another node has become the leader"));
        }
    }
}

async::Task<Result<Bytes>> RoutedGroup::ask(Bytes request, AskWhom whom, async::Deadline deadline) {
    const std::size_t size = request.size() + kForwardOverhead;
    KVSTORE_CO_CHECK_OK(check_somewhere());
    if (shared_.transport == nullptr) {
        co_return Status(Code::kUnavailable, "there is no other node to ask");
    }
    if (shared_.bytes + size > shared_.bytes_max) {
        co_return Status(Code::kOverloaded, "too much waits for other nodes; try again");
    }
    if (is_refusing_ || !asking_.try_enter()) {
        co_return stopping();
    }
    shared_.bytes += size;
    Bytes message;
    encode_forward_request(
        {.kind = ForwardKind::kAsk, .shard = shard_, .whom = whom, .body = request}, message);
    auto answer = co_await ask_inside(std::move(message), whom, deadline);
    shared_.bytes -= size;
    asking_.leave();
    co_return answer;
}

async::Task<Result<Bytes>> RoutedGroup::ask_inside(Bytes request,
                                                   AskWhom whom,
                                                   async::Deadline deadline) {
    const MonotonicTime patience = shared_.env.clock.now() + kPatience;
    Status last(Code::kUnavailable, "no node with a replica of the shard could be reached");
    std::size_t failures = 0;
    while (!is_refusing_) {
        const MonotonicTime now = shared_.env.clock.now();
        if (deadline.has_passed(now)) {
            co_return Status(Code::kDeadlineExceeded, std::string(last.message()));
        }
        if (now >= patience) {
            co_return Status(Code::kUnavailable, std::string(last.message()));
        }
        const std::optional<KnownLeader> to = choose_node(whom);
        if (to && to->node == shared_.self) {
            co_return Status(Code::kUnavailable, "this node leads the shard itself");
        }
        if (to) {
            const async::Deadline limit{.at =
                                            std::min({deadline.at, patience, now + kAskPatience})};
            auto answer = co_await ask_node(*to, &request, limit);
            if (answer.ok()) {
                co_return answer;
            }
            last = Status(answer.status().code(), std::string(answer.status().message()));
            if (!is_passing(last) && last.code() != Code::kDeadlineExceeded) {
                co_return last;
            }
            ++failures;
            if (last.code() == Code::kNotLeader && whom == AskWhom::kLeader) {
                finder_.note_refused(*to);
                continue;
            }
            finder_.note_lost(*to);
            const std::optional<KnownLeader> newer = finder_.find();
            if (whom == AskWhom::kLeader && newer && newer->term > to->term) {
                continue;
            }
        }
        const bool has_more = whom == AskWhom::kAnyReplica && to.has_value() &&
                              failures % (shared_.others(shard_).size() + 1) != 0;
        if (!has_more && !is_refusing_) {
            progress_.reset();
            co_await progress_;
        }
    }
    co_return stopping();
}

// Whom to ask next; of a replica that does not lead without a term.
std::optional<KnownLeader> RoutedGroup::choose_node(AskWhom whom) {
    if (whom == AskWhom::kLeader) {
        std::optional<KnownLeader> leader = finder_.find();
        if (!leader) {
            finder_.look_up();
        }
        return leader;
    }
    const std::vector<NodeId> nodes = shared_.others(shard_);
    if (nodes.empty()) {
        return std::nullopt;
    }
    return KnownLeader{.node = nodes[next_replica_++ % nodes.size()], .term = Term()};
}

// ---- time and the end ----

void RoutedGroup::tick() {
    progress_.set();
    look_after_those_under_way();
    if (!asked_.empty() && shared_.env.clock.now() - asked_.front()->at > kTurnPatience) {
        finder_.look_up();
    }
    if (waiting_.empty()) {
        return;
    }
    fail_impatient();
    push_on();
}

void RoutedGroup::refuse() {
    is_refusing_ = true;
    progress_.set();
    fail_waiting(next_number_, stopping());
}

bool RoutedGroup::is_idle() const {
    return waiting_.empty() && under_way_.empty() && asking_.count() == 0;
}

async::Task<void> RoutedGroup::finish(async::Deadline deadline) {
    KVSTORE_ASSERT(is_refusing_);
    while (!under_way_.empty() && !deadline.has_passed(shared_.env.clock.now())) {
        progress_.reset();
        co_await progress_;
    }
    while (!under_way_.empty()) {
        std::unique_ptr<Forward> left = take(under_way_, under_way_.begin()->first);
        Proposal* const proposal = std::exchange(left->proposal, nullptr);
        Forward::orphan(std::move(left));
        if (proposal != nullptr) {
            proposal->on_failed(stopping().with_unknown_effect());
        }
    }
    co_await asking_.close();
}

}  // namespace kvstore::replication
