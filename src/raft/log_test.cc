#include "raft/log.h"

#include <gtest/gtest.h>

#include "raft/testing/memory_log.h"

namespace kvstore::raft {
namespace {

using testing::MemoryLog;

Entry entry(std::uint64_t term, std::uint64_t index, ByteView data = "x") {
    return {Term(term), Index(index), EntryKind::kCommand, Payload::copy_of(data)};
}

Config small_config() {
    Config config;
    config.id = NodeId(1);
    return config;
}

// A log with durable entries 1 to 3 of term 1.
class RaftLog : public ::testing::Test {
protected:
    RaftLog() {
        view_.write({entry(1, 1), entry(1, 2), entry(1, 3)});
        log_.emplace(view_, small_config());
    }

    MemoryLog view_;
    std::optional<Log> log_;
};

TEST_F(RaftLog, BeginsWithWhatIsDurable) {
    EXPECT_EQ(log_->last_index(), Index(3));
    EXPECT_EQ(log_->durable(), Index(3));
    EXPECT_EQ(log_->term(Index(3)), Term(1));
    EXPECT_EQ(log_->term(Index(4)), std::nullopt);
    EXPECT_FALSE(log_->has_entries_to_persist());
}

TEST_F(RaftLog, PrefersTheLaterTermAndThenTheLongerLog) {
    EXPECT_TRUE(log_->is_up_to_date(Index(1), Term(2)));
    EXPECT_TRUE(log_->is_up_to_date(Index(3), Term(1)));
    EXPECT_FALSE(log_->is_up_to_date(Index(2), Term(1)));
    EXPECT_FALSE(log_->is_up_to_date(Index(9), Term(0)));
}

TEST_F(RaftLog, ReplacesWhatFollowsAConflict) {
    log_->append({entry(2, 2), entry(2, 3), entry(2, 4)});
    EXPECT_EQ(log_->term(Index(1)), Term(1));
    EXPECT_EQ(log_->term(Index(2)), Term(2));
    EXPECT_EQ(log_->durable(), Index(1));

    log_->append({entry(3, 3)});

    EXPECT_EQ(log_->last_index(), Index(3));
    EXPECT_EQ(log_->term(Index(3)), Term(3));
}

TEST_F(RaftLog, FindsWhatItLacks) {
    EXPECT_EQ(log_->first_difference({entry(1, 2), entry(1, 3)}), std::nullopt);
    EXPECT_EQ(log_->first_difference({entry(1, 3), entry(1, 4)}), 1U);
    EXPECT_EQ(log_->first_difference({entry(2, 3)}), 0U);
}

// A, then B, then A again at one index, all in flight: nothing is durable before the
// last of the writes is, although the terms look right after the first.
TEST_F(RaftLog, IsDurableOnlyWhenTheLastWriteOfAnIndexIs) {
    log_->append({entry(2, 4)});
    EXPECT_EQ(log_->take_entries_to_persist(1).size(), 1U);
    log_->append({entry(3, 4)});
    EXPECT_EQ(log_->take_entries_to_persist(2).size(), 1U);
    log_->append({entry(2, 4)});
    EXPECT_EQ(log_->take_entries_to_persist(3).size(), 1U);

    log_->on_persisted(1);
    EXPECT_EQ(log_->durable(), Index(3));
    log_->on_persisted(2);
    EXPECT_EQ(log_->durable(), Index(3));
    log_->on_persisted(3);
    EXPECT_EQ(log_->durable(), Index(4));
}

TEST_F(RaftLog, KeepsThePartOfAWriteThatIsNotReplaced) {
    log_->append({entry(2, 4), entry(2, 5), entry(2, 6)});
    EXPECT_EQ(log_->take_entries_to_persist(1).size(), 3U);
    log_->append({entry(3, 6)});

    log_->on_persisted(1);

    EXPECT_EQ(log_->durable(), Index(5));
    EXPECT_TRUE(log_->has_entries_to_persist());
}

TEST_F(RaftLog, AppliesWhatIsCommittedAndDurableInPages) {
    Config config = small_config();
    config.apply_bytes_max = 2 * entry_bytes(entry(1, 1));
    Log log(view_, config);
    log.append({entry(2, 4)});
    log.commit_to(Index(4));

    std::vector<Entry> page;
    EXPECT_EQ(log.take_entries_to_apply(page), LogAnswer::kOk);
    EXPECT_EQ(page.size(), 2U);
    EXPECT_FALSE(log.has_entries_to_apply());

    EXPECT_EQ(log.on_applied(Index(2)), 2U);
    page.clear();
    EXPECT_EQ(log.take_entries_to_apply(page), LogAnswer::kOk);
    EXPECT_EQ(page.size(), 1U) << "the fourth is not durable";
}

TEST_F(RaftLog, MayApplyWithThePersistThatCarriesTheEntry) {
    Config config = small_config();
    config.apply = ApplyMode::kWithPersist;
    Log log(view_, config);
    log.append({entry(2, 4)});
    log.commit_to(Index(4));

    std::vector<Entry> page;
    EXPECT_EQ(log.take_entries_to_apply(page), LogAnswer::kOk);

    EXPECT_EQ(page.size(), 4U);
}

TEST_F(RaftLog, ReadsAcrossTheBorderOfWhatIsDurable) {
    log_->append({entry(2, 4), entry(2, 5)});

    std::vector<Entry> all;
    EXPECT_EQ(log_->entries(Index(2), 1U << 20U, all), LogAnswer::kOk);
    EXPECT_EQ(all.size(), 4U);

    std::vector<Entry> few;
    EXPECT_EQ(log_->entries(Index(3), 2 * entry_bytes(entry(1, 1)), few), LogAnswer::kOk);
    EXPECT_EQ(few.size(), 2U);

    std::vector<Entry> one;
    EXPECT_EQ(log_->entries(Index(4), 0, one), LogAnswer::kOk);
    EXPECT_EQ(one.size(), 1U) << "the first always passes";
}

TEST_F(RaftLog, SaysWhenEntriesAreNotAtHand) {
    view_.set_cold_below(Index(3));
    std::vector<Entry> out;

    EXPECT_EQ(log_->entries(Index(2), 100, out), LogAnswer::kNotLoaded);
    EXPECT_EQ(log_->entries(Index(3), 100, out), LogAnswer::kOk);
}

TEST_F(RaftLog, BecomesASnapshotAndAppliesNothingBeforeItIsInstalled) {
    auto meta = std::make_shared<SnapshotMeta>();
    meta->index = Index(9);
    meta->term = Term(4);
    log_->restore(meta);
    EXPECT_EQ(log_->first_index(), Index(10));
    EXPECT_EQ(log_->term(Index(9)), Term(4));
    EXPECT_TRUE(log_->has_snapshot_to_install());

    EXPECT_EQ(log_->take_snapshot_to_install(7), meta);
    EXPECT_FALSE(log_->has_snapshot_to_install());
    EXPECT_EQ(log_->on_persisted(6), nullptr);
    EXPECT_TRUE(log_->is_installing());
    view_.install(meta);

    EXPECT_EQ(log_->on_persisted(7), meta);
    EXPECT_FALSE(log_->is_installing());
}

TEST_F(RaftLog, FindsWhereTwoLogsCanAgreeAtMost) {
    log_->append({entry(3, 4), entry(5, 5), entry(5, 6)});

    EXPECT_EQ(log_->last_not_above(Index(6), Term(4)).index, Index(4));
    EXPECT_EQ(log_->last_not_above(Index(6), Term(5)).index, Index(6));
    EXPECT_EQ(log_->last_not_above(Index(3), Term(2)).index, Index(3));
    EXPECT_EQ(log_->last_not_above(Index(3), Term(0)).index, Index(0));
}

TEST_F(RaftLog, AnOlderWriteStaysDurableWhenANewerOneIsReplacedWhole) {
    log_->append({entry(2, 4), entry(2, 5)});
    static_cast<void>(log_->take_entries_to_persist(1));
    log_->append({entry(2, 6), entry(2, 7)});
    static_cast<void>(log_->take_entries_to_persist(2));

    log_->append({entry(3, 6)});
    static_cast<void>(log_->on_persisted(2));
    EXPECT_EQ(log_->durable(), Index(5)) << "what is durable of 6 is another entry";

    static_cast<void>(log_->take_entries_to_persist(3));
    static_cast<void>(log_->on_persisted(3));
    EXPECT_EQ(log_->durable(), Index(6));
}

TEST_F(RaftLog, SaysWhatIsCompactedAway) {
    auto snapshot = std::make_shared<SnapshotMeta>();
    snapshot->index = Index(2);
    snapshot->term = Term(1);
    view_.offer(snapshot);
    view_.compact(Index(2));
    std::vector<Entry> out;

    EXPECT_EQ(log_->slice(Index(2), Index(4), SIZE_MAX, out), LogAnswer::kCompacted);
    EXPECT_EQ(log_->slice(Index(3), Index(4), SIZE_MAX, out), LogAnswer::kOk);
    EXPECT_EQ(out.size(), 1U);
}

}  // namespace
}  // namespace kvstore::raft
