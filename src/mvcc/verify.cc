// A check of every table against the others, for `verify-data`, tests and the simulator.
#include <optional>

#include "base/hash.h"
#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"
#include "mvcc/internal/reading.h"
#include "mvcc/shard.h"

namespace kvstore::mvcc {
namespace {

using internal::corruption;
using internal::IndexEntry;
using internal::LogEntry;
using internal::LogPosition;
using storage::Table;

class Verification {
public:
    Verification(storage::View& view, const ShardState& state) : view_(view), state_(state) {}

    Status run() {
        KVSTORE_CHECK_OK(check_records());
        KVSTORE_CHECK_OK(check_expiries());
        KVSTORE_CHECK_OK(check_log());
        return check_index();
    }

private:
    // ---- kCurrent ----

    Status check_records() {
        std::uint64_t count = 0;
        std::uint64_t digest = 0;
        const auto cursor = view_.cursor(Table::kCurrent);
        for (cursor->seek({}); cursor->valid(); cursor->next()) {
            const auto record = decode_record(cursor->value());
            if (!record) {
                return corruption("unreadable record of key", cursor->key());
            }
            const ByteView stored = cursor->value();
            const ByteView head = stored.substr(0, stored.size() - record->value.size());
            digest += internal::entry_hash(hash64(cursor->key()), head, record->value);
            ++count;
            KVSTORE_CHECK_OK(check_record(cursor->key(), *record));
        }
        KVSTORE_CHECK_OK(cursor->status());
        if (count != state_.key_count) {
            return mismatch("records", count, state_.key_count);
        }
        if (digest != state_.digest) {
            return mismatch("digest", digest, state_.digest);
        }
        return {};
    }

    Status check_record(ByteView key, const Record& record) {
        if (record.mod_revision > state_.revision || record.version > state_.last_stamp ||
            record.mod_revision == Revision() || record.version_count == 0) {
            return corruption("record newer than the shard, or of no revision, of key", key);
        }
        if (record.expires_at_ms != 0) {
            internal::make_expiry_key(record.expires_at_ms, key, scratch_);
            KVSTORE_TRY(const bool found, has(Table::kExpiry, scratch_));
            if (!found) {
                return corruption("no expiry entry of key", key);
            }
            ++expiring_count_;
        }
        if (record.mod_revision > state_.compacted_revision) {
            internal::make_index_key(key, record.mod_revision, scratch_);
            KVSTORE_TRY(const bool found, has(Table::kIndex, scratch_));
            if (!found) {
                return corruption("no index entry of the newest record of key", key);
            }
        }
        return {};
    }

    // ---- kExpiry ----

    // Every expiring record has an entry; if there are no more entries than those, all is told.
    Status check_expiries() {
        std::uint64_t count = 0;
        const auto cursor = view_.cursor(Table::kExpiry);
        for (cursor->seek({}); cursor->valid(); cursor->next()) {
            const auto entry = internal::parse_expiry_key(cursor->key());
            if (!entry) {
                return corruption("unreadable expiry entry", cursor->key());
            }
            ++count;
        }
        KVSTORE_CHECK_OK(cursor->status());
        if (count != expiring_count_) {
            return mismatch("expiry entries", count, expiring_count_);
        }
        if (count != state_.expiring_key_count) {
            return mismatch("expiring records", count, state_.expiring_key_count);
        }
        return {};
    }

    // ---- kLog ----

    Status check_log() {
        LogPosition next{.revision = state_.compacted_revision.next()};
        const auto cursor = view_.cursor(Table::kLog);
        for (cursor->seek({}); cursor->valid(); cursor->next()) {
            const auto position = internal::parse_log_key(cursor->key());
            const auto entry = internal::decode_log_entry(cursor->value());
            if (!position || !entry || entry->record.mod_revision != position->revision) {
                return corruption("unreadable log entry", cursor->key());
            }
            if (position->revision <= state_.compacted_revision) {
                continue;  // waits for the sweep
            }
            if (position->revision == next.revision.next() && next.number > 0) {
                next = {.revision = position->revision};
            }
            if (*position != next) {
                return corruption("the log leaves out a change before", cursor->key());
            }
            ++next.number;
            KVSTORE_CHECK_OK(check_logged(*position, *entry));
        }
        KVSTORE_CHECK_OK(cursor->status());
        const Revision last = next.number > 0 ? next.revision : state_.compacted_revision;
        if (last != state_.revision) {
            return mismatch("the log's last revision", last.value(), state_.revision.value());
        }
        return {};
    }

