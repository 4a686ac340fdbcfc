// Whatever bytes a peer sends: a call or an answer that reads the same when it is written again, or
// the error that says it is none.
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/assert.h"
#include "cluster/internal/member_calls.h"

namespace {

namespace internal = kvstore::cluster::internal;

// What can be read is read the same after having been written.
template <typename Decode, typename Encode>
void check(kvstore::ByteView input, kvstore::Code refusal, Decode decode, Encode encode) {
    const auto decoded = decode(input);
    if (!decoded.ok()) {
        KVSTORE_ASSERT(decoded.status().code() == refusal);
        return;
    }
    const kvstore::Bytes written = encode(*decoded);
    const auto again = decode(written);
    KVSTORE_ASSERT(again.ok());
    KVSTORE_ASSERT(encode(*again) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const kvstore::ByteView input(reinterpret_cast<const char*>(data), size);
    const auto corrupt = kvstore::Code::kCorruption;
    check(
        input, kvstore::Code::kInvalidArgument, internal::decode_request, internal::encode_request);
    check(input, corrupt, internal::decode_joined, internal::encode_joined);
    check(input, corrupt, internal::decode_shard_report, internal::encode_shard_report);
    check(input,
          corrupt,
          internal::decode_fetched,
          [](const std::optional<kvstore::cluster::SystemRows>& rows) {
              return internal::encode_fetched(rows.has_value() ? &*rows : nullptr);
          });
    return 0;
}
