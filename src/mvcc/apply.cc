#include <array>

#include "base/assert.h"
#include "base/planted_bug.h"
#include "mvcc/internal/applier.h"
#include "mvcc/internal/condition.h"

namespace kvstore::mvcc::internal {
namespace {

// Buffers beyond this are given back after the command that needed them.
constexpr std::size_t kKeptRoomMax = 256U << 10U;

}  // namespace

Applier::Applier(storage::Engine& engine, ShardState& state)
    : engine_(engine), state_(state), writer_(engine, state) {}

const Applier::Kind& Applier::kind_of(OperationKind kind) {
    static constexpr std::array<Kind, 15> kKinds = {{
        {},
        {.handler = &Applier::get, .on_one_key = true},
        {.handler = &Applier::put, .on_one_key = true},
        {.handler = &Applier::erase, .on_one_key = true},
        {.handler = &Applier::erase_range},
        {.handler = &Applier::increment, .on_one_key = true},
        {.handler = &Applier::increment_float, .on_one_key = true},
        {.handler = &Applier::append, .on_one_key = true},
        {.handler = &Applier::set_range, .on_one_key = true},
        {.handler = &Applier::set_expiry, .on_one_key = true},
        {.handler = &Applier::move},
        {.handler = &Applier::expire},
        {.handler = &Applier::compact},
        {.handler = &Applier::configure},
        {.handler = &Applier::move},
    }};
    static_assert(kKinds.size() == static_cast<std::size_t>(OperationKind::kCopy) + 1);
    const auto at = static_cast<std::size_t>(kind);
    KVSTORE_ASSERT(at < kKinds.size());
    KVSTORE_ASSERT(kKinds[at].handler != nullptr);
    return kKinds[at];
}

Status Applier::apply(ByteView encoded, ApplySink* sink) {
    KVSTORE_CHECK_OK(decode_command(encoded, command_));
    writer_.begin_command(command_.stamp);
    KVSTORE_TRY(const bool hold, all_hold(command_.conditions));
    KVSTORE_CHECK_OK(apply_operations(hold ? command_.operations : command_.else_operations, sink));
    end_command(hold, sink);
    return {};
}

Status Applier::apply(Version stamp, const Operation& operation, ApplySink* sink) {
    writer_.begin_command(stamp);
    result_ = OperationResult();
    KVSTORE_CHECK_OK(apply_operation(operation));
    if (sink != nullptr) {
        sink->on_operation(0, result_);
    }
    end_command(/*conditions_held=*/true, sink);
    return {};
}

void Applier::end_command(bool conditions_held, ApplySink* sink) {
    if (planted_bug(PlantedBug::kMvccRevisionSkipsOnNoop) && !writer_.has_changed()) {
        state_.revision = state_.revision.next();
    }
    if (sink != nullptr) {
        sink->on_command({.conditions_held = conditions_held,
                          .revision = state_.revision,
                          .stamp = writer_.stamp(),
                          .changed = writer_.has_changed()});
    }
    release_room();
}

Result<bool> Applier::all_hold(const std::vector<KeyCondition>& conditions) {
    for (const KeyCondition& condition : conditions) {
        KVSTORE_CHECK_OK(writer_.look_up(condition.key, found_));
        if (!holds(condition.condition, found_)) {
            return false;
        }
    }
    return true;
}

Status Applier::apply_operations(const std::vector<Operation>& operations, ApplySink* sink) {
    std::size_t at = 0;
    for (const Operation& operation : operations) {
        result_ = OperationResult();
        KVSTORE_CHECK_OK(apply_operation(operation));
        if (sink != nullptr) {
            sink->on_operation(at, result_);
        }
        ++at;
    }
    return {};
}

Status Applier::apply_operation(const Operation& operation) {
    const Kind& kind = kind_of(operation.kind);
    if (kind.on_one_key) {
        KVSTORE_TRY(const bool admitted, admit(operation, operation.key));
        if (!admitted) {
            return {};
        }
        if (operation.wants_previous && found_.present) {
            keep_previous();
        }
    }
    return (this->*kind.handler)(operation);
}

Result<bool> Applier::admit(const Operation& operation, ByteView key) {
    KVSTORE_CHECK_OK(writer_.look_up(key, found_));
    result_.had_previous = found_.present;
    if (holds(operation.condition, found_) || planted_bug(PlantedBug::kMvccSkipsConditions)) {
        return true;
    }
    refuse(Code::kConflict);
    if (found_.present) {
        result_.previous = found_.record;
    }
    return false;
}

// The record's bytes in the engine last only until the operation writes.
void Applier::keep_previous() {
    previous_.assign(found_.stored);
    const std::size_t head_size = found_.stored.size() - found_.record.value.size();
    result_.previous = found_.record;
    result_.previous->value = ByteView(previous_).substr(head_size);
}

void Applier::release_room() {
    for (Bytes* room : {&previous_, &value_}) {
        if (room->capacity() > kKeptRoomMax) {
            Bytes().swap(*room);
        }
    }
}

}  // namespace kvstore::mvcc::internal
