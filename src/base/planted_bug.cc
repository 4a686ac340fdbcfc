#include "base/planted_bug.h"

#include <array>
#include <atomic>
#include <cstddef>

#include "base/assert.h"

namespace kvstore {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(PlantedBug::kCount)> kNames = {
    "none",
    "wal-skip-sync",
    "wal-acknowledge-early",
    "wal-cut-damaged-middle",
    "wal-accept-stale-records",
    "wal-ignore-chain",
    "wal-trust-page-cache",
    "wal-skip-directory-sync",
    "wal-retry-after-failure",
    "wal-release-too-much",
    "snapshot-rename-before-sync",
    "snapshot-skip-block-check",
    "group-acknowledges-before-durable",
    "group-forgets-applied-index",
    "sleepers-miss-leaders-death",
    "memory-snapshot-misses-preimage",
    "memory-forgets-applied-index",
    "mvcc-digest-not-rolled",
    "mvcc-expiry-ignores-stamp",
    "mvcc-revision-skips-on-noop",
    "mvcc-forget-applied-index",
    "group-answers-lost-proposal",
    "group-denies-lost-proposals",
    "group-forgets-vote",
    "group-term-not-persisted",
    "group-recovers-uncommitted",
    "group-reads-without-barrier",
    "group-trusts-its-leadership",
    "group-reads-before-applied",
    "group-drops-last-row",
    "route-retries-unknown",
    "route-applies-twice",
    "route-drops-conditions",
    "kv-ignores-session",
    "kv-forgets-own-writes",
    "kv-bounded-reads-are-eventual",
    "rpc-skips-checksum",
    "node-founds-again",
    "mvcc-skips-conditions",
    "mvcc-expires-rewritten",
    "group-forgets-removals",
    "route-ignores-condition-keys",
    "kv-scan-skips-border-key",
    "kv-read-many-mixes-shards",
    "kv-notes-first-shard",
    "kv-shows-expired",
    "kv-expires-by-later-clock",
};
static_assert(!kNames.back().empty(), "every planted bug has a name");

}  // namespace

std::string_view planted_bug_name(PlantedBug bug) noexcept {
    KVSTORE_ASSERT(bug < PlantedBug::kCount);
    return kNames[static_cast<std::size_t>(bug)];
}

std::optional<PlantedBug> find_planted_bug(std::string_view name) noexcept {
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (kNames[i] == name) {
            return static_cast<PlantedBug>(i);
        }
    }
    return std::nullopt;
}

#ifdef KVSTORE_PLANTED_BUGS

namespace {

std::atomic<PlantedBug>& planted() noexcept {
    static std::atomic<PlantedBug> bug{PlantedBug::kNone};
    return bug;
}

}  // namespace

void plant_bug(PlantedBug bug) noexcept {
    KVSTORE_ASSERT(bug < PlantedBug::kCount);
    planted().store(bug, std::memory_order_relaxed);
}

bool planted_bug(PlantedBug bug) noexcept {
    return planted().load(std::memory_order_relaxed) == bug;
}

#endif

}  // namespace kvstore
