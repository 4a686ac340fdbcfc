// Replicas of this node that cannot be trusted: fenced_replicas.h says why what is done to them is
// safe.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "replication/node_host.h"

namespace kvstore::replication {

std::vector<DamagedReplica> NodeHost::damaged() const {
    std::vector<DamagedReplica> all = fenced_.list();
    for (const auto& [id, replica] : replicas_) {
        if (replica.group->is_quarantined()) {
            all.push_back({.shard = id, .why = replica.group->health()});
        }
    }
    std::ranges::sort(all, {}, &DamagedReplica::shard);
    return all;
}

async::Task<Status> NodeHost::fence_missing(ShardId shard, std::string why) {
    if (replicas_.contains(shard) || fenced_.contains(shard)) {
        co_return Status(Code::kAlreadyExists,
                         "shard " + std::to_string(shard.value()) + " is here");
    }
    Status damage(Code::kCorruption, std::move(why));
    routes_.set_damage(shard, damage);
    Status marked = co_await fenced_.add(shard, std::move(damage));
    count_damaged();
    co_return marked;
}

async::Task<Status> NodeHost::fence_or_fail(ShardId shard, Status why) {
    if (!options_.has_others || !is_damage(why)) {
        co_return why;
    }
    co_return co_await fence(shard, std::move(why));
}

async::Task<Status> NodeHost::fence(ShardId shard, Status why) {
    auto node = replicas_.extract(shard);
    routes_.set_damage(shard, why);
    if (node.empty()) {
        co_return co_await fenced_.add(shard, std::move(why));
    }
    routes_.detach(shard);
    closing_.insert(shard);
    Replica& replica = fenced_groups_[shard];
    replica = std::move(node.mapped());
    replica.maintenance->request_stop();
    Status marked = co_await fenced_.add(shard, std::move(why));
    const Status closed = co_await replica.group->abandon();
    if (!closed.ok()) {
        log_warning("closing a damaged replica failed", {{"reason", closed.to_string()}});
    }
    co_await replica.maintenance->stop();
    closing_.erase(shard);
    count_damaged();
    co_return marked;
}

async::Task<void> NodeHost::fence_and_report(ShardId shard, Status why) {
    const Status fenced = co_await fence(shard, std::move(why));
    if (!fenced.ok()) {
        log_error("a damaged replica could not be marked; do not restart this node without need",
                  {{"shard", shard.value()}, {"reason", fenced.to_string()}});
    }
}

// Whoever asks for the shard from now on is sent to other nodes.
void NodeHost::on_quarantine(RaftGroup& group) {
    has_quarantined_ = true;
    if (options_.has_others && is_recovered_ && !group.is_only_voter()) {
        routes_.detach(ShardId(group.id().value()));
    }
}

// A replica that is nowhere else stays, to say why.
void NodeHost::fence_quarantined() {
    if (!has_quarantined_ || !options_.has_others || is_stopping_) {
        return;
    }
    has_quarantined_ = false;
    for (const ShardId id : shard_ids()) {
        const RaftGroup& group = *replicas_.at(id).group;
        if (group.is_quarantined() && !group.is_only_voter()) {
            gate_.spawn(fence_and_report(id, group.health()));
        }
    }
}

async::Task<Status> NodeHost::drop_fenced(ShardId shard) {
    if (closing_.contains(shard)) {
        co_return Status(Code::kUnavailable, "the damaged replica is being closed");
    }
    KVSTORE_CO_CHECK_OK(co_await remove_dropped(shard));
    fenced_groups_.erase(shard);
    fenced_.remove(shard);
    routes_.set_damage(shard, Status());
    count_damaged();
    co_return Status();
}

// The order is what makes it safe: each mark is durable before the log that it replaces is gone.
async::Task<Status> NodeHost::lose_log(Status why) {
    has_lost_log_ = true;
    log_error("the write-ahead log is lost: the replicas of this node are made anew from others",
              {{"reason", why.to_string()}});
    const std::string reason = "the log with its votes and entries is lost: ";
    for (const ShardId id : shard_ids()) {
        const Status lost(Code::kCorruption, reason + std::string(why.message()));
        KVSTORE_CO_CHECK_OK(co_await fence(id, lost));
    }
    co_return co_await set_log_aside(&env_.disk, std::string(kWalFolder));
}

}  // namespace kvstore::replication
