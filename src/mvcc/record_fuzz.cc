// Whatever bytes an engine gives: a record or none, never a crash, and a record says the same when
// it is stored again.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"
#include "mvcc/record.h"

namespace {

using kvstore::Bytes;
using kvstore::ByteView;

void fuzz_record(ByteView input) {
    const auto record = kvstore::mvcc::decode_record(input);
    if (!record) {
        return;
    }
    const Bytes stored = Bytes(kvstore::mvcc::RecordHead(*record).bytes()) + Bytes(record->value);
    const auto again = kvstore::mvcc::decode_record(stored);
    KVSTORE_ASSERT(again.has_value());
    KVSTORE_ASSERT(again->value == record->value);
    KVSTORE_ASSERT(again->mod_revision == record->mod_revision);
    KVSTORE_ASSERT(again->create_revision == record->create_revision);
    KVSTORE_ASSERT(again->expires_at_ms == record->expires_at_ms);
}

void fuzz_entries(ByteView input) {
    namespace internal = kvstore::mvcc::internal;
    static_cast<void>(internal::decode_log_entry(input));
    static_cast<void>(internal::decode_index_entry(input));
    static_cast<void>(internal::decode_state(input));
    static_cast<void>(internal::parse_log_key(input));
    static_cast<void>(internal::parse_expiry_key(input));
    Bytes key;
    kvstore::Revision revision;
    if (internal::parse_index_key(input, key, revision)) {
        Bytes again;
        internal::make_index_key(key, revision, again);
        KVSTORE_ASSERT(again == input);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const ByteView input(reinterpret_cast<const char*>(data), size);
    fuzz_record(input);
    fuzz_entries(input);
    return 0;
}
