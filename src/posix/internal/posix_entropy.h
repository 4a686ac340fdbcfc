// Chance from the kernel.
#pragma once

#include <array>
#include <cstddef>

#include "env/entropy.h"

namespace kvstore::posix {

class PosixEntropy final : public env::Entropy {
public:
    [[nodiscard]] std::uint64_t next() override;

private:
    // Read in advance: one system call for many numbers. Used ones are wiped.
    std::array<std::uint64_t, 32> buffer_ = {};
    std::size_t left_ = 0;
};

}  // namespace kvstore::posix
