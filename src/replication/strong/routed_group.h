// A shard's group for those who do not care which node leads it: what this node may not propose is
// proposed where the leader is, and the outcome comes back as if it had been here.
//
// A command is tried again only while it certainly was not taken, and only in the order in which
// commands came: each carries the term in which its sender believes, and a leader of another term
// refuses it, so that none of a row can be taken behind one that was refused.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "async/sync.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "replication/group.h"
#include "replication/strong/raft_group.h"
#include "rpc/transport.h"

namespace kvstore::replication {

// A command for another node's group.
struct ForwardRequest {
    ShardId shard;
    Term term;         // in which the sender believes
    ByteView command;  // mvcc::encode_command(); the stamp is given by the leader
};

void encode_forward_request(const ForwardRequest& request, Bytes& to);
// Views into `bytes`. Errors: kCorruption.
Result<ForwardRequest> decode_forward_request(ByteView bytes);

// Proposes a peer's command and answers with its outcome. Null `group`: there is none here.
void serve_forwarded(RaftGroup* group, ByteView request, rpc::Responder responder);

// Lifetime    Owned by the host beside its group. stop() before the group's.
// Runs on     The core of the group.
// Invariants  commands that wait here are in the order in which they were proposed, and nothing
//             overtakes them
class RoutedGroup final : public Group {
public:
    RoutedGroup(env::Env& env, RaftGroup& group, rpc::Transport* transport);
    RoutedGroup(const RoutedGroup&) = delete;
    RoutedGroup& operator=(const RoutedGroup&) = delete;
    ~RoutedGroup() override;

    Status propose(const mvcc::Operation& operation, Proposal* proposal) override;
    Status propose(const mvcc::Command& command, Proposal* proposal) override;
    [[nodiscard]] bool can_read_now() const override { return group_.can_read_now(); }
    async::Task<Status> read_barrier(async::Deadline deadline) override {
        return group_.read_barrier(deadline);
    }
    [[nodiscard]] mvcc::Shard& shard() override { return group_.shard(); }
    [[nodiscard]] async::Gate& gate() override { return group_.gate(); }
    [[nodiscard]] const Status& health() const override { return group_.health(); }

    [[nodiscard]] RaftGroup& raft() { return group_; }

    // Tries again what waits for a leader, and gives up what has waited too long.
    void tick();
    // Refuses what waits, and what comes.
    void stop();

private:
    class Forward;

    // How long a command waits for a leader to be known and reached.
    static constexpr Duration kPatience = std::chrono::seconds(5);
    static constexpr std::size_t kBytesMax = 64U << 20U;  // of commands on their way

    Status forward(const mvcc::Command& command, Proposal* proposal);
    [[nodiscard]] bool leads_here() const;
    [[nodiscard]] bool is_held_up() const;
    void push_on();
    bool start(Forward& forward);
    void on_answer(Forward* forward, ByteView answer);
    void on_failed(Forward* forward, const Status& why);
    std::unique_ptr<Forward> take(Forward* forward);

    env::Env& env_;
    RaftGroup& group_;
    rpc::Transport* transport_;
    std::deque<std::unique_ptr<Forward>> forwards_;  // in order
    std::size_t bytes_ = 0;
    bool is_stopping_ = false;
};

}  // namespace kvstore::replication
