// What is said often allocates nothing: counted by an operator new of this test program's own. Not
// under the thread sanitizer, whose own operator new cannot be replaced.
#if !__has_feature(thread_sanitizer)
#include <vector>

#include <gtest/gtest.h>

#include "base/testing/count_allocations.h"
#include "rpc/testing/test_node.h"

namespace kvstore::rpc {
namespace {

using kvstore::testing::allocation_count;
using testing::kTopic;
using testing::Outcome;
using testing::TestCluster;

// The first turns give every buffer its room.
TEST(TransportAllocation, IsNoneForMessagesAndCalls) {
    std::vector<Outcome> outcomes(500);
    TestCluster cluster(1);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    const Bytes word(100, 'x');
    for (int turn = 0; turn < 5; ++turn) {
        const async::Deadline deadline = cluster.in(std::chrono::seconds(5));
        const std::size_t before = allocation_count();
        for (Outcome& outcome : outcomes) {
            Bytes* buffer = cluster.transport(1).message_buffer(NodeId(2), kTopic);
            ASSERT_NE(buffer, nullptr);
            buffer->append(word);
            ASSERT_TRUE(
                cluster.transport(1).start_call(NodeId(2), kTopic, word, deadline, &outcome).ok());
        }
        const std::size_t count = allocation_count() - before;
        // One timer for all deadlines of a peer, where the clock makes a new one.
        EXPECT_TRUE(turn < 3 || count <= 4) << turn << ": " << count;
        cluster.world.run_for(std::chrono::seconds(1));
    }
    EXPECT_EQ(outcomes[0].told, 5);
}

}  // namespace
}  // namespace kvstore::rpc
#endif
