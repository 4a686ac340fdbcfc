// What the written part of the log says of each group, and which segments are needed for it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "base/id.h"
#include "base/status.h"
#include "storage/wal/record.h"

namespace kvstore::storage {

// Follows the log record by record, in recovery and while it is written, so that a checkpoint can
// be made at any record's end.
//
// Invariants  segment numbers rise by one from front to back; the last is the one being written.
class GroupLedger {
public:
    // How a segment begins. One that begins with records copied from the segment before cannot be
    // the oldest: its checkpoint comes after entries.
    enum class Opening : std::uint8_t { kCheckpoint, kCopies };

    void begin_segment(std::uint64_t number, Opening opening);

    // ---- what the records of the newest segment say, in order ----
    void note_entry(GroupId group, Index index);
    // Only which segment needs it; the group's state is known already (records that are copied).
    void note_copied_entry(GroupId group, Index index);
    // Where the group's log ends now; a replaced entry ends it earlier than the highest one.
    void note_last(GroupId group, Index last);
    void note_state(const LogState& state);
    void note_start(GroupId group, Term term, Index index);
    void note_drop(GroupId group);
    // Of the newest segment alone (records that are copied).
    void forget_needs(GroupId group) { segments_.back().highest.erase(group); }

    // What the checkpoint tells that was not known. Errors: kCorruption: it contradicts what is
    // known, so records before it are missing.
    struct News {
        bool state = false;
        bool start = false;
    };
    Result<News> note_checkpoint(const GroupCheckpoint& checkpoint);

    // ---- what is needed ----
    void release(GroupId group, Index index);
    // The number of the oldest segment, when it and perhaps some after it are not needed any more.
    // Never the newest.
    [[nodiscard]] std::optional<std::uint64_t> find_released_segment();
    // A group that needs the segments which keep the oldest one, if there is any.
    [[nodiscard]] std::optional<GroupId> find_laggard();
    void remove_oldest();

    // ---- questions ----
    [[nodiscard]] std::optional<GroupCheckpoint> find_group(GroupId group) const;
    [[nodiscard]] const std::unordered_map<GroupId, GroupCheckpoint>& groups() const {
        return groups_;
    }
    [[nodiscard]] std::size_t segment_count() const { return segments_.size(); }

private:
    struct Segment {
        std::uint64_t number;
        Opening opening;
        std::unordered_map<GroupId, Index> highest;
        // A group that still needed it when last asked: while that has not changed, nobody else
        // need be asked.
        std::optional<GroupId> needed_by;
    };

    [[nodiscard]] bool is_needed(Segment& segment);
    [[nodiscard]] bool is_needed_by(const Segment& segment, GroupId group) const;

    [[nodiscard]] GroupCheckpoint& enter(GroupId group);
    void note_needed(GroupId group, Index index);

    std::unordered_map<GroupId, GroupCheckpoint> groups_;
    std::unordered_map<GroupId, Index> released_;
    std::deque<Segment> segments_;
};

}  // namespace kvstore::storage
