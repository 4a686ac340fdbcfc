#include <limits>

#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"
#include "mvcc/internal/reading.h"
#include "mvcc/internal/walk.h"
#include "mvcc/shard.h"

namespace kvstore::mvcc {
namespace {

using internal::Walk;
using storage::Table;

Result<std::uint64_t> count_records(Walk& walk) {
    for (std::uint64_t count = 0;; ++count) {
        KVSTORE_TRY(const bool any, walk.advance());
        if (!any) {
            return count;
        }
    }
}

// How many expiry entries are due; each stands for one record.
Result<std::uint64_t> count_expired(storage::View& view, std::uint64_t now_ms) {
    const auto cursor = view.cursor(Table::kExpiry);
    std::uint64_t count = 0;
    for (cursor->seek({}); cursor->valid(); cursor->next()) {
        const auto entry = internal::parse_expiry_key(cursor->key());
        if (!entry) {
            return internal::corruption("unreadable expiry entry", cursor->key());
        }
        if (entry->expires_at_ms > now_ms) {
            break;
        }
        ++count;
    }
    KVSTORE_CHECK_OK(cursor->status());
    return count;
}

// All keys are counted without being visited.
Result<std::uint64_t> count_all(storage::View& view,
                                const ShardState& state,
                                std::uint64_t now_ms) {
    KVSTORE_TRY(const std::uint64_t expired, count_expired(view, now_ms));
    if (expired > state.key_count) {
        return Status(Code::kCorruption, "more expiry entries than keys");
    }
    return state.key_count - expired;
}

Status fill_page(Walk& walk, const ScanRequest& request, ScanPage& page) {
    const std::size_t limit =
        request.limit == 0 ? std::numeric_limits<std::size_t>::max() : request.limit;
    std::size_t bytes = 0;
    for (;;) {
        KVSTORE_TRY(const bool any, walk.advance());
        if (!any) {
            break;
        }
        const Record& record = walk.record();
        bytes += walk.key().size() + (request.keys_only ? 0 : record.value.size());
        const bool is_full = page.rows.size() == limit || bytes > request.bytes_max;
        if (is_full && !page.rows.empty()) {
            page.has_more = true;
            page.next = request.reverse ? page.rows.back().key : Bytes(walk.key());
            break;
        }
        ScanRow& row = page.rows.emplace_back();
        row.key.assign(walk.key());
        row.record = record;
        row.record.value = {};
        if (!request.keys_only) {
            row.value.assign(record.value);
        }
    }
    page.count = page.rows.size();
    return {};
}

}  // namespace

Result<ScanPage> Shard::scan(storage::View* view, const ScanRequest& request) {
    KVSTORE_TRY(const ShardState state, internal::read_state(*view));
    const bool is_past = request.as_of != Revision();
    ScanPage page;
    page.revision = is_past ? request.as_of : state.revision;
    if (is_past) {
        KVSTORE_CHECK_OK(internal::check_retained(state, request.as_of));
    }
    if (request.count_only && !is_past && request.from.empty() && request.to.empty()) {
        KVSTORE_TRY(page.count, count_all(*view, state, request.now_ms));
        return page;
    }
    const auto walk =
        is_past ? internal::walk_past(*view, request) : internal::walk_current(*view, request);
    if (request.count_only) {
        KVSTORE_TRY(page.count, count_records(*walk));
        return page;
    }
    KVSTORE_CHECK_OK(fill_page(*walk, request, page));
    return page;
}

}  // namespace kvstore::mvcc
