#include "mvcc/command.h"

#include <limits>

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/random.h"

namespace kvstore::mvcc {
namespace {

Operation sample_put() {
    return {.kind = OperationKind::kPut, .key = "key", .argument = "value"};
}

Bytes encoded(const Command& command) {
    Bytes bytes;
    encode_command(command, bytes);
    return bytes;
}

Bytes encoded(const Operation& operation) {
    Bytes bytes;
    encode_command(Version(1), operation, bytes);
    return bytes;
}

bool is_refused(ByteView bytes) {
    Command command;
    return decode_command(bytes, command).code() == Code::kCorruption;
}

void expect_same(const Condition& a, const Condition& b) {
    EXPECT_EQ(a.kind, b.kind);
    EXPECT_EQ(a.revision, b.revision);
    EXPECT_EQ(a.value, b.value);
}

void expect_same(const std::vector<Operation>& a, const std::vector<Operation>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].kind, b[i].kind);
        EXPECT_EQ(a[i].expiry_mode, b[i].expiry_mode);
        EXPECT_EQ(a[i].expiry_condition, b[i].expiry_condition);
        EXPECT_EQ(a[i].wants_previous, b[i].wants_previous);
        EXPECT_EQ(a[i].key, b[i].key);
        EXPECT_EQ(a[i].argument, b[i].argument);
        expect_same(a[i].condition, b[i].condition);
        EXPECT_EQ(a[i].delta, b[i].delta);
        EXPECT_EQ(a[i].expires_at_ms, b[i].expires_at_ms);
        EXPECT_EQ(a[i].lease, b[i].lease);
        EXPECT_EQ(a[i].value_bytes_max, b[i].value_bytes_max);
    }
}

void expect_same(const Command& a, const Command& b) {
    EXPECT_EQ(a.stamp, b.stamp);
    ASSERT_EQ(a.conditions.size(), b.conditions.size());
    for (std::size_t i = 0; i < a.conditions.size(); ++i) {
        EXPECT_EQ(a.conditions[i].key, b.conditions[i].key);
        expect_same(a.conditions[i].condition, b.conditions[i].condition);
    }
    expect_same(a.operations, b.operations);
    expect_same(a.else_operations, b.else_operations);
}

Condition random_condition(Random& random) {
    return {.kind = static_cast<ConditionKind>(random.below(10)),
            .revision = Revision(random.next() >> random.below(64)),
            .value = random.chance(1, 2) ? "seen" : ""};
}

Operation random_operation(Random& random) {
    return {.kind = static_cast<OperationKind>(random.between(1, 13)),
            .expiry_mode = static_cast<ExpiryMode>(random.below(3)),
            .expiry_condition = static_cast<ExpiryCondition>(random.below(5)),
            .wants_previous = random.chance(1, 2),
            .key = random.chance(1, 2) ? "some key" : "",
            .argument = random.chance(1, 2) ? "some argument" : "",
            .condition = random.chance(1, 2) ? random_condition(random) : Condition(),
            .delta = static_cast<std::int64_t>(random.next() >> random.below(64)),
            .expires_at_ms = random.chance(1, 2) ? random.next() : 0,
            .lease = random.chance(1, 2) ? random.next() : 0,
            .value_bytes_max =
                random.chance(1, 2) ? static_cast<std::uint32_t>(random.below(kValueBytesMax)) : 0};
}

TEST(Command, HasTheLayoutOfItsSpecification) {
    Operation put = sample_put();
    put.wants_previous = true;
    put.expiry_mode = ExpiryMode::kAt;
    put.expires_at_ms = 300;
    Bytes bytes;
    encode_command(Version(0x0102030405060708), put, bytes);
    const Bytes expected{
        "\x01"                              // format
        "\x08\x07\x06\x05\x04\x03\x02\x01"  // stamp
        "\x00\x01\x00"                      // one operation
        "\x02"                              // put
        "\x62\x02"                          // flags 0x262
        "\x03key\x05value\xac\x02",
        27};
    EXPECT_EQ(bytes, expected);
}

TEST(Command, ComesBackAsItWas) {
    Random random(1);
    Command decoded;  // reused, so that nothing of an earlier one may stay
    for (int i = 0; i < 2000; ++i) {
        Command command;
        command.stamp = Version(random.next());
        for (std::uint64_t n = random.below(3); n > 0; --n) {
            command.conditions.push_back({.key = "k", .condition = random_condition(random)});
        }
        for (std::uint64_t n = random.below(4); n > 0; --n) {
            command.operations.push_back(random_operation(random));
        }
        for (std::uint64_t n = random.below(3); n > 0; --n) {
            command.else_operations.push_back(random_operation(random));
        }
        const Bytes bytes = encoded(command);
        ASSERT_TRUE(decode_command(bytes, decoded).ok());
        expect_same(decoded, command);
    }
}

TEST(Command, OfOneOperationIsTheSameBytesByBothWays) {
    Random random(2);
    for (int i = 0; i < 200; ++i) {
        Command command;
        command.stamp = Version(1);
        command.operations.push_back(random_operation(random));
        EXPECT_EQ(encoded(command), encoded(command.operations.front()));
    }
}

TEST(Command, IsAppendedBehindWhatStandsThere) {
    Bytes bytes = "before";
    encode_command(Version(1), sample_put(), bytes);
    EXPECT_EQ(bytes, "before" + encoded(sample_put()));
}

TEST(Command, IsRefusedWhereItIsCutShort) {
    Random random(3);
    for (int i = 0; i < 20; ++i) {
        const Bytes bytes = encoded(random_operation(random));
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            EXPECT_TRUE(is_refused(ByteView(bytes).substr(0, size)));
        }
    }
}

