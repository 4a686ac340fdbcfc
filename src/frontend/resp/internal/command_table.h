// Every command the front end knows, each one row.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "frontend/resp/command.h"

namespace kvstore::resp {

// Immutable.
class CommandTable {
public:
    // Null when there is none of this name, in any case.
    [[nodiscard]] static const CommandSpec* find(std::string_view name);
    // In no order that means anything.
    [[nodiscard]] static std::span<const CommandSpec> all();
    [[nodiscard]] static std::size_t number_of(const CommandSpec& spec);
};

// Whether a request of so many arguments, with the name, suits the command.
[[nodiscard]] bool arity_suits(const CommandSpec& spec, std::size_t size);

// The positions of the keys in a request that suits the command.
class KeyPositions {
public:
    KeyPositions(const CommandSpec& spec, std::size_t size);
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] std::size_t at(std::size_t number) const { return first_ + (number * step_); }

private:
    std::size_t first_ = 0;
    std::size_t step_ = 1;
    std::size_t count_ = 0;
};

}  // namespace kvstore::resp
