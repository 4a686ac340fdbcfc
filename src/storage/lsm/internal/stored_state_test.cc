#include "storage/lsm/internal/stored_state.h"

#include <gtest/gtest.h>

namespace kvstore::storage::lsm {
namespace {

TEST(StoredState, ReadsBackWhatItWrote) {
    StoredState state;
    state.applied = Index(0x0123456789abcdefULL);
    state.prefixes = {9, 2, 200, 255, 5};
    state.dead = {1, 3};

    const Result<StoredState> read = StoredState::decode(state.encode());

    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->applied, state.applied);
    EXPECT_EQ(read->prefixes, state.prefixes);
    EXPECT_EQ(read->dead, state.dead);
}

// The format of version 1, byte by byte: engines of today must read it for ever.
TEST(StoredState, KeepsItsFormat) {
    StoredState state;
    state.applied = Index(258);
    state.dead = {7};

    EXPECT_EQ(state.encode(), Bytes("\x01\x02\x01\0\0\0\0\0\0\x01\x02\x03\x04\x05\x07", 15));
}

TEST(StoredState, FindsAPrefixThatIsNeitherUsedNorDead) {
    StoredState state;
    state.dead = {6, 8};
    EXPECT_EQ(state.find_free_prefix(), 7);

    state.dead.clear();
    for (int prefix = 6; prefix < 256; ++prefix) {
        state.dead.push_back(static_cast<std::uint8_t>(prefix));
    }
    EXPECT_EQ(state.find_free_prefix(), std::nullopt);
}

TEST(StoredState, RefusesWhatItCannotHaveWritten) {
    const Bytes good = StoredState().encode();
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(StoredState::decode(ByteView(good).substr(0, size)).ok()) << size;
    }
    Bytes newer = good;
    newer.front() = 2;
    EXPECT_EQ(StoredState::decode(newer).status().code(), Code::kCorruption);
    Bytes twice = good + '\x03';
    EXPECT_EQ(StoredState::decode(twice).status().code(), Code::kCorruption);
    Bytes reserved = good + '\0';
    EXPECT_EQ(StoredState::decode(reserved).status().code(), Code::kCorruption);
}

}  // namespace
}  // namespace kvstore::storage::lsm
