#include "history/operation.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace kvstore::history {
namespace {

constexpr std::array<std::string_view, 6> kKinds{
    "read", "write", "delete", "compare-and-set", "increment", "append"};
constexpr std::array<std::string_view, 3> kOutcomes{"ok", "failed", "unknown"};
constexpr std::array<std::string_view, 4> kLevels{"linearizable", "causal", "bounded", "eventual"};
constexpr std::size_t kShownBytesMax = 40;

template <typename Enum, std::size_t count>
std::optional<Enum> find_name(const std::array<std::string_view, count>& names,
                              std::string_view name) noexcept {
    const auto* const at = std::ranges::find(names, name);
    if (at == names.end()) {
        return std::nullopt;
    }
    return static_cast<Enum>(at - names.begin());
}

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

Status check_question(const Operation& operation) {
    const OperationKind kind = operation.kind;
    const bool needs_value = kind == OperationKind::kWrite || kind == OperationKind::kAppend;
    if (needs_value && !operation.argument) {
        return invalid("a " + std::string(kind_name(kind)) + " needs a value");
    }
    const bool may_have_value = needs_value || kind == OperationKind::kCompareAndSet;
    if (!may_have_value && operation.argument) {
        return invalid("a " + std::string(kind_name(kind)) + " takes no value");
    }
    if (kind != OperationKind::kCompareAndSet && (operation.expected || !operation.is_matched)) {
        return invalid("only a compare-and-set expects something");
    }
    if (kind != OperationKind::kIncrement && operation.delta != 0) {
        return invalid("only an increment adds a number");
    }
    if (operation.expiry &&
        (kind != OperationKind::kWrite || operation.expiry->latest < operation.expiry->earliest)) {
        return invalid("only a write runs out, and not before it may");
    }
    if (kind != OperationKind::kRead && operation.consistency) {
        return invalid("only a read has a consistency level");
    }
    return {};
}

Status check_answer(const Operation& operation) {
    const OperationKind kind = operation.kind;
    if (operation.outcome != Outcome::kOk) {
        return operation.observed || operation.number || operation.revision || !operation.is_matched
                   ? invalid("an operation whose outcome is not ok has observed nothing")
                   : Status();
    }
    if (kind == OperationKind::kRead && !operation.observed) {
        return invalid("a read needs what it observed");
    }
    const bool is_counted = kind == OperationKind::kIncrement || kind == OperationKind::kAppend;
    if (is_counted && operation.observed) {
        return invalid("of an " + std::string(kind_name(kind)) + " the number is observed");
    }
    if (!is_counted && kind != OperationKind::kDelete && operation.number) {
        return invalid("a " + std::string(kind_name(kind)) + " observes no number");
    }
    if (kind == OperationKind::kDelete && operation.number && *operation.number != 0 &&
        *operation.number != 1) {
        return invalid("a delete deletes 0 or 1 keys");
    }
    if (operation.returned < operation.called) {
        return invalid("it returned before it was called");
    }
    return {};
}

std::string question_text(const Operation& operation) {
    std::string text(kind_name(operation.kind));
    switch (operation.kind) {
        case OperationKind::kWrite:
        case OperationKind::kAppend: return text + " " + value_text(operation.argument);
        case OperationKind::kCompareAndSet:
            return text + " " + value_text(operation.expected) + " to " +
                   value_text(operation.argument);
        case OperationKind::kIncrement: return text + " by " + std::to_string(operation.delta);
        case OperationKind::kRead:
        case OperationKind::kDelete: break;
    }
    return text;
}

void append_shown(std::string& text, char c) {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
        text += '\\';
        text += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
        text += "\\x";
        text += kHex[byte >> 4U];
        text += kHex[byte & 0xfU];
    } else {
        text += c;
    }
}

}  // namespace

Status check_operation(const Operation& operation) {
    KVSTORE_CHECK_OK(check_question(operation));
    return check_answer(operation);
}

MonotonicTime effect_deadline(const Operation& operation) noexcept {
    return operation.outcome == Outcome::kOk ? operation.returned : MonotonicTime::max();
}

bool may_have_effect(const Operation& operation) noexcept {
    return operation.outcome != Outcome::kFailed && operation.kind != OperationKind::kRead &&
           operation.is_matched;
}

std::string_view kind_name(OperationKind kind) noexcept {
    return kKinds[static_cast<std::size_t>(kind)];
}
std::string_view outcome_name(Outcome outcome) noexcept {
    return kOutcomes[static_cast<std::size_t>(outcome)];
}
std::string_view consistency_name(Consistency consistency) noexcept {
    return kLevels[static_cast<std::size_t>(consistency)];
}
std::optional<OperationKind> find_kind(std::string_view name) noexcept {
    return find_name<OperationKind>(kKinds, name);
}
std::optional<Outcome> find_outcome(std::string_view name) noexcept {
    return find_name<Outcome>(kOutcomes, name);
}
std::optional<Consistency> find_consistency(std::string_view name) noexcept {
    return find_name<Consistency>(kLevels, name);
}

std::string operation_text(const Operation& operation) {
    std::string text = question_text(operation);
    if (operation.outcome != Outcome::kOk) {
        return text + " (" + std::string(outcome_name(operation.outcome)) + ")";
    }
    if (operation.kind == OperationKind::kCompareAndSet) {
        text += operation.is_matched ? ", done" : ", no match";
    }
    if (operation.observed) {
        text += operation.kind == OperationKind::kRead ? " -> " : ", found ";
        text += value_text(*operation.observed);
    }
    if (operation.number) {
        text += " -> " + std::to_string(*operation.number);
    }
    return text;
}

std::string value_text(const MaybeValue& value) {
    if (!value) {
        return "absent";
    }
    std::string text = "\"";
    for (const char c : ByteView(*value).substr(0, kShownBytesMax)) {
        append_shown(text, c);
    }
    text += '"';
    if (value->size() > kShownBytesMax) {
        text += "... (" + std::to_string(value->size()) + " bytes)";
    }
    return text;
}

void sort_by_call(const History& history, std::vector<std::size_t>& places) {
    std::ranges::sort(
        places, {}, [&](std::size_t at) { return std::pair(history[at].called, at); });
}

std::vector<KeyOperations> partition_by_key(const History& history) {
    std::map<ByteView, std::vector<std::size_t>> places;
    for (std::size_t i = 0; i < history.size(); ++i) {
        places[history[i].key].push_back(i);
    }
    std::vector<KeyOperations> keys;
    keys.reserve(places.size());
    for (auto& [key, of_key] : places) {
        sort_by_call(history, of_key);
        keys.push_back({.key = key, .places = std::move(of_key)});
    }
    return keys;
}

}  // namespace kvstore::history
