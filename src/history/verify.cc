#include "history/verify.h"

#include "base/assert.h"
#include "history/counters.h"
#include "history/durability.h"
#include "history/expiry.h"
#include "history/linearizability.h"
#include "history/sessions.h"
#include "history/weak_reads.h"

namespace kvstore::history {

Verdict Verification::verdict() const noexcept {
    Verdict worst = Verdict::kHolds;
    for (const CheckReport* const report :
         {&linearizability, &durability, &counters, &sessions, &weak_reads, &expiry}) {
        const Verdict verdict = report->verdict();
        if (verdict == Verdict::kViolated) {
            return verdict;
        }
        if (verdict == Verdict::kUndecided) {
            worst = verdict;
        }
    }
    return worst;
}

Verifier::Verifier(const History& history, const VerifyOptions& options)
    : history_(history), options_(options), keys_(partition_by_key(history)) {}

void Verifier::check_next_key() {
    KVSTORE_ASSERT(!is_done());
    const KeyOperations& key = keys_[done_++];
    Verification& to = verification_;
    const Consistency consistency = options_.consistency;
    const std::uint64_t budget = options_.budget;
    check_linearizability(
        history_, key, {.consistency = consistency, .budget = budget}, to.linearizability);
    check_durability(history_, key, {.consistency = consistency, .budget = budget}, to.durability);
    check_counters(history_, key, consistency, to.counters);
    check_sessions(history_, key, consistency, to.sessions);
    check_weak_reads(history_,
                     key,
                     {.consistency = consistency, .staleness_max = options_.staleness_max},
                     to.weak_reads);
    check_expiry(history_, key, to.expiry);
}

Verification verify(const History& history, const VerifyOptions& options) {
    Verifier verifier(history, options);
    while (!verifier.is_done()) {
        verifier.check_next_key();
    }
    return verifier.verification();
}

}  // namespace kvstore::history
