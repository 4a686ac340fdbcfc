#include "history/durability.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "history/internal/explain.h"
#include "history/internal/problem.h"
#include "history/internal/sums.h"
#include "history/internal/written_values.h"

namespace kvstore::history {
namespace {

using internal::Role;
using internal::Writers;

class DurabilityCheck {
public:
    DurabilityCheck(const History& history,
                    const KeyOperations& key,
                    const DurabilityOptions& options,
                    CheckReport& report)
        : history_(history), key_(key), options_(options), report_(report) {}

    void run() {
        bool is_plain = true;
        MonotonicTime latest_return = MonotonicTime::min();
        for (const std::size_t place : key_.places) {
            const Operation& operation = history_[place];
            if (may_have_effect(operation)) {
                is_plain = is_plain && operation.kind != OperationKind::kIncrement &&
                           operation.kind != OperationKind::kAppend;
                if (operation.outcome == Outcome::kOk) {
                    latest_return = std::max(latest_return, operation.returned);
                    last_begun_ = place;  // places are in order of call
                }
            }
        }
        if (!last_begun_ || internal::Sums::of(history_, key_)) {
            return;
        }
        const auto read = find_final_read(latest_return);
        if (!read) {
            ++report_.skipped_count;
            return;
        }
        ++report_.key_count;
        ++report_.operation_count;
        is_plain ? judge_last_writer(*read) : search(*read);
    }

private:
    [[nodiscard]] std::optional<std::size_t> find_final_read(MonotonicTime latest_return) const {
        for (std::size_t i = key_.places.size(); i-- > 0;) {
            const Operation& operation = history_[key_.places[i]];
            const bool is_judged =
                operation.kind == OperationKind::kRead && operation.outcome == Outcome::kOk &&
                operation.consistency.value_or(options_.consistency) == Consistency::kLinearizable;
            if (is_judged && operation.called > latest_return) {
                return key_.places[i];
            }
        }
        return std::nullopt;
    }

    void judge_last_writer(std::size_t read) {
        const internal::WrittenValues written(history_, key_);
        const Writers* const writers = written.find(*history_[read].observed);
        if (writers == nullptr || writers->earliest_call > history_[read].returned) {
            complain(read, {}, "nothing that may have taken effect wrote the value");
            return;
        }
        if (writers->latest_return < history_[*last_begun_].called) {
            complain(read,
                     writers->places,
                     "lost, though acknowledged: " + operation_text(history_[*last_begun_]));
        }
    }

    void search(std::size_t read) {
        std::vector<Role> roles;
        for (const std::size_t place : key_.places) {
            const bool is_other_read =
                history_[place].kind == OperationKind::kRead && place != read;
            roles.push_back(is_other_read ? Role::kLeftOut : internal::role_of(history_[place]));
        }
        internal::Problem problem = internal::make_problem(history_, key_.places, roles);
        internal::Effort effort{.budget = options_.budget};
        const Verdict verdict = internal::judge(problem, effort);
        report_.configuration_count += effort.spent;
        if (verdict == Verdict::kUndecided) {
            report_.undecided.emplace_back(key_.key);
        }
        if (verdict == Verdict::kViolated) {
            report_.add(internal::explain(
                history_, key_, roles, internal::Effort{.budget = options_.budget}));
        }
    }

    void complain(std::size_t read, std::vector<std::size_t> writers, const std::string& what) {
        Violation violation;
        violation.key = Bytes(key_.key);
        violation.reason = "at the end " + operation_text(history_[read]) + ": " + what;
        violation.culprit = read;
        violation.window = std::move(writers);
        violation.window.push_back(*last_begun_);
        violation.window.push_back(read);
        sort_by_call(history_, violation.window);
        report_.add(std::move(violation));
    }

    const History& history_;
    const KeyOperations& key_;
    const DurabilityOptions& options_;
    CheckReport& report_;
    std::optional<std::size_t> last_begun_;  // of what was acknowledged
};

}  // namespace

void check_durability(const History& history,
                      const KeyOperations& key,
                      const DurabilityOptions& options,
                      CheckReport& report) {
    DurabilityCheck(history, key, options, report).run();
}

CheckReport check_durability(const History& history, const DurabilityOptions& options) {
    CheckReport report;
    for (const KeyOperations& key : partition_by_key(history)) {
        check_durability(history, key, options, report);
    }
    return report;
}

}  // namespace kvstore::history
