// Whatever bytes a peer sends as signs of life: a sign that is the same when it is encoded again,
// or an error.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "replication/strong/node_watch.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const kvstore::ByteView input(reinterpret_cast<const char*>(data), size);
    const auto sign = kvstore::replication::decode_life_signs(input);
    if (sign.ok()) {
        kvstore::Bytes encoded;
        kvstore::replication::encode_life_sign(*sign, encoded);
        const auto again = kvstore::replication::decode_life_signs(encoded);
        KVSTORE_ASSERT(again.ok() && *again == *sign);
    }
    return 0;
}
