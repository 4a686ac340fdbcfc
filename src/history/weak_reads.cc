#include "history/weak_reads.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "history/internal/sums.h"
#include "history/internal/written_values.h"

namespace kvstore::history {
namespace {

using internal::Sums;
using internal::Writers;
using internal::WrittenValues;

class WeakReadCheck {
public:
    WeakReadCheck(const History& history,
                  const KeyOperations& key,
                  const WeakReadOptions& options,
                  CheckReport& report)
        : history_(history),
          key_(key),
          options_(options),
          report_(report),
          written_(history, key) {}

    void run() {
        std::vector<std::size_t> reads;
        for (const std::size_t place : key_.places) {
            const Operation& operation = history_[place];
            const Consistency level = operation.consistency.value_or(options_.consistency);
            if (operation.kind == OperationKind::kRead && operation.outcome == Outcome::kOk &&
                (level == Consistency::kBounded || level == Consistency::kEventual)) {
                reads.push_back(place);
            }
        }
        if (reads.empty()) {
            return;
        }
        const auto sums = Sums::of(history_, key_);
        if (!sums && !written_.are_complete()) {
            report_.skipped_count += reads.size();
            return;
        }
        ++report_.key_count;
        report_.operation_count += reads.size();
        gather_effects();
        for (const std::size_t read : reads) {
            sums ? judge_sum(*sums, read) : judge_value(read);
        }
    }

private:
    void judge_sum(const Sums& sums, std::size_t read) {
        const auto number = internal::number_of(*history_[read].observed);
        if (!number || !sums.is_possible_before(history_[read].returned, *number)) {
            complain(read, "no sum of the increments begun by then", {});
        }
    }

    void judge_value(std::size_t read) {
        const Operation& operation = history_[read];
        const Writers* const writers = written_.find(*operation.observed);
        if (writers == nullptr) {
            complain(read, "nothing that may have taken effect wrote this value", {});
            return;
        }
        if (writers->earliest_call > operation.returned) {
            complain(read, "the value was written only later", writers->places);
            return;
        }
        if (options_.staleness_max &&
            operation.consistency.value_or(options_.consistency) == Consistency::kBounded) {
            judge_staleness(read, *writers);
        }
    }

    // Overwritten for longer than may be: everything that wrote the value had taken effect before
    // something was called that in turn had taken effect by then.
    void judge_staleness(std::size_t read, const Writers& writers) {
        const MonotonicTime called = history_[read].called;
        if (called.time_since_epoch() <
            MonotonicTime::min().time_since_epoch() + *options_.staleness_max) {
            return;
        }
        const MonotonicTime allowed = called - *options_.staleness_max;
        const auto after =
            std::ranges::upper_bound(effects_, writers.latest_return, {}, [this](std::size_t at) {
                return history_[at].called;
            });
        if (after == effects_.end()) {
            return;
        }
        const std::size_t by = soonest_[static_cast<std::size_t>(after - effects_.begin())];
        if (history_[by].returned < allowed) {
            std::vector<std::size_t> others = writers.places;
            others.push_back(by);
            complain(read, "it was overwritten before the bound", std::move(others));
        }
    }

    // Acknowledged effects in order of call, and for each the one at or after it that returned
    // first.
    void gather_effects() {
        for (const std::size_t place : key_.places) {
            if (history_[place].outcome == Outcome::kOk && may_have_effect(history_[place])) {
                effects_.push_back(place);
            }
        }
        soonest_ = effects_;
        for (std::size_t i = soonest_.size(); i-- > 1;) {
            if (history_[soonest_[i]].returned < history_[soonest_[i - 1]].returned) {
                soonest_[i - 1] = soonest_[i];
            }
        }
    }

    void complain(std::size_t read, const std::string& why, std::vector<std::size_t> others) {
        Violation violation;
        violation.key = Bytes(key_.key);
        violation.reason = operation_text(history_[read]) + ": " + why;
        violation.culprit = read;
        violation.window = std::move(others);
        violation.window.push_back(read);
        sort_by_call(history_, violation.window);
        report_.add(std::move(violation));
    }

    const History& history_;
    const KeyOperations& key_;
    const WeakReadOptions& options_;
    CheckReport& report_;
    WrittenValues written_;
    std::vector<std::size_t> effects_;
    std::vector<std::size_t> soonest_;
};

}  // namespace

void check_weak_reads(const History& history,
                      const KeyOperations& key,
                      const WeakReadOptions& options,
                      CheckReport& report) {
    WeakReadCheck(history, key, options, report).run();
}

CheckReport check_weak_reads(const History& history, const WeakReadOptions& options) {
    CheckReport report;
    for (const KeyOperations& key : partition_by_key(history)) {
        check_weak_reads(history, key, options, report);
    }
    return report;
}

}  // namespace kvstore::history
