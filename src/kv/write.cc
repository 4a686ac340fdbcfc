// The writes of Kv: limits, and the way of commands to their shards.
#include <algorithm>
#include <utility>

#include "async/sync.h"
#include "base/planted_bug.h"
#include "kv/inside.h"
#include "kv/kv.h"

namespace kvstore::kv {
namespace {

// Collects the outcome of a command for the coroutine that waits for it.
//
// Lifetime  Shared by that coroutine and, from keep_until_told() on, by the outcome that is to
// come:
//           a coroutine whose deadline passes goes away before it.
class Collector final : public replication::Proposal {
public:
    explicit Collector(env::Env& env) : env_(env), done_(env.scheduler) {}
    virtual ~Collector() = default;

    void on_operation(std::size_t /*at*/, const mvcc::OperationResult& result) override {
        OperationOutcome& outcome = outcome_.operations.emplace_back();
        outcome.code = result.code;
        outcome.changed = result.changed;
        outcome.had_previous = result.had_previous;
        if (result.previous) {
            outcome.previous = OwnedRecord::copy_of(*result.previous);
        }
        outcome.number = result.number;
        outcome.text = result.text;
    }
    void on_command(const mvcc::CommandResult& result) override {
        outcome_.conditions_held = result.conditions_held;
        outcome_.revision = result.revision;
        outcome_.stamp = result.stamp;
        outcome_.changed = result.changed;
        tell(std::move(outcome_));
    }
    void on_failed(const Status& why) override { tell(why); }

    void keep_until_told(std::shared_ptr<Collector> self, async::Deadline deadline) {
        if (done_.is_set()) {
            return;
        }
        self_ = std::move(self);
        if (deadline.at != MonotonicTime::max()) {
            timer_ = env_.clock.start_timer(deadline.at, [this] {
                timer_ = env::TimerId();
                done_.set(Status(Code::kDeadlineExceeded,
                                 Effect::kUnknown,
                                 "the deadline passed before the outcome was known"));
            });
        }
    }

    async::OneShot<Result<CommandOutcome>>& done() { return done_; }

private:
    void tell(Result<CommandOutcome> outcome) {
        env_.clock.cancel_timer(std::exchange(timer_, env::TimerId()));
        if (!done_.is_set()) {
            done_.set(std::move(outcome));
        }
        const std::shared_ptr<Collector> last = std::move(self_);
    }

