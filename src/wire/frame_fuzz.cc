// Whatever bytes come from a connection: frames whose checksums fit, more wanted, or the end of it.
// What frames say is read as a node would read it.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "wire/frame.h"
#include "wire/handshake.h"
#include "wire/status.h"

namespace {

using kvstore::Bytes;
using kvstore::ByteView;
namespace wire = kvstore::wire;

void read_payload(const wire::FrameHeader& header, ByteView payload) {
    if (header.kind == wire::FrameKind::kHello) {
        const auto hello = wire::decode_hello(payload);
        if (hello.ok()) {
            Bytes again;
            wire::encode_hello(*hello, again);
            KVSTORE_ASSERT(wire::decode_hello(again).ok());
        }
    }
    kvstore::Status status;
    if (wire::decode_status(payload, status).ok()) {
        Bytes again;
        wire::encode_status(status, again);
        kvstore::Status decoded;
        KVSTORE_ASSERT(wire::decode_status(again, decoded).ok());
        KVSTORE_ASSERT(decoded.to_string() == status.to_string());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    ByteView input(reinterpret_cast<const char*>(data), size);
    while (true) {
        const auto header = wire::read_frame_header(input, 1U << 20U);
        if (!header.ok() || !header->has_value() || input.size() < (*header)->size()) {
            return 0;
        }
        const ByteView payload =
            input.substr(wire::kFrameHeaderSize, (*header)->size() - wire::kFrameHeaderSize);
        // No fuzzer guesses a checksum, so that the payload is read either way.
        read_payload(**header, payload);
        Bytes again;
        wire::append_frame(again, (*header)->kind, (*header)->topic, (*header)->call, payload);
        KVSTORE_ASSERT(wire::is_frame_whole(input, **header) ==
                       (again == input.substr(0, again.size())));
        input.remove_prefix((*header)->size());
    }
}
