// Replicas whose log or files are damaged or gone, and replicas that have become others than the
// rest: they are fenced, everything goes on without them, and they can be made anew. The test plays
// the records and the control loop.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "replication/fenced_replicas.h"
#include "replication/shard_folder.h"
#include "replication/testing/host_cluster.h"
#include "replication/testing/host_fixture.h"

namespace kvstore::replication {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::HostCluster;
using ::testing::IsEmpty;
using testing::put_of;
using testing::Told;

constexpr ShardId kShard = HostCluster::kShard;
constexpr std::string_view kSegment = "wal/wal-0000000000000001";

std::string value_of(int i) {
    return "value-of-key-" + std::to_string(i) + "-";
}

// One shard on three of four nodes.
class Damage : public ::testing::Test {
protected:
    Damage() {
        set_log_level(LogLevel::kOff);
        // All replicas keep up from now on: each command is a record of its own in every log.
        EXPECT_TRUE(put(1, "first", "1").ok());
        cluster_.world().run_for(seconds(2));
    }
    ~Damage() override { set_log_level(LogLevel::kInfo); }

    Status put(std::uint64_t node, ByteView key, ByteView value) {
        const Told& told = cluster_.propose(node, put_of(key, value));
        if (!cluster_.wait(told)) {
            return {Code::kUnavailable, "no outcome"};
        }
        return told.is_done() ? Status() : told.refusal.ok() ? told.failure : told.refusal;
    }
    void fill(int from, int to) {
        for (int i = from; i < to; ++i) {
            const Status done = put(1, "k" + std::to_string(i), value_of(i));
            ASSERT_TRUE(done.ok()) << done.to_string();
        }
        cluster_.world().run_for(seconds(1));
    }
    env::Disk& disk(std::uint64_t node) { return cluster_.machine(node).env().disk; }
    bool exists(std::uint64_t node, std::string path) {
        return *cluster_.run(node, disk(node).exists(std::move(path)));
    }
    // In the first copy of `text` in a file.
    void flip(std::uint64_t node, std::string path, std::string_view text) {
        auto& machine = cluster_.machine(node);
        if (!machine.is_up()) {
            cluster_.world().restart(machine);
        }
        const auto bytes = cluster_.run(node, env::read_file(&disk(node), path, 64U << 20U));
        ASSERT_TRUE(bytes.ok()) << bytes.status().to_string();
        const std::size_t found = bytes->find(text);
        ASSERT_NE(found, Bytes::npos) << text;
        ASSERT_TRUE(machine.flip_bit(path, found + 3, 2).ok());
    }
    std::vector<std::uint64_t> damaged(std::uint64_t node) {
        std::vector<std::uint64_t> shards;
        for (const DamagedReplica& replica : cluster_.host(node).damaged()) {
            shards.push_back(replica.shard.value());
        }
        return shards;
    }
    std::string reason(std::uint64_t node) {
        return std::string(cluster_.host(node).damaged().at(0).why.message());
    }

