#include "replication/strong/commit_notices.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "sim/world.h"

namespace kvstore::replication {
namespace {

using raft::MessageKind;
using std::chrono::microseconds;

constexpr GroupId kGroup{7};
constexpr NodeId kPeer{2};

class Notices : public ::testing::Test, protected MessageSink {
protected:
    struct Sent {
        MessageKind kind;
        NodeId to;
        std::uint64_t commit;
        friend bool operator==(const Sent&, const Sent&) = default;
    };

    void send_now(const raft::Message& message) override {
        sent_.push_back({message.kind, message.to, message.commit.value()});
    }
    static raft::Message message(MessageKind kind, std::uint64_t commit, NodeId to = kPeer) {
        raft::Message made;
        made.kind = kind;
        made.group = kGroup;
        made.to = to;
        made.term = Term(3);
        made.commit = Index(commit);
        return made;
    }
    static raft::Message notice(std::uint64_t commit, NodeId to = kPeer) {
        return message(MessageKind::kAppend, commit, to);
    }
    static raft::Message append(std::uint64_t commit) {
        raft::Message made = message(MessageKind::kAppend, commit);
        made.entries.emplace_back();
        return made;
    }
    // What was sent since the last call.
    std::vector<Sent> sent() { return std::exchange(sent_, {}); }
    void pass(Duration span) { world_.run_for(span); }

    sim::World world_{1};
    sim::Host& host_{world_.add_host("n1")};
    std::vector<Sent> sent_;
    CommitNotices notices_{host_.env().clock, *this};
};

TEST_F(Notices, WaitAndGo) {
    notices_.send(notice(5));
    EXPECT_TRUE(sent().empty());

    pass(CommitNotices::kHold);

    EXPECT_EQ(sent(), (std::vector<Sent>{{MessageKind::kAppend, kPeer, 5}}));
    pass(10 * CommitNotices::kHold);
    EXPECT_TRUE(sent().empty()) << "once";
}

TEST_F(Notices, AreReplacedByWhatSaysAsMuch) {
    notices_.send(notice(5));
    notices_.send(append(5));
    EXPECT_EQ(sent(), (std::vector<Sent>{{MessageKind::kAppend, kPeer, 5}}));
    notices_.send(notice(6));
    notices_.send(message(MessageKind::kHeartbeat, 6));
    EXPECT_EQ(sent(), (std::vector<Sent>{{MessageKind::kHeartbeat, kPeer, 6}}));

    pass(10 * CommitNotices::kHold);

    EXPECT_TRUE(sent().empty());
}

// A heartbeat tells no more than the follower is known to have.
TEST_F(Notices, AreNotReplacedByWhatSaysLess) {
    notices_.send(notice(5));
    notices_.send(message(MessageKind::kHeartbeat, 4));
    notices_.send(message(MessageKind::kTimeoutNow, 0));
    sent();

    pass(CommitNotices::kHold);

    EXPECT_EQ(sent(), (std::vector<Sent>{{MessageKind::kAppend, kPeer, 5}}));
}

TEST_F(Notices, TheNewestOfSeveralGoesWhenTheFirstWouldHave) {
    notices_.send(notice(5));
    pass(CommitNotices::kHold - microseconds(100));
    notices_.send(notice(6));
    notices_.send(notice(9, NodeId(3)));

    pass(microseconds(100));
    EXPECT_EQ(sent(), (std::vector<Sent>{{MessageKind::kAppend, kPeer, 6}}));
    pass(CommitNotices::kHold - microseconds(100));
    EXPECT_EQ(sent(), (std::vector<Sent>{{MessageKind::kAppend, NodeId(3), 9}}));
}

TEST_F(Notices, GoBeforeTheAnswerToAReader) {
    notices_.send(notice(5));
    notices_.send(message(MessageKind::kReadIndexReply, 0, NodeId(3)));
    EXPECT_EQ(sent().size(), 1U) << "that is another's";

    notices_.send(message(MessageKind::kReadIndexReply, 0));

    EXPECT_EQ(sent(),
              (std::vector<Sent>{{MessageKind::kAppend, kPeer, 5},
                                 {MessageKind::kReadIndexReply, kPeer, 0}}));
    pass(10 * CommitNotices::kHold);
    EXPECT_TRUE(sent().empty());
}

TEST_F(Notices, NothingIsHeldAfterTheEnd) {
    notices_.send(notice(5));
    notices_.stop();
    pass(10 * CommitNotices::kHold);
    EXPECT_TRUE(sent().empty());

    notices_.send(notice(6));
    EXPECT_EQ(sent().size(), 1U);
}

}  // namespace
}  // namespace kvstore::replication
