// Operations on keys as a whole, and on the shard.
#include "base/planted_bug.h"
#include "mvcc/internal/applier.h"
#include "mvcc/internal/condition.h"
#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"

namespace kvstore::mvcc::internal {
namespace {

using storage::Table;

// A range is removed in slices, since a view must not stand while the engine is written.
constexpr std::size_t kSliceKeysMax = 1024;
constexpr std::size_t kSliceBytesMax = 1U << 20U;

}  // namespace

Status Applier::erase(const Operation& operation) {
    if (found_.present) {
        writer_.erase(operation.key, found_, Change::Kind::kDelete);
        result_.changed = true;
        result_.number = 1;
    }
    return {};
}

bool Applier::takes_expiry(const Operation& operation) const {
    const std::uint64_t now = found_.record.expires_at_ms;
    const std::uint64_t then = operation.expires_at_ms;
    switch (operation.expiry_condition) {
        case ExpiryCondition::kAlways: return true;
        case ExpiryCondition::kOnlyIfNone: return now == 0;
        case ExpiryCondition::kOnlyIfSome: return now != 0;
        case ExpiryCondition::kOnlyIfGreater: return now != 0 && then > now;
        case ExpiryCondition::kOnlyIfLess: return now == 0 || then < now;
        case ExpiryCondition::kOnlyIfSomeAndLess: return now != 0 && then < now;
    }
    return false;
}

Status Applier::set_expiry(const Operation& operation) {
    if (!found_.present) {
        refuse(Code::kNotFound);
        return {};
    }
    const bool has_none_to_clear =
        operation.expiry_mode == ExpiryMode::kClear && found_.record.expires_at_ms == 0;
    const bool is_refused = operation.expiry_mode == ExpiryMode::kAt && !takes_expiry(operation);
    if (has_none_to_clear || is_refused) {
        refuse(Code::kConflict);
        result_.previous = found_.record;
        return {};
    }
    if (operation.expiry_mode == ExpiryMode::kKeep) {
        return {};
    }
    value_.assign(found_.record.value);
    Operation with_lease = operation;
    with_lease.lease = operation.lease != 0 ? operation.lease : found_.record.lease;
    write(with_lease, value_);
    return {};
}

// Also copies, which differ in what becomes of the source.
Status Applier::move(const Operation& operation) {
    const ByteView from = operation.key;
    const ByteView to = operation.argument;
    Found source;
    KVSTORE_CHECK_OK(writer_.look_up(from, source));
    if (!source.present) {
        refuse(Code::kNotFound);
        return {};
    }
    // Its bytes last only until the destination is looked up; its head goes with the copy, since
    // the digest needs it.
    value_.assign(source.stored);
    const std::size_t head_size = source.stored.size() - source.record.value.size();
    source.stored = value_;
    source.record.value = source.stored.substr(head_size);

    KVSTORE_TRY(const bool admitted, admit(operation, to));
    if (!admitted || from == to) {
        return {};
    }
    if (operation.wants_previous && found_.present) {
        keep_previous();
    }
    // The destination first: its bytes are still those that were looked up.
    Record record;
    record.value = source.record.value;
    record.kind = source.record.kind;
    record.expires_at_ms = source.record.expires_at_ms;
    record.lease = source.record.lease;
    writer_.put(to, found_, record);
    if (operation.kind == OperationKind::kMove) {
        writer_.erase(from, source, Change::Kind::kDelete);
    }
    result_.changed = true;
    return {};
}

Status Applier::expire(const Operation& operation) {
    KVSTORE_CHECK_OK(writer_.look_up(operation.key, found_));
    result_.had_previous = found_.present;
    const bool is_the_same =
        !found_.present && found_.record.mod_revision == operation.condition.revision;
    if (!found_.exists || (!is_the_same && !planted_bug(PlantedBug::kMvccExpiresRewritten))) {
        refuse(Code::kConflict);
        return {};
    }
    writer_.erase(operation.key, found_, Change::Kind::kExpire);
    result_.changed = true;
    return {};
}

Status Applier::erase_range(const Operation& operation) {
    if (operation.condition.kind != ConditionKind::kNone) {
        KVSTORE_TRY(const bool admitted, admit(operation, operation.key));
        if (!admitted) {
            return {};
        }
    }
    const bool is_everything = operation.key.empty() && operation.argument.empty();
    if (is_everything && !writer_.keeps_history()) {
        KVSTORE_TRY(const std::uint64_t expired, count_expired());
        if (state_.key_count > 0) {
            result_.number = static_cast<std::int64_t>(state_.key_count - expired);
            result_.changed = true;
            writer_.erase_all();
        }
        return {};
    }
    Bytes from(operation.key);
    for (bool done = false; !done;) {
        KVSTORE_CHECK_OK(erase_slice(from, operation.argument, &done));
    }
    return {};
}

Status Applier::erase_slice(Bytes& from, ByteView to, bool* done) {
    slice_.clear();
    {
        const auto view = engine_.view();
        const auto cursor = view->cursor(Table::kCurrent);
        std::size_t bytes = 0;
        cursor->seek(from);
        while (cursor->valid() && (to.empty() || cursor->key() < to) &&
               slice_.size() < kSliceKeysMax && bytes < kSliceBytesMax) {
            bytes += cursor->key().size();
            slice_.emplace_back(cursor->key());
            cursor->next();
        }
        KVSTORE_CHECK_OK(cursor->status());
        *done = !cursor->valid() || (!to.empty() && cursor->key() >= to);
    }
    for (const Bytes& key : slice_) {
        KVSTORE_CHECK_OK(writer_.look_up(key, found_));
        if (!found_.exists) {
            return corruption("a view shows a key that the engine does not find:", key);
        }
        const bool present = found_.present;
        writer_.erase(key, found_, present ? Change::Kind::kDelete : Change::Kind::kExpire);
        result_.number += present ? 1 : 0;
        result_.changed = true;
    }
    if (!slice_.empty()) {
        from = slice_.back();  // itself gone by now
    }
    return {};
}

Result<std::uint64_t> Applier::count_expired() {
    std::uint64_t count = 0;
    if (state_.expiring_key_count == 0) {
        return count;
    }
    const auto view = engine_.view();
    const auto cursor = view->cursor(Table::kExpiry);
    for (cursor->seek({}); cursor->valid(); cursor->next()) {
        const auto entry = parse_expiry_key(cursor->key());
        if (!entry) {
            return corruption("unreadable expiry entry", cursor->key());
        }
        if (entry->expires_at_ms > writer_.now_ms()) {
            break;
        }
        ++count;
    }
    KVSTORE_CHECK_OK(cursor->status());
    if (count > state_.key_count) {
        return Status(Code::kCorruption, "more expiry entries than keys");
    }
    return count;
}

Status Applier::compact(const Operation& operation) {
    if (operation.delta <= 0 ||
        static_cast<std::uint64_t>(operation.delta) <= state_.compacted_revision.value()) {
        refuse(Code::kCompacted);
        return {};
    }
    const Revision upto(static_cast<std::uint64_t>(operation.delta));
    if (upto > state_.revision) {
        refuse(Code::kFutureRevision);
        return {};
    }
    state_.compacted_revision = upto;
    return {};
}

Status Applier::configure(const Operation& operation) {
    if (operation.delta < 0) {
        refuse(Code::kInvalidArgument);
        return {};
    }
    writer_.keep_history(static_cast<std::uint64_t>(operation.delta));
    return {};
}

}  // namespace kvstore::mvcc::internal
