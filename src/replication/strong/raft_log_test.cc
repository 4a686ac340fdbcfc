#include "replication/strong/raft_log.h"

#include <string>

#include <gtest/gtest.h>

namespace kvstore::replication {
namespace {

raft::Entry entry(std::uint64_t index, std::uint64_t term, std::size_t size = 10) {
    return {.term = Term(term),
            .index = Index(index),
            .data = raft::Payload::copy_of(std::string(size, 'x'))};
}

std::size_t bytes_of(std::size_t count) {
    return count * raft::entry_bytes(entry(1, 1));
}

class RaftLogOfFive : public ::testing::Test {
protected:
    RaftLogOfFive() {
        log_.restart(Index(10), Term(2));
        for (std::uint64_t index = 11; index <= 15; ++index) {
            EXPECT_TRUE(log_.append(entry(index, index < 14 ? 2 : 3)));
        }
    }
    RaftLog log_;
};

TEST_F(RaftLogOfFive, KnowsItsEndsAndTheTermBeforeTheFirst) {
    EXPECT_EQ(log_.first_index(), Index(11));
    EXPECT_EQ(log_.last_index(), Index(15));
    EXPECT_EQ(log_.term(Index(10)), Term(2));
    EXPECT_EQ(log_.term(Index(15)), Term(3));
    EXPECT_EQ(log_.term(Index(9)), std::nullopt);
    EXPECT_EQ(log_.term(Index(16)), std::nullopt);
    EXPECT_EQ(log_.find(Index(10)), nullptr);
    EXPECT_EQ(log_.bytes(), bytes_of(5));
}

TEST_F(RaftLogOfFive, AnEntryInThePlaceOfAnotherEndsWhatFollowedIt) {
    EXPECT_TRUE(log_.append(entry(12, 4)));
    EXPECT_EQ(log_.last_index(), Index(12));
    EXPECT_EQ(log_.term(Index(12)), Term(4));
    EXPECT_EQ(log_.bytes(), bytes_of(2));
}

TEST_F(RaftLogOfFive, RefusesGapsAndWhatLiesBeforeItsFirst) {
    EXPECT_FALSE(log_.append(entry(17, 3)));
    EXPECT_FALSE(log_.append(entry(10, 3)));
    EXPECT_EQ(log_.last_index(), Index(15));
}

TEST_F(RaftLogOfFive, GivesEntriesUpToABoundInBytesAndAtLeastOne) {
    std::vector<raft::Entry> entries;
    EXPECT_EQ(log_.entries(Index(12), Index(16), bytes_of(2), entries), raft::LogAnswer::kOk);
    EXPECT_EQ(entries.size(), 2U);
    entries.clear();
    EXPECT_EQ(log_.entries(Index(12), Index(16), 1, entries), raft::LogAnswer::kOk);
    EXPECT_EQ(entries.size(), 1U);
    EXPECT_EQ(log_.entries(Index(10), Index(16), 1, entries), raft::LogAnswer::kCompacted);
}

TEST_F(RaftLogOfFive, TrimsWhatIsAppliedAndNoMoreThanNeeded) {
    log_.trim(Index(14), bytes_of(3));
    EXPECT_EQ(log_.first_index(), Index(13));
    EXPECT_EQ(log_.term(Index(12)), Term(2));
    log_.trim(Index(14), 0);
    EXPECT_EQ(log_.first_index(), Index(15)) << "the last one is not applied";
    EXPECT_EQ(log_.start_term(), Term(3));
    EXPECT_EQ(log_.last_index(), Index(15));
}

TEST_F(RaftLogOfFive, BeginsAnewBehindASnapshot) {
    log_.restart(Index(100), Term(7));
    EXPECT_TRUE(log_.empty());
    EXPECT_EQ(log_.first_index(), Index(101));
    EXPECT_EQ(log_.last_index(), Index(100));
    EXPECT_EQ(log_.bytes(), 0U);
    EXPECT_TRUE(log_.append(entry(101, 7)));
}

}  // namespace
}  // namespace kvstore::replication
