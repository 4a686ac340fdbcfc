// Keyspaces: made, changed and dropped, also half way, and what a restart finds of them.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kv/testing/kv_fixture.h"
#include "replication/strong/raft_group.h"

namespace kvstore::kv {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::KvFixture;
using ::testing::Not;
using testing::put_of;

class Catalog : public KvFixture {
protected:
    // A fresh disk and an open store on it.
    void begin_anew() {
        empty_disk();
        must_open();
    }
    void empty_disk() {
        crash();
        for (const char* folder : {"shards", "wal"}) {
            ASSERT_TRUE(run(machine_.env().disk.remove(folder)).ok());
        }
        ASSERT_TRUE(run(machine_.env().disk.sync_directory("")).ok());
    }
    Status try_create(std::string name) {
        return run(kv_->create_keyspace({}, std::move(name), memory_options())).status();
    }
    Status drop(std::string name) { return run(kv_->drop_keyspace({}, std::move(name))); }
    Status change(std::string name, Kv::KeyspaceChange what) {
        return run(kv_->change_keyspace({}, std::move(name), what)).status();
    }
    void put_in(const KeyspaceHandle& where, ByteView key, ByteView bytes) {
        keyspace_ = where;
        put(key, bytes);
        keyspace_.reset();
    }
    std::optional<Bytes> value_in(std::string_view name, ByteView key) {
        keyspace_ = kv_->find_keyspace(name);
        EXPECT_NE(keyspace_, nullptr) << name;
        auto found = keyspace_ != nullptr ? value(key) : std::nullopt;
        keyspace_.reset();
        return found;
    }
};

// ---- what is there ----

TEST_F(Catalog, DefaultIsThereFromTheStartAndTakesTheNodesDefaults) {
    options_.defaults.history = minutes(3);
    must_open();

    EXPECT_THAT(names(), ElementsAre("default"));
    EXPECT_EQ(kv_->default_keyspace()->info().options.history, minutes(3));
    EXPECT_EQ(kv_->find_keyspace("default"), kv_->default_keyspace());
    EXPECT_EQ(kv_->find_keyspace("system"), nullptr);
}

TEST_F(Catalog, KeyspacesKeepTheirKeysApart) {
    must_open();
    const KeyspaceHandle other = create("other");
    put("k", "here");
    put_in(other, "k", "there");

    EXPECT_EQ(value("k"), "here");
    EXPECT_EQ(value_in("other", "k"), "there");
}

TEST_F(Catalog, IsTheSameAfterAStopAndAfterAPowerCut) {
    must_open();
    put_in(create("a/b", seconds(0)), "k", "1");
    put_in(create("z.9_-", minutes(7)), "k", "2");
    reopen();
    EXPECT_THAT(names(), ElementsAre("a/b", "default", "z.9_-"));

    crash();
    must_open();

    EXPECT_THAT(names(), ElementsAre("a/b", "default", "z.9_-"));
    EXPECT_EQ(kv_->find_keyspace("a/b")->info().options.history, seconds(0));
    EXPECT_EQ(kv_->find_keyspace("z.9_-")->info().options.history, minutes(7));
    EXPECT_EQ(kv_->find_keyspace("a/b")->info().options.engine, replication::EngineKind::kMemory);
    EXPECT_EQ(value_in("a/b", "k"), "1");
    EXPECT_EQ(value_in("z.9_-", "k"), "2");
}

// Found a start that removed every keyspace beyond the limit of that start, with its data.
TEST_F(Catalog, ALowerLimitOfKeyspacesTakesNoneAway) {
    must_open();
    for (int i = 0; i < 30; ++i) {
        put_in(create("k" + std::to_string(i)), "k", std::to_string(i));
    }
    options_.limits.keyspace_count_max = 3;
    reopen();

    EXPECT_EQ(names().size(), 31U);
    EXPECT_EQ(value_in("k29", "k"), "29");
    EXPECT_EQ(try_create("more").code(), Code::kOverloaded);
    EXPECT_TRUE(drop("k29").ok());
}

TEST_F(Catalog, ManyKeyspacesAreAllFoundAgain) {
    options_.limits.keyspace_count_max = 300;
    options_.limits.scan_rows_max = 7;
    must_open();
    for (int i = 0; i < 60; ++i) {
        create("k" + std::to_string(i));
    }
    reopen();

    EXPECT_EQ(names().size(), 61U);
    EXPECT_EQ(kv_->statistics().size(), 61U);
}

// ---- made ----

TEST_F(Catalog, RefusesNamesThatCannotBe) {
    must_open();
    for (const std::string& name : {std::string(),
                                    std::string("system"),
                                    std::string("/a"),
                                    std::string("a/"),
                                    std::string("a//b"),
                                    std::string("a b"),
                                    std::string("a\n"),
                                    std::string("\xc3\xa4"),
                                    std::string(1, '\0'),
                                    std::string(129, 'x')}) {
        const Status refused = try_create(name);
        EXPECT_EQ(refused.code(), Code::kInvalidArgument) << name;
        EXPECT_EQ(refused.effect(), Effect::kNone);
    }
    EXPECT_TRUE(try_create(std::string(128, 'x')).ok());
    EXPECT_TRUE(try_create("systems").ok());
}

TEST_F(Catalog, RefusesOptionsThatCannotBe) {
    must_open();
    const auto refused = [this](auto set) {
        KeyspaceOptions options = memory_options();
        set(options);
        return run(kv_->create_keyspace({}, "k", options)).status().code();
    };

    EXPECT_EQ(refused([](auto& o) { o.replication = Replication::kQuorum; }), Code::kUnimplemented);
    EXPECT_EQ(refused([](auto& o) { o.replication_factor = 2; }), Code::kInvalidArgument);
    EXPECT_EQ(refused([](auto& o) { o.history = -seconds(1); }), Code::kInvalidArgument);
    EXPECT_EQ(refused([](auto& o) { o.history = std::chrono::hours(24 * 3651); }),
              Code::kInvalidArgument);
    EXPECT_THAT(names(), ElementsAre("default"));
}

TEST_F(Catalog, RefusesAKeyspaceThatExistsAndMoreThanItsLimit) {
    options_.limits.keyspace_count_max = 2;
    must_open();
    create("one");

    EXPECT_EQ(try_create("one").code(), Code::kAlreadyExists);
    EXPECT_EQ(try_create("two").code(), Code::kOverloaded);
    ASSERT_TRUE(drop("one").ok());
    EXPECT_TRUE(try_create("two").ok());
}

TEST_F(Catalog, EnsureMakesItOnceHoweverManyAskAtOnce) {
    must_open();
    std::vector<KeyspaceHandle> handles;
    for (int i = 0; i < 5; ++i) {
        machine_.spawn([](Kv* kv, std::vector<KeyspaceHandle>* found) -> async::Task<void> {
            auto ensured = co_await kv->ensure_keyspace({}, "redis/1");
            EXPECT_TRUE(ensured.ok());
            if (ensured.ok()) {
                found->push_back(*ensured);
            }
        }(kv_.get(), &handles));
    }
    world_.run_until([&] { return handles.size() == 5; }, seconds(10));

    ASSERT_EQ(handles.size(), 5U);
    EXPECT_EQ(handles.front(), handles.back());
    EXPECT_THAT(names(), ElementsAre("default", "redis/1"));
}

TEST_F(Catalog, OfManyWhoCreateTheSameAtOnceOneDoes) {
    must_open();
    int created = 0;
    int refused = 0;
    for (int i = 0; i < 5; ++i) {
        machine_.spawn([](Kv* kv, KeyspaceOptions options, int* yes, int* no) -> async::Task<void> {
            const auto made = co_await kv->create_keyspace({}, "k", options);
            *yes += made.ok() ? 1 : 0;
            *no += made.status().code() == Code::kAlreadyExists ? 1 : 0;
        }(kv_.get(), memory_options(), &created, &refused));
    }
    world_.run_until([&] { return created + refused == 5; }, seconds(10));

    EXPECT_EQ(created, 1);
    EXPECT_EQ(refused, 4);
}

// What its engine could not open is no keyspace, and is gone after a restart.
TEST_F(Catalog, ACreationWhoseShardCannotOpenLeavesNothing) {
    must_open();
    KeyspaceOptions lsm = memory_options();
    lsm.engine = replication::EngineKind::kLsm;  // which needs a real disk

    const auto created = run(kv_->create_keyspace({}, "k", lsm));

    EXPECT_EQ(created.status().code(), Code::kUnimplemented);
    EXPECT_EQ(kv_->find_keyspace("k"), nullptr);
    EXPECT_TRUE(try_create("k").ok()) << "the name is free";
}

TEST_F(Catalog, ACreationThatTheCatalogueRefusesTakesItsShardAway) {
    must_open();
    std::optional<Status> created;
    machine_.spawn(
        [](Kv* kv, KeyspaceOptions options, std::optional<Status>* told) -> async::Task<void> {
            const auto outcome = co_await kv->create_keyspace({}, "k", options);
            *told = outcome.status();
        }(kv_.get(), memory_options(), &created));
    // It has its number, and its folder is being made; the record comes last.
    const std::uint64_t made = machine_.disk_calls(sim::DiskCall::kCreateDirectory);
    const auto is_being_made = [&] {
        return machine_.disk_calls(sim::DiskCall::kCreateDirectory) > made;
    };
    world_.run_until(is_being_made, seconds(10));
    host_->find_raft_group(ShardId(1))->refuse_proposals();
    world_.run_until([&] { return created.has_value(); }, seconds(10));

    ASSERT_TRUE(created.has_value());
    EXPECT_EQ(created->code(), Code::kUnavailable);
    EXPECT_EQ(created->effect(), Effect::kNone);
    EXPECT_EQ(host_->find_group(ShardId(17)), nullptr);
    EXPECT_EQ(shard_folders().size(), 2U);
}

TEST_F(Catalog, AFullDiskRefusesACreationWithoutEffect) {
    must_open();
    machine_.disk_faults().capacity = 1;

    const Status refused = try_create("k");

    EXPECT_FALSE(refused.ok());
    EXPECT_EQ(kv_->find_keyspace("k"), nullptr);
    machine_.disk_faults() = {};
    world_.run_for(seconds(3));
    EXPECT_TRUE(try_create("k").ok());
    reopen();
    EXPECT_THAT(names(), ElementsAre("default", "k"));
}

TEST_F(Catalog, AKeyspaceIsWholeOrNotThereWhereverItsCreationIsCutShort) {
    int cut_short = 0;
    for (std::uint64_t at = 1; at <= 25; ++at) {
        begin_anew();
        put("k", "v");
        machine_.crash_at_change(at);
        const auto created = world_.try_block_on(
            machine_, kv_->create_keyspace({}, "new", memory_options()), seconds(2));
        cut_short += created.has_value() ? 0 : 1;
        machine_.crash_at_change(0);
        crash();

        const Status opened = open();
        ASSERT_TRUE(opened.ok()) << "at change " << at << ": " << opened.to_string();
        EXPECT_EQ(value("k"), "v");
        const bool is_there = kv_->find_keyspace("new") != nullptr;
        EXPECT_TRUE(is_there || !created.has_value() || !created->ok()) << "at change " << at;
        EXPECT_EQ(shard_folders().size(), is_there ? 3U : 2U) << "at change " << at;
        EXPECT_EQ(try_create("new").code(), is_there ? Code::kAlreadyExists : Code::kOk);
        put_in(kv_->find_keyspace("new"), "k", "v");
    }
    EXPECT_GT(cut_short, 5);
}

TEST_F(Catalog, TheFirstStartMayBeCutShortAnywhere) {
    int cut_short = 0;
    for (std::uint64_t at = 1; at <= 60; ++at) {
        empty_disk();
        machine_.crash_at_change(at);
        const bool was_cut_short = !open().ok();
        cut_short += was_cut_short ? 1 : 0;
        machine_.crash_at_change(0);
        crash();

        const Status opened = open();
        ASSERT_TRUE(opened.ok()) << "at change " << at << ": " << opened.to_string();
        EXPECT_THAT(names(), ElementsAre("default"));
        EXPECT_EQ(shard_folders().size(), 2U);
        put("k", "v");
    }
    EXPECT_GT(cut_short, 20);
}

TEST_F(Catalog, AShardThatCannotBeRemovedDoesNotHinderAStart) {
    must_open();
    put_in(create("k"), "k", "v");
    machine_.disk_faults().on(sim::DiskCall::kRename).nth = 2;  // after the catalogue's snapshot
    EXPECT_TRUE(drop("k").ok()) << "it is gone";
    machine_.disk_faults() = {};
    EXPECT_EQ(shard_folders().size(), 3U);
    (void)stop();

    machine_.disk_faults().path_prefix = "shards/17";
    machine_.disk_faults().on(sim::DiskCall::kRename).chance = 1'000'000;
    machine_.disk_faults().on(sim::DiskCall::kRemove).chance = 1'000'000;
    must_open();
    machine_.disk_faults() = {};
    put("k", "v");
    EXPECT_THAT(names(), ElementsAre("default"));
    (void)stop();

    must_open();
    EXPECT_EQ(shard_folders().size(), 2U);
}

// ---- dropped ----

TEST_F(Catalog, ADroppedKeyspaceIsGoneAndSoAreItsData) {
    must_open();
    const KeyspaceHandle handle = create("k");
    put_in(handle, "key", "old");

    ASSERT_TRUE(drop("k").ok());

    EXPECT_TRUE(handle->is_dropped());
    EXPECT_EQ(kv_->find_keyspace("k"), nullptr);
    EXPECT_EQ(shard_folders().size(), 2U);
    keyspace_ = handle;
    EXPECT_EQ(execute(put_of("key", "v")).status().code(), Code::kNotFound);
    EXPECT_EQ(execute(put_of("key", "v")).status().effect(), Effect::kNone);
    EXPECT_EQ(get("key").status().code(), Code::kNotFound);
    EXPECT_EQ(get("key", Revision(1)).status().code(), Code::kNotFound);
    EXPECT_EQ(scan({}).status().code(), Code::kNotFound);
    EXPECT_EQ(run(kv_->get_many({}, handle, {"key"})).status().code(), Code::kNotFound);
    mvcc::Record record;
    EXPECT_EQ(kv_->find(*handle, "key", &record), storage::Lookup::kMustLoad);
    keyspace_.reset();
    create("k");
    EXPECT_EQ(value_in("k", "key"), std::nullopt);
    reopen();
    EXPECT_EQ(value_in("k", "key"), std::nullopt);
}

TEST_F(Catalog, RefusesToDropDefaultAndWhatIsNotThere) {
    must_open();

    EXPECT_EQ(drop("default").code(), Code::kInvalidArgument);
    EXPECT_EQ(drop("none").code(), Code::kNotFound);
    EXPECT_EQ(drop("system").code(), Code::kNotFound);
    EXPECT_EQ(change("none", {.history = seconds(1), .replication_factor = {}}).code(),
              Code::kNotFound);
    EXPECT_EQ(change("default", {.history = -seconds(1), .replication_factor = {}}).code(),
              Code::kInvalidArgument);
    EXPECT_EQ(change("default", {.history = {}, .replication_factor = 4}).code(),
              Code::kInvalidArgument);
}

TEST_F(Catalog, AKeyspaceIsWholeOrGoneWhereverItsDropIsCutShort) {
    int cut_short = 0;
    for (std::uint64_t at = 1; at <= 25; ++at) {
        begin_anew();
        put_in(create("old"), "k", "v");
        machine_.crash_at_change(at);
        const auto dropped =
            world_.try_block_on(machine_, kv_->drop_keyspace({}, "old"), seconds(2));
        cut_short += dropped.has_value() ? 0 : 1;
        machine_.crash_at_change(0);
        crash();

        const Status opened = open();
        ASSERT_TRUE(opened.ok()) << "at change " << at << ": " << opened.to_string();
        const bool is_there = kv_->find_keyspace("old") != nullptr;
        EXPECT_FALSE(is_there && dropped.has_value() && dropped->ok()) << "at change " << at;
        EXPECT_EQ(shard_folders().size(), is_there ? 3U : 2U) << "at change " << at;
        if (is_there) {
            EXPECT_EQ(value_in("old", "k"), "v") << "at change " << at;
        }
    }
    EXPECT_GT(cut_short, 3);
}

TEST_F(Catalog, WhatIsUnderWayInADroppedKeyspaceIsToldTheTruth) {
    must_open();
    const KeyspaceHandle handle = create("k");
    std::optional<Result<CommandOutcome>> outcome;
    machine_.spawn([](Kv* kv,
                      KeyspaceHandle where,
                      std::optional<Result<CommandOutcome>>* told) -> async::Task<void> {
        mvcc::Command command;
        command.operations.push_back(put_of("key", "v"));
        auto executed = co_await kv->execute({}, where, &command);
        told->emplace(std::move(executed));
    }(kv_.get(), handle, &outcome));
    ASSERT_TRUE(drop("k").ok());

    ASSERT_TRUE(outcome.has_value());
    EXPECT_TRUE(outcome->ok() || outcome->status().effect() == Effect::kUnknown);
}

// ---- changed ----

TEST_F(Catalog, AChangeIsInForceAtOnceAndAfterARestart) {
    must_open();
    create("k", minutes(5));
    const auto changed =
        run(kv_->change_keyspace({}, "k", {.history = seconds(0), .replication_factor = 5}));

    ASSERT_TRUE(changed.ok());
    EXPECT_EQ(changed->options.history, seconds(0));
    EXPECT_EQ(kv_->find_keyspace("k")->group().shard().state().history_ms, 0U);
    reopen();
    EXPECT_EQ(kv_->find_keyspace("k")->info().options.history, seconds(0));
    EXPECT_EQ(kv_->find_keyspace("k")->info().options.replication_factor, 5U);
    EXPECT_EQ(kv_->find_keyspace("k")->group().shard().state().history_ms, 0U);
}

// Found an answer that said "effect none" about a history that was already gone.
TEST_F(Catalog, AChangeThatStopsHalfWaySaysSoAndShowsWhatIsInForce) {
    must_open();
    create("k", minutes(5));
    std::optional<Status> changed;
    machine_.spawn([](Kv* kv, std::optional<Status>* told) -> async::Task<void> {
        const Kv::KeyspaceChange change{.history = seconds(0), .replication_factor = {}};
        auto outcome = co_await kv->change_keyspace({}, "k", change);
        *told = outcome.status();
    }(kv_.get(), &changed));
    // The shard has taken it; the system shard's turn comes next, and it refuses.
    host_->find_raft_group(ShardId(1))->refuse_proposals();
    world_.run_until([&] { return changed.has_value(); }, seconds(10));

    ASSERT_TRUE(changed.has_value());
    EXPECT_EQ(changed->code(), Code::kUnavailable);
    EXPECT_EQ(changed->effect(), Effect::kUnknown);
    EXPECT_EQ(kv_->find_keyspace("k")->info().options.history, seconds(0));
    reopen();
    EXPECT_EQ(kv_->find_keyspace("k")->info().options.history, seconds(0));
}

// ---- damage ----

TEST_F(Catalog, RefusesToStartWithoutTheSystemShard) {
    must_open();
    put("k", "v");
    ASSERT_TRUE(stop().ok());
    ASSERT_TRUE(run(machine_.env().disk.remove("shards/1")).ok());

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(opened.to_string(), HasSubstr("shards/1"));
}

TEST_F(Catalog, RefusesToStartWithoutAKeyspacesShard) {
    must_open();
    put("k", "v");
    ASSERT_TRUE(stop().ok());
    ASSERT_TRUE(run(machine_.env().disk.remove("shards/16")).ok());

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(opened.to_string(), HasSubstr("keyspace 'default' lives in shards/16"));
}

// The catalogue came back empty, in whatever way: what it does not name is not rubbish then.
TEST_F(Catalog, NeverRemovesDataBecauseTheCatalogueIsEmpty) {
    must_open();
    put("k", "v");
    ASSERT_TRUE(run(host_->persist_all()).ok());
    for (const char* key : {"keyspace/default", "next_shard"}) {
        const mvcc::Operation erasing = testing::operation_of(mvcc::OperationKind::kDelete, key);
        on_core([&] { (void)host_->find_group(ShardId(1))->propose(erasing, nullptr); });
    }
    world_.run_for(milliseconds(100));
    ASSERT_TRUE(stop().ok());

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(shard_folders(), Contains("16"));
}

TEST_F(Catalog, NamesAnUnreadableRecord) {
    must_open();
    on_core([&] {
        (void)host_->find_group(ShardId(1))->propose(put_of("keyspace/k", "\x01"), nullptr);
    });
    world_.run_for(milliseconds(100));
    ASSERT_TRUE(stop().ok());

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(opened.to_string(), HasSubstr("keyspace 'k'"));
}

// ---- durability ----

// Without a log the catalogue is durable all the same: data of a keyspace that nobody remembers
// would be lost with it.
TEST_F(Catalog, WithoutALogChangesOfTheCatalogueSurviveAPowerCut) {
    host_options_.wal.durability = storage::Durability::kMemory;
    must_open();
    create("kept", minutes(5));
    create("dropped");
    ASSERT_TRUE(drop("dropped").ok());
    put_in(kv_->find_keyspace("kept"), "k", "v");
    ASSERT_TRUE(run(host_->persist_all()).ok());
    create("late");

    crash();
    must_open();

    EXPECT_THAT(names(), ElementsAre("default", "kept", "late"));
    EXPECT_EQ(value_in("kept", "k"), "v");
    const KeyspaceHandle next = create("next");
    EXPECT_NE(next->info().shard, kv_->find_keyspace("late")->info().shard);
}

TEST_F(Catalog, AfterALostLogWriteTheNextStartDecides) {
    must_open();
    machine_.disk_faults().path_prefix = "wal";
    machine_.disk_faults().on(sim::DiskCall::kWrite).nth = 2;
    const Status created = try_create("k");
    machine_.disk_faults() = {};

    EXPECT_EQ(created.effect(), Effect::kUnknown);
    EXPECT_EQ(kv_->find_keyspace("k"), nullptr);
    EXPECT_FALSE(try_create("l").ok());
    (void)stop();
    must_open();
    const bool is_there = kv_->find_keyspace("k") != nullptr;
    EXPECT_EQ(shard_folders().size(), is_there ? 3U : 2U);
    EXPECT_EQ(try_create("k").code(), is_there ? Code::kAlreadyExists : Code::kOk);
}

}  // namespace
}  // namespace kvstore::kv
