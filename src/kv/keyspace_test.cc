// Keyspaces of several shards: where commands go, what crosses shards and what may not, and that
// readers see one keyspace.
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "kv/testing/kv_fixture.h"
#include "replication/strong/raft_group.h"

namespace kvstore::kv {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::KvFixture;
using testing::operation_of;
using testing::put_of;

using Keys = std::vector<Bytes>;

class DividedKeyspace : public KvFixture {
protected:
    DividedKeyspace() {
        must_open();
        keyspace_ = create_divided("t", {"b", "m", "t"});
    }

    KeyspaceHandle create_divided(std::string name, Keys split_at) {
        auto created = try_create(std::move(name), std::move(split_at));
        EXPECT_TRUE(created.ok()) << created.status().to_string();
        return created.ok() ? *created : nullptr;
    }
    Result<KeyspaceHandle> try_create(std::string name, Keys split_at) {
        return run(
            kv_->create_keyspace({}, std::move(name), memory_options(), std::move(split_at)));
    }
    void find_again() { keyspace_ = kv_->find_keyspace("t"); }
    std::vector<std::uint64_t> revisions() {
        std::vector<std::uint64_t> found;
        for (const ShardHandle& shard : keyspace_->shards()) {
            found.push_back(shard->group().shard().state().revision.value());
        }
        return found;
    }
    // Puts `key` where all of these are absent.
    static mvcc::Command put_if_absent(const std::vector<ByteView>& absent, ByteView key) {
        mvcc::Command command;
        for (const ByteView each : absent) {
            command.conditions.push_back(
                {.key = each, .condition = {.kind = mvcc::ConditionKind::kAbsent}});
        }
        command.operations.push_back(put_of(key, "1"));
        return command;
    }
    std::vector<std::uint64_t> seen_by(const CallContext& context) {
        std::vector<std::uint64_t> seen;
        for (const ShardHandle& shard : keyspace_->shards()) {
            seen.push_back(context.session->seen(shard->id()).value());
        }
        return seen;
    }
    static CallContext with_session() {
        CallContext context;
        context.session = std::make_shared<SessionToken>();
        return context;
    }
    std::uint64_t count() {
        const auto counted = run(kv_->count_keys({}, keyspace_));
        EXPECT_TRUE(counted.ok());
        return counted.ok() ? *counted : 0;
    }
};

// ---- made, found again, gone ----

TEST_F(DividedKeyspace, HasAShardForEveryPartOfItsKeys) {
    std::vector<std::string> ranges;
    for (const ShardHandle& shard : keyspace_->shards()) {
        ranges.push_back(std::to_string(shard->id().value()) + ":" + shard->range_start() + "-" +
                         shard->range_end());
    }

    EXPECT_THAT(ranges, ElementsAre("17:-b", "18:b-m", "19:m-t", "20:t-"));
}

TEST_F(DividedKeyspace, PutsEachKeyInTheShardOfItsRange) {
    for (const char* key : {"a", "b", "lz", "m", "t", "zz", ""}) {
        put(key, key);
    }

    EXPECT_THAT(revisions(), ElementsAre(2, 2, 1, 2));
    EXPECT_EQ(value("lz"), "lz");
    EXPECT_EQ(value(""), "");
    EXPECT_EQ(value("n"), std::nullopt);
    EXPECT_EQ(count(), 7U);
}

TEST_F(DividedKeyspace, IsTheSameAfterAStopAndAfterAPowerCut) {
    put("a", "1");
    put("z", "2");
    keyspace_.reset();
    reopen();
    find_again();
    EXPECT_EQ(keyspace_->shards().size(), 4U);

    keyspace_.reset();
    crash();
    must_open();
    find_again();

    EXPECT_EQ(value("a"), "1");
    EXPECT_EQ(value("z"), "2");
}

TEST_F(DividedKeyspace, IsWholeOrNotThereWhereverItsCreationIsCutShort) {
    int cut_short = 0;
    for (std::uint64_t at = 1; at <= 40; ++at) {
        keyspace_.reset();
        crash();
        for (const char* folder : {"shards", "wal"}) {
            ASSERT_TRUE(run(machine_.env().disk.remove(folder)).ok());
        }
        ASSERT_TRUE(run(machine_.env().disk.sync_directory("")).ok());
        must_open();
        machine_.crash_at_change(at);
        const auto created =
            world_.try_block_on(machine_,
                                kv_->create_keyspace({}, "new", memory_options(), Keys{"g", "p"}),
                                seconds(2));
        cut_short += created.has_value() ? 0 : 1;
        machine_.crash_at_change(0);
        crash();

        const Status opened = open();
        ASSERT_TRUE(opened.ok()) << "at change " << at << ": " << opened.to_string();
        const KeyspaceHandle found = kv_->find_keyspace("new");
        EXPECT_TRUE(found != nullptr || !created.has_value()) << "at change " << at;
        EXPECT_EQ(shard_folders().size(), found != nullptr ? 5U : 2U) << "at change " << at;
        EXPECT_TRUE(found == nullptr || found->shards().size() == 3U);
    }
    EXPECT_GT(cut_short, 10);
}

TEST_F(DividedKeyspace, ADropTakesEveryShardAway) {
    const KeyspaceHandle kept = std::exchange(keyspace_, nullptr);
    const ShardHandle shard = kept->shards().front();

    ASSERT_TRUE(run(kv_->drop_keyspace({}, "t")).ok());

    EXPECT_TRUE(kept->is_dropped());
    EXPECT_TRUE(shard->is_gone());
    EXPECT_EQ(shard_folders().size(), 2U);
    keyspace_ = kept;
    EXPECT_EQ(get("a").status().code(), Code::kNotFound);
    EXPECT_EQ(execute(put_of("a", "1")).status().code(), Code::kNotFound);
    EXPECT_EQ(run(kv_->count_keys({}, kept)).status().code(), Code::kNotFound);
}

TEST_F(DividedKeyspace, AChangeOfItsHistoryReachesEveryShard) {
    Kv::KeyspaceChange change;
    change.history = minutes(3);

    ASSERT_TRUE(run(kv_->change_keyspace({}, "t", change)).ok());

    for (const ShardHandle& shard : keyspace_->shards()) {
        EXPECT_EQ(shard->group().shard().state().history_ms, 180'000U);
    }
    EXPECT_EQ(kv_->find_keyspace("t")->info().options.history, minutes(3));
}

TEST_F(DividedKeyspace, RefusesKeysToSplitAtThatCannotBe) {
    const auto code = [this](Keys split_at) {
        return try_create("u", std::move(split_at)).status().code();
    };
    Keys many;
    for (int i = 0; i < 256; ++i) {
        many.push_back(std::string(1, static_cast<char>(1 + i / 128)) +
                       static_cast<char>(i % 128 + 1));
    }

    EXPECT_EQ(code({""}), Code::kInvalidArgument);
    EXPECT_EQ(code({"b", "b"}), Code::kInvalidArgument);
    EXPECT_EQ(code({"b", "a"}), Code::kInvalidArgument);
    EXPECT_EQ(code({Bytes(options_.limits.key_bytes_max + 1, 'x')}), Code::kInvalidArgument);
    EXPECT_EQ(code(many), Code::kInvalidArgument);
    EXPECT_EQ(kv_->find_keyspace("u"), nullptr);
    EXPECT_EQ(code({Bytes(options_.limits.key_bytes_max, 'x')}), Code::kOk);
}

// ---- writes ----

TEST_F(DividedKeyspace, ACommandOverSeveralShardsIsRefusedWithoutEffect) {
    mvcc::Command command;
    command.operations.push_back(put_of("a", "1"));
    command.operations.push_back(put_of("z", "1"));

    const auto refused = execute(command);

    EXPECT_EQ(refused.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(refused.status().effect(), Effect::kNone);
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("key 'z'"));
    EXPECT_EQ(count(), 0U);
}

TEST_F(DividedKeyspace, EveryKeyOfACommandCountsForWhereItGoes) {
    const auto code = [this](const mvcc::Command& command) {
        return execute(command).status().code();
    };
    mvcc::Command conditional;
    conditional.conditions.push_back(
        {.key = "a", .condition = {.kind = mvcc::ConditionKind::kAbsent}});
    conditional.operations.push_back(put_of("z", "1"));
    EXPECT_EQ(code(conditional), Code::kInvalidArgument);

    mvcc::Command otherwise;
    otherwise.conditions.push_back(
        {.key = "a", .condition = {.kind = mvcc::ConditionKind::kAbsent}});
    otherwise.else_operations.push_back(put_of("z", "1"));
    EXPECT_EQ(code(otherwise), Code::kInvalidArgument);

    const mvcc::Command two_conditions = put_if_absent({"a", "z"}, "aa");
    EXPECT_EQ(code(two_conditions), Code::kInvalidArgument);

    mvcc::Command over_the_border;
    over_the_border.operations.push_back(put_of("a", "1"));
    over_the_border.operations.push_back(put_of("b", "1"));
    EXPECT_EQ(code(over_the_border), Code::kInvalidArgument) << "'b' begins the next shard";

    mvcc::Command within;
    within.conditions.push_back({.key = "c", .condition = {.kind = mvcc::ConditionKind::kAbsent}});
    within.operations.push_back(put_of("d", "1"));
    within.else_operations.push_back(put_of("e", "1"));
    EXPECT_EQ(code(within), Code::kOk);

    put("c", "1");
    mvcc::Operation move = operation_of(mvcc::OperationKind::kMove, "c");
    move.argument = "z";
    EXPECT_EQ(execute(move).status().code(), Code::kInvalidArgument);
    move.argument = "dd";
    EXPECT_TRUE(execute(move).ok());
}

TEST_F(DividedKeyspace, ARangeOverSeveralShardsIsDeletedOneAfterTheOther) {
    for (const char* key : {"a", "c", "d", "n", "z"}) {
        put(key, key);
    }
    mvcc::Operation range = operation_of(mvcc::OperationKind::kDeleteRange, "c");
    range.argument = "n";
    EXPECT_EQ(execute(range).status().code(), Code::kInvalidArgument);
    range.argument = "m";  // the end of the shard
    EXPECT_EQ(done(range).number, 2);

    EXPECT_EQ(*run(kv_->delete_range({}, keyspace_, "b", "z")), 1U);
    EXPECT_EQ(keys({}), "a z");
    EXPECT_EQ(*run(kv_->delete_range({}, keyspace_, "", "")), 2U);
    EXPECT_EQ(count(), 0U);
}

TEST_F(DividedKeyspace, ARangeThatIsDeletedInPartIsOfUnknownEffect) {
    put("a", "1");
    put("z", "1");
    const auto refuse = [this](const ShardHandle& shard) {
        host_->find_raft_group(shard->id())->refuse_proposals();
    };
    refuse(keyspace_->shards().back());
    EXPECT_EQ(run(kv_->delete_range({}, keyspace_, "", "")).status().effect(), Effect::kUnknown);
    EXPECT_EQ(value("a"), std::nullopt);

    refuse(keyspace_->shards().front());
    EXPECT_EQ(run(kv_->delete_range({}, keyspace_, "", "")).status().effect(), Effect::kNone);
}

TEST_F(DividedKeyspace, ABatchIsDoneByEachShardForItself) {
    put("z", "old");
    std::vector<mvcc::Operation> operations{
        put_of("z", "1"), put_of("a", "1"), put_of("zz", "1"), put_of("c", "1")};
    operations[0].condition.kind = mvcc::ConditionKind::kAbsent;

    const auto batch = run(kv_->execute_batch({}, keyspace_, &operations));

    ASSERT_TRUE(batch.ok());
    ASSERT_EQ(batch->operations.size(), 4U);
    EXPECT_EQ(batch->operations[0]->code, Code::kConflict);
    for (const std::size_t done : {1U, 2U, 3U}) {
        EXPECT_EQ(batch->operations[done]->code, Code::kOk);
    }
    EXPECT_EQ(batch->revision, Revision());
    EXPECT_EQ(value("z"), "old");
    EXPECT_EQ(value("zz"), "1");
}

TEST_F(DividedKeyspace, ABatchTellsOfWhichItemsNothingIsKnown) {
    std::vector<mvcc::Operation> operations{put_of("a", "1"), put_of("z", "1")};
    host_->find_raft_group(keyspace_->shards().back()->id())->refuse_proposals();

    const auto batch = run(kv_->execute_batch({}, keyspace_, &operations));

    ASSERT_TRUE(batch.ok()) << batch.status().to_string();
    EXPECT_TRUE(batch->operations[0].ok());
    EXPECT_EQ(batch->operations[1].status().code(), Code::kUnavailable);
    EXPECT_EQ(value("a"), "1");
}

TEST_F(DividedKeyspace, ABatchOfWhichNothingWasDoneIsAnError) {
    std::vector<mvcc::Operation> operations{put_of("a", "1"), put_of("z", "1")};
    host_->find_raft_group(keyspace_->shards().front()->id())->refuse_proposals();
    host_->find_raft_group(keyspace_->shards().back()->id())->refuse_proposals();

    const auto batch = run(kv_->execute_batch({}, keyspace_, &operations));

    EXPECT_EQ(batch.status().code(), Code::kUnavailable);
    EXPECT_EQ(batch.status().effect(), Effect::kNone);
}

// ---- reads ----

TEST_F(DividedKeyspace, GivesSeveralKeysInTheOrderOfTheQuestion) {
    for (const char* key : {"a", "c", "n", "z"}) {
        put(key, std::string("of ") + key);
    }
    const Keys wanted{"z", "q", "a", "n", "a", "c"};

    const auto found = run(kv_->get_many({}, keyspace_, wanted));

    ASSERT_TRUE(found.ok());
    std::string values;
    for (const auto& record : *found) {
        values += (record ? record->value : Bytes("-")) + " ";
    }
    EXPECT_EQ(values, "of z - of a of n of a of c ");
    EXPECT_EQ(run(kv_->get_many({}, keyspace_, wanted, 15)).status().code(), Code::kTooLarge);
    EXPECT_TRUE(run(kv_->get_many({}, keyspace_, {}))->empty());
}

TEST_F(DividedKeyspace, TheSessionHasSeenWhatItReadOfEachShard) {
    put("a", "1");
    put("z", "1");
    const CallContext context = with_session();

    ASSERT_TRUE(run(kv_->get_many(context, keyspace_, {"a", "z"})).ok());
    const std::vector<mvcc::Operation> operations{put_of("c", "1")};
    ASSERT_TRUE(run(kv_->execute_batch(context, keyspace_, &operations)).ok());

    EXPECT_THAT(seen_by(context), ElementsAre(1, 1, 0, 1));
}

TEST_F(DividedKeyspace, TheSessionHasSeenWhatItWroteToEachShard) {
    const CallContext context = with_session();
    mvcc::Command command;
    command.operations.push_back(put_of("n", "1"));
    ASSERT_TRUE(execute(command, context).ok());
    EXPECT_THAT(seen_by(context), ElementsAre(0, 0, 1, 0));

    const std::vector<mvcc::Operation> operations{put_of("z", "1"), put_of("c", "1")};
    ASSERT_TRUE(run(kv_->execute_batch(context, keyspace_, &operations)).ok());
    EXPECT_THAT(seen_by(context), ElementsAre(0, 1, 1, 1));
}

TEST_F(DividedKeyspace, WhatASessionHasSeenOfOneShardHoldsUpNoOther) {
    put("a", "1");
    put("z", "1");
    const CallContext context = with_session();
    context.session->note(keyspace_->shards().back()->id(), Revision(2));
    const auto find = [&](ByteView key) {
        storage::Lookup lookup = storage::Lookup::kAbsent;
        on_core([&] {
            mvcc::Record record;
            lookup = kv_->find(context, *keyspace_, key, &record);
        });
        return lookup;
    };

    EXPECT_EQ(find("a"), storage::Lookup::kFound);
    EXPECT_EQ(find("z"), storage::Lookup::kMustLoad);
}

TEST_F(DividedKeyspace, AReadOfSeveralShardsFailsWhereOneOfThemDoes) {
    put("a", "1");
    put("z", "1");
    ASSERT_TRUE(run(host_->drop_shard(keyspace_->shards().back()->id())).ok());

    EXPECT_EQ(run(kv_->get_many({}, keyspace_, {"a", "z"})).status().code(), Code::kUnavailable);
    EXPECT_EQ(scan({}).status().code(), Code::kUnavailable);
    EXPECT_EQ(run(kv_->count_keys({}, keyspace_)).status().code(), Code::kUnavailable);
    EXPECT_EQ(value("a"), "1");
}

TEST_F(DividedKeyspace, APageOverSeveralShardsHasItsBoundInBytes) {
    for (const char* key : {"a", "c", "n", "z"}) {
        put(key, Bytes(1'000, 'v'));
    }
    for (const bool is_reverse : {false, true}) {
        mvcc::ScanRequest request{.reverse = is_reverse, .bytes_max = 2'500};
        std::string pages;
        for (bool has_more = true; has_more;) {
            auto page = scan(request);
            ASSERT_TRUE(page.ok());
            EXPECT_EQ(page->count, page->rows.size());
            for (const mvcc::ScanRow& row : page->rows) {
                pages += row.key;
            }
            has_more = page->has_more;
            pages += has_more ? "|" : "";
            (is_reverse ? request.to : request.from) = std::move(page->next);
        }
        EXPECT_EQ(pages, is_reverse ? "zn|ca" : "ac|nz");
    }
}

TEST_F(DividedKeyspace, ARangeIsInTheShardsThatHoldItsKeysAndNoOther) {
    const auto overlapping = [this](ByteView from, ByteView to) {
        std::string starts;
        for (const ShardHandle& shard : keyspace_->overlapping(from, to)) {
            starts += "[" + shard->range_start();
        }
        return starts;
    };

    EXPECT_EQ(overlapping("b", "m"), "[b");
    EXPECT_EQ(overlapping("a", "b"), "[");
    EXPECT_EQ(overlapping("a", "bb"), "[[b");
    EXPECT_EQ(overlapping("m", ""), "[m[t");
    EXPECT_EQ(overlapping("", ""), "[[b[m[t");
}

TEST_F(DividedKeyspace, HasNoRevisionsInCommon) {
    put("a", "1");

    EXPECT_EQ(scan({.as_of = Revision(1)}).status().code(), Code::kInvalidArgument);
    EXPECT_EQ(scan({}).value().revision, Revision());
    EXPECT_EQ(value("a", Revision(1)), "1") << "of one key, a revision is of its shard";
}

// A keyspace of four shards answers every scan as one of a single shard with the same keys.
TEST_F(DividedKeyspace, ScansAsIfItWereOneShard) {
    const KeyspaceHandle divided = keyspace_;
    const KeyspaceHandle whole = create("whole");
    Random random(7);
    const auto random_key = [&random] {
        Bytes key;
        for (std::uint64_t i = random.below(3); i > 0; --i) {
            key.push_back(static_cast<char>('a' + random.below(26)));
        }
        return key;
    };
    for (int i = 0; i < 150; ++i) {
        const Bytes key = random_key();
        for (const KeyspaceHandle& each : {divided, whole}) {
            keyspace_ = each;
            put(key, std::to_string(i));
        }
    }
    for (int i = 0; i < 300; ++i) {
        mvcc::ScanRequest request;
        request.from = random_key();
        request.to = random_key();
        request.reverse = random.chance(1, 2);
        request.keys_only = random.chance(1, 3);
        request.count_only = random.chance(1, 4);
        request.limit = random.below(12);
        request.bytes_max = random.chance(1, 2) ? random.below(60) + 1 : request.bytes_max;
        std::vector<std::string> shown;
        for (const KeyspaceHandle& each : {divided, whole}) {
            mvcc::ScanRequest next = request;
            std::string rows;
            std::uint64_t counted = 0;
            for (bool has_more = true; has_more;) {
                keyspace_ = each;
                auto page = scan(next);
                ASSERT_TRUE(page.ok()) << page.status().to_string();
                EXPECT_TRUE(request.limit == 0 || page->rows.size() <= request.limit);
                for (const mvcc::ScanRow& row : page->rows) {
                    rows += row.key + "=" + row.value + " ";
                }
                counted += page->count;
                has_more = page->has_more;
                (next.reverse ? next.to : next.from) = std::move(page->next);
            }
            shown.push_back(rows + std::to_string(counted));
        }
        ASSERT_EQ(shown[0], shown[1]) << request.from << " to " << request.to;
    }
}

}  // namespace
}  // namespace kvstore::kv
