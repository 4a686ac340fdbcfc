// Reads the records of one segment from front to back, without knowing what should follow what.
#pragma once

#include <cstddef>
#include <cstdint>

#include "async/task.h"
#include "base/bytes.h"
#include "base/status.h"
#include "env/disk.h"
#include "storage/wal/record.h"
#include "storage/wal/segment.h"

namespace kvstore::storage {

// Lifetime  Shorter than the file's.
// Runs on   One core.
class RecordScanner {
public:
    enum class Found : std::uint8_t {
        kRecord,    // header() and payload() show it
        kNothing,   // no whole record at offset()
        kNeedMore,  // not decided before fill()
    };

    RecordScanner(env::File* file, const SegmentHeader& segment) : file_(file), segment_(segment) {}

    // Looks at what stands at offset(). Views last until fill() or reload().
    [[nodiscard]] Found look();
    // Goes to the place after the record. Requires: look() said kRecord.
    void advance();

    // Reads on. Errors: kIoError.
    async::Task<Status> fill();
    // Forgets what was read and reads it again from the disk: a bit may have flipped on its way
    // here while what is stored is right.
    async::Task<Status> reload();

    [[nodiscard]] std::uint64_t offset() const { return offset_; }
    [[nodiscard]] const RecordHeader& header() const { return header_; }
    [[nodiscard]] ByteView payload() const;

private:
    [[nodiscard]] ByteView unread() const { return ByteView(buffer_).substr(used_); }

    env::File* file_;
    SegmentHeader segment_;
    std::uint64_t offset_ = kSegmentHeaderSize;
    // buffer_[used_] is the byte at offset_.
    Bytes buffer_;
    std::size_t used_ = 0;
    std::size_t needed_ = kRecordHeaderSize;
    bool at_end_ = false;
    RecordHeader header_;
};

// Whether records with a higher sequence than `after` stand at or behind `from`, wherever the
// alignment allows one.
enum class Later : std::uint8_t {
    kNone,
    kUnsynced,   // some, but none says that the record after `after` had been on the device
    kContinued,  // one says so: that record was acknowledged
};

async::Task<Result<Later>> find_later_record(env::File* file,
                                             SegmentHeader segment,
                                             std::uint64_t from,
                                             Sequence after);

}  // namespace kvstore::storage
