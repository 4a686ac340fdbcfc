// Which members of a shard's group hold what was written: asked of whoever leads.
#include <algorithm>
#include <optional>
#include <utility>

#include "cluster/directory.h"
#include "kv/inside.h"
#include "kv/kv.h"
#include "kv/remote_read.h"
#include "replication/strong/raft_group.h"

namespace kvstore::kv {
namespace {

// How often a leader looks at what its followers have acknowledged.
constexpr Duration kLook = std::chrono::milliseconds(5);
// Beyond the wait, for the way to the leader and its proof that it leads.
constexpr Duration kAskPatience = std::chrono::seconds(1);

// Nullopt: it does not lead. What a follower has acknowledged it keeps, if it is committed; so a
// leader that was deposed without knowing counts too few at worst.
std::optional<std::uint64_t> count_in(const replication::RaftGroup& group, Index index) {
    if (!group.is_leader()) {
        return std::nullopt;
    }
    const std::optional<raft::NodeStatus> status = group.raft_status();
    if (!status.has_value()) {
        return 0;  // without a log there are no others
    }
    return static_cast<std::uint64_t>(
        std::ranges::count_if(status->peers, [&](const raft::PeerStatus& peer) {
            return peer.id != status->id && peer.match >= index;
        }));
}

}  // namespace

async::Task<Result<Holders>> Kv::count_holders(ShardHandle shard, HoldersQuestion question) {
    const Inside inside(gate_, exclusion_);
    KVSTORE_CO_CHECK_OK(inside.status());
    KVSTORE_CO_CHECK_OK(shard->check_not_gone());
    question.wait = std::clamp(question.wait, Duration(0), kHoldersWaitMax);
    const replication::RaftGroup* const group = host_.find_raft_group(shard->id());
    if (group != nullptr && group->is_leader()) {
        co_return co_await count_holders_here(std::move(shard), question);
    }
    CallContext context;
    context.deadline = async::Deadline::after(env_.clock.now(), question.wait + kAskPatience);
    RemoteRead read;
    read.holders = question;
    auto asked = co_await ask(&context, std::move(shard), std::move(read));
    KVSTORE_CO_TRY(const RemoteAnswer answer, std::move(asked));
    if (!answer.holders.has_value()) {
        co_return Status(Code::kCorruption, "another node answered something else");
    }
    co_return *answer.holders;
}

async::Task<Result<Holders>> Kv::count_holders_here(ShardHandle shard, HoldersQuestion question) {
    const MonotonicTime end =
        env_.clock.now() + std::clamp(question.wait, Duration(0), kHoldersWaitMax);
    Holders holders{.index = question.index};
    if (holders.index == Index()) {
        // What was acknowledged through another leader is applied here behind this.
        const async::Deadline deadline{.at = end + kAskPatience};
        KVSTORE_CO_CHECK_OK(co_await shard->group().read_barrier(deadline));
        KVSTORE_CO_CHECK_OK(shard->check_not_gone());
        if (!shard->group().has_replica()) {
            co_return Status(Code::kUnavailable, "the shard has left this node");
        }
        holders.index = shard->group().shard().applied_index();
    }
    for (;;) {
        const replication::RaftGroup* const group = host_.find_raft_group(shard->id());
        const auto count = group != nullptr ? count_in(*group, holders.index) : std::nullopt;
        if (!count.has_value()) {
            co_return Status(Code::kUnavailable, "this node does not lead the shard");
        }
        holders.count = *count;
        const MonotonicTime now = env_.clock.now();
        if (holders.count >= question.wanted || now >= end || gate_.is_closing()) {
            co_return holders;
        }
        co_await env_.clock.sleep(std::min(kLook, end - now));
    }
}

// The group may be one voter ahead of its record, either way.
std::uint64_t Kv::certain_holders(ShardId shard) {
    const cluster::ShardRecord* const record = directory().view()->map->find(shard);
    return record == nullptr || record->voters.empty() ? 0 : (record->voters.size() - 1) / 2;
}

}  // namespace kvstore::kv
