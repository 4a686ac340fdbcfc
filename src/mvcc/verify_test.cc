// Damage of every kind, done to a sound shard: none may pass.
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"
#include "mvcc/testing/shard_fixture.h"

namespace kvstore::mvcc {
namespace {

using storage::Table;
using testing::ShardFixture;
using Rows = testing::MapEngine::Rows;

void fill(ShardFixture& fixture) {
    fixture.put("old", "one");
    fixture.put("still", "one");
    fixture.compact(Revision(2));
    fixture.sweep();
    fixture.put("old", "two");
    fixture.put_until("expiring", "v", fixture.now_ms() + 10);
    fixture.erase("still");
    fixture.put("new", "v");
    ASSERT_TRUE(fixture.verify().ok());
}

Rows::iterator nth(Rows& rows, int n) {
    return std::next(rows.begin(), n);
}

class VerifyDamage : public ::testing::Test {
protected:
    VerifyDamage() { fill(fixture_); }

    Rows& rows(Table table) { return fixture_.engine().rows(table); }
    void expect_found(std::string_view words) {
        const Status verified = fixture_.verify();
        EXPECT_EQ(verified.code(), Code::kCorruption);
        EXPECT_NE(verified.message().find(words), std::string_view::npos) << verified.to_string();
    }
    template <typename Change>
    void damage_state(Change change) {
        ShardState state = fixture_.state();
        change(state);
        const auto raw = internal::encode_state(state, fixture_.shard().applied_index());
        rows(Table::kMeta)["shard"] = Bytes(raw.data(), raw.size());
    }

    ShardFixture fixture_;
};

TEST_F(VerifyDamage, OfAValueIsFound) {
    rows(Table::kCurrent)["new"].back() = 'w';
    expect_found("digest");
}

TEST_F(VerifyDamage, OfARecordIsFound) {
    rows(Table::kCurrent)["new"] = "garbage";
    expect_found("unreadable record of key \"new\"");
}

TEST_F(VerifyDamage, ByALostRecordIsFound) {
    rows(Table::kCurrent).erase("new");
    expect_found("records: 2 found, 3 expected");
}

TEST_F(VerifyDamage, ByALostExpiryEntryIsFound) {
    rows(Table::kExpiry).clear();
    expect_found("no expiry entry of key \"expiring\"");
}

TEST_F(VerifyDamage, ByAnExpiryEntryTooManyIsFound) {
    rows(Table::kExpiry)["8 bytes.and a key"] = "";
    expect_found("expiry entries: 2 found, 1 expected");
    rows(Table::kExpiry)["short"] = "";
    expect_found("unreadable expiry entry");
}

TEST_F(VerifyDamage, ByALostLogEntryIsFound) {
    rows(Table::kLog).erase(nth(rows(Table::kLog), 1));
    expect_found("the log leaves out a change");
}

TEST_F(VerifyDamage, ByALostLastLogEntryIsFound) {
    rows(Table::kLog).erase(nth(rows(Table::kLog), 3));
    expect_found("the log's last revision: 5 found, 6 expected");
}

TEST_F(VerifyDamage, OfALogEntryIsFound) {
    nth(rows(Table::kLog), 0)->second = "garbage";
    expect_found("unreadable log entry");
}

TEST_F(VerifyDamage, OfTheRecordInALogEntryIsFound) {
    nth(rows(Table::kLog), 3)->second.back() = 'w';
    expect_found("the newest change is not what is stored, of key \"new\"");
}

TEST_F(VerifyDamage, ByLostIndexEntriesIsFound) {
    rows(Table::kIndex).clear();
    expect_found("no index entry of the newest record");
}

TEST_F(VerifyDamage, ByALostTombstoneIsFound) {
    Bytes key;
    internal::make_index_key("still", Revision(5), key);
    ASSERT_EQ(rows(Table::kIndex).erase(key), 1U);
    expect_found("no index entry of a logged change of key \"still\"");
}

TEST_F(VerifyDamage, OfAnIndexEntryIsFound) {
    Bytes key;
    internal::make_index_key("still", Revision(2), key);
    ASSERT_TRUE(rows(Table::kIndex).contains(key)) << "the base";
    rows(Table::kIndex)[key] = "garbage";
    expect_found("unreadable index entry of key \"still\"");
    rows(Table::kIndex)[key] = Bytes(internal::kBaseHead) + "garbage";
    expect_found("wrong base in the index of key \"still\"");
    internal::make_index_value(internal::IndexEntry::Kind::kPut, 0, rows(Table::kIndex)[key]);
    expect_found("the log has not what the index names, of key \"still\"");
    rows(Table::kIndex)["garbage"] = "";
    expect_found("unreadable index key");
}

TEST_F(VerifyDamage, OfTheStateIsFound) {
    damage_state([](ShardState& state) { ++state.digest; });
    expect_found("digest");
    damage_state([](ShardState& state) { ++state.key_count; });
    expect_found("records");
    damage_state([](ShardState& state) { ++state.expiring_key_count; });
    expect_found("expiring records");
    damage_state([](ShardState& state) { state.revision = Revision(5); });
    expect_found("newer than the shard");
    damage_state([](ShardState& state) { state.revision = Revision(7); });
    expect_found("the log's last revision");
    damage_state([](ShardState& state) { state.last_stamp = Version(1); });
    expect_found("newer than the shard");
    rows(Table::kMeta)["shard"] = "garbage";
    expect_found("state is unreadable");
}

}  // namespace
}  // namespace kvstore::mvcc
