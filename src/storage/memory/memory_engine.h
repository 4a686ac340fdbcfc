// The engine that holds everything in memory: tables, their snapshots on disk, nothing between.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/sync.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "storage/engine.h"
#include "storage/engines.h"
#include "storage/memory/memory_snapshot.h"
#include "storage/memory/table_set.h"

namespace kvstore::storage {

// Lifetime  As Engine. Snapshot sources and readers end before it does.
// Runs on   One core, but for what a RowReader does.
// Never     Blocks, or answers kMustLoad.
class MemoryEngine final : public Engine {
public:
    MemoryEngine(env::Env* env, std::string directory, MemoryEngineOptions options);
    MemoryEngine(const MemoryEngine&) = delete;
    MemoryEngine& operator=(const MemoryEngine&) = delete;
    ~MemoryEngine() override;

    // Fills an empty engine from the newest snapshot, if there is one.
    // Errors: kCorruption with file and offset; kIoError.
    async::Task<Status> recover();

    // For point reads of kCurrent on another core, without a lock and without a message to this
    // one.
    [[nodiscard]] std::unique_ptr<memory::RowReader> add_reader() { return tables_.add_reader(); }

    Lookup find(Table table, ByteView key, ByteView* value) override;
    void hint(Table table, ByteView key) override;
    async::Task<Result<std::optional<Bytes>>> load(Table table, Bytes key) override;
    [[nodiscard]] bool is_resident() const override { return true; }
    async::Task<Status> prefetch(std::vector<Bytes> keys) override;
    Result<bool> find_blocking(Table table, ByteView key, ByteView* value) override;
    [[nodiscard]] std::unique_ptr<View> view() override;
    [[nodiscard]] bool view_blocks() const override { return false; }

    using Engine::put;
    void put(Table table, ByteView key, ByteView head, ByteView tail) override;
    void erase(Table table, ByteView key) override;
    void erase_range(Table table, ByteView from, ByteView to) override;
    Status commit(Index applied) override;
    async::Task<Status> commit_when_ready(Index applied) override;

    [[nodiscard]] Index applied_index() const override { return tables_.applied(); }
    [[nodiscard]] Index durable_index() const override { return durable_; }
    async::Task<Status> persist() override;
    // Requires: no batch is open.
    [[nodiscard]] std::unique_ptr<SnapshotSource> snapshot_source() override;
    async::Task<Status> verify() override;
    async::Task<Status> compact() override;
    [[nodiscard]] EngineStatistics statistics() const override;
    async::Task<Status> close() override;

private:
    async::Task<Status> persist_alone(Index wanted, std::uint64_t wanted_generation);
    async::Task<Status> create_directory();
    async::Task<Status> verify_tables();
    async::Task<Status> verify_snapshot();
    async::Task<void> collect_in_background();
    void end_batch(Index applied);

    env::Env* env_;
    std::string directory_;
    MemoryEngineOptions options_;
    memory::TableSet tables_;
    std::uint64_t side_bytes_ = 0;
    Index durable_;                         // of the newest snapshot
    std::uint64_t durable_generation_ = 0;  // of the tables that the newest snapshot shows
    std::uint64_t disk_bytes_ = 0;
    memory::MemorySnapshotSource* persisting_ = nullptr;  // null: no snapshot is being written
    async::Gate gate_;
    async::Semaphore persist_turn_;
    bool is_collecting_ = false;
    bool is_closed_ = false;
};

}  // namespace kvstore::storage
