// Whatever bytes stand in the system shard: a record that may be written again and reads the same,
// or kCorruption.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "cluster/records.h"
#include "cluster/shard_map.h"

namespace {

template <typename Decode, typename Encode>
void check(kvstore::ByteView input, Decode decode, Encode encode) {
    const auto decoded = decode(input);
    if (!decoded.ok()) {
        KVSTORE_ASSERT(decoded.status().code() == kvstore::Code::kCorruption);
        return;
    }
    const auto again = decode(encode(*decoded));
    KVSTORE_ASSERT(again.ok());
    KVSTORE_ASSERT(*again == *decoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const kvstore::ByteView input(reinterpret_cast<const char*>(data), size);
    check(input, kvstore::cluster::decode_node, kvstore::cluster::encode_node);
    check(input, kvstore::cluster::decode_shard, kvstore::cluster::encode_shard);
    check(input, kvstore::cluster::decode_cluster, kvstore::cluster::encode_cluster);
    check(input, kvstore::cluster::decode_delta, kvstore::cluster::encode_delta);
    return 0;
}
