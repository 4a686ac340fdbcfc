#include "history/expiry.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

namespace kvstore::history {
namespace {

bool runs_out(const Operation& operation) {
    return operation.expiry.has_value() && may_have_effect(operation);
}

// At any time from the beginning of the span on, or never: a later write may come first.
Operation deletion_of(const Operation& write) {
    Operation deletion;
    deletion.client = write.client;
    deletion.kind = OperationKind::kCompareAndSet;
    deletion.key = write.key;
    deletion.expected = write.argument;
    deletion.called = write.expiry->earliest;
    deletion.returned = deletion.called;
    return deletion;
}

bool overlaps(const Operation& operation, const Expiry& span) {
    return operation.called <= span.latest && operation.returned >= span.earliest;
}

struct LastMoment {
    MonotonicTime latest;
    std::size_t writer;
};

}  // namespace

History with_expiries(const History& history, Clocks clocks) {
    History all = history;
    for (const KeyOperations& key : partition_by_key(history)) {
        std::vector<std::size_t> expiring;
        for (const std::size_t place : key.places) {
            if (runs_out(history[place])) {
                expiring.push_back(place);
                all.push_back(deletion_of(history[place]));
            }
        }
        if (clocks == Clocks::kAgree) {
            continue;
        }
        for (const std::size_t place : key.places) {
            const bool is_doubtful = history[place].kind == OperationKind::kRead &&
                                     std::ranges::any_of(expiring, [&](std::size_t write) {
                                         return overlaps(history[place], *history[write].expiry);
                                     });
            if (is_doubtful) {
                Operation& left_out = all[place];
                left_out.outcome = Outcome::kFailed;
                left_out.observed.reset();
                left_out.revision.reset();
            }
        }
    }
    return all;
}

void check_expiry(const History& history, const KeyOperations& key, CheckReport& report) {
    // Until when each value can be seen.
    std::unordered_map<ByteView, LastMoment> last_moments;
    bool has_expiries = false;
    for (const std::size_t place : key.places) {
        const Operation& operation = history[place];
        if (!may_have_effect(operation) || !operation.argument) {
            continue;
        }
        has_expiries = has_expiries || operation.expiry.has_value();
        const MonotonicTime latest =
            operation.expiry ? operation.expiry->latest : MonotonicTime::max();
        const auto [at, is_new] = last_moments.try_emplace(
            ByteView(*operation.argument), LastMoment{.latest = latest, .writer = place});
        if (!is_new && latest > at->second.latest) {
            at->second = {.latest = latest, .writer = place};
        }
    }
    if (!has_expiries) {
        return;
    }
    ++report.key_count;
    for (const std::size_t place : key.places) {
        const Operation& read = history[place];
        if (read.kind != OperationKind::kRead || read.outcome != Outcome::kOk || !*read.observed) {
            continue;
        }
        ++report.operation_count;
        const auto found = last_moments.find(ByteView(**read.observed));
        if (found == last_moments.end() || read.called <= found->second.latest) {
            continue;
        }
        Violation violation;
        violation.key = Bytes(key.key);
        violation.reason = operation_text(read) + ": its time was up before the read began";
        violation.window = {found->second.writer, place};
        violation.culprit = place;
        report.add(std::move(violation));
    }
}

CheckReport check_expiry(const History& history) {
    CheckReport report;
    for (const KeyOperations& key : partition_by_key(history)) {
        check_expiry(history, key, report);
    }
    return report;
}

}  // namespace kvstore::history
