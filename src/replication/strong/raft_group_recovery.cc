// How a group comes back: what the log holds, set against what the engine holds.
#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/planted_bug.h"
#include "raft/conf_change.h"
#include "raft/configuration.h"
#include "replication/strong/awaited_proposal.h"
#include "replication/strong/raft_group.h"

namespace kvstore::replication {
namespace {

// Entries that an heir may lack. A busy follower lacks some, one whose disk is full ever more.
constexpr std::uint64_t kHeirLagMax = 256;

std::string shard_name(GroupId id) {
    return "shard " + std::to_string(id.value());
}

// The configuration after a change, without a core: for entries that are applied while the log is
// read.
Result<raft::ConfState> configuration_after(const raft::ConfState& conf,
                                            const raft::ConfChange& change) {
    KVSTORE_TRY(raft::Membership membership, raft::restore_membership(conf, {}));
    KVSTORE_CHECK_OK(raft::apply_change(membership, change, {}));
    return membership.configuration.state();
}

}  // namespace

async::Task<Result<std::unique_ptr<RaftGroup>>> RaftGroup::open(
    GroupShared* shared,
    GroupId id,
    std::unique_ptr<storage::Engine> engine,
    std::vector<NodeId> founders,
    std::uint64_t history_ms) {
    auto loaded = co_await load_group_meta(engine.get());
    auto opened = co_await mvcc::Shard::open(engine.get(), history_ms);
    if (!loaded.ok() || !opened.ok()) {
        (void)co_await engine->close();
        co_return loaded.ok() ? opened.status() : loaded.status();
    }
    std::unique_ptr<mvcc::Shard> shard = *std::move(opened);
    GroupMeta meta;
    if (loaded->has_value()) {
        meta = **std::move(loaded);
    } else if (!founders.empty()) {
        // A group begins behind a first entry that nobody wrote and that holds its configuration:
        // whoever joins is behind that, and is sent it with the state.
        std::sort(founders.begin(), founders.end());
        meta.term = Term(1);
        meta.conf.voters = std::move(founders);
        if (shard->applied_index() == Index()) {
            shard->apply_nothing(Index(1));
        }
    }
    co_return std::make_unique<RaftGroup>(
        *shared, id, std::move(engine), std::move(shard), std::move(meta));
}

// Entries at and below the applied index are the engine's already. But each ends what stood behind
// it when it was written, and the one at the applied index tells whether what follows continues the
// engine's state: after a crash in the middle of an installed snapshot it does not.
Status RaftGroup::replay_entry(const storage::LogEntry& entry) {
    const Index applied = apply_.applied();
    recovered_last_ = entry.index;
    if (entry.index <= applied) {
        if (planted_bug(PlantedBug::kGroupForgetsAppliedIndex)) {
            return shard_->apply(entry.index, peek_command(entry.data), /*sink=*/nullptr);
        }
        log_.truncate(entry.index.next());
        if (entry.index == applied) {
            is_continued_ = entry.term == apply_.meta().term;
        }
        return {};
    }
    raft::Entry copy{.term = entry.term,
                     .index = entry.index,
                     .kind = static_cast<raft::EntryKind>(entry.kind),
                     .data = arena_.copy(entry.data)};
    if (entry.kind > static_cast<std::uint8_t>(raft::EntryKind::kConfChange) ||
        (copy.kind == raft::EntryKind::kCommand && !copy.data.empty() &&
         !open_command(copy.data.view()))) {
        return {Code::kCorruption,
                shard_name(id_) + ": the entry at index " + std::to_string(entry.index.value()) +
                    " is damaged"};
    }
    if (!log_.append(std::move(copy))) {
        return {Code::kCorruption,
                shard_name(id_) + ": the log continues at index " +
                    std::to_string(entry.index.value()) + ", but the shard holds everything only " +
                    "up to " + std::to_string(log_.last_index().value()) +
                    "; entries between are missing"};
    }
    // What is known to be committed need not wait in memory for the end of the log.
    if (log_.bytes() > shared_.log_bytes_max) {
        return replay_committed(is_alone_ ? log_.last_index() : hard_.commit);
    }
    return {};
}

Status RaftGroup::replay_state(const storage::LogState& state) {
    const bool keeps_vote = !planted_bug(PlantedBug::kGroupForgetsVote);
    hard_ = {
        .term = state.term, .vote = keeps_vote ? state.vote : NodeId(), .commit = state.commit};
    return {};
}

Status RaftGroup::replay_start(Term /*term*/, Index index) {
    recovered_last_ = index;
    const Index applied = apply_.applied();
    if (index > applied) {
        return {Code::kCorruption,
                shard_name(id_) + ": the log begins after index " + std::to_string(index.value()) +
                    ", but the shard holds everything only up to " +
                    std::to_string(applied.value())};
    }
    log_.truncate(applied.next());
    is_continued_ = true;
    return {};
}

// Nothing of it counts: neither entries nor votes are this replica's.
void RaftGroup::replay_drop() {
    log_.restart(apply_.applied(), apply_.meta().term);
    hard_ = {};
    recovered_last_ = Index();
    is_continued_ = true;
}

// Applies up to `commit`, as far as the log is at hand.
Status RaftGroup::replay_committed(Index commit) {
    if (!is_continued_) {
        return {};
    }
    // With each entry: a change of membership ends being alone.
    while (apply_.applied() < log_.last_index() && (is_alone_ || apply_.applied() < commit)) {
        const raft::Entry* const entry = log_.find(apply_.applied().next());
        KVSTORE_CHECK_OK(apply_.replay(*entry).with_context(shard_name(id_)));
    }
    trim_log();
    return {};
}

async::Task<Status> RaftGroup::begin() {
    if (!is_continued_) {
        log_.restart(apply_.applied(), apply_.meta().term);
    }
    const bool is_hasty = planted_bug(PlantedBug::kGroupRecoversUncommitted);
    KVSTORE_CO_CHECK_OK(replay_committed(is_hasty ? log_.last_index() : hard_.commit));
    KVSTORE_CO_CHECK_OK(co_await shard_->finish_batch_when_ready());
    shared_.clock.restore(shard_->state().last_stamp);
    if (shared_.wal == nullptr && is_alone_) {
        is_caught_up_ = true;
        co_return Status();
    }
    // Commands that were applied without a log, and an installed snapshot, leave a hole in it.
    if (shared_.wal != nullptr && recovered_last_ != log_.last_index()) {
        KVSTORE_CO_CHECK_OK(
            shared_.wal->append_start(*this, id_, log_.start_term(), log_.start_index()));
    }
    release_log();
    make_node();
    if (is_alone_) {
        node_->campaign();
        run_soon();
    }
    co_return health_;
}

async::Task<Status> RaftGroup::wait_caught_up() {
    if (is_alone_ && !is_caught_up_ && health_.ok()) {
        co_await caught_up_;
    }
    co_return health_;
}

void RaftGroup::make_node() {
    // What is applied was committed, whatever the last state that was written says.
    hard_.commit = std::min(std::max(hard_.commit, apply_.applied()), log_.last_index());
    hard_.term = std::max(hard_.term, log_.term(log_.last_index()).value_or(Term()));
    trim_log();
    raft::Config config;
    config.group = id_;
    config.id = shared_.self;
    config.election_ticks = shared_.timing.election_ticks;
    config.heartbeat_ticks = shared_.timing.heartbeat_ticks;
    config.hibernate_after_ticks = shared_.timing.hibernate_after_ticks;
    config.seed = shared_.env.entropy.next();
    config.incarnation = shared_.incarnation;
    config.uncommitted_bytes_max = shared_.proposal_bytes_max;
    node_.emplace(
        config,
        log_,
        raft::Recovered{.hard = hard_, .conf = apply_.meta().conf, .applied = apply_.applied()});
}

// ---- membership ----

Result<raft::ConfState> RaftGroup::apply_conf_change(const raft::Entry& entry) {
    KVSTORE_TRY(const raft::ConfChange change, raft::decode_conf_change(entry.data));
    raft::ConfState conf;
    if (node_) {
        conf = node_->apply_conf_change(change);
    } else {
        KVSTORE_TRY(conf, configuration_after(apply_.meta().conf, change));
    }
    is_alone_ = GroupMeta{.term = entry.term, .conf = conf}.is_alone(shared_.self);
    for (ConfWaiter* const waiter : std::exchange(conf_waiters_, {})) {
        const bool is_done = entry.index >= waiter->proposed.first && conf.voters_outgoing.empty();
        if (entry.index == waiter->proposed.first && entry.term != waiter->proposed.term) {
            waiter->told.set(
                Status(Code::kUnavailable, "leadership was lost; the change was not made"));
        } else if (is_done) {
            waiter->told.set(Status());
        } else {
            conf_waiters_.push_back(waiter);
        }
    }
    return conf;
}

async::Task<Status> RaftGroup::change_membership(raft::ConfChange change) {
    if (!node_ || !health_.ok() || is_stopping_) {
        co_return health_.ok()
            ? Status(Code::kUnavailable, "the group takes no changes now")
            : Status(health_.code(), Effect::kNone, std::string(health_.message()));
    }
    propose_gathered();
    ConfWaiter waiter(shared_.env.scheduler);
    KVSTORE_CO_TRY(waiter.proposed, node_->propose_conf_change(change));
    conf_waiters_.push_back(&waiter);
    run_soon();
    co_return co_await waiter.told;
}

async::Task<Status> RaftGroup::settle_membership() {
    if (shared_.wal == nullptr) {
        co_return Status();
    }
    AwaitedProposal nothing(shared_.env.scheduler);
    KVSTORE_CO_CHECK_OK(propose(mvcc::Command(), &nothing));
    co_return co_await nothing.done();
}

Status RaftGroup::transfer_leader(NodeId heir) {
    if (!node_) {
        return {Code::kInvalidArgument, "the group has one member"};
    }
    // While it catches up nobody would take writes; one with a full disk never does.
    const raft::NodeStatus status = node_->status();
    for (const raft::PeerStatus& peer : status.peers) {
        if (peer.id == heir && peer.match.value() + kHeirLagMax < status.last_index.value()) {
            return {Code::kUnavailable, "the heir is too far behind"};
        }
    }
    propose_gathered();
    Status begun = node_->transfer_leader(heir);
    run_soon();
    return begun;
}

void RaftGroup::consider_handing_over() {
    if (is_alone_ || !health_.ok() || !node_->is_leader() || node_->heir() != raft::kNoNode) {
        return;
    }
    const MonotonicTime now = shared_.env.clock.now();
    const std::optional<std::string_view> reason = hand_over_.reason(is_out_of_room(), now);
    if (!reason) {
        return;
    }
    const NodeId heir = hand_over_.choose_heir(node_->status(), now);
    if (heir != NodeId() && transfer_leader(heir).ok()) {
        log_warning(
            "this node hands a shard's leadership over",
            {{"shard", id_.value()}, {"to", heir.value()}, {"reason", std::string(*reason)}});
    }
}

bool RaftGroup::note_stall(MonotonicTime now) {
    if (shared_.wal == nullptr || !shared_.wal->is_stalled()) {
        stalled_at_.reset();
        return false;
    }
    stalled_at_ = stalled_at_.value_or(now);
    if (now - *stalled_at_ > kLostPatience && !pending_.empty()) {
        fail_pending({Code::kDiskFull, "the disk was full before the outcome was known"});
    }
    return true;
}

void RaftGroup::retire(const Status& why) {
    is_retired_ = true;
    pause();
    refuse_proposals();
    fail_reads(why);
    fail_pending(why);
}

bool RaftGroup::gives_way() const {
    return !is_alone_ && node_ && is_out_of_room() &&
           !hand_over_.is_resting(shared_.env.clock.now());
}

Status GroupShared::log_health() const {
    // A log that has no room for the largest value by default is full, for the question who leads:
    // it still takes small commands, and refuses large ones.
    constexpr std::size_t kRoomWanted = 16U << 20U;
    return wal != nullptr ? wal->check_append(kRoomWanted, gathered_bytes) : Status();
}

// ---- sleep ----

bool RaftGroup::is_asleep() const {
    return node_ && node_->is_asleep();
}

void RaftGroup::on_node_silent(NodeId peer) {
    if (!is_asleep() || is_closed_ || (!node_->is_leader() && node_->leader() != peer) ||
        planted_bug(PlantedBug::kSleepersMissLeadersDeath)) {
        return;
    }
    node_->doubt_leader();
    run_soon();
}

void RaftGroup::on_node_changed(NodeId peer) {
    if (is_asleep() && node_->leader() == peer &&
        !planted_bug(PlantedBug::kSleepersMissLeadersDeath)) {
        wake();
    }
}

bool RaftGroup::is_leader() const {
    return health_.ok() && !is_retired_ && (!node_ || node_->is_leader());
}

bool RaftGroup::takes_proposals() const {
    return is_leader() && (!node_ || node_->heir() == raft::kNoNode) && !gives_way();
}

NodeId RaftGroup::leader() const {
    if (is_retired_) {
        return {};
    }
    return node_ ? node_->leader() : shared_.self;
}

Term RaftGroup::term() const {
    return node_ ? node_->term() : apply_.meta().term;
}

std::optional<raft::NodeStatus> RaftGroup::raft_status() const {
    return node_ ? std::optional<raft::NodeStatus>(node_->status()) : std::nullopt;
}

}  // namespace kvstore::replication
