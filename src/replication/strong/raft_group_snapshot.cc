// A replica's state on its way to a peer, and a peer's in the place of ours.
#include <string>
#include <utility>

#include "base/log.h"
#include "replication/strong/raft_group.h"

namespace kvstore::replication {

Result<std::unique_ptr<storage::SnapshotSource>> RaftGroup::snapshot_source() {
    if (is_quarantined_ || is_closed_ || is_installing_ || apply_.is_in_batch()) {
        return Status(Code::kUnavailable, "the replica can give no snapshot now");
    }
    const Status committed = shard_->finish_batch();
    if (!committed.ok()) {
        if (committed.code() != Code::kUnavailable && committed.code() != Code::kDiskFull) {
            quarantine(committed);
        }
        return Status(Code::kUnavailable, std::string(committed.message()));
    }
    return engine_->snapshot_source();
}

async::Task<Status> RaftGroup::install_snapshot(raft::Message message, ReceivedState* state) {
    if (received_ != nullptr || !node_ || is_stopping_ || is_quarantined_) {
        co_return Status(Code::kUnavailable, "the replica takes no snapshot now");
    }
    const Index index = message.snapshot->index;
    received_ = state;
    installed_.reset();
    node_->step(std::move(message));
    pump();
    if (is_installing_) {
        co_await installed_;
    }
    received_ = nullptr;
    if (!health_.ok()) {
        co_return health_;
    }
    if (apply_.applied() < index) {
        co_return Status(Code::kConflict, "the snapshot was not wanted");
    }
    co_return Status();
}

// The order makes a crash harmless: the state is durable in its place before the log says that it
// begins there, and a log that does not continue the state is not believed (replay_entry()).
async::Task<void> RaftGroup::install(raft::Ready ready) {
    const Index index = ready.install->index;
    const Status replaced = co_await replace_state();
    is_installing_ = false;
    if (!replaced.ok()) {
        quarantine(replaced.with_context("shard " + std::to_string(id_.value())));
        installed_.set();
        co_return;
    }
    // What became of commands below is in the state, and nobody can tell.
    while (!pending_.empty() && pending_.front().index != Index() &&
           pending_.front().index <= index) {
        const Pending pending = pending_.front();
        pending_.pop_front();
        settle(pending);
        if (pending.proposal != nullptr) {
            pending.proposal->on_failed(
                Status(Code::kUnavailable, "leadership was lost").with_unknown_effect());
        }
    }
    unwritten_.push_back(std::move(ready));
    write_ready();
    reads_.on_applied(apply_.applied());
    waiters_.on_applied(shard_->state().revision);
    installed_.set();
    pump();
}

async::Task<Status> RaftGroup::replace_state() {
    if (received_ == nullptr) {
        co_return Status(Code::kCorruption, "a snapshot is to be installed that was not received");
    }
    co_await apply_.pause();
    co_await gate_->close();
    is_engine_closed_ = true;
    const Status closed = co_await engine_->close();
    if (!closed.ok()) {
        log_warning("closing a replaced engine failed", {{"reason", closed.to_string()}});
    }
    auto adopted = co_await received_->adopt();
    KVSTORE_CO_TRY(std::unique_ptr<storage::Engine> engine, std::move(adopted));
    auto loaded = co_await load_group_meta(engine.get());
    auto opened = co_await mvcc::Shard::open(engine.get(), /*history_ms=*/0);
    if (!loaded.ok() || !opened.ok() || !loaded->has_value()) {
        (void)co_await engine->close();
        co_return !loaded.ok() ? loaded.status()
        : !opened.ok()         ? opened.status()
                               : Status(Code::kCorruption, "the received state lacks its group");
    }
    shard_ = *std::move(opened);
    engine_ = std::move(engine);
    is_engine_closed_ = false;
    apply_.attach(engine_.get(), shard_.get(), **std::move(loaded));
    is_alone_ = apply_.meta().is_alone(shared_.self);
    shared_.clock.restore(shard_->state().last_stamp);
    gate_ = std::make_unique<async::Gate>(shared_.env.scheduler);
    co_return Status();
}

}  // namespace kvstore::replication
