// A group over another's shard, which is as fresh, as old and as lonely as the test says.
#pragma once

#include "async/sync.h"
#include "env/env.h"
#include "replication/group.h"

namespace kvstore::kv::testing {

// Lifetime  Reads that wait for it end before it.
class FakeGroup final : public replication::Group {
public:
    FakeGroup(env::Env& env, replication::Group& real) : real_(real), told_(env.scheduler) {}

    Status propose(const mvcc::Operation& operation, replication::Proposal* proposal) override {
        return real_.propose(operation, proposal);
    }
    Status propose(const mvcc::Command& command, replication::Proposal* proposal) override {
        return real_.propose(command, proposal);
    }
    [[nodiscard]] bool has_replica() const override { return !has_left; }
    async::Task<Result<Bytes>> ask(Bytes /*request*/,
                                   replication::AskWhom /*whom*/,
                                   async::Deadline /*deadline*/) override {
        co_return Status(Code::kUnavailable, "there is nobody to ask");
    }
    [[nodiscard]] bool can_read_now() const override { return false; }
    async::Task<Status> read_barrier(async::Deadline /*deadline*/) override {
        ++barriers;
        has_left = leaves_in_barrier;
        co_return barrier;
    }
    [[nodiscard]] Duration staleness() const override { return stale; }
    async::Task<Status> wait_applied(Revision revision, async::Deadline deadline) override {
        waited_for = revision;
        waited_until = deadline;
        co_return co_await told_;
    }
    // Ends the one wait that there may be.
    void end_wait(const Status& status) { told_.set(status); }
    [[nodiscard]] mvcc::Shard& shard() override { return real_.shard(); }
    [[nodiscard]] async::Gate& gate() override { return real_.gate(); }
    [[nodiscard]] const Status& health() const override { return failure; }

    Status barrier;
    int barriers = 0;  // that were asked for
    bool leaves_in_barrier = false;
    bool has_left = false;
    Duration stale = Duration::max();
    Revision waited_for;
    async::Deadline waited_until;
    Status failure;

private:
    replication::Group& real_;
    async::OneShot<Status> told_;
};

}  // namespace kvstore::kv::testing
