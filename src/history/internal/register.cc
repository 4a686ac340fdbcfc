#include "history/internal/register.h"

#include <string>

#include "base/assert.h"
#include "base/parse.h"

namespace kvstore::history::internal {
namespace {

Transition never() {
    return {.need = Need::kNever, .state = {}, .result = {}, .suffix = {}};
}

Transition transition_of_write(const Operation& operation,
                               Observations observations,
                               States& states) {
    Transition made;
    made.effect = Effect::kSet;
    made.result = states.intern(operation.argument);
    if (observations == Observations::kIgnored) {
        return made;
    }
    if (operation.observed) {
        made.need = Need::kExactly;
        made.state = states.intern(*operation.observed);
    }
    if (!operation.number) {
        return made;
    }
    // A delete said how many keys it deleted.
    const bool was_there = *operation.number == 1;
    if (operation.observed) {
        return operation.observed->has_value() == was_there ? made : never();
    }
    made.need = was_there ? Need::kPresent : Need::kExactly;
    made.state = kAbsent;
    return made;
}

Transition transition_of_cas(const Operation& operation,
                             Observations observations,
                             States& states) {
    Transition made;
    made.need = Need::kExactly;
    made.state = states.intern(operation.expected);
    const bool has_seen = observations == Observations::kCounted && operation.observed.has_value();
    const bool is_as_expected = has_seen && *operation.observed == operation.expected;
    if (observations == Observations::kIgnored || operation.is_matched) {
        made.effect = Effect::kSet;
        made.result = states.intern(operation.argument);
        return has_seen && !is_as_expected ? never() : made;
    }
    if (!has_seen) {
        made.need = Need::kOther;
        return made;
    }
    made.state = states.intern(*operation.observed);
    return is_as_expected ? never() : made;
}

Transition transition_of_increment(const Operation& operation, Observations observations) {
    Transition made;
    made.need = Need::kAnyNumber;
    made.effect = Effect::kAdd;
    made.delta = operation.delta;
    if (observations == Observations::kCounted && operation.number) {
        made.need = Need::kNumber;
        if (__builtin_sub_overflow(*operation.number, operation.delta, &made.amount)) {
            return never();
        }
    }
    return made;
}

Transition transition_of_append(const Operation& operation, Observations observations) {
    Transition made;
    made.effect = Effect::kAppend;
    made.suffix = *operation.argument;
    if (observations == Observations::kCounted && operation.number) {
        const auto added = static_cast<std::int64_t>(made.suffix.size());
        if (*operation.number < added) {
            return never();
        }
        made.need = Need::kSize;
        made.amount = *operation.number - added;
    }
    return made;
}

bool accepts(const Transition& transition, State state, const States& states) {
    switch (transition.need) {
        case Need::kNothing: return true;
        case Need::kExactly: return state == transition.state;
        case Need::kOther: return state != transition.state;
        case Need::kPresent: return state != kAbsent;
        case Need::kNumber: return states.number(state) == transition.amount;
        case Need::kAnyNumber: return states.number(state).has_value();
        case Need::kSize: return states.size(state) == static_cast<std::size_t>(transition.amount);
        case Need::kNever: return false;
    }
    return false;
}

}  // namespace

States::States() {
    facts_.push_back({.value = std::nullopt, .number = 0});
}

State States::intern(const MaybeValue& value) {
    if (!value) {
        return kAbsent;
    }
    if (const auto known = numbers_.find(*value); known != numbers_.end()) {
        return known->second;
    }
    const State state(static_cast<std::uint32_t>(facts_.size()));
    const Facts& added = facts_.emplace_back(Facts{.value = value, .number = parse_int64(*value)});
    numbers_.emplace(*added.value, state);
    bytes_ += value->size();
    return state;
}

Transition make_transition(const Operation& operation, Observations observations, States& states) {
    switch (operation.kind) {
        case OperationKind::kRead: {
            KVSTORE_ASSERT(observations == Observations::kCounted && operation.observed);
            Transition made;
            made.need = Need::kExactly;
            made.state = states.intern(*operation.observed);
            return made;
        }
        case OperationKind::kWrite:
        case OperationKind::kDelete: return transition_of_write(operation, observations, states);
        case OperationKind::kCompareAndSet:
            return transition_of_cas(operation, observations, states);
        case OperationKind::kIncrement: return transition_of_increment(operation, observations);
        case OperationKind::kAppend: return transition_of_append(operation, observations);
    }
    return never();
}

std::optional<State> step(const Transition& transition, State state, States& states) {
    if (!accepts(transition, state, states)) {
        return std::nullopt;
    }
    switch (transition.effect) {
        case Effect::kKeep: return state;
        case Effect::kSet: return transition.result;
        case Effect::kAdd: {
            std::int64_t sum = 0;
            if (__builtin_add_overflow(*states.number(state), transition.delta, &sum)) {
                return std::nullopt;
            }
            return states.intern(std::to_string(sum));
        }
        case Effect::kAppend: {
            const MaybeValue& before = states.value(state);
            return states.intern(before ? *before + transition.suffix : transition.suffix);
        }
    }
    return std::nullopt;
}

}  // namespace kvstore::history::internal
