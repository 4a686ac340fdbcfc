#include "kv/kv.h"

#include <algorithm>
#include <utility>

#include "async/sync.h"
#include "base/log.h"
#include "kv/catalog.h"
#include "kv/inside.h"

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

Status check_configured(const Limits& limits) {
    if (limits.key_bytes_max == 0 || limits.key_bytes_max > mvcc::kKeyBytesMax) {
        return {Code::kInvalidArgument,
                "limits.key_bytes_max is 1 to " + std::to_string(mvcc::kKeyBytesMax)};
    }
    if (limits.value_bytes_max == 0 || limits.value_bytes_max > mvcc::kValueBytesMax) {
        return {Code::kInvalidArgument,
                "limits.value_bytes_max is 1 to " + std::to_string(mvcc::kValueBytesMax)};
    }
    if (limits.scan_rows_max == 0) {
        return {Code::kInvalidArgument, "limits.scan_rows_max is at least 1"};
    }
    return {};
}

Status dropped_status(const Keyspace& keyspace) {
    return {Code::kNotFound, "keyspace '" + keyspace.info().name + "' was dropped"};
}

}  // namespace

std::optional<Consistency> parse_consistency(std::string_view text) {
    if (text == "linearizable" || text == "strong") {
        return Consistency::kLinearizable;
    }
    if (text == "causal") {
        return Consistency::kCausal;
    }
    if (text == "bounded") {
        return Consistency::kBounded;
    }
    if (text == "eventual") {
        return Consistency::kEventual;
    }
    return std::nullopt;
}

std::string_view consistency_name(Consistency consistency) {
    switch (consistency) {
        case Consistency::kLinearizable: return "linearizable";
        case Consistency::kCausal: return "causal";
        case Consistency::kBounded: return "bounded";
        case Consistency::kEventual: return "eventual";
    }
    return "linearizable";
}

OwnedRecord OwnedRecord::copy_of(const mvcc::Record& record) {
    OwnedRecord owned{.value = Bytes(record.value), .record = record};
    owned.record.value = {};
    return owned;
}

Kv::Kv(OpenKey /*key*/, env::Env& env, replication::Host& host, Options options)
    : env_(env), host_(host), options_(std::move(options)), gate_(env.scheduler) {}

Kv::~Kv() {
    env_.clock.cancel_timer(memory_timer_);
}

async::Task<Result<std::unique_ptr<Kv>>> Kv::open(env::Env* env,
                                                  replication::Host* host,
                                                  Options options) {
    KVSTORE_CO_CHECK_OK(check_configured(options.limits));
    auto kv = std::make_unique<Kv>(OpenKey(), *env, *host, std::move(options));
    const Status opened = co_await kv->open_catalog();
    if (!opened.ok()) {
        co_return opened;
    }
    co_return kv;
}

async::Task<Status> Kv::open_catalog() {
    catalog_ = std::make_unique<Catalog>(*this);
    host_.set_ask_server(this);
    KVSTORE_CO_CHECK_OK(co_await catalog_->load());
    if (is_alone() && default_ == nullptr) {
        const auto created = co_await catalog_->create("default", options_.defaults);
        if (!created.ok()) {
            co_return created.status();
        }
    }
    if (options_.limits.memory_bytes_max != 0) {
        check_memory();
    }
    co_return Status();
}

async::Task<void> Kv::stop() {
    env_.clock.cancel_timer(memory_timer_);
    // First, since its changes are made of what the gate would refuse.
    co_await catalog_->stop();
    host_.set_ask_server(nullptr);
    co_await gate_.close();
}

// ---- keyspaces ----

const KeyspaceHandle& Kv::system_keyspace() const {
    return catalog_->system();
}

cluster::MetadataStore& Kv::metadata() {
    return catalog_->store();
}

async::Task<Status> Kv::found_cluster(std::vector<cluster::NodeRecord> nodes,
                                      std::vector<NodeId> voters) {
    const Status founded = co_await catalog_->found(std::move(nodes), std::move(voters));
    if (!founded.ok() && founded.code() != Code::kAlreadyExists) {
        co_return founded;
    }
    // Whoever founded it may have died before it made `default`.
    const auto created = co_await ensure_keyspace(CallContext(), "default");
    co_return created.status();
}

KeyspaceHandle Kv::find_keyspace(std::string_view name) const {
    return catalog_->find(name);
}

std::vector<KeyspaceInfo> Kv::keyspaces() const {
    return catalog_->list();
}