    // What the control loop and the records have done.
    void make_anew(std::uint64_t node) {
        const std::uint64_t leader = cluster_.wait_for_leader(node);
        ASSERT_NE(leader, 0U);
        Status done = cluster_.change(leader, raft::ConfOperation::kRemove, node);
        ASSERT_TRUE(done.ok()) << done.to_string();
        done = cluster_.run(node, cluster_.host(node).drop_shard(kShard));
        ASSERT_TRUE(done.ok()) << done.to_string();
        EXPECT_THAT(damaged(node), IsEmpty());
        join(node);
    }
    void join(std::uint64_t node) {
        ShardDescription description = cluster_.description();
        description.founders = {};
        description.is_newcomer = true;
        const auto created =
            cluster_.run(node, cluster_.host(node).create_shard(std::move(description)));
        ASSERT_TRUE(created.ok()) << created.status().to_string();
        const std::uint64_t leader = cluster_.wait_for_leader(node);
        Status done = cluster_.change(leader, raft::ConfOperation::kAddLearner, node);
        ASSERT_TRUE(done.ok()) << done.to_string();
        ASSERT_TRUE(agrees(node));
        done = cluster_.change(leader, raft::ConfOperation::kAddVoter, node);
        ASSERT_TRUE(done.ok()) << done.to_string();
    }
    // Whether the node comes to have what the leader has.
    bool agrees(std::uint64_t node) {
        const std::uint64_t leader = cluster_.wait_for_leader(node);
        return cluster_.world().run_until(
            [&] {
                RaftGroup* const here = cluster_.group(node);
                const auto newest = cluster_.group(leader)->digests().back();
                return here != nullptr && here->digests().back() == newest;
            },
            seconds(20));
    }
    void expect_whole(std::uint64_t node, int count) {
        for (int i = 0; i < count; ++i) {
            EXPECT_EQ(cluster_.local_value(node, "k" + std::to_string(i)), value_of(i)) << i;
        }
    }
    void restart(std::uint64_t node) {
        cluster_.stop(node);
        cluster_.start(node);
    }

