#include "simulation/internal/operators.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/log.h"
#include "cluster/records.h"
#include "http/client.h"

namespace kvstore::simulation::internal {
namespace {

using cluster::ClusterView;
using cluster::NodeRecord;
using cluster::NodeState;
using cluster::ShardRecord;

constexpr std::uint16_t kHttpPort = 8080;
constexpr Duration kPatience = std::chrono::seconds(5);
constexpr Duration kLookInterval = std::chrono::milliseconds(500);

// The one of those under this name that belongs; else the newest that has left.
const NodeRecord* find_record(const ClusterView& view, const std::string& name) {
    const NodeRecord* found = nullptr;
    for (const NodeRecord& node : view.metadata.nodes) {
        if (node.name == name && (found == nullptr || cluster::has_left(found->state))) {
            found = &node;
        }
    }
    return found;
}

std::string name_of(const ClusterView& view, NodeId node) {
    const NodeRecord* const record = view.metadata.find_node(node);
    return record != nullptr ? record->name : std::string();
}

std::string path_of(const ShardRecord& shard) {
    return "/v1/cluster/shards/" + std::to_string(shard.id.value());
}

}  // namespace

Operators::Operators(sim::World& world, Fleet& fleet, Random& random)
    : world_(world), fleet_(fleet), random_(random), desk_(world.add_host("desk")) {}

Member* Operators::choose_up() {
    const std::size_t first = random_.below(fleet_.size());
    for (std::size_t i = 0; i < fleet_.size(); ++i) {
        Member& member = fleet_.at((first + i) % fleet_.size());
        if (member.is_up()) {
            return &member;
        }
    }
    return nullptr;
}

const ShardRecord* Operators::choose_shard(const ClusterView* known) {
    if (known == nullptr || known->metadata.shards.empty()) {
        return nullptr;
    }
    return &known->metadata.shards[random_.below(known->metadata.shards.size())];
}

std::shared_ptr<const ClusterView> Operators::view(const Member* but) const {
    std::shared_ptr<const ClusterView> newest;
    for (const std::unique_ptr<Member>& member : fleet_.members()) {
        if (!member->is_up() || member.get() == but) {
            continue;
        }
        auto known = member->node->kv().options().cluster.directory->view();
        if (newest == nullptr || newest->rows.version < known->rows.version) {
            newest = std::move(known);
        }
    }
    return newest;
}

// Whatever is answered: what is so shows in the records.
async::Task<void> Operators::request(std::string node, std::string target, std::string body) {
    http::Client client(desk_.env(), {.host = std::move(node), .port = kHttpPort});
    http::ClientRequest request;
    request.method = http::Method::kPost;
    request.target = std::move(target);
    request.body = std::move(body);
    const auto deadline = async::Deadline::after(world_.now(), kPatience);
    const auto answer = co_await client.request(std::move(request), deadline);
    log_info("simulation: an operator is answered",
             {{"status", answer.ok() ? answer->status : 0},
              {"body", answer.ok() ? answer->body : answer.status().to_string()}});
}

bool Operators::post(const std::string& target, std::string body) {
    const Member* const asked = choose_up();
    if (asked == nullptr) {
        return false;
    }
    log_info("simulation: an operator asks",
             {{"node", asked->name}, {"target", target}, {"body", body}});
    desk_.spawn(request(asked->name, target, std::move(body)));
    return true;
}

bool Operators::send_away(Member& member, const char* how) {
    if (!post("/v1/cluster/members/" + member.name + how, {})) {
        return false;
    }
    member.is_wanted_back = false;
    if (!std::exchange(member.was_sent_away, true)) {
        look_after(member);
    }
    return true;
}

bool Operators::drain(Member& member) {
    return send_away(member, "/drain");
}

bool Operators::decommission(Member& member) {
    return send_away(member, "/decommission");
}

bool Operators::move_leader() {
    const auto known = view(nullptr);
    const ShardRecord* const chosen = choose_shard(known.get());
    if (chosen == nullptr) {
        return false;
    }
    const ShardRecord& shard = *chosen;
    const std::string target = path_of(shard) + "/leader";
    if (random_.chance(1, 4) || shard.voters.empty()) {
        return post(target, R"({"automatic":true})");
    }
    const NodeId heir = shard.voters[random_.below(shard.voters.size())];
    return post(target, R"({"node":")" + name_of(*known, heir) + R"("})");
}

bool Operators::move_shard() {
    const auto known = view(nullptr);
    const ShardRecord* const chosen = choose_shard(known.get());
    if (chosen == nullptr) {
        return false;
    }
    const ShardRecord& shard = *chosen;
    const std::string target = path_of(shard) + "/move";
    std::vector<std::string> others;
    for (const NodeRecord& node : known->metadata.nodes) {
        if (node.state == NodeState::kActive &&
            std::ranges::find(shard.voters, node.id) == shard.voters.end()) {
            others.push_back(node.name);
        }
    }
    if (others.empty() || shard.voters.empty() || random_.chance(1, 4)) {
        return post(target, R"({"automatic":true})");
    }
    const std::string from = name_of(*known, shard.voters[random_.below(shard.voters.size())]);
    return post(
        target,
        R"({"from":")" + from + R"(","to":")" + others[random_.below(others.size())] + R"("})");
}

// To the end of the run: what was asked may be carried out long after it was given up.
void Operators::look_after(Member& member) {
    world_.after(kLookInterval, [this, &member] { look_after(member); });
    const auto known = view(&member);
    const NodeRecord* const record = known != nullptr ? find_record(*known, member.name) : nullptr;
    if (record == nullptr) {
        return;
    }
    const std::string target = "/v1/cluster/members/" + member.name;
    if (record->state == NodeState::kRemoved && record->id != member.dismissed) {
        member.dismissed = record->id;
        fleet_.begin_anew(member);
    } else if (member.is_wanted_back && record->state == NodeState::kDraining) {
        post(target + "/undrain", {});
    } else if (member.is_wanted_back && record->state == NodeState::kDecommissioning) {
        post(target + "/recommission", {});
    }
}

}  // namespace kvstore::simulation::internal
