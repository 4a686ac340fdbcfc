// What has run out, for the leader that proposes its deletion.
#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"
#include "mvcc/shard.h"

namespace kvstore::mvcc {

using storage::Table;

Result<std::optional<std::uint64_t>> Shard::next_expiry_ms(storage::View* view) {
    const auto cursor = view->cursor(Table::kExpiry);
    cursor->seek({});
    if (!cursor->valid()) {
        KVSTORE_CHECK_OK(cursor->status());
        return std::optional<std::uint64_t>();
    }
    const auto entry = internal::parse_expiry_key(cursor->key());
    if (!entry) {
        return internal::corruption("unreadable expiry entry", cursor->key());
    }
    return std::optional<std::uint64_t>(entry->expires_at_ms);
}

Result<std::vector<ExpiredKey>> Shard::expired(storage::View* view,
                                               std::uint64_t now_ms,
                                               std::size_t count_max) {
    std::vector<ExpiredKey> expired;
    const auto cursor = view->cursor(Table::kExpiry);
    for (cursor->seek({}); cursor->valid() && expired.size() < count_max; cursor->next()) {
        const auto entry = internal::parse_expiry_key(cursor->key());
        if (!entry) {
            return internal::corruption("unreadable expiry entry", cursor->key());
        }
        if (entry->expires_at_ms > now_ms) {
            break;
        }
        ByteView stored;
        KVSTORE_TRY(const bool found, view->find(Table::kCurrent, entry->key, &stored));
        const auto record = found ? decode_record(stored) : std::nullopt;
        if (!record || record->expires_at_ms != entry->expires_at_ms) {
            return internal::corruption("expiry entry without its record, of key", entry->key);
        }
        expired.push_back({.key = Bytes(entry->key), .mod_revision = record->mod_revision});
    }
    KVSTORE_CHECK_OK(cursor->status());
    return expired;
}

}  // namespace kvstore::mvcc
