// Scans: ranges, pages and how they continue, both ways, now and in the past.
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "base/random.h"
#include "kv/testing/kv_fixture.h"

namespace kvstore::kv {
namespace {

using std::chrono::milliseconds;
using testing::KvFixture;
using testing::put_of;

class KvScan : public KvFixture {
protected:
    KvScan() { must_open(); }

    void put_all(std::initializer_list<const char*> keys) {
        for (const char* key : keys) {
            put(key, std::string("value of ") + key);
        }
    }
    // Every page of a scan, joined by '|'.
    std::string pages(mvcc::ScanRequest request) {
        std::string joined;
        for (bool has_more = true; has_more;) {
            auto page = scan(request);
            EXPECT_TRUE(page.ok()) << page.status().to_string();
            if (!page.ok()) {
                return "failed";
            }
            joined += joined.empty() ? "" : "|";
            for (std::size_t i = 0; i < page->rows.size(); ++i) {
                joined += (i == 0 ? "" : " ") + page->rows[i].key;
            }
            EXPECT_EQ(page->count, page->rows.size());
            has_more = page->has_more;
            (request.reverse ? request.to : request.from) = std::move(page->next);
        }
        return joined;
    }
};

TEST_F(KvScan, GivesARangeInOrderWithItsValues) {
    put_all({"b", "a", "c", "aa"});
    const auto page = scan({.from = "a", .to = "c"});

    ASSERT_TRUE(page.ok());
    ASSERT_EQ(page->rows.size(), 3U);
    EXPECT_EQ(page->rows[1].key, "aa");
    EXPECT_EQ(page->rows[1].value, "value of aa");
    EXPECT_EQ(page->rows[0].record.create_revision, Revision(2));
    EXPECT_FALSE(page->has_more);
    EXPECT_EQ(page->revision, Revision(4));
    EXPECT_EQ(keys({}), "a aa b c");
    EXPECT_EQ(keys({.from = "aa"}), "aa b c");
    EXPECT_EQ(keys({.to = "aa"}), "a");
    EXPECT_EQ(keys({.from = "d"}), "");
    EXPECT_EQ(keys({.from = "c", .to = "a"}), "");
}

TEST_F(KvScan, GivesAPrefixAlsoOfBytesThatAreAllOnes) {
    put_all({"user:1", "user:2", "user;", "user"});
    const Bytes ones("\xff\xff", 2);
    put(ones + "x", "v");

    EXPECT_EQ(keys({.from = "user:", .to = prefix_end("user:")}), "user:1 user:2");
    EXPECT_EQ(keys({.from = ones, .to = prefix_end(ones)}), ones + "x");
}

TEST_F(KvScan, ContinuesPageByPageBothWays) {
    put_all({"a", "b", "c", "d", "e"});

    EXPECT_EQ(pages({.limit = 2}), "a b|c d|e");
    EXPECT_EQ(pages({.reverse = true, .limit = 2}), "e d|c b|a");
    EXPECT_EQ(pages({.from = "b", .to = "e", .limit = 1}), "b|c|d");
    EXPECT_EQ(pages({.from = "b", .to = "e", .reverse = true, .limit = 1}), "d|c|b");
    EXPECT_EQ(pages({.limit = 5}), "a b c d e") << "a full page may be the last";
    EXPECT_EQ(pages({.limit = 0}), "a b c d e");
}

TEST_F(KvScan, APageHasABoundInRowsWhateverIsAskedFor) {
    options_.limits.scan_rows_max = 2;
    reopen();
    put_all({"a", "b", "c", "d", "e"});

    EXPECT_EQ(pages({.limit = 1'000'000}), "a b|c d|e");
    EXPECT_EQ(pages({.limit = 0}), "a b|c d|e");
    EXPECT_EQ(pages({.limit = 1}), "a|b|c|d|e");
}

TEST_F(KvScan, APageHasABoundInBytesAndAtLeastOneRow) {
    for (const char* key : {"a", "b", "c"}) {
        put(key, Bytes(1'000, 'v'));
    }

    EXPECT_EQ(pages({.bytes_max = 2'100}), "a b|c");
    EXPECT_EQ(pages({.bytes_max = 10}), "a|b|c");
    EXPECT_EQ(pages({.keys_only = true, .bytes_max = 10}), "a b c");
}

TEST_F(KvScan, GivesKeysAloneAndCountsAlone) {
    put_all({"a", "b", "c"});
    const auto keys_only = scan({.keys_only = true});
    const auto counted = scan({.count_only = true});
    const auto counted_range = scan({.from = "b", .count_only = true, .limit = 1});

    EXPECT_EQ(keys_only->rows.size(), 3U);
    EXPECT_EQ(keys_only->rows[0].value, "");
    EXPECT_NE(keys_only->rows[0].record.mod_revision, Revision());
    EXPECT_EQ(counted->count, 3U);
    EXPECT_TRUE(counted->rows.empty());
    EXPECT_EQ(counted_range->count, 2U) << "whatever the limit";
}

TEST_F(KvScan, HidesWhatHasRunOutFromRowsAndCounts) {
    put_all({"a", "c"});
    mvcc::Operation operation = put_of("b", "v");
    operation.expiry_mode = mvcc::ExpiryMode::kAt;
    operation.expires_at_ms = now_ms() + 30;
    done(operation);
    EXPECT_EQ(keys({}), "a b c");
    world_.run_for(milliseconds(40));

    EXPECT_EQ(keys({}), "a c");
    EXPECT_EQ(pages({.limit = 1}), "a|c");
    EXPECT_EQ(scan({.count_only = true})->count, 2U);
    EXPECT_EQ(scan({.from = "b", .count_only = true})->count, 1U);
}

TEST_F(KvScan, ShowsTheKeyspaceAsOfARevision) {
    put_all({"a", "b"});  // 1, 2
    erase("a");           // 3
    put("b", "new");      // 4
    put_all({"c"});       // 5
    const auto then = scan({.as_of = Revision(2)});

    EXPECT_EQ(keys({.as_of = Revision(2)}), "a b");
    EXPECT_EQ(then->rows[1].value, "value of b");
    EXPECT_EQ(then->revision, Revision(2));
    EXPECT_EQ(keys({.reverse = true, .as_of = Revision(4)}), "b");
    EXPECT_EQ(scan({.count_only = true, .as_of = Revision(2)})->count, 2U);
    EXPECT_EQ(pages({.limit = 1, .as_of = Revision(2)}), "a|b");
    EXPECT_EQ(scan({.as_of = Revision(6)}).status().code(), Code::kFutureRevision);
}

TEST_F(KvScan, RefusesARevisionThatIsNoLongerKept) {
    keyspace_ = create("short", std::chrono::seconds(0));
    put_all({"a", "b"});

    EXPECT_EQ(scan({.as_of = Revision(1)}).status().code(), Code::kCompacted);
    EXPECT_EQ(keys({.as_of = Revision(2)}), "a b") << "the newest is always there";
}

// Pages of one revision fit together whatever is written between them.
TEST_F(KvScan, PagesAsOfARevisionAreOneMomentUnderWrites) {
    std::map<Bytes, Bytes> model;
    for (int i = 0; i < 50; ++i) {
        const std::string key = "k" + std::to_string(100 + i);
        put(key, "old");
        model[key] = "old";
    }
    mvcc::ScanRequest request{.limit = 7, .as_of = revision()};
    Random random(7);
    std::map<Bytes, Bytes> seen;
    for (bool has_more = true; has_more;) {
        auto page = scan(request);
        ASSERT_TRUE(page.ok());
        for (mvcc::ScanRow& row : page->rows) {
            seen.emplace(std::move(row.key), std::move(row.value));
        }
        has_more = page->has_more;
        request.from = std::move(page->next);
        const std::string key = "k" + std::to_string(100 + random.below(60));
        random.chance(1, 2) ? put(key, "new") : erase(key);
    }

    EXPECT_EQ(seen, model);
}

TEST_F(KvScan, FindsTheSameAfterARestart) {
    put_all({"a", "b", "c"});
    erase("b");
    crash();
    must_open();

    EXPECT_EQ(keys({}), "a c");
    EXPECT_EQ(keys({.as_of = Revision(3)}), "a b c");
}

}  // namespace
}  // namespace kvstore::kv
