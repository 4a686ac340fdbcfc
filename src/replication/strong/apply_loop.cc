#include "replication/strong/apply_loop.h"

#include <string>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "replication/strong/entry_payload.h"

namespace kvstore::replication {

ApplyLoop::ApplyLoop(env::Env& env, ApplyOwner& owner)
    : env_(env), owner_(owner), quiet_(env.scheduler), gate_(env.scheduler) {}

ApplyLoop::~ApplyLoop() {
    KVSTORE_ASSERT(queue_.empty());
}

void ApplyLoop::attach(storage::Engine* engine, mvcc::Shard* shard, GroupMeta meta) {
    KVSTORE_ASSERT(is_quiet());
    engine_ = engine;
    shard_ = shard;
    meta_ = std::move(meta);
    applied_ = shard->applied_index();
    digests_.clear();
    is_paused_ = false;
}

void ApplyLoop::run() {
    if (is_in_batch() || is_halted_ || is_paused_ || queue_.empty()) {
        return;
    }
    if (engine_->is_resident()) {
        apply_resident();
        return;
    }
    start_applying();
}

void ApplyLoop::start_applying() {
    is_applying_ = true;
    if (!gate_.spawn(apply_with_prefetch())) {
        is_applying_ = false;
    }
}

// Applies everything at once. Outcomes and the owner may push more, which joins the queue.
void ApplyLoop::apply_resident() {
    is_applying_ = true;
    while (!queue_.empty() && !is_halted_) {
        if (queue_.size() > 1) {
            for (std::size_t i = 0; i < kLookAhead; ++i) {
                hint_at(i);
            }
        }
        while (!queue_.empty() && !is_halted_) {
            hint_at(kLookAhead);
            if (!apply_front()) {
                break;
            }
        }
        if (!is_halted_) {
            owner_.on_applied(applied_);
        }
    }
    is_applying_ = false;
    commit_later();
    note_idle();
}

// As apply_resident(), for an engine that may have to go to the disk: the records that a batch
// reads are brought in before it is applied, so that applying does not block the core.
async::Task<void> ApplyLoop::apply_with_prefetch() {
    mvcc::Command command;
    while (!queue_.empty() && !is_halted_ && !is_paused_) {
        std::vector<Bytes> keys;
        std::size_t count = 0;
        for (; count < queue_.size() && count < kBatchCommandsMax; ++count) {
            const raft::Entry& entry = queue_[count];
            // A command that cannot be read is told when it is applied.
            if (entry.kind == raft::EntryKind::kCommand &&
                mvcc::decode_command(peek_command(entry.data.view()), command).ok()) {
                mvcc::collect_keys(command, keys);
            }
        }
        const Status fetched = co_await engine_->prefetch(std::move(keys));
        if (!fetched.ok()) {
            fail(fetched);
            break;
        }
        while (count > 0 && !queue_.empty() && !is_halted_ && apply_front()) {
            --count;
        }
        if (is_halted_) {
            break;
        }
        const bool is_committed = co_await commit_once_there_is_room();
        if (!is_committed) {
            break;
        }
        owner_.on_applied(applied_);
    }
    is_applying_ = false;
    note_idle();
}

void ApplyLoop::hint_at(std::size_t position) {
    if (position < queue_.size()) {
        engine_->hint(storage::Table::kCurrent,
                      mvcc::first_key(peek_command(queue_[position].data.view())));
    }
}

// Returns: false when it failed.
bool ApplyLoop::apply_front() {
    const raft::Entry entry = std::move(queue_.front());
    queue_.pop_front();
    const Status applied = apply(entry);
    if (!applied.ok()) {
        fail(applied.with_context("index " + std::to_string(entry.index.value())));
        return false;
    }
    note_digest();
    return true;
}

void ApplyLoop::note_digest() {
    if (DigestTrail::is_kept(applied_)) {
        digests_.add({.index = applied_, .digest = shard_->state().digest});
    }
}

Status ApplyLoop::apply(const raft::Entry& entry) {
    KVSTORE_ASSERT(entry.index == applied_.next());
    // First: an outcome may push what follows.
    applied_ = entry.index;
    if (entry.term != meta_.term) {
        meta_.term = entry.term;
        store_meta();
    }
    if (entry.kind == raft::EntryKind::kConfChange) {
        KVSTORE_TRY(meta_.conf, owner_.apply_conf_change(entry));
        store_meta();
        shard_->apply_nothing(entry.index);
        static_cast<void>(owner_.take_proposal(entry.index, entry.term));
        return {};
    }
    if (entry.data.empty()) {
        shard_->apply_nothing(entry.index);
        static_cast<void>(owner_.take_proposal(entry.index, entry.term));
        return {};
    }
    return apply_command(entry);
}

Status ApplyLoop::replay(const raft::Entry& entry) {
    KVSTORE_CHECK_OK(apply(entry).with_context("index " + std::to_string(entry.index.value())));
    note_digest();
    if (++replayed_ % kBatchCommandsMax == 0) {
        Status committed = shard_->finish_batch();
        // An engine that is behind keeps its batch open; the next turn of this loop tries again.
        if (!committed.ok() && committed.code() != Code::kUnavailable) {
            return committed;
        }
    }
    return {};
}

Status ApplyLoop::apply_command(const raft::Entry& entry) {
    const std::optional<ByteView> command = open_command(entry.data.view());
    if (!command) {
        return {Code::kCorruption, "the entry's checksum does not fit"};
    }
    Proposal* const proposal = owner_.take_proposal(entry.index, entry.term);
    Status applied = shard_->apply(entry.index, *command, proposal);
    if (!applied.ok() && proposal != nullptr) {
        proposal->on_failed(applied.with_unknown_effect());
    }
    return applied;
}

void ApplyLoop::apply_at_once(Version stamp, const mvcc::Operation& operation, Proposal* proposal) {
    KVSTORE_ASSERT(can_apply_at_once());
    is_applying_ = true;
    const Index index = applied_.next();
    applied_ = index;
    const Status applied = shard_->apply(index, stamp, operation, proposal);
    is_applying_ = false;
    if (!applied.ok()) {
        fail(applied.with_context("index " + std::to_string(index.value())));
        if (proposal != nullptr) {
            proposal->on_failed(applied.with_unknown_effect());
        }
        return;
    }
    apply_resident();  // what the outcome proposed, and the commit
}

bool ApplyLoop::can_apply_at_once() const {
    return is_quiet() && !is_halted_ && engine_->is_resident();
}

void ApplyLoop::store_meta() {
    engine_->put(storage::Table::kMeta, kGroupMetaKey, encode_group_meta(meta_));
}

// ---- batches ----

void ApplyLoop::commit_later() {
    env_.scheduler.at_turn_end(*this, async::TurnEndHook::Phase::kSubmit);
}

Status ApplyLoop::finish_batch() {
    return shard_->finish_batch();
}

void ApplyLoop::run_at_turn_end() {
    if (is_closed_ || is_in_batch() || is_halted_ || is_paused_) {
        return;
    }
    if (!queue_.empty()) {
        run();
        return;
    }
    const Status committed = shard_->finish_batch();
    if (committed.ok()) {
        return;
    }
    if (committed.code() != Code::kUnavailable && committed.code() != Code::kDiskFull) {
        fail(committed);
        return;
    }
    is_committing_ = true;
    if (!gate_.spawn(commit_when_ready())) {
        is_committing_ = false;
    }
}

async::Task<void> ApplyLoop::commit_when_ready() {
    const bool is_committed = co_await commit_once_there_is_room();
    is_committing_ = false;
    if (is_committed) {
        run();
    }
    note_idle();
}

// An engine that finds no space on the disk keeps the batch open, and is asked again: nothing is
// lost, and the log holds it all. Returns: false when it failed, or was told to end first.
async::Task<bool> ApplyLoop::commit_once_there_is_room() {
    for (;;) {
        const Status committed = co_await shard_->finish_batch_when_ready();
        if (committed.code() != Code::kDiskFull) {
            is_out_of_room_ = false;
            if (!committed.ok()) {
                fail(committed);
            }
            co_return committed.ok();
        }
        if (is_ending_ || is_halted_ || is_paused_) {
            is_out_of_room_ = false;
            if (is_ending_ && !queue_.empty()) {
                fail(committed);  // somebody waits for what is left to the log
            }
            is_halted_ = is_halted_ || is_ending_;
            co_return false;
        }
        if (!is_out_of_room_) {
            log_warning("a shard waits for space on the disk", {{"reason", committed.to_string()}});
        }
        is_out_of_room_ = true;
        co_await env_.clock.sleep(kRoomPause);
    }
}

// ---- the end ----

void ApplyLoop::fail(const Status& why) {
    halt();
    owner_.on_apply_failed(why);
}

void ApplyLoop::halt() {
    is_halted_ = true;
    queue_.clear();
}

async::Task<void> ApplyLoop::pause() {
    is_paused_ = true;
    queue_.clear();
    while (is_in_batch()) {
        quiet_.reset();
        co_await quiet_;
    }
}

void ApplyLoop::note_idle() {
    if (queue_.empty() && !is_in_batch()) {
        quiet_.set();
        owner_.on_apply_idle();
    }
}

async::Task<void> ApplyLoop::stop() {
    stop_waiting();
    co_await gate_.close();
    // The turn's end, which would commit, may come after the engine has closed.
    is_closed_ = true;
}

}  // namespace kvstore::replication
