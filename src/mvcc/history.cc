// Reads of the past: one key as of a revision, changes in order, revisions by time.
#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"
#include "mvcc/internal/reading.h"
#include "mvcc/shard.h"

namespace kvstore::mvcc {
namespace {

using internal::PastRecord;
using storage::Table;

// What a change weighs beside its key and record, so that many small ones have a bound too.
constexpr std::size_t kChangeOverhead = 32;

std::optional<Record> decode_into(ByteView stored, Bytes* value) {
    auto record = decode_record(stored);
    if (record) {
        value->assign(record->value);
        record->value = *value;
    }
    return record;
}

Result<Change> decode_change(ByteView log_key, ByteView log_value) {
    const auto position = internal::parse_log_key(log_key);
    const auto entry = internal::decode_log_entry(log_value);
    if (!position || !entry) {
        return internal::corruption("unreadable log entry", log_key);
    }
    return Change{.kind = entry->kind,
                  .revision = position->revision,
                  .number = position->number,
                  .key = Bytes(entry->key),
                  .stored_record = Bytes(entry->stored)};
}

// When the change at `revision` was made. Requires: it is retained.
Result<std::uint64_t> change_time_ms(storage::Cursor& log, Revision revision) {
    Bytes log_key;
    internal::make_log_key({.revision = revision}, log_key);
    log.seek(log_key);
    KVSTORE_CHECK_OK(log.status());
    const auto position =
        log.valid() ? internal::parse_log_key(log.key()) : std::optional<internal::LogPosition>();
    const auto entry =
        log.valid() ? internal::decode_log_entry(log.value()) : std::optional<internal::LogEntry>();
    if (!position || !entry || position->revision != revision) {
        return internal::corruption("no readable log entry where one must be", log_key);
    }
    return entry->record.version.milliseconds();
}

}  // namespace

Result<std::optional<Record>> Shard::find_as_of(storage::View* view,
                                                ByteView key,
                                                Revision revision,
                                                Bytes* value) {
    KVSTORE_TRY(const ShardState state, internal::read_state(*view));
    KVSTORE_CHECK_OK(internal::check_retained(state, revision));
    const auto index = view->cursor(Table::kIndex);
    Bytes scratch;
    KVSTORE_TRY(PastRecord past, internal::read_past(*view, *index, key, revision, scratch));
    if (past.answer == PastRecord::Answer::kAbsent) {
        return std::optional<Record>();
    }
    const bool is_current = past.answer == PastRecord::Answer::kUnchanged;
    if (is_current) {
        KVSTORE_TRY(const bool found, view->find(Table::kCurrent, key, &past.stored));
        if (!found) {
            return std::optional<Record>();
        }
    }
    const auto record = decode_into(past.stored, value);
    if (!record) {
        return internal::corruption("unreadable record of key", key);
    }
    if (is_current && record->mod_revision > revision) {
        return std::optional<Record>();
    }
    return record;
}

Result<std::vector<Change>> Shard::changes(storage::View* view,
                                           Revision from,
                                           std::size_t bytes_max) {
    KVSTORE_TRY(const ShardState state, internal::read_state(*view));
    if (from <= state.compacted_revision) {
        return Status(Code::kCompacted,
                      "changes from revision " + std::to_string(from.value()) +
                          " on are no longer retained; the oldest is " +
                          std::to_string(state.compacted_revision.value() + 1));
    }
    std::vector<Change> changes;
    std::size_t bytes = 0;
    Bytes log_key;
    internal::make_log_key({.revision = from}, log_key);
    const auto log = view->cursor(Table::kLog);
    for (log->seek(log_key); log->valid(); log->next()) {
        KVSTORE_TRY(Change change, decode_change(log->key(), log->value()));
        if (bytes >= bytes_max && !changes.empty() && changes.back().revision != change.revision) {
            break;
        }
        bytes += kChangeOverhead + change.key.size() + change.stored_record.size();
        changes.push_back(std::move(change));
    }
    KVSTORE_CHECK_OK(log->status());
    return changes;
}

// Stamps rise with revisions, so the answer is found by halving.
Result<std::optional<Revision>> Shard::revision_before(storage::View* view,
                                                       std::uint64_t before_ms) {
    KVSTORE_TRY(const ShardState state, internal::read_state(*view));
    const auto log = view->cursor(Table::kLog);
    Revision older = state.compacted_revision;
    Revision not_older = state.revision.next();
    while (older.next() < not_older) {
        const Revision middle(older.value() + ((not_older.value() - older.value()) / 2));
        KVSTORE_TRY(const std::uint64_t time_ms, change_time_ms(*log, middle));
        if (time_ms < before_ms) {
            older = middle;
        } else {
            not_older = middle;
        }
    }
    if (older == state.compacted_revision) {
        return std::optional<Revision>();
    }
    return std::optional<Revision>(older);
}

}  // namespace kvstore::mvcc
