// The search for an order of steps, which decides where zones do not apply.
//
// Wing and Gong 1993, "Testing and verifying concurrent objects": take as the next step one that
// was called before every step not taken yet had returned; where none fits, go back. Lowe 2017,
// "Testing for linearizability": keep calls and returns in one doubly linked list, so that a step
// is taken and put back in constant time; remember each configuration (the set of steps taken, and
// the state), since what follows from it does not depend on the order that led there.
//
// Beyond the papers, five rules leave the answer as it is. Think of an order that holds with the
// fewest uncertain steps:
//
// * Passive steps. One that fits and never changes a state is taken at once and not reconsidered:
//   it may as well stand first.
// * Twins. Of equal steps the one with the earliest deadline goes first, of uncertain ones the one
//   with the earliest call: two of them may trade places.
// * Dead values. A state is not left while a certain step needs it and none can bring it back.
// * Where values only grow, by appends or by increments, none may grow beyond what a step needs
//   that is not taken yet.
// * Uncertain steps are taken only where some step accepts what they leave and makes use of it. One
//   before a blind write could as well never have happened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_set>
#include <vector>

#include "base/bytes.h"
#include "history/check.h"
#include "history/internal/problem.h"

namespace kvstore::history::internal {

// Lifetime  One run over a problem, which must outlive it.
// Never     Says that something holds, or does not, once its budget is spent.
class Search {
public:
    Search(Problem& problem, std::uint64_t budget);

    // Call once.
    Verdict run();

    // Configurations tried; those that take much memory to remember count more than once.
    [[nodiscard]] std::uint64_t spent() const { return spent_; }

private:
    // Places in a list of calls and returns; 0 is before the first and behind the last.
    using Entry = std::uint32_t;
    // Certain steps first, in order of call, then uncertain ones, in order of call.
    using Number = std::uint32_t;

    struct Node {
        Number step = 0;
        bool is_return = false;
        Entry previous = 0;
        Entry next = 0;
    };
    // One step taken.
    struct Frame {
        Number step;
        bool is_choice;  // else it was passive: there is nothing else to try in its place
        State before;
        Number frontier;
        Number highest;
        std::uint32_t candidate;  // of a choice: its place among the candidates
    };

    void number_steps();
    void link_entries();
    void name_twins();
    void count_needs();
    void find_least_needed();
    [[nodiscard]] bool has_impossible_need() const;

    [[nodiscard]] const Step& step_of(Number number) const {
        return problem_.steps[order_[number]];
    }
    [[nodiscard]] bool is_certain(Number number) const { return number < certain_count_; }
    [[nodiscard]] bool is_taken(Number number) const {
        return ((taken_[number / 64] >> (number % 64)) & 1U) != 0;
    }
    [[nodiscard]] bool is_done() const { return nodes_[0].next == 0; }
    [[nodiscard]] bool is_over_budget() const {
        return spent_ >= budget_ || problem_.states.bytes() > kStateBytesMax;
    }
    // Calls until the first return of a step not taken: whoever may be next.
    template <typename Visit>
    void for_each_open(Visit visit) const;
    [[nodiscard]] MonotonicTime horizon() const;

    void list_candidates(std::vector<Number>& candidates) const;
    void list_uncertain(std::vector<Number>& candidates) const;
    [[nodiscard]] bool is_first_twin(Number number) const;
    [[nodiscard]] bool is_wanted(State given, Number giver) const;

    bool try_candidate(Number number, std::uint32_t candidate);
    [[nodiscard]] bool leaves_dead_value(Number number) const;
    [[nodiscard]] bool outgrows_needs(State after, Number number) const;
    [[nodiscard]] bool is_outgrown(Number other, State after) const;
    bool remember();

    void take(Number number, Frame frame, State after);
    void untake();
    void take_passive();
    // Puts back the last choice. Returns: the candidate after it; nullopt where there is none left.
    std::optional<std::uint32_t> untake_choice();
    void count(const Transition& transition, bool is_certain_step);
    void uncount(const Transition& transition, bool is_certain_step);

    static constexpr std::size_t kStateBytesMax = 256U << 20U;

    Problem& problem_;
    std::uint64_t budget_;
    std::uint64_t spent_ = 0;
    bool only_appends_ = true;  // so that values only grow longer
    Number last_needer_ = 0;    // the last certain step that needs one value; none: the count
    bool only_raises_ = true;   // increments by nothing negative, so that sums only grow
    std::vector<std::int64_t> least_needed_;  // of the certain steps from each number on
    bool only_sets_ = true;  // no increments, no appends: what can be written is known

    std::vector<std::uint32_t> order_;  // the step of each number
    Number certain_count_ = 0;
    std::vector<std::uint32_t> twins_;  // equal numbers, equal steps
    std::vector<std::uint32_t> twin_counts_;
    std::vector<Number> earlier_twin_;  // itself where there is none
    std::vector<Number> asking_;        // uncertain steps that do not accept every state
    std::vector<Node> nodes_;
    std::vector<Entry> call_entry_;  // of a certain step
    std::vector<Entry> return_entry_;

    State state_;
    std::vector<std::uint64_t> taken_;
    Number frontier_ = 0;  // every certain step below it is taken
    Number highest_ = 0;   // none at or above it is
    std::vector<Frame> frames_;
    std::vector<std::uint32_t> needers_;  // certain steps not taken that need this very state
    std::vector<std::uint32_t> givers_;   // steps not taken that write it
    std::unordered_set<Bytes> seen_;
    Bytes configuration_;
};

}  // namespace kvstore::history::internal
