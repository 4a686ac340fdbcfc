// On-disk layout of one write-ahead log record, as pure functions over bytes.
//
//     offset  size  field
//          0     4  checksum   CRC-32C of every byte after this field, up to the payload's end
//          4     4  mark       CRC-32C of the place: salt, segment number, offset (8 bytes each)
//          8     8  sequence   rising by one from record to record, for ever
//         16     8  durable    the highest sequence known to be on the device when this was written
//         24     4  length     of the payload
//         28     4  previous   checksum of the record before; 0 in the first of all
//         32     n  payload    tagged items, see below
//        ...        zeros up to the segment's alignment, not covered
//
// A record is one group commit. `mark` binds it to its place: a record of an earlier life of a
// recycled file has another salt, so it can never be taken for one of ours, and no user can put
// bytes into a value that pass for a record. `previous` chains it to the record before. `durable`
// tells a torn tail from lost data: a damaged record may be forgotten unless a later one says that
// it had been on the device (docs/internals/wal.md, "What recovery decides").
//
// Items of the payload, integers as LEB128 varints unless a size is given:
//
//     1 entry       kind (1 byte), group, term, index, length, data
//     2 state       group, term, vote, commit
//     3 start       group, term, index
//     4 drop        group
//     5 checkpoint  group, last index, flags (1 byte: 1 has state, 2 has start),
//                   term, vote, commit, start term, start index
//
// A checkpoint repeats what older segments say about a group, so that they can be recycled.
//
// Changing this layout: raise kSegmentVersion in segment.h, keep a reader for the old version, and
// add a file written by it to testdata/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "storage/wal/wal.h"

namespace kvstore::storage {

inline constexpr std::size_t kRecordHeaderSize = 32;

// Bounds what a corrupt length can ask for. Appending stops short of it by kCheckpointBytesMax, so
// that the record which opens a segment has room for its checkpoint.
inline constexpr std::size_t kRecordPayloadMax = 32U << 20U;
inline constexpr std::size_t kCheckpointBytesMax = 2U << 20U;
inline constexpr std::size_t kAppendPayloadMax = kRecordPayloadMax - kCheckpointBytesMax;

// Where a record stands.
struct RecordPlace {
    std::uint64_t salt = 0;
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
};

struct RecordHeader {
    std::uint32_t checksum = 0;
    std::uint32_t mark = 0;
    Sequence sequence;
    Sequence durable;
    std::uint32_t length = 0;
    std::uint32_t previous = 0;

    // Header and payload, without padding.
    [[nodiscard]] std::size_t size() const { return kRecordHeaderSize + length; }
};

// Writes the header in front of a payload that stands at `record` + kRecordHeaderSize. Sets the
// mark and the checksum in `header` from the rest.
void seal_record(char* record, RecordHeader& header, const RecordPlace& place) noexcept;

// The header at the front of `bytes` if it can be one of this place: its mark fits and its length
// is legal. The payload is not looked at. nullopt for anything else, also for too few bytes.
[[nodiscard]] std::optional<RecordHeader> find_record_header(ByteView bytes,
                                                             const RecordPlace& place) noexcept;

// Whether the checksum fits. Requires: `bytes` holds header.size() bytes.
[[nodiscard]] bool is_record_whole(ByteView bytes, const RecordHeader& header) noexcept;

// ---- items ----

// What a checkpoint says of one group.
struct GroupCheckpoint {
    GroupId group;
    Index last;
    std::optional<LogState> state;
    // The term and index that the log begins after.
    struct Start {
        Term term;
        Index index;
        friend bool operator==(const Start&, const Start&) = default;
    };
    std::optional<Start> start;
};
[[nodiscard]] bool operator==(const GroupCheckpoint& a, const GroupCheckpoint& b) noexcept;

inline constexpr std::size_t kEntryHeadBytesMax = 2 + 4 * 10;
inline constexpr std::size_t kStateBytesMax = 1 + 4 * 10;
inline constexpr std::size_t kStartBytesMax = 1 + 3 * 10;
inline constexpr std::size_t kDropBytesMax = 1 + 10;
inline constexpr std::size_t kCheckpointGroupBytesMax = 2 + 7 * 10;

// Each writes one item at `to`, which has room for the size above (and the data), and returns the
// place after it.
char* store_entry(char* to, const LogEntry& entry) noexcept;
char* store_state(char* to, const LogState& state) noexcept;
char* store_start(char* to, GroupId group, Term term, Index index) noexcept;
char* store_drop(char* to, GroupId group) noexcept;
char* store_checkpoint(char* to, const GroupCheckpoint& checkpoint) noexcept;
// The checkpoint of a log without groups; a byte.
char* store_no_groups(char* to) noexcept;

[[nodiscard]] bool begins_with_checkpoint(ByteView payload) noexcept;

class RecordVisitor {
public:
    virtual ~RecordVisitor() = default;
    virtual Status on_entry(const LogEntry& entry) = 0;
    virtual Status on_state(const LogState& state) = 0;
    virtual Status on_start(GroupId group, Term term, Index index) = 0;
    virtual Status on_drop(GroupId group) = 0;
    virtual Status on_checkpoint(const GroupCheckpoint& checkpoint) = 0;
};

// Shows every item of a payload in order. Views into `payload` last as long as it does.
// Errors: kCorruption for bytes that are no items, without saying where; the visitor's.
Status visit_items(ByteView payload, RecordVisitor& visitor);

}  // namespace kvstore::storage
