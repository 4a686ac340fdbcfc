// Reads a whole log in order, decides where it ends, and tells a torn tail from lost data.
//
// The rules stand in docs/internals/wal.md, "What recovery decides". Nothing is changed on disk.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "storage/wal/internal/record_scanner.h"
#include "storage/wal/record.h"
#include "storage/wal/segment.h"

namespace kvstore::storage {

// A record that is in the log and may not be on the device.
struct TailRecord {
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
    Sequence sequence;
    std::uint32_t length = 0;
    std::uint32_t checksum = 0;
    // The checksum of the record before.
    std::uint32_t previous = 0;
};

// What a log was found to hold.
struct LogContent {
    // Segments with records; 0 of 0 when there are none.
    std::uint64_t first_segment = 0;
    std::uint64_t last_segment = 0;
    // Of the last record, and the one that it says is on the device.
    Sequence last;
    std::uint32_t last_checksum = 0;
    Sequence durable;
    // The records after `durable`; never empty when there are records.
    std::deque<TailRecord> tail;

    // Files that hold nothing: prepared and never used, free, half prepared.
    std::vector<SegmentName> unused;

    std::uint64_t segment_count = 0;
    std::uint64_t record_count = 0;
    std::uint64_t torn_bytes = 0;
};

// Takes what is read. Views last for the call.
class LogVisitor : public RecordVisitor {
public:
    // The records that follow are of this segment. `opens_with_checkpoint` is about its first.
    virtual void on_segment(std::uint64_t number, bool opens_with_checkpoint) = 0;
};

// Lifetime  In the frame of the coroutine that reads.
class LogReader {
public:
    LogReader(env::Env* env, std::string directory, LogVisitor* visitor);

    // Errors: as Wal::open().
    async::Task<Result<LogContent>> read();

    [[nodiscard]] static env::OpenOptions open_options();

private:
    struct Segment {
        SegmentHeader header;
        // Of the first record, when it is whole.
        std::optional<RecordHeader> first;
        bool opens_with_checkpoint = false;
    };
    // What the records of one segment end with.
    enum class End : std::uint8_t {
        kNext,  // the next segment's first record follows
        kBad,   // no whole record at `bad_offset_`
    };

    async::Task<Status> find_segments();
    async::Task<Result<Segment>> look_at_segment(std::uint64_t number);
    async::Task<Result<End>> read_segment(std::size_t slot);
    async::Task<Status> drop_front();
    [[nodiscard]] bool is_released_front() const;
    async::Task<Result<bool>> is_blank_front();
    [[nodiscard]] std::optional<RecordHeader> first_record_behind(std::size_t slot) const;
    async::Task<Result<RecordScanner::Found>> look_twice(RecordScanner* scanner);
    async::Task<Status> judge_end(std::size_t slot);
    async::Task<Status> measure_torn(std::size_t slot, std::uint64_t offset);

    Status take_record(const RecordScanner& scanner, std::uint64_t segment);
    [[nodiscard]] Status check_numbers() const;
    [[nodiscard]] std::string path_of(std::uint64_t number) const;
    [[nodiscard]] Status damaged(std::uint64_t number,
                                 std::uint64_t offset,
                                 std::string_view what) const;

    env::Env* env_;
    std::string directory_;
    LogVisitor* visitor_;

    std::vector<std::uint64_t> numbers_;
    std::vector<Segment> segments_;
    LogContent content_;
    bool has_records_ = false;
    std::uint64_t bad_offset_ = 0;
};

}  // namespace kvstore::storage
