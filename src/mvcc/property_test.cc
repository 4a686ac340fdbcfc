// Random commands against the plain model: everything that can be read must agree at every revision
// that is retained, whatever batches, sweeps and restarts come between.
#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "mvcc/testing/model.h"
#include "mvcc/testing/shard_fixture.h"

namespace kvstore::mvcc {
namespace {

using testing::Model;
using testing::ModelRecord;
using testing::Outcome;
using testing::ShardFixture;

ModelRecord as_model(const Record& record, ByteView value) {
    return {.value = Bytes(value),
            .create_revision = record.create_revision.value(),
            .mod_revision = record.mod_revision.value(),
            .version_count = record.version_count,
            .expires_at_ms = record.expires_at_ms,
            .lease = record.lease};
}

// Makes commands over a few keys, so that they meet.
class Commands {
public:
    explicit Commands(std::uint64_t seed) : random_(seed) {}

    Command next(const Model& model) {
        bytes_.clear();
        now_ms_ += random_.chance(1, 4) ? random_.below(30) : 0;
        Command command;
        // Also stamps that stand still or go back.
        command.stamp =
            Version(now_ms_ - random_.below(3), static_cast<std::uint16_t>(random_.below(3)));
        if (random_.chance(1, 4)) {
            command.conditions.push_back({.key = key(), .condition = condition(model)});
            add_operations(model, random_.below(3), command.else_operations);
        }
        const std::uint64_t count = random_.chance(1, 3) ? random_.below(5) : 1;
        add_operations(model, count, command.operations);
        return command;
    }

    [[nodiscard]] std::uint64_t now_ms() const { return now_ms_; }

private:
    ByteView key() {
        static constexpr std::string_view kKeys[] = {"",
                                                     "a",
                                                     "aa",
                                                     {"a\0", 2},
                                                     {"a\0\xff", 3},
                                                     {"a\0\x01", 3},
                                                     "ab",
                                                     "b",
                                                     "\xff",
                                                     "\xff\xff",
                                                     "z"};
        return kKeys[random_.below(std::size(kKeys))];
    }
    ByteView text() {
        static constexpr std::string_view kTexts[] = {
            "", "1", "-7", "9223372036854775807", "text", {"\0x", 2}};
        if (random_.chance(1, 2)) {
            return kTexts[random_.below(std::size(kTexts))];
        }
        return bytes_.emplace_back(Bytes(random_.below(40), 'v') +
                                   std::to_string(random_.below(9)));
    }
    Condition condition(const Model& model) {
        Condition condition;
        condition.kind = static_cast<ConditionKind>(random_.below(10));
        condition.value = text();
        condition.revision =
            Revision(random_.chance(1, 2) ? random_.below(3) : random_.below(model.revision() + 2));
        return condition;
    }
    void add_operations(const Model& model, std::uint64_t count, std::vector<Operation>& to) {
        for (std::uint64_t i = 0; i < count; ++i) {
            to.push_back(operation(model));
        }
    }
    OperationKind kind() {
        // What forgets comes seldom, or there would be nothing to remember.
        if (random_.chance(1, 40)) {
            return OperationKind::kCompact;
        }
        if (random_.chance(1, 150)) {
            return OperationKind::kConfigure;
        }
        if (random_.chance(1, 30)) {
            return OperationKind::kDeleteRange;
        }
        static constexpr OperationKind kKinds[] = {OperationKind::kGet,
                                                   OperationKind::kPut,
                                                   OperationKind::kPut,
                                                   OperationKind::kDelete,
                                                   OperationKind::kIncrement,
                                                   OperationKind::kAppend,
                                                   OperationKind::kSetRange,
                                                   OperationKind::kSetExpiry,
                                                   OperationKind::kMove,
                                                   OperationKind::kCopy,
                                                   OperationKind::kExpire};
        return kKinds[random_.below(std::size(kKinds))];
    }
    Operation operation(const Model& model) {
        Operation operation;
        operation.kind = kind();
        operation.key = key();
        const bool has_two_keys =
            operation.kind == OperationKind::kMove || operation.kind == OperationKind::kCopy;
        operation.argument = has_two_keys ? key() : text();
        operation.expiry_mode = static_cast<ExpiryMode>(random_.below(3));
        operation.expiry_condition = static_cast<ExpiryCondition>(random_.below(6));
        operation.expires_at_ms = now_ms_ - 20 + random_.below(100);
        operation.wants_previous = random_.chance(1, 3);
        operation.delta = static_cast<std::int64_t>(random_.below(50));
        operation.lease = random_.chance(1, 5) ? random_.below(4) : 0;
        if (random_.chance(1, 4)) {
            operation.condition = condition(model);
        }
        switch (operation.kind) {
            case OperationKind::kDeleteRange:
                operation.argument = random_.chance(1, 2) ? key() : ByteView();
                break;
            case OperationKind::kCompact:
                operation.delta = static_cast<std::int64_t>(random_.below(model.revision() + 2));
                break;
            case OperationKind::kConfigure:
                operation.delta = random_.chance(1, 2) ? 0 : 1000;
                break;
            case OperationKind::kExpire:
                if (const auto at = model.now().find(Bytes(operation.key));
                    at != model.now().end() && random_.chance(3, 4)) {
                    operation.condition.revision = Revision(at->second.mod_revision);
                }
                break;
            default: break;
        }
        return operation;
    }

