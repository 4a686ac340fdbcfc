#include "replication/strong/single_group.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted_bug.h"

namespace kvstore::replication {

SingleGroup::SingleGroup(GroupShared& shared,
                         GroupId id,
                         std::unique_ptr<storage::Engine> engine,
                         std::unique_ptr<mvcc::Shard> shard)
    : shared_(shared),
      id_(id),
      engine_(std::move(engine)),
      shard_(std::move(shard)),
      last_index_(shard_->applied_index()),
      durable_index_(last_index_),
      idle_(shared.env.scheduler),
      gate_(shared.env.scheduler) {}

SingleGroup::~SingleGroup() {
    KVSTORE_ASSERT(queue_.empty());
}

// ---- propose ----

Status SingleGroup::admit(std::size_t command_size) {
    if (!health_.ok()) {
        return Status(health_.code(), Effect::kNone, std::string(health_.message()));
    }
    if (is_stopping_) {
        return {Code::kUnavailable, "the server is stopping"};
    }
    if (shared_.proposal_bytes + command_size > shared_.proposal_bytes_max ||
        (shared_.wal != nullptr && shared_.wal->is_backed_up())) {
        return {Code::kOverloaded, "too many writes under way; try again"};
    }
    return {};
}

Status SingleGroup::propose(const mvcc::Operation& operation, Proposal* proposal) {
    if (can_apply_at_once()) {
        return apply_at_once(operation, proposal);
    }
    Bytes encoded = std::move(scratch_);
    encoded.clear();
    mvcc::encode_command(shared_.clock.tick(shared_.env.clock.wall_now()), operation, encoded);
    Status status = propose_encoded(encoded, proposal);
    scratch_ = std::move(encoded);
    return status;
}

Status SingleGroup::propose(const mvcc::Command& command, Proposal* proposal) {
    Bytes encoded = std::move(scratch_);
    encoded.clear();
    mvcc::Command stamped = command;
    stamped.stamp = shared_.clock.tick(shared_.env.clock.wall_now());
    mvcc::encode_command(stamped, encoded);
    Status status = propose_encoded(encoded, proposal);
    scratch_ = std::move(encoded);
    return status;
}

Status SingleGroup::propose_encoded(ByteView command, Proposal* proposal) {
    KVSTORE_CHECK_OK(admit(command.size()));
    const Index index = last_index_.next();
    if (shared_.wal != nullptr) {
        KVSTORE_CHECK_OK(shared_.wal->append(
            *this, {.group = id_, .term = Term(1), .index = index, .kind = 0, .data = command}));
    }
    if (durable_index_ == last_index_) {
        batch_began_ = shared_.env.clock.now();
    }
    last_index_ = index;
    shared_.proposal_bytes += command.size();
    queue_.push(index, proposal, command);
    if (shared_.wal == nullptr) {
        durable_index_ = index;
        apply_durable();
    } else if (planted_bug(PlantedBug::kGroupAcknowledgesBeforeDurable)) {
        durable_index_ = index;
        apply_durable();
    }
    return {};
}

// Without a log nobody needs the command's bytes; and nothing is before it.
bool SingleGroup::can_apply_at_once() const {
    return shared_.wal == nullptr && queue_.empty() && !is_applying_ && !is_committing_ &&
           engine_->is_resident();
}

Status SingleGroup::apply_at_once(const mvcc::Operation& operation, Proposal* proposal) {
    KVSTORE_CHECK_OK(admit(0));
    last_index_ = last_index_.next();
    durable_index_ = last_index_;
    is_applying_ = true;
    const Version stamp = shared_.clock.tick(shared_.env.clock.wall_now());
    const Status applied = shard_->apply(last_index_, stamp, operation, proposal);
    is_applying_ = false;
    if (!applied.ok()) {
        quarantine(applied.with_context("shard " + std::to_string(id_.value())));
        if (proposal != nullptr) {
            proposal->on_failed(applied.with_unknown_effect());
        }
        return {};
    }
    apply_resident();  // what the outcome proposed
    return {};
}

// ---- durable, then applied ----

void SingleGroup::on_durable(Index last) {
    KVSTORE_ASSERT(last <= last_index_);
    if (last > durable_index_) {
        durable_index_ = last;
        const MonotonicTime now = shared_.env.clock.now();
        if (shared_.commit_latency != nullptr) {
            shared_.commit_latency->record(
                static_cast<std::uint64_t>((now - batch_began_).count()));
        }
        // What came since belongs to the next batch.
        batch_began_ = now;
    }
    apply_durable();
}

void SingleGroup::apply_durable() {
    if (is_applying_ || is_committing_ || is_quarantined_) {
        return;
    }
    if (engine_->is_resident()) {
        apply_resident();
        return;
    }
    if (shared_.wal == nullptr) {
        // A log makes groups of what comes in a turn; without one the turn does.
        commit_later();
        return;
    }
    start_applying();
}

void SingleGroup::start_applying() {
    is_applying_ = true;
    if (!gate_.spawn(apply_with_prefetch())) {
        is_applying_ = false;
    }
}

// Applies everything durable at once. Outcomes may propose more, which joins the queue.
void SingleGroup::apply_resident() {
    is_applying_ = true;
    if (queue_.size() > 1) {
        for (std::size_t i = 0; i < kLookAhead; ++i) {
            hint_at(i);
        }
    }
    while (!queue_.empty() && queue_.front().index <= durable_index_) {
        hint_at(kLookAhead);
        if (!apply_front()) {
            break;
        }
    }
    is_applying_ = false;
    commit_later();
    note_idle();
}

// As apply_resident(), for an engine that may have to go to the disk: the records that a batch
// reads are brought in before it is applied, so that applying does not block the core.
async::Task<void> SingleGroup::apply_with_prefetch() {
    mvcc::Command command;
    while (!queue_.empty() && queue_.front().index <= durable_index_ && !is_quarantined_) {
        std::vector<Bytes> keys;
        std::size_t count = 0;
        for (; count < queue_.size() && count < kBatchCommandsMax; ++count) {
            const CommandQueue::Item& item = queue_.at(count);
            if (item.index > durable_index_) {
                break;
            }
            // A command that cannot be read is told by apply().
            if (mvcc::decode_command(item.command, command).ok()) {
                mvcc::collect_keys(command, keys);
            }
        }
        const Status fetched = co_await engine_->prefetch(std::move(keys));
        if (!fetched.ok()) {
            quarantine(fetched);
            break;
        }
        while (count > 0 && !queue_.empty() && apply_front()) {
            --count;
        }
        if (is_quarantined_) {
            break;
        }
        const Status committed = co_await shard_->finish_batch_when_ready();
        if (!committed.ok()) {
            quarantine(committed);
            break;
        }
    }
    is_applying_ = false;
    note_idle();
}

void SingleGroup::hint_at(std::size_t position) {
    if (position < queue_.size() && queue_.at(position).index <= durable_index_) {
        engine_->hint(storage::Table::kCurrent, mvcc::first_key(queue_.at(position).command));
    }
}

// Returns: false when the replica was quarantined.
bool SingleGroup::apply_front() {
    const CommandQueue::Item item = queue_.front();
    KVSTORE_ASSERT(item.index <= durable_index_);
    const Status applied = shard_->apply(item.index, item.command, item.proposal);
    if (!applied.ok()) {
        quarantine(applied.with_context("shard " + std::to_string(id_.value()) + " at index " +
                                        std::to_string(item.index.value())));
        return false;
    }
    shared_.proposal_bytes -= item.command.size();
    queue_.pop();
    return true;
}

void SingleGroup::commit_later() {
    shared_.env.scheduler.at_turn_end(*this, async::TurnEndHook::Phase::kSubmit);
}

void SingleGroup::run_at_turn_end() {
    if (is_closed_ || is_applying_ || is_committing_ || is_quarantined_) {
        return;
    }
    if (!queue_.empty() && queue_.front().index <= durable_index_) {
        start_applying();
        return;
    }
    const Status committed = shard_->finish_batch();
    if (committed.ok()) {
        return;
    }
    if (committed.code() != Code::kUnavailable) {
        quarantine(committed);
        return;
    }
    is_committing_ = true;
    if (!gate_.spawn(commit_when_ready())) {
        is_committing_ = false;
    }
}

async::Task<void> SingleGroup::commit_when_ready() {
    const Status committed = co_await shard_->finish_batch_when_ready();
    is_committing_ = false;
    if (!committed.ok()) {
        quarantine(committed);
        co_return;
    }
    apply_durable();
}

// ---- failure ----

void SingleGroup::on_log_failed(const Status& why) {
    if (health_.ok()) {
        health_ = why;
    }
    log_error("the log has failed; this replica takes no more writes",
              {{"shard", id_.value()}, {"reason", why.to_string()}});
    // What was reported durable is applied already, or about to be by a slow engine's loop; the
    // rest may or may not be on the disk.
    if (!is_applying_) {
        fail_pending(why);
    }
}

void SingleGroup::quarantine(const Status& why) {
    if (is_quarantined_) {
        fail_pending(health_);
        return;
    }
    is_quarantined_ = true;
    health_ = why;
    log_error("shard quarantined",
              {{"shard", id_.value()},
               {"reason", why.to_string()},
               {"help", "stop the server and run `kvstore verify-data` on its data directory"}});
    fail_pending(why);
}

void SingleGroup::fail_pending(const Status& why) {
    const Status unknown = why.with_unknown_effect();
    while (!queue_.empty()) {
        const CommandQueue::Item item = queue_.front();
        shared_.proposal_bytes -= item.command.size();
        queue_.pop();
        if (item.proposal != nullptr) {
            item.proposal->on_failed(unknown);
        }
    }
    note_idle();
}

void SingleGroup::note_idle() {
    if (!health_.ok() && !is_applying_ && !queue_.empty()) {
        fail_pending(health_);
        return;
    }
    if (is_stopping_ && queue_.empty() && !is_applying_) {
        idle_.set();
    }
}

// ---- reads ----

async::Task<Status> SingleGroup::read_barrier(async::Deadline /*deadline*/) {
    // The only member has applied everything that was ever acknowledged.
    if (is_quarantined_) {
        co_return health_;
    }
    co_return Status();
}

// ---- recovery and upkeep ----

std::uint64_t SingleGroup::now_ms() const {
    // A wall clock that was set back does not bring back what has expired.
    return std::max(to_unix_ms(shared_.env.clock.wall_now()), shared_.clock.last().milliseconds());
}

Status SingleGroup::replay(Index index, ByteView command) {
    const Index applied = shard_->applied_index();
    if (index <= applied && !planted_bug(PlantedBug::kGroupForgetsAppliedIndex)) {
        return {};
    }
    if (index > applied.next()) {
        return {Code::kCorruption,
                "shard " + std::to_string(id_.value()) + ": the log continues at index " +
                    std::to_string(index.value()) + ", but the shard holds everything only up to " +
                    std::to_string(applied.value()) + "; entries between are missing"};
    }
    KVSTORE_CHECK_OK(shard_->apply(index, command, /*sink=*/nullptr)
                         .with_context("shard " + std::to_string(id_.value()) + " at index " +
                                       std::to_string(index.value())));
    last_index_ = index;
    durable_index_ = index;
    if (++replayed_ % kBatchCommandsMax == 0) {
        const Status committed = shard_->finish_batch();
        // An engine that is behind keeps its batch open; the next turn of this loop tries again.
        if (!committed.ok() && committed.code() != Code::kUnavailable) {
            return committed;
        }
    }
    return {};
}

async::Task<Status> SingleGroup::finish_replay() {
    if (replayed_ > 0) {
        KVSTORE_CO_CHECK_OK(co_await shard_->finish_batch_when_ready());
    }
    shared_.clock.restore(shard_->state().last_stamp);
    release_log();
    co_return Status();
}

Status SingleGroup::restart_log() {
    return shared_.wal->append_start(*this, id_, Term(1), last_index_);
}

async::Task<Status> SingleGroup::persist() {
    if (is_quarantined_) {
        co_return health_;
    }
    // An open batch would put rows under an index that does not cover them. An engine that is not
    // resident makes durable only what was committed, so its open batch may stay open.
    if (!is_applying_ && !is_committing_) {
        const Status committed = shard_->finish_batch();
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

Status SingleGroup::sweep(std::size_t count_max) {
    if (is_applying_ || is_committing_) {
        return {Code::kUnavailable, "a batch is being applied"};
    }
    const Status swept = shard_->sweep_compacted(count_max);
    if (!swept.ok()) {
        // The shard writes nothing more: better told now than with the next command's outcome.
        quarantine(swept);
        return swept;
    }
    commit_later();
    return {};
}

void SingleGroup::release_log() {
    if (shared_.wal != nullptr) {
        shared_.wal->release(id_, engine_->durable_index());
    }
}

async::Task<Status> SingleGroup::stop() {
    refuse_proposals();
    if (!queue_.empty() || is_applying_) {
        co_await idle_;
    }
    co_await gate_.close();
    // The turn's end, which would commit, may come after the engine has closed.
    is_committing_ = true;
    if (!is_quarantined_) {
        const Status committed = co_await shard_->finish_batch_when_ready();
        if (!committed.ok()) {
            quarantine(committed);
        }
    }
    is_closed_ = true;
    co_return co_await engine_->close();
}

async::Task<Status> SingleGroup::abandon() {
    if (health_.ok()) {
        health_ = Status(Code::kUnavailable, "the shard was dropped");
    }
    is_quarantined_ = true;
    if (!is_applying_) {
        fail_pending(health_);
    }
    co_return co_await stop();
}

}  // namespace kvstore::replication
