// Folds a state into 64 bits, in the order in which it is told.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "raft/types.h"

namespace kvstore::raft {

class Fingerprint {
public:
    Fingerprint& add(std::uint64_t word) noexcept {
        value_ = mix64(value_ ^ word) + 0x9e3779b97f4a7c15ULL;
        return *this;
    }
    Fingerprint& add(const Entry& entry) noexcept {
        add(entry.term.value()).add(entry.index.value());
        return add(static_cast<std::uint64_t>(entry.kind)).add(hash64(entry.data.view()));
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

private:
    std::uint64_t value_ = 0;
};

}  // namespace kvstore::raft
