// One RocksDB, opened the way this engine needs it, and what its own threads tell about it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>

#include "base/bytes.h"
#include "base/status.h"
#include "storage/engines.h"
#include "storage/lsm/internal/stored_state.h"

namespace kvstore::storage::lsm {

// The first failure after which a replica must not be used; set once, from any thread.
class FirstFailure {
public:
    FirstFailure() = default;
    FirstFailure(const FirstFailure&) = delete;
    FirstFailure& operator=(const FirstFailure&) = delete;
    ~FirstFailure() { std::unique_ptr<const Status> owned(status_.load()); }

    // False when there was one already.
    bool set(Status status);
    // Null while there is none.
    [[nodiscard]] const Status* find() const { return status_.load(std::memory_order_acquire); }

private:
    std::atomic<const Status*> status_{nullptr};
};

// What RocksDB's threads report. Runs on: any thread.
class DatabaseEvents final : public rocksdb::EventListener {
public:
    explicit DatabaseEvents(std::string directory) : directory_(std::move(directory)) {}

    void OnFlushBegin(rocksdb::DB* db, const rocksdb::FlushJobInfo& job) override;
    void OnFlushCompleted(rocksdb::DB* db, const rocksdb::FlushJobInfo& job) override;
    void OnCompactionCompleted(rocksdb::DB* db, const rocksdb::CompactionJobInfo& job) override;
    void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override;
    void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason reason,
                              rocksdb::Status error,
                              bool* is_automatic) override;

    // Remembers `status` if no replica should go on after it, and says so in the log, once.
    void report(const Status& status);
    void raise_flushed_sequence(std::uint64_t sequence);

    // Flushes that ended, well or not.
    [[nodiscard]] std::uint64_t count() const { return count_.load(std::memory_order_acquire); }
    // Blocks until count() is no longer `seen`.
    void wait_beyond(std::uint64_t seen) const { count_.wait(seen, std::memory_order_acquire); }

    FirstFailure failure;
    // Writes up to this one are in files.
    std::atomic<std::uint64_t> flushed_sequence{0};
    // False while everything is in memtables.
    std::atomic<bool> has_files{false};
    std::atomic<bool> is_disk_full{false};
    std::atomic<std::uint64_t> compaction_count{0};
    std::atomic<std::uint64_t> compaction_nanoseconds{0};

private:
    void count_event();

    std::string directory_;
    std::atomic<std::uint64_t> count_{0};
};

// Lifetime  Owned by the engine; every user is inside the engine's gate.
// Runs on   Any thread; get() with Tier::kCache never blocks on the disk.
// Never     Serves anything after a failure: every call answers with the first one.
class Database {
public:
    enum class Tier : std::uint8_t {
        kCache,  // memtables and block cache only
        kDisk,
    };
    enum class Found : std::uint8_t { kYes, kNo, kMustLoad };

    // Opens or creates it. Blocks.
    // Errors: kCorruption, kIoError, kDiskFull, with RocksDB's words and the directory.
    static Result<std::unique_ptr<Database>> open(std::string path,
                                                  const LsmEngineOptions& options);

    // Not opened yet; open() is the way.
    Database(std::string path, std::shared_ptr<DatabaseEvents> events);
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database();

    // The state as it stood when the database was opened.
    [[nodiscard]] const StoredState& opened_state() const { return opened_state_; }

    // The failure, if there was one.
    [[nodiscard]] Status check() const;
    [[nodiscard]] bool has_failed() const { return events_->failure.find() != nullptr; }
    // RocksDB's error in our words; one that makes the replica unusable is remembered.
    Status report(const rocksdb::Status& status) const;

    // Errors: kCorruption, kIoError.
    Result<Found> get(Tier tier,
                      const rocksdb::Snapshot* snapshot,
                      ByteView key,
                      rocksdb::PinnableSlice* value) const;

    // The values of many keys of one table; nullopt where there is none. Blocks.
    // Requires: `keys` are in order and no two are equal; `values` has their number.
    // Errors: kCorruption, kIoError.
    Status get_all(std::uint8_t prefix,
                   const std::vector<Bytes>& keys,
                   std::vector<std::optional<Bytes>>* values) const;

    enum class Stall : std::uint8_t { kRefuse, kWait };
    // Errors: kUnavailable (only with kRefuse): it would wait; nothing was written.
    //         kDiskFull: nothing was written. kCorruption, kIoError: effect unknown.
    Status write(rocksdb::WriteBatch* batch, Stall stall);

    // The sequence of the newest write.
    [[nodiscard]] std::uint64_t sequence() const { return db_->GetLatestSequenceNumber(); }
    [[nodiscard]] std::uint64_t flushed_sequence() const {
        return events_->flushed_sequence.load(std::memory_order_acquire);
    }

    // All of these block. Errors: kCorruption, kIoError, kDiskFull.
    Status flush();
    Status verify();
    Status compact(std::atomic<bool>* is_cancelled);
    // Deletes what stands under a prefix, a part at a time. Returns: whether it is all gone.
    Result<bool> purge(std::uint8_t prefix);
    Status close();

    // How reads are done everywhere. See stored_state.h for ignoring range deletions.
    [[nodiscard]] static rocksdb::ReadOptions read_options();

    [[nodiscard]] rocksdb::DB& raw() const { return *db_; }
    [[nodiscard]] const DatabaseEvents& events() const { return *events_; }
    [[nodiscard]] std::uint64_t property(const std::string& name) const;

private:
    Status read_state();
    Status resume_if_full();
    [[nodiscard]] bool is_flushing() const;

    std::string path_;
    std::shared_ptr<DatabaseEvents> events_;
    std::unique_ptr<rocksdb::DB> db_;
    rocksdb::ColumnFamilyHandle* family_ = nullptr;  // of db_
    rocksdb::ReadOptions cache_options_;
    rocksdb::ReadOptions disk_options_;
    StoredState opened_state_;
};

}  // namespace kvstore::storage::lsm
