// Tells a read that was on its way on another thread whether what it brings is still true.
#pragma once

#include <cstdint>
#include <unordered_map>

namespace kvstore::storage::lsm {

// Keys are known by their hash: two that share one cost a needless reload, never a stale answer.
//
// Runs on   The engine's core.
class ChangeTracker {
public:
    // A read in flight, from before it leaves the core until its results have been taken in.
    class Read {
    public:
        explicit Read(ChangeTracker* tracker) : tracker_(tracker), began_at_(tracker->commit_) {
            ++tracker_->reads_;
        }
        Read(const Read&) = delete;
        Read& operator=(const Read&) = delete;
        ~Read() {
            if (--tracker_->reads_ == 0) {
                tracker_->changed_at_.clear();
            }
        }

        // Whether a commit since the read began may have changed the key.
        [[nodiscard]] bool has_changed(std::uint64_t key_hash) const {
            if (tracker_->all_changed_at_ > began_at_) {
                return true;
            }
            const auto found = tracker_->changed_at_.find(key_hash);
            return found != tracker_->changed_at_.end() && found->second > began_at_;
        }

    private:
        ChangeTracker* tracker_;
        std::uint64_t began_at_;
    };

    // A commit becomes visible: call once, then note what it changed.
    void begin_commit() { ++commit_; }
    // Whether anybody wants to know.
    [[nodiscard]] bool is_needed() const { return reads_ > 0; }
    void note_changed(std::uint64_t key_hash) {
        if (changed_at_.size() >= kKeysMax) {
            note_all_changed();
        }
        changed_at_[key_hash] = commit_;
    }
    void note_all_changed() {
        all_changed_at_ = commit_;
        changed_at_.clear();
    }

private:
    static constexpr std::size_t kKeysMax = 1U << 18U;

    std::uint64_t commit_ = 0;
    std::uint64_t all_changed_at_ = 0;
    std::uint64_t reads_ = 0;
    std::unordered_map<std::uint64_t, std::uint64_t> changed_at_;
};

}  // namespace kvstore::storage::lsm
