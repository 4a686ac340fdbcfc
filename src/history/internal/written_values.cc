#include "history/internal/written_values.h"

#include <algorithm>
#include <string>

namespace kvstore::history::internal {

WrittenValues::WrittenValues(const History& history, const KeyOperations& key) {
    absent_.earliest_call = MonotonicTime::min();
    for (const std::size_t place : key.places) {
        const Operation& operation = history[place];
        if (!may_have_effect(operation)) {
            continue;
        }
        const auto value = value_of(operation);
        if (!value) {
            are_complete_ = false;
            continue;
        }
        Writers& writers = *value ? values_[**value] : absent_;
        writers.earliest_call = std::min(writers.earliest_call, operation.called);
        writers.latest_return = std::max(writers.latest_return, effect_deadline(operation));
        writers.places.push_back(place);
    }
}

const Writers* WrittenValues::find(const MaybeValue& value) const {
    if (!value) {
        return &absent_;
    }
    const auto found = values_.find(*value);
    return found == values_.end() ? nullptr : &found->second;
}

std::optional<MaybeValue> WrittenValues::value_of(const Operation& operation) {
    switch (operation.kind) {
        case OperationKind::kWrite:
        case OperationKind::kDelete:
        case OperationKind::kCompareAndSet: return operation.argument;
        case OperationKind::kIncrement:
            if (!operation.number) {
                return std::nullopt;
            }
            return std::to_string(*operation.number);
        case OperationKind::kRead:
        case OperationKind::kAppend: break;
    }
    return std::nullopt;
}

}  // namespace kvstore::history::internal
