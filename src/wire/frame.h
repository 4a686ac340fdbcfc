// What travels on a connection between nodes: one frame behind the other, as pure functions over
// bytes.
//
//     offset  size  field
//          0     4  checksum  CRC-32C of every byte after this field, up to the payload's end
//          4     4  length    of the payload, little-endian
//          8     1  kind      FrameKind
//          9     1  flags     0
//         10     2  topic     of messages, calls and streams; of a hello its ConnectionUse; else 0
//         12     8  call      number of a call, a ping or what answers one; else 0
//         20     n  payload
//
// The checksum finds every flipped bit, also in the length: a wrong length makes the checksum cover
// other bytes. It cannot find it before so many bytes have come, so lengths are bounded and silence
// ends a connection (rpc/transport.h). Nothing of a damaged frame is used, and nothing behind it,
// for where the next one begins is then unknown.
//
// Changing this layout: raise kProtocolVersion in handshake.h and keep hellos and refusals as they
// are, for two versions must be able to tell each other that they differ (docs/internals/wire.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/status.h"

namespace kvstore::wire {

inline constexpr std::size_t kFrameHeaderSize = 20;
// No setting allows more. Keeps lengths far from the end of their type.
inline constexpr std::size_t kFramePayloadMax = 1U << 30U;

enum class FrameKind : std::uint8_t {
    kHello = 1,         // handshake.h; the first frame in each direction
    kHelloRefusal = 2,  // a status; the connection ends behind it
    kMessages = 3,      // what one topic had to say in a turn
    kCall = 4,
    kAnswer = 5,
    kErrorAnswer = 6,  // a status
    kPing = 7,         // answered by a pong of the same number
    kPong = 8,
    kStreamBegin = 9,  // the header of the stream
    kStreamChunk = 10,
    kStreamEnd = 11,
    kStreamAnswer = 12,  // of the reader, behind the end or before it
    kStreamError = 13,   // a status, likewise
};

// What a connection is for, told by the topic of the hello of the end that connected.
enum class ConnectionUse : std::uint16_t {
    kPeer = 1,     // messages and calls of one node; a node has one of these
    kOneCall = 2,  // a call to whoever listens
    kStream = 3,
};

struct FrameHeader {
    std::uint32_t checksum = 0;
    std::uint32_t length = 0;
    FrameKind kind = FrameKind::kPing;
    std::uint16_t topic = 0;
    std::uint64_t call = 0;

    // Header and payload.
    [[nodiscard]] std::size_t size() const { return kFrameHeaderSize + length; }
};

// Appends room for a header. The payload is appended behind it, and then the frame is sealed.
inline void begin_frame(Bytes& to) {
    to.append(kFrameHeaderSize, '\0');
}

// Writes the header of the frame that begins at `begin` of `bytes` and reaches to their end.
// Requires: begin_frame() was called there; the payload is at most kFramePayloadMax.
void seal_frame(
    Bytes& bytes, std::size_t begin, FrameKind kind, std::uint16_t topic, std::uint64_t call);

// Appends a whole frame. Requires: as seal_frame().
void append_frame(
    Bytes& to, FrameKind kind, std::uint16_t topic, std::uint64_t call, ByteView payload);

// Reads the header at the front of `bytes`; the payload is not looked at.
// Returns:  nullopt when fewer bytes than a header have come.
// Errors:   kCorruption: no header, or a payload of more than `payload_max`.
Result<std::optional<FrameHeader>> read_frame_header(ByteView bytes, std::size_t payload_max);

// Whether the checksum fits. Requires: `bytes` holds header.size() bytes.
[[nodiscard]] bool is_frame_whole(ByteView bytes, const FrameHeader& header) noexcept;

}  // namespace kvstore::wire
