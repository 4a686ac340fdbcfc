// Whatever bytes a peer sends: gossip that is the same when it is encoded again, or kCorruption.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "wire/gossip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const kvstore::ByteView input(reinterpret_cast<const char*>(data), size);
    std::vector<kvstore::wire::GossipMessage> messages;
    if (!kvstore::wire::decode_gossip(input, messages).ok()) {
        KVSTORE_ASSERT(messages.empty());
        return 0;
    }
    kvstore::Bytes encoded;
    for (const auto& message : messages) {
        kvstore::wire::encode_gossip(message, encoded);
    }
    std::vector<kvstore::wire::GossipMessage> again;
    KVSTORE_ASSERT(kvstore::wire::decode_gossip(encoded, again).ok());
    KVSTORE_ASSERT(again == messages);
    return 0;
}
