// The question that a checker decides: is there an order of these steps, each between its call and
// its deadline, in which every one is accepted by the state that the ones before it leave?
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "history/check.h"
#include "history/internal/register.h"
#include "history/operation.h"

namespace kvstore::history::internal {

// What is assumed of an operation. From certain to uncertain to left out the question only gets
// easier for operations that change nothing; for the others from certain to uncertain.
enum class Role : std::uint8_t {
    kCertain,    // took effect between call and return, and answered what it answered
    kUncertain,  // may take effect at any time after its call, or never; nobody was told
    kLeftOut,
};

// What the recorded outcome says.
[[nodiscard]] Role role_of(const Operation& operation) noexcept;

struct Step {
    Transition transition;
    MonotonicTime called;
    MonotonicTime deadline;  // the end of time where uncertain
    bool is_certain = true;
    std::size_t place = 0;  // in the history
};

struct Problem {
    States states;
    std::vector<Step> steps;  // in order of call
};

// `places` in order of call, with a role each. Operations that change nothing and are not certain
// are left out, as are effects that nobody can have seen.
[[nodiscard]] Problem make_problem(const History& history,
                                   std::span<const std::size_t> places,
                                   std::span<const Role> roles);

// How much may still be tried, over as many problems as share it.
struct Effort {
    std::uint64_t budget = 0;
    std::uint64_t spent = 0;

    [[nodiscard]] bool is_exhausted() const { return spent >= budget; }
};

// By zones where they apply, else by search.
[[nodiscard]] Verdict judge(Problem& problem, Effort& effort);

}  // namespace kvstore::history::internal