TEST(Command, IsRefusedWithSomethingBehindIt) {
    EXPECT_TRUE(is_refused(encoded(sample_put()) + "x"));
}

TEST(Command, IsRefusedInAnotherFormat) {
    Bytes bytes = encoded(sample_put());
    bytes[0] = 2;
    EXPECT_TRUE(is_refused(bytes));
}

TEST(Command, IsRefusedWithWhatIsNotKnown) {
    constexpr std::size_t kKindAt = 12;
    constexpr std::size_t kFlagsAt = 13;
    for (const int kind : {0, 15, 255}) {
        Bytes bytes = encoded(sample_put());
        bytes[kKindAt] = static_cast<char>(kind);
        EXPECT_TRUE(is_refused(bytes)) << kind;
    }
    for (const unsigned flags : {0x0843U, 0x8040U, 0x0043U, 0x0058U, 0x005cU}) {
        Bytes bytes = encoded(sample_put());
        store_fixed(bytes.data() + kFlagsAt, static_cast<std::uint16_t>(flags));
        EXPECT_TRUE(is_refused(bytes)) << flags;
    }
    Operation with_condition = sample_put();
    with_condition.condition.kind = static_cast<ConditionKind>(10);
    EXPECT_TRUE(is_refused(encoded(with_condition)));
}

TEST(Command, WithAHugeCountAsksForNoMemory) {
    for (int which = 0; which < 3; ++which) {
        Bytes bytes("\x01\x01\x00\x00\x00\x00\x00\x00\x00", 9);
        for (int i = 0; i < 3; ++i) {
            put_varint(bytes, i == which ? std::numeric_limits<std::uint64_t>::max() : 0);
        }
        Command command;
        EXPECT_EQ(decode_command(bytes, command).code(), Code::kCorruption);
        EXPECT_LE(command.operations.capacity(), 16U);
    }
}

TEST(BoundaryConditions, CommandMayHaveAsManyOperationsAsAllowedAndNoMore) {
    Command command;
    command.operations.resize(kCommandOperationsMax, {.kind = OperationKind::kGet, .key = "k"});
    Command decoded;
    EXPECT_TRUE(decode_command(encoded(command), decoded).ok());
    EXPECT_EQ(decoded.operations.size(), kCommandOperationsMax);
    command.operations.push_back({.kind = OperationKind::kGet, .key = "k"});
    EXPECT_TRUE(is_refused(encoded(command)));
}

TEST(BoundaryConditions, KeyMayBeAsLongAsAllowedAndNoLonger) {
    const Bytes key(kKeyBytesMax, 'k');
    const Bytes longer(kKeyBytesMax + 1, 'k');
    const Bytes too_long(kKeyBytesMax + 2, 'k');
    const auto with_key = [](OperationKind kind, ByteView name) {
        return encoded({.kind = kind, .key = name});
    };
    const auto with_argument = [](OperationKind kind, ByteView name) {
        return encoded({.kind = kind, .key = "k", .argument = name});
    };
    Command command;
    const Bytes longest = with_key(OperationKind::kPut, key);
    EXPECT_TRUE(decode_command(longest, command).ok());
    EXPECT_TRUE(is_refused(with_key(OperationKind::kPut, longer)));
    EXPECT_TRUE(is_refused(with_argument(OperationKind::kMove, longer)));
    // The first key after the longest is still a bound of a range.
    EXPECT_FALSE(is_refused(with_key(OperationKind::kDeleteRange, longer)));
    EXPECT_FALSE(is_refused(with_argument(OperationKind::kDeleteRange, longer)));
    EXPECT_TRUE(is_refused(with_key(OperationKind::kDeleteRange, too_long)));
    EXPECT_TRUE(is_refused(with_argument(OperationKind::kDeleteRange, too_long)));

    Command conditional;
    conditional.conditions.push_back({.key = longer});
    EXPECT_TRUE(is_refused(encoded(conditional)));
}

TEST(Command, ShowsTheKeyOfItsFirstOperation) {
    Command command;
    EXPECT_EQ(first_key(encoded(command)), "");
    command.operations.push_back(sample_put());
    EXPECT_EQ(first_key(encoded(command)), "key");
    const Bytes whole = encoded(command);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const ByteView key = first_key(ByteView(whole).substr(0, size));
        EXPECT_TRUE(key.empty() || key == "key") << size;
    }
    command.conditions.push_back({.key = "condition"});
    EXPECT_EQ(first_key(encoded(command)), "");
}

TEST(Command, NamesTheKeysThatItReads) {
    Command command;
    command.conditions.push_back({.key = "condition"});
    command.operations.push_back(sample_put());
    command.operations.push_back({.kind = OperationKind::kMove, .key = "from", .argument = "to"});
    command.operations.push_back({.kind = OperationKind::kDeleteRange, .key = "range"});
    command.operations.push_back({.kind = OperationKind::kCompact, .key = "nothing"});
    command.operations.push_back({.kind = OperationKind::kConfigure, .key = "nothing"});
    command.else_operations.push_back({.kind = OperationKind::kGet, .key = "else"});
    command.else_operations.push_back({.kind = OperationKind::kDeleteRange,
                                       .key = "range if",
                                       .condition = {.kind = ConditionKind::kPresent}});
    std::vector<Bytes> keys;
    collect_keys(command, keys);
    EXPECT_EQ(keys, (std::vector<Bytes>{"condition", "key", "to", "from", "else", "range if"}));
}

}  // namespace
}  // namespace kvstore::mvcc
