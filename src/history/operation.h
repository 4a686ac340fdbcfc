// One operation of a client as it was recorded: what was asked, what was answered, and when.
//
// A history is what clients can know and nothing else. It does not say when an operation took
// effect, only that this lay between its call and its return; and of an operation without an
// answer not even whether it did.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "base/time.h"

namespace kvstore::history {

// Whoever does one thing after another: a connection, a thread, a process.
using ClientId = StrongId<struct ClientIdTag>;

// What a key holds; nullopt: it is absent.
using MaybeValue = std::optional<Bytes>;

enum class OperationKind : std::uint8_t {
    kRead,
    kWrite,
    kDelete,
    kCompareAndSet,  // writes `argument` (absent: deletes) where the key holds `expected`
    kIncrement,      // adds `delta` to a decimal number; an absent key counts as 0
    kAppend,         // adds `argument` at the end; an absent key counts as empty
};

enum class Outcome : std::uint8_t {
    kOk,
    kFailed,   // certainly without effect
    kUnknown,  // may have taken effect, may do so at any later time, or never
};

// What the client was promised about a read. Writes are linearizable always.
enum class Consistency : std::uint8_t { kLinearizable, kCausal, kBounded, kEventual };

// When what a write wrote runs out, as far as its client can know: not before `earliest`, and by
// `latest` (the end of time where it was not answered). On the clients' clock.
struct Expiry {
    MonotonicTime earliest;
    MonotonicTime latest = MonotonicTime::max();
};

struct Operation {
    ClientId client;
    OperationKind kind = OperationKind::kRead;
    Outcome outcome = Outcome::kUnknown;
    Bytes key;
    // What was asked.
    MaybeValue argument;
    MaybeValue expected;
    std::int64_t delta = 0;
    // What was answered; nullopt where it was not recorded, as always but with kOk.
    // The value that a read found, or that stood there before a write, delete or compare-and-set.
    std::optional<MaybeValue> observed;
    // The sum after an increment, the size after an append, how many keys a delete deleted (0, 1).
    std::optional<std::int64_t> number;
    bool is_matched = true;        // of a compare-and-set: whether it found what it expected
    std::optional<Expiry> expiry;  // of a write; nullopt: it stays
    // On any clock that all clients share and that never goes back. `returned` counts with kOk.
    MonotonicTime called;
    MonotonicTime returned;

    std::optional<NodeId> node;              // that was asked
    std::optional<Consistency> consistency;  // of a read
    std::optional<Revision> revision;        // of the record that was seen or written
};

using History = std::vector<Operation>;

// Errors: kInvalidArgument: no client can have recorded this (a read that saw nothing recorded, a
//         return before the call, ...). The checkers require what this takes.
Status check_operation(const Operation& operation);

// When the operation had certainly taken effect; the end of time where that is not known.
[[nodiscard]] MonotonicTime effect_deadline(const Operation& operation) noexcept;

// Whether the operation may have changed its key.
[[nodiscard]] bool may_have_effect(const Operation& operation) noexcept;

[[nodiscard]] std::string_view kind_name(OperationKind kind) noexcept;
[[nodiscard]] std::string_view outcome_name(Outcome outcome) noexcept;
[[nodiscard]] std::string_view consistency_name(Consistency consistency) noexcept;
[[nodiscard]] std::optional<OperationKind> find_kind(std::string_view name) noexcept;
[[nodiscard]] std::optional<Outcome> find_outcome(std::string_view name) noexcept;
[[nodiscard]] std::optional<Consistency> find_consistency(std::string_view name) noexcept;

// For people, without key and times: `write "1"`, `read -> absent`, `increment by 2 -> 7
// (unknown)`.
[[nodiscard]] std::string operation_text(const Operation& operation);
// A value in quotes with what is not printable escaped and long ones cut, or `absent`.
[[nodiscard]] std::string value_text(const MaybeValue& value);

// The operations of one key, as places in the history, in order of call.
struct KeyOperations {
    ByteView key;  // into the history
    std::vector<std::size_t> places;
};

void sort_by_call(const History& history, std::vector<std::size_t>& places);

// In order of key. The history must outlive the result, unchanged.
[[nodiscard]] std::vector<KeyOperations> partition_by_key(const History& history);

}  // namespace kvstore::history
