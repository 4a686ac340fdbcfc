#include "history/counters.h"

#include <string>
#include <utility>

#include "history/internal/sums.h"

namespace kvstore::history {
namespace {

using internal::Sums;

std::string number_text(Sums::Wide number) {
    if (number == 0) {
        return "0";
    }
    std::string digits;
    for (Sums::Wide left = number; left != 0; left /= 10) {
        const auto digit = static_cast<int>(left % 10);
        digits.insert(digits.begin(), static_cast<char>('0' + (digit < 0 ? -digit : digit)));
    }
    return number < 0 ? "-" + digits : digits;
}

class CounterCheck {
public:
    CounterCheck(const History& history,
                 const KeyOperations& key,
                 const Sums& sums,
                 CheckReport& report)
        : history_(history), key_(key), sums_(sums), report_(report) {}

    // The sum that an operation told, if it told one.
    void judge(std::size_t place) {
        const Operation& operation = history_[place];
        const bool is_read = operation.kind == OperationKind::kRead;
        if (!is_read && !operation.number) {
            return;
        }
        ++report_.operation_count;
        const auto seen = is_read ? internal::number_of(*operation.observed) : operation.number;
        if (!seen) {
            complain(place, "is no number");
            return;
        }
        // An increment sees itself; the others are judged without it.
        const std::int64_t own = is_read ? 0 : operation.delta;
        Sums::Range range = sums_.range(operation.called, operation.returned);
        range.low += own > 0 ? own : 0;
        range.high += own < 0 ? own : 0;
        if (*seen < range.low || *seen > range.high) {
            complain(
                place,
                *seen < range.low
                    ? "is less than the " + number_text(range.low) + " that had been added"
                    : "is more than the " + number_text(range.high) + " that can have been added");
            return;
        }
        const bool is_final = is_read && operation.called > sums_.latest_return();
        if (is_final && !sums_.is_sum_of_unknown(*seen - sums_.acknowledged())) {
            complain(place,
                     "is not the " + number_text(sums_.acknowledged()) +
                         " acknowledged and some of the increments of unknown outcome");
        }
    }

private:
    void complain(std::size_t place, const std::string& what) {
        Violation violation;
        violation.key = Bytes(key_.key);
        violation.reason = operation_text(history_[place]) + ": " + what;
        violation.window = {place};
        violation.culprit = place;
        report_.add(std::move(violation));
    }

    const History& history_;
    const KeyOperations& key_;
    const Sums& sums_;
    CheckReport& report_;
};

bool is_judged(const Operation& operation, Consistency fallback) {
    return operation.outcome == Outcome::kOk &&
           (operation.kind != OperationKind::kRead ||
            operation.consistency.value_or(fallback) == Consistency::kLinearizable);
}

}  // namespace

void check_counters(const History& history,
                    const KeyOperations& key,
                    Consistency fallback,
                    CheckReport& report) {
    const auto sums = Sums::of(history, key);
    if (!sums) {
        return;
    }
    ++report.key_count;
    CounterCheck check(history, key, *sums, report);
    for (const std::size_t place : key.places) {
        if (is_judged(history[place], fallback)) {
            check.judge(place);
        }
    }
}

CheckReport check_counters(const History& history, Consistency fallback) {
    CheckReport report;
    for (const KeyOperations& key : partition_by_key(history)) {
        check_counters(history, key, fallback, report);
    }
    return report;
}

}  // namespace kvstore::history