    HostCluster cluster_{7, 4, 3};
};

TEST_F(Damage, ALogThatCannotBeReadFencesWhatDependedOnIt) {
    fill(0, 30);
    cluster_.crash(3);
    flip(3, std::string(kSegment), value_of(10));
    cluster_.start(3);

    EXPECT_THAT(damaged(3), ElementsAre(kShard.value()));
    EXPECT_THAT(reason(3), HasSubstr("wal-0000000000000001"));
    EXPECT_TRUE(exists(3, "wal-damaged-1"));
    EXPECT_TRUE(cluster_.host(3).has_lost_log());
    EXPECT_EQ(cluster_.group(3), nullptr);
    EXPECT_FALSE(cluster_.route(3).has_replica());
    EXPECT_TRUE(put(3, "k30", value_of(30)).ok()) << "through the others";

    restart(3);
    EXPECT_THAT(damaged(3), ElementsAre(kShard.value())) << "no restart brings it back";
    EXPECT_FALSE(cluster_.host(3).has_lost_log());

    make_anew(3);
    expect_whole(3, 31);
    restart(3);
    EXPECT_THAT(damaged(3), IsEmpty());
    expect_whole(3, 31);
    EXPECT_TRUE(put(3, "more", "1").ok());
}

TEST_F(Damage, ALogThatIsGoneFencesToo) {
    fill(0, 5);
    cluster_.stop(3);
    ASSERT_TRUE(cluster_.run(3, disk(3).remove("wal")).ok());
    cluster_.start(3);

    EXPECT_THAT(damaged(3), ElementsAre(kShard.value()));
    make_anew(3);
    expect_whole(3, 5);
}

// The heart of it: what it has promised it does not know any more, so it promises nothing.
TEST_F(Damage, AFencedReplicaHelpsNobodyToAMajority) {
    fill(0, 10);
    ASSERT_TRUE(cluster_.transfer(1));
    cluster_.crash(3);
    flip(3, std::string(kSegment), value_of(5));
    cluster_.start(3);
    cluster_.stop(1);

    EXPECT_FALSE(
        cluster_.world().run_until([&] { return cluster_.group(2)->is_leader(); }, seconds(15)));
    EXPECT_FALSE(put(2, "k", "v").ok());
    cluster_.start(1);
    EXPECT_TRUE(put(2, "k", "v").ok());
}

TEST_F(Damage, TwoOfThreeDamagedStopTheShardAndNothingIsMadeUp) {
    fill(0, 10);
    ASSERT_TRUE(cluster_.transfer(1));
    for (const std::uint64_t node : {2U, 3U}) {
        cluster_.crash(node);
        flip(node, std::string(kSegment), value_of(5));
        cluster_.start(node);
    }

    EXPECT_FALSE(put(4, "k", "v").ok());
    cluster_.world().run_for(seconds(20));
    EXPECT_THAT(damaged(2), ElementsAre(kShard.value()));
    EXPECT_THAT(damaged(3), ElementsAre(kShard.value()));
    EXPECT_FALSE(cluster_.group(1)->is_leader());
    expect_whole(1, 10);
    for (const std::uint64_t node : {2U, 3U}) {
        EXPECT_TRUE(exists(node, "wal-damaged-1")) << "what there was is kept for people";
        EXPECT_TRUE(exists(node, shard_folder(kShard)));
    }
}

TEST_F(Damage, AFolderThatIsGoneIsNoNewReplica) {
    fill(0, 5);
    cluster_.crash(3);
    cluster_.world().restart(cluster_.machine(3));
    ASSERT_TRUE(cluster_.run(3, disk(3).remove(shard_folder(kShard))).ok());
    ASSERT_TRUE(cluster_.run(3, disk(3).sync_directory("shards")).ok());
    cluster_.start(3);

    EXPECT_THAT(damaged(3), ElementsAre(kShard.value()));
    EXPECT_EQ(
        cluster_.run(3, cluster_.host(3).create_shard(cluster_.description())).status().code(),
        Code::kAlreadyExists);
    restart(3);
    EXPECT_THAT(damaged(3), ElementsAre(kShard.value())) << "though the log has forgotten it";
    make_anew(3);
    expect_whole(3, 5);
}

TEST_F(Damage, AShardFileThatIsDamagedOrGoneFencesTheReplica) {
    fill(0, 5);
    cluster_.stop(3);
    flip(3, shard_folder(kShard) + "/shard", "keyspace");
    cluster_.start(3);
    EXPECT_THAT(reason(3), HasSubstr("shards/16/shard"));
    make_anew(3);

    cluster_.stop(3);
    ASSERT_TRUE(cluster_.run(3, disk(3).remove(shard_folder(kShard) + "/shard")).ok());
    cluster_.start(3);
    EXPECT_THAT(damaged(3), ElementsAre(kShard.value()));
    make_anew(3);
    expect_whole(3, 5);
}

TEST_F(Damage, ASnapshotThatIsDamagedFencesTheReplica) {
    fill(0, 5);
    ASSERT_TRUE(cluster_.run(3, cluster_.host(3).persist_all()).ok());
    cluster_.stop(3);
    const auto found = cluster_.run(3, disk(3).list(shard_engine_folder(kShard)));
    ASSERT_TRUE(found.ok());
    std::string snapshot;
    for (const env::DirectoryEntry& entry : *found) {
        if (entry.name.starts_with("snapshot")) {
            snapshot = shard_engine_folder(kShard) + "/" + entry.name;
        }
    }
    const auto bytes = cluster_.run(3, env::read_file(&disk(3), snapshot, 64U << 20U));
    ASSERT_TRUE(bytes.ok());
    ASSERT_TRUE(cluster_.machine(3).flip_bit(snapshot, bytes->size() / 2, 2).ok());
    cluster_.start(3);

    EXPECT_THAT(damaged(3), ElementsAre(kShard.value()));
    EXPECT_FALSE(exists(3, "wal-damaged-1")) << "the log is whole";
    make_anew(3);
    expect_whole(3, 5);
}

TEST_F(Damage, AReplicaThatFailsWhileItRunsIsFencedAndOthersAnswer) {
    fill(0, 5);
    ASSERT_TRUE(cluster_.transfer(1));
    cluster_.on_core(3, [&] { cluster_.group(3)->quarantine({Code::kCorruption, "by the test"}); });

    EXPECT_FALSE(cluster_.route(3).has_replica()) << "at once";
    EXPECT_TRUE(put(3, "k5", value_of(5)).ok());
    ASSERT_TRUE(
        cluster_.world().run_until([&] { return cluster_.group(3) == nullptr; }, seconds(5)));
    cluster_.world().run_for(seconds(1));
    restart(3);
    EXPECT_THAT(reason(3), HasSubstr("by the test")) << "the mark outlives the process";
    make_anew(3);
    expect_whole(3, 6);
}

TEST_F(Damage, OfLogsSetAsideTheNewestTwoAreKept) {
    for (int round = 1; round <= 4; ++round) {
        cluster_.stop(4);
        ASSERT_TRUE(cluster_.run(4, set_log_aside(&disk(4), "wal")).ok());
        cluster_.start(4);
    }

    EXPECT_FALSE(exists(4, "wal-damaged-2"));
    EXPECT_TRUE(exists(4, "wal-damaged-3"));
    EXPECT_TRUE(exists(4, "wal-damaged-4"));
}

// A stale candidate could otherwise be elected by replicas that know nothing.
TEST_F(Damage, AReplicaWithoutAStateVotesForNobody) {
    ShardDescription description = cluster_.description();
    description.founders = {};
    description.is_newcomer = true;
    ASSERT_TRUE(cluster_.run(4, cluster_.host(4).create_shard(std::move(description))).ok());
    raft::Message message;
    message.kind = raft::MessageKind::kVote;
    message.group = GroupId(kShard.value());
    message.from = NodeId(2);
    message.to = NodeId(4);
    message.term = Term(99);

    cluster_.on_core(4, [&] { cluster_.group(4)->step(std::move(message)); });
    cluster_.world().run_for(seconds(1));

    EXPECT_EQ(cluster_.group(4)->raft_status()->hard.vote, NodeId());
    EXPECT_LT(cluster_.group(4)->term(), Term(99));
}

TEST_F(Damage, APausedReplicaAcknowledgesNothingUntilItGoesOn) {
    fill(0, 3);
    ASSERT_TRUE(cluster_.transfer(1));
    cluster_.on_core(3, [&] { cluster_.group(3)->pause(); });
    cluster_.stop(2);

    const Told& told = cluster_.propose(1, put_of("k3", value_of(3)));
    cluster_.world().run_for(seconds(1));
    EXPECT_FALSE(told.is_done());

    cluster_.on_core(3, [&] { cluster_.group(3)->resume(); });
    EXPECT_TRUE(
        cluster_.world().run_until([&] { return put(1, "k4", value_of(4)).ok(); }, seconds(20)));
    cluster_.start(2);
}

// ---- digests ----

class Divergence : public Damage {
protected:
    Divergence() {
        cluster_.settings.digest_interval = seconds(1);
        for (std::uint64_t node = 1; node <= 4; ++node) {
            restart(node);
        }
        fill(0, 100);
        EXPECT_TRUE(cluster_.transfer(1));
    }

