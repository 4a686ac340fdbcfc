// The sweep after a compaction: in log order, every change at or below the compacted revision
// leaves the log, and its index entry goes or becomes a base.
//
// A change is looked at once. Its index entry is needed further only if it is the key's newest at
// or below the compacted revision (what reads at that revision and above find), a put, and the key
// has changed after it; kCurrent has it otherwise. A base just below a change that is swept is what
// that change replaced, and goes with it. So nothing is walked over twice, also for a key with a
// million changes.
#include <algorithm>

#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"
#include "mvcc/internal/reading.h"
#include "mvcc/shard.h"

namespace kvstore::mvcc {
namespace {

using internal::IndexEntry;
using internal::LogEntry;
using internal::LogPosition;
using storage::Cursor;
using storage::Table;

// Bases carry values; a slice holds no more of them than this.
constexpr std::size_t kSliceBytesMax = 1U << 20U;

// Writes that wait until the view is gone.
struct Slice {
    struct Base {
        Bytes index_key;
        Bytes stored;
    };
    std::vector<Bytes> index_keys;  // to erase
    std::vector<Base> bases;
    Bytes log_begin;
    LogPosition log_end;  // the first position that stays
    std::size_t log_count = 0;
    std::size_t bytes = 0;
};

class Sweep {
public:
    Sweep(storage::View& view, Revision compacted)
        : compacted_(compacted),
          log_(view.cursor(Table::kLog)),
          index_(view.cursor(Table::kIndex)) {}

    // Errors: kCorruption, kIoError.
    Result<Slice> plan(ByteView from, std::size_t count_max) {
        slice_.log_end = {.revision = compacted_.next()};
        log_->seek(from);
        for (; log_->valid(); log_->next()) {
            const auto position = internal::parse_log_key(log_->key());
            const auto entry = internal::decode_log_entry(log_->value());
            if (!position || !entry) {
                return internal::corruption("unreadable log entry", log_->key());
            }
            if (position->revision > compacted_) {
                break;
            }
            if (slice_.index_keys.size() + slice_.log_count >= count_max ||
                slice_.bytes >= kSliceBytesMax) {
                slice_.log_end = *position;
                break;
            }
            if (slice_.log_count == 0) {
                slice_.log_begin = log_->key();
            }
            ++slice_.log_count;
            KVSTORE_CHECK_OK(sweep_change(*position, *entry));
        }
        KVSTORE_CHECK_OK(log_->status());
        return std::move(slice_);
    }

private:
    Status sweep_change(LogPosition position, const LogEntry& entry) {
        internal::make_index_prefix(entry.key, prefix_);
        KVSTORE_TRY(const auto own, entry_at(entry.key, position.revision));
        const bool is_own = own && internal::index_key_revision(index_->key()) == position.revision;
        if (is_own && own->kind != IndexEntry::Kind::kBase && own->number != position.number) {
            return {};  // the revision changed the key again, and the index names that change
        }
        if (is_own) {
            const Bytes index_key(index_->key());
            KVSTORE_CHECK_OK(sweep_older_base(position.revision, entry.key));
            KVSTORE_TRY(const bool needed, is_needed(entry.key, position.revision, own->kind));
            if (!needed) {
                slice_.index_keys.push_back(index_key);
            } else if (own->kind != IndexEntry::Kind::kBase) {
                slice_.bytes += entry.stored.size();
                slice_.bases.push_back({.index_key = index_key, .stored = Bytes(entry.stored)});
            }
        }
        return {};
    }

    // Whether the key's entry at `revision` is to stay as a base.
    Result<bool> is_needed(ByteView key, Revision revision, IndexEntry::Kind kind) {
        if (kind == IndexEntry::Kind::kDelete) {
            return false;
        }
        KVSTORE_TRY(const auto newest_swept, entry_at(key, compacted_));
        if (!newest_swept || internal::index_key_revision(index_->key()) != revision) {
            return false;
        }
        index_->seek(prefix_);
        KVSTORE_CHECK_OK(index_->status());
        return index_->valid() && internal::is_index_key_of(index_->key(), prefix_) &&
               internal::index_key_revision(index_->key()) > compacted_;
    }

    Status sweep_older_base(Revision revision, ByteView key) {
        if (revision == Revision()) {
            return {};
        }
        KVSTORE_TRY(const auto older, entry_at(key, Revision(revision.value() - 1)));
        if (older && older->kind == IndexEntry::Kind::kBase) {
            slice_.index_keys.emplace_back(index_->key());
        }
        return {};
    }

    // Moves the index cursor to the key's newest entry at or below `revision`.
    // Requires: prefix_ is of `key`.
    Result<std::optional<IndexEntry>> entry_at(ByteView key, Revision revision) {
        internal::make_index_key(key, revision, scratch_);
        index_->seek(scratch_);
        KVSTORE_CHECK_OK(index_->status());
        if (!index_->valid() || !internal::is_index_key_of(index_->key(), prefix_)) {
            return std::optional<IndexEntry>();
        }
        const auto entry = internal::decode_index_entry(index_->value());
        if (!entry) {
            return internal::corruption("unreadable index entry of key", key);
        }
        return entry;
    }

    Revision compacted_;
    std::unique_ptr<Cursor> log_;
    std::unique_ptr<Cursor> index_;
    Slice slice_;
    Bytes prefix_;
    Bytes scratch_;
};

void write_slice(const Slice& slice, ByteView log_end, storage::Engine& engine) {
    for (const Bytes& index_key : slice.index_keys) {
        engine.erase(Table::kIndex, index_key);
    }
    for (const Slice::Base& base : slice.bases) {
        engine.put(Table::kIndex, base.index_key, internal::kBaseHead, base.stored);
    }
    if (slice.log_count > 0) {
        engine.erase_range(Table::kLog, slice.log_begin, log_end);
    }
}

}  // namespace

Status Shard::sweep_compacted(std::size_t count_max) {
    if (!failure_.ok() || !has_compaction_due()) {
        return failure_;
    }
    Result<Slice> planned = [&] {
        const auto view = engine_.view();
        return Sweep(*view, state_.compacted_revision)
            .plan(sweep_from_, std::max<std::size_t>(count_max, 1));
    }();
    if (!planned.ok()) {
        return fail(planned.status().with_context("compaction"));
    }
    internal::make_log_key(planned->log_end, sweep_from_);
    write_slice(*planned, sweep_from_, engine_);
    engine_.put(Table::kMeta, internal::kSweepKey, sweep_from_);
    swept_ = Revision(planned->log_end.revision.value() - 1);
    return {};
}

}  // namespace kvstore::mvcc
