#include <memory>

#include "async/sync.h"
#include "cli/stress_load.h"

namespace kvstore::cli {
namespace {

constexpr std::uint64_t kReadsPerTurn = 64;

// One write on its way.
class Write final : public replication::Proposal {
public:
    explicit Write(async::Scheduler& scheduler) : done(scheduler) {}
    void on_operation(std::size_t /*at*/, const mvcc::OperationResult& /*result*/) override {}
    void on_command(const mvcc::CommandResult& /*result*/) override { done.set(Status()); }
    void on_failed(const Status& why) override { done.set(Status(why)); }

    async::OneShot<Status> done;
};

async::Task<Status> write_key(env::Env* env, kv::Kv* kv, const StressRun* run, std::uint64_t key) {
    const std::string name = run->key(key);
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kPut;
    operation.key = name;
    operation.argument = run->value();
    Write write(env->scheduler);
    KVSTORE_CO_CHECK_OK(kv->submit(*kv->default_keyspace(), operation, &write));
    co_return co_await write.done;
}

async::Task<Status> read_key(kv::Kv* kv, const StressRun* run, std::uint64_t key) {
    const std::string name = run->key(key);
    mvcc::Record record;
    if (kv->find(*kv->default_keyspace(), name, &record) != storage::Lookup::kMustLoad) {
        co_return Status();
    }
    kv::CallContext context;
    const auto found = co_await kv->get(context, kv->default_keyspace(), name, Revision(0));
    co_return found.status();
}

async::Task<void> run_client(env::Env* env, kv::Kv* kv, StressRun* run) {
    StressRun::Operation operation;
    for (std::uint64_t count = 1; run->begin(&operation); ++count) {
        const std::uint64_t began = stopwatch_nanoseconds();
        Status status;
        if (operation.is_read) {
            status = co_await read_key(kv, run, operation.key);
        } else {
            status = co_await write_key(env, kv, run, operation.key);
        }
        if (status.ok()) {
            run->end(operation, began);
        } else {
            run->fail(operation, status.to_string());
        }
        if (count % kReadsPerTurn == 0) {
            co_await async::yield(env->scheduler);
        }
    }
}

async::Task<void> fill_share(
    env::Env* env, kv::Kv* kv, const StressRun* run, std::uint64_t first, Status* outcome) {
    const std::uint64_t step = run->plan().client_count * run->plan().pipeline;
    for (std::uint64_t key = first; key < run->plan().key_count && outcome->ok(); key += step) {
        const Status written = co_await write_key(env, kv, run, key);
        if (!written.ok()) {
            *outcome = written;
        }
    }
}

}  // namespace

async::Task<Status> fill_embedded(env::Env* env, kv::Kv* kv, const StressRun* run) {
    async::Gate gate(env->scheduler);
    Status outcome;
    const std::uint64_t count = run->plan().client_count * run->plan().pipeline;
    for (std::uint64_t i = 0; i < count; ++i) {
        (void)gate.spawn(fill_share(env, kv, run, i, &outcome));
    }
    co_await gate.close();
    co_return outcome;
}

async::Task<Status> load_embedded(env::Env* env, kv::Kv* kv, StressRun* run) {
    async::Gate gate(env->scheduler);
    const std::uint64_t count = run->plan().client_count * run->plan().pipeline;
    for (std::uint64_t i = 0; i < count; ++i) {
        (void)gate.spawn(run_client(env, kv, run));
    }
    co_await gate.close();
    co_return Status();
}

}  // namespace kvstore::cli