    // The engine of a node comes to hold another record; the next write of the key shows it.
    void corrupt(std::uint64_t node, ByteView key, ByteView from) {
        cluster_.on_core(node, [&] {
            storage::Engine& engine = cluster_.group(node)->engine();
            Bytes record;
            {
                const auto view = engine.view();
                ByteView stored;
                KVSTORE_ASSERT(*view->find(storage::Table::kCurrent, from, &stored));
                record = Bytes(stored);
            }
            engine.put(storage::Table::kCurrent, key, record);
        });
    }
};

TEST_F(Divergence, AFollowerThatDiffersIsFoundAndFenced) {
    corrupt(3, "k7", "k8");
    ASSERT_TRUE(put(1, "k7", value_of(7)).ok());

    ASSERT_TRUE(cluster_.world().run_until([&] { return !damaged(3).empty(); }, seconds(10)));
    EXPECT_THAT(reason(3), HasSubstr("differs from that of a majority"));
    EXPECT_THAT(damaged(1), IsEmpty());
    EXPECT_THAT(damaged(2), IsEmpty());

    ASSERT_TRUE(
        cluster_.world().run_until([&] { return cluster_.group(3) == nullptr; }, seconds(5)));
    cluster_.world().run_for(seconds(1));
    make_anew(3);
    expect_whole(3, 100);
    cluster_.world().run_for(seconds(5));
    EXPECT_THAT(damaged(3), IsEmpty());
}

TEST_F(Divergence, ALeaderThatDiffersHandsOverAndIsFenced) {
    corrupt(1, "k7", "k8");
    ASSERT_TRUE(put(1, "k7", value_of(7)).ok());

    ASSERT_TRUE(cluster_.world().run_until([&] { return !damaged(1).empty(); }, seconds(10)));
    EXPECT_NE(cluster_.wait_for_leader(1), 0U);
    EXPECT_TRUE(put(2, "k7", value_of(7)).ok());
    cluster_.world().run_for(seconds(1));
    make_anew(1);
    expect_whole(1, 100);
}

TEST_F(Divergence, WithoutAMajorityThatAgreesNobodyIsFenced) {
    corrupt(2, "k7", "k8");
    corrupt(3, "k7", "k9");
    ASSERT_TRUE(put(1, "k7", value_of(7)).ok());
    cluster_.world().run_for(seconds(10));

    for (const std::uint64_t node : {1U, 2U, 3U}) {
        EXPECT_THAT(damaged(node), IsEmpty()) << node;
    }
}

TEST_F(Divergence, IsFoundWhileWritesGoOn) {
    corrupt(3, "k7", "k8");
    ASSERT_TRUE(put(1, "k7", value_of(7)).ok());
    for (int i = 0; i < 400 && damaged(3).empty(); ++i) {
        ASSERT_TRUE(put(2, "k" + std::to_string(i % 50), value_of(i % 50)).ok());
    }
    EXPECT_TRUE(cluster_.world().run_until([&] { return !damaged(3).empty(); }, seconds(10)));
    cluster_.world().run_for(seconds(1));
}

// ---- shards that are nowhere else ----

class LonelyDamage : public testing::HostFixture {
protected:
    LonelyDamage() { options_.has_others = true; }

