// A proposal of which only matters whether it is done or has failed.
#pragma once

#include "async/sync.h"
#include "base/status.h"
#include "replication/group.h"

namespace kvstore::replication {

// Lifetime  In the frame of whoever awaits done().
class AwaitedProposal final : public Proposal {
public:
    explicit AwaitedProposal(async::Scheduler& scheduler) : done_(scheduler) {}
    virtual ~AwaitedProposal() = default;

    void on_operation(std::size_t /*at*/, const mvcc::OperationResult& /*result*/) override {}
    void on_command(const mvcc::CommandResult& /*result*/) override { done_.set(Status()); }
    void on_failed(const Status& why) override { done_.set(why); }

    async::OneShot<Status>& done() { return done_; }

private:
    async::OneShot<Status> done_;
};

}  // namespace kvstore::replication
