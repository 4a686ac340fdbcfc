#include "mvcc/testing/model.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>

#include "base/assert.h"

namespace kvstore::mvcc::testing {
namespace {

std::optional<std::int64_t> to_integer(const Bytes& text) {
    char* end = nullptr;
    errno = 0;
    const std::int64_t value = std::strtoll(text.c_str(), &end, 10);
    if (errno != 0 || std::to_string(value) != text) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

std::vector<Model::Told> Model::apply(const Command& command, bool* held) {
    stamp_ = std::max(command.stamp.raw(), stamp_ + 1);
    changed_ = false;
    *held = std::ranges::all_of(command.conditions, [this](const KeyCondition& condition) {
        return holds(condition.key, condition.condition);
    });
    std::vector<Told> told;
    for (const Operation& operation : *held ? command.operations : command.else_operations) {
        told.push_back(apply_one(operation));
    }
    if (changed_) {
        past_[revision_] = now_;
    }
    if (history_ms_ == 0) {
        compacted_ = revision_;
    }
    past_.erase(past_.begin(), past_.lower_bound(compacted_));
    return told;
}

const ModelRecord* Model::visible(ByteView key) const {
    const auto at = now_.find(Bytes(key));
    return at != now_.end() && is_visible(at->second, stamp_ >> 16U) ? &at->second : nullptr;
}

bool Model::holds(ByteView key, const Condition& condition) const {
    const ModelRecord* record = visible(key);
    const std::uint64_t mod = record != nullptr ? record->mod_revision : 0;
    switch (condition.kind) {
        case ConditionKind::kNone: return true;
        case ConditionKind::kAbsent: return record == nullptr;
        case ConditionKind::kPresent: return record != nullptr;
        case ConditionKind::kModRevision: return mod == condition.revision.value();
        case ConditionKind::kValue: return record != nullptr && record->value == condition.value;
        case ConditionKind::kVersionCount:
            return (record != nullptr ? record->version_count : 0) == condition.revision.value();
        case ConditionKind::kCreateRevision:
            return (record != nullptr ? record->create_revision : 0) == condition.revision.value();
        case ConditionKind::kModRevisionLess: return mod < condition.revision.value();
        case ConditionKind::kModRevisionGreater: return mod > condition.revision.value();
        case ConditionKind::kValueNot: return record != nullptr && record->value != condition.value;
    }
    return false;
}

void Model::begin_change() {
    if (!changed_) {
        changed_ = true;
        ++revision_;
    }
}

void Model::store(ByteView key, ModelRecord record) {
    const ModelRecord* old = visible(key);
    begin_change();
    record.create_revision = old != nullptr ? old->create_revision : revision_;
    record.version_count = old != nullptr ? old->version_count + 1 : 1;
    record.mod_revision = revision_;
    now_[Bytes(key)] = record;
}

void Model::erase(ByteView key) {
    begin_change();
    now_.erase(Bytes(key));
}

Model::Told Model::write(const Operation& operation, Bytes value) {
    const ModelRecord* old = visible(operation.key);
    ModelRecord record;
    record.value = std::move(value);
    record.lease = operation.lease;
    if (operation.expiry_mode == ExpiryMode::kKeep && old != nullptr) {
        record.expires_at_ms = old->expires_at_ms;
        record.lease = operation.lease != 0 ? operation.lease : old->lease;
    }
    if (operation.expiry_mode == ExpiryMode::kAt) {
        record.expires_at_ms = operation.expires_at_ms;
        if (operation.expires_at_ms <= stamp_ >> 16U) {
            if (old == nullptr) {
                return {};
            }
            erase(operation.key);
            return {.changed = true};
        }
    }
    store(operation.key, record);
    return {.changed = true};
}

Model::Told Model::erase_range(const Operation& operation) {
    Told told;
    for (auto at = now_.begin(); at != now_.end();) {
        const Bytes key = at->first;
        const bool shown = is_visible(at->second, stamp_ >> 16U);
        ++at;
        if (key >= operation.key && (operation.argument.empty() || key < operation.argument)) {
            told.number += shown ? 1 : 0;
            told.changed = true;
            erase(key);
        }
    }
    return told;
}

Model::Told Model::move(const Operation& operation) {
    if (visible(operation.key) == nullptr) {
        return {.code = Code::kNotFound};
    }
    if (!holds(operation.argument, operation.condition)) {
        return {.code = Code::kConflict};
    }
    if (operation.key == operation.argument) {
        return {};
    }
    const ModelRecord record = *visible(operation.key);
    store(operation.argument, record);
    if (operation.kind == OperationKind::kMove) {
        erase(operation.key);
    }
    return {.changed = true};
}

Model::Told Model::set_expiry(const Operation& operation) {
    const ModelRecord* old = visible(operation.key);
    if (old == nullptr) {
        return {.code = Code::kNotFound};
    }
    const std::uint64_t infinite = std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t now = old->expires_at_ms == 0 ? infinite : old->expires_at_ms;
    const std::uint64_t then = operation.expires_at_ms;
    if (operation.expiry_mode == ExpiryMode::kClear && now == infinite) {
        return {.code = Code::kConflict};
    }
    if (operation.expiry_mode == ExpiryMode::kKeep) {
        return {};
    }
    if (operation.expiry_mode == ExpiryMode::kAt) {
        const ExpiryCondition condition = operation.expiry_condition;
        const bool refused =
            (condition == ExpiryCondition::kOnlyIfNone && now != infinite) ||
            (condition == ExpiryCondition::kOnlyIfSome && now == infinite) ||
            (condition == ExpiryCondition::kOnlyIfGreater && then <= now) ||
            (condition == ExpiryCondition::kOnlyIfLess && then >= now) ||
            (condition == ExpiryCondition::kOnlyIfSomeAndLess && (now == infinite || then >= now));
        if (refused) {
            return {.code = Code::kConflict};
        }
    }
    Operation same = operation;
    same.lease = operation.lease != 0 ? operation.lease : old->lease;
    return write(same, old->value);
}

Model::Told Model::apply_one(const Operation& operation) {
    const bool on_one_key =
        operation.kind != OperationKind::kMove && operation.kind != OperationKind::kExpire &&
        operation.kind != OperationKind::kCompact && operation.kind != OperationKind::kConfigure &&
        operation.kind != OperationKind::kCopy;
    if (on_one_key && !holds(operation.key, operation.condition)) {
        return {.code = Code::kConflict};
    }
    const ModelRecord* old = visible(operation.key);
    switch (operation.kind) {
        case OperationKind::kGet: return {};
        case OperationKind::kPut: return write(operation, Bytes(operation.argument));
        case OperationKind::kDelete:
            if (old == nullptr) {
                return {};
            }
            erase(operation.key);
            return {.changed = true, .number = 1};
        case OperationKind::kDeleteRange: return erase_range(operation);
        case OperationKind::kIncrement: {
            const auto before = old != nullptr ? to_integer(old->value) : 0;
            if (!before) {
                return {.code = Code::kInvalidArgument};
            }
            std::int64_t sum = 0;
            if (__builtin_add_overflow(*before, operation.delta, &sum)) {
                return {.code = Code::kOutOfRange};
            }
            Told told = write(operation, std::to_string(sum));
            told.number = sum;
            return told;
        }
        case OperationKind::kAppend: {
            Bytes value = (old != nullptr ? old->value : Bytes()) + Bytes(operation.argument);
            const auto size = static_cast<std::int64_t>(value.size());
            Told told = write(operation, std::move(value));
            told.number = size;
            return told;
        }
        case OperationKind::kSetRange: {
            Bytes value = old != nullptr ? old->value : Bytes();
            if (operation.argument.empty()) {
                return {.number = static_cast<std::int64_t>(value.size())};
            }
            const auto offset = static_cast<std::size_t>(operation.delta);
            value.resize(std::max(value.size(), offset + operation.argument.size()), '\0');
            std::ranges::copy(operation.argument,
                              value.begin() + static_cast<std::ptrdiff_t>(offset));
            const auto size = static_cast<std::int64_t>(value.size());
            Told told = write(operation, std::move(value));
            told.number = size;
            return told;
        }
        case OperationKind::kSetExpiry: return set_expiry(operation);
        case OperationKind::kMove:
        case OperationKind::kCopy: return move(operation);
        case OperationKind::kExpire: {
            const auto at = now_.find(Bytes(operation.key));
            if (at == now_.end() || old != nullptr ||
                at->second.mod_revision != operation.condition.revision.value()) {
                return {.code = Code::kConflict};
            }
            erase(operation.key);
            return {.changed = true};
        }
        case OperationKind::kCompact: {
            const auto upto = static_cast<std::uint64_t>(operation.delta);
            const std::uint64_t compacted = history_ms_ == 0 ? revision_ : compacted_;
            if (upto <= compacted) {
                return {.code = Code::kCompacted};
            }
            if (upto > revision_) {
                return {.code = Code::kFutureRevision};
            }
            compacted_ = upto;
            return {};
        }
        case OperationKind::kConfigure:
            compacted_ = history_ms_ == 0 || operation.delta == 0 ? revision_ : compacted_;
            history_ms_ = static_cast<std::uint64_t>(operation.delta);
            return {};
        case OperationKind::kIncrementFloat: break;
    }
    KVSTORE_ASSERT(false);
    return {};
}

}  // namespace kvstore::mvcc::testing
