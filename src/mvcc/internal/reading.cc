#include "mvcc/internal/reading.h"

#include "mvcc/internal/entries.h"

namespace kvstore::mvcc::internal {
namespace {

using storage::Table;

Result<ByteView> read_logged_record(storage::View& view,
                                    ByteView key,
                                    LogPosition position,
                                    Bytes& scratch) {
    make_log_key(position, scratch);
    ByteView value;
    KVSTORE_TRY(const bool found, view.find(Table::kLog, scratch, &value));
    if (!found) {
        return corruption("the index names a change that the log does not have, of key", key);
    }
    const auto entry = decode_log_entry(value);
    if (!entry || entry->key != key || entry->kind != Change::Kind::kPut) {
        return corruption("the log has another change than the index says, of key", key);
    }
    return entry->stored;
}

}  // namespace

Result<ShardState> read_state(storage::View& view) {
    ByteView value;
    KVSTORE_TRY(const bool found, view.find(Table::kMeta, kStateKey, &value));
    if (!found) {
        return ShardState();
    }
    const auto stored = decode_state(value);
    if (!stored) {
        return Status(Code::kCorruption, "the shard's stored state is unreadable");
    }
    return stored->state;
}

Status check_retained(const ShardState& state, Revision as_of) {
    if (as_of > state.revision) {
        return {Code::kFutureRevision,
                "revision " + std::to_string(as_of.value()) + " is still to come; the last is " +
                    std::to_string(state.revision.value())};
    }
    if (as_of < state.compacted_revision) {
        return {Code::kCompacted,
                "revision " + std::to_string(as_of.value()) +
                    " is no longer retained; the oldest is " +
                    std::to_string(state.compacted_revision.value())};
    }
    return {};
}

Result<PastRecord> read_past(
    storage::View& view, storage::Cursor& index, ByteView key, Revision as_of, Bytes& scratch) {
    make_index_key(key, as_of, scratch);
    index.seek(scratch);
    const ByteView prefix = ByteView(scratch).substr(0, scratch.size() - sizeof(std::uint64_t));
    if (!index.valid() || !is_index_key_of(index.key(), prefix)) {
        KVSTORE_CHECK_OK(index.status());
        return PastRecord();
    }
    const Revision revision = index_key_revision(index.key());
    const auto entry = decode_index_entry(index.value());
    if (!entry) {
        return corruption("unreadable index entry of key", key);
    }
    switch (entry->kind) {
        case IndexEntry::Kind::kDelete: return PastRecord{.answer = PastRecord::Answer::kAbsent};
        case IndexEntry::Kind::kBase:
            return PastRecord{.answer = PastRecord::Answer::kRecord, .stored = entry->stored};
        case IndexEntry::Kind::kPut: break;
    }
    const LogPosition position{.revision = revision, .number = entry->number};
    KVSTORE_TRY(const ByteView stored, read_logged_record(view, key, position, scratch));
    return PastRecord{.answer = PastRecord::Answer::kRecord, .stored = stored};
}

}  // namespace kvstore::mvcc::internal
