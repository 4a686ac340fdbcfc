// The queue gives back what was put in, in order, whatever the sizes.
#include "replication/strong/command_queue.h"

#include <string>

#include <gtest/gtest.h>

namespace kvstore::replication {
namespace {

TEST(CommandQueue, TakesACommandLargerThanAChunkAfterItWasEmptied) {
    CommandQueue queue;
    queue.push(Index(1), nullptr, "small");
    queue.pop();
    const Bytes large(1U << 20U, 'x');

    queue.push(Index(2), nullptr, large);
    queue.push(Index(3), nullptr, "small again");

    EXPECT_EQ(queue.front().command, large);
    queue.pop();
    EXPECT_EQ(queue.front().command, "small again");
    queue.pop();
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.bytes(), 0U);
}

TEST(CommandQueue, KeepsTheBytesOfEveryCommandUntilItIsPopped) {
    CommandQueue queue;
    std::uint64_t next_out = 1;
    for (std::uint64_t next_in = 1; next_in <= 2000; ++next_in) {
        queue.push(Index(next_in),
                   nullptr,
                   Bytes((next_in * 7919) % 300'000, static_cast<char>('a' + (next_in % 26))));
        for (std::uint64_t pops = next_in % 3; pops > 0 && !queue.empty(); --pops, ++next_out) {
            EXPECT_EQ(queue.front().index, Index(next_out));
            EXPECT_EQ(queue.front().command,
                      Bytes((next_out * 7919) % 300'000, static_cast<char>('a' + (next_out % 26))));
            queue.pop();
        }
    }
}

}  // namespace
}  // namespace kvstore::replication
