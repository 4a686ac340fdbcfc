// What a shard is told to do: the one command format that goes through the log.
//
// A command is a list of operations that take effect together, at one revision. A compare-then-else
// command has conditions and a second list. An operation that cannot be done (its own condition
// fails, an increment of text) fails alone: it changes nothing and the others go on. Whoever wants
// all or nothing puts conditions on the command.
//
// Everything that decides the outcome is in the command (also the time: its stamp), so every
// replica and every replay comes to the same state.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/hlc.h"
#include "base/id.h"
#include "base/status.h"
#include "mvcc/record.h"

namespace kvstore::mvcc {

enum class OperationKind : std::uint8_t {
    kGet = 1,             // reads at this place of the command
    kPut = 2,             // value
    kDelete = 3,          //
    kDeleteRange = 4,     // key (from, inclusive) to `argument` (exclusive; empty: to the end)
    kIncrement = 5,       // by `delta`; an absent key counts as 0
    kIncrementFloat = 6,  // by the decimal number in `argument` (long double, as Redis prints it)
    kAppend = 7,          // `argument` behind the value; an absent key counts as empty
    kSetRange = 8,        // `argument` over the value at `delta`, padded with NUL
    kSetExpiry = 9,       // expiry_mode and expires_at_ms on a present key
    kMove = 10,           // the record of `key` to the key `argument`, with value and expiry
    kExpire = 11,     // deletes `key` if its mod_revision is condition.revision and it has expired
    kCompact = 12,    // forgets history at and below revision `delta`
    kConfigure = 13,  // keep history for `delta` ms from now on (0: none)
    kCopy = 14,       // as kMove, but the record of `key` stays
};

enum class ConditionKind : std::uint8_t {
    kNone = 0,
    kAbsent = 1,
    kPresent = 2,
    kModRevision = 3,     // the record's mod_revision is `revision` (0: absent)
    kValue = 4,           // the value is `value`
    kVersionCount = 5,    // the record's version_count is `revision`
    kCreateRevision = 6,  // the record's create_revision is `revision` (0: absent)
    // As the last four, with other comparisons (etcd's Compare).
    kModRevisionLess = 7,
    kModRevisionGreater = 8,
    kValueNot = 9,
};

struct Condition {
    ConditionKind kind = ConditionKind::kNone;
    Revision revision{};
    ByteView value{};
};

enum class ExpiryMode : std::uint8_t {
    kClear = 0,  // no expiry afterwards
    kKeep = 1,   // as it was
    kAt = 2,     // expires_at_ms; a time not after the command's stamp deletes
};

// Redis' EXPIRE NX, XX, GT, LT: when a new expiry is taken.
enum class ExpiryCondition : std::uint8_t {
    kAlways = 0,
    kOnlyIfNone = 1,
    kOnlyIfSome = 2,
    kOnlyIfGreater = 3,  // no expiry counts as infinite
    kOnlyIfLess = 4,
    kOnlyIfSomeAndLess = 5,
};

struct Operation {
    OperationKind kind = OperationKind::kGet;
    ExpiryMode expiry_mode = ExpiryMode::kClear;
    ExpiryCondition expiry_condition = ExpiryCondition::kAlways;
    // The result carries the record as it was before (its value too).
    bool wants_previous = false;
    ByteView key{};
    ByteView argument{};
    Condition condition{};  // on `key`; for kMove and kCopy on the destination
    std::int64_t delta = 0;
    std::uint64_t expires_at_ms = 0;
    std::uint64_t lease = 0;
    // kAppend, kSetRange: the value grows to at most so many bytes; 0: to kValueBytesMax. In the
    // command, since a member's own setting must not decide what is applied.
    std::uint32_t value_bytes_max = 0;
};

struct KeyCondition {
    ByteView key{};
    Condition condition{};
};

// Views only: whoever builds a command keeps its bytes.
struct Command {
    // Given by the proposer; raised by the shard where it is not above the last applied one.
    Version stamp{};
    std::vector<KeyCondition> conditions{};
    std::vector<Operation> operations{};
    std::vector<Operation> else_operations{};  // done instead when a condition does not hold
};

// Limits of one command; a proposer checks them before it proposes, the decoder again.
inline constexpr std::size_t kCommandOperationsMax = 100'000;
// Both are hard: the settings are at most these.
inline constexpr std::size_t kKeyBytesMax = 64U << 10U;
// With its key and headers below what one log record and one snapshot row hold.
inline constexpr std::size_t kValueBytesMax = 24U << 20U;

// Appends the command's bytes.
void encode_command(const Command& command, Bytes& to);
// The same for one operation without command conditions, without building a Command: the hot path.
void encode_command(Version stamp, const Operation& operation, Bytes& to);

// Views into `encoded`. `command` is reused: its vectors keep their capacity.
// Errors: kCorruption.
Status decode_command(ByteView encoded, Command& command);

// A key that applying it reads first, most likely; empty where that takes more than a look. For
// fetching ahead.
[[nodiscard]] ByteView first_key(ByteView encoded) noexcept;

// The keys of kCurrent that applying it reads.
void collect_keys(const Command& command, std::vector<Bytes>& keys);

struct OperationResult {
    // kOk; kConflict (its condition, or the expiry condition, did not hold); kNotFound (kSetExpiry,
    // kMove, kCopy of an absent key); kInvalidArgument (not an integer, not a float); kOutOfRange
    // (overflow, NaN or infinity); kTooLarge; kWrongType; kCompacted and kFutureRevision
    // (kCompact).
    Code code = Code::kOk;
    bool changed = false;
    // The record before the operation existed (and had not expired).
    bool had_previous = false;
    // kGet: the record (had_previous). Others: the record before, when wanted or when a condition
    // failed. Views last until the callback returns.
    std::optional<Record> previous;
    // kIncrement: the sum. kDelete, kDeleteRange: how many. kAppend, kSetRange: the new length.
    std::int64_t number = 0;
    // kIncrementFloat: the new value. Others: empty.
    ByteView text;
};

struct CommandResult {
    bool conditions_held = true;
    // The shard's revision after the command: the command's own where it changed anything.
    Revision revision;
    Version stamp;
    bool changed = false;
};

// Told the outcome of one command while it is applied, in order: each operation, then the command.
// Between the calls the shard stands as the operations so far have left it.
class ApplySink {
public:
    virtual void on_operation(std::size_t at, const OperationResult& result) = 0;
    virtual void on_command(const CommandResult& result) = 0;

protected:
    ~ApplySink() = default;
};

}  // namespace kvstore::mvcc
