// An error crosses the wire with its code, its effect and its words.
#include "wire/status.h"

#include <string>

#include <gtest/gtest.h>

namespace kvstore::wire {
namespace {

Bytes encoded(const Status& status) {
    Bytes bytes;
    encode_status(status, bytes);
    return bytes;
}

Status decoded(ByteView bytes) {
    Status status;
    const Status outcome = decode_status(bytes, status);
    return outcome.ok() ? status : outcome;
}

TEST(WireStatus, CrossesTheWireAsItWas) {
    for (int code = 1; code <= static_cast<int>(Code::kInternal); ++code) {
        for (const Effect effect : {Effect::kNone, Effect::kUnknown}) {
            const Status sent(static_cast<Code>(code), effect, "why it failed");

            const Status got = decoded(encoded(sent));

            EXPECT_EQ(got.code(), sent.code());
            EXPECT_EQ(got.effect(), sent.effect());
            EXPECT_EQ(got.message(), sent.message());
        }
    }
}

// A number that changes its meaning turns one error into another between two versions.
TEST(WireStatus, KeepsItsNumbersForEver) {
    EXPECT_EQ(encoded({Code::kNotFound, Effect::kNone, ""}), Bytes("\x01\0\0", 3));
    EXPECT_EQ(encoded({Code::kNotLeader, Effect::kNone, "a"}),
              Bytes("\x0a\0\x01"
                    "a",
                    4));
    EXPECT_EQ(encoded({Code::kUnavailable, Effect::kUnknown, ""}), Bytes("\x0b\x01\0", 3));
    EXPECT_EQ(encoded({Code::kInternal, Effect::kUnknown, ""}), Bytes("\x15\x01\0", 3));
}

TEST(WireStatus, WithACodeOfALaterVersionKeepsItsEffect) {
    const Status got =
        decoded(Bytes("\x7f\x01\x03"
                      "new",
                      6));
    EXPECT_EQ(got.code(), Code::kInternal);
    EXPECT_EQ(got.effect(), Effect::kUnknown);
    EXPECT_EQ(got.message(), "new");
}

TEST(WireStatus, CutsLongWords) {
    const Status got = decoded(encoded({Code::kInternal, Bytes(kStatusWordsMax + 1, 'x')}));
    EXPECT_EQ(got.message().size(), kStatusWordsMax);
}

TEST(WireStatus, ThatCannotBeReadIsCorrupt) {
    const Bytes whole = encoded({Code::kConflict, "words"});
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(decoded(ByteView(whole).substr(0, size)).code(), Code::kCorruption) << size;
    }
    EXPECT_EQ(decoded(whole + "x").code(), Code::kCorruption) << "more than a status";
    EXPECT_EQ(decoded(Bytes("\0\0\0", 3)).code(), Code::kCorruption) << "no code";
    EXPECT_EQ(decoded(Bytes("\x01\x02\0", 3)).code(), Code::kCorruption) << "no effect";
}

}  // namespace
}  // namespace kvstore::wire
