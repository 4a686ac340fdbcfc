// Epoch-based reclamation: one writer unlinks things, readers on any core may still be looking at
// them, and nothing is freed before every reader that could has left.
//
// The writer tags what it unlinks with the current epoch and raises the epoch now and then. A
// reader announces the epoch it enters in. What was unlinked in epoch e can be freed once every
// reader inside announced a later one (Fraser, Practical lock-freedom, 2004, section 5.2.3).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace kvstore::storage::memory {

// Lifetime    Outlives its readers.
// Runs on     The writer's core, but for Reader::enter() and leave().
// Invariants  current() never falls; safe() <= current()
class EpochDomain {
public:
    // One reading core's announcement. One core at a time, and never entered twice.
    class alignas(64) Reader {
    public:
        explicit Reader(const std::atomic<std::uint64_t>* current) : current_(current) {}

        // What is read from now on stays until leave(). Wait-free but against a writer that raises
        // the epoch at every step.
        void enter() noexcept {
            std::uint64_t epoch = current_->load(std::memory_order_seq_cst);
            for (;;) {
                announced_.store(epoch, std::memory_order_seq_cst);
                // The writer may have looked at our place between the load and the store and taken
                // us for absent: then the epoch has moved on.
                const std::uint64_t again = current_->load(std::memory_order_seq_cst);
                if (again == epoch) {
                    return;
                }
                epoch = again;
            }
        }
        void leave() noexcept { announced_.store(kOutside, std::memory_order_release); }

        // Gives the place back; from the reader's core, outside of a read.
        void retire() noexcept { is_free_.store(true, std::memory_order_release); }

    private:
        friend class EpochDomain;
        const std::atomic<std::uint64_t>* current_;
        std::atomic<std::uint64_t> announced_{kOutside};
        std::atomic<bool> is_free_{false};
    };

    EpochDomain() = default;
    EpochDomain(const EpochDomain&) = delete;
    EpochDomain& operator=(const EpochDomain&) = delete;
    ~EpochDomain();

    // The reader may then be used on another core. Ended by its retire().
    Reader* add_reader();
    [[nodiscard]] std::size_t reader_count() const;

    // The epoch that what is unlinked now belongs to.
    [[nodiscard]] std::uint64_t current() const { return current_.load(std::memory_order_relaxed); }

    // Begins a new epoch.
    // Returns: the epoch before which everything unlinked may be freed.
    std::uint64_t advance();

private:
    static constexpr std::uint64_t kOutside = UINT64_MAX;

    std::atomic<std::uint64_t> current_{1};
    std::vector<std::unique_ptr<Reader>> readers_;
};

}  // namespace kvstore::storage::memory
