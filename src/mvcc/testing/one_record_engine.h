// An engine that does next to nothing: whatever was put last into kCurrent stands at every key. For
// measuring what stands above an engine.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "storage/engine.h"

namespace kvstore::mvcc::testing {

// Never  Allocates, once a record of the largest size was put.
class OneRecordEngine final : public storage::Engine {
public:
    storage::Lookup find(storage::Table table, ByteView /*key*/, ByteView* value) override {
        if (table != storage::Table::kCurrent || stored_.empty()) {
            return storage::Lookup::kAbsent;
        }
        *value = stored_;
        return storage::Lookup::kFound;
    }
    async::Task<Result<std::optional<Bytes>>> load(storage::Table /*table*/,
                                                   Bytes /*key*/) override {
        co_return std::optional<Bytes>();
    }
    [[nodiscard]] bool is_resident() const override { return true; }
    async::Task<Status> prefetch(std::vector<Bytes> /*keys*/) override { co_return Status(); }
    Result<bool> find_blocking(storage::Table table, ByteView key, ByteView* value) override {
        return find(table, key, value) == storage::Lookup::kFound;
    }
    [[nodiscard]] std::unique_ptr<storage::View> view() override { return nullptr; }
    [[nodiscard]] bool view_blocks() const override { return false; }

    using Engine::put;
    void put(storage::Table table, ByteView /*key*/, ByteView head, ByteView tail) override {
        if (table == storage::Table::kCurrent) {
            stored_.assign(head);
            stored_.append(tail);
        }
    }
    void erase(storage::Table /*table*/, ByteView /*key*/) override {}
    void erase_range(storage::Table /*table*/, ByteView /*from*/, ByteView /*to*/) override {}
    Status commit(Index applied) override {
        applied_ = applied;
        return {};
    }
    async::Task<Status> commit_when_ready(Index applied) override { co_return commit(applied); }

    [[nodiscard]] Index applied_index() const override { return applied_; }
    [[nodiscard]] Index durable_index() const override { return applied_; }
    async::Task<Status> persist() override { co_return Status(); }
    [[nodiscard]] std::unique_ptr<storage::SnapshotSource> snapshot_source() override {
        return nullptr;
    }
    async::Task<Status> verify() override { co_return Status(); }
    async::Task<Status> compact() override { co_return Status(); }
    [[nodiscard]] storage::EngineStatistics statistics() const override { return {}; }
    async::Task<Status> close() override { co_return Status(); }

private:
    Bytes stored_;
    Index applied_;
};

}  // namespace kvstore::mvcc::testing
