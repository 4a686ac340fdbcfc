#include "server/cluster_node.h"

#include <algorithm>
#include <utility>

#include "base/coding.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "cluster/placement.h"
#include "kv/keyspace_record.h"
#include "server/advertised.h"
#include "server/peer_list.h"

namespace kvstore::server {
namespace {

using cluster::Founder;
using cluster::NodeRecord;
using cluster::NodeState;

// The nodes that were known last, for a start that has no replica of the system shard.
constexpr std::string_view kMembersFile = "members";
constexpr std::uint64_t kMembersFormat = 1;
constexpr std::size_t kMembersBytesMax = 4U << 20U;

constexpr Duration kJoinPatience = std::chrono::seconds(2);
constexpr Duration kPause = std::chrono::milliseconds(200);
// Between two tries to save the list of members.
constexpr Duration kSavePause = std::chrono::seconds(1);
// How long a node that stops waits for others to take its leaderships over.
constexpr Duration kHandOverPatience = std::chrono::seconds(2);
// How long another node may hold this one's name before the start gives up: a node whose disk was
// lost has to be found dead first.
constexpr Duration kNamePatience = std::chrono::seconds(120);

// The rows of the system shard that say who belongs and where the system shard is.
Bytes encode_members(const cluster::ClusterView& view) {
    Bytes bytes;
    put_varint(bytes, kMembersFormat);
    const Bytes system = cluster::shard_key(kv::kSystemShard);
    for (const auto& [key, value] : view.rows.rows) {
        if (key.starts_with(cluster::kNodeKeyPrefix) || key == system) {
            put_length_prefixed(bytes, key);
            put_length_prefixed(bytes, value);
        }
    }
    return bytes;
}

Result<cluster::SystemRows> decode_members(ByteView bytes) {
    Decoder decoder(bytes);
    const std::uint64_t format = decoder.varint();
    // Older than anything that the cluster says.
    cluster::SystemRows rows{.version = cluster::MapVersion(1), .rows = {}};
    while (decoder.ok() && !decoder.at_end()) {
        Bytes key(decoder.length_prefixed());
        Bytes value(decoder.length_prefixed());
        rows.rows.emplace_back(std::move(key), std::move(value));
    }
    if (!decoder.ok() || format != kMembersFormat) {
        return Status(Code::kCorruption, "the file 'members' in the data directory is damaged");
    }
    return rows;
}

// Who said goodbye is as gone as who died; only replace_after makes it final.
cluster::Liveness liveness_of(const cluster::NodeLiveness& known) {
    switch (known.state) {
        case wire::MemberState::kAlive: return cluster::Liveness::kAlive;
        case wire::MemberState::kSuspect: return cluster::Liveness::kSuspected;
        case wire::MemberState::kDead:
        case wire::MemberState::kLeft: break;
    }
    return cluster::Liveness::kDead;
}

}  // namespace

ClusterNode::ClusterNode(env::Env& env, const Config& config, DataDirectory& data)
    : env_(env), config_(config), data_(data), gate_(env.scheduler) {}

ClusterNode::~ClusterNode() = default;

async::Task<Result<std::unique_ptr<ClusterNode>>> ClusterNode::open(env::Env* env,
                                                                    const Config* config,
                                                                    DataDirectory* data,
                                                                    metrics::Registry* registry) {
    auto node = std::make_unique<ClusterNode>(*env, *config, *data);
    if (data->number == NodeId()) {
        KVSTORE_CO_CHECK_OK(co_await node->settle_identity());
    }
    if (!data->founding.empty()) {
        KVSTORE_CO_TRY(node->founders_, cluster::decode_founding(data->founding));
    }
    KVSTORE_CO_CHECK_OK(co_await node->load_members());
    const Status listening = node->listen(registry);
    if (!listening.ok()) {
        co_await node->stop_transport();
        co_return listening;
    }
    co_return std::move(node);
}

// ---- who this node is ----

env::Address ClusterNode::advertised() const {
    return advertised_peer(config_, listening_);
}

cluster::NodeFacts ClusterNode::facts() const {
    cluster::NodeFacts facts;
    facts.name = config_.id;
    facts.store = data_.store;
    facts.peer_address = advertised().to_string();
    facts.zone = config_.zone;
    return facts;
}

std::unique_ptr<rpc::Transport> ClusterNode::make_transport(metrics::Registry* registry) {
    rpc::Options options;
    options.self.cluster = cluster_id_of(data_.cluster_id);
    options.self.node = data_.number;
    options.self.store = data_.store;
    options.self.incarnation = to_unix_ms(env_.clock.wall_now());
    options.self.name = config_.id;
    options.self.address = advertised().to_string();
    options.stream_bytes_per_second = config_.state_rate;
    options.registry = registry;
    return rpc::Transport::make(
        env_, std::move(options), [this](const wire::Hello& hello) { return judge(hello); });
}

async::Task<Status> ClusterNode::settle_identity() {
    if (!config_.initial_cluster.empty()) {
        co_return co_await found_with_others();
    }
    KVSTORE_CO_TRY(std::vector<env::Address> addresses,
                   config_.join.empty() ? parse_peers(config_.peers) : parse_join(config_.join));
    co_return co_await join(std::move(addresses));
}

async::Task<Status> ClusterNode::found_with_others() {
    KVSTORE_CO_TRY(std::vector<NamedPeer> peers, parse_initial_cluster(config_.initial_cluster));
    std::vector<Founder> founders;
    std::vector<env::Address> others;
    for (NamedPeer& peer : peers) {
        if (peer.name != config_.id) {
            others.push_back(peer.address);
        }
        founders.push_back({.name = std::move(peer.name), .address = std::move(peer.address)});
    }
    cluster::number_founders(founders);
    const auto self = std::ranges::find(founders, config_.id, &Founder::name);
    if (self == founders.end()) {
        co_return Status(Code::kInvalidArgument,
                         "initial_cluster does not name this node, '" + config_.id +
                             "'; give --id one of its names");
    }
    self->store = data_.store;
    data_.number = self->number;
    data_.cluster_id = cluster_id_text(cluster::cluster_id_for(founders));

    transport_ = make_transport(nullptr);
    meeting_ = std::make_unique<cluster::MeetingService>(*self);
    transport_->add_service(cluster::kMeetingTopic, meeting_.get());
    const auto listened = transport_->listen(config_.peer_addr);
    if (!listened.ok()) {
        co_await stop_transport();
        co_return listened.status();
    }
    const NodeId number = self->number;
    const std::vector<Founder> invited = founders;
    auto met = co_await cluster::meet(&env_, transport_.get(), std::move(founders), number);
    if (planted_bug(PlantedBug::kNodeFoundsAgain) && met.status().code() == Code::kConflict) {
        met = invited;
    }
    co_await stop_transport();
    transport_.reset();
    if (met.status().code() == Code::kConflict) {
        log_warning("this node's name is known with another data directory; it joins as a new node",
                    {{"reason", met.status().message()}});
        data_.number = NodeId();
        data_.cluster_id = cluster_id_text(0);
        co_return co_await join(std::move(others));
    }
    if (!met.ok()) {
        co_return met.status();
    }
    data_.founding = cluster::encode_founding(*met);
    co_return co_await save_identity(&env_.disk, &data_);
}

async::Task<Status> ClusterNode::join(std::vector<env::Address> addresses) {
    transport_ = make_transport(nullptr);
    const MonotonicTime began = env_.clock.now();
    Result<cluster::Joined> joined(Status(Code::kUnavailable, ""));
    for (int round = 0;; ++round) {
        const async::Deadline deadline{.at = env_.clock.now() + kJoinPatience};
        joined = co_await cluster::join_cluster(transport_.get(), addresses, facts(), deadline);
        const bool is_taken = joined.status().code() == Code::kConflict;
        if (joined.ok() || (is_taken && env_.clock.now() - began > kNamePatience) ||
            (!is_taken && joined.status().code() != Code::kUnavailable &&
             joined.status().code() != Code::kDeadlineExceeded)) {
            break;
        }
        if (round % 10 == 0) {
            log_info("waiting to join the cluster", {{"reason", joined.status().message()}});
        }
        // One that never answers must not be all that is asked.
        if (!addresses.empty()) {
            std::rotate(addresses.begin(), addresses.begin() + 1, addresses.end());
        }
        co_await env_.clock.sleep(kPause);
    }
    co_await stop_transport();
    transport_.reset();
    if (!joined.ok()) {
        co_return joined.status();
    }
    data_.number = joined->id;
    data_.cluster_id = cluster_id_text(joined->cluster_id);
    KVSTORE_CO_CHECK_OK(directory_.update(std::move(joined->rows)));
    // Before the number: a member that knows nobody would never find the others again.
    const Bytes members = encode_members(*directory_.view());
    KVSTORE_CO_CHECK_OK(
        co_await env::write_file_atomically(&env_.disk, std::string(kMembersFile), members));
    co_return co_await save_identity(&env_.disk, &data_);
}

Status ClusterNode::judge(const wire::Hello& hello) const {
    if (hello.node == NodeId()) {
        return {};  // is about to join
    }
    const NodeRecord* const record = directory_.view()->metadata.find_node(hello.node);
    std::uint64_t store = record != nullptr ? record->store : 0;
    for (const Founder& founder : founders_) {
        if (founder.number == hello.node) {
            store = founder.store;
        }
    }
    const std::string node = "node " + std::to_string(hello.node.value());
    // Who has joined may be known here as expected still.
    if (record != nullptr && cluster::has_left(record->state)) {
        return cluster::departed_status(*record);
    }
    if (store != 0 && store != hello.store && !planted_bug(PlantedBug::kNodeFoundsAgain)) {
        return {Code::kConflict,
                node +
                    " is known with another data directory; if that was lost, start it with an "
                    "empty one and --join"};
    }
    return {};
}

// ---- what it knew ----

async::Task<Status> ClusterNode::load_members() {
    const std::string file(kMembersFile);
    KVSTORE_CO_TRY(const bool exists, co_await env_.disk.exists(file));
    if (!exists || directory_.version() > cluster::MapVersion()) {
        co_return Status();
    }
    auto content = co_await env::read_file(&env_.disk, file, kMembersBytesMax);
    KVSTORE_CO_TRY(const Bytes bytes, std::move(content));
    auto rows = decode_members(bytes);
    if (!rows.ok() && is_told_of_others()) {
        // It only helps to find the others; what counts is in the system shard.
        log_error("the list of members is damaged, and is made anew",
                  {{"reason", rows.status().to_string()}});
        co_return Status();
    }
    KVSTORE_CO_CHECK_OK(rows.status());
    co_return directory_.update(*std::move(rows));
}

// By its configuration.
bool ClusterNode::is_told_of_others() const {
    return !config_.join.empty() || !config_.peers.empty() || !config_.initial_cluster.empty();
}

bool ClusterNode::has_others() const {
    const auto view = directory_.view();
    if (view->metadata.nodes.empty()) {
        return founders_.size() > 1 || (founders_.empty() && is_told_of_others());
    }
    return std::ranges::any_of(view->metadata.nodes, [this](const NodeRecord& node) {
        return node.id != self() && cluster::is_member(node.state);
    });
}

async::Task<void> ClusterNode::save_members() {
    is_saving_ = true;
    while (!is_stopping_) {
        Bytes members = encode_members(*directory_.view());
        if (members == saved_members_) {
            break;
        }
        const Status saved =
            co_await env::write_file_atomically(&env_.disk, std::string(kMembersFile), members);
        if (saved.ok()) {
            saved_members_ = std::move(members);
            continue;
        }
        log_warning("the list of members could not be saved; it is tried again",
                    {{"reason", saved.to_string()}});
        co_await env_.clock.sleep(kSavePause);
    }
    is_saving_ = false;
}

bool ClusterNode::has_noted_members() const {
    return encode_members(*directory_.view()) == saved_members_;
}

// ---- taking part ----

Status ClusterNode::listen(metrics::Registry* registry) {
    transport_ = make_transport(registry);
    Founder self;
    self.number = data_.number;
    self.name = config_.id;
    self.store = data_.store;
    meeting_ = std::make_unique<cluster::MeetingService>(std::move(self));
    transport_->add_service(cluster::kMeetingTopic, meeting_.get());
    KVSTORE_TRY(listening_, transport_->listen(config_.peer_addr));
    return {};
}

std::vector<NodeId> ClusterNode::locate(ShardId shard) const {
    const cluster::ShardRecord* const record = directory_.view()->map->find(shard);
    if (record != nullptr) {
        return record->voters;
    }
    return shard == kv::kSystemShard ? system_voters() : std::vector<NodeId>();
}

std::vector<NodeId> ClusterNode::system_voters() const {
    std::vector<NodeId> voters;
    const std::size_t count =
        cluster::effective_factor(cluster::kSystemReplicationFactor, founders_.size());
    for (std::size_t i = 0; i < std::min(count, founders_.size()); ++i) {
        voters.push_back(founders_[i].number);
    }
    return voters;
}

async::Task<Status> ClusterNode::begin(replication::Host* host) {
    const std::vector<NodeId> voters = system_voters();
    const bool is_voter = std::ranges::find(voters, data_.number) != voters.end();
    if (data_.founding.empty() || data_.has_begun || !is_voter) {
        co_return Status();
    }
    const std::vector<replication::DamagedReplica> damaged = host->damaged();
    const bool is_damaged = std::ranges::any_of(
        damaged, [](const auto& replica) { return replica.shard == kv::kSystemShard; });
    if (host->find_group(kv::kSystemShard) == nullptr && !is_damaged) {
        replication::ShardDescription description;
        description.id = kv::kSystemShard;
        description.engine = replication::EngineKind::kMemory;
        description.keyspace = "system";
        description.founders = voters;
        const auto created = co_await host->create_shard(std::move(description));
        if (!created.ok()) {
            co_return created.status();
        }
    }
    data_.has_begun = true;
    co_return co_await save_identity(&env_.disk, &data_);
}

void ClusterNode::start(replication::Host& host, kv::Kv& kv, cluster::NodeFacts addresses) {
    host_ = &host;
    kv_ = &kv;
    cluster::NodeFacts mine = facts();
    mine.http_address = std::move(addresses.http_address);
    mine.grpc_address = std::move(addresses.grpc_address);
    mine.resp_address = std::move(addresses.resp_address);
    cluster::GossipListener* const listener = this;
    gossip_ = std::make_unique<cluster::Gossip>(
        env_, *transport_, self(), cluster::GossipOptions(), listener);
    actor_ = std::make_unique<replication::HostShardActor>(host);
    members_ = std::make_unique<cluster::Members>(cluster::Members::Parts{
        .env = env_,
        .transport = *transport_,
        .directory = directory_,
        .actor = *actor_,
        .self = self(),
        .facts = std::move(mine),
        .liveness = [this](NodeId node) { return liveness(node); },
        .on_excluded =
            [this](const Status& why) {
                kv_->exclude({Code::kUnavailable, std::string(why.message())});
            }});
    members_->set_store(&kv.metadata());
    cluster::ControllerOptions options;
    options.factor_of = &kv::replication_factor_of;
    controller_ = std::make_unique<cluster::Controller>(
        env_, kv.metadata(), *members_, *gossip_, self(), std::move(options));
    administration_ = std::make_unique<cluster::ClusterAdministration>(
        cluster::ClusterAdministration::Parts{.env = env_,
                                              .store = kv.metadata(),
                                              .members = *members_,
                                              .gossip = *gossip_,
                                              .self = self(),
                                              .factor_of = &kv::replication_factor_of});
    // Founders reach each other before there are records.
    for (const Founder& founder : founders_) {
        if (founder.number != self() && founder.address.port != 0) {
            transport_->set_peer(founder.number, founder.address);
        }
    }
    directory_.add_listener([this](const cluster::ClusterView& view) { follow(view); });
    follow(*directory_.view());
    gossip_->start();
    members_->start();
    controller_->start();
    meeting_->set_taking_part();
    gate_.spawn(found_loop());
}

void ClusterNode::follow(const cluster::ClusterView& view) {
    if (is_stopping_ || gossip_ == nullptr) {
        return;
    }
    std::vector<NodeId> members;
    for (const NodeRecord& node : view.metadata.nodes) {
        if (cluster::is_member(node.state)) {
            members.push_back(node.id);
        }
    }
    gossip_->set_members(members);
    gossip_->raise_map_version(view.rows.version);
    if (!is_saving_ && !members.empty()) {
        gate_.spawn(save_members());
    }
}

// Whoever leads the system shard writes the first records.
async::Task<void> ClusterNode::found_loop() {
    while (!is_stopping_ && !data_.founding.empty()) {
        const bool is_founded =
            directory_.view()->metadata.cluster.has_value() && kv_->default_keyspace() != nullptr;
        if (is_founded) {
            co_await end_founding();
            break;
        }
        if (kv_->metadata().is_leader()) {
            std::vector<NodeRecord> nodes;
            for (const Founder& founder : founders_) {
                NodeRecord node;
                node.id = founder.number;
                node.name = founder.number == self() ? config_.id : founder.name;
                node.store = founder.store;
                node.peer_address = founder.number == self() ? advertised().to_string()
                                                             : founder.address.to_string();
                node.state = NodeState::kActive;
                nodes.push_back(std::move(node));
            }
            std::vector<NodeId> voters = system_voters();
            const Status founded = co_await kv_->found_cluster(std::move(nodes), std::move(voters));
            if (!founded.ok()) {
                log_warning("the cluster could not be founded yet",
                            {{"reason", founded.to_string()}});
            }
        }
        co_await env_.clock.sleep(kPause / 4);
    }
}

async::Task<void> ClusterNode::end_founding() {
    data_.founding.clear();
    const Status saved = co_await save_identity(&env_.disk, &data_);
    if (!saved.ok()) {
        log_warning("the data directory's file could not be written",
                    {{"reason", saved.to_string()}});
    }
    // From here on the records say who is who.
    founders_.clear();
}

async::Task<void> ClusterNode::wait_founded() {
    for (int round = 1; !is_stopping_ && kv_->default_keyspace() == nullptr; ++round) {
        co_await env_.clock.sleep(kPause / 4);
        if (round % 100 == 0) {
            log_info("waiting until the cluster can be seen", {{"node", self().value()}});
        }
    }
}

bool ClusterNode::is_usable(NodeId node) const {
    return node == self() || liveness(node) == cluster::Liveness::kAlive;
}

cluster::Liveness ClusterNode::liveness(NodeId node) const {
    const auto known =
        gossip_ != nullptr ? gossip_->find(node) : std::optional<cluster::NodeLiveness>();
    if (node == self() || !known.has_value()) {
        return cluster::Liveness::kAlive;
    }
    return liveness_of(*known);
}

void ClusterNode::on_node_state(NodeId node, const cluster::NodeLiveness& liveness) {
    if (liveness_of(liveness) == cluster::Liveness::kDead && host_ != nullptr) {
        log_info("a node is taken for dead", {{"node", node.value()}});
    }
}

void ClusterNode::on_map_version(cluster::MapVersion version, NodeId from) {
    if (members_ != nullptr && !is_stopping_) {
        members_->on_map_version(version, from);
    }
}

Status ClusterNode::standing() const {
    return members_ != nullptr ? members_->standing() : Status();
}

// The shards that this node leads and somebody else could.
std::vector<cluster::LedShard> ClusterNode::led_with_others() const {
    std::vector<cluster::LedShard> led = actor_->led_shards();
    std::erase_if(led, [this](const cluster::LedShard& shard) {
        return std::ranges::none_of(
            shard.voters, [this](NodeId voter) { return voter != self() && is_usable(voter); });
    });
    return led;
}

async::Task<void> ClusterNode::give_leaders_away() {
    if (actor_ == nullptr) {
        co_return;
    }
    administration_->stop_waiting();
    const async::Deadline deadline{.at = env_.clock.now() + kHandOverPatience};
    for (const cluster::LedShard& shard : led_with_others()) {
        const auto heir = std::ranges::find_if(
            shard.voters, [this](NodeId voter) { return voter != self() && is_usable(voter); });
        const Status begun =
            co_await actor_->act(cluster::ActionKind::kTransferLeader, shard.id, *heir, deadline);
        if (!begun.ok()) {
            log_warning("a shard's leadership could not be handed over",
                        {{"shard", shard.id.value()}, {"reason", begun.to_string()}});
        }
    }
    while (!led_with_others().empty() && !deadline.has_passed(env_.clock.now())) {
        co_await env_.clock.sleep(kPause / 20);
    }
}

async::Task<void> ClusterNode::stop_cluster() {
    is_stopping_ = true;
    if (gossip_ != nullptr) {
        gossip_->leave();
    }
    if (controller_ != nullptr) {
        co_await controller_->stop();
    }
    if (members_ != nullptr) {
        co_await members_->stop();
    }
    co_await gate_.close();
}

async::Task<void> ClusterNode::stop_transport() {
    if (transport_ != nullptr) {
        co_await transport_->stop();
    }
    if (gossip_ != nullptr) {
        gossip_->stop();
    }
}

}  // namespace kvstore::server
