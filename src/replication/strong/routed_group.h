// The way to a shard from this node, for those who do not care where it is: what the replica here
// may not propose, or where there is none, is proposed where the leader is, and the outcome comes
// back as if it had been here.
//
// How the order of commands is kept:
//   - each carries the term in which its sender believes, and the leader of another term refuses
//     it. So of a row that went to one leader, those behind one that was refused for its term are
//     refused too;
//   - one that was refused waits until those behind it have been told, and is tried again only when
//     none of them can have been applied;
//   - while commands are under way to one leader, others do not go to the next one, for some time:
//     then those are given up, which means that they are not tried again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "async/scheduler.h"
#include "async/sync.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "replication/group.h"
#include "replication/strong/leader_finder.h"
#include "replication/strong/raft_group.h"
#include "rpc/transport.h"

namespace kvstore::replication {

// Lifetime    Owned by the core's routes. finish() before destruction, or is_idle().
// Runs on     One core.
// Invariants  commands that wait, or may be tried again, are in the order in which they were
//             proposed, and nothing overtakes them
class RoutedGroup final : public Group, private LeaderWatcher, private async::TurnEndHook {
public:
    RoutedGroup(RouteShared& shared, ShardId shard);
    RoutedGroup(const RoutedGroup&) = delete;
    RoutedGroup& operator=(const RoutedGroup&) = delete;
    ~RoutedGroup() override;

    // ---- Group ----

    [[nodiscard]] bool has_replica() const override { return replica_ != nullptr; }
    Status propose(const mvcc::Operation& operation, Proposal* proposal) override;
    Status propose(const mvcc::Command& command, Proposal* proposal) override;
    async::Task<Result<Bytes>> ask(Bytes request, AskWhom whom, async::Deadline deadline) override;
    [[nodiscard]] bool can_read_now() const override {
        return replica_ != nullptr && replica_->can_read_now();
    }
    async::Task<Status> read_barrier(async::Deadline deadline) override;
    [[nodiscard]] Duration staleness() const override {
        return replica_ != nullptr ? replica_->staleness() : Duration::max();
    }
    async::Task<Status> wait_applied(Revision revision, async::Deadline deadline) override;
    [[nodiscard]] mvcc::Shard& shard() override;
    [[nodiscard]] async::Gate& gate() override;
    void note_damage(const Status& why) override;
    [[nodiscard]] const Status& health() const override;
    [[nodiscard]] bool has_sound_state() const override {
        return replica_ == nullptr || replica_->has_sound_state();
    }

    // ---- for the routes ----

    // The replica on this node, which takes part in its group already; null: there is none (any
    // more). What is under way in the one before is told by it.
    void set_replica(RaftGroup* replica);
    [[nodiscard]] RaftGroup* replica() const { return replica_; }
    // Why the replica that should be here is none: the answer where no other node has one.
    void set_damage(Status why) { damage_ = std::move(why); }

    // Tries again what waits for a leader, and gives up what has waited too long.
    void tick();
    // Refuses what waits, and what comes.
    void refuse();
    // Nothing is under way.
    [[nodiscard]] bool is_idle() const;
    // Requires: refuse() was called, and ticks go on.
    // Suspends: until what is under way has been told, or `deadline`; what is left then is told as
    //           unknown. A little longer while somebody asks.
    async::Task<void> finish(async::Deadline deadline);

private:
    class Forward;
    class Question;
    struct Asked;
    using Forwards = std::map<std::uint64_t, std::unique_ptr<Forward>>;  // by their numbers

    // How long a command waits for a leader to be known and reached, and a question for an answer.
    static constexpr Duration kPatience = std::chrono::seconds(5);
    // How long the leader has for its outcome, which it tells much sooner, whatever happens to it.
    static constexpr Duration kAnswerPatience = std::chrono::seconds(15);
    // How long commands under way to one leader hold up those for the next, and how long it has to
    // answer once another leads: one that handed over answers at once.
    static constexpr Duration kTurnPatience = std::chrono::milliseconds(500);
    // How long one node has for an answer before another is asked.
    static constexpr Duration kAskPatience = std::chrono::seconds(2);
    static constexpr std::size_t kForwardOverhead = 256;  // of bytes, beside its command's

    // ---- commands ----
    [[nodiscard]] bool leads_here() const;
    Status forward(Bytes command, Proposal* proposal);
    [[nodiscard]] Status check_somewhere();
    void on_leader_change() override;
    void push_soon();
    void run_at_turn_end() override { push_on(); }
    void push_on();
    [[nodiscard]] bool may_go_to(const KnownLeader& leader);
    bool start_first(const KnownLeader& leader);
    void propose_here(const Forward& forward);
    void on_answer(std::uint64_t number, ByteView answer);
    void on_failed(std::uint64_t number, const Status& why);
    void settle(std::uint64_t number);
    std::unique_ptr<Forward> take(Forwards& from, std::uint64_t number);
    // Fails those that wait with numbers below this.
    void fail_waiting(std::uint64_t below, const Status& why);
    void fail_impatient();
    void look_after_those_under_way();
    void give_up(const KnownLeader& newer);

    // ---- questions ----
    async::Task<Result<Bytes>> ask_inside(Bytes request, AskWhom whom, async::Deadline deadline);
    [[nodiscard]] std::optional<KnownLeader> choose_node(AskWhom whom);
    async::Task<Result<Bytes>> ask_node(KnownLeader to, Bytes* request, async::Deadline deadline);
    // Lets go those who ask a leader that another has followed.
    void give_up_questions();

    RouteShared& shared_;
    ShardId shard_;
    RaftGroup* replica_ = nullptr;
    // The same when there are no other nodes: everything goes straight to it.
    RaftGroup* only_replica_ = nullptr;
    Status damage_;
    LeaderFinder finder_;

    Forwards waiting_;
    Forwards under_way_;
    std::uint64_t next_number_ = 1;
    // Commands with lower numbers are not tried again: one behind them may have been applied.
    std::uint64_t settled_below_ = 0;
    std::optional<KnownLeader> heading_;      // where those under way went, not given up
    std::optional<MonotonicTime> turned_at_;  // since when the next ones would go elsewhere
    // Since when a newer leader is known than the one to which commands are under way.
    std::optional<MonotonicTime> overtaken_at_;
    Bytes scratch_;

    std::size_t next_replica_ = 0;               // to ask
    std::vector<std::shared_ptr<Asked>> asked_;  // a leader
    async::Event progress_;                      // another leader may be known, or time has passed
    async::Gate asking_;
    async::Gate no_replica_gate_;  // closed
    bool is_refusing_ = false;
};

}  // namespace kvstore::replication
