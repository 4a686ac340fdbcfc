// Seeds of whole simulated clusters, each in a process of its own: what crashed nodes held is given
// back with it, and an assertion of the product is a finding like any other.
#pragma once

#include <cstdint>
#include <optional>

#include "simulation/options.h"

namespace kvstore::storm {

// Whether the seed's run kept every promise.
bool holds_in_process(std::uint64_t seed, const simulation::Options& options);

// The first of `count` seeds from `first` on whose run does not; nullopt: they all hold.
std::optional<std::uint64_t> first_that_fails(std::uint64_t first,
                                              std::uint64_t count,
                                              const simulation::Options& options);

}  // namespace kvstore::storm
