#include "storage/lsm/internal/durability.h"

#include "base/assert.h"

namespace kvstore::storage::lsm {

void Durability::note_commit(std::uint64_t sequence, Index applied) {
    KVSTORE_ASSERT(commits_.empty() ||
                   (commits_.back().sequence < sequence && commits_.back().applied <= applied));
    commits_.push_back(Commit{sequence, applied});
    if (commits_.size() <= kCommitsMax) {
        return;
    }
    // Every other one is forgotten, the newest kept: what is left says a little less, never more.
    std::deque<Commit> kept;
    for (std::size_t i = 1; i < commits_.size(); i += 2) {
        kept.push_back(commits_[i]);
    }
    if (kept.back().sequence != sequence) {
        kept.push_back(commits_.back());
    }
    commits_ = std::move(kept);
}

void Durability::note_flushed(std::uint64_t sequence) {
    while (!commits_.empty() && commits_.front().sequence <= sequence) {
        durable_ = commits_.front().applied;
        commits_.pop_front();
    }
}

}  // namespace kvstore::storage::lsm
