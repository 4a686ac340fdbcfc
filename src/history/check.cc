#include "history/check.h"

#include <utility>

namespace kvstore::history {

std::string_view verdict_name(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::kHolds: return "holds";
        case Verdict::kViolated: return "violated";
        case Verdict::kUndecided: return "undecided";
    }
    return "";
}

Verdict CheckReport::verdict() const noexcept {
    if (violation_count > 0) {
        return Verdict::kViolated;
    }
    return undecided.empty() ? Verdict::kHolds : Verdict::kUndecided;
}

void CheckReport::add(Violation violation) {
    ++violation_count;
    if (wants_violation()) {
        violations.push_back(std::move(violation));
    }
}

}  // namespace kvstore::history
