// What is done with the items of a log that is read.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "storage/wal/internal/group_ledger.h"
#include "storage/wal/internal/log_reader.h"
#include "storage/wal/record.h"
#include "storage/wal/wal.h"

namespace kvstore::storage {

// Brings a ledger to the log's end and shows everything to `visitor`, which may be null.
class LogReplay final : public LogVisitor {
public:
    LogReplay(GroupLedger* ledger, WalVisitor* visitor) : ledger_(ledger), visitor_(visitor) {}

    void on_segment(std::uint64_t number, bool opens_with_checkpoint) override {
        ledger_->begin_segment(number,
                               opens_with_checkpoint ? GroupLedger::Opening::kCheckpoint
                                                     : GroupLedger::Opening::kCopies);
    }
    Status on_entry(const LogEntry& entry) override {
        ledger_->note_entry(entry.group, entry.index);
        ++entry_count_;
        return visitor_ != nullptr ? visitor_->on_entry(entry) : Status();
    }
    Status on_state(const LogState& state) override {
        ledger_->note_state(state);
        return visitor_ != nullptr ? visitor_->on_state(state) : Status();
    }
    Status on_start(GroupId group, Term term, Index index) override {
        ledger_->note_start(group, term, index);
        return visitor_ != nullptr ? visitor_->on_start(group, term, index) : Status();
    }
    Status on_drop(GroupId group) override {
        ledger_->note_drop(group);
        return visitor_ != nullptr ? visitor_->on_drop(group) : Status();
    }
    Status on_checkpoint(const GroupCheckpoint& checkpoint) override {
        KVSTORE_TRY(const GroupLedger::News news, ledger_->note_checkpoint(checkpoint));
        if (visitor_ == nullptr) {
            return {};
        }
        if (news.start) {
            KVSTORE_CHECK_OK(visitor_->on_start(
                checkpoint.group, checkpoint.start->term, checkpoint.start->index));
        }
        return news.state ? visitor_->on_state(*checkpoint.state) : Status();
    }

    [[nodiscard]] std::uint64_t entry_count() const { return entry_count_; }

private:
    GroupLedger* ledger_;
    WalVisitor* visitor_;
    std::uint64_t entry_count_ = 0;
};

// Notes which groups need the newest segment for entries that were copied into it.
class NeedsVisitor final : public RecordVisitor {
public:
    explicit NeedsVisitor(GroupLedger* ledger) : ledger_(ledger) {}

    Status on_entry(const LogEntry& entry) override {
        ledger_->note_copied_entry(entry.group, entry.index);
        return {};
    }
    Status on_state(const LogState&) override { return {}; }
    Status on_start(GroupId, Term, Index) override { return {}; }
    Status on_drop(GroupId group) override {
        ledger_->forget_needs(group);
        return {};
    }
    Status on_checkpoint(const GroupCheckpoint&) override { return {}; }

private:
    GroupLedger* ledger_;
};

}  // namespace kvstore::storage
