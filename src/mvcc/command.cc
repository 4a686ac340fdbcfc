// Layout of an encoded command (integers as in base/coding.h):
//
//     1 byte   format, 1
//     8 bytes  stamp, little-endian
//     varint   how many conditions, operations, else operations (three varints)
//     then each condition, each operation, each else operation:
//
//     condition            operation
//       bytes  key           1 byte   kind
//       test                 2 bytes  flags, little-endian: bits 0-1 expiry mode, 2-4 expiry
//     test                             condition, 5 wants previous; a bit for each field below
//       1 byte  kind         bytes    key
//       varint  revision     bytes    argument (bit 6)
//       bytes   value        test     condition (bit 7)
//                            varint   delta, zigzag (bit 8)
//                            varint   expires_at_ms (bit 9)
//                            varint   lease (bit 10)
//                            varint   value_bytes_max (bit 11)
//
// `bytes` are a varint length and so many bytes. A field that is zero or empty is left out. The
// decoder refuses what it does not know, since a replica that skips a part it does not understand
// would diverge from those that do.
//
// Changing this layout: a new kind or flag bit for additions (only after every member understands
// it); a new format number for the rest. See docs/internals/mvcc.md.
#include "mvcc/command.h"

#include <algorithm>

#include "base/coding.h"

namespace kvstore::mvcc {
namespace {

constexpr std::uint8_t kCommandFormat = 1;

constexpr unsigned kExpiryConditionShift = 2;
constexpr unsigned kExpiryModeMask = 0x3;
constexpr unsigned kExpiryConditionMask = 0x7;
constexpr unsigned kWantsPrevious = 1U << 5U;
constexpr unsigned kHasArgument = 1U << 6U;
constexpr unsigned kHasCondition = 1U << 7U;
constexpr unsigned kHasDelta = 1U << 8U;
constexpr unsigned kHasExpiry = 1U << 9U;
constexpr unsigned kHasLease = 1U << 10U;
constexpr unsigned kHasValueLimit = 1U << 11U;
constexpr unsigned kKnownFlags = (1U << 12U) - 1U;

// The least that one of them takes, so that a corrupt count cannot ask for more memory than the
// command has bytes.
constexpr std::size_t kOperationBytesMin = 1 + 2 + 1;
constexpr std::size_t kConditionBytesMin = 1 + 1 + 1 + 1;

// ---- encode ----

void put_byte(Bytes& to, unsigned value) {
    to.push_back(static_cast<char>(value));
}

void put_header(Version stamp,
                std::size_t conditions,
                std::size_t operations,
                std::size_t else_operations,
                Bytes& to) {
    put_byte(to, kCommandFormat);
    put_fixed(to, stamp.raw());
    put_varint(to, conditions);
    put_varint(to, operations);
    put_varint(to, else_operations);
}

void put_test(const Condition& condition, Bytes& to) {
    put_byte(to, static_cast<unsigned>(condition.kind));
    put_varint(to, condition.revision.value());
    put_length_prefixed(to, condition.value);
}

bool is_none(const Condition& condition) {
    return condition.kind == ConditionKind::kNone && condition.revision == Revision() &&
           condition.value.empty();
}

unsigned flags_of(const Operation& operation) {
    unsigned flags = static_cast<unsigned>(operation.expiry_mode);
    flags |= static_cast<unsigned>(operation.expiry_condition) << kExpiryConditionShift;
    flags |= operation.wants_previous ? kWantsPrevious : 0U;
    flags |= !operation.argument.empty() ? kHasArgument : 0U;
    flags |= !is_none(operation.condition) ? kHasCondition : 0U;
    flags |= operation.delta != 0 ? kHasDelta : 0U;
    flags |= operation.expires_at_ms != 0 ? kHasExpiry : 0U;
    flags |= operation.lease != 0 ? kHasLease : 0U;
    flags |= operation.value_bytes_max != 0 ? kHasValueLimit : 0U;
    return flags;
}

void put_operation(const Operation& operation, Bytes& to) {
    const unsigned flags = flags_of(operation);
    put_byte(to, static_cast<unsigned>(operation.kind));
    put_fixed(to, static_cast<std::uint16_t>(flags));
    put_length_prefixed(to, operation.key);
    if ((flags & kHasArgument) != 0) {
        put_length_prefixed(to, operation.argument);
    }
    if ((flags & kHasCondition) != 0) {
        put_test(operation.condition, to);
    }
    if ((flags & kHasDelta) != 0) {
        put_varint(to, zigzag_encode(operation.delta));
    }
    if ((flags & kHasExpiry) != 0) {
        put_varint(to, operation.expires_at_ms);
    }
    if ((flags & kHasLease) != 0) {
        put_varint(to, operation.lease);
    }
    if ((flags & kHasValueLimit) != 0) {
        put_varint(to, operation.value_bytes_max);
    }
}

// ---- decode ----

bool take_test(Decoder& decoder, Condition& condition) {
    const auto kind = decoder.fixed<std::uint8_t>();
    condition.kind = static_cast<ConditionKind>(kind);
    condition.revision = Revision(decoder.varint());
    condition.value = decoder.length_prefixed();
    return decoder.ok() && kind <= static_cast<std::uint8_t>(ConditionKind::kValueNot) &&
           condition.value.size() <= kValueBytesMax;
}

// The bounds of a range may be the first key after one of the longest.
bool sizes_are_allowed(const Operation& operation) {
    switch (operation.kind) {
        case OperationKind::kDeleteRange:
            return operation.key.size() <= kKeyBytesMax + 1 &&
                   operation.argument.size() <= kKeyBytesMax + 1;
        case OperationKind::kMove:
        case OperationKind::kCopy:
            return operation.key.size() <= kKeyBytesMax &&
                   operation.argument.size() <= kKeyBytesMax;
        default:
            return operation.key.size() <= kKeyBytesMax &&
                   operation.argument.size() <= kValueBytesMax;
    }
}

bool take_enums(unsigned kind, unsigned flags, Operation& operation) {
    const unsigned mode = flags & kExpiryModeMask;
    const unsigned condition = (flags >> kExpiryConditionShift) & kExpiryConditionMask;
    operation.kind = static_cast<OperationKind>(kind);
    operation.expiry_mode = static_cast<ExpiryMode>(mode);
    operation.expiry_condition = static_cast<ExpiryCondition>(condition);
    return kind >= static_cast<unsigned>(OperationKind::kGet) &&
           kind <= static_cast<unsigned>(OperationKind::kCopy) &&
           mode <= static_cast<unsigned>(ExpiryMode::kAt) &&
           condition <= static_cast<unsigned>(ExpiryCondition::kOnlyIfSomeAndLess) &&
           (flags & ~kKnownFlags) == 0;
}

bool take_operation(Decoder& decoder, Operation& operation) {
    const auto kind = decoder.fixed<std::uint8_t>();
    const unsigned flags = decoder.fixed<std::uint16_t>();
    if (!take_enums(kind, flags, operation)) {
        return false;
    }
    operation.wants_previous = (flags & kWantsPrevious) != 0;
    operation.key = decoder.length_prefixed();
    if ((flags & kHasArgument) != 0) {
        operation.argument = decoder.length_prefixed();
    }
    if ((flags & kHasCondition) != 0 && !take_test(decoder, operation.condition)) {
        return false;
    }
    if ((flags & kHasDelta) != 0) {
        operation.delta = zigzag_decode(decoder.varint());
    }
    if ((flags & kHasExpiry) != 0) {
        operation.expires_at_ms = decoder.varint();
    }
    if ((flags & kHasLease) != 0) {
        operation.lease = decoder.varint();
    }
    if ((flags & kHasValueLimit) != 0) {
        const std::uint64_t value_bytes_max = decoder.varint();
        if (value_bytes_max > kValueBytesMax) {
            return false;
        }
        operation.value_bytes_max = static_cast<std::uint32_t>(value_bytes_max);
    }
    return decoder.ok() && sizes_are_allowed(operation);
}

bool take_condition(Decoder& decoder, KeyCondition& condition) {
    condition.key = decoder.length_prefixed();
    return decoder.ok() && condition.key.size() <= kKeyBytesMax &&
           take_test(decoder, condition.condition);
}

template <typename Item>
bool take_items(Decoder& decoder,
                std::uint64_t count,
                bool (*take)(Decoder&, Item&),
                std::vector<Item>& items) {
    items.clear();
    for (std::uint64_t i = 0; i < count; ++i) {
        if (!take(decoder, items.emplace_back())) {
            return false;
        }
    }
    return true;
}

bool counts_are_possible(std::uint64_t conditions,
                         std::uint64_t operations,
                         std::uint64_t else_operations,
                         std::size_t bytes) {
    return conditions <= kCommandOperationsMax && operations <= kCommandOperationsMax &&
           else_operations <= kCommandOperationsMax &&
           (conditions * kConditionBytesMin) +
                   ((operations + else_operations) * kOperationBytesMin) <=
               bytes;
}

bool take_command(Decoder& decoder, Command& command) {
    const auto format = decoder.fixed<std::uint8_t>();
    command.stamp = Version(decoder.fixed<std::uint64_t>());
    const std::uint64_t conditions = decoder.varint();
    const std::uint64_t operations = decoder.varint();
    const std::uint64_t else_operations = decoder.varint();
    if (!decoder.ok() || format != kCommandFormat ||
        !counts_are_possible(conditions, operations, else_operations, decoder.rest().size())) {
        return false;
    }
    return take_items(decoder, conditions, take_condition, command.conditions) &&
           take_items(decoder, operations, take_operation, command.operations) &&
           take_items(decoder, else_operations, take_operation, command.else_operations) &&
           decoder.at_end();
}

void collect_keys_of(const std::vector<Operation>& operations, std::vector<Bytes>& keys) {
    for (const Operation& operation : operations) {
        switch (operation.kind) {
            case OperationKind::kDeleteRange:
                if (operation.condition.kind != ConditionKind::kNone) {
                    keys.emplace_back(operation.key);
                }
                break;
            case OperationKind::kCompact:
            case OperationKind::kConfigure: break;
            case OperationKind::kMove:
            case OperationKind::kCopy: keys.emplace_back(operation.argument); [[fallthrough]];
            default: keys.emplace_back(operation.key);
        }
    }
}

}  // namespace

void encode_command(const Command& command, Bytes& to) {
    put_header(command.stamp,
               command.conditions.size(),
               command.operations.size(),
               command.else_operations.size(),
               to);
    for (const KeyCondition& condition : command.conditions) {
        put_length_prefixed(to, condition.key);
        put_test(condition.condition, to);
    }
    for (const Operation& operation : command.operations) {
        put_operation(operation, to);
    }
    for (const Operation& operation : command.else_operations) {
        put_operation(operation, to);
    }
}

void encode_command(Version stamp, const Operation& operation, Bytes& to) {
    put_header(stamp, 0, 1, 0, to);
    put_operation(operation, to);
}

Status decode_command(ByteView encoded, Command& command) {
    Decoder decoder(encoded);
    if (!take_command(decoder, command)) {
        return {Code::kCorruption,
                "not a command: wrong near byte " +
                    std::to_string(encoded.size() - decoder.rest().size()) + " of " +
                    std::to_string(encoded.size())};
    }
    return {};
}

ByteView first_key(ByteView encoded) noexcept {
    Decoder decoder(encoded);
    (void)decoder.fixed<std::uint8_t>();
    (void)decoder.fixed<std::uint64_t>();
    const std::uint64_t conditions = decoder.varint();
    const std::uint64_t operations = decoder.varint();
    (void)decoder.varint();
    if (conditions != 0 || operations == 0) {
        return {};
    }
    (void)decoder.fixed<std::uint8_t>();
    (void)decoder.fixed<std::uint16_t>();
    const ByteView key = decoder.length_prefixed();
    return decoder.ok() ? key : ByteView();
}

void collect_keys(const Command& command, std::vector<Bytes>& keys) {
    for (const KeyCondition& condition : command.conditions) {
        keys.emplace_back(condition.key);
    }
    collect_keys_of(command.operations, keys);
    collect_keys_of(command.else_operations, keys);
}

}  // namespace kvstore::mvcc
