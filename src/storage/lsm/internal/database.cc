#include "storage/lsm/internal/database.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <rocksdb/convenience.h>
#include <rocksdb/write_batch.h>

#include "base/assert.h"
#include "base/log.h"
#include "storage/lsm/internal/database_options.h"
#include "storage/lsm/internal/rocks_status.h"

namespace kvstore::storage::lsm {
namespace {

// How often flush() asks again where RocksDB says it is done and its listener was not told.
constexpr int kFlushAttemptsMax = 16;

// What purge() deletes in one call, so that close() never waits long.
constexpr std::size_t kPurgeKeysMax = 4096;

const char kStateKeyByte = static_cast<char>(kStatePrefix);

rocksdb::Slice state_key() {
    return {&kStateKeyByte, 1};
}

}  // namespace

bool FirstFailure::set(Status status) {
    auto made = std::make_unique<const Status>(std::move(status));
    const Status* none = nullptr;
    if (!status_.compare_exchange_strong(none, made.get(), std::memory_order_acq_rel)) {
        return false;
    }
    static_cast<void>(made.release());
    return true;
}

// ---- DatabaseEvents ----

void DatabaseEvents::OnFlushBegin(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& /*job*/) {
    has_files.store(true, std::memory_order_release);
}

void DatabaseEvents::OnFlushCompleted(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& job) {
    raise_flushed_sequence(job.largest_seqno);
    count_event();
}

void DatabaseEvents::OnCompactionCompleted(rocksdb::DB* /*db*/,
                                           const rocksdb::CompactionJobInfo& job) {
    compaction_count.fetch_add(1, std::memory_order_relaxed);
    compaction_nanoseconds.fetch_add(job.stats.elapsed_micros * 1000, std::memory_order_relaxed);
}

void DatabaseEvents::OnBackgroundError(rocksdb::BackgroundErrorReason /*reason*/,
                                       rocksdb::Status* error) {
    if (error->IsNoSpace()) {
        if (!is_disk_full.exchange(true, std::memory_order_acq_rel)) {
            log_error("no disk space for the engine", {{"directory", directory_}});
        }
    } else {
        report(to_status(*error, directory_));
    }
    count_event();
}

// RocksDB would look for space every few seconds from a thread of its own; we resume it when
// somebody needs it, so that what a call answers does not depend on when it is made.
void DatabaseEvents::OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason /*reason*/,
                                          rocksdb::Status /*error*/,
                                          bool* is_automatic) {
    *is_automatic = false;
}

void DatabaseEvents::report(const Status& status) {
    if (status.code() != Code::kCorruption && status.code() != Code::kIoError) {
        return;
    }
    if (failure.set(status)) {
        log_error("the engine failed and is closed to reads and writes",
                  {{"directory", directory_}, {"error", status.to_string()}});
    }
}

void DatabaseEvents::count_event() {
    count_.fetch_add(1, std::memory_order_acq_rel);
    count_.notify_all();
}

void DatabaseEvents::raise_flushed_sequence(std::uint64_t sequence) {
    std::uint64_t known = flushed_sequence.load(std::memory_order_relaxed);
    while (known < sequence &&
           !flushed_sequence.compare_exchange_weak(known, sequence, std::memory_order_acq_rel)) {
    }
}

// ---- Database ----

Result<std::unique_ptr<Database>> Database::open(std::string path,
                                                 const LsmEngineOptions& options) {
    auto events = std::make_shared<DatabaseEvents>(path);
    auto database = std::make_unique<Database>(path, events);
    rocksdb::DB* opened = nullptr;
    const rocksdb::Status status =
        rocksdb::DB::Open(make_database_options(path, options, events), path, &opened);
    database->db_.reset(opened);
    if (!status.ok()) {
        return to_status(status, path);
    }
    database->family_ = opened->DefaultColumnFamily();
    events->has_files.store(database->property("rocksdb.live-sst-files-size") > 0);
    events->raise_flushed_sequence(database->sequence());
    KVSTORE_CHECK_OK(database->read_state());
    return database;
}

