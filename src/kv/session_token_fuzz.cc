// Whatever a client sends as its session: a token whose text reads the same, or kInvalidArgument.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/parse.h"
#include "kv/session_token.h"

namespace {

void check(std::string_view text) {
    const auto token = kvstore::kv::SessionToken::parse(text);
    if (!token.ok()) {
        KVSTORE_ASSERT(token.status().code() == kvstore::Code::kInvalidArgument);
        return;
    }
    const auto again = kvstore::kv::SessionToken::parse(token->text());
    KVSTORE_ASSERT(again.ok());
    KVSTORE_ASSERT(*again == *token);
    kvstore::kv::SessionToken merged = *token;
    merged.merge(*again);
    KVSTORE_ASSERT(merged == *token);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const kvstore::ByteView input(reinterpret_cast<const char*>(data), size);
    check(input);
    // The same bytes under a checksum that fits: a fuzzer does not guess one.
    kvstore::Bytes sealed(input);
    kvstore::put_fixed(sealed, kvstore::crc32c(sealed));
    check(kvstore::base64_encode(sealed));
    return 0;
}
