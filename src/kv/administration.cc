#include "kv/administration.h"

#include <algorithm>
#include <utility>

namespace kvstore::kv {
namespace {

constexpr Duration kPatience = std::chrono::seconds(2);

Status alone(std::string_view what) {
    return {Code::kConflict, "this node is alone: " + std::string(what)};
}

}  // namespace

AloneAdministration::AloneAdministration(Kv& kv, cluster::NodeRecord self)
    : kv_(kv), self_(std::move(self)) {
    self_.state = cluster::NodeState::kActive;
}

async::Task<Result<std::vector<MemberInfo>>> AloneAdministration::members() {
    KVSTORE_CO_TRY(const std::vector<ShardInfo> held, co_await shards());
    MemberInfo member;
    member.record = self_;
    member.replicas = held.size();
    member.leaders = held.size();
    std::vector<MemberInfo> members(1, member);
    co_return members;
}

async::Task<Result<std::vector<ShardInfo>>> AloneAdministration::shards() {
    const auto deadline = async::Deadline::after(kv_.env().clock.now(), kPatience);
    KVSTORE_CO_TRY(cluster::SystemRows rows, co_await kv_.metadata().read(deadline));
    KVSTORE_CO_TRY(const auto view, cluster::ClusterView::build(std::move(rows)));
    std::vector<ShardInfo> shards;
    for (const cluster::ShardRecord& record : view->map->shards()) {
        shards.push_back({.record = record, .leader = self_.id});
    }
    co_return shards;
}

async::Task<Result<NewMember>> AloneAdministration::add_member(std::string /*name*/,
                                                               MemberRole /*role*/) {
    co_return alone("without a log nothing can be replicated; start it with another --durability");
}

async::Task<Result<Progress>> AloneAdministration::change_member(std::string node,
                                                                 MemberChange change,
                                                                 Duration /*wait*/) {
    KVSTORE_CO_CHECK_OK(check_self(node));
    const bool is_so = change == MemberChange::kUndrain || change == MemberChange::kRecommission ||
                       change == MemberChange::kPromote;
    if (!is_so) {
        co_return alone("nobody else could take over what it has");
    }
    Progress progress;
    progress.node = self_.id;
    co_return progress;
}

async::Task<Result<Progress>> AloneAdministration::move_leader(ShardId shard,
                                                               std::optional<std::string> node,
                                                               Duration /*wait*/) {
    const Status known = co_await check_shard(shard);
    KVSTORE_CO_CHECK_OK(known);
    if (node.has_value()) {
        KVSTORE_CO_CHECK_OK(check_self(*node));
    }
    co_return Progress();
}

async::Task<Result<Progress>> AloneAdministration::move_shard(ShardId shard,
                                                              std::optional<Move> move,
                                                              Duration /*wait*/) {
    const Status known = co_await check_shard(shard);
    KVSTORE_CO_CHECK_OK(known);
    if (!move.has_value()) {
        co_return Progress();
    }
    KVSTORE_CO_CHECK_OK(check_self(move->from));
    KVSTORE_CO_CHECK_OK(check_self(move->to));
    co_return alone("there is no other place for the shard");
}

Status AloneAdministration::check_self(std::string_view node) const {
    if (node == self_.name || node == std::to_string(self_.id.value())) {
        return {};
    }
    return {Code::kNotFound, "no node is called '" + std::string(node) + "'"};
}

async::Task<Status> AloneAdministration::check_shard(ShardId shard) {
    KVSTORE_CO_TRY(const std::vector<ShardInfo> held, co_await shards());
    const bool is_there = std::ranges::any_of(
        held, [shard](const ShardInfo& info) { return info.record.id == shard; });
    co_return is_there
        ? Status()
        : Status(Code::kNotFound, "there is no shard " + std::to_string(shard.value()));
}

}  // namespace kvstore::kv