Database::Database(std::string path, std::shared_ptr<DatabaseEvents> events)
    : path_(std::move(path)),
      events_(std::move(events)),
      cache_options_(read_options()),
      disk_options_(read_options()) {
    cache_options_.read_tier = rocksdb::kBlockCacheTier;
}

Database::~Database() = default;

Status Database::read_state() {
    std::string stored;
    const rocksdb::Status status = db_->Get(read_options(), state_key(), &stored);
    if (status.ok()) {
        Result<StoredState> state = StoredState::decode(stored);
        if (!state.ok()) {
            return state.status().with_context(path_);
        }
        opened_state_ = *std::move(state);
        return {};
    }
    if (!status.IsNotFound()) {
        return to_status(status, path_);
    }
    std::unique_ptr<rocksdb::Iterator> any(db_->NewIterator(read_options()));
    any->SeekToFirst();
    if (any->Valid()) {
        return Status(Code::kCorruption, path_ + ": the engine's state record is missing");
    }
    return to_status(any->status(), path_);
}

Status Database::check() const {
    const Status* failure = events_->failure.find();
    return failure == nullptr ? Status() : *failure;
}

Status Database::report(const rocksdb::Status& status) const {
    Status ours = to_status(status, path_);
    events_->report(ours);
    return ours;
}

Result<Database::Found> Database::get(Tier tier,
                                      const rocksdb::Snapshot* snapshot,
                                      ByteView key,
                                      rocksdb::PinnableSlice* value) const {
    KVSTORE_CHECK_OK(check());
    value->Reset();
    const rocksdb::ReadOptions& usual = tier == Tier::kCache ? cache_options_ : disk_options_;
    rocksdb::Status status;
    if (snapshot == nullptr) {
        status = db_->Get(usual, family_, to_slice(key), value);
    } else {
        rocksdb::ReadOptions options = usual;
        options.snapshot = snapshot;
        status = db_->Get(options, family_, to_slice(key), value);
    }
    if (status.ok()) {
        // In the cache tier a file that is not open reads as found and empty ("may exist"). Files
        // are kept open, but nothing may rest on that.
        const bool is_doubtful = tier == Tier::kCache && value->empty() &&
                                 events_->has_files.load(std::memory_order_acquire);
        return is_doubtful ? Found::kMustLoad : Found::kYes;
    }
    if (status.IsNotFound()) {
        return Found::kNo;
    }
    if (tier == Tier::kCache && status.IsIncomplete()) {
        return Found::kMustLoad;
    }
    return report(status);
}

Status Database::get_all(std::uint8_t prefix,
                         const std::vector<Bytes>& keys,
                         std::vector<std::optional<Bytes>>* values) const {
    KVSTORE_ASSERT(values->size() == keys.size());
    KVSTORE_DEBUG_ASSERT(std::ranges::adjacent_find(keys, std::greater_equal<>()) == keys.end());
    KVSTORE_CHECK_OK(check());
    std::vector<Bytes> prefixed(keys.size());
    std::vector<rocksdb::Slice> slices(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
        prefixed[i].assign(1, static_cast<char>(prefix)).append(keys[i]);
        slices[i] = to_slice(prefixed[i]);
    }
    std::vector<rocksdb::PinnableSlice> found(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db_->MultiGet(read_options(),
                  db_->DefaultColumnFamily(),
                  keys.size(),
                  slices.data(),
                  found.data(),
                  statuses.data(),
                  true);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (statuses[i].ok()) {
            (*values)[i].emplace(to_view(found[i]));
        } else if (!statuses[i].IsNotFound()) {
            return report(statuses[i]);
        }
    }
    return {};
}

Status Database::write(rocksdb::WriteBatch* batch, Stall stall) {
    KVSTORE_CHECK_OK(check());
    if (stall == Stall::kWait) {
        KVSTORE_CHECK_OK(resume_if_full());
    }
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    options.no_slowdown = stall == Stall::kRefuse;
    Status status = report(db_->Write(options, batch));
    const bool did_nothing =
        status.ok() || status.code() == Code::kUnavailable || status.code() == Code::kDiskFull;
    return did_nothing ? std::move(status) : status.with_unknown_effect();
}

