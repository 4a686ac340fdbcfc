#include "storage/wal/segment.h"

#include <algorithm>
#include <cstring>

#include "base/coding.h"
#include "base/crc32c.h"

namespace kvstore::storage {
namespace {

constexpr std::string_view kMagic = "kvwalseg";
constexpr std::string_view kUsedPrefix = "wal-";
constexpr std::string_view kFreePrefix = "wal-free-";
constexpr std::string_view kNewPrefix = "wal-new-";
constexpr std::size_t kNumberDigits = 16;

constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kAlignmentAt = 12;
constexpr std::size_t kNumberAt = 16;
constexpr std::size_t kSaltAt = 24;
constexpr std::size_t kFirstSequenceAt = 32;
constexpr std::size_t kSizeAt = 40;
constexpr std::size_t kChecksumAt = 60;

std::string_view prefix_of(SegmentName::Kind kind) noexcept {
    switch (kind) {
        case SegmentName::Kind::kUsed: return kUsedPrefix;
        case SegmentName::Kind::kFree: return kFreePrefix;
        case SegmentName::Kind::kNew: return kNewPrefix;
    }
    return kUsedPrefix;
}

std::optional<std::uint64_t> parse_number(std::string_view digits) noexcept {
    if (digits.size() != kNumberDigits) {
        return std::nullopt;
    }
    std::uint64_t number = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9') {
            return std::nullopt;
        }
        number = number * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    return number;
}

}  // namespace

std::array<char, kSegmentHeaderUsed> encode_segment_header(const SegmentHeader& header) noexcept {
    std::array<char, kSegmentHeaderUsed> bytes{};
    std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
    store_fixed(bytes.data() + kVersionAt, kSegmentVersion);
    store_fixed(bytes.data() + kAlignmentAt, header.alignment);
    store_fixed(bytes.data() + kNumberAt, header.number);
    store_fixed(bytes.data() + kSaltAt, header.salt);
    store_fixed(bytes.data() + kFirstSequenceAt, header.first_sequence.value());
    store_fixed(bytes.data() + kSizeAt, header.size);
    store_fixed(bytes.data() + kChecksumAt, crc32c(ByteView(bytes.data(), kChecksumAt)));
    return bytes;
}

Result<SegmentHeader> decode_segment_header(ByteView bytes) {
    if (bytes.size() < kSegmentHeaderUsed || bytes.substr(0, kMagic.size()) != kMagic) {
        return Status(Code::kCorruption, "this is no write-ahead log segment");
    }
    // A newer version may lay the rest out anew, so it is asked first; a flipped bit in it is told
    // apart by the checksum, which stays where it is in every version.
    if (load_fixed<std::uint32_t>(bytes.data() + kChecksumAt) !=
        crc32c(bytes.substr(0, kChecksumAt))) {
        return Status(Code::kCorruption, "the segment header fails its checksum");
    }
    const auto version = load_fixed<std::uint32_t>(bytes.data() + kVersionAt);
    if (version != kSegmentVersion) {
        return Status(Code::kCorruption,
                      "segment version " + std::to_string(version) +
                          " was written by a newer kvstore; this one reads version " +
                          std::to_string(kSegmentVersion));
    }
    SegmentHeader header;
    header.alignment = load_fixed<std::uint32_t>(bytes.data() + kAlignmentAt);
    header.number = load_fixed<std::uint64_t>(bytes.data() + kNumberAt);
    header.salt = load_fixed<std::uint64_t>(bytes.data() + kSaltAt);
    header.first_sequence = Sequence(load_fixed<std::uint64_t>(bytes.data() + kFirstSequenceAt));
    header.size = load_fixed<std::uint64_t>(bytes.data() + kSizeAt);
    if (header.alignment != kDirectAlignment && header.alignment != kBufferedAlignment) {
        return Status(Code::kCorruption,
                      "record alignment " + std::to_string(header.alignment) + " is unknown");
    }
    return header;
}

std::string segment_name(SegmentName name) {
    std::string digits = std::to_string(name.number);
    digits.insert(0, kNumberDigits - std::min(kNumberDigits, digits.size()), '0');
    return std::string(prefix_of(name.kind)) + digits;
}

std::optional<SegmentName> find_segment_name(std::string_view file_name) noexcept {
    for (const auto kind :
         {SegmentName::Kind::kFree, SegmentName::Kind::kNew, SegmentName::Kind::kUsed}) {
        const std::string_view prefix = prefix_of(kind);
        if (!file_name.starts_with(prefix)) {
            continue;
        }
        if (const auto number = parse_number(file_name.substr(prefix.size()))) {
            return SegmentName{.kind = kind, .number = *number};
        }
    }
    return std::nullopt;
}

}  // namespace kvstore::storage