async::Task<Result<KeyspaceHandle>> Kv::create_keyspace(CallContext /*context*/,
                                                        std::string name,
                                                        KeyspaceOptions options) {
    co_return co_await catalog_->create(std::move(name), options);
}

async::Task<Result<KeyspaceHandle>> Kv::ensure_keyspace(CallContext /*context*/, std::string name) {
    KeyspaceHandle found = catalog_->find(name);
    if (found != nullptr) {
        co_return found;
    }
    auto created = co_await catalog_->create(name, options_.defaults);
    if (!created.ok() && created.status().code() == Code::kAlreadyExists) {
        // Somebody else made it while this call waited for its turn.
        found = catalog_->find(name);
        if (found != nullptr) {
            co_return found;
        }
    }
    co_return created;
}

async::Task<Result<KeyspaceInfo>> Kv::change_keyspace(CallContext /*context*/,
                                                      std::string name,
                                                      KeyspaceChange change) {
    co_return co_await catalog_->change(std::move(name), change);
}

async::Task<Status> Kv::drop_keyspace(CallContext /*context*/, std::string name) {
    co_return co_await catalog_->drop(std::move(name));
}

// ---- plain calls ----

storage::Lookup Kv::find(Keyspace& keyspace, ByteView key, mvcc::Record* record) {
    // What does not answer is told by get().
    if (keyspace.is_dropped() || gate_.is_closing() || !keyspace.group().can_read_now()) {
        return storage::Lookup::kMustLoad;
    }
    return keyspace.group().shard().find(key, host_.now_ms(), record);
}

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

void Kv::check_memory() {
    const std::uint64_t bytes = host_.memory_bytes();
    const bool is_full = bytes >= options_.limits.memory_bytes_max;
    if (is_full != is_memory_full_) {
        is_memory_full_ = is_full;
        log_warning(
            is_full ? "memory is full: writes that add data are refused" : "memory has room again",
            {{"bytes", bytes}, {"limits.memory_bytes_max", options_.limits.memory_bytes_max}});
    }
    memory_timer_ =
        env_.clock.start_timer(env_.clock.now() + kMemoryCheckInterval, [this] { check_memory(); });
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

Status Kv::submit(Keyspace& keyspace,
                  const mvcc::Operation& operation,
                  replication::Proposal* proposal) {
    if (gate_.is_closing()) {
        return stopping_status();
    }
    if (keyspace.is_dropped()) {
        return dropped_status(keyspace);
    }
    KVSTORE_CHECK_OK(check_limits(operation));
    if (is_memory_full_ && adds_data(operation)) {
        KVSTORE_CHECK_OK(check_room(keyspace));
    }
    if (!grows(operation)) {
        return keyspace.group().propose(operation, proposal);
    }
    mvcc::Operation bounded = operation;
    bounded.value_bytes_max = static_cast<std::uint32_t>(options_.limits.value_bytes_max);
    return keyspace.group().propose(bounded, proposal);
}

Status Kv::submit(Keyspace& keyspace,
                  const mvcc::Command& command,
                  replication::Proposal* proposal) {
    if (gate_.is_closing()) {
        return stopping_status();
    }
    if (keyspace.is_dropped()) {
        return dropped_status(keyspace);
    }
    KVSTORE_CHECK_OK(check_limits(command));
    if (is_memory_full_ && (std::ranges::any_of(command.operations, adds_data) ||
                            std::ranges::any_of(command.else_operations, adds_data))) {
        KVSTORE_CHECK_OK(check_room(keyspace));
    }
    if (!std::ranges::any_of(command.operations, grows) &&
        !std::ranges::any_of(command.else_operations, grows)) {
        return keyspace.group().propose(command, proposal);
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
    return keyspace.group().propose(bounded, proposal);
}

// ---- coroutines ----

async::Task<Result<CommandOutcome>> Kv::execute(CallContext context,
                                                KeyspaceHandle keyspace,
                                                const mvcc::Command* command) {
    const Inside inside(gate_);
    KVSTORE_CO_CHECK_OK(inside.status());
    if (context.deadline.has_passed(env_.clock.now())) {
        co_return Status(Code::kDeadlineExceeded, "the deadline has passed; nothing was done");
    }
    const auto collector = std::make_shared<Collector>(env_);
    KVSTORE_CO_CHECK_OK(submit(*keyspace, *command, collector.get()));
    collector->keep_until_told(collector, context.deadline);
    auto outcome = co_await collector->done();
    if (outcome.ok() && context.session != nullptr) {
        context.session->note(keyspace->info().shard, outcome->revision);
    }
    co_return outcome;
}

}  // namespace kvstore::kv
