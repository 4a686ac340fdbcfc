#include "mvcc/internal/keys.h"

#include "base/assert.h"
#include "base/coding.h"

namespace kvstore::mvcc::internal {
namespace {

constexpr std::size_t kRevisionBytes = 8;
constexpr std::size_t kLogKeyBytes = 12;
constexpr ByteView kEscapedNul{"\x00\xff", 2};
constexpr ByteView kTerminator{"\x00\x01", 2};
constexpr ByteView kAfterTerminator{"\x00\x02", 2};

void append_escaped(ByteView key, Bytes& to) {
    for (;;) {
        const std::size_t nul = key.find('\0');
        if (nul == ByteView::npos) {
            to.append(key);
            return;
        }
        to.append(key.substr(0, nul));
        to.append(kEscapedNul);
        key.remove_prefix(nul + 1);
    }
}

bool append_unescaped(ByteView escaped, Bytes& to) {
    for (;;) {
        const std::size_t nul = escaped.find('\0');
        if (nul == ByteView::npos) {
            to.append(escaped);
            return true;
        }
        if (escaped.substr(nul, kEscapedNul.size()) != kEscapedNul) {
            return false;
        }
        to.append(escaped.substr(0, nul + 1));
        escaped.remove_prefix(nul + kEscapedNul.size());
    }
}

}  // namespace

void make_log_key(LogPosition position, Bytes& to) {
    to.clear();
    put_big_endian64(to, position.revision.value());
    put_big_endian32(to, position.number);
}

std::optional<LogPosition> parse_log_key(ByteView log_key) noexcept {
    if (log_key.size() != kLogKeyBytes) {
        return std::nullopt;
    }
    return LogPosition{.revision = Revision(load_big_endian64(log_key.data())),
                       .number = load_big_endian32(log_key.data() + kRevisionBytes)};
}

void make_index_prefix(ByteView key, Bytes& to) {
    to.clear();
    append_escaped(key, to);
    to.append(kTerminator);
}

void make_index_end(ByteView key, Bytes& to) {
    to.clear();
    append_escaped(key, to);
    to.append(kAfterTerminator);
}

void make_index_key(ByteView key, Revision revision, Bytes& to) {
    make_index_prefix(key, to);
    put_big_endian64(to, ~revision.value());
}

bool is_index_key_of(ByteView index_key, ByteView prefix) noexcept {
    return index_key.size() == prefix.size() + kRevisionBytes && index_key.starts_with(prefix);
}

Revision index_key_revision(ByteView index_key) noexcept {
    KVSTORE_ASSERT(index_key.size() >= kRevisionBytes);
    return Revision(~load_big_endian64(index_key.data() + index_key.size() - kRevisionBytes));
}

bool parse_index_key(ByteView index_key, Bytes& key, Revision& revision) {
    key.clear();
    if (index_key.size() < kTerminator.size() + kRevisionBytes) {
        return false;
    }
    revision = index_key_revision(index_key);
    index_key.remove_suffix(kRevisionBytes);
    if (!index_key.ends_with(kTerminator)) {
        return false;
    }
    index_key.remove_suffix(kTerminator.size());
    return append_unescaped(index_key, key);
}

void make_expiry_key(std::uint64_t expires_at_ms, ByteView key, Bytes& to) {
    to.clear();
    put_big_endian64(to, expires_at_ms);
    to.append(key);
}

std::optional<ExpiryEntry> parse_expiry_key(ByteView expiry_key) noexcept {
    if (expiry_key.size() < sizeof(std::uint64_t)) {
        return std::nullopt;
    }
    return ExpiryEntry{.expires_at_ms = load_big_endian64(expiry_key.data()),
                       .key = expiry_key.substr(sizeof(std::uint64_t))};
}

}  // namespace kvstore::mvcc::internal
