// What clients of a storm know: for each key the value that was acknowledged last, and the values
// that may have taken effect since.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace kvstore::storm {

using MaybeValue = std::optional<Bytes>;

// Runs on   The client that owns the key: nobody else writes it.
class KeyModel {
public:
    // A write to `value` (nullopt: a delete) begins.
    void begin(MaybeValue value) { maybe_.push_back(std::move(value)); }
    // It was acknowledged.
    void acknowledge() {
        value_ = maybe_.back();
        maybe_.clear();
    }
    // It certainly did nothing.
    void refuse() { maybe_.pop_back(); }

    [[nodiscard]] const MaybeValue& acknowledged() const { return value_; }
    [[nodiscard]] bool may_be(const MaybeValue& seen) const {
        if (seen == value_) {
            return true;
        }
        for (const MaybeValue& candidate : maybe_) {
            if (seen == candidate) {
                return true;
            }
        }
        return false;
    }
    // After a restart, what is there is what counts.
    void settle(MaybeValue seen) {
        value_ = std::move(seen);
        maybe_.clear();
    }

private:
    MaybeValue value_;
    std::vector<MaybeValue> maybe_;
};

// A counter that only rises: between what was acknowledged and what was tried.
struct CounterModel {
    std::int64_t acknowledged = 0;
    std::int64_t unknown = 0;
};

struct ClientModel {
    std::map<Bytes, KeyModel> keys;
    Bytes counter_key;
    CounterModel counter;
};

}  // namespace kvstore::storm
