// An engine that is to a group what the LSM engine is, in virtual time, and as slow or as broken as
// a test wants it.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "env/clock.h"
#include "mvcc/testing/map_engine.h"
#include "storage/engine.h"

namespace kvstore::replication::testing {

// What a test turns. Outlives the engine.
struct SlowEngineFaults {
    Duration delay{};             // of prefetch(), commit_when_ready() and persist()
    bool refuses_commit = false;  // commit() answers kUnavailable
    Status commit;
    Status prefetch;
    Status persist;
    // What happened.
    int persist_count = 0;
    int waited_commit_count = 0;
};

class SlowEngine final : public storage::Engine {
public:
    SlowEngine(env::Clock& clock, SlowEngineFaults& faults, bool resident = false)
        : SlowEngine(clock, faults, std::make_unique<mvcc::testing::MapEngine>(), resident) {}
    SlowEngine(env::Clock& clock,
               SlowEngineFaults& faults,
               std::unique_ptr<mvcc::testing::MapEngine> rows,
               bool resident)
        : clock_(clock), faults_(faults), rows_(std::move(rows)) {
        rows_->set_resident(resident);
    }

    [[nodiscard]] mvcc::testing::MapEngine& rows() { return *rows_; }

    storage::Lookup find(storage::Table table, ByteView key, ByteView* value) override {
        return rows_->find(table, key, value);
    }
    async::Task<Result<std::optional<Bytes>>> load(storage::Table table, Bytes key) override {
        return rows_->load(table, std::move(key));
    }
    [[nodiscard]] bool is_resident() const override { return rows_->is_resident(); }
    async::Task<Status> prefetch(std::vector<Bytes> keys) override {
        co_await wait();
        KVSTORE_CO_CHECK_OK(faults_.prefetch);
        co_return co_await rows_->prefetch(std::move(keys));
    }
    Result<bool> find_blocking(storage::Table table, ByteView key, ByteView* value) override {
        return rows_->find_blocking(table, key, value);
    }
    [[nodiscard]] std::unique_ptr<storage::View> view() override { return rows_->view(); }
    [[nodiscard]] bool view_blocks() const override { return rows_->view_blocks(); }

    using Engine::put;
    void put(storage::Table table, ByteView key, ByteView head, ByteView tail) override {
        KVSTORE_ASSERT(!is_committing_);
        rows_->put(table, key, head, tail);
    }
    void erase(storage::Table table, ByteView key) override {
        KVSTORE_ASSERT(!is_committing_);
        rows_->erase(table, key);
    }
    void erase_range(storage::Table table, ByteView from, ByteView to) override {
        KVSTORE_ASSERT(!is_committing_);
        rows_->erase_range(table, from, to);
    }
    Status commit(Index applied) override {
        KVSTORE_ASSERT(!is_committing_);
        KVSTORE_CHECK_OK(faults_.commit);
        if (faults_.refuses_commit) {
            return {Code::kUnavailable, "the engine is behind"};
        }
        return rows_->commit(applied);
    }
    async::Task<Status> commit_when_ready(Index applied) override {
        KVSTORE_ASSERT(!is_committing_);
        ++faults_.waited_commit_count;
        is_committing_ = true;
        co_await wait();
        is_committing_ = false;
        KVSTORE_CO_CHECK_OK(faults_.commit);
        co_return rows_->commit(applied);
    }

    [[nodiscard]] Index applied_index() const override { return rows_->applied_index(); }
    [[nodiscard]] Index durable_index() const override { return rows_->durable_index(); }
    async::Task<Status> persist() override {
        co_await wait();
        ++faults_.persist_count;
        KVSTORE_CO_CHECK_OK(faults_.persist);
        co_return co_await rows_->persist();
    }
    [[nodiscard]] std::unique_ptr<storage::SnapshotSource> snapshot_source() override {
        return rows_->snapshot_source();
    }
    async::Task<Status> verify() override { return rows_->verify(); }
    async::Task<Status> compact() override { return rows_->compact(); }
    [[nodiscard]] storage::EngineStatistics statistics() const override {
        return rows_->statistics();
    }
    async::Task<Status> close() override { return rows_->close(); }

private:
    async::Task<void> wait() {
        if (faults_.delay.count() > 0) {
            co_await clock_.sleep(faults_.delay);
        }
    }

    env::Clock& clock_;
    SlowEngineFaults& faults_;
    std::unique_ptr<mvcc::testing::MapEngine> rows_;
    bool is_committing_ = false;
};

}  // namespace kvstore::replication::testing
