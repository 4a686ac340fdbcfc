#include "posix/internal/input_buffer.h"

#include <algorithm>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore::posix {
namespace {

// As a socket does: offers the room, takes up to `size` bytes of `from`.
std::size_t read_into(InputBuffer& buffer, ByteView from) {
    buffer.make_room();
    const std::size_t size = std::min(from.size(), buffer.room_size());
    std::memcpy(buffer.room(), from.data(), size);
    buffer.added(size);
    return size;
}

TEST(InputBuffer, StartsSmallAndTakesNothingBeforeTheFirstRead) {
    InputBuffer buffer;
    EXPECT_EQ(buffer.capacity(), 0U);
    EXPECT_TRUE(buffer.view().empty());

    read_into(buffer, "x");

    EXPECT_EQ(buffer.capacity(), InputBuffer::kSmall);
    EXPECT_EQ(buffer.view(), "x");
}

TEST(InputBuffer, DoublesOnlyWhenAReadHasFilledIt) {
    InputBuffer buffer;
    for (int i = 0; i < 10; ++i) {
        read_into(buffer, Bytes(InputBuffer::kSmall - 1, 'a'));
        buffer.consume(buffer.size());
    }
    EXPECT_EQ(buffer.capacity(), InputBuffer::kSmall);

    read_into(buffer, Bytes(InputBuffer::kSmall, 'a'));
    buffer.consume(buffer.size());
    read_into(buffer, "b");

    EXPECT_EQ(buffer.capacity(), 2 * InputBuffer::kSmall);
    EXPECT_EQ(buffer.view(), "b");
}

TEST(InputBuffer, StopsGrowingWhenEverythingIsConsumed) {
    InputBuffer buffer;
    for (int i = 0; i < 30; ++i) {
        read_into(buffer, Bytes(1U << 20U, 'a'));
        buffer.consume(buffer.size());
    }

    EXPECT_LE(buffer.capacity(), InputBuffer::kKeepMax);
}

TEST(InputBuffer, TakesAnExpectedSizeAtOnceAndKeepsWhatIsThere) {
    InputBuffer buffer;
    read_into(buffer, "skip:head");
    buffer.consume(5);

    buffer.expect(1'000'000);
    read_into(buffer, Bytes(10, 'b'));

    EXPECT_GE(buffer.capacity(), 1'000'000U);
    EXPECT_EQ(buffer.view(), "headbbbbbbbbbb");
    const std::size_t before = buffer.capacity();
    while (buffer.size() < 1'000'000) {
        read_into(buffer, Bytes(1'000'000 - buffer.size(), 'c'));
    }
    EXPECT_EQ(buffer.capacity(), before);
}

TEST(InputBuffer, RemainderMovesToTheFrontInsteadOfGrowing) {
    InputBuffer buffer;
    const Bytes message(1000, 'm');
    Bytes waiting;
    for (int i = 0; i < 1000; ++i) {
        waiting = message + message;
        while (!waiting.empty()) {
            waiting.erase(0, read_into(buffer, ByteView(waiting).substr(0, 900)));
            while (buffer.size() >= message.size()) {
                buffer.consume(message.size());
            }
        }
    }

    EXPECT_EQ(buffer.capacity(), InputBuffer::kSmall);
}

TEST(InputBuffer, GivesMemoryBackOnlyWhenNothingIsUnread) {
    InputBuffer buffer;
    buffer.expect(1U << 20U);
    read_into(buffer, "xy");

    buffer.shrink(0);
    EXPECT_EQ(buffer.view(), "xy");
    buffer.consume(2);
    buffer.shrink(2U << 20U);
    EXPECT_EQ(buffer.capacity(), 1U << 20U);
    buffer.shrink(InputBuffer::kKeepMax);

    EXPECT_EQ(buffer.capacity(), 0U);
    read_into(buffer, "again");
    EXPECT_EQ(buffer.view(), "again");
}

TEST(InputBuffer, KeepsEveryByteInOrderWhateverIsReadAndConsumed) {
    const std::uint64_t seed = 77;
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    InputBuffer buffer;
    std::uint8_t next_in = 0;
    std::uint8_t next_out = 0;

    for (int i = 0; i < 5000; ++i) {
        Bytes chunk(random.below(random.chance(1, 20) ? 50'000 : 300), '\0');
        for (char& byte : chunk) {
            byte = static_cast<char>(next_in++);
        }
        if (random.chance(1, 50)) {
            buffer.expect(random.below(100'000));
        }
        for (ByteView rest = chunk; !rest.empty();) {
            rest.remove_prefix(read_into(buffer, rest));
        }
        const std::size_t count = random.below(buffer.size() + 1);
        for (const char byte : buffer.view().substr(0, count)) {
            ASSERT_EQ(static_cast<std::uint8_t>(byte), next_out++);
        }
        buffer.consume(count);
        buffer.shrink(random.below(2) * InputBuffer::kKeepMax);
    }
}

}  // namespace
}  // namespace kvstore::posix
