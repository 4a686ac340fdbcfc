#include "kv/remote_read.h"

#include <utility>

#include "base/coding.h"

namespace kvstore::kv {
namespace {

constexpr std::uint64_t kFormat = 1;
constexpr std::uint64_t kGet = 1;
constexpr std::uint64_t kScan = 2;
constexpr std::uint64_t kHolders = 3;

constexpr std::uint64_t kReverse = 1;
constexpr std::uint64_t kKeysOnly = 2;
constexpr std::uint64_t kCountOnly = 4;

std::uint64_t milliseconds_of(Duration span) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(span).count());
}

Status unreadable(std::string_view what) {
    return {Code::kCorruption, "an unreadable " + std::string(what) + " of another node"};
}

void put_record(Bytes& to, const mvcc::Record& record, ByteView value) {
    put_varint(to, static_cast<std::uint64_t>(record.kind));
    put_fixed(to, record.version.raw());
    put_varint(to, record.create_revision.value());
    put_varint(to, record.mod_revision.value());
    put_varint(to, record.version_count);
    put_varint(to, record.lease);
    put_varint(to, record.expires_at_ms);
    put_length_prefixed(to, value);
}

template <typename Message>
std::uint64_t kind_of(const Message& message, bool is_of_range) {
    return message.holders.has_value() ? kHolders : is_of_range ? kScan : kGet;
}

// The value's view is empty: it is in `*value`.
mvcc::Record read_record(Decoder& from, Bytes* value) {
    mvcc::Record record;
    record.kind = static_cast<mvcc::ValueKind>(from.varint());
    record.version = Version(from.fixed<std::uint64_t>());
    record.create_revision = Revision(from.varint());
    record.mod_revision = Revision(from.varint());
    record.version_count = from.varint();
    record.lease = from.varint();
    record.expires_at_ms = from.varint();
    *value = from.length_prefixed();
    return record;
}

}  // namespace

Bytes encode_remote_read(const RemoteRead& read) {
    Bytes bytes;
    put_varint(bytes, kFormat);
    put_varint(bytes, kind_of(read, read.scan.has_value()));
    put_varint(bytes, static_cast<std::uint64_t>(read.consistency));
    put_varint(bytes, read.max_staleness_ms);
    put_length_prefixed(bytes, read.session);
    if (read.holders.has_value()) {
        put_varint(bytes, read.holders->index.value());
        put_varint(bytes, read.holders->wanted);
        put_varint(bytes, milliseconds_of(read.holders->wait));
        return bytes;
    }
    if (!read.scan.has_value()) {
        put_varint(bytes, read.as_of.value());
        put_varint(bytes, read.values_bytes_max);
        put_varint(bytes, read.keys.size());
        for (const Bytes& key : read.keys) {
            put_length_prefixed(bytes, key);
        }
        return bytes;
    }
    const mvcc::ScanRequest& scan = *read.scan;
    put_length_prefixed(bytes, scan.from);
    put_length_prefixed(bytes, scan.to);
    put_varint(bytes,
               (scan.reverse ? kReverse : 0) | (scan.keys_only ? kKeysOnly : 0) |
                   (scan.count_only ? kCountOnly : 0));
    put_varint(bytes, scan.limit);
    put_varint(bytes, scan.bytes_max);
    put_varint(bytes, scan.as_of.value());
    return bytes;
}

