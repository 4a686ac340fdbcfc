// One key as an object with a sequential specification: its states, and what each operation asks
// of a state and makes of it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "history/operation.h"

namespace kvstore::history::internal {

// A value of the key, as a small dense number; equal values have equal numbers.
using State = StrongId<struct StateTag, std::uint32_t>;
inline constexpr State kAbsent{0};

// The states that one key has been seen or thought to be in.
class States {
public:
    States();

    State intern(const MaybeValue& value);
    [[nodiscard]] const MaybeValue& value(State state) const { return facts(state).value; }
    // The number that an increment would find; nullopt where it would refuse.
    [[nodiscard]] std::optional<std::int64_t> number(State state) const {
        return facts(state).number;
    }
    // What an append would find there.
    [[nodiscard]] std::size_t size(State state) const {
        return facts(state).value ? facts(state).value->size() : 0;
    }
    [[nodiscard]] std::size_t count() const { return facts_.size(); }
    // Bytes of values held: appends in many orders make many long values.
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    struct Facts {
        MaybeValue value;
        std::optional<std::int64_t> number;
    };
    [[nodiscard]] const Facts& facts(State state) const { return facts_[state.value()]; }

    std::deque<Facts> facts_;  // stays in place: the keys of `numbers_` look into it
    std::unordered_map<ByteView, State> numbers_;
    std::size_t bytes_ = 0;
};

enum class Need : std::uint8_t {
    kNothing,
    kExactly,  // `state`
    kOther,    // anything but `state`
    kPresent,  // anything but absent
    kNumber,   // `amount`
    kAnyNumber,
    kSize,   // `amount` bytes
    kNever,  // the answer contradicts itself
};

enum class Effect : std::uint8_t { kKeep, kSet, kAdd, kAppend };

// An operation as a partial function of states.
struct Transition {
    Need need = Need::kNothing;
    State state;
    std::int64_t amount = 0;
    Effect effect = Effect::kKeep;
    State result;            // of kSet
    std::int64_t delta = 0;  // of kAdd
    Bytes suffix;            // of kAppend

    // Never changes a state that it accepts.
    [[nodiscard]] bool is_passive() const {
        return effect == Effect::kKeep ||
               (effect == Effect::kSet && need == Need::kExactly && state == result);
    }
    // Accepts every state and leaves nothing of it.
    [[nodiscard]] bool is_blind() const { return need == Need::kNothing && effect == Effect::kSet; }
    friend bool operator==(const Transition&, const Transition&) = default;
};

// Without its observations the operation is one that nobody was told of.
enum class Observations : std::uint8_t { kCounted, kIgnored };

[[nodiscard]] Transition make_transition(const Operation& operation,
                                         Observations observations,
                                         States& states);

// The state after `transition` in `state`; nullopt where it cannot have happened there.
[[nodiscard]] std::optional<State> step(const Transition& transition, State state, States& states);

}  // namespace kvstore::history::internal
