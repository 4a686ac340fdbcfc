#include "sim/morgue.h"

#include <atomic>
#include <utility>

namespace kvstore::sim::internal {
namespace {

struct Grave {
    std::shared_ptr<void> remains;
    Grave* next = nullptr;
};

}  // namespace

void bury(std::shared_ptr<void> remains) {
    // Graves are never freed: the end of the program must not run destructors of the dead either.
    // The list keeps them reachable for leak checkers.
    static constinit std::atomic<Grave*> graves{nullptr};
    Grave* grave = std::make_unique<Grave>(Grave{.remains = std::move(remains)}).release();
    grave->next = graves.load(std::memory_order_relaxed);
    while (!graves.compare_exchange_weak(grave->next, grave, std::memory_order_release)) {
    }
}

}  // namespace kvstore::sim::internal