// Writes out what could not be written while the disk was full. Blocks.
Status Database::resume_if_full() {
    if (!events_->is_disk_full.exchange(false, std::memory_order_acq_rel)) {
        return {};
    }
    Status status = report(db_->Resume());
    if (!status.ok()) {
        events_->is_disk_full.store(true, std::memory_order_release);
    }
    return status;
}

// Only the listener is believed: in 7.8.3, after a failed Resume(), Flush() can answer before the
// flush has begun.
Status Database::flush() {
    KVSTORE_CHECK_OK(check());
    const std::uint64_t sequence = this->sequence();
    for (int attempt = 0; attempt < kFlushAttemptsMax; ++attempt) {
        KVSTORE_CHECK_OK(resume_if_full());
        const std::uint64_t events = events_->count();
        rocksdb::FlushOptions options;
        options.wait = true;
        options.allow_write_stall = true;
        KVSTORE_CHECK_OK(report(db_->Flush(options)));
        if (flushed_sequence() >= sequence) {
            return {};
        }
        if (is_flushing()) {
            events_->wait_beyond(events);
        }
    }
    return Status(Code::kUnavailable, path_ + ": the flush has not been done yet");
}

bool Database::is_flushing() const {
    return property("rocksdb.num-immutable-mem-table") > 0 ||
           property("rocksdb.mem-table-flush-pending") > 0 ||
           property("rocksdb.num-running-flushes") > 0;
}

Status Database::verify() {
    KVSTORE_CHECK_OK(check());
    rocksdb::ReadOptions options = read_options();
    options.fill_cache = false;
    // Block checksums name file and offset; the whole file's checksum covers what is in no block.
    KVSTORE_CHECK_OK(report(db_->VerifyChecksum(options)));
    return report(db_->VerifyFileChecksums(options));
}

Status Database::compact(std::atomic<bool>* is_cancelled) {
    KVSTORE_CHECK_OK(check());
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    options.canceled = is_cancelled;
    return report(db_->CompactRange(options, nullptr, nullptr));
}

Result<bool> Database::purge(std::uint8_t prefix) {
    KVSTORE_ASSERT(prefix != kStatePrefix);
    KVSTORE_CHECK_OK(check());
    const std::string from(1, static_cast<char>(prefix));
    const std::string to = prefix_end(from);
    const rocksdb::Slice upper = to_slice(to);
    rocksdb::ReadOptions options = read_options();
    options.fill_cache = false;
    options.iterate_upper_bound = to.empty() ? nullptr : &upper;
    std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator(options));
    rocksdb::WriteBatch batch;
    std::size_t count = 0;
    for (rows->Seek(from); rows->Valid() && count < kPurgeKeysMax; rows->Next(), ++count) {
        const rocksdb::Status deleted = batch.Delete(rows->key());
        KVSTORE_ASSERT(deleted.ok());
    }
    KVSTORE_CHECK_OK(report(rows->status()));
    const bool is_all_gone = !rows->Valid();
    rows.reset();
    if (count > 0) {
        KVSTORE_CHECK_OK(write(&batch, Stall::kWait));
    }
    return is_all_gone;
}

Status Database::close() {
    rocksdb::CancelAllBackgroundWork(db_.get(), true);
    Status status = to_status(db_->Close(), path_);
    db_.reset();
    return status;
}

rocksdb::ReadOptions Database::read_options() {
    rocksdb::ReadOptions options;
    options.verify_checksums = true;
    options.ignore_range_deletions = true;
    return options;
}

std::uint64_t Database::property(const std::string& name) const {
    std::uint64_t value = 0;
    return db_->GetIntProperty(name, &value) ? value : 0;
}

}  // namespace kvstore::storage::lsm
