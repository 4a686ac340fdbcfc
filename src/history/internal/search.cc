#include "history/internal/search.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "base/coding.h"

namespace kvstore::history::internal {
namespace {

// Of what one remembered configuration may hold before it counts as two.
constexpr std::size_t kConfigurationBytes = 128;

// The sum that a step needs to stand there; the greatest number where any will do.
std::int64_t needed_number(const Transition& transition, const States& states) {
    constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
    if (transition.need == Need::kExactly) {
        return states.number(transition.state).value_or(kAny);
    }
    return transition.need == Need::kNumber ? transition.amount : kAny;
}

}  // namespace

Search::Search(Problem& problem, std::uint64_t budget) : problem_(problem), budget_(budget) {
    for (const Step& step : problem.steps) {
        const Transition& transition = step.transition;
        only_appends_ = only_appends_ && (transition.effect == Effect::kKeep ||
                                          transition.effect == Effect::kAppend);
        only_raises_ =
            only_raises_ && (transition.effect == Effect::kKeep ||
                             (transition.effect == Effect::kAdd && transition.delta >= 0));
        only_sets_ =
            only_sets_ && (transition.effect == Effect::kKeep || transition.effect == Effect::kSet);
    }
    number_steps();
    link_entries();
    name_twins();
    count_needs();
    find_least_needed();
    taken_.resize(order_.size() / 64 + 1);
}

void Search::number_steps() {
    for (const bool certain : {true, false}) {
        for (std::uint32_t i = 0; i < problem_.steps.size(); ++i) {
            if (problem_.steps[i].is_certain == certain) {
                order_.push_back(i);
            }
        }
        if (certain) {
            certain_count_ = static_cast<Number>(order_.size());
        }
    }
}

void Search::link_entries() {
    struct Event {
        MonotonicTime time;
        bool is_return;  // at equal times calls come first: such steps overlap
        Number step;
    };
    std::vector<Event> events;
    for (Number number = 0; number < certain_count_; ++number) {
        events.push_back({.time = step_of(number).called, .is_return = false, .step = number});
        events.push_back({.time = step_of(number).deadline, .is_return = true, .step = number});
    }
    std::ranges::sort(events, [](const Event& left, const Event& right) {
        return std::tie(left.time, left.is_return, left.step) <
               std::tie(right.time, right.is_return, right.step);
    });
    nodes_.resize(events.size() + 1);
    call_entry_.resize(certain_count_);
    return_entry_.resize(certain_count_);
    const auto size = static_cast<Entry>(nodes_.size());
    for (Entry entry = 0; entry < size; ++entry) {
        nodes_[entry].previous = (entry + size - 1) % size;
        nodes_[entry].next = (entry + 1) % size;
        if (entry > 0) {
            const Event& event = events[entry - 1];
            nodes_[entry].step = event.step;
            nodes_[entry].is_return = event.is_return;
            (event.is_return ? return_entry_ : call_entry_)[event.step] = entry;
        }
    }
}

void Search::name_twins() {
    using Name = std::tuple<bool,
                            Need,
                            std::uint32_t,
                            std::int64_t,
                            Effect,
                            std::uint32_t,
                            std::int64_t,
                            ByteView>;
    std::map<Name, std::uint32_t> names;
    std::vector<Number> last;
    for (Number number = 0; number < order_.size(); ++number) {
        const Transition& transition = step_of(number).transition;
        const Name name(is_certain(number),
                        transition.need,
                        transition.state.value(),
                        transition.amount,
                        transition.effect,
                        transition.result.value(),
                        transition.delta,
                        transition.suffix);
        const auto [known, is_new] = names.emplace(name, static_cast<std::uint32_t>(names.size()));
        if (is_new) {
            twin_counts_.push_back(0);
            last.push_back(number);
        }
        twins_.push_back(known->second);
        ++twin_counts_[known->second];
        earlier_twin_.push_back(last[known->second]);
        last[known->second] = number;
    }
}

void Search::count_needs() {
    last_needer_ = certain_count_;
    needers_.resize(problem_.states.count());
    givers_.resize(problem_.states.count());
    for (Number number = 0; number < order_.size(); ++number) {
        const Transition& transition = step_of(number).transition;
        if (is_certain(number) && transition.need == Need::kExactly) {
            ++needers_[transition.state.value()];
            last_needer_ = number;
        }
        if (transition.effect == Effect::kSet) {
            ++givers_[transition.result.value()];
        }
        if (!is_certain(number) && !transition.is_blind()) {
            asking_.push_back(number);
        }
    }
}

void Search::find_least_needed() {
    least_needed_.resize(certain_count_ + 1, std::numeric_limits<std::int64_t>::max());
    for (Number number = certain_count_; number-- > 0;) {
        least_needed_[number] = std::min(
            least_needed_[number + 1], needed_number(step_of(number).transition, problem_.states));
    }
}

// Whether some certain step can never be taken, whatever the order.
bool Search::has_impossible_need() const {
    for (Number number = 0; number < certain_count_; ++number) {
        const Transition& transition = step_of(number).transition;
        const bool is_unwritten = only_sets_ && transition.need == Need::kExactly &&
                                  transition.state != kAbsent &&
                                  givers_[transition.state.value()] == 0;
        if (transition.need == Need::kNever || is_unwritten) {
            return true;
        }
    }
    return false;
}

template <typename Visit>
void Search::for_each_open(Visit visit) const {
    for (Entry entry = nodes_[0].next; entry != 0 && !nodes_[entry].is_return;
         entry = nodes_[entry].next) {
        visit(nodes_[entry].step);
    }
}

// Nothing called after it can be next: some step not taken has returned by then.
MonotonicTime Search::horizon() const {
    Entry entry = nodes_[0].next;
    while (entry != 0 && !nodes_[entry].is_return) {
        entry = nodes_[entry].next;
    }
    return entry == 0 ? MonotonicTime::max() : step_of(nodes_[entry].step).deadline;
}

Verdict Search::run() {
    if (has_impossible_need()) {
        return Verdict::kViolated;
    }
    take_passive();
    std::vector<Number> candidates;
    std::uint32_t next = 0;
    while (!is_done()) {
        if (is_over_budget()) {
            return Verdict::kUndecided;
        }
        list_candidates(candidates);
        bool is_taken_one = false;
        while (next < candidates.size() && !is_taken_one) {
            is_taken_one = try_candidate(candidates[next], next);
            ++next;
        }
        if (is_taken_one) {
            next = 0;
            continue;
        }
        const auto after = untake_choice();
        if (!after) {
            return Verdict::kViolated;
        }
        next = *after;
    }
    return Verdict::kHolds;
}

// ---- who may be next ----

// The same list whenever the same configuration is come back to.
void Search::list_candidates(std::vector<Number>& candidates) const {
    candidates.clear();
    for_each_open([&](Number number) {
        // A passive step that fitted would have been taken.
        if (!step_of(number).transition.is_passive() && is_first_twin(number)) {
            candidates.push_back(number);
        }
    });
    if (certain_count_ < order_.size()) {
        list_uncertain(candidates);
    }
}

void Search::list_uncertain(std::vector<Number>& candidates) const {
    const MonotonicTime until = horizon();
    for (Number number = certain_count_; number < order_.size() && step_of(number).called <= until;
         ++number) {
        if (!is_taken(number) && is_first_twin(number)) {
            candidates.push_back(number);
        }
    }
}

bool Search::is_first_twin(Number number) const {
    if (!is_certain(number)) {
        const Number earlier = earlier_twin_[number];
        return earlier == number || is_taken(earlier);
    }
    if (twin_counts_[twins_[number]] == 1) {
        return true;
    }
    bool is_first = true;
    for_each_open([&](Number other) {
        is_first = is_first && (twins_[other] != twins_[number] || other == number ||
                                std::pair(step_of(number).deadline, number) <
                                    std::pair(step_of(other).deadline, other));
    });
    return is_first;
}

// Whether a step that asks for something may directly follow `giver`, which leaves `given`, and
// would not be just as well off without it.
bool Search::is_wanted(State given, Number giver) const {
    const auto wants = [this, given](const Transition& transition) {
        if (transition.is_blind() || !step(transition, given, problem_.states)) {
            return false;
        }
        // What it leaves does not depend on what it found.
        const bool needs_no_giver = transition.effect == Effect::kSet &&
                                    step(transition, state_, problem_.states).has_value();
        return !needs_no_giver;
    };
    bool is_wanted = false;
    for_each_open(
        [&](Number number) { is_wanted = is_wanted || wants(step_of(number).transition); });
    const MonotonicTime until = horizon();
    return is_wanted || std::ranges::any_of(asking_, [&](Number number) {
               return number != giver && !is_taken(number) && step_of(number).called <= until &&
                      wants(step_of(number).transition);
           });
}

// ---- taking a step ----

bool Search::try_candidate(Number number, std::uint32_t candidate) {
    const auto after = step(step_of(number).transition, state_, problem_.states);
    if (!after) {
        return false;
    }
    if (!is_certain(number) && (*after == state_ || !is_wanted(*after, number))) {
        return false;
    }
    if (only_sets_ && *after != state_ && leaves_dead_value(number)) {
        return false;
    }
    if ((only_appends_ || only_raises_) && outgrows_needs(*after, number)) {
        return false;
    }
    ++spent_;
    take(number,
         {.step = number,
          .is_choice = true,
          .before = state_,
          .frontier = frontier_,
          .highest = highest_,
          .candidate = candidate},
         *after);
    take_passive();
    if (is_done() || remember()) {
        return true;
    }
    (void)untake_choice();
    return false;
}

// Whether some step still needs the state that `number` changes, and none can bring it back.
bool Search::leaves_dead_value(Number number) const {
    const Transition& transition = step_of(number).transition;
    const bool needs_it = is_certain(number) && transition.need == Need::kExactly;
    return needers_[state_.value()] > (needs_it ? 1U : 0U) && givers_[state_.value()] == 0;
}

// Whether `other` needs a value that `after` cannot grow to.
bool Search::is_outgrown(Number other, State after) const {
    const Transition& transition = step_of(other).transition;
    if (only_raises_) {
        return needed_number(transition, problem_.states) < *problem_.states.number(after);
    }
    if (transition.need != Need::kExactly || after == kAbsent) {
        return false;
    }
    const MaybeValue& needed = problem_.states.value(transition.state);
    return !needed || !needed->starts_with(*problem_.states.value(after));
}

bool Search::outgrows_needs(State after, Number number) const {
    bool outgrows = false;
    for_each_open([&](Number other) {
        outgrows = outgrows || (other != number && is_outgrown(other, after));
    });
    if (only_raises_) {
        // No step from there on is taken.
        const Number rest =
            std::max({frontier_, highest_, is_certain(number) ? number + 1 : Number{0}});
        return outgrows || least_needed_[rest] < *problem_.states.number(after);
    }
    return outgrows || (last_needer_ < certain_count_ && !is_taken(last_needer_) &&
                        last_needer_ != number && is_outgrown(last_needer_, after));
}

// Returns: false where this configuration was tried before.
bool Search::remember() {
    configuration_.clear();
    put_fixed(configuration_, state_.value());
    put_fixed(configuration_, frontier_);
    const auto append_words = [this](std::size_t from, std::size_t to) {
        for (std::size_t word = from; word < to; ++word) {
            put_fixed(configuration_, taken_[word]);
        }
    };
    // Below the frontier all are taken, at `highest_` and above none but uncertain steps.
    append_words(frontier_ / 64, std::max(frontier_, highest_) / 64 + 1);
    append_words(certain_count_ / 64, taken_.size());
    spent_ += configuration_.size() / kConfigurationBytes;
    return seen_.insert(configuration_).second;
}

void Search::take(Number number, Frame frame, State after) {
    frames_.push_back(frame);
    taken_[number / 64] |= std::uint64_t{1} << (number % 64);
    count(step_of(number).transition, is_certain(number));
    state_ = after;
    if (!is_certain(number)) {
        return;
    }
    // The return first, so that a walk that stands at the call goes on behind both.
    for (const Entry entry : {return_entry_[number], call_entry_[number]}) {
        nodes_[nodes_[entry].previous].next = nodes_[entry].next;
        nodes_[nodes_[entry].next].previous = nodes_[entry].previous;
    }
    highest_ = std::max(highest_, number + 1);
    while (frontier_ < certain_count_ && is_taken(frontier_)) {
        ++frontier_;
    }
}
void Search::untake() {
    const Frame frame = frames_.back();
    frames_.pop_back();
    const Number number = frame.step;
    taken_[number / 64] &= ~(std::uint64_t{1} << (number % 64));
    uncount(step_of(number).transition, is_certain(number));
    state_ = frame.before;
    frontier_ = frame.frontier;
    highest_ = frame.highest;
    if (!is_certain(number)) {
        return;
    }
    for (const Entry entry : {call_entry_[number], return_entry_[number]}) {
        nodes_[nodes_[entry].previous].next = entry;
        nodes_[nodes_[entry].next].previous = entry;
    }
}

// Taking one may move the first return, and so open further calls: the walk goes on into them.
void Search::take_passive() {
    for (Entry entry = nodes_[0].next; entry != 0 && !nodes_[entry].is_return;
         entry = nodes_[entry].next) {
        const Number number = nodes_[entry].step;
        const Transition& transition = step_of(number).transition;
        if (transition.is_passive() && step(transition, state_, problem_.states)) {
            take(number,
                 {.step = number,
                  .is_choice = false,
                  .before = state_,
                  .frontier = frontier_,
                  .highest = highest_,
                  .candidate = 0},
                 state_);
        }
    }
}

std::optional<std::uint32_t> Search::untake_choice() {
    while (!frames_.empty()) {
        const Frame frame = frames_.back();
        untake();
        if (frame.is_choice) {
            return frame.candidate + 1;
        }
    }
    return std::nullopt;
}

void Search::count(const Transition& transition, bool is_certain_step) {
    if (is_certain_step && transition.need == Need::kExactly) {
        --needers_[transition.state.value()];
    }
    if (transition.effect == Effect::kSet) {
        --givers_[transition.result.value()];
    }
}

void Search::uncount(const Transition& transition, bool is_certain_step) {
    if (is_certain_step && transition.need == Need::kExactly) {
        ++needers_[transition.state.value()];
    }
    if (transition.effect == Effect::kSet) {
        ++givers_[transition.result.value()];
    }
}

}  // namespace kvstore::history::internal
