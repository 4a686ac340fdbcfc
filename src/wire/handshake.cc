#include "wire/handshake.h"

#include <algorithm>
#include <string_view>

#include "base/assert.h"
#include "base/coding.h"

namespace kvstore::wire {
namespace {

constexpr std::string_view kMagic = "kvs";

std::string range(const Hello& hello) {
    return std::to_string(hello.version_min) + " to " + std::to_string(hello.version);
}

}  // namespace

void encode_hello(const Hello& hello, Bytes& to) {
    KVSTORE_ASSERT(hello.name.size() <= kHelloTextMax);
    KVSTORE_ASSERT(hello.address.size() <= kHelloTextMax);
    to += kMagic;
    put_varint(to, hello.version);
    put_varint(to, hello.version_min);
    put_fixed(to, hello.cluster);
    put_varint(to, hello.node.value());
    put_fixed(to, hello.store);
    put_varint(to, hello.incarnation);
    put_varint(to, hello.target.value());
    put_length_prefixed(to, hello.name);
    put_length_prefixed(to, hello.address);
}

Result<Hello> decode_hello(ByteView bytes) {
    Decoder decoder(bytes);
    Hello hello;
    const bool is_ours = decoder.bytes(kMagic.size()) == kMagic;
    const std::uint64_t version = decoder.varint();
    const std::uint64_t version_min = decoder.varint();
    hello.cluster = decoder.fixed<std::uint64_t>();
    hello.node = NodeId(decoder.varint());
    hello.store = decoder.fixed<std::uint64_t>();
    hello.incarnation = decoder.varint();
    hello.target = NodeId(decoder.varint());
    const ByteView name = decoder.length_prefixed();
    const ByteView address = decoder.length_prefixed();
    // What follows was added by a later version, and is not for us.
    if (!is_ours || !decoder.ok() || version_min > version || version > UINT32_MAX ||
        name.size() > kHelloTextMax || address.size() > kHelloTextMax) {
        return Status(Code::kCorruption, "no hello that can be read");
    }
    hello.version = static_cast<std::uint32_t>(version);
    hello.version_min = static_cast<std::uint32_t>(version_min);
    hello.name = name;
    hello.address = address;
    return hello;
}

Result<std::uint32_t> agree_on_version(const Hello& mine, const Hello& theirs) {
    const std::uint32_t version = std::min(mine.version, theirs.version);
    if (version < std::max(mine.version_min, theirs.version_min)) {
        return Status(Code::kUnimplemented,
                      "no protocol version in common: this node speaks " + range(mine) +
                          ", its peer " + range(theirs));
    }
    return version;
}

}  // namespace kvstore::wire
