// Appends and recovery on the real disk:
//
//     storage_wal_bench <folder> [entries]
//
// Prints the rate of durable group commits of 1, 8 and 64 entries of 100 bytes, the core's time for
// an append alone, and how fast small entries are recovered.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "async/sync.h"
#include "posix/runtime.h"
#include "storage/wal/wal.h"

namespace kvstore::storage {
namespace {

using SteadyClock = std::chrono::steady_clock;  // NOLINT: a benchmark measures real time

void print(const std::string& line) {
    static_cast<void>(std::fputs((line + "\n").c_str(), stdout));
}

class CountingVisitor final : public WalVisitor {
public:
    Status on_entry(const LogEntry& entry) override {
        ++entry_count;
        last = entry.index;
        return {};
    }
    Status on_state(const LogState&) override { return {}; }
    Status on_start(GroupId, Term, Index) override { return {}; }
    Status on_drop(GroupId) override { return {}; }

    std::uint64_t entry_count = 0;
    Index last;
};

class WaitingClient final : public WalClient {
public:
    explicit WaitingClient(async::Scheduler& scheduler) : told_(scheduler) {}
    void on_durable(Index last) override {
        durable = last;
        told_.set();
    }
    void on_log_failed(const Status& why) override {
        print(why.to_string());
        std::abort();
    }
    async::Task<void> wait_for(Index index) {
        while (durable < index) {
            told_.reset();
            co_await told_;
        }
    }
    Index durable;

private:
    async::Event told_;
};

double seconds_since(SteadyClock::time_point begin) {
    return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

class Bench {
public:
    explicit Bench(env::Env* env) : env_(env), client_(env->scheduler) {}

    async::Task<Status> open(WalOptions options) {
        CountingVisitor visitor;
        const auto begin = SteadyClock::now();
        auto opened = co_await Wal::open(env_, "wal", options, &visitor);
        KVSTORE_CO_TRY(wal_, std::move(opened));
        const double seconds = seconds_since(begin);
        print("recovered " + std::to_string(visitor.entry_count) + " entries in " +
              std::to_string(seconds) + " s");
        last_ = visitor.last;
        co_return Status();
    }
    async::Task<Status> close() { co_return co_await wal_->stop(); }

    // One client that waits for each batch.
    async::Task<Status> commit_batches(int batch_size, int batch_count) {
        const auto begin = SteadyClock::now();
        for (int i = 0; i < batch_count; ++i) {
            for (int k = 0; k < batch_size; ++k) {
                KVSTORE_CO_CHECK_OK(append());
            }
            co_await client_.wait_for(last_);
        }
        const double seconds = seconds_since(begin);
        print(std::to_string(batch_size) +
              " entries a record: " + std::to_string(seconds / batch_count * 1e6) + " us each");
        co_return Status();
    }

    // As many entries as it takes, in records of 1000.
    async::Task<Status> fill(std::uint64_t count) {
        double appending = 0;
        const auto begin = SteadyClock::now();
        for (std::uint64_t i = 0; i < count; i += 1000) {
            const auto from = SteadyClock::now();
            for (int k = 0; k < 1000; ++k) {
                KVSTORE_CO_CHECK_OK(append());
            }
            appending += seconds_since(from);
            co_await client_.wait_for(last_);
        }
        print(std::to_string(count) + " entries in " + std::to_string(seconds_since(begin)) +
              " s, " + std::to_string(appending / static_cast<double>(count) * 1e9) +
              " ns an append");
        co_return Status();
    }

    void release() { wal_->release(GroupId(1), last_); }

private:
    Status append() {
        last_ = last_.next();
        return wal_->append(
            client_,
            {.group = GroupId(1), .term = Term(1), .index = last_, .kind = 1, .data = data_});
    }

    env::Env* env_;
    WaitingClient client_;
    std::unique_ptr<Wal> wal_;
    Index last_;
    Bytes data_ = Bytes(100, 'x');
};

async::Task<Status> run(env::Env* env, std::uint64_t entry_count) {
    Bench bench(env);
    WalOptions options;
    KVSTORE_CO_CHECK_OK(co_await bench.open(options));
    // Until segments are recycled rather than made.
    KVSTORE_CO_CHECK_OK(co_await bench.fill(100'000));
    bench.release();
    for (const int batch_size : {1, 8, 64}) {
        KVSTORE_CO_CHECK_OK(co_await bench.commit_batches(batch_size, 3000));
        bench.release();
    }
    KVSTORE_CO_CHECK_OK(co_await bench.fill(entry_count));
    KVSTORE_CO_CHECK_OK(co_await bench.close());
    KVSTORE_CO_CHECK_OK(co_await bench.open(options));
    co_return co_await bench.close();
}

}  // namespace
}  // namespace kvstore::storage

int main(int argument_count, char** arguments) {
    if (argument_count < 2) {
        kvstore::storage::print("usage: storage_wal_bench <folder> [entries]");
        return 2;
    }
    const std::uint64_t entry_count =
        argument_count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1'000'000;
    kvstore::posix::Runtime runtime({.root_directory = arguments[1]});
    const kvstore::Status done =
        runtime.block_on(kvstore::storage::run(&runtime.env(), entry_count));
    if (!done.ok()) {
        kvstore::storage::print(done.to_string());
        return 1;
    }
    return 0;
}
