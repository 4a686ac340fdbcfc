#include "replication/strong/maintenance.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "replication/read_view.h"
#include "replication/strong/awaited_proposal.h"

namespace kvstore::replication {

Maintenance::Maintenance(env::Env& env, RaftGroup& group, MaintenanceOptions options)
    : env_(env),
      group_(group),
      options_(options),
      gate_(env.scheduler),
      expiry_nap_(env),
      compaction_nap_(env),
      snapshot_nap_(env) {}

void Maintenance::start() {
    gate_.spawn(expire_loop());
    gate_.spawn(compact_loop());
    gate_.spawn(snapshot_loop());
}

async::Task<void> Maintenance::stop() {
    request_stop();
    co_await gate_.close();
}

void Maintenance::request_stop() {
    is_stopping_ = true;
    for (Nap* const nap : {&expiry_nap_, &compaction_nap_, &snapshot_nap_}) {
        nap->cut_short();
    }
}

void Maintenance::request_snapshot() {
    snapshot_is_wanted_ = true;
    snapshot_nap_.cut_short();
}

async::Task<void> Maintenance::Nap::wait_until(MonotonicTime when) {
    is_over_.reset();
    env::TimerId timer;
    if (when != MonotonicTime::max()) {
        timer = env_.clock.start_timer(when, [this] { is_over_.set(); });
    }
    co_await is_over_;
    env_.clock.cancel_timer(timer);
}

async::Task<bool> Maintenance::pause(Nap* nap, Duration span) {
    if (!is_stopping_) {
        co_await nap->wait_until(env_.clock.now() + span);
    }
    co_return !is_stopping_;
}

async::Task<Status> Maintenance::propose_and_wait(const mvcc::Command* command) {
    AwaitedProposal awaited(env_.scheduler);
    KVSTORE_CO_CHECK_OK(group_.propose(*command, &awaited));
    co_return co_await awaited.done();
}

// ---- expiry ----

async::Task<void> Maintenance::expire_loop() {
    bool is_due = false;
    while (true) {
        const bool go_on = co_await pause(
            &expiry_nap_, is_due ? options_.expiry_interval : options_.quiet_interval);
        if (!go_on) {
            co_return;
        }
        is_due = group_.shard().state().expiring_key_count > 0 && group_.is_leader();
        bool more = is_due;
        while (more && !is_stopping_) {
            more = co_await expire_some();
        }
    }
}

// Proposes the expiry of records that have run out. Returns: whether there may be more.
async::Task<bool> Maintenance::expire_some() {
    // No later than the stamp of the command that will be proposed, which decides.
    const std::uint64_t now = group_.now_ms();
    auto find = [now](storage::View* view) {
        return mvcc::Shard::expired(view, now, kExpireBatch);
    };
    auto found = co_await read_view<std::vector<mvcc::ExpiredKey>>(&env_, &group_, find);
    if (!found.ok()) {
        if (!is_stopping_) {
            log_warning("looking for expired keys failed",
                        {{"shard", group_.id().value()}, {"reason", found.status().to_string()}});
        }
        co_await pause(&expiry_nap_, kAfterFailure);
        co_return false;
    }
    if (found->empty()) {
        co_return false;
    }
    const bool may_be_more = found->size() == kExpireBatch;
    const Status done = co_await propose_expiry(*std::move(found));
    co_return done.ok() && may_be_more;
}

async::Task<Status> Maintenance::propose_expiry(std::vector<mvcc::ExpiredKey> expired) {
    for (std::size_t next = 0; next < expired.size() && !is_stopping_;) {
        mvcc::Command command;
        for (std::size_t bytes = 0; next < expired.size() && bytes < kExpireBytes; ++next) {
            mvcc::Operation& operation = command.operations.emplace_back();
            operation.kind = mvcc::OperationKind::kExpire;
            operation.key = expired[next].key;
            operation.condition = {.kind = mvcc::ConditionKind::kModRevision,
                                   .revision = expired[next].mod_revision,
                                   .value = {}};
            bytes += operation.key.size();
        }
        KVSTORE_CO_CHECK_OK(co_await propose_and_wait(&command));
    }
    co_return Status();
}

// ---- history ----

async::Task<void> Maintenance::compact_loop() {
    while (true) {
        const bool go_on = co_await pause(&compaction_nap_, options_.compaction_interval);
        if (!go_on) {
            co_return;
        }
        if (group_.is_leader()) {
            co_await compact_history();
        }
        co_await sweep();
    }
}

async::Task<void> Maintenance::compact_history() {
    const std::uint64_t history = group_.shard().state().history_ms;
    const std::uint64_t now = group_.now_ms();
    if (history == 0 || history >= now) {
        co_return;
    }
    auto find = [before = now - history](storage::View* view) {
        return mvcc::Shard::revision_before(view, before);
    };
    auto found = co_await read_view<std::optional<Revision>>(&env_, &group_, find);
    if (!found.ok()) {
        if (!is_stopping_) {
            log_warning("looking for old history failed",
                        {{"shard", group_.id().value()}, {"reason", found.status().to_string()}});
        }
        co_return;
    }
    if (!found->has_value() || **found <= group_.shard().state().compacted_revision) {
        co_return;
    }
    mvcc::Command command;
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kCompact;
    operation.delta = static_cast<std::int64_t>((*found)->value());
    command.operations.push_back(operation);
    const Status done = co_await propose_and_wait(&command);
    if (!done.ok() && !is_stopping_) {
        log_warning("compacting history failed", {{"reason", done.to_string()}});
    }
}

async::Task<void> Maintenance::sweep() {
    while (!is_stopping_ && group_.health().ok() && group_.shard().has_compaction_due()) {
        const Status swept = group_.sweep(kSweepBatch);
        if (!swept.ok() && swept.code() != Code::kUnavailable) {
            log_warning("sweeping compacted history failed", {{"reason", swept.to_string()}});
            co_return;
        }
        // Once a turn: user requests go first.
        co_await env_.clock.sleep(std::chrono::milliseconds(swept.ok() ? 1 : 20));
    }
}

// ---- snapshots ----

async::Task<bool> Maintenance::pause_until_snapshot() {
    const MonotonicTime until = options_.snapshot_interval.count() > 0
                                    ? env_.clock.now() + options_.snapshot_interval
                                    : MonotonicTime::max();
    if (!is_stopping_ && !snapshot_is_wanted_) {
        co_await snapshot_nap_.wait_until(until);
    }
    co_return !is_stopping_;
}

async::Task<void> Maintenance::snapshot_loop() {
    while (true) {
        const bool go_on = co_await pause_until_snapshot();
        if (!go_on) {
            co_return;
        }
        const storage::Engine& engine = group_.engine();
        if (!group_.health().ok() || engine.applied_index() == engine.durable_index()) {
            snapshot_is_wanted_ = false;
            continue;
        }
        const Status persisted = co_await group_.persist();
        // Whoever asked meanwhile asks again if this one was not enough.
        snapshot_is_wanted_ = false;
        if (!persisted.ok() && !is_stopping_) {
            log_warning("snapshot failed; the log is kept until one succeeds",
                        {{"shard", group_.id().value()}, {"reason", persisted.to_string()}});
        }
    }
}

}  // namespace kvstore::replication