    void flip(std::string path, std::string_view text) {
        const auto bytes = run(env::read_file(&machine_.env().disk, path, 64U << 20U));
        ASSERT_TRUE(bytes.ok());
        const std::size_t found = bytes->find(text);
        ASSERT_NE(found, Bytes::npos);
        ASSERT_TRUE(machine_.flip_bit(path, found + 3, 2).ok());
    }
};

TEST_F(LonelyDamage, OneBadShardNeverTakesTheProcessDown) {
    must_open();
    create(7);
    create(8);
    put(7, "k", "a value to be found");
    put(8, "k", "there");
    ASSERT_TRUE(run(host_->persist_all()).ok());
    ASSERT_TRUE(stop().ok());
    std::string snapshot;
    const auto entries = run(machine_.env().disk.list("shards/7/engine"));
    for (const env::DirectoryEntry& entry : *entries) {
        snapshot = entry.name.starts_with("snapshot") ? "shards/7/engine/" + entry.name : snapshot;
    }
    flip(snapshot, "a value to be found");
    must_open();

    EXPECT_EQ(value(8, "k"), "there");
    ASSERT_EQ(host_->damaged().size(), 1U);
    Told told;
    on_core(
        [&] { told.refusal = host_->route(ShardId(7)).propose(testing::put_of("k", "v"), &told); });
    EXPECT_EQ(told.refusal.code(), Code::kCorruption);
    EXPECT_EQ(told.refusal.effect(), Effect::kNone);
}

TEST_F(LonelyDamage, WithoutOthersTheHostRefusesToOpen) {
    must_open();
    create(7);
    put(7, "k", "a value to be found");
    put(7, "l", "another");
    put(7, "m", "a third");
    crash();
    flip(std::string(kSegment), "a value to be found");
    options_.has_others = false;

    EXPECT_EQ(open().code(), Code::kCorruption);
    EXPECT_EQ(open().code(), Code::kCorruption) << "and changes nothing";
    const auto exists = run(machine_.env().disk.exists("wal-damaged-1"));
    EXPECT_FALSE(*exists);
}

}  // namespace
}  // namespace kvstore::replication
