// Where objects of a crashed process end: kept for ever, never run, never destroyed.
//
// Power loss does not run destructors. What a crashed host had in memory (coroutines half way,
// their objects, our components with their open gates) must not run again either: their destructors
// would assert or touch one another in an order that no program has. So it is all kept, reachable,
// until the test program ends; leak checkers see no leak.
#pragma once

#include <memory>

namespace kvstore::sim {

namespace internal {
void bury(std::shared_ptr<void> remains);
}  // namespace internal

// For a component that was built on a host that has crashed.
template <typename T>
void bury(std::unique_ptr<T> component) {
    // The deleter never runs: what is buried stays.
    internal::bury(std::shared_ptr<T>(std::move(component)));
}

}  // namespace kvstore::sim