    Random random_;
    std::uint64_t now_ms_ = 1'000'000;
    std::deque<Bytes> bytes_;
};

void expect_told(const Outcome& outcome, const std::vector<Model::Told>& told) {
    ASSERT_EQ(outcome.operations.size(), told.size());
    for (std::size_t i = 0; i < told.size(); ++i) {
        const OperationResult& result = outcome.operations[i].result;
        EXPECT_EQ(result.code, told[i].code);
        EXPECT_EQ(result.changed, told[i].changed);
        EXPECT_EQ(result.number, told[i].number);
    }
}

// All rows of a range, page by page.
std::vector<std::pair<Bytes, ModelRecord>> scan_all(ShardFixture& fixture,
                                                    ScanRequest request,
                                                    Random& random) {
    std::vector<std::pair<Bytes, ModelRecord>> rows;
    for (;;) {
        request.limit = 1 + random.below(4);
        const auto page = fixture.scan(request);
        EXPECT_TRUE(page.ok());
        EXPECT_EQ(page->count, page->rows.size());
        for (const ScanRow& row : page->rows) {
            rows.emplace_back(row.key, as_model(row.record, row.value));
        }
        if (!page->has_more) {
            return rows;
        }
        EXPECT_EQ(page->rows.size(), request.limit);
        (request.reverse ? request.to : request.from) = page->next;
    }
}

std::vector<std::pair<Bytes, ModelRecord>> expected_rows(const Model::Map& map,
                                                         const ScanRequest& request) {
    std::vector<std::pair<Bytes, ModelRecord>> rows;
    for (const auto& [key, record] : map) {
        const bool hidden = request.as_of == Revision() && record.expires_at_ms != 0 &&
                            record.expires_at_ms <= request.now_ms;
        if (key >= request.from && (request.to.empty() || key < request.to) && !hidden) {
            rows.emplace_back(key, record);
        }
    }
    if (request.reverse) {
        std::ranges::reverse(rows);
    }
    return rows;
}

void expect_past_equal(ShardFixture& fixture, const Model& model) {
    for (std::uint64_t revision = model.compacted(); revision <= model.revision(); ++revision) {
        const Model::Map& then = model.at(revision);
        const auto view = fixture.shard().view();
        for (const auto& [key, record] : then) {
            Bytes value;
            const auto found = Shard::find_as_of(view.get(), key, Revision(revision), &value);
            ASSERT_TRUE(found.ok()) << found.status().to_string();
            ASSERT_TRUE(found->has_value()) << revision;
            EXPECT_TRUE(as_model(**found, value) == record) << revision;
        }
    }
}

void expect_scans_equal(ShardFixture& fixture, const Model& model, Random& random) {
    for (int i = 0; i < 8; ++i) {
        ScanRequest request;
        request.reverse = random.chance(1, 2);
        request.from = random.chance(1, 2) ? Bytes() : Bytes("a");
        request.to = random.chance(1, 2) ? Bytes() : Bytes("b");
        request.now_ms = model.stamp() >> 16U;
        const std::uint64_t revision =
            model.compacted() + random.below(model.revision() - model.compacted() + 1);
        request.as_of = random.chance(2, 3) ? Revision(revision) : Revision();
        const Model::Map& map =
            request.as_of == Revision() ? model.now() : model.at(request.as_of.value());
        const auto expected = expected_rows(map, request);
        EXPECT_TRUE(scan_all(fixture, request, random) == expected);
        request.count_only = true;
        EXPECT_EQ(fixture.scan(request)->count, expected.size());
    }
}

// A log replayed from any point must lead from the past to the present.
void expect_changes_lead_on(ShardFixture& fixture, const Model& model) {
    const auto view = fixture.shard().view();
    EXPECT_EQ(Shard::changes(view.get(), Revision(model.compacted()), 100).status().code(),
              Code::kCompacted);
    Model::Map map = model.at(model.compacted());
    for (Revision from(model.compacted() + 1); from <= Revision(model.revision());) {
        const auto changes = Shard::changes(view.get(), from, 200);
        ASSERT_TRUE(changes.ok());
        ASSERT_FALSE(changes->empty());
        EXPECT_EQ(changes->front().revision, from);
        for (const Change& change : *changes) {
            if (change.kind == Change::Kind::kPut) {
                const auto record = decode_record(change.stored_record);
                ASSERT_TRUE(record);
                map[change.key] = as_model(*record, record->value);
            } else {
                EXPECT_EQ(map.erase(change.key), 1U);
            }
        }
        from = changes->back().revision.next();
        EXPECT_TRUE(map == model.at(changes->back().revision.value()));
    }
}

void expect_equal(ShardFixture& fixture, const Model& model, Random& random) {
    ASSERT_EQ(fixture.state().revision.value(), model.revision());
    ASSERT_EQ(fixture.state().compacted_revision.value(), model.compacted());
    ASSERT_EQ(fixture.state().last_stamp.raw(), model.stamp());
    const Status verified = fixture.verify();
    ASSERT_TRUE(verified.ok()) << verified.to_string();
    expect_past_equal(fixture, model);
    expect_scans_equal(fixture, model, random);
    expect_changes_lead_on(fixture, model);
}

void run_against_model(std::uint64_t seed, std::uint64_t history_ms, int command_count) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Commands commands(seed + 1);
    Model model(history_ms);
    ShardFixture fixture(history_ms);
    for (int i = 0; i < command_count && !::testing::Test::HasFailure(); ++i) {
        const Command command = commands.next(model);
        bool held = false;
        const auto told = model.apply(command, &held);
        // A shard without a log is given plain operations, and must come to the same state.
        const bool is_plain = command.conditions.empty() && command.operations.size() == 1 &&
                              command.stamp != Version() && random.chance(1, 2);
        const Outcome outcome =
            is_plain ? fixture.run_plain_in_batch(command.stamp, command.operations.front())
                     : fixture.run_in_batch(command);
        EXPECT_EQ(outcome.command.conditions_held, held);
        expect_told(outcome, told);
        if (random.chance(1, 3)) {
            ASSERT_TRUE(fixture.shard().sweep_compacted(1 + random.below(4)).ok());
        }
        if (random.chance(1, 3)) {
            ASSERT_TRUE(fixture.shard().finish_batch().ok());
            fixture.engine().set_resident(random.chance(1, 2));
            if (random.chance(1, 20)) {
                fixture.reopen();
            }
        }
        if (random.chance(1, 12)) {
            expect_equal(fixture, model, random);
        }
    }
    ASSERT_TRUE(fixture.shard().finish_batch().ok());
    expect_equal(fixture, model, random);
}

TEST(ShardProperty, AgreesWithThePlainModelAtEveryRevision) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        run_against_model(seed, 1000, 250);
    }
}

TEST(ShardProperty, AgreesWithThePlainModelWithoutHistory) {
    for (std::uint64_t seed = 1001; seed <= 1010; ++seed) {
        run_against_model(seed, 0, 250);
    }
}

}  // namespace
}  // namespace kvstore::mvcc
