// The simplest engine that keeps the whole contract of storage/engine.h, for tests: ordered maps.
//
// Nothing suspends but what a test asks for. Misuse that the contract forbids is asserted: a view
// that is used after a write, an applied index that falls, use after close().
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "storage/engine.h"

namespace kvstore::mvcc::testing {

class MapEngine final : public storage::Engine {
public:
    using Rows = std::map<Bytes, Bytes, std::less<>>;
    using Tables = std::array<Rows, storage::kTableCount>;

    MapEngine() = default;
    // Holds `tables`, all of them durable.
    MapEngine(Tables tables, Index applied);
    // As after a crash: what persist() made durable, and no more.
    [[nodiscard]] std::unique_ptr<MapEngine> reopen_after_crash() const;
    // As after a clean stop: everything committed.
    [[nodiscard]] std::unique_ptr<MapEngine> reopen() const;

    // ---- what a test may turn ----

    // find() answers kMustLoad for keys of kCurrent that were not prefetched since the last commit.
    void set_resident(bool resident) { resident_ = resident; }
    // The next commit() answers kUnavailable, once.
    void refuse_next_commit() { refuses_commit_ = true; }
    // The rows, to look at or to damage.
    [[nodiscard]] Rows& rows(storage::Table table) {
        return tables_[static_cast<std::size_t>(table)];
    }
    [[nodiscard]] const Tables& tables() const { return tables_; }

    // ---- Engine ----
    storage::Lookup find(storage::Table table, ByteView key, ByteView* value) override;
    async::Task<Result<std::optional<Bytes>>> load(storage::Table table, Bytes key) override;
    [[nodiscard]] bool is_resident() const override { return resident_; }
    async::Task<Status> prefetch(std::vector<Bytes> keys) override;
    Result<bool> find_blocking(storage::Table table, ByteView key, ByteView* value) override;
    [[nodiscard]] std::unique_ptr<storage::View> view() override;
    [[nodiscard]] bool view_blocks() const override { return false; }

    using Engine::put;
    void put(storage::Table table, ByteView key, ByteView head, ByteView tail) override;
    void erase(storage::Table table, ByteView key) override;
    void erase_range(storage::Table table, ByteView from, ByteView to) override;
    Status commit(Index applied) override;
    async::Task<Status> commit_when_ready(Index applied) override;

    [[nodiscard]] Index applied_index() const override { return applied_; }
    [[nodiscard]] Index durable_index() const override { return durable_applied_; }
    async::Task<Status> persist() override;
    [[nodiscard]] std::unique_ptr<storage::SnapshotSource> snapshot_source() override;
    async::Task<Status> verify() override;
    async::Task<Status> compact() override;
    [[nodiscard]] storage::EngineStatistics statistics() const override;
    async::Task<Status> close() override;

private:
    // What a row was before the open batch changed it.
    struct Undo {
        storage::Table table = storage::Table::kMeta;
        Bytes key;
        std::optional<Bytes> value;
    };

    void begin_write(storage::Table table, ByteView key);
    [[nodiscard]] Tables committed() const;

    Tables tables_;
    Index applied_;
    std::vector<Undo> undo_;
    Tables durable_;
    Index durable_applied_;
    std::uint64_t write_count_ = 0;
    std::uint64_t blocking_read_count_ = 0;
    bool resident_ = true;
    bool refuses_commit_ = false;
    bool closed_ = false;
    std::set<Bytes, std::less<>> prefetched_;
};

}  // namespace kvstore::mvcc::testing
