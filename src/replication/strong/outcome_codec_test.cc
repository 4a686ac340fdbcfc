#include "replication/strong/outcome_codec.h"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/coding.h"

namespace kvstore::replication {
namespace {

// Keeps what it is told, with bytes of its own.
class Heard final : public mvcc::ApplySink {
public:
    virtual ~Heard() = default;
    void on_operation(std::size_t at, const mvcc::OperationResult& result) override {
        EXPECT_EQ(at, operations.size());
        mvcc::OperationResult& kept = operations.emplace_back(result);
        kept.text = bytes.emplace_back(result.text);
        if (kept.previous) {
            kept.previous->value = bytes.emplace_back(result.previous->value);
        }
    }
    void on_command(const mvcc::CommandResult& result) override { command = result; }

    std::vector<mvcc::OperationResult> operations;
    std::optional<mvcc::CommandResult> command;

private:
    std::deque<Bytes> bytes;
};

mvcc::Record full_record() {
    mvcc::Record record;
    record.value = ByteView("va\0ue", 5);
    record.version = Version(1'700'000'000'000, 7);
    record.create_revision = Revision(3);
    record.mod_revision = Revision(1ULL << 40U);
    record.version_count = 12;
    record.lease = UINT64_MAX;
    record.expires_at_ms = 9'000'000'000'000;
    return record;
}

Bytes written(const std::vector<mvcc::OperationResult>& operations,
              const mvcc::CommandResult& command) {
    OutcomeWriter writer;
    for (std::size_t at = 0; at < operations.size(); ++at) {
        writer.on_operation(at, operations[at]);
    }
    writer.on_command(command);
    EXPECT_TRUE(writer.is_whole());
    return writer.bytes();
}

void expect_same(const mvcc::Record& one, const mvcc::Record& other) {
    EXPECT_EQ(one.value, other.value);
    EXPECT_EQ(one.kind, other.kind);
    EXPECT_EQ(one.version, other.version);
    EXPECT_EQ(one.create_revision, other.create_revision);
    EXPECT_EQ(one.mod_revision, other.mod_revision);
    EXPECT_EQ(one.version_count, other.version_count);
    EXPECT_EQ(one.lease, other.lease);
    EXPECT_EQ(one.expires_at_ms, other.expires_at_ms);
}

void expect_comes_back(const mvcc::OperationResult& result) {
    Heard heard;
    ASSERT_TRUE(replay_outcome(written({result}, {}), &heard).ok());
    ASSERT_EQ(heard.operations.size(), 1U);
    const mvcc::OperationResult& back = heard.operations[0];
    EXPECT_EQ(back.code, result.code);
    EXPECT_EQ(back.changed, result.changed);
    EXPECT_EQ(back.had_previous, result.had_previous);
    EXPECT_EQ(back.number, result.number);
    EXPECT_EQ(back.text, result.text);
    ASSERT_EQ(back.previous.has_value(), result.previous.has_value());
    if (result.previous) {
        expect_same(*back.previous, *result.previous);
    }
}

TEST(OutcomeCodec, EveryFieldOfAnOperationComesBack) {
    expect_comes_back({});
    for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
        expect_comes_back({.code = static_cast<Code>(code), .previous = {}, .text = {}});
    }
    for (const std::int64_t number : {INT64_MIN, std::int64_t{-1}, std::int64_t{1}, INT64_MAX}) {
        expect_comes_back({.previous = {}, .number = number, .text = {}});
    }
    expect_comes_back({.changed = true, .previous = {}, .text = "3.14"});
    expect_comes_back({.had_previous = true, .previous = {}, .text = {}});
    expect_comes_back(
        {.code = Code::kConflict, .had_previous = true, .previous = full_record(), .text = {}});
    expect_comes_back({.changed = true, .previous = mvcc::Record{}, .text = ByteView("\0", 1)});
}

TEST(OutcomeCodec, EveryFieldOfACommandComesBack) {
    for (const bool held : {false, true}) {
        const mvcc::CommandResult command{.conditions_held = held,
                                          .revision = Revision(held ? UINT64_MAX : 0),
                                          .stamp = Version(UINT64_MAX - 1),
                                          .changed = !held};
        Heard heard;
        ASSERT_TRUE(replay_outcome(written({}, command), &heard).ok());
        EXPECT_TRUE(heard.operations.empty());
        ASSERT_TRUE(heard.command.has_value());
        EXPECT_EQ(heard.command->conditions_held, command.conditions_held);
        EXPECT_EQ(heard.command->revision, command.revision);
        EXPECT_EQ(heard.command->stamp, command.stamp);
        EXPECT_EQ(heard.command->changed, command.changed);
    }
}

TEST(OutcomeCodec, OperationsComeInTheirOrder) {
    std::vector<mvcc::OperationResult> operations(1'000);
    for (std::size_t i = 0; i < operations.size(); ++i) {
        operations[i].number = static_cast<std::int64_t>(i);
    }
    Heard heard;
    ASSERT_TRUE(replay_outcome(written(operations, {}), &heard).ok());
    ASSERT_EQ(heard.operations.size(), operations.size());
    EXPECT_EQ(heard.operations[999].number, 999);
}

// docs/internals/wire.md shows these bytes.
TEST(OutcomeCodec, AnOutcomeLooksAsItIsDocumented) {
    EXPECT_EQ(written({{.changed = true, .previous = {}, .number = 1, .text = {}}},
                      {.revision = Revision(5), .stamp = Version(300), .changed = true}),
              Bytes("\x01\x01\x00\x01\x02\x00\x02\x03\x05\xac\x02", 11));
}

TEST(OutcomeCodec, NobodyNeedsToListen) {
    EXPECT_TRUE(
        replay_outcome(written({{.previous = full_record(), .text = {}}}, {}), nullptr).ok());
}

TEST(OutcomeCodec, WhatIsCutShortOrWrongNeverTellsOfTheCommand) {
    const Bytes whole =
        written({{.had_previous = true, .previous = full_record(), .number = 300, .text = "text"}},
                {.revision = Revision(300), .stamp = Version(300)});
    for (std::size_t size = 0; size < whole.size(); ++size) {
        Heard heard;
        EXPECT_EQ(replay_outcome(ByteView(whole).substr(0, size), &heard).code(),
                  Code::kCorruption);
        EXPECT_FALSE(heard.command.has_value()) << size;
    }
    for (const Bytes& wrong : {whole + "x",
                               Bytes("\x02") + whole.substr(1),       // format
                               Bytes("\x01\x03"),                     // item
                               Bytes("\x01\x01\x00\x08\x00\x00", 6),  // flags of an operation
                               Bytes("\x01\x02\x04\x00\x00", 5),      // flags of a command
                               Bytes("\x01\x01\x00\x04\x00\x00\x00", 7)}) {  // an empty record
        Heard heard;
        EXPECT_EQ(replay_outcome(wrong, &heard).code(), Code::kCorruption);
        EXPECT_FALSE(heard.command.has_value());
    }
}

TEST(OutcomeCodec, ACodeOfALaterVersionIsAnInternalError) {
    Heard heard;
    ASSERT_TRUE(replay_outcome(Bytes("\x01\x01\xfe\x00\x00\x00\x02\x01\x00\x00", 10), &heard).ok());
    EXPECT_EQ(heard.operations.at(0).code, Code::kInternal);
}

TEST(OutcomeCodec, AnOutcomeThatIsTooLargeSaysSo) {
    OutcomeWriter writer(100);
    const Bytes text(60, 'x');
    writer.on_operation(0, {.previous = {}, .text = text});
    EXPECT_TRUE(writer.is_whole());
    writer.on_operation(1, {.previous = {}, .text = text});
    EXPECT_FALSE(writer.is_whole());
    writer.on_operation(2, {});
    EXPECT_FALSE(writer.is_whole());
    EXPECT_LT(writer.bytes().size(), 100U);
}

}  // namespace
}  // namespace kvstore::replication
