// A frame arrives as it was sent, or is found to be damaged.
#include "wire/frame.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore::wire {
namespace {

constexpr std::size_t kMax = 1024;

Bytes frame(ByteView payload) {
    Bytes bytes;
    append_frame(bytes, FrameKind::kCall, 7, 300, payload);
    return bytes;
}

// What a reader makes of bytes that begin with a frame.
enum class Outcome : std::uint8_t { kWhole, kMoreWanted, kDamaged };
Outcome outcome(ByteView bytes) {
    const auto header = read_frame_header(bytes, kMax);
    if (!header.ok()) {
        EXPECT_EQ(header.status().code(), Code::kCorruption);
        return Outcome::kDamaged;
    }
    if (!header->has_value() || bytes.size() < (*header)->size()) {
        return Outcome::kMoreWanted;
    }
    return is_frame_whole(bytes, **header) ? Outcome::kWhole : Outcome::kDamaged;
}

TEST(Frame, IsReadAsItWasWritten) {
    Bytes bytes = "before";
    const std::size_t begin = bytes.size();
    begin_frame(bytes);
    bytes += "hello";
    seal_frame(bytes, begin, FrameKind::kStreamChunk, 65535, ~0ULL);
    const ByteView written = ByteView(bytes).substr(begin);

    const auto header = read_frame_header(written, kMax);

    ASSERT_TRUE(header.ok() && header->has_value());
    EXPECT_EQ((*header)->kind, FrameKind::kStreamChunk);
    EXPECT_EQ((*header)->topic, 65535);
    EXPECT_EQ((*header)->call, ~0ULL);
    EXPECT_EQ((*header)->length, 5U);
    EXPECT_EQ((*header)->size(), written.size());
    EXPECT_TRUE(is_frame_whole(written, **header));
    EXPECT_EQ(written.substr(kFrameHeaderSize), "hello");
}

TEST(Frame, WithBytesOfTheNextBehindItIsWhole) {
    EXPECT_EQ(outcome(frame("hello") + frame("world")), Outcome::kWhole);
    EXPECT_EQ(outcome(frame("") + "x"), Outcome::kWhole);
}

TEST(Frame, ThatIsCutShortWaitsForMore) {
    const Bytes whole = frame("hello");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(outcome(ByteView(whole).substr(0, size)), Outcome::kMoreWanted) << size;
    }
}

// A flip in the length asks for more bytes or for fewer; with as many as it can ask for, each flip
// is found.
TEST(Frame, WithAnySingleBitFlippedIsDamaged) {
    const std::uint64_t seed = 1;
    Random random(seed);
    Bytes payload;
    for (int i = 0; i < 100; ++i) {
        payload.push_back(static_cast<char>(random.next()));
    }
    const Bytes whole = frame(payload);
    Bytes behind(kMax + kFrameHeaderSize, 'x');

    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            Bytes damaged = whole + behind;
            damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ (1U << bit));
            EXPECT_EQ(outcome(damaged), Outcome::kDamaged) << at << ':' << bit;
        }
    }
}

TEST(Frame, WithAnySingleByteReplacedIsDamaged) {
    const Bytes whole = frame("hello") + Bytes(kMax, '\0');
    for (std::size_t at = 0; at < kFrameHeaderSize + 5; ++at) {
        for (unsigned other = 1; other < 256; ++other) {
            Bytes damaged = whole;
            damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ other);
            EXPECT_EQ(outcome(damaged), Outcome::kDamaged) << at << " ^ " << other;
        }
    }
}

TEST(Frame, OfAnUnknownKindOrWithFlagsIsRefused) {
    for (const int kind : {0, 14, 255}) {
        Bytes bytes;
        append_frame(bytes, static_cast<FrameKind>(kind), 0, 0, "");
        EXPECT_EQ(outcome(bytes), Outcome::kDamaged) << kind;
    }
    Bytes flagged = frame("");
    flagged[9] = 1;
    EXPECT_FALSE(read_frame_header(flagged, kMax).ok());
}

TEST(Frame, LongerThanTheReaderAllowsIsRefusedByItsHeader) {
    EXPECT_EQ(outcome(frame(Bytes(kMax, 'x'))), Outcome::kWhole);
    const Bytes longer = frame(Bytes(kMax + 1, 'x'));
    EXPECT_EQ(outcome(ByteView(longer).substr(0, kFrameHeaderSize)), Outcome::kDamaged);
}

}  // namespace
}  // namespace kvstore::wire
