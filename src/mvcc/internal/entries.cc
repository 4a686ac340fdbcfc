#include "mvcc/internal/entries.h"

#include <limits>

#include "base/coding.h"
#include "base/hash.h"
#include "base/json_escape.h"
#include "mvcc/internal/keys.h"

namespace kvstore::mvcc::internal {
namespace {

constexpr std::uint8_t kStateFormat = 1;
constexpr std::size_t kPrintedKeyBytesMax = 200;

}  // namespace

void make_log_head(Change::Kind kind, ByteView key, Bytes& to) {
    to.clear();
    to.push_back(static_cast<char>(kind));
    put_length_prefixed(to, key);
}

std::optional<LogEntry> decode_log_entry(ByteView value) noexcept {
    Decoder decoder(value);
    const auto kind = decoder.fixed<std::uint8_t>();
    LogEntry entry;
    entry.key = decoder.length_prefixed();
    if (!decoder.ok() || kind < static_cast<std::uint8_t>(Change::Kind::kPut) ||
        kind > static_cast<std::uint8_t>(Change::Kind::kExpire)) {
        return std::nullopt;
    }
    entry.kind = static_cast<Change::Kind>(kind);
    entry.stored = decoder.rest();
    const auto record = decode_record(entry.stored);
    if (!record) {
        return std::nullopt;
    }
    entry.record = *record;
    return entry;
}

void make_index_value(IndexEntry::Kind kind, std::uint32_t number, Bytes& to) {
    to.clear();
    to.push_back(static_cast<char>(kind));
    put_varint(to, number);
}

std::optional<IndexEntry> decode_index_entry(ByteView value) noexcept {
    Decoder decoder(value);
    const auto kind = decoder.fixed<std::uint8_t>();
    IndexEntry entry;
    if (kind == static_cast<std::uint8_t>(IndexEntry::Kind::kBase)) {
        entry.kind = IndexEntry::Kind::kBase;
        entry.stored = decoder.rest();
        return entry;
    }
    const std::uint64_t number = decoder.varint();
    if (!decoder.at_end() || kind < static_cast<std::uint8_t>(IndexEntry::Kind::kPut) ||
        kind > static_cast<std::uint8_t>(IndexEntry::Kind::kDelete) ||
        number > std::numeric_limits<std::uint32_t>::max()) {
        return std::nullopt;
    }
    entry.kind = static_cast<IndexEntry::Kind>(kind);
    entry.number = static_cast<std::uint32_t>(number);
    return entry;
}

std::array<char, kStateBytes> encode_state(const ShardState& state, Index applied) {
    const std::array<std::uint64_t, 8> fields = {
        applied.value(),
        state.revision.value(),
        state.compacted_revision.value(),
        state.last_stamp.raw(),
        state.key_count,
        state.expiring_key_count,
        state.history_ms,
        state.digest,
    };
    std::array<char, kStateBytes> raw;
    raw[0] = static_cast<char>(kStateFormat);
    char* at = raw.data() + 1;
    for (const std::uint64_t field : fields) {
        store_fixed(at, field);
        at += sizeof(field);
    }
    return raw;
}

std::optional<StoredState> decode_state(ByteView value) noexcept {
    Decoder decoder(value);
    const auto format = decoder.fixed<std::uint8_t>();
    StoredState stored;
    stored.applied = Index(decoder.fixed<std::uint64_t>());
    stored.state.revision = Revision(decoder.fixed<std::uint64_t>());
    stored.state.compacted_revision = Revision(decoder.fixed<std::uint64_t>());
    stored.state.last_stamp = Version(decoder.fixed<std::uint64_t>());
    stored.state.key_count = decoder.fixed<std::uint64_t>();
    stored.state.expiring_key_count = decoder.fixed<std::uint64_t>();
    stored.state.history_ms = decoder.fixed<std::uint64_t>();
    stored.state.digest = decoder.fixed<std::uint64_t>();
    if (!decoder.at_end() || format != kStateFormat ||
        stored.state.compacted_revision > stored.state.revision) {
        return std::nullopt;
    }
    return stored;
}

std::uint64_t entry_hash(std::uint64_t key_hash, ByteView head, ByteView value) noexcept {
    return hash64(value, hash64(head, key_hash));
}

Status corruption(ByteView what, ByteView key) {
    std::string message(what);
    message += " \"";
    append_json_escaped(message, key.substr(0, kPrintedKeyBytesMax));
    message += key.size() > kPrintedKeyBytesMax ? "\"..." : "\"";
    return {Code::kCorruption, std::move(message)};
}

}  // namespace kvstore::mvcc::internal
