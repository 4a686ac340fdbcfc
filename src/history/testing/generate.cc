#include "history/testing/generate.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/parse.h"

namespace kvstore::history::testing {
namespace {

MonotonicTime at(std::uint64_t time) {
    return MonotonicTime(Duration(static_cast<std::int64_t>(time)));
}

class Generator {
public:
    Generator(const GenerateOptions& options, Random& random)
        : options_(options), random_(random) {}

    History run() {
        ask();
        take_effect();
        if (options_.has_final_reads) {
            read_everything();
        }
        return std::move(history_);
    }

private:
    // A moment at which the store does operation `place`.
    using Effect = std::pair<std::uint64_t, std::size_t>;

    void ask() {
        std::vector<std::uint64_t> free_at(options_.clients);
        for (std::size_t i = 0; i < options_.operations; ++i) {
            const std::uint64_t client = random_.below(options_.clients);
            const std::uint64_t called = free_at[client] + random_.below(20);
            const std::uint64_t effect = called + random_.below(30);
            const std::uint64_t returned = effect + random_.below(30);
            // A client that was not answered goes on at once.
            Operation operation = question(client);
            operation.called = at(called);
            operation.returned = at(returned);
            operation.outcome = outcome();
            free_at[client] = returned;
            plan_effect(operation.outcome, effect);
            history_.push_back(std::move(operation));
            end_ = std::max(end_, returned);
        }
    }

    Outcome outcome() {
        const std::uint64_t dice = random_.below(100);
        if (dice < options_.unknown_percent) {
            return Outcome::kUnknown;
        }
        return dice < options_.unknown_percent + options_.failed_percent ? Outcome::kFailed
                                                                         : Outcome::kOk;
    }

    void plan_effect(Outcome outcome, std::uint64_t moment) {
        const bool never =
            outcome == Outcome::kFailed || (outcome == Outcome::kUnknown && random_.chance(1, 3));
        const bool late = outcome == Outcome::kUnknown && random_.chance(1, 3);
        if (!never) {
            effects_.emplace_back(moment + (late ? random_.below(2000) : 0), history_.size());
        }
    }

    Bytes fresh_value() {
        return options_.values > 0 ? std::to_string(random_.below(options_.values))
                                   : "v" + std::to_string(++serial_);
    }

    Operation question(std::uint64_t client) {
        Operation operation;
        operation.client = ClientId(client);
        operation.key = "k" + std::to_string(random_.below(options_.keys));
        operation.kind = options_.kinds[random_.below(options_.kinds.size())];
        switch (operation.kind) {
            case OperationKind::kWrite:
            case OperationKind::kAppend: operation.argument = fresh_value(); break;
            case OperationKind::kCompareAndSet:
                operation.expected = expected_value();
                operation.argument = fresh_value();
                break;
            case OperationKind::kIncrement:
                operation.delta = static_cast<std::int64_t>(random_.between(1, 3));
                break;
            case OperationKind::kRead:
            case OperationKind::kDelete: break;
        }
        return operation;
    }

    MaybeValue expected_value() {
        if (random_.chance(1, 4)) {
            return std::nullopt;
        }
        if (options_.values > 0) {
            return fresh_value();
        }
        return "v" + std::to_string(serial_ - std::min(serial_, random_.below(4)));
    }

    void take_effect() {
        std::ranges::sort(effects_);
        for (const auto& [moment, place] : effects_) {
            Operation& operation = history_[place];
            do_it(operation, values_[operation.key]);
            if (operation.outcome != Outcome::kOk) {
                operation.observed.reset();
                operation.number.reset();
                operation.is_matched = true;
            }
        }
    }

    void do_it(Operation& operation, MaybeValue& value) {
        const bool tells = options_.tells_more && random_.chance(2, 3);
        switch (operation.kind) {
            case OperationKind::kRead: operation.observed = value; break;
            case OperationKind::kWrite:
                if (tells) {
                    operation.observed = value;
                }
                value = operation.argument;
                break;
            case OperationKind::kDelete:
                if (tells) {
                    operation.number = value ? 1 : 0;
                }
                value.reset();
                break;
            case OperationKind::kCompareAndSet:
                operation.is_matched = value == operation.expected;
                if (tells) {
                    operation.observed = value;
                }
                value = operation.is_matched ? operation.argument : value;
                break;
            case OperationKind::kIncrement: increment(operation, value, tells); break;
            case OperationKind::kAppend:
                value = value.value_or("") + *operation.argument;
                if (tells) {
                    operation.number = static_cast<std::int64_t>(value->size());
                }
                break;
        }
    }

    static void increment(Operation& operation, MaybeValue& value, bool tells) {
        const auto before = value ? parse_int64(*value) : std::optional<std::int64_t>(0);
        if (!before) {
            // The store refuses.
            if (operation.outcome == Outcome::kOk) {
                operation.outcome = Outcome::kFailed;
            }
            return;
        }
        value = std::to_string(*before + operation.delta);
        if (tells) {
            operation.number = *before + operation.delta;
        }
    }

    // Without an answer the store may still act after everything else: such reads see all that did.
    void read_everything() {
        const std::uint64_t last = effects_.empty() ? end_ : std::max(end_, effects_.back().first);
        for (std::uint64_t key = 0; key < options_.keys; ++key) {
            Operation read;
            read.client = ClientId(options_.clients);
            read.key = "k" + std::to_string(key);
            read.outcome = Outcome::kOk;
            read.called = at(last + 1 + key);
            read.returned = read.called;
            read.observed = values_[read.key];
            history_.push_back(std::move(read));
        }
    }

    const GenerateOptions& options_;
    Random& random_;
    History history_;
    std::vector<Effect> effects_;
    std::map<Bytes, MaybeValue> values_;
    std::uint64_t serial_ = 0;
    std::uint64_t end_ = 0;
};

}  // namespace

History generate(const GenerateOptions& options, Random& random) {
    return Generator(options, random).run();
}

void change_an_answer(History& history, Random& random) {
    std::vector<std::size_t> answered;
    std::vector<MaybeValue> seen{std::nullopt};
    for (std::size_t i = 0; i < history.size(); ++i) {
        const Operation& operation = history[i];
        if (operation.outcome == Outcome::kOk &&
            (operation.observed || operation.number ||
             operation.kind == OperationKind::kCompareAndSet)) {
            answered.push_back(i);
        }
        seen.push_back(operation.argument);
    }
    if (answered.empty()) {
        return;
    }
    Operation& changed = history[answered[random.below(answered.size())]];
    if (changed.observed) {
        changed.observed = seen[random.below(seen.size())];
    } else if (changed.number) {
        *changed.number =
            changed.kind == OperationKind::kDelete ? 1 - *changed.number : *changed.number + 1;
    } else {
        changed.is_matched = !changed.is_matched;
    }
}

}  // namespace kvstore::history::testing
