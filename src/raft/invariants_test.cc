// The checker must notice what must not be. Since no member does such things, they are done
// to it here: either what was seen before a step is falsified, or the state after it.
#include "raft/invariants.h"

#include <string>

#include <gtest/gtest.h>

#include "raft/internal/core.h"
#include "raft/testing/cluster.h"

namespace kvstore::raft {
namespace {

using testing::Cluster;

const NodeId kOne(1);
const NodeId kTwo(2);

Config plain() {
    Config config;
    config.group = GroupId(1);
    config.seed = 1;
    config.pre_vote = false;
    return config;
}

class RaftInvariants : public ::testing::Test {
protected:
    RaftInvariants() {
        cluster_.elect(kOne);
        EXPECT_TRUE(cluster_.propose(kOne, "a").ok());
        cluster_.settle();
    }

    std::string broken(const Observation& before, std::uint64_t id = 1) {
        const char* rule = find_violation(before, cluster_.node(id));
        return rule != nullptr ? rule : "";
    }

    // What is said of a member after `damage` was done to it. It is whole again then.
    template <typename Damage>
    std::string after(std::uint64_t id, Damage&& damage) {
        Node& node = cluster_.node(id);
        const Observation before = observe(node);
        Core& core = const_cast<Core&>(node.core());
        const Core kept = core;
        damage(core);
        const std::string rule = broken(before, id);
        core = kept;
        EXPECT_EQ(broken(before, id), "");
        return rule;
    }

    Progress& peer(Core& core) { return *core.peers().find(kTwo); }

    Cluster cluster_{3, plain()};
};

TEST_F(RaftInvariants, NoticeBrokenTermsAndVotes) {
    const Observation sound = observe(cluster_.node(1));
    EXPECT_EQ(broken(sound), "");

    Observation before = sound;
    before.term = sound.term.next();
    EXPECT_NE(broken(before), "");
    before = sound;
    before.vote = kTwo;
    EXPECT_NE(broken(before), "");
    before = sound;
    before.leader = kTwo;
    EXPECT_NE(broken(before), "");
    before = sound;
    before.role = Role::kFollower;
    EXPECT_NE(broken(before), "") << "led without having been a candidate";

    cluster_.node(2).campaign();
    before = observe(cluster_.node(2));
    before.role = Role::kLeader;
    EXPECT_NE(broken(before, 2), "") << "a candidate of its own term";
}

TEST_F(RaftInvariants, NoticeBrokenLogs) {
    const Observation sound = observe(cluster_.node(1));

    Observation before = sound;
    before.commit = sound.commit.next();
    EXPECT_NE(broken(before), "");
    before = sound;
    before.applied = sound.applied.next();
    EXPECT_NE(broken(before), "");
    before = sound;
    before.first = sound.first.next();
    EXPECT_NE(broken(before), "");
    before = sound;
    before.last = sound.last.next();
    EXPECT_NE(broken(before), "") << "a leader shortened its log";
    before = sound;
    before.commit_term = sound.commit_term.next();
    EXPECT_NE(broken(before), "") << "a committed entry was replaced";
}

TEST_F(RaftInvariants, NoticeACommitByCountingInAnOlderTerm) {
    Observation before = observe(cluster_.node(1));
    ASSERT_TRUE(cluster_.propose(kOne, "b").ok());
    cluster_.settle();
    before.role = Role::kLeader;

    EXPECT_EQ(broken(before), "");
    const_cast<Core&>(cluster_.node(1).core()).term = before.term = Term(9);
    EXPECT_NE(broken(before).find("3.6.2"), std::string::npos);
}

TEST_F(RaftInvariants, NoticeRolesThatDoNotFit) {
    EXPECT_NE(after(1, [](Core& core) { core.leader = kNoNode; }), "");
    EXPECT_NE(after(2, [](Core& core) { core.leader = core.id(); }), "");
    EXPECT_NE(after(1,
                    [](Core& core) {
                        core.vote = kNoNode;
                        core.term = core.term.next();
                    }),
              "");
    EXPECT_NE(after(2,
                    [](Core& core) {
                        core.role = Role::kCandidate;
                        core.term = core.term.next();
                        core.vote = kOne;
                    }),
              "");
    EXPECT_NE(after(2, [](Core& core) { core.role = Role::kPreCandidate; }), "");
}

TEST_F(RaftInvariants, NoticeWhatALeaderBelievesOfItsPeersWrongly) {
    EXPECT_NE(after(1, [this](Core& core) { peer(core).set_match(peer(core).next()); }), "");
    EXPECT_NE(after(1,
                    [this](Core& core) {
                        peer(core).sent_entries(9, 1);
                        peer(core).set_match(Index(9));
                    }),
              "");
    EXPECT_NE(after(1, [this](Core& core) { peer(core).sent_entries(9, 1); }), "");
    EXPECT_NE(after(1, [this](Core& core) { peer(core).learner = true; }), "");
    EXPECT_NE(after(1,
                    [this](Core& core) {
                        core.config.inflight_messages_max = 0;
                        core.log.append({{core.term, core.log.last_index().next(), {}, {}}});
                        peer(core).sent_entries(1, 1);
                    }),
              "");
    EXPECT_NE(after(1, [](Core& core) { core.voters().incoming.erase(kTwo); }), "");
}

TEST_F(RaftInvariants, NoticeConfigurationsThatContradictThemselves) {
    const auto configuration = [](Core& core) -> Configuration& {
        return core.membership.configuration;
    };
    EXPECT_NE(after(2, [&](Core& core) { configuration(core).learners.insert(kOne); }), "");
    EXPECT_NE(after(2, [&](Core& core) { configuration(core).learners_next.insert(kOne); }), "");
    EXPECT_NE(after(2, [&](Core& core) { configuration(core).auto_leave = true; }), "");
}

TEST_F(RaftInvariants, NoticeAQuarantinedMemberThatSpeaks) {
    EXPECT_EQ(after(2, [](Core& core) { core.quarantined = true; }), "");
    EXPECT_NE(after(2,
                    [](Core& core) {
                        core.quarantined = true;
                        core.send_now.emplace_back();
                    }),
              "");
}

}  // namespace
}  // namespace kvstore::raft
