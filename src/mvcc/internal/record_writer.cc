#include "mvcc/internal/record_writer.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "base/planted_bug.h"
#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"

namespace kvstore::mvcc::internal {
namespace {

using storage::Table;

std::uint64_t hash_of(const Found& found) {
    const std::size_t head_size = found.stored.size() - found.record.value.size();
    return entry_hash(found.key_hash, found.stored.substr(0, head_size), found.record.value);
}

}  // namespace

void RecordWriter::begin_command(Version stamp) {
    state_.last_stamp = std::max(stamp, Version(state_.last_stamp.raw() + 1));
    now_ms_ = state_.last_stamp.milliseconds();
    if (planted_bug(PlantedBug::kMvccExpiryIgnoresStamp)) {
        now_ms_ = 0;
    }
    changed_ = false;
    number_ = 0;
}

Status RecordWriter::look_up(ByteView key, Found& found) {
    found.exists = false;
    found.present = false;
    found.key_hash = hash64(key);
    switch (engine_.find(Table::kCurrent, key, &found.stored)) {
        case storage::Lookup::kFound: found.exists = true; break;
        case storage::Lookup::kAbsent: break;
        case storage::Lookup::kMustLoad: {
            KVSTORE_TRY(found.exists, engine_.find_blocking(Table::kCurrent, key, &found.stored));
        }
    }
    if (!found.exists) {
        found.record = Record();
        return {};
    }
    const auto record = decode_record(found.stored);
    if (!record) {
        return corruption("unreadable record of key", key);
    }
    found.record = *record;
    found.present = !record->has_expired(now_ms_);
    return {};
}

void RecordWriter::put(ByteView key, const Found& old, Record record) {
    begin_change();
    if (old.exists) {
        if (!planted_bug(PlantedBug::kMvccDigestNotRolled)) {
            state_.digest -= hash_of(old);
        }
    } else {
        ++state_.key_count;
    }
    // From the first write to the engine on, the bytes that `old` views are gone; its numbers stay.
    if (keeps_history() && old.exists) {
        keep_base(key, old);
        if (!old.present) {
            log_removal(Change::Kind::kExpire, key, old);
        }
    }
    record.version = state_.last_stamp;
    record.mod_revision = state_.revision;
    record.create_revision = old.present ? old.record.create_revision : state_.revision;
    record.version_count = old.present ? old.record.version_count + 1 : 1;
    if (keeps_history()) {
        log_change(Change::Kind::kPut, key, record);
    }
    move_expiry(key, old.exists ? old.record.expires_at_ms : 0, record.expires_at_ms);
    const RecordHead head(record);
    state_.digest += entry_hash(old.key_hash, head.bytes(), record.value);
    engine_.put(Table::kCurrent, key, head.bytes(), record.value);
}

void RecordWriter::erase(ByteView key, const Found& old, Change::Kind kind) {
    KVSTORE_ASSERT(old.exists);
    KVSTORE_ASSERT(kind != Change::Kind::kPut);
    begin_change();
    state_.digest -= hash_of(old);
    --state_.key_count;
    if (keeps_history()) {
        keep_base(key, old);
        log_removal(kind, key, old);
    }
    move_expiry(key, old.record.expires_at_ms, 0);
    engine_.erase(Table::kCurrent, key);
}

void RecordWriter::erase_all() {
    KVSTORE_ASSERT(!keeps_history());
    begin_change();
    engine_.erase_range(Table::kCurrent, {}, {});
    engine_.erase_range(Table::kExpiry, {}, {});
    state_.key_count = 0;
    state_.expiring_key_count = 0;
    state_.digest = 0;
}

void RecordWriter::keep_history(std::uint64_t history_ms) {
    if (history_ms == 0 && keeps_history()) {
        // At once and not in slices: entries of before must not be met by readers of a history that
        // begins again later, after changes that were not logged.
        engine_.erase_range(Table::kLog, {}, {});
        engine_.erase_range(Table::kIndex, {}, {});
        state_.compacted_revision = state_.revision;
    }
    state_.history_ms = history_ms;
}

void RecordWriter::begin_change() {
    if (changed_) {
        return;
    }
    changed_ = true;
    state_.revision = state_.revision.next();
    if (!keeps_history()) {
        state_.compacted_revision = state_.revision;
    }
}

void RecordWriter::move_expiry(ByteView key, std::uint64_t from_ms, std::uint64_t to_ms) {
    if (from_ms == to_ms) {
        return;
    }
    if (from_ms != 0) {
        make_expiry_key(from_ms, key, table_key_);
        engine_.erase(Table::kExpiry, table_key_);
        --state_.expiring_key_count;
    }
    if (to_ms != 0) {
        make_expiry_key(to_ms, key, table_key_);
        engine_.put(Table::kExpiry, table_key_, ByteView());
        ++state_.expiring_key_count;
    }
}

// The log tells what a record was before a change only as far back as it goes; what is older is
// kept in the index when it is first changed.
void RecordWriter::keep_base(ByteView key, const Found& old) {
    if (old.record.mod_revision > state_.compacted_revision) {
        return;
    }
    entry_.assign(old.stored);
    make_index_key(key, old.record.mod_revision, table_key_);
    engine_.put(Table::kIndex, table_key_, kBaseHead, entry_);
}

void RecordWriter::log_removal(Change::Kind kind, ByteView key, const Found& old) {
    Record removal;
    removal.version = state_.last_stamp;
    removal.mod_revision = state_.revision;
    removal.create_revision = old.record.create_revision;
    log_change(kind, key, removal);
}

void RecordWriter::log_change(Change::Kind kind, ByteView key, const Record& record) {
    make_log_key({.revision = state_.revision, .number = number_}, table_key_);
    make_log_head(kind, key, entry_);
    entry_.append(RecordHead(record).bytes());
    engine_.put(Table::kLog, table_key_, entry_, record.value);

    const auto index_kind =
        kind == Change::Kind::kPut ? IndexEntry::Kind::kPut : IndexEntry::Kind::kDelete;
    make_index_key(key, state_.revision, table_key_);
    make_index_value(index_kind, number_, entry_);
    engine_.put(Table::kIndex, table_key_, entry_);
    ++number_;
}

}  // namespace kvstore::mvcc::internal
