#include "storage/wal/internal/group_ledger.h"

#include <algorithm>
#include <string>

#include "base/assert.h"
#include "base/planted_bug.h"

namespace kvstore::storage {

void GroupLedger::begin_segment(std::uint64_t number, Opening opening) {
    KVSTORE_ASSERT(segments_.empty() || segments_.back().number + 1 == number);
    segments_.push_back(
        Segment{.number = number, .opening = opening, .highest = {}, .needed_by = {}});
}

GroupCheckpoint& GroupLedger::enter(GroupId group) {
    GroupCheckpoint& entered = groups_[group];
    entered.group = group;
    return entered;
}

void GroupLedger::note_needed(GroupId group, Index index) {
    KVSTORE_ASSERT(!segments_.empty());
    Index& highest = segments_.back().highest[group];
    highest = std::max(highest, index);
}

void GroupLedger::note_entry(GroupId group, Index index) {
    enter(group).last = index;
    note_needed(group, index);
}

void GroupLedger::note_copied_entry(GroupId group, Index index) {
    note_needed(group, index);
}

void GroupLedger::note_last(GroupId group, Index last) {
    enter(group).last = last;
}

void GroupLedger::note_state(const LogState& state) {
    enter(state.group).state = state;
}

void GroupLedger::note_start(GroupId group, Term term, Index index) {
    GroupCheckpoint& entered = enter(group);
    entered.start = GroupCheckpoint::Start{.term = term, .index = index};
    entered.last = std::max(entered.last, index);
}

void GroupLedger::note_drop(GroupId group) {
    groups_.erase(group);
    released_.erase(group);
    for (Segment& segment : segments_) {
        segment.highest.erase(group);
        if (segment.needed_by == group) {
            segment.needed_by.reset();
        }
    }
}

Result<GroupLedger::News> GroupLedger::note_checkpoint(const GroupCheckpoint& checkpoint) {
    const auto found = groups_.find(checkpoint.group);
    if (found == groups_.end()) {
        groups_.emplace(checkpoint.group, checkpoint);
        return News{.state = checkpoint.state.has_value(), .start = checkpoint.start.has_value()};
    }
    if (found->second != checkpoint) {
        return Status(Code::kCorruption,
                      "the checkpoint of group " + std::to_string(checkpoint.group.value()) +
                          " is not what the records before it add up to");
    }
    return News{};
}

void GroupLedger::release(GroupId group, Index index) {
    Index& released = released_[group];
    released = std::max(released, index);
}

bool GroupLedger::is_needed_by(const Segment& segment, GroupId group) const {
    const auto highest = segment.highest.find(group);
    if (highest == segment.highest.end()) {
        return false;
    }
    const auto released = released_.find(group);
    Index reached = released == released_.end() ? Index() : released->second;
    if (planted_bug(PlantedBug::kWalReleaseTooMuch) && released != released_.end()) {
        reached = reached.next();
    }
    return reached < highest->second;
}

bool GroupLedger::is_needed(Segment& segment) {
    if (segment.needed_by && is_needed_by(segment, *segment.needed_by)) {
        return true;
    }
    for (const auto& [group, highest] : segment.highest) {
        if (is_needed_by(segment, group)) {
            segment.needed_by = group;
            return true;
        }
    }
    return false;
}

std::optional<std::uint64_t> GroupLedger::find_released_segment() {
    // The newest is being written, and the first that stays must begin with a checkpoint.
    for (std::size_t i = 0; i + 1 < segments_.size() && !is_needed(segments_[i]); ++i) {
        if (segments_[i + 1].opening == Opening::kCheckpoint) {
            return segments_.front().number;
        }
    }
    return std::nullopt;
}

std::optional<GroupId> GroupLedger::find_laggard() {
    for (std::size_t i = 0; i + 1 < segments_.size(); ++i) {
        if (is_needed(segments_[i])) {
            return segments_[i].needed_by;
        }
        if (segments_[i + 1].opening == Opening::kCheckpoint) {
            break;
        }
    }
    return std::nullopt;
}

void GroupLedger::remove_oldest() {
    KVSTORE_ASSERT(segments_.size() > 1);
    segments_.pop_front();
}

std::optional<GroupCheckpoint> GroupLedger::find_group(GroupId group) const {
    const auto found = groups_.find(group);
    if (found == groups_.end()) {
        return std::nullopt;
    }
    return found->second;
}

}  // namespace kvstore::storage
