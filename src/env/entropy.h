// Chance, as one of the four doors to the world: real on Linux, seeded in the simulator.
#pragma once

#include <cstdint>

namespace kvstore::env {

class Entropy {
public:
    virtual ~Entropy() = default;

    // 64 unpredictable bits (predictable ones in the simulator). For seeds, ids and jitter.
    [[nodiscard]] virtual std::uint64_t next() = 0;
};

}  // namespace kvstore::env
