#include "history/sessions.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "history/internal/written_values.h"

namespace kvstore::history {
namespace {

using internal::Writers;
using internal::WrittenValues;

// What a client knows of a key: nothing older may be shown to it.
struct Known {
    Revision revision;
    std::size_t revision_place = 0;
    // Whatever was certainly overwritten before this moment is too old.
    MonotonicTime floor = MonotonicTime::min();
    std::size_t floor_place = 0;
};

class SessionCheck {
public:
    SessionCheck(const History& history,
                 const KeyOperations& key,
                 Consistency fallback,
                 CheckReport& report)
        : history_(history),
          key_(key),
          fallback_(fallback),
          report_(report),
          written_(history, key) {}

    // Calls and returns in order of time, so that a client's pipelined operations, which overlap,
    // promise nothing about one another.
    void run() {
        using Event = std::tuple<MonotonicTime, bool, std::size_t>;  // true: a return
        std::vector<Event> events;
        for (const std::size_t place : key_.places) {
            const Operation& operation = history_[place];
            if (operation.outcome == Outcome::kOk && is_promised(operation)) {
                events.emplace_back(operation.called, false, place);
                events.emplace_back(operation.returned, true, place);
            }
        }
        std::ranges::sort(events);
        const std::uint64_t before = report_.operation_count;
        for (const auto& [time, is_return, place] : events) {
            const Operation& operation = history_[place];
            is_return ? learn(known_[operation.client], operation, place)
                      : judge(known_[operation.client], operation, place);
        }
        report_.key_count += report_.operation_count > before ? 1 : 0;
    }

private:
    [[nodiscard]] bool is_promised(const Operation& operation) const {
        const Consistency level = operation.consistency.value_or(fallback_);
        return operation.kind != OperationKind::kRead || level == Consistency::kLinearizable ||
               level == Consistency::kCausal;
    }

    // What it saw is known once it returned.
    void learn(Known& known, const Operation& operation, std::size_t place) {
        if (operation.revision && *operation.revision >= known.revision) {
            known.revision = *operation.revision;
            known.revision_place = place;
        }
        MonotonicTime floor = MonotonicTime::min();
        if (may_have_effect(operation)) {
            floor = operation.called;
        } else if (operation.observed && written_.are_complete()) {
            const Writers* const writers = written_.find(*operation.observed);
            floor = writers != nullptr ? writers->earliest_call : floor;
        }
        if (floor > known.floor) {
            known.floor = floor;
            known.floor_place = place;
        }
    }

    // The state of `known` when the operation was called is what counts.
    void judge(const Known& known, const Operation& operation, std::size_t place) {
        const bool judges_revision = operation.revision.has_value();
        const bool judges_value = operation.kind == OperationKind::kRead && written_.are_complete();
        if (!judges_revision && !judges_value) {
            report_.skipped_count += operation.kind == OperationKind::kRead ? 1 : 0;
            return;
        }
        ++report_.operation_count;
        if (judges_revision && *operation.revision < known.revision) {
            complain(known.revision_place,
                     place,
                     "revision " + std::to_string(operation.revision->value()) + " after " +
                         std::to_string(known.revision.value()));
            return;
        }
        if (!judges_value) {
            return;
        }
        const Writers* const writers = written_.find(*operation.observed);
        if (writers != nullptr && writers->latest_return < known.floor) {
            complain(known.floor_place, place, "an older value than it knew");
        }
    }

    void complain(std::size_t earlier, std::size_t place, const std::string& what) {
        Violation violation;
        violation.key = Bytes(key_.key);
        violation.reason = "client " + std::to_string(history_[place].client.value()) + " got " +
                           what + ": " + operation_text(history_[place]);
        violation.culprit = place;
        violation.window = {earlier, place};
        add_writer(history_[earlier], earlier, violation.window);
        add_writer(history_[place], place, violation.window);
        sort_by_call(history_, violation.window);
        const auto repeated = std::ranges::unique(violation.window);
        violation.window.erase(repeated.begin(), repeated.end());
        report_.add(std::move(violation));
    }

    // Who wrote what a read saw, where that is one operation.
    void add_writer(const Operation& operation,
                    std::size_t place,
                    std::vector<std::size_t>& to) const {
        if (operation.kind != OperationKind::kRead) {
            return;
        }
        const Writers* const writers = written_.find(*operation.observed);
        if (writers != nullptr && writers->places.size() == 1 && writers->places.front() != place) {
            to.push_back(writers->places.front());
        }
    }

    const History& history_;
    const KeyOperations& key_;
    Consistency fallback_;
    CheckReport& report_;
    WrittenValues written_;
    std::map<ClientId, Known> known_;
};

}  // namespace

void check_sessions(const History& history,
                    const KeyOperations& key,
                    Consistency fallback,
                    CheckReport& report) {
    SessionCheck(history, key, fallback, report).run();
}

CheckReport check_sessions(const History& history, Consistency fallback) {
    CheckReport report;
    for (const KeyOperations& key : partition_by_key(history)) {
        check_sessions(history, key, fallback, report);
    }
    return report;
}

}  // namespace kvstore::history