    env::Env& env_;
    CommandOutcome outcome_;
    async::OneShot<Result<CommandOutcome>> done_;
    env::TimerId timer_;
    std::shared_ptr<Collector> self_;
};

Status stopping_status() {
    return {Code::kUnavailable, "the server is stopping"};
}

// The part of a batch that one shard does.
struct BatchPart {
    KeyspaceShard* shard = nullptr;
    mvcc::Command command;
    std::vector<std::size_t> places;  // of its operations in the batch
    std::shared_ptr<Collector> collector;
    Status refused;
};

Result<std::vector<BatchPart>> divide(const Keyspace& keyspace,
                                      const std::vector<mvcc::Operation>& operations) {
    std::vector<BatchPart> parts;
    for (std::size_t i = 0; i < operations.size(); ++i) {
        KVSTORE_TRY(KeyspaceShard* const shard, keyspace.route(operations[i]));
        auto part = std::ranges::find(parts, shard, &BatchPart::shard);
        if (part == parts.end()) {
            parts.emplace_back().shard = shard;
            part = std::prev(parts.end());
        }
        part->command.operations.push_back(operations[i]);
        part->places.push_back(i);
    }
    if (parts.empty()) {
        // Nothing to do is done somewhere too, and the session sees as much as any write.
        KVSTORE_TRY(parts.emplace_back().shard, keyspace.route(mvcc::Command()));
    }
    return parts;
}

// The key from which on a shard holds keys of the range, and the one before which.
ByteView first_in(const KeyspaceShard& shard, const Bytes& from) {
    return std::max<ByteView>(shard.range_start(), from);
}
ByteView end_in(const KeyspaceShard& shard, const Bytes& to) {
    if (shard.range_end().empty() || to.empty()) {
        return shard.range_end().empty() ? to : shard.range_end();
    }
    return std::min<ByteView>(shard.range_end(), to);
}

}  // namespace

// ---- limits ----

Status Kv::check_key(ByteView key, std::size_t bytes_max) const {
    if (key.size() > bytes_max) {
        return {Code::kTooLarge,
                "the key has " + std::to_string(key.size()) + " bytes, at most " +
                    std::to_string(options_.limits.key_bytes_max) +
                    " are allowed (limits.key_bytes_max)"};
    }
    return {};
}

Status Kv::check_value(ByteView value) const {
    if (value.size() > options_.limits.value_bytes_max) {
        return {Code::kTooLarge,
                "the value has " + std::to_string(value.size()) + " bytes, at most " +
                    std::to_string(options_.limits.value_bytes_max) +
                    " are allowed (limits.value_bytes_max)"};
    }
    return {};
}

// Everything that decode_command() would refuse: a command that is in the log and cannot be applied
// is the end of its shard.
Status Kv::check_limits(const mvcc::Operation& operation) const {
    const std::size_t key_bytes_max = options_.limits.key_bytes_max;
    KVSTORE_CHECK_OK(check_value(operation.condition.value));
    switch (operation.kind) {
        case mvcc::OperationKind::kDeleteRange:
            // A bound may be the first key after one of the longest.
            KVSTORE_CHECK_OK(check_key(operation.key, key_bytes_max + 1));
            return check_key(operation.argument, key_bytes_max + 1);
        case mvcc::OperationKind::kMove:
        case mvcc::OperationKind::kCopy:
            KVSTORE_CHECK_OK(check_key(operation.key, key_bytes_max));
            return check_key(operation.argument, key_bytes_max);
        default:
            KVSTORE_CHECK_OK(check_key(operation.key, key_bytes_max));
            return check_value(operation.argument);
    }
}

Status Kv::check_limits(const mvcc::Command& command) const {
    const std::size_t count = command.operations.size() + command.else_operations.size();
    if (count > mvcc::kCommandOperationsMax ||
        command.conditions.size() > mvcc::kCommandOperationsMax) {
        return {Code::kTooLarge,
                "a command has at most " + std::to_string(mvcc::kCommandOperationsMax) +
                    " operations and as many conditions, not " + std::to_string(count) + " and " +
                    std::to_string(command.conditions.size())};
    }
    for (const mvcc::KeyCondition& condition : command.conditions) {
        KVSTORE_CHECK_OK(check_key(condition.key, options_.limits.key_bytes_max));
        KVSTORE_CHECK_OK(check_value(condition.condition.value));
    }
    for (const auto* operations : {&command.operations, &command.else_operations}) {
        for (const mvcc::Operation& operation : *operations) {
            KVSTORE_CHECK_OK(check_limits(operation));
        }
    }
    return {};
}

Status Kv::check_room(const Keyspace& keyspace) const {
    if (keyspace.info().options.engine != replication::EngineKind::kMemory) {
        return {};
    }
    return {Code::kMemoryFull,
            "memory is full: keyspaces on the memory engine hold " +
                std::to_string(host_.memory_bytes()) + " bytes of " +
                std::to_string(options_.limits.memory_bytes_max) +
                " (limits.memory_bytes_max); delete keys or raise the limit"};
}

bool Kv::adds_data(const mvcc::Operation& operation) {
    switch (operation.kind) {
        case mvcc::OperationKind::kPut:
        case mvcc::OperationKind::kIncrement:
        case mvcc::OperationKind::kIncrementFloat:
        case mvcc::OperationKind::kAppend:
        case mvcc::OperationKind::kSetRange:
        case mvcc::OperationKind::kCopy: return true;
        default: return false;
    }
}

bool Kv::grows(const mvcc::Operation& operation) {
    return operation.kind == mvcc::OperationKind::kAppend ||
           operation.kind == mvcc::OperationKind::kSetRange;
}

// ---- plain calls ----

Status Kv::submit(const Keyspace& keyspace,
                  const mvcc::Operation& operation,
                  replication::Proposal* proposal,
                  ShardId* shard) {
    if (gate_.is_closing()) {
        return stopping_status();
    }
    KVSTORE_CHECK_OK(exclusion_);
    KVSTORE_TRY(KeyspaceShard* const routed, keyspace.route(operation));
    if (shard != nullptr) {
        *shard = routed->id();
    }
    return submit_in(keyspace, *routed, operation, proposal);
}

Status Kv::submit(const Keyspace& keyspace,
                  const mvcc::Command& command,
                  replication::Proposal* proposal,
                  ShardId* shard) {
    if (gate_.is_closing()) {
        return stopping_status();
    }
    KVSTORE_CHECK_OK(exclusion_);
    KVSTORE_TRY(KeyspaceShard* const routed, keyspace.route(command));
    if (shard != nullptr) {
        *shard = routed->id();
    }
    return submit_in(keyspace, *routed, command, proposal);
}

Status Kv::submit_in(const Keyspace& keyspace,
                     KeyspaceShard& shard,
                     const mvcc::Operation& operation,
                     replication::Proposal* proposal) {
    KVSTORE_CHECK_OK(check_limits(operation));
    if (is_memory_full_ && adds_data(operation)) {
        KVSTORE_CHECK_OK(check_room(keyspace));
    }
    if (!grows(operation)) {
        return shard.group().propose(operation, proposal);
    }
    mvcc::Operation bounded = operation;
    bounded.value_bytes_max = static_cast<std::uint32_t>(options_.limits.value_bytes_max);
    return shard.group().propose(bounded, proposal);
}

Status Kv::submit_in(const Keyspace& keyspace,
                     KeyspaceShard& shard,
                     const mvcc::Command& command,
                     replication::Proposal* proposal) {
    KVSTORE_CHECK_OK(check_limits(command));
    if (is_memory_full_ && (std::ranges::any_of(command.operations, adds_data) ||
                            std::ranges::any_of(command.else_operations, adds_data))) {
        KVSTORE_CHECK_OK(check_room(keyspace));
    }
    if (!std::ranges::any_of(command.operations, grows) &&
        !std::ranges::any_of(command.else_operations, grows)) {
        return shard.group().propose(command, proposal);
    }
    mvcc::Command bounded = command;
    for (auto* operations : {&bounded.operations, &bounded.else_operations}) {
        for (mvcc::Operation& operation : *operations) {
            if (grows(operation)) {
                operation.value_bytes_max =
                    static_cast<std::uint32_t>(options_.limits.value_bytes_max);
            }
        }
    }
    return shard.group().propose(bounded, proposal);
}

// ---- coroutines ----

async::Task<Result<CommandOutcome>> Kv::execute(CallContext context,
                                                KeyspaceHandle keyspace,
                                                const mvcc::Command* command) {
    const Inside inside(gate_, exclusion_);
    KVSTORE_CO_CHECK_OK(inside.status());
    if (context.deadline.has_passed(env_.clock.now())) {
        co_return Status(Code::kDeadlineExceeded, "the deadline has passed; nothing was done");
    }
    const auto collector = std::make_shared<Collector>(env_);
    ShardId shard;
    KVSTORE_CO_CHECK_OK(submit(*keyspace, *command, collector.get(), &shard));
    collector->keep_until_told(collector, context.deadline);
    auto outcome = co_await collector->done();
    if (outcome.ok() && context.session != nullptr &&
        !planted_bug(PlantedBug::kKvForgetsOwnWrites)) {
        const bool is_first = planted_bug(PlantedBug::kKvNotesFirstShard);
        context.session->note(is_first ? keyspace->shards().front()->id() : shard,
                              outcome->revision);
    }
    co_return outcome;
}

async::Task<Result<BatchOutcome>> Kv::execute_batch(
    CallContext context, KeyspaceHandle keyspace, const std::vector<mvcc::Operation>* operations) {
    const Inside inside(gate_, exclusion_);
    KVSTORE_CO_CHECK_OK(inside.status());
    if (context.deadline.has_passed(env_.clock.now())) {
        co_return Status(Code::kDeadlineExceeded, "the deadline has passed; nothing was done");
    }
    KVSTORE_CO_TRY(std::vector<BatchPart> parts, divide(*keyspace, *operations));
    // All of them before any is waited for.
    for (BatchPart& part : parts) {
        part.collector = std::make_shared<Collector>(env_);
        part.refused = submit_in(*keyspace, *part.shard, part.command, part.collector.get());
        if (part.refused.ok()) {
            part.collector->keep_until_told(part.collector, context.deadline);
        }
    }
    BatchOutcome batch;
    const Status untold(Code::kUnavailable, Effect::kUnknown, "the outcome was not told");
    batch.operations.assign(operations->size(), Result<OperationOutcome>(untold));
    std::vector<ShardId> shards;
    for (const BatchPart& part : parts) {
        shards.push_back(part.shard->id());
    }
    Status first_failure;
    bool is_nothing_done = true;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        BatchPart& part = parts[i];
        Result<CommandOutcome> outcome(untold);
        if (part.refused.ok()) {
            outcome = co_await part.collector->done();
        } else {
            outcome = part.refused;
        }
        if (!outcome.ok()) {
            first_failure = first_failure.ok() ? outcome.status() : first_failure;
            is_nothing_done = is_nothing_done && outcome.status().effect() == Effect::kNone;
            for (const std::size_t place : part.places) {
                batch.operations[place] = outcome.status();
            }
            continue;
        }
        is_nothing_done = false;
        if (context.session != nullptr) {
            context.session->note(shards[i], outcome->revision);
        }
        batch.revision = parts.size() == 1 ? outcome->revision : Revision();
        for (std::size_t at = 0; at < part.places.size(); ++at) {
            batch.operations[part.places[at]] = std::move(outcome->operations[at]);
        }
    }
    if (!first_failure.ok() && (is_nothing_done || parts.size() == 1)) {
        co_return first_failure;
    }
    co_return batch;
}

async::Task<Result<std::uint64_t>> Kv::delete_range(CallContext context,
                                                    KeyspaceHandle keyspace,
                                                    Bytes from,
                                                    Bytes to) {
    std::uint64_t deleted = 0;
    bool has_begun = false;
    for (const ShardHandle& shard : keyspace->overlapping(from, to)) {
        mvcc::Command command;
        mvcc::Operation& operation = command.operations.emplace_back();
        operation.kind = mvcc::OperationKind::kDeleteRange;
        const Bytes first(first_in(*shard, from));
        const Bytes end(end_in(*shard, to));
        operation.key = first;
        operation.argument = end;
        const auto outcome = co_await execute(context, keyspace, &command);
        if (!outcome.ok()) {
            co_return has_begun ? outcome.status().with_unknown_effect() : outcome.status();
        }
        has_begun = true;
        deleted += static_cast<std::uint64_t>(outcome->operations.front().number);
    }
    co_return deleted;
}

}  // namespace kvstore::kv
