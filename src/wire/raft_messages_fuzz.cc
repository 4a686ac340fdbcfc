// Whatever bytes a peer sends: messages that are the same when they are encoded again, or
// kCorruption. Entries never reach outside of the batch.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "wire/raft_messages.h"

namespace {

using kvstore::Bytes;
using kvstore::ByteView;
using kvstore::NodeId;
using kvstore::raft::Message;

Bytes encoded(const std::vector<Message>& messages) {
    Bytes bytes;
    for (const Message& message : messages) {
        kvstore::wire::encode_raft_message(message, bytes);
    }
    return bytes;
}

bool decodes(ByteView bytes, std::vector<Message>& messages) {
    return kvstore::wire::decode_raft_messages(nullptr, bytes, NodeId(1), NodeId(2), messages).ok();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const ByteView input(reinterpret_cast<const char*>(data), size);
    std::vector<Message> messages;
    if (decodes(input, messages)) {
        for (const Message& message : messages) {
            for (const auto& entry : message.entries) {
                const ByteView bytes = entry.data.view();
                KVSTORE_ASSERT(bytes.empty() ||
                               (bytes.data() >= input.data() &&
                                bytes.data() + bytes.size() <= input.data() + input.size()));
            }
        }
        const Bytes once = encoded(messages);
        std::vector<Message> again;
        KVSTORE_ASSERT(decodes(once, again) && again.size() == messages.size());
        KVSTORE_ASSERT(encoded(again) == once);
    }
    const auto conf = kvstore::wire::decode_conf_state(input);
    if (conf.ok()) {
        Bytes once;
        kvstore::wire::encode_conf_state(*conf, once);
        KVSTORE_ASSERT(*kvstore::wire::decode_conf_state(once) == *conf);
    }
    return 0;
}
