// All checks over one history, a key at a time. Where writes run out, over what with_expiries()
// makes of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "history/check.h"
#include "history/operation.h"

namespace kvstore::history {

struct VerifyOptions {
    // Of reads that name none.
    Consistency consistency = Consistency::kLinearizable;
    // Configurations that a search may try for one key.
    std::uint64_t budget = 1'000'000;
    // How far behind a bounded read may be; without it only its value is judged.
    std::optional<Duration> staleness_max = std::nullopt;
};

struct Verification {
    CheckReport linearizability;
    CheckReport durability;
    CheckReport counters;
    CheckReport sessions;
    CheckReport weak_reads;
    CheckReport expiry;

    [[nodiscard]] Verdict verdict() const noexcept;
};

// Lifetime  Of one verification, on the stack; the history outlives it, unchanged.
class Verifier {
public:
    Verifier(const History& history, const VerifyOptions& options);

    [[nodiscard]] bool is_done() const { return done_ == keys_.size(); }
    // Requires: not is_done().
    void check_next_key();

    [[nodiscard]] std::size_t key_count() const { return keys_.size(); }
    [[nodiscard]] std::size_t keys_done() const { return done_; }
    [[nodiscard]] const Verification& verification() const { return verification_; }

private:
    const History& history_;
    VerifyOptions options_;
    std::vector<KeyOperations> keys_;
    std::size_t done_ = 0;
    Verification verification_;
};

[[nodiscard]] Verification verify(const History& history, const VerifyOptions& options = {});

}  // namespace kvstore::history