    Status check_logged(LogPosition position, const LogEntry& entry) {
        internal::make_index_key(entry.key, position.revision, scratch_);
        ByteView value;
        KVSTORE_TRY(const bool found, view_.find(Table::kIndex, scratch_, &value));
        const auto indexed =
            found ? internal::decode_index_entry(value) : std::optional<IndexEntry>();
        if (!indexed || indexed->kind == IndexEntry::Kind::kBase ||
            indexed->number < position.number) {
            return corruption("no index entry of a logged change of key", entry.key);
        }
        return {};
    }

    // ---- kIndex ----

    Status check_index() {
        Bytes key;
        Bytes newer_key;
        Revision revision;
        const auto cursor = view_.cursor(Table::kIndex);
        for (cursor->seek({}); cursor->valid(); cursor->next()) {
            if (!internal::parse_index_key(cursor->key(), key, revision)) {
                return corruption("unreadable index key", cursor->key());
            }
            const auto entry = internal::decode_index_entry(cursor->value());
            if (!entry || revision > state_.revision) {
                return corruption("unreadable index entry of key", key);
            }
            const bool is_newest = !any_indexed_ || key != newer_key;
            any_indexed_ = true;
            newer_key = key;
            KVSTORE_CHECK_OK(check_indexed(key, revision, *entry, is_newest));
        }
        return cursor->status();
    }

    Status check_indexed(ByteView key, Revision revision, const IndexEntry& entry, bool is_newest) {
        if (entry.kind == IndexEntry::Kind::kBase) {
            const auto record = decode_record(entry.stored);
            const bool fits = record && record->mod_revision == revision;
            if (!fits || is_newest || revision > state_.compacted_revision) {
                return corruption("wrong base in the index of key", key);
            }
            return {};
        }
        const LogPosition position{.revision = revision, .number = entry.number};
        internal::make_log_key(position, scratch_);
        ByteView value;
        KVSTORE_TRY(const bool found, view_.find(Table::kLog, scratch_, &value));
        const auto logged = found ? internal::decode_log_entry(value) : std::optional<LogEntry>();
        const bool is_put = entry.kind == IndexEntry::Kind::kPut;
        if (!logged || logged->key != key || (logged->kind == Change::Kind::kPut) != is_put) {
            return corruption("the log has not what the index names, of key", key);
        }
        return is_newest ? check_newest(key, is_put, Bytes(logged->stored)) : Status();
    }

    Status check_newest(ByteView key, bool is_put, const Bytes& logged) {
        ByteView stored;
        KVSTORE_TRY(const bool found, view_.find(Table::kCurrent, key, &stored));
        if (found != is_put || (found && stored != logged)) {
            return corruption("the newest change is not what is stored, of key", key);
        }
        return {};
    }

    Result<bool> has(Table table, ByteView key) {
        ByteView value;
        return view_.find(table, key, &value);
    }

    static Status mismatch(const char* what, std::uint64_t found, std::uint64_t expected) {
        return {Code::kCorruption,
                std::string(what) + ": " + std::to_string(found) + " found, " +
                    std::to_string(expected) + " expected"};
    }

    storage::View& view_;
    const ShardState& state_;
    std::uint64_t expiring_count_ = 0;
    bool any_indexed_ = false;
    Bytes scratch_;
};

}  // namespace

Status Shard::verify(storage::View* view) {
    KVSTORE_TRY(const ShardState state, internal::read_state(*view));
    return Verification(*view, state).run();
}

}  // namespace kvstore::mvcc
