// The engine over RocksDB.
//
// Lifetime of a write: put() appends to the open batch and indexes it; commit() adds the applied
// index to the batch and writes it to RocksDB's memtable in one piece. There is one column family,
// so a batch stands in one memtable and is flushed whole or not at all: what a crash leaves is
// always the state after some commit, and that commit's applied index is stored in it.
//
// Where find() looks, in this order: the open batch; what prefetch() brought; the cache of hot
// records (kCurrent only, committed records only); RocksDB's memtables and block cache. It never
// waits for the disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "async/sync.h"
#include "base/hash.h"
#include "env/env.h"
#include "storage/engine.h"
#include "storage/engines.h"
#include "storage/hint_ring.h"
#include "storage/lsm/internal/change_tracker.h"
#include "storage/lsm/internal/database.h"
#include "storage/lsm/internal/durability.h"
#include "storage/lsm/internal/lsm_view.h"
#include "storage/lsm/internal/open_batch.h"
#include "storage/lsm/internal/record_cache.h"
#include "storage/lsm/internal/stored_state.h"

namespace kvstore::storage::lsm {

// Invariants
//   durable_index() <= applied_index()
//   nothing of a batch is in RocksDB before commit, everything after it
class LsmEngine final : public Engine {
public:
    LsmEngine(env::Env* env, std::unique_ptr<Database> database, std::shared_ptr<LsmShared> shared);
    LsmEngine(const LsmEngine&) = delete;
    LsmEngine& operator=(const LsmEngine&) = delete;
    ~LsmEngine() override;

    Lookup find(Table table, ByteView key, ByteView* value) override;
    void hint(Table table, ByteView key) override;
    async::Task<Result<std::optional<Bytes>>> load(Table table, Bytes key) override;
    [[nodiscard]] bool is_resident() const override;
    async::Task<Status> prefetch(std::vector<Bytes> keys) override;
    Result<bool> find_blocking(Table table, ByteView key, ByteView* value) override;
    [[nodiscard]] std::unique_ptr<View> view() override;
    [[nodiscard]] bool view_blocks() const override { return true; }

    using Engine::put;
    void put(Table table, ByteView key, ByteView head, ByteView tail) override;
    void erase(Table table, ByteView key) override;
    void erase_range(Table table, ByteView from, ByteView to) override;

    Status commit(Index applied) override;
    async::Task<Status> commit_when_ready(Index applied) override;

    [[nodiscard]] Index applied_index() const override { return applied_; }
    [[nodiscard]] Index durable_index() const override;
    async::Task<Status> persist() override;
    [[nodiscard]] std::unique_ptr<SnapshotSource> snapshot_source() override;
    async::Task<Status> verify() override;
    async::Task<Status> compact() override;
    [[nodiscard]] EngineStatistics statistics() const override;
    async::Task<Status> close() override;

    // Goes on with purges that were not finished when the engine was closed.
    void resume_purges();

private:
    // What prefetch() brought: the value, or that there is none.
    struct KeyHash {
        using is_transparent = void;
        std::size_t operator()(ByteView key) const { return hash64(key); }
    };
    using Loaded = std::unordered_map<Bytes, std::optional<Bytes>, KeyHash, std::equal_to<>>;

    [[nodiscard]] std::optional<Lookup> find_uncommitted(Table table,
                                                         ByteView key,
                                                         ByteView* value);
    [[nodiscard]] std::optional<Lookup> find_current(std::uint64_t hash,
                                                     ByteView key,
                                                     ByteView* value);
    [[nodiscard]] Lookup find_stored(Table table, ByteView key, ByteView* value);
    void cache_record(std::uint64_t hash, ByteView key, ByteView value);
    OpenBatch& writable_batch();
    void seal_batch(Index applied);
    void finish_commit(Index applied);
    void note_changes();
    void erase_table(Table table, std::uint8_t fresh_prefix);
    void erase_rows(Table table, Bytes from, ByteView to);
    [[nodiscard]] Status collect_rows(Table table,
                                      ByteView from,
                                      ByteView to,
                                      std::vector<Bytes>* keys);
    [[nodiscard]] std::unique_ptr<LsmView> make_view();
    void start_purge(std::uint8_t prefix);
    async::Task<void> run_purge(std::uint8_t prefix);
    async::Task<Status> run_on_pool(Callback<Status()> work);

    env::Env* env_;
    std::shared_ptr<LsmShared> shared_;
    std::unique_ptr<Database> database_;
    async::Gate gate_;
    std::atomic<bool> is_closing_{false};
    bool is_closed_ = false;

    StoredState state_;  // with the changes of the open batch
    Index applied_;      // of the last commit
    Prefixes committed_prefixes_;
    mutable Durability durability_;
    std::shared_ptr<OpenBatch> batch_;
    bool is_committing_ = false;       // the pool writes batch_: it must stay as it is
    bool has_changed_tables_ = false;  // the open batch gave a table a fresh prefix
    std::vector<std::uint8_t> purging_;

    Loaded loaded_;
    RecordCache cache_;  // of kCurrent, as committed
    HintRing hinted_;
    ChangeTracker changes_;
    Bytes key_;
    rocksdb::PinnableSlice pinned_;

    std::uint64_t load_count_ = 0;
    std::uint64_t blocking_read_count_ = 0;
};

}  // namespace kvstore::storage::lsm
