// A write-ahead log segment: a file of one header sector and then records, and how it is named.
//
//     offset  size  field
//          0     8  magic           "kvwalseg"
//          8     4  version         kSegmentVersion
//         12     4  alignment       of records: 4096 (direct) or 8 (buffered)
//         16     8  number          as in the name
//         24     8  salt            drawn anew for each life of the file; part of every record's
//         mark 32     8  first sequence  no record in here has a lower one 40     8  size of the
//         file when it was prepared 48     8  zeros 56     4  zeros 60     4  checksum CRC-32C of
//         bytes 0 to 59 64  4032  zeros, not covered
//       4096        records
//
// The header is durable before the file gets its name `wal-<number>`, and is never written again in
// that life. So a bad header in a file of that name is always damage, never a crash.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "env/disk.h"

namespace kvstore::storage {

inline constexpr std::uint32_t kSegmentVersion = 1;
inline constexpr std::size_t kSegmentHeaderSize = env::kSectorSize;
inline constexpr std::uint32_t kDirectAlignment = env::kSectorSize;
inline constexpr std::uint32_t kBufferedAlignment = 8;

struct SegmentHeader {
    std::uint32_t alignment = kDirectAlignment;
    std::uint64_t number = 0;
    std::uint64_t salt = 0;
    Sequence first_sequence;
    std::uint64_t size = 0;
};

inline constexpr std::size_t kSegmentHeaderUsed = 64;

// The covered bytes; the rest of the sector is zeros.
[[nodiscard]] std::array<char, kSegmentHeaderUsed> encode_segment_header(
    const SegmentHeader& header) noexcept;

// Errors: kCorruption for a bad checksum, a newer version or an alignment that is none.
[[nodiscard]] Result<SegmentHeader> decode_segment_header(ByteView bytes);

// What the name of a file in the log's directory says it is.
struct SegmentName {
    enum class Kind : std::uint8_t {
        kUsed,  // wal-<number>: part of the log, or next to be
        kFree,  // wal-free-<number>: emptied, kept for reuse
        kNew,   // wal-new-<number>: being prepared; left over by a crash
    };
    Kind kind = Kind::kUsed;
    std::uint64_t number = 0;
};

[[nodiscard]] std::string segment_name(SegmentName name);
[[nodiscard]] std::optional<SegmentName> find_segment_name(std::string_view file_name) noexcept;

[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) noexcept {
    return (value + unit - 1) / unit * unit;
}

}  // namespace kvstore::storage
