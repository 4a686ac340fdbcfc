#include "cluster/testing/member_world.h"

#include <algorithm>
#include <utility>

namespace kvstore::cluster::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

rpc::Options transport_options(NodeId self, const NodeFacts& facts, std::uint64_t incarnation) {
    rpc::Options options;
    options.self.cluster = self == NodeId() ? 0 : kTestCluster;
    options.self.node = self;
    options.self.store = facts.store;
    options.self.incarnation = incarnation;
    options.self.name = facts.name;
    options.self.address = facts.peer_address;
    return options;
}

GossipOptions gossip_options() {
    GossipOptions options;
    options.tick = milliseconds(50);
    return options;
}

std::uint32_t factor_of(std::string_view keyspace, const SystemRows& /*rows*/) {
    return keyspace == "system" ? kSystemReplicationFactor : 3U;
}

ControllerOptions controller_options() {
    ControllerOptions options;
    options.interval = milliseconds(200);
    options.factor_of = &factor_of;
    return options;
}

env::Address address_of(const NodeFacts& facts) {
    return env::Address::parse(facts.peer_address).value();
}

bool lists(const ShardRecord& record, NodeId node) {
    return std::ranges::find(record.voters, node) != record.voters.end() ||
           std::ranges::find(record.learners, node) != record.learners.end();
}

std::string text(const std::vector<NodeId>& ids) {
    std::string list;
    for (const NodeId id : ids) {
        list += " " + std::to_string(id.value());
    }
    return list;
}

}  // namespace

MemberNode::MemberNode(env::Env& env,
                       ClusterTruth& truth,
                       NodeId id,
                       NodeFacts facts,
                       std::uint64_t incarnation,
                       SystemRows rows)
    : self(id),
      transport(rpc::Transport::make(env,
                                     transport_options(id, facts, incarnation),
                                     [this](const wire::Hello& hello) { return judge(hello); })),
      store(env, truth, id),
      shards(env, truth, id),
      gossip(env, *transport, id, gossip_options(), this),
      members({.env = env,
               .transport = *transport,
               .directory = directory,
               .actor = shards,
               .self = id,
               .facts = facts,
               .liveness =
                   [this](NodeId node) {
                       const auto known = gossip.find(node);
                       const bool is_dead =
                           known.has_value() && known->state == wire::MemberState::kDead;
                       return is_dead ? Liveness::kDead : Liveness::kAlive;
                   }}),
      controller(env, store, members, gossip, id, controller_options()),
      administration({.env = env,
                      .store = store,
                      .members = members,
                      .gossip = gossip,
                      .self = id,
                      .factor_of = &factor_of}),
      truth_(truth) {
    KVSTORE_ASSERT(transport->listen(address_of(facts)).ok());
    members.set_store(&store);
    directory.add_listener([this](const ClusterView& view) { follow(view); });
    KVSTORE_ASSERT(directory.update(std::move(rows)).ok());
}

void MemberNode::start() {
    gossip.start();
    members.start();
    controller.start();
}

async::Task<void> MemberNode::stop() {
    co_await controller.stop();
    gossip.stop();
    co_await transport->stop();
    co_await members.stop();
}

void MemberNode::on_node_state(NodeId /*node*/, const NodeLiveness& /*liveness*/) {}

void MemberNode::on_map_version(MapVersion version, NodeId from) {
    members.on_map_version(version, from);
}

// Who has left is refused, as by the real node.
Status MemberNode::judge(const wire::Hello& hello) const {
    const NodeRecord* record = directory.view()->metadata.find_node(hello.node);
    if (record != nullptr && has_left(record->state)) {
        return departed_status(*record);
    }
    return {};
}

void MemberNode::follow(const ClusterView& view) {
    std::vector<NodeId> ids;
    for (const NodeRecord& record : view.metadata.nodes) {
        if (is_member(record.state)) {
            ids.push_back(record.id);
        }
    }
    gossip.set_members(ids);
    gossip.raise_map_version(view.rows.version);
    for (const ShardRecord& record : view.metadata.shards) {
        const bool is_listed = lists(record, self);
        if (is_listed && replicas.insert(record.id).second) {
            truth_.made(record.id, self);
        } else if (!is_listed &&
                   (replicas.erase(record.id) > 0 || truth_.is_damaged(record.id, self))) {
            truth_.dropped(record.id, self);
        }
    }
}

MemberWorld::MemberWorld(std::uint64_t seed)
    : world(seed), truth(world, seed), log_level_before_(log_level()) {
    // Thousands of lines about what tests do to the nodes.
    set_log_level(LogLevel::kOff);
    watch();
}

MemberWorld::~MemberWorld() {
    truth.on_step.reset();
    for (std::uint64_t number = 1; number <= size(); ++number) {
        if (is_up(number)) {
            world.block_on(host(number), node(number).stop());
        } else if (slots_[number - 1].node != nullptr) {
            sim::bury(std::move(slots_[number - 1].node));
        }
    }
    set_log_level(log_level_before_);
}

// Groups elect, and programs of hosts that crashed are gone.
void MemberWorld::watch() {
    for (Slot& slot : slots_) {
        if (slot.node != nullptr && !slot.host->is_up()) {
            sim::bury(std::move(slot.node));
        }
    }
    truth.elect();
    world.after(milliseconds(100), [this] { watch(); });
}

void MemberWorld::bootstrap(std::uint64_t shards) {
    const std::uint64_t number = add_host();
    slots_[number - 1].id = NodeId(1);
    truth.homes[NodeId(1)] = &host(number);
    truth.put(Bytes(kClusterKey), encode_cluster(cluster_record(2)));
    truth.put(node_key(NodeId(1)), encode_node(node_record(1)));
    truth.add_shard(shard_record(1, "system", {NodeId(1)}));
    for (std::uint64_t i = 0; i < shards; ++i) {
        truth.add_shard(shard_record(16 + i, "k" + std::to_string(i), {NodeId(1)}));
    }
    begin(number, truth.rows());
}