Result<RemoteRead> decode_remote_read(ByteView bytes) {
    Decoder from(bytes);
    RemoteRead read;
    const std::uint64_t format = from.varint();
    const std::uint64_t kind = from.varint();
    const std::uint64_t consistency = from.varint();
    read.max_staleness_ms = from.varint();
    read.session = from.length_prefixed();
    if (!from.ok() || format != kFormat || kind < kGet || kind > kHolders ||
        consistency > static_cast<std::uint64_t>(Consistency::kEventual)) {
        return unreadable("read");
    }
    read.consistency = static_cast<Consistency>(consistency);
    if (kind == kHolders) {
        HoldersQuestion& question = read.holders.emplace();
        question.index = Index(from.varint());
        question.wanted = from.varint();
        const std::uint64_t wait_ms = from.varint();
        if (wait_ms > milliseconds_of(kHoldersWaitMax)) {
            return unreadable("read");
        }
        question.wait = std::chrono::milliseconds(wait_ms);
    } else if (kind == kGet) {
        read.as_of = Revision(from.varint());
        read.values_bytes_max = from.varint();
        const std::uint64_t count = from.varint();
        while (from.ok() && read.keys.size() < count) {
            read.keys.emplace_back(from.length_prefixed());
        }
    } else {
        mvcc::ScanRequest& scan = read.scan.emplace();
        scan.from = from.length_prefixed();
        scan.to = from.length_prefixed();
        const std::uint64_t flags = from.varint();
        scan.reverse = (flags & kReverse) != 0;
        scan.keys_only = (flags & kKeysOnly) != 0;
        scan.count_only = (flags & kCountOnly) != 0;
        scan.limit = from.varint();
        scan.bytes_max = from.varint();
        scan.as_of = Revision(from.varint());
    }
    if (!from.ok() || !from.at_end()) {
        return unreadable("read");
    }
    return read;
}

Bytes encode_remote_answer(const RemoteAnswer& answer) {
    Bytes bytes;
    put_varint(bytes, kFormat);
    put_varint(bytes, kind_of(answer, answer.page.has_value()));
    put_length_prefixed(bytes, answer.session);
    if (answer.holders.has_value()) {
        put_varint(bytes, answer.holders->index.value());
        put_varint(bytes, answer.holders->count);
        return bytes;
    }
    if (!answer.page.has_value()) {
        put_varint(bytes, answer.records.size());
        for (const std::optional<OwnedRecord>& record : answer.records) {
            put_varint(bytes, record.has_value() ? 1 : 0);
            if (record.has_value()) {
                put_record(bytes, record->record, record->value);
            }
        }
        return bytes;
    }
    const mvcc::ScanPage& page = *answer.page;
    put_varint(bytes, page.count);
    put_varint(bytes, page.has_more ? 1 : 0);
    put_length_prefixed(bytes, page.next);
    put_varint(bytes, page.revision.value());
    put_varint(bytes, page.rows.size());
    for (const mvcc::ScanRow& row : page.rows) {
        put_length_prefixed(bytes, row.key);
        put_record(bytes, row.record, row.value);
    }
    return bytes;
}

Result<RemoteAnswer> decode_remote_answer(ByteView bytes) {
    Decoder from(bytes);
    RemoteAnswer answer;
    const std::uint64_t format = from.varint();
    const std::uint64_t kind = from.varint();
    answer.session = from.length_prefixed();
    if (!from.ok() || format != kFormat || kind < kGet || kind > kHolders) {
        return unreadable("answer");
    }
    if (kind == kHolders) {
        Holders& holders = answer.holders.emplace();
        holders.index = Index(from.varint());
        holders.count = from.varint();
    } else if (kind == kGet) {
        const std::uint64_t count = from.varint();
        while (from.ok() && answer.records.size() < count) {
            std::optional<OwnedRecord>& record = answer.records.emplace_back();
            if (from.varint() != 0) {
                record.emplace();
                record->record = read_record(from, &record->value);
            }
        }
    } else {
        mvcc::ScanPage& page = answer.page.emplace();
        page.count = from.varint();
        page.has_more = from.varint() != 0;
        page.next = from.length_prefixed();
        page.revision = Revision(from.varint());
        const std::uint64_t count = from.varint();
        while (from.ok() && page.rows.size() < count) {
            mvcc::ScanRow& row = page.rows.emplace_back();
            row.key = from.length_prefixed();
            row.record = read_record(from, &row.value);
        }
    }
    if (!from.ok() || !from.at_end()) {
        return unreadable("answer");
    }
    return answer;
}

}  // namespace kvstore::kv
