// What a checker says about a history.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "history/operation.h"

namespace kvstore::history {

enum class Verdict : std::uint8_t {
    kHolds,
    kViolated,
    kUndecided,  // the budget was spent before there was an answer; never means "holds"
};

[[nodiscard]] std::string_view verdict_name(Verdict verdict) noexcept;

// The smallest explanation found: these operations alone, as they were answered, are impossible.
struct Violation {
    Bytes key;
    std::string reason;
    std::vector<std::size_t> window;     // places in the history, in order of call
    std::optional<std::size_t> culprit;  // the one whose answer cannot be explained
};

// The sum over all keys that a checker has looked at.
struct CheckReport {
    // Violations beyond this many are counted only.
    static constexpr std::size_t kViolationsMax = 10;

    std::uint64_t key_count = 0;        // that had something to check
    std::uint64_t operation_count = 0;  // whose answers were judged
    std::uint64_t skipped_count = 0;    // that this checker cannot judge
    std::uint64_t violation_count = 0;
    std::uint64_t configuration_count = 0;  // tried by a search
    std::vector<Violation> violations;
    std::vector<Bytes> undecided;  // keys

    // One violation outweighs anything undecided.
    [[nodiscard]] Verdict verdict() const noexcept;
    // Whether the next violation will be kept, so that explaining it is worth the work.
    [[nodiscard]] bool wants_violation() const noexcept {
        return violations.size() < kViolationsMax;
    }
    void add(Violation violation);
};

}  // namespace kvstore::history
