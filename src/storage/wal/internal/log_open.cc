// Opening a log: reads it, makes its tail durable again in a fresh segment, and puts it to work.
#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/planted_bug.h"
#include "storage/wal/internal/log.h"
#include "storage/wal/internal/log_reader.h"
#include "storage/wal/internal/log_replay.h"
#include "storage/wal/wal.h"

namespace kvstore::storage {
namespace {

// A log begins small and doubles from segment to segment, so that an idle node writes no zeros.
constexpr std::uint64_t kFirstSegmentBytes = 1U << 20U;

// Room for a header, a checkpoint and some records, in whole sectors.
constexpr std::uint64_t kSegmentBytesMin = 64U << 10U;

// Creates the directory durably, with its parents. Also one that is there may not be on the device,
// when an earlier start was killed here.
async::Task<Status> create_directory(env::Disk* disk, std::string path) {
    KVSTORE_CO_CHECK_OK(co_await disk->create_directories(path));
    while (!path.empty()) {
        const std::size_t slash = path.rfind('/');
        path = slash == std::string::npos ? "" : path.substr(0, slash);
        KVSTORE_CO_CHECK_OK(co_await disk->sync_directory(path));
    }
    co_return Status();
}

// Writes the tail of the old log again, at the front of a fresh segment.
//
// What stands in the tail was read, but nothing says that it is on the device: the write that
// brought it there may have failed, and the page cache may show what the disk does not have. After
// this, no copy but the new one counts (LogReader stops reading a segment where the next begins).
class TailCopier {
public:
    TailCopier(
        env::Env* env, std::string directory, OpenSegment* to, LogEnd* end, GroupLedger* ledger)
        : env_(env), directory_(std::move(directory)), to_(to), end_(end), needs_(ledger) {}

    async::Task<Status> copy(std::deque<TailRecord> tail) {
        for (std::size_t i = 0; i < tail.size(); ++i) {
            const TailRecord record = tail[i];
            if (record.length > 0) {
                KVSTORE_CO_CHECK_OK(co_await copy_record(record));
            }
        }
        // The first of them is what makes the segment part of the log: it goes last, so that a
        // crash leaves all of the copies or the originals.
        KVSTORE_CO_CHECK_OK(co_await to_->file->sync());
        const ByteView first = first_.padded(to_->header.alignment);
        KVSTORE_CO_CHECK_OK(co_await to_->file->write_durable(kSegmentHeaderSize, first));
        end_->durable = end_->last;
        // A long tail has made the segment grow.
        to_->capacity = std::max(to_->capacity, round_up(to_->offset, env::kSectorSize));
        co_return Status();
    }

private:
    static constexpr std::size_t kWindowSize = 1U << 20U;

    async::Task<Status> copy_record(TailRecord record) {
        RecordBuffer buffer;
        KVSTORE_CO_CHECK_OK(co_await read_payload(record, &buffer));
        const ByteView payload(buffer.data() + kRecordHeaderSize, buffer.payload_size());
        KVSTORE_CO_CHECK_OK(visit_items(payload, needs_));
        const bool is_first = to_->offset == kSegmentHeaderSize;
        RecordHeader header;
        header.sequence = end_->last.next();
        header.durable = end_->durable;
        header.length = record.length;
        header.previous = end_->checksum;
        const ByteView bytes = buffer.padded(to_->header.alignment);
        seal_record(
            buffer.data(),
            header,
            {.salt = to_->header.salt, .segment = to_->header.number, .offset = to_->offset});
        if (!is_first) {
            KVSTORE_CO_CHECK_OK(co_await to_->file->write(to_->offset, bytes));
        }
        to_->offset += bytes.size();
        end_->last = header.sequence;
        end_->checksum = header.checksum;
        if (is_first) {
            first_ = std::move(buffer);
        }
        co_return Status();
    }

    async::Task<Status> read_payload(TailRecord record, RecordBuffer* buffer) {
        const std::size_t size = kRecordHeaderSize + record.length;
        if (!is_in_window(record, size)) {
            KVSTORE_CO_CHECK_OK(co_await read_window(record, size));
        }
        const auto at = static_cast<std::size_t>(record.offset - window_offset_);
        const ByteView whole = ByteView(window_).substr(std::min(at, window_.size()), size);
        if (!is_same_record(whole, record)) {
            co_return Status(Code::kIoError, "a record reads back differently from a moment ago");
        }
        char* to = buffer->room(record.length);
        buffer->grown(std::copy_n(whole.data() + kRecordHeaderSize, record.length, to));
        co_return Status();
    }

    [[nodiscard]] bool is_in_window(const TailRecord& record, std::size_t size) const {
        return from_ != nullptr && from_segment_ == record.segment &&
               record.offset >= window_offset_ &&
               record.offset + size <= window_offset_ + window_.size();
    }