std::uint64_t MemberWorld::add_host() {
    const std::uint64_t number = size() + 1;
    Slot slot;
    slot.host = &world.add_host(facts_of(number).name);
    slot.store = facts_of(number).store;
    slots_.push_back(std::move(slot));
    return number;
}

NodeFacts MemberWorld::facts(std::uint64_t number) const {
    return facts_of(number, slots_[number - 1].store);
}

Result<Joined> MemberWorld::try_join(std::uint64_t number, std::vector<std::uint64_t> targets) {
    std::vector<env::Address> addresses;
    for (const std::uint64_t target : targets) {
        addresses.push_back(address_of(facts_of(target)));
    }
    return try_join(number, std::move(addresses), facts(number));
}

Result<Joined> MemberWorld::try_join(std::uint64_t number,
                                     std::vector<env::Address> targets,
                                     NodeFacts facts) {
    const auto transport =
        rpc::Transport::make(host(number).env(),
                             transport_options(NodeId(), facts, ++slots_[number - 1].incarnation),
                             {});
    const auto deadline = async::Deadline::after(world.now(), seconds(10));
    auto joined = world.block_on(
        host(number),
        join_cluster(transport.get(), std::move(targets), std::move(facts), deadline));
    world.block_on(host(number), transport->stop());
    return joined;
}

std::uint64_t MemberWorld::add_node() {
    const std::uint64_t number = add_host();
    std::vector<std::uint64_t> others(number - 1);
    for (std::uint64_t i = 0; i < others.size(); ++i) {
        others[i] = i + 1;
    }
    for (int attempt = 0; attempt < 100; ++attempt) {
        const auto joined = try_join(number, others);
        if (joined.ok()) {
            start(number, *joined);
            return number;
        }
        world.run_for(milliseconds(500));
    }
    KVSTORE_ASSERT(false);
    return 0;
}

void MemberWorld::start(std::uint64_t number, const Joined& joined) {
    slots_[number - 1].id = joined.id;
    truth.homes[joined.id] = &host(number);
    begin(number, joined.rows);
}

void MemberWorld::begin(std::uint64_t number, SystemRows rows) {
    Slot& slot = slots_[number - 1];
    slot.node = std::make_unique<MemberNode>(
        host(number).env(), truth, slot.id, facts(number), ++slot.incarnation, std::move(rows));
    slot.node->start();
}

void MemberWorld::crash(std::uint64_t number) {
    world.crash(host(number));
    sim::bury(std::move(slots_[number - 1].node));
}

void MemberWorld::restart(std::uint64_t number, SystemRows rows) {
    world.restart(host(number));
    begin(number, std::move(rows));
}

void MemberWorld::wipe(std::uint64_t number) {
    Slot& slot = slots_[number - 1];
    slot.store += 100;
    truth.homes[slot.id] = nullptr;
    slot.id = NodeId();
    world.restart(host(number));
}

void MemberWorld::set_state(NodeId node, NodeState state) {
    NodeRecord record = *truth.metadata().find_node(node);
    record.state = state;
    truth.put(node_key(node), encode_node(record));
}

std::uint64_t MemberWorld::controller_host() const {
    for (std::uint64_t number = 1; number <= size(); ++number) {
        if (is_up(number) && id(number) == truth.controller()) {
            return number;
        }
    }
    return 0;
}

bool MemberWorld::is_settled(std::size_t replicas, std::size_t system_replicas) const {
    const Metadata known = truth.metadata();
    for (const ShardRecord& record : known.shards) {
        const Group& group = truth.groups().at(record.id);
        const std::size_t wanted = record.id == kSystemShardId ? system_replicas : replicas;
        const bool agrees = record.voters == group.led.voters && record.learners.empty() &&
                            group.led.learners.empty() && record.voters.size() == wanted;
        const bool is_served = std::ranges::all_of(
            record.voters, [this](NodeId voter) { return truth.is_live(voter); });
        if (!agrees || !is_served) {
            return false;
        }
    }
    return std::ranges::all_of(slots_, [&](const Slot& slot) {
        const NodeRecord* record = known.find_node(slot.id);
        return slot.node == nullptr || record == nullptr || !is_member(record->state) ||
               slot.node->directory.view()->rows == truth.rows();
    });
}

bool MemberWorld::settles(std::size_t replicas, std::size_t system_replicas, Duration limit) {
    const MonotonicTime end = world.now() + limit;
    while (world.now() < end) {
        if (is_settled(replicas, system_replicas)) {
            return true;
        }
        world.run_for(milliseconds(100));
    }
    return false;
}

std::string MemberWorld::describe() const {
    std::string all;
    const Metadata known = truth.metadata();
    for (const NodeRecord& node : known.nodes) {
        all += "node " + std::to_string(node.id.value()) + " " + node.name + " " +
               std::string(node_state_name(node.state)) +
               (truth.is_live(node.id) ? " up\n" : " down\n");
    }
    for (const ShardRecord& record : known.shards) {
        const Group& group = truth.groups().at(record.id);
        all += "shard " + std::to_string(record.id.value()) + " epoch " +
               std::to_string(record.epoch.value()) + ": record" + text(record.voters) + " +" +
               text(record.learners) + ", group" + text(group.led.voters) + " +" +
               text(group.led.learners) + ", leader " + std::to_string(group.leader.value()) + "\n";
    }
    for (const std::string& violation : truth.violations) {
        all += violation + "\n";
    }
    return all;
}

}  // namespace kvstore::cluster::testing
