#include "kv/remote_read.h"

#include <string>

#include <gtest/gtest.h>

namespace kvstore::kv {
namespace {

RemoteRead read_of_keys() {
    RemoteRead read;
    read.consistency = Consistency::kBounded;
    read.max_staleness_ms = 700;
    read.session = "token";
    read.keys = {"a", Bytes("\0b", 2), ""};
    read.as_of = Revision(9);
    read.values_bytes_max = 1U << 30U;
    return read;
}

RemoteRead read_of_range() {
    RemoteRead read;
    read.consistency = Consistency::kEventual;
    mvcc::ScanRequest& scan = read.scan.emplace();
    scan.from = "a";
    scan.to = "b";
    scan.reverse = true;
    scan.keys_only = true;
    scan.count_only = true;
    scan.limit = 17;
    scan.bytes_max = 4096;
    scan.as_of = Revision(3);
    return read;
}

OwnedRecord record_of(Bytes value) {
    OwnedRecord owned{.value = std::move(value), .record = {}};
    owned.record.version = Version(123456, 7);
    owned.record.create_revision = Revision(2);
    owned.record.mod_revision = Revision(5);
    owned.record.version_count = 3;
    owned.record.lease = 11;
    owned.record.expires_at_ms = 99;
    return owned;
}

RemoteAnswer answer_of_records() {
    RemoteAnswer answer;
    answer.session = "seen";
    answer.records.push_back(record_of(Bytes("\0value", 6)));
    answer.records.emplace_back();
    return answer;
}

RemoteAnswer answer_of_page() {
    RemoteAnswer answer;
    mvcc::ScanPage& page = answer.page.emplace();
    page.count = 2;
    page.has_more = true;
    page.next = "n";
    page.revision = Revision(44);
    const OwnedRecord owned = record_of("v");
    page.rows.push_back({.key = "k", .value = owned.value, .record = owned.record});
    return answer;
}

TEST(RemoteRead, AReadOfKeysArrivesWhole) {
    const RemoteRead sent = read_of_keys();
    const auto read = decode_remote_read(encode_remote_read(sent));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->consistency, sent.consistency);
    EXPECT_EQ(read->max_staleness_ms, 700U);
    EXPECT_EQ(read->session, "token");
    EXPECT_EQ(read->keys, sent.keys);
    EXPECT_EQ(read->as_of, Revision(9));
    EXPECT_EQ(read->values_bytes_max, 1U << 30U);
    EXPECT_FALSE(read->scan.has_value());
}

TEST(RemoteRead, AReadOfARangeArrivesWhole) {
    const auto read = decode_remote_read(encode_remote_read(read_of_range()));
    ASSERT_TRUE(read.ok() && read->scan.has_value());
    EXPECT_EQ(read->scan->from, "a");
    EXPECT_EQ(read->scan->to, "b");
    EXPECT_TRUE(read->scan->reverse && read->scan->keys_only && read->scan->count_only);
    EXPECT_EQ(read->scan->limit, 17U);
    EXPECT_EQ(read->scan->bytes_max, 4096U);
    EXPECT_EQ(read->scan->as_of, Revision(3));
}

TEST(RemoteRead, AnswersArriveWithEveryFieldOfTheirRecords) {
    const auto answer = decode_remote_answer(encode_remote_answer(answer_of_records()));
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->session, "seen");
    ASSERT_EQ(answer->records.size(), 2U);
    ASSERT_TRUE(answer->records[0].has_value());
    EXPECT_EQ(answer->records[0]->value, Bytes("\0value", 6));
    EXPECT_EQ(answer->records[0]->record.version, Version(123456, 7));
    EXPECT_EQ(answer->records[0]->record.create_revision, Revision(2));
    EXPECT_EQ(answer->records[0]->record.mod_revision, Revision(5));
    EXPECT_EQ(answer->records[0]->record.version_count, 3U);
    EXPECT_EQ(answer->records[0]->record.lease, 11U);
    EXPECT_EQ(answer->records[0]->record.expires_at_ms, 99U);
    EXPECT_FALSE(answer->records[1].has_value());
}

TEST(RemoteRead, PagesArriveWhole) {
    const auto answer = decode_remote_answer(encode_remote_answer(answer_of_page()));
    ASSERT_TRUE(answer.ok() && answer->page.has_value());
    EXPECT_EQ(answer->page->count, 2U);
    EXPECT_TRUE(answer->page->has_more);
    EXPECT_EQ(answer->page->next, "n");
    EXPECT_EQ(answer->page->revision, Revision(44));
    ASSERT_EQ(answer->page->rows.size(), 1U);
    EXPECT_EQ(answer->page->rows[0].key, "k");
    EXPECT_EQ(answer->page->rows[0].value, "v");
    EXPECT_EQ(answer->page->rows[0].record.mod_revision, Revision(5));
}

RemoteRead question_of_holders() {
    RemoteRead read;
    read.holders =
        HoldersQuestion{.index = Index(300), .wanted = 2, .wait = std::chrono::milliseconds(450)};
    return read;
}

RemoteAnswer answer_of_holders() {
    RemoteAnswer answer;
    answer.holders = Holders{.index = Index(301), .count = 4};
    return answer;
}

TEST(RemoteRead, AQuestionWhoHoldsWhatArrivesWholeAndItsAnswerToo) {
    const auto read = decode_remote_read(encode_remote_read(question_of_holders()));
    ASSERT_TRUE(read.ok() && read->holders.has_value());
    EXPECT_EQ(read->holders->index, Index(300));
    EXPECT_EQ(read->holders->wanted, 2U);
    EXPECT_EQ(read->holders->wait, std::chrono::milliseconds(450));

    const auto answer = decode_remote_answer(encode_remote_answer(answer_of_holders()));
    ASSERT_TRUE(answer.ok() && answer->holders.has_value());
    EXPECT_EQ(answer->holders->index, Index(301));
    EXPECT_EQ(answer->holders->count, 4U);
}

TEST(RemoteRead, AQuestionThatWouldWaitForTooLongIsRefused) {
    RemoteRead read = question_of_holders();
    read.holders->wait = kHoldersWaitMax + std::chrono::milliseconds(1);
    EXPECT_EQ(decode_remote_read(encode_remote_read(read)).status().code(), Code::kCorruption);
}

TEST(RemoteRead, WhatIsCutOrOfAnotherFormatIsRefused) {
    for (const RemoteRead& sent : {read_of_keys(), read_of_range(), question_of_holders()}) {
        const Bytes whole = encode_remote_read(sent);
        for (std::size_t size = 0; size < whole.size(); ++size) {
            EXPECT_EQ(decode_remote_read(ByteView(whole).substr(0, size)).status().code(),
                      Code::kCorruption);
        }
        EXPECT_EQ(decode_remote_read("\x02" + whole.substr(1)).status().code(), Code::kCorruption);
        EXPECT_EQ(decode_remote_read(whole + "x").status().code(), Code::kCorruption);
    }
    for (const RemoteAnswer& sent : {answer_of_records(), answer_of_page(), answer_of_holders()}) {
        const Bytes whole = encode_remote_answer(sent);
        for (std::size_t size = 0; size < whole.size(); ++size) {
            EXPECT_EQ(decode_remote_answer(ByteView(whole).substr(0, size)).status().code(),
                      Code::kCorruption);
        }
        EXPECT_EQ(decode_remote_answer(whole + "x").status().code(), Code::kCorruption);
    }
}

}  // namespace
}  // namespace kvstore::kv