    // Reads the record and what follows it: a log synced at intervals may have a tail of many small
    // records.
    async::Task<Status> read_window(TailRecord record, std::size_t size) {
        if (from_ == nullptr || from_segment_ != record.segment) {
            const std::string path =
                directory_ + "/" +
                segment_name({.kind = SegmentName::Kind::kUsed, .number = record.segment});
            auto opened = co_await env_->disk.open(path, LogReader::open_options());
            KVSTORE_CO_TRY(from_, std::move(opened));
            from_segment_ = record.segment;
        }
        window_offset_ = record.offset / env::kSectorSize * env::kSectorSize;
        const std::size_t wanted =
            std::max(kWindowSize, size + static_cast<std::size_t>(record.offset - window_offset_));
        auto read = co_await from_->read(window_offset_, round_up(wanted, env::kSectorSize));
        KVSTORE_CO_TRY(window_, std::move(read));
        co_return Status();
    }

    [[nodiscard]] static bool is_same_record(ByteView bytes, const TailRecord& record) {
        if (bytes.size() < kRecordHeaderSize + record.length) {
            return false;
        }
        RecordHeader expected;
        expected.checksum = record.checksum;
        expected.sequence = record.sequence;
        expected.length = record.length;
        return is_record_whole(bytes, expected);
    }

    env::Env* env_;
    std::string directory_;
    OpenSegment* to_;
    LogEnd* end_;
    NeedsVisitor needs_;
    std::unique_ptr<env::File> from_;
    std::uint64_t from_segment_ = 0;
    Bytes window_;
    std::uint64_t window_offset_ = 0;
    RecordBuffer first_;
};

// Where the new segment takes over: behind the last record that is known to be on the device.
LogEnd end_of(const LogContent& content, bool keeps_tail) {
    if (content.tail.empty()) {
        return {};
    }
    if (keeps_tail) {
        // Only for the planted bug that serves a tail which may not be on the device.
        return {.last = content.last, .durable = content.last, .checksum = content.last_checksum};
    }
    const TailRecord& first = content.tail.front();
    const Sequence before(first.sequence.value() - 1);
    return {.last = before, .durable = before, .checksum = first.previous};
}

SegmentPool::Options pool_options(const WalOptions& options) {
    return {.alignment =
                options.durability == Durability::kAlways ? kDirectAlignment : kBufferedAlignment,
            .free_max = options.recycled_segments_max,
            .reserve_bytes = options.disk_reserve_bytes};
}

bool has_items(const std::deque<TailRecord>& tail) {
    return std::any_of(
        tail.begin(), tail.end(), [](const TailRecord& record) { return record.length > 0; });
}

}  // namespace

async::Task<Result<std::unique_ptr<Wal>>> Wal::open(env::Env* env,
                                                    std::string directory,
                                                    WalOptions options,
                                                    WalVisitor* visitor) {
    options.segment_bytes =
        round_up(std::max(options.segment_bytes, kSegmentBytesMin), env::kSectorSize);
    KVSTORE_CO_CHECK_OK(co_await create_directory(&env->disk, directory));
    GroupLedger ledger;
    LogReplay replay(&ledger, visitor);
    LogReader reader(env, directory, &replay);
    auto read = co_await reader.read();
    KVSTORE_CO_TRY(LogContent content, std::move(read));
    if (content.torn_bytes > 0) {
        log_info("log ends with a record that a crash cut short",
                 {{"directory", directory}, {"bytes", content.torn_bytes}});
    }

    auto pool = std::make_unique<SegmentPool>(env, directory, pool_options(options));
    KVSTORE_CO_CHECK_OK(co_await pool->adopt(content.unused, content.first_segment));
    const bool keeps_tail = planted_bug(PlantedBug::kWalTrustPageCache);
    LogEnd end = end_of(content, keeps_tail);
    SegmentPool::Wanted wanted;
    wanted.number = content.last_segment + 1;
    wanted.first_sequence = end.last.next();
    wanted.size = std::min(options.segment_bytes, kFirstSegmentBytes);
    wanted.may_use_reserve = true;
    auto prepared = co_await pool->prepare(wanted);
    KVSTORE_CO_TRY(OpenSegment segment, std::move(prepared));

    const bool has_copies = has_items(content.tail) && !keeps_tail;
    ledger.begin_segment(
        segment.header.number,
        has_copies ? GroupLedger::Opening::kCopies : GroupLedger::Opening::kCheckpoint);
    if (has_copies) {
        TailCopier copier(env, directory, &segment, &end, &ledger);
        KVSTORE_CO_CHECK_OK(co_await copier.copy(std::move(content.tail)));
    }
    Log::Parts parts{.env = env,
                     .options = options,
                     .pool = std::move(pool),
                     .ledger = std::move(ledger),
                     .current = std::move(segment),
                     .end = end};
    auto log = std::make_unique<Log>(std::move(parts));
    const Status started = co_await log->start();
    if (!started.ok()) {
        KVSTORE_CO_CHECK_OK(co_await log->stop());
        co_return started;
    }
    co_return std::unique_ptr<Wal>(std::move(log));
}

async::Task<Result<WalReport>> verify_wal(env::Env* env, std::string directory) {
    GroupLedger ledger;
    LogReplay replay(&ledger, nullptr);
    LogReader reader(env, directory, &replay);
    auto read = co_await reader.read();
    KVSTORE_CO_TRY(const LogContent content, std::move(read));
    co_return WalReport{.segment_count = content.segment_count,
                        .record_count = content.record_count,
                        .entry_count = replay.entry_count(),
                        .torn_bytes = content.torn_bytes};
}

}  // namespace kvstore::storage
