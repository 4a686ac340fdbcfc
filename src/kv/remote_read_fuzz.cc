// Whatever another node sends: refused, or something that is written and read back the same.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "kv/remote_read.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const kvstore::ByteView input(reinterpret_cast<const char*>(data), size);
    if (const auto read = kvstore::kv::decode_remote_read(input); read.ok()) {
        const kvstore::Bytes written = kvstore::kv::encode_remote_read(*read);
        const auto again = kvstore::kv::decode_remote_read(written);
        KVSTORE_ASSERT(again.ok() && kvstore::kv::encode_remote_read(*again) == written);
    }
    if (const auto answer = kvstore::kv::decode_remote_answer(input); answer.ok()) {
        const kvstore::Bytes written = kvstore::kv::encode_remote_answer(*answer);
        const auto again = kvstore::kv::decode_remote_answer(written);
        KVSTORE_ASSERT(again.ok() && kvstore::kv::encode_remote_answer(*again) == written);
    }
    return 0;
}
