#include "storage/memory/memory_engine.h"

#include <utility>

#include "base/assert.h"
#include "base/planted_bug.h"
#include "storage/memory/memory_view.h"
#include "storage/snapshot/snapshot.h"

namespace kvstore::storage {
namespace {

// Entries that are checked in one go.
constexpr std::size_t kVerifyEntriesPerStep = 512;

// Puts the rows of a snapshot into tables that were empty.
class Loader final : public SnapshotVisitor {
public:
    explicit Loader(memory::TableSet* tables) : tables_(tables) {}

    Status on_row(Table table, ByteView key, ByteView value) override {
        if (static_cast<std::size_t>(table) >= kTableCount) {
            return {Code::kCorruption, "the snapshot holds a row of an unknown table"};
        }
        if (!tables_->rows(table).is_after_all(key)) {
            return {Code::kCorruption, "the snapshot holds rows out of order"};
        }
        tables_->append(table, key, value);
        return {};
    }

private:
    memory::TableSet* tables_;
};

// Looks at every row and keeps none.
class Reader final : public SnapshotVisitor {
public:
    Status on_row(Table /*table*/, ByteView /*key*/, ByteView /*value*/) override { return {}; }
};

}  // namespace

MemoryEngine::MemoryEngine(env::Env* env, std::string directory, MemoryEngineOptions options)
    : env_(env),
      directory_(std::move(directory)),
      options_(options),
      tables_(env->entropy.next()),
      gate_(env->scheduler),
      persist_turn_(env->scheduler, 1) {}

MemoryEngine::~MemoryEngine() = default;

async::Task<Status> MemoryEngine::recover() {
    KVSTORE_CO_CHECK_OK(co_await create_directory());
    KVSTORE_CO_TRY(const std::optional<std::string> path, co_await find_snapshot(env_, directory_));
    if (!path.has_value()) {
        co_return Status();
    }
    Loader loader(&tables_);
    KVSTORE_CO_TRY(const SnapshotInfo info,
                   co_await read_snapshot(env_, *path, options_.shard, &loader));
    tables_.end_append();
    tables_.commit(planted_bug(PlantedBug::kMemoryForgetsAppliedIndex) ? Index(0) : info.applied);
    durable_ = info.applied;
    durable_generation_ = tables_.generation();
    disk_bytes_ = info.bytes;
    co_return Status();
}

// A snapshot is worth nothing when the folder that it lies in is gone after a power cut.
async::Task<Status> MemoryEngine::create_directory() {
    // Also when it exists: an earlier start may have been killed before its name was durable.
    KVSTORE_CO_CHECK_OK(co_await env_->disk.create_directories(directory_));
    std::string parent = directory_;
    while (!parent.empty()) {
        const std::size_t slash = parent.rfind('/');
        parent.resize(slash == std::string::npos ? 0 : slash);
        KVSTORE_CO_CHECK_OK(co_await env_->disk.sync_directory(parent));
    }
    co_return Status();
}

Lookup MemoryEngine::find(Table table, ByteView key, ByteView* value) {
    return tables_.find(table, key, value) ? Lookup::kFound : Lookup::kAbsent;
}

void MemoryEngine::hint(Table table, ByteView key) {
    tables_.hint(table, key);
}

async::Task<Result<std::optional<Bytes>>> MemoryEngine::load(Table table, Bytes key) {
    ByteView value;
    if (!tables_.find(table, key, &value)) {
        co_return std::optional<Bytes>();
    }
    co_return std::optional<Bytes>(value);
}

async::Task<Status> MemoryEngine::prefetch(std::vector<Bytes> /*keys*/) {
    co_return Status();
}

Result<bool> MemoryEngine::find_blocking(Table table, ByteView key, ByteView* value) {
    return tables_.find(table, key, value);
}

std::unique_ptr<View> MemoryEngine::view() {
    return std::make_unique<memory::MemoryView>(&tables_);
}

void MemoryEngine::put(Table table, ByteView key, ByteView head, ByteView tail) {
    tables_.put(table, key, head, tail);
}

void MemoryEngine::erase(Table table, ByteView key) {
    tables_.erase(table, key);
}

void MemoryEngine::erase_range(Table table, ByteView from, ByteView to) {
    tables_.erase_range(table, from, to);
}

Status MemoryEngine::commit(Index applied) {
    end_batch(applied);
    return {};
}

async::Task<Status> MemoryEngine::commit_when_ready(Index applied) {
    end_batch(applied);
    co_return Status();
}

void MemoryEngine::end_batch(Index applied) {
    tables_.commit(applied);
    if (tables_.has_dying() && !is_collecting_) {
        is_collecting_ = gate_.spawn(collect_in_background());
    }
}

// Takes a cleared table apart a little in each turn, also when no more writes come.
async::Task<void> MemoryEngine::collect_in_background() {
    co_await async::yield(env_->scheduler);
    while (!gate_.is_closing() && tables_.collect()) {
        co_await async::yield(env_->scheduler);
    }
    is_collecting_ = false;
}

async::Task<Status> MemoryEngine::persist() {
    if (!gate_.try_enter()) {
        co_return Status(Code::kUnavailable, "the engine is closing");
    }
    const Index wanted = tables_.applied();
    const std::uint64_t wanted_generation = tables_.generation();
    co_await persist_turn_.acquire();
    const Status status = co_await persist_alone(wanted, wanted_generation);
    persist_turn_.release();
    gate_.leave();
    co_return status;
}

async::Task<Status> MemoryEngine::persist_alone(Index wanted, std::uint64_t wanted_generation) {
    // Whoever had the turn before may have done it already. An empty engine needs no snapshot: it
    // opens to the same state without one.
    if (durable_ >= wanted && durable_generation_ >= wanted_generation) {
        co_return Status();
    }
    while (tables_.batch_is_open() && !gate_.is_closing()) {
        co_await async::yield(env_->scheduler);
    }
    if (gate_.is_closing()) {
        co_return Status(Code::kUnavailable, "the engine is closing");
    }
    memory::MemorySnapshotSource source(&tables_, &side_bytes_);
    const std::uint64_t generation = tables_.generation();
    persisting_ = &source;
    const Result<SnapshotInfo> written = co_await write_snapshot(
        env_, directory_, options_.shard, &source, options_.snapshot_bytes_per_second);
    persisting_ = nullptr;
    if (!written.ok()) {
        co_return written.status();
    }
    durable_ = written.value().applied;
    durable_generation_ = generation;
    disk_bytes_ = written.value().bytes;
    co_return Status();
}

std::unique_ptr<SnapshotSource> MemoryEngine::snapshot_source() {
    KVSTORE_ASSERT(!is_closed_);
    return std::make_unique<memory::MemorySnapshotSource>(&tables_, &side_bytes_);
}

async::Task<Status> MemoryEngine::verify() {
    if (!gate_.try_enter()) {
        co_return Status(Code::kUnavailable, "the engine is closing");
    }
    Status status = co_await verify_tables();
    if (status.ok()) {
        status = co_await verify_snapshot();
    }
    gate_.leave();
    co_return status;
}

async::Task<Status> MemoryEngine::verify_tables() {
    for (std::size_t i = 0; i < kTableCount; ++i) {
        std::optional<Bytes> from = Bytes();
        while (from.has_value() && !gate_.is_closing()) {
            KVSTORE_CO_TRY(
                from,
                tables_.rows(static_cast<Table>(i)).verify_some(*from, kVerifyEntriesPerStep));
            co_await async::yield(env_->scheduler);
        }
    }
    co_return Status();
}

async::Task<Status> MemoryEngine::verify_snapshot() {
    // A snapshot that replaces the one being read would remove the file under the reader.
    co_await persist_turn_.acquire();
    Result<std::optional<std::string>> path = co_await find_snapshot(env_, directory_);
    Status status = path.status();
    if (path.ok() && path.value().has_value()) {
        Reader reader;
        const Result<SnapshotInfo> info =
            co_await read_snapshot(env_, *path.value(), options_.shard, &reader);
        status = info.status();
    }
    persist_turn_.release();
    co_return status;
}

async::Task<Status> MemoryEngine::compact() {
    if (!gate_.try_enter()) {
        co_return Status(Code::kUnavailable, "the engine is closing");
    }
    while (!gate_.is_closing() && tables_.compact_step()) {
        co_await async::yield(env_->scheduler);
    }
    gate_.leave();
    co_return Status();
}

EngineStatistics MemoryEngine::statistics() const {
    EngineStatistics statistics;
    statistics.key_count = tables_.rows(Table::kCurrent).key_count();
    statistics.memory_bytes = tables_.memory_bytes() + side_bytes_;
    statistics.disk_bytes = disk_bytes_;
    return statistics;
}

async::Task<Status> MemoryEngine::close() {
    if (persisting_ != nullptr) {
        persisting_->cancel();
    }
    co_await gate_.close();
    is_closed_ = true;
    co_return Status();
}

async::Task<Result<std::unique_ptr<Engine>>> open_memory_engine(env::Env* env,
                                                                std::string directory,
                                                                MemoryEngineOptions options) {
    auto engine = std::make_unique<MemoryEngine>(env, std::move(directory), options);
    const Status recovered = co_await engine->recover();
    if (!recovered.ok()) {
        co_return recovered;
    }
    co_return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace kvstore::storage
