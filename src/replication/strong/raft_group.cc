#include "replication/strong/raft_group.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted_bug.h"

namespace kvstore::replication {
namespace {

Status being_replaced() {
    return {Code::kUnavailable, "the replica's state is being replaced by a newer one"};
}

}  // namespace

RaftGroup::RaftGroup(GroupShared& shared,
                     GroupId id,
                     std::unique_ptr<storage::Engine> engine,
                     std::unique_ptr<mvcc::Shard> shard,
                     GroupMeta meta)
    : shared_(shared),
      id_(id),
      engine_(std::move(engine)),
      shard_(std::move(shard)),
      apply_(shared.env, *this),
      reads_(shared.env.scheduler),
      waiters_(shared.env),
      idle_(shared.env.scheduler),
      caught_up_(shared.env.scheduler),
      installed_(shared.env.scheduler),
      gate_(std::make_unique<async::Gate>(shared.env.scheduler)),
      tasks_(shared.env.scheduler) {
    is_alone_ = meta.is_alone(shared_.self);
    log_.restart(shard_->applied_index(), meta.term);
    apply_.attach(engine_.get(), shard_.get(), std::move(meta));
}

RaftGroup::~RaftGroup() {
    KVSTORE_ASSERT(pending_.empty());
}

// ---- proposals ----

Status RaftGroup::admit(std::size_t command_size) {
    if (!health_.ok()) {
        return Status(health_.code(), Effect::kNone, std::string(health_.message()));
    }
    if (is_stopping_) {
        return {Code::kUnavailable, "the server is stopping"};
    }
    if (node_ && !node_->is_leader()) {
        return not_leader();
    }
    if (shared_.proposal_bytes + command_size > shared_.proposal_bytes_max ||
        (shared_.wal != nullptr && shared_.wal->is_backed_up())) {
        return {Code::kOverloaded, "too many writes under way; try again"};
    }
    if (apply_.is_out_of_room()) {
        return {Code::kDiskFull, "the disk has no space for the shard's data"};
    }
    if (shared_.wal != nullptr) {
        return shared_.wal->check_append(kEntryChecksumSize + command_size, shared_.gathered_bytes);
    }
    return {};
}

Status RaftGroup::not_leader() const {
    const NodeId leader = node_->leader();
    return {Code::kNotLeader,
            leader == raft::kNoNode ? "no leader is known"
                                    : "node " + std::to_string(leader.value()) + " leads"};
}

Status RaftGroup::propose(const mvcc::Operation& operation, Proposal* proposal) {
    if (!node_ && apply_.can_apply_at_once()) {
        KVSTORE_CHECK_OK(admit(0));
        apply_.apply_at_once(shared_.clock.tick(shared_.env.clock.wall_now()), operation, proposal);
        return {};
    }
    Bytes encoded = std::move(scratch_);
    encoded.clear();
    mvcc::encode_command(shared_.clock.tick(shared_.env.clock.wall_now()), operation, encoded);
    Status status = gather(encoded, proposal);
    scratch_ = std::move(encoded);
    return status;
}

Status RaftGroup::propose(const mvcc::Command& command, Proposal* proposal) {
    Bytes encoded = std::move(scratch_);
    encoded.clear();
    mvcc::Command stamped = command;
    stamped.stamp = shared_.clock.tick(shared_.env.clock.wall_now());
    mvcc::encode_command(stamped, encoded);
    Status status = gather(encoded, proposal);
    scratch_ = std::move(encoded);
    return status;
}

Status RaftGroup::gather(ByteView command, Proposal* proposal) {
    KVSTORE_CHECK_OK(admit(command.size()));
    shared_.proposal_bytes += command.size();
    if (!node_) {
        const Index index = last_index().next();
        pending_.push_back({.proposal = proposal,
                            .bytes = command.size(),
                            .index = index,
                            .term = apply_.meta().term});
        apply_.push({.term = apply_.meta().term, .index = index, .data = arena_.seal(command)});
        if (engine_->is_resident()) {
            apply_.run();
        } else {
            // A log makes groups of what comes in a turn; without one the turn does.
            apply_.commit_later();
        }
        return {};
    }
    if (pending_.empty()) {
        batch_began_ = shared_.env.clock.now();
    }
    shared_.gathered_bytes += command.size();
    gathered_.push_back(arena_.seal(command));
    pending_.push_back({.proposal = proposal, .bytes = command.size(), .index = {}, .term = {}});
    run_soon();
    return {};
}

void RaftGroup::propose_gathered() {
    if (gathered_.empty()) {
        return;
    }
    shared_.gathered_bytes = 0;
    const Result<raft::Proposed> proposed = node_->propose(gathered_);
    if (!proposed.ok()) {
        fail_gathered(proposed.status());
        return;
    }
    Index index = proposed->first;
    for (std::size_t i = pending_.size() - gathered_.size(); i < pending_.size(); ++i) {
        pending_[i].index = index;
        pending_[i].term = proposed->term;
        index = index.next();
    }
    gathered_.clear();
}

void RaftGroup::fail_gathered(const Status& why) {
    std::vector<Pending> failed;
    for (std::size_t i = pending_.size() - gathered_.size(); i < pending_.size(); ++i) {
        failed.push_back(pending_[i]);
    }
    pending_.resize(pending_.size() - gathered_.size());
    gathered_.clear();
    for (const Pending& pending : failed) {
        settle(pending);
        if (pending.proposal != nullptr) {
            pending.proposal->on_failed(why);
        }
    }
}

// Of commands that are being applied the loop tells what becomes of them.
void RaftGroup::fail_pending(const Status& why) {
    fail_gathered(Status(why.code(), Effect::kNone, std::string(why.message())));
    const Status unknown =
        planted_bug(PlantedBug::kGroupDeniesLostProposals) ? why : why.with_unknown_effect();
    const auto first = std::ranges::find_if(pending_, [this](const Pending& pending) {
        return apply_.is_quiet() || pending.index > apply_.last_pushed();
    });
    const std::vector<Pending> failed(first, pending_.end());
    pending_.erase(first, pending_.end());
    for (const Pending& pending : failed) {
        settle(pending);
        if (pending.proposal != nullptr) {
            pending.proposal->on_failed(unknown);
        }
    }
    for (ConfWaiter* const waiter : std::exchange(conf_waiters_, {})) {
        waiter->told.set(unknown);
    }
    lost_at_.reset();
    note_idle();
}

void RaftGroup::settle(const Pending& pending) {
    shared_.proposal_bytes -= pending.bytes;
}

// ---- the two sides of a Ready ----

void RaftGroup::run_soon() {
    shared_.env.scheduler.at_turn_end(*this, Phase::kPropose);
}

void RaftGroup::run_at_turn_end() {
    if (!node_ || is_closed_) {
        return;
    }
    propose_gathered();
    begin_reads();
    pump();
}

void RaftGroup::pump() {
    if (!node_ || is_pumping_ || is_closed_) {
        return;
    }
    is_pumping_ = true;
    while (!is_quarantined_ && !is_installing_ && node_->has_ready()) {
        take(node_->ready());
    }
    is_pumping_ = false;
    hand_over_.on_committed(node_->commit_index(), shared_.env.clock.now());
    if (node_->is_quarantined() && !is_quarantined_ && health_.ok()) {
        quarantine({Code::kCorruption, node_->status().quarantine_reason});
    }
}

void RaftGroup::take(raft::Ready ready) {
    if (ready.soft) {
        note_role(*ready.soft);
    }
    send(ready.send_now);
    for (const raft::ReadyRead& read : ready.reads) {
        reads_.confirm(read.token, read.at);
    }
    if (ready.install != nullptr) {
        is_installing_ = true;
        if (!tasks_.spawn(install(std::move(ready)))) {
            is_installing_ = false;
        }
        return;
    }
    std::vector<raft::Entry> committed = std::move(ready.committed);
    if (ready.needs_persist()) {
        unwritten_.push_back(std::move(ready));
        write_ready();
    }
    for (raft::Entry& entry : committed) {
        apply_.push(std::move(entry));
    }
    apply_.run();
    reads_.on_applied(apply_.applied());
}

void RaftGroup::note_role(const raft::SoftState& soft) {
    if (watcher_ != nullptr) {
        watcher_->on_leader_change();
    }
    hand_over_.forget();
    if (soft.role == raft::Role::kLeader) {
        lost_at_.reset();
        shared_.clock.restore(shard_->state().last_stamp);
        return;
    }
    is_caught_up_ = false;
    if (!lost_at_ && (!pending_.empty() || !conf_waiters_.empty())) {
        lost_at_ = shared_.env.clock.now();
    }
}

void RaftGroup::send(const std::vector<raft::Message>& messages) {
    for (const raft::Message& message : messages) {
        if (shared_.link == nullptr || is_paused_ || is_quarantined_) {
            continue;
        }
        if (message.kind == raft::MessageKind::kSnapshot) {
            shared_.link->send_snapshot(*this, message);
        } else {
            shared_.link->send(message);
        }
    }
}

// Puts what is owed to the disk into the log, in order. A full disk is asked again with each tick.
void RaftGroup::write_ready() {
    while (!unwritten_.empty()) {
        raft::Ready& ready = unwritten_.front();
        const Status appended = append_to_log(ready);
        if (appended.code() == Code::kDiskFull) {
            return;
        }
        if (!appended.ok()) {
            on_log_failed(appended);
            return;
        }
        const bool is_write = ready.must_sync || !ready.append.empty() || ready.install != nullptr;
        const std::uint64_t before = persisting_.empty() ? 0 : persisting_.back().write;
        const std::uint64_t write =
            is_write && shared_.wal != nullptr ? shared_.wal->gathering_write() : before;
        persisting_.push_back(
            {.seq = ready.seq, .write = write, .then_send = std::move(ready.send_after_persist)});
        unwritten_.pop_front();
    }
    const bool is_early = planted_bug(PlantedBug::kGroupAcknowledgesBeforeDurable);
    persisted_through(is_early ? UINT64_MAX
                               : (shared_.wal != nullptr ? shared_.wal->durable_write() : 0));
}

Status RaftGroup::append_to_log(const raft::Ready& ready) {
    if (ready.install != nullptr) {
        log_.restart(ready.install->index, ready.install->term);
        if (shared_.wal != nullptr) {
            KVSTORE_CHECK_OK(
                shared_.wal->append_start(*this, id_, ready.install->term, ready.install->index));
        }
    }
    if (ready.hard) {
        hard_ = *ready.hard;
        is_hard_unsaved_ = true;
    }
    // That more is committed is worth no write of its own: it rides with the next.
    const bool is_write = ready.must_sync || !ready.append.empty() || ready.install != nullptr;
    if (is_hard_unsaved_ && is_write && shared_.wal != nullptr &&
        !planted_bug(PlantedBug::kGroupTermNotPersisted)) {
        KVSTORE_CHECK_OK(shared_.wal->append_state(
            *this, {.group = id_, .term = hard_.term, .vote = hard_.vote, .commit = hard_.commit}));
        is_hard_unsaved_ = false;
    }
    for (const raft::Entry& entry : ready.append) {
        if (!log_.append(entry)) {
            return {Code::kCorruption, "the consensus core left a gap in the log"};
        }
        if (shared_.wal != nullptr) {
            KVSTORE_CHECK_OK(shared_.wal->append(*this,
                                                 {.group = id_,
                                                  .term = entry.term,
                                                  .index = entry.index,
                                                  .kind = static_cast<std::uint8_t>(entry.kind),
                                                  .data = entry.data.view()}));
        }
    }
    if (!ready.append.empty() && node_->is_leader()) {
        hand_over_.on_append(log_.last_index(), shared_.env.clock.now());
    }
    return {};
}

void RaftGroup::persisted_through(std::uint64_t write) {
    std::uint64_t seq = 0;
    std::vector<raft::Message> messages;
    while (!persisting_.empty() && persisting_.front().write <= write) {
        Persisting& persisting = persisting_.front();
        seq = persisting.seq;
        std::move(
            persisting.then_send.begin(), persisting.then_send.end(), std::back_inserter(messages));
        persisting_.pop_front();
    }
    if (seq == 0) {
        return;
    }
    node_->on_persisted(seq);
    send(messages);
    pump();
}

void RaftGroup::on_durable(Index last) {
    if (!node_ || is_closed_) {
        return;
    }
    hand_over_.on_durable(last, shared_.env.clock.now());
    if (shared_.commit_latency != nullptr && !pending_.empty()) {
        const MonotonicTime now = shared_.env.clock.now();
        shared_.commit_latency->record(static_cast<std::uint64_t>((now - batch_began_).count()));
        // What came since belongs to the next batch.
        batch_began_ = now;
    }
    persisted_through(shared_.wal->durable_write());
}

// ---- messages and time ----

void RaftGroup::step(raft::Message message) {
    if (!node_ || is_closed_ || is_quarantined_ || is_paused_) {
        return;
    }
    // One that was never sent the group's state votes for nobody: it cannot tell a candidate that
    // lacks what was committed, and an earlier replica of this node may have voted already.
    const bool asks_for_vote =
        message.kind == raft::MessageKind::kVote || message.kind == raft::MessageKind::kPreVote;
    if (asks_for_vote && apply_.meta().conf.voters.empty()) {
        return;
    }
    if (message.kind == raft::MessageKind::kTimeoutNow &&
        hand_over_.refuses(is_out_of_room(), shared_.env.clock.now())) {
        return;
    }
    std::size_t bytes = 0;
    std::size_t largest = 0;
    for (const raft::Entry& entry : message.entries) {
        const bool is_whole = entry.kind != raft::EntryKind::kCommand || entry.data.empty() ||
                              open_command(entry.data.view()).has_value();
        if (!is_whole) {
            log_warning("an entry was damaged on its way; its message is dropped",
                        {{"shard", id_.value()},
                         {"index", entry.index.value()},
                         {"from", message.from.value()}});
            return;
        }
        bytes += entry.data.size();
        largest = std::max(largest, entry.data.size());
    }
    // What cannot be written is not taken: the leader goes on without this member, and tries again.
    if (bytes > 0 && shared_.wal != nullptr && !shared_.wal->check_append(largest, bytes).ok()) {
        return;
    }
    node_->step(std::move(message));
    run_soon();
}

void RaftGroup::tick() {
    if (!node_ || is_closed_ || is_quarantined_ || is_paused_) {
        return;
    }
    consider_handing_over();
    if (is_asleep() && reads_.empty() && !lost_at_ && unwritten_.empty()) {
        return;
    }
    const MonotonicTime now = shared_.env.clock.now();
    // Who cannot write its own vote down cannot be elected: asking again and again would only fill
    // memory with what waits for the disk.
    if (!note_stall(now) || node_->is_leader()) {
        node_->tick();
    }
    const Duration election = shared_.timing.tick * shared_.timing.election_ticks;
    static_cast<void>(reads_.retry(now, now - election));
    begin_reads();
    if (lost_at_ && now - *lost_at_ > kLostPatience) {
        fail_pending({Code::kUnavailable, "leadership was lost before the outcome was known"});
    }
    write_ready();
    pump();
}

void RaftGroup::wake() {
    if (node_ && !is_closed_) {
        node_->wake();
        run_soon();
    }
}

void RaftGroup::on_peer_state(NodeId peer, bool is_connected) {
    if (node_ && !is_closed_ && !is_connected) {
        node_->report_unreachable(peer);
        on_node_changed(peer);
        run_soon();
    }
}

void RaftGroup::on_snapshot_sent(NodeId peer, raft::SnapshotOutcome outcome) {
    if (node_ && !is_closed_) {
        node_->report_snapshot(peer, outcome);
        run_soon();
    }
}

// ---- applying ----

Proposal* RaftGroup::take_proposal(Index index, Term term) {
    while (!pending_.empty() && pending_.front().index != Index() &&
           pending_.front().index <= index) {
        const Pending pending = pending_.front();
        pending_.pop_front();
        settle(pending);
        if (pending.index == index &&
            (pending.term == term || planted_bug(PlantedBug::kGroupAnswersLostProposal))) {
            return pending.proposal;
        }
        if (pending.proposal == nullptr) {
            continue;
        }
        if (pending.index == index) {
            // Another leader's entry is committed in its place.
            pending.proposal->on_failed(
                Status(Code::kUnavailable, "leadership was lost; the command was not applied"));
        } else {
            pending.proposal->on_failed(
                Status(Code::kUnavailable, "leadership was lost").with_unknown_effect());
        }
    }
    return nullptr;
}

void RaftGroup::on_applied(Index index) {
    if (node_) {
        node_->on_applied(index);
        trim_log();
        if (node_->is_leader() && apply_.meta().term == node_->term() && !is_caught_up_) {
            is_caught_up_ = true;
            caught_up_.set();
        }
    }
    reads_.on_applied(index);
    waiters_.on_applied(shard_->state().revision);
    if (apply_.meta().term > served_term_) {
        // Who was asked before leads no more, or could not answer yet.
        served_term_ = apply_.meta().term;
        const MonotonicTime now = shared_.env.clock.now();
        if (reads_.retry(now, now)) {
            run_soon();
        }
    }
    pump();
}

void RaftGroup::trim_log() {
    // Nobody asks a group of one for what it has applied.
    const bool has_others = apply_.meta().has_others();
    log_.trim(apply_.applied(), has_others ? shared_.log_bytes_max : 0);
    const raft::SnapshotRef snapshot = log_.snapshot();
    if (has_others && (snapshot == nullptr || snapshot->index < log_.start_index() ||
                       snapshot->conf != apply_.meta().conf)) {
        log_.set_snapshot(std::make_shared<const raft::SnapshotMeta>(raft::SnapshotMeta{
            .index = apply_.applied(), .term = apply_.meta().term, .conf = apply_.meta().conf}));
    }
}

void RaftGroup::on_apply_failed(const Status& why) {
    quarantine(why.with_context("shard " + std::to_string(id_.value())));
}

void RaftGroup::on_apply_idle() {
    note_idle();
}

// ---- failure ----

void RaftGroup::on_log_failed(const Status& why) {
    if (health_.ok()) {
        health_ = why;
    }
    ++shared_.withdrawals;
    log_error("the log has failed; this replica takes no more writes",
              {{"shard", id_.value()}, {"reason", why.to_string()}});
    if (node_) {
        node_->quarantine("the log has failed");
    }
    unwritten_.clear();
    persisting_.clear();
    if (!is_alone_) {
        fail_reads(health_);
    }
    fail_pending(why);
    caught_up_.set();
}

void RaftGroup::quarantine(const Status& why) {
    if (is_quarantined_) {
        fail_pending(health_);
        return;
    }
    is_quarantined_ = true;
    health_ = why;
    ++shared_.withdrawals;
    log_error("shard quarantined",
              {{"shard", id_.value()},
               {"reason", why.to_string()},
               {"help", "stop the server and run `kvstore verify-data` on its data directory"}});
    if (node_) {
        node_->quarantine(std::string(why.message()));
    }
    apply_.halt();
    fail_reads(health_);
    fail_pending(why);
    caught_up_.set();
    if (shared_.link != nullptr) {
        shared_.link->on_quarantine(*this);
    }
}

void RaftGroup::note_damage(const Status& why) {
    // The only replica goes on with what can be read of it.
    if (!is_alone_ && !is_quarantined_) {
        quarantine(why.with_context("shard " + std::to_string(id_.value())));
    }
}

bool RaftGroup::is_idle() const {
    return pending_.empty() && conf_waiters_.empty() && apply_.is_quiet();
}

void RaftGroup::note_idle() {
    if (is_stopping_ && is_idle()) {
        idle_.set();
    }
}

// ---- reads ----

bool RaftGroup::can_read_now() const {
    // The only member has applied everything that was ever acknowledged.
    const bool is_trusting =
        planted_bug(PlantedBug::kGroupTrustsItsLeadership) && node_ && node_->is_leader();
    return !is_quarantined_ && (is_alone_ || is_trusting) && is_caught_up_;
}

async::Task<Status> RaftGroup::read_barrier(async::Deadline deadline) {
    if (is_quarantined_) {
        co_return health_;
    }
    if (can_read_now() || planted_bug(PlantedBug::kGroupReadsWithoutBarrier)) {
        co_return Status();
    }
    if (!health_.ok() || is_stopping_ || !node_) {
        co_return Status(Code::kUnavailable, "this replica cannot confirm reads");
    }
    const MonotonicTime patience = shared_.env.clock.now() + kReadPatience;
    run_soon();
    const async::Deadline bounded{.at = std::min(deadline.at, patience)};
    const Status confirmed = co_await reads_.wait(bounded);
    if (confirmed.code() == Code::kDeadlineExceeded && patience < deadline.at) {
        co_return Status(Code::kUnavailable, "no majority has confirmed that the read is fresh");
    }
    co_return confirmed;
}

async::Task<Result<Bytes>> RaftGroup::ask(Bytes /*request*/,
                                          AskWhom /*whom*/,
                                          async::Deadline /*deadline*/) {
    co_return Status(Code::kUnavailable, "a replica reaches no other node");
}

Duration RaftGroup::staleness() const {
    if (can_read_now()) {
        return Duration(0);
    }
    const std::optional<MonotonicTime> fresh = reads_.fresh_as_of();
    return fresh && !is_quarantined_ ? shared_.env.clock.now() - *fresh : Duration::max();
}

async::Task<Status> RaftGroup::wait_applied(Revision revision, async::Deadline deadline) {
    if (is_quarantined_) {
        co_return health_;
    }
    if (is_stopping_) {
        co_return Status(Code::kUnavailable, "the server is stopping");
    }
    const Revision here = shard_->state().revision;
    if (here >= revision) {
        co_return Status();
    }
    if (!health_.ok()) {
        co_return health_;
    }
    const std::string missing = "this replica is at revision " + std::to_string(here.value()) +
                                " and the session has seen " + std::to_string(revision.value());
    if (can_read_now()) {
        co_return Status(Code::kFutureRevision, missing + ", which does not exist");
    }
    const MonotonicTime patience = shared_.env.clock.now() + kReadPatience;
    const async::Deadline bounded{.at = std::min(deadline.at, patience)};
    const Status applied = co_await waiters_.wait(revision, bounded);
    if (applied.code() == Code::kDeadlineExceeded && patience < deadline.at) {
        co_return Status(Code::kUnavailable, missing);
    }
    co_return applied;
}

void RaftGroup::fail_reads(const Status& why) {
    reads_.fail_all(why);
    waiters_.fail_all(why);
}

void RaftGroup::begin_reads() {
    if (!reads_.has_gathered()) {
        return;
    }
    // A refusal passes: an election is under way, or its winner has not committed anything yet.
    const Result<raft::ReadToken> token = node_->read_index();
    if (token.ok()) {
        reads_.begin(*token, shared_.env.clock.now());
    }
}

// ---- upkeep ----

std::uint64_t RaftGroup::now_ms() const {
    // A wall clock that was set back does not bring back what has expired.
    return std::max(to_unix_ms(shared_.env.clock.wall_now()), shared_.clock.last().milliseconds());
}

std::vector<DigestPoint> RaftGroup::digests() const {
    const std::deque<DigestPoint>& trail = apply_.digests().points();
    std::vector<DigestPoint> points(trail.begin(), trail.end());
    const DigestPoint newest{.index = shard_->applied_index(), .digest = shard_->state().digest};
    if (points.empty() || points.back().index < newest.index) {
        points.push_back(newest);
    }
    return points;
}

Index RaftGroup::last_index() const {
    if (!node_) {
        return apply_.last_pushed();
    }
    return log_.last_index();
}

async::Task<Status> RaftGroup::persist() {
    if (is_quarantined_) {
        co_return health_;
    }
    if (is_installing_) {
        co_return being_replaced();
    }
    // An open batch would put rows under an index that does not cover them. An engine that is not
    // resident makes durable only what was committed, so its open batch may stay open.
    if (!apply_.is_in_batch()) {
        const Status committed = shard_->finish_batch();
        if (committed.code() == Code::kDiskFull) {
            co_return committed;
        }
        if (!committed.ok() && committed.code() != Code::kUnavailable) {
            quarantine(committed);
            co_return committed;
        }
    }
    const Status persisted = co_await engine_->persist();
    if (persisted.ok()) {
        release_log();
    }
    co_return persisted;
}

Status RaftGroup::sweep(std::size_t count_max) {
    if (apply_.is_in_batch()) {
        return {Code::kUnavailable, "a batch is being applied"};
    }
    if (is_installing_) {
        return being_replaced();
    }
    const Status swept = shard_->sweep_compacted(count_max);
    if (!swept.ok()) {
        // The shard writes nothing more: better told now than with the next command's outcome.
        quarantine(swept);
        return swept;
    }
    apply_.commit_later();
    return {};
}

void RaftGroup::release_log() {
    if (shared_.wal != nullptr) {
        shared_.wal->release(id_, engine_->durable_index());
    }
}

async::Task<Status> RaftGroup::stop() {
    refuse_proposals();
    apply_.stop_waiting();
    ++shared_.withdrawals;
    if (!is_alone_ && !lost_at_) {
        lost_at_ = shared_.env.clock.now();
    }
    fail_reads({Code::kUnavailable, "the server is stopping"});
    if (!is_idle()) {
        co_await idle_;
    }
    co_await tasks_.close();
    co_await gate_->close();
    co_await apply_.stop();
    is_closed_ = true;
    if (!is_quarantined_) {
        const Status committed = co_await shard_->finish_batch_when_ready();
        if (!committed.ok() && committed.code() != Code::kDiskFull) {
            quarantine(committed);
        }
    }
    if (is_engine_closed_) {
        co_return Status();
    }
    co_return co_await engine_->close();
}

async::Task<Status> RaftGroup::abandon() {
    if (health_.ok()) {
        health_ = Status(Code::kUnavailable, "the shard was dropped");
    }
    is_quarantined_ = true;
    apply_.halt();
    fail_reads(health_);
    fail_pending(health_);
    co_return co_await stop();
}

}  // namespace kvstore::replication
