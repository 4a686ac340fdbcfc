#include "wire/frame.h"

#include "base/assert.h"
#include "base/coding.h"
#include "base/crc32c.h"

namespace kvstore::wire {
namespace {

constexpr std::size_t kLengthAt = 4;
constexpr std::size_t kKindAt = 8;
constexpr std::size_t kFlagsAt = 9;
constexpr std::size_t kTopicAt = 10;
constexpr std::size_t kCallAt = 12;

}  // namespace

void seal_frame(
    Bytes& bytes, std::size_t begin, FrameKind kind, std::uint16_t topic, std::uint64_t call) {
    KVSTORE_ASSERT(bytes.size() >= begin + kFrameHeaderSize);
    const std::size_t length = bytes.size() - begin - kFrameHeaderSize;
    KVSTORE_ASSERT(length <= kFramePayloadMax);
    char* frame = bytes.data() + begin;
    store_fixed(frame + kLengthAt, static_cast<std::uint32_t>(length));
    frame[kKindAt] = static_cast<char>(kind);
    frame[kFlagsAt] = 0;
    store_fixed(frame + kTopicAt, topic);
    store_fixed(frame + kCallAt, call);
    store_fixed(frame, crc32c(ByteView(bytes).substr(begin + kLengthAt)));
}

void append_frame(
    Bytes& to, FrameKind kind, std::uint16_t topic, std::uint64_t call, ByteView payload) {
    const std::size_t begin = to.size();
    begin_frame(to);
    to.append(payload);
    seal_frame(to, begin, kind, topic, call);
}

Result<std::optional<FrameHeader>> read_frame_header(ByteView bytes, std::size_t payload_max) {
    if (bytes.size() < kFrameHeaderSize) {
        return std::optional<FrameHeader>();
    }
    FrameHeader header;
    header.checksum = load_fixed<std::uint32_t>(bytes.data());
    header.length = load_fixed<std::uint32_t>(bytes.data() + kLengthAt);
    header.kind = static_cast<FrameKind>(bytes[kKindAt]);
    header.topic = load_fixed<std::uint16_t>(bytes.data() + kTopicAt);
    header.call = load_fixed<std::uint64_t>(bytes.data() + kCallAt);
    if (header.kind < FrameKind::kHello || header.kind > FrameKind::kStreamError ||
        bytes[kFlagsAt] != 0) {
        return Status(Code::kCorruption, "no frame of ours");
    }
    if (header.length > payload_max) {
        return Status(Code::kCorruption,
                      "a frame of " + std::to_string(header.length) + " bytes, where " +
                          std::to_string(payload_max) + " are allowed");
    }
    return std::optional<FrameHeader>(header);
}

bool is_frame_whole(ByteView bytes, const FrameHeader& header) noexcept {
    return crc32c(bytes.substr(kLengthAt, header.size() - kLengthAt)) == header.checksum;
}

}  // namespace kvstore::wire
