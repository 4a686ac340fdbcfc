#include "replication/strong/maintenance.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "async/sync.h"
#include "base/log.h"
#include "replication/read_view.h"

namespace kvstore::replication {
namespace {

// A proposal whose outcome only matters as "done" or "failed".
class Awaited final : public Proposal {
public:
    explicit Awaited(async::Scheduler& scheduler) : done_(scheduler) {}
    virtual ~Awaited() = default;

    void on_operation(std::size_t /*at*/, const mvcc::OperationResult& /*result*/) override {}
    void on_command(const mvcc::CommandResult& /*result*/) override { done_.set(Status()); }
    void on_failed(const Status& why) override { done_.set(why); }

    async::OneShot<Status>& done() { return done_; }

private:
    async::OneShot<Status> done_;
};

}  // namespace

Maintenance::Maintenance(env::Env& env, SingleGroup& group, MaintenanceOptions options)
    : env_(env), group_(group), options_(options), gate_(env.scheduler) {}

void Maintenance::start() {
    gate_.spawn(expire_loop());
    gate_.spawn(compact_loop());
    if (options_.snapshot_interval.count() > 0) {
        gate_.spawn(snapshot_loop());
    }
}

async::Task<void> Maintenance::stop() {
    is_stopping_ = true;
    co_await gate_.close();
}

std::uint64_t Maintenance::now_ms() const {
    return to_unix_ms(env_.clock.wall_now());
}

async::Task<bool> Maintenance::pause(Duration span) {
    // Short naps, so that stopping never waits for a long interval.
    constexpr Duration kNap = std::chrono::milliseconds(100);
    const MonotonicTime until = env_.clock.now() + span;
    while (!is_stopping_ && env_.clock.now() < until) {
        const Duration nap = std::min(kNap, until - env_.clock.now());
        co_await env_.clock.sleep(nap);
    }
    co_return !is_stopping_;
}

async::Task<Status> Maintenance::propose_and_wait(const mvcc::Command* command) {
    Awaited awaited(env_.scheduler);
    KVSTORE_CO_CHECK_OK(group_.propose(*command, &awaited));
    co_return co_await awaited.done();
}

// ---- expiry ----

async::Task<void> Maintenance::expire_loop() {
    while (true) {
        const bool go_on = co_await pause(options_.expiry_interval);
        if (!go_on) {
            co_return;
        }
        bool more = group_.shard().state().expiring_key_count > 0 && group_.health().ok();
        while (more && !is_stopping_) {
            more = co_await expire_some();
        }
    }
}

// Proposes the expiry of records that have run out. Returns: whether there may be more.
async::Task<bool> Maintenance::expire_some() {
    const std::uint64_t now = now_ms();
    auto find = [now](storage::View* view) {
        return mvcc::Shard::expired(view, now, kExpireBatch);
    };
    auto found = co_await read_view<std::vector<mvcc::ExpiredKey>>(&env_, &group_, find);
    if (!found.ok()) {
        log_warning("looking for expired keys failed", {{"reason", found.status().to_string()}});
        co_return false;
    }
    if (found->empty()) {
        co_return false;
    }
    mvcc::Command command;
    command.operations.reserve(found->size());
    for (const mvcc::ExpiredKey& expired : *found) {
        mvcc::Operation operation;
        operation.kind = mvcc::OperationKind::kExpire;
        operation.key = expired.key;
        operation.condition = {.kind = mvcc::ConditionKind::kModRevision,
                               .revision = expired.mod_revision,
                               .value = {}};
        command.operations.push_back(operation);
    }
    const Status done = co_await propose_and_wait(&command);
    co_return done.ok() && found->size() == kExpireBatch;
}

// ---- history ----

async::Task<void> Maintenance::compact_loop() {
    while (true) {
        const bool go_on = co_await pause(options_.compaction_interval);
        if (!go_on) {
            co_return;
        }
        if (!group_.health().ok()) {
            continue;
        }
        co_await compact_history();
        co_await sweep();
    }
}

async::Task<void> Maintenance::compact_history() {
    const std::uint64_t history = group_.shard().state().history_ms;
    const std::uint64_t now = now_ms();
    if (history == 0 || history >= now) {
        co_return;
    }
    auto find = [before = now - history](storage::View* view) {
        return mvcc::Shard::revision_before(view, before);
    };
    auto found = co_await read_view<std::optional<Revision>>(&env_, &group_, find);
    if (!found.ok() || !found->has_value() ||
        **found <= group_.shard().state().compacted_revision) {
        co_return;
    }
    mvcc::Command command;
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kCompact;
    operation.delta = static_cast<std::int64_t>((*found)->value());
    command.operations.push_back(operation);
    const Status done = co_await propose_and_wait(&command);
    if (!done.ok()) {
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

async::Task<void> Maintenance::snapshot_loop() {
    while (true) {
        const bool go_on = co_await pause(options_.snapshot_interval);
        if (!go_on) {
            co_return;
        }
        const storage::Engine& engine = group_.engine();
        if (!group_.health().ok() || engine.applied_index() == engine.durable_index()) {
            continue;
        }
        const Status persisted = co_await group_.persist();
        if (!persisted.ok()) {
            log_warning("snapshot failed; the log is kept until one succeeds",
                        {{"shard", group_.id().value()}, {"reason", persisted.to_string()}});
        }
    }
}

}  // namespace kvstore::replication
