#include "mvcc/record.h"

#include "base/assert.h"

namespace kvstore::mvcc {
namespace {

constexpr std::uint8_t kKindMask = 0x0f;
constexpr std::uint8_t kExpiresFlag = 0x10;
constexpr std::uint8_t kLeaseFlag = 0x20;
constexpr std::uint8_t kKnownFlags = kExpiresFlag | kLeaseFlag;

}  // namespace

RecordHead::RecordHead(const Record& record) {
    KVSTORE_ASSERT(record.create_revision <= record.mod_revision);
    unsigned first = static_cast<unsigned>(record.kind);
    first |= record.expires_at_ms != 0 ? kExpiresFlag : 0U;
    first |= record.lease != 0 ? kLeaseFlag : 0U;

    char* at = raw_.data();
    *at++ = static_cast<char>(first);
    store_fixed(at, record.version.raw());
    at += sizeof(std::uint64_t);
    at = store_varint(at, record.mod_revision.value());
    at = store_varint(at, record.mod_revision.value() - record.create_revision.value());
    at = store_varint(at, record.version_count);
    if (record.expires_at_ms != 0) {
        at = store_varint(at, record.expires_at_ms);
    }
    if (record.lease != 0) {
        at = store_varint(at, record.lease);
    }
    size_ = static_cast<std::size_t>(at - raw_.data());
}

std::optional<Record> decode_record(ByteView stored) noexcept {
    Decoder decoder(stored);
    const auto first = decoder.fixed<std::uint8_t>();
    if ((first & kKindMask) != static_cast<std::uint8_t>(ValueKind::kString) ||
        (first & ~(kKindMask | kKnownFlags)) != 0) {
        return std::nullopt;
    }
    const bool expires = (first & kExpiresFlag) != 0;
    const bool leased = (first & kLeaseFlag) != 0;

    Record record;
    record.version = Version(decoder.fixed<std::uint64_t>());
    const std::uint64_t mod_revision = decoder.varint();
    const std::uint64_t age = decoder.varint();
    record.version_count = decoder.varint();
    record.expires_at_ms = expires ? decoder.varint() : 0;
    record.lease = leased ? decoder.varint() : 0;
    if (!decoder.ok() || age > mod_revision || expires != (record.expires_at_ms != 0) ||
        leased != (record.lease != 0)) {
        return std::nullopt;
    }
    record.mod_revision = Revision(mod_revision);
    record.create_revision = Revision(mod_revision - age);
    record.value = decoder.rest();
    return record;
}

}  // namespace kvstore::mvcc
