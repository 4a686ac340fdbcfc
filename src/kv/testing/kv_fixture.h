// A store on the memory engine in a simulated world, and operations that are short to say.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kv/kv.h"
#include "replication/host.h"
#include "sim/world.h"

namespace kvstore::kv::testing {

class KvFixture : public ::testing::Test {
protected:
    KvFixture();
    ~KvFixture() override;

    // ---- the process ----
    Status open();
    void must_open();
    // Kv::stop(), then Host::stop().
    Status stop();
    void reopen();
    // Ends the process and begins another, in which nothing is open yet.
    void crash(sim::CrashKind kind = sim::CrashKind::kPowerLoss);
    template <typename T>
    T run(async::Task<T> task) {
        return world_.block_on(machine_, std::move(task));
    }
    // Runs `work` in a turn of the machine.
    template <typename Work>
    void on_core(Work work) {
        Callback<void()> callback = [&work] {
            work();
        };
        world_.block_on(machine_, call(&callback));
    }

    // ---- keyspaces ----
    static KeyspaceOptions memory_options(Duration history = std::chrono::minutes(10));
    KeyspaceHandle create(std::string name, Duration history = std::chrono::minutes(10));
    [[nodiscard]] std::vector<std::string> names();
    // What stands in the data directory, sorted.
    [[nodiscard]] std::vector<std::string> shard_folders();

    // ---- operations on `default`, or on `keyspace_` where a test sets it ----
    [[nodiscard]] KeyspaceHandle keyspace() const {
        return keyspace_ != nullptr ? keyspace_ : kv_->default_keyspace();
    }
    Result<CommandOutcome> execute(const mvcc::Command& command, CallContext context = {});
    Result<CommandOutcome> execute(const mvcc::Operation& operation, CallContext context = {});
    // The only operation's outcome. Requires: the command is done.
    OperationOutcome done(const mvcc::Operation& operation);
    void put(ByteView key, ByteView value);
    void erase(ByteView key);
    Result<std::optional<OwnedRecord>> get(ByteView key, Revision as_of = {});
    // Nullopt: absent. Requires: the read is answered.
    std::optional<Bytes> value(ByteView key, Revision as_of = {});
    Result<mvcc::ScanPage> scan(const mvcc::ScanRequest& request);
    // "a b c". Requires: the scan is answered.
    std::string keys(const mvcc::ScanRequest& request);
    [[nodiscard]] Revision revision() { return keyspace()->group().shard().state().revision; }
    [[nodiscard]] std::uint64_t now_ms() { return kv_->now_ms(); }

    sim::World world_{1};
    sim::Host& machine_ = world_.add_host("n1");
    replication::HostSettings host_options_;
    Kv::Options options_;
    std::unique_ptr<replication::Host> host_;
    std::unique_ptr<Kv> kv_;
    KeyspaceHandle keyspace_;

private:
    static async::Task<bool> call(Callback<void()>* work) {
        (*work)();
        co_return true;
    }
};

mvcc::Operation put_of(ByteView key, ByteView value);
mvcc::Operation operation_of(mvcc::OperationKind kind, ByteView key);

}  // namespace kvstore::kv::testing
