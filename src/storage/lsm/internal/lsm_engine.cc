#include "storage/lsm/internal/lsm_engine.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "storage/lsm/internal/lsm_shared.h"
#include "storage/lsm/internal/rocks_status.h"
#include "storage/lsm/internal/snapshot_rows.h"

namespace kvstore::storage::lsm {
namespace {

// How many rows erase_range() deletes between two looks at the table.
constexpr std::size_t kEraseRowsMax = 1024;

// Leaves the gate when a coroutine of the engine ends.
class InsideGate {
public:
    explicit InsideGate(async::Gate& gate) : gate_(gate), is_inside_(gate.try_enter()) {}
    InsideGate(const InsideGate&) = delete;
    InsideGate& operator=(const InsideGate&) = delete;
    ~InsideGate() {
        if (is_inside_) {
            gate_.leave();
        }
    }
    [[nodiscard]] bool is_inside() const { return is_inside_; }

private:
    async::Gate& gate_;
    bool is_inside_;
};

Status closing_status() {
    return Status(Code::kUnavailable, "the engine is closing");
}

void assign_key(Bytes& to, std::uint8_t prefix, ByteView key) {
    to.assign(1, static_cast<char>(prefix));
    to.append(key);
}

}  // namespace

LsmEngine::LsmEngine(env::Env* env,
                     std::unique_ptr<Database> database,
                     std::shared_ptr<LsmShared> shared)
    : env_(env),
      shared_(std::move(shared)),
      database_(std::move(database)),
      gate_(env->scheduler),
      state_(database_->opened_state()),
      applied_(state_.applied),
      committed_prefixes_(state_.prefixes),
      durability_(state_.applied),
      batch_(std::make_shared<OpenBatch>()),
      cache_(0) {
    shared_->add_engine();
}

LsmEngine::~LsmEngine() {
    KVSTORE_ASSERT(is_closed_);
    shared_->remove_engine();
}

// ---- reads ----

std::optional<Lookup> LsmEngine::find_uncommitted(Table table, ByteView key, ByteView* value) {
    if (batch_->empty()) {
        return std::nullopt;
    }
    const OpenBatch::Entry* entry = batch_->find(state_.prefix(table), key);
    if (entry == nullptr) {
        return std::nullopt;
    }
    *value = batch_->value(*entry);
    return entry->is_erased ? Lookup::kAbsent : Lookup::kFound;
}

std::optional<Lookup> LsmEngine::find_current(std::uint64_t hash, ByteView key, ByteView* value) {
    if (!loaded_.empty()) {
        const auto found = loaded_.find(key);
        if (found != loaded_.end()) {
            *value = found->second.has_value() ? ByteView(*found->second) : ByteView();
            return found->second.has_value() ? Lookup::kFound : Lookup::kAbsent;
        }
    }
    if (cache_.find(hash, key, value)) {
        return Lookup::kFound;
    }
    return std::nullopt;
}

Lookup LsmEngine::find_stored(Table table, ByteView key, ByteView* value) {
    assign_key(key_, state_.prefix(table), key);
    const Result<Database::Found> found =
        database_->get(Database::Tier::kCache, nullptr, key_, &pinned_);
    if (!found.ok() || *found == Database::Found::kMustLoad) {
        return Lookup::kMustLoad;
    }
    *value = to_view(pinned_);
    return *found == Database::Found::kYes ? Lookup::kFound : Lookup::kAbsent;
}

Lookup LsmEngine::find(Table table, ByteView key, ByteView* value) {
    if (database_->has_failed()) {
        return Lookup::kMustLoad;  // load() says why
    }
    const std::optional<Lookup> uncommitted = find_uncommitted(table, key, value);
    if (uncommitted.has_value()) {
        return *uncommitted;
    }
    if (table != Table::kCurrent) {
        return find_stored(table, key, value);
    }
    if (!hinted_.empty()) {
        cache_.prefetch_record(hinted_.take());
    }
    const std::uint64_t hash = hash64(key);
    const std::optional<Lookup> current = find_current(hash, key, value);
    if (current.has_value()) {
        return *current;
    }
    const Lookup stored = find_stored(table, key, value);
    if (stored == Lookup::kFound) {
        cache_record(hash, key, *value);
    }
    return stored;
}

void LsmEngine::hint(Table table, ByteView key) {
    if (table != Table::kCurrent) {
        return;
    }
    const std::uint64_t hash = hash64(key);
    cache_.prefetch(hash);
    hinted_.push(hash);
    if (hinted_.full()) {
        cache_.prefetch_record(hinted_.take());
    }
}

void LsmEngine::cache_record(std::uint64_t hash, ByteView key, ByteView value) {
    // After an uncommitted erasure of the table the prefix is another, and nothing is found.
    const std::size_t share = shared_->record_cache_share();
    if (share != cache_.capacity_bytes()) {
        cache_.set_capacity(share);
    }
    cache_.offer(hash, key, value);
}

Result<bool> LsmEngine::find_blocking(Table table, ByteView key, ByteView* value) {
    KVSTORE_CHECK_OK(database_->check());
    const Lookup lookup = find(table, key, value);
    if (lookup != Lookup::kMustLoad) {
        return lookup == Lookup::kFound;
    }
    ++blocking_read_count_;
    assign_key(key_, state_.prefix(table), key);
    KVSTORE_TRY(const Database::Found found,
                database_->get(Database::Tier::kDisk, nullptr, key_, &pinned_));
    *value = to_view(pinned_);
    return found == Database::Found::kYes;
}

async::Task<Result<std::optional<Bytes>>> LsmEngine::load(Table table, Bytes key) {
    const InsideGate inside(gate_);
    if (!inside.is_inside()) {
        co_return closing_status();
    }
    ++load_count_;
    const ChangeTracker::Read read(&changes_);
    Bytes prefixed;
    assign_key(prefixed, state_.prefix(table), key);
    std::optional<Bytes> value;
    Callback<Status()> work([database = database_.get(), &prefixed, &value]() -> Status {
        rocksdb::PinnableSlice pinned;
        KVSTORE_TRY(const Database::Found found,
                    database->get(Database::Tier::kDisk, nullptr, prefixed, &pinned));
        if (found == Database::Found::kYes) {
            value.emplace(to_view(pinned));
        }
        return {};
    });
    Status status = co_await run_on_pool(std::move(work));
    if (!status.ok()) {
        co_return status;
    }
    const std::uint64_t hash = hash64(key);
    if (table == Table::kCurrent && value.has_value() && !read.has_changed(hash)) {
        cache_record(hash, key, *value);
    }
    co_return std::move(value);
}

bool LsmEngine::is_resident() const {
    return !database_->events().has_files.load(std::memory_order_acquire) &&
           !database_->has_failed();
}

async::Task<Status> LsmEngine::prefetch(std::vector<Bytes> keys) {
    const InsideGate inside(gate_);
    if (!inside.is_inside()) {
        co_return closing_status();
    }
    KVSTORE_CO_CHECK_OK(database_->check());
    ByteView ignored;
    std::erase_if(keys, [&](const Bytes& key) {
        return find(Table::kCurrent, key, &ignored) != Lookup::kMustLoad;
    });
    // In order, and no key twice: RocksDB 7.8 answers a MultiGet with duplicates wrongly.
    std::ranges::sort(keys);
    const auto duplicates = std::ranges::unique(keys);
    keys.erase(duplicates.begin(), duplicates.end());
    if (keys.empty()) {
        co_return Status();
    }
    load_count_ += keys.size();

    const ChangeTracker::Read read(&changes_);
    const std::uint8_t prefix = state_.prefix(Table::kCurrent);
    std::vector<std::optional<Bytes>> values(keys.size());
    Callback<Status()> work([database = database_.get(), prefix, &keys, &values] {
        return database->get_all(prefix, keys, &values);
    });
    Status status = co_await run_on_pool(std::move(work));
    if (!status.ok()) {
        co_return status;
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
        // What was committed meanwhile is newer, and in the memtable.
        const std::uint64_t hash = hash64(keys[i]);
        if (!read.has_changed(hash)) {
            if (values[i].has_value()) {
                cache_record(hash, keys[i], *values[i]);
            }
            loaded_.insert_or_assign(std::move(keys[i]), std::move(values[i]));
        }
    }
    co_return Status();
}

std::unique_ptr<LsmView> LsmEngine::make_view() {
    std::shared_ptr<OpenBatch> batch;
    if (!batch_->empty()) {
        batch_->build_order();
        batch = batch_;
    }
    return std::make_unique<LsmView>(std::make_unique<GatePass>(&gate_, &env_->scheduler),
                                     database_.get(),
                                     state_.prefixes,
                                     std::move(batch));
}

std::unique_ptr<View> LsmEngine::view() {
    return make_view();
}

// ---- writes ----

// The open batch, apart from the one that views look at.
OpenBatch& LsmEngine::writable_batch() {
    KVSTORE_ASSERT(!is_committing_);
    if (batch_->has_readers()) {
        batch_ = batch_->clone();
    }
    return *batch_;
}

void LsmEngine::put(Table table, ByteView key, ByteView head, ByteView tail) {
    writable_batch().put(state_.prefix(table), key, head, tail);
}

void LsmEngine::erase(Table table, ByteView key) {
    writable_batch().erase(state_.prefix(table), key);
}

void LsmEngine::erase_range(Table table, ByteView from, ByteView to) {
    KVSTORE_ASSERT(!is_committing_);
    if (from.empty() && to.empty()) {
        const std::optional<std::uint8_t> fresh = state_.find_free_prefix();
        if (fresh.has_value()) {
            erase_table(table, *fresh);
            return;
        }
    }
    erase_rows(table, Bytes(from), to);
}

void LsmEngine::erase_table(Table table, std::uint8_t fresh_prefix) {
    std::uint8_t& prefix = state_.prefixes[static_cast<std::size_t>(table)];
    state_.dead.push_back(prefix);
    prefix = fresh_prefix;
    has_changed_tables_ = true;
    if (table == Table::kCurrent) {
        loaded_.clear();
        cache_.clear();
        changes_.begin_commit();
        changes_.note_all_changed();
    }
}

void LsmEngine::erase_rows(Table table, Bytes from, ByteView to) {
    std::vector<Bytes> keys;
    do {
        keys.clear();
        const Status status = collect_rows(table, from, to, &keys);
        if (!status.ok()) {
            return;  // remembered by the database: the commit fails with it
        }
        for (const Bytes& key : keys) {
            erase(table, key);
        }
        if (!keys.empty()) {
            from = keys.back();
        }
    } while (keys.size() == kEraseRowsMax);
}

Status LsmEngine::collect_rows(Table table, ByteView from, ByteView to, std::vector<Bytes>* keys) {
    const std::unique_ptr<LsmView> rows = make_view();
    for (const LsmCursor::Use use : {LsmCursor::Use::kWithoutDisk, LsmCursor::Use::kUsual}) {
        keys->clear();
        const std::unique_ptr<LsmCursor> cursor = rows->make_cursor(table, use);
        for (cursor->seek(from); cursor->valid() && keys->size() < kEraseRowsMax; cursor->next()) {
            if (!to.empty() && cursor->key() >= to) {
                return {};
            }
            keys->emplace_back(cursor->key());
        }
        Status status = cursor->status();
        if (status.code() != Code::kUnavailable) {
            return status;
        }
        ++blocking_read_count_;
    }
    return database_->check();
}

void LsmEngine::seal_batch(Index applied) {
    KVSTORE_ASSERT(!is_committing_);
    KVSTORE_ASSERT(applied >= applied_);
    state_.applied = applied;
    writable_batch().put_hidden(kStatePrefix, state_.encode());
}

Status LsmEngine::commit(Index applied) {
    seal_batch(applied);
    Status status = database_->write(batch_->raw(), Database::Stall::kRefuse);
    if (status.ok()) {
        finish_commit(applied);
    }
    return status;
}

async::Task<Status> LsmEngine::commit_when_ready(Index applied) {
    const InsideGate inside(gate_);
    if (!inside.is_inside()) {
        co_return closing_status();
    }
    seal_batch(applied);
    is_committing_ = true;
    Callback<Status()> work([database = database_.get(), raw = batch_->raw()] {
        return database->write(raw, Database::Stall::kWait);
    });
    Status status = co_await run_on_pool(std::move(work));
    is_committing_ = false;
    if (status.ok()) {
        finish_commit(applied);
    }
    co_return status;
}

void LsmEngine::finish_commit(Index applied) {
    applied_ = applied;
    committed_prefixes_ = state_.prefixes;
    durability_.note_commit(database_->sequence(), applied);
    durability_.note_flushed(database_->flushed_sequence());
    note_changes();
    loaded_.clear();
    if (batch_->has_readers()) {
        batch_ = std::make_shared<OpenBatch>();
    } else {
        batch_->clear();
    }
    if (has_changed_tables_) {
        has_changed_tables_ = false;
        resume_purges();
    }
}

// Brings the cache up to date, and tells the reads that are on their way what they must not bring.
void LsmEngine::note_changes() {
    changes_.begin_commit();
    if (!changes_.is_needed() && cache_.record_count() == 0) {
        return;
    }
    const char prefix = static_cast<char>(state_.prefix(Table::kCurrent));
    for (const OpenBatch::Entry& entry : batch_->entries()) {
        const ByteView prefixed = batch_->key(entry);
        if (prefixed.front() != prefix) {
            continue;
        }
        const ByteView key = prefixed.substr(1);
        const std::uint64_t hash = hash64(key);
        if (changes_.is_needed()) {
            changes_.note_changed(hash);
        }
        if (entry.is_erased) {
            cache_.erase(hash, key);
        } else {
            cache_.update(hash, key, batch_->value(entry));
        }
    }
}

// ---- durability ----

Index LsmEngine::durable_index() const {
    durability_.note_flushed(database_->flushed_sequence());
    return durability_.durable();
}

async::Task<Status> LsmEngine::persist() {
    const InsideGate inside(gate_);
    if (!inside.is_inside()) {
        co_return closing_status();
    }
    Callback<Status()> work([database = database_.get()] { return database->flush(); });
    Status status = co_await run_on_pool(std::move(work));
    co_return status;
}

std::unique_ptr<SnapshotSource> LsmEngine::snapshot_source() {
    return std::make_unique<SnapshotRows>(env_,
                                          std::make_unique<GatePass>(&gate_, &env_->scheduler),
                                          database_.get(),
                                          committed_prefixes_,
                                          applied_);
}

// ---- care ----

async::Task<Status> LsmEngine::verify() {
    const InsideGate inside(gate_);
    if (!inside.is_inside()) {
        co_return closing_status();
    }
    Callback<Status()> work([database = database_.get()] { return database->verify(); });
    Status status = co_await run_on_pool(std::move(work));
    co_return status;
}

async::Task<Status> LsmEngine::compact() {
    const InsideGate inside(gate_);
    if (!inside.is_inside()) {
        co_return closing_status();
    }
    Callback<Status()> work([database = database_.get(), cancelled = &is_closing_] {
        return database->compact(cancelled);
    });
    Status status = co_await run_on_pool(std::move(work));
    co_return status;
}

EngineStatistics LsmEngine::statistics() const {
    if (is_closing_.load()) {
        return {};
    }
    const DatabaseEvents& events = database_->events();
    return EngineStatistics{
        .key_count = database_->property("rocksdb.estimate-num-keys"),
        .memory_bytes = database_->property("rocksdb.cur-size-all-mem-tables") +
                        database_->property("rocksdb.estimate-table-readers-mem") +
                        batch_->size_bytes() + cache_.size_bytes(),
        .disk_bytes = database_->property("rocksdb.total-sst-files-size"),
        .load_count = load_count_,
        .blocking_read_count = blocking_read_count_,
        .compaction_count = events.compaction_count.load(std::memory_order_relaxed),
        .compaction_nanoseconds = events.compaction_nanoseconds.load(std::memory_order_relaxed),
    };
}

void LsmEngine::resume_purges() {
    for (const std::uint8_t prefix : state_.dead) {
        if (std::ranges::find(purging_, prefix) == purging_.end()) {
            start_purge(prefix);
        }
    }
}

void LsmEngine::start_purge(std::uint8_t prefix) {
    purging_.push_back(prefix);
    if (!gate_.spawn(run_purge(prefix))) {
        std::erase(purging_, prefix);
    }
}

// A purge that is cut short is begun again when the engine is opened.
async::Task<void> LsmEngine::run_purge(std::uint8_t prefix) {
    bool is_all_gone = false;
    Status status;
    while (status.ok() && !is_all_gone && !is_closing_.load()) {
        Callback<Status()> work([database = database_.get(), prefix, &is_all_gone]() -> Status {
            KVSTORE_TRY(is_all_gone, database->purge(prefix));
            return {};
        });
        status = co_await run_on_pool(std::move(work));
    }
    if (is_all_gone) {
        // Stored with the next commit; after a crash before it, the purge finds nothing.
        std::erase(state_.dead, prefix);
    }
    std::erase(purging_, prefix);
}

async::Task<Status> LsmEngine::run_on_pool(Callback<Status()> work) {
    Status status;
    Callback<void()> run([&work, &status] { status = work(); });
    co_await env_->disk.run_blocking(std::move(run));
    co_return status;
}

async::Task<Status> LsmEngine::close() {
    KVSTORE_ASSERT(!is_closed_);
    is_closing_.store(true);
    co_await gate_.close();
    pinned_.Reset();
    Callback<Status()> work([database = database_.get()] { return database->close(); });
    Status status = co_await run_on_pool(std::move(work));
    is_closed_ = true;
    co_return status;
}

}  // namespace kvstore::storage::lsm
