// Who may have written each value of a key, and when that may have been.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "history/operation.h"

namespace kvstore::history::internal {

struct Writers {
    // From when on the value may have been there.
    MonotonicTime earliest_call = MonotonicTime::max();
    // Until when every write of it had taken effect; the end of time where one is unknown.
    MonotonicTime latest_return = MonotonicTime::min();
    std::vector<std::size_t> places;  // none for the absence at the beginning
};

class WrittenValues {
public:
    WrittenValues(const History& history, const KeyOperations& key);

    // False where some operation's value cannot be told (appends, increments without an answer).
    [[nodiscard]] bool are_complete() const { return are_complete_; }
    // nullptr: nothing that may have taken effect wrote it.
    [[nodiscard]] const Writers* find(const MaybeValue& value) const;
    // The value that an operation left; requires that it is not a read. nullopt: cannot be told.
    [[nodiscard]] static std::optional<MaybeValue> value_of(const Operation& operation);

private:
    std::unordered_map<Bytes, Writers> values_;
    Writers absent_;
    bool are_complete_ = true;
};

}  // namespace kvstore::history::internal
