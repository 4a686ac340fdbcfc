#include "cluster/members.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "base/assert.h"
#include "base/log.h"
#include "cluster/internal/admission.h"
#include "cluster/internal/member_calls.h"
#include "wire/topics.h"

namespace kvstore::cluster {

async::Task<Result<Joined>> join_cluster(rpc::Transport* transport,
                                         std::vector<env::Address> addresses,
                                         NodeFacts facts,
                                         async::Deadline deadline) {
    const internal::MemberRequest request = internal::JoinRequest{.facts = std::move(facts)};
    const Bytes bytes = internal::encode_request(request);
    Effect effect = Effect::kNone;
    // What one alone calls wrong may be its own place in the list: the address of this very node.
    bool is_wrong = !addresses.empty();
    std::string said;
    for (const env::Address& address : addresses) {
        const std::string name = address.to_string();
        Result<rpc::Received> answer =
            co_await transport->call_address(address, wire::kClusterTopic, bytes, deadline);
        Status why = answer.status();
        if (answer.ok()) {
            auto joined = internal::decode_joined(answer->bytes);
            if (joined.ok()) {
                co_return joined;
            }
            why = joined.status();
        }
        if (why.code() == Code::kConflict) {
            co_return why.with_context(name);
        }
        is_wrong = is_wrong && why.code() == Code::kInvalidArgument;
        effect = why.effect() == Effect::kUnknown ? Effect::kUnknown : effect;
        said += (said.empty() ? "" : "; ") + name + ": " + std::string(why.message());
    }
    co_return Status(is_wrong ? Code::kInvalidArgument : Code::kUnavailable,
                     effect,
                     said.empty() ? "no member was named" : "no member took this node in: " + said);
}

void Members::Pace::succeeded(MonotonicTime now, Duration rest) {
    next = now + rest;
    pause = kInterval;
}

void Members::Pace::failed(MonotonicTime now) {
    next = now + pause;
    pause = std::min(2 * pause, kBackoffMax);
}

Members::Members(Parts parts)
    : parts_(std::move(parts)), gate_(parts_.env.scheduler), alarm_(parts_.env) {
    parts_.transport.add_service(wire::kClusterTopic, this);
}

Members::~Members() {
    KVSTORE_ASSERT(!is_running_);
}

void Members::start() {
    KVSTORE_ASSERT(!is_running_);
    is_running_ = true;
    sync_peers();
    gate_.spawn(run());
}

async::Task<void> Members::stop() {
    is_running_ = false;
    alarm_.ring();
    co_await gate_.close();
}

void Members::on_map_version(MapVersion version, NodeId from) {
    if (version <= std::max(told_version_, parts_.directory.version())) {
        return;
    }
    told_version_ = version;
    told_by_ = from;
    fetching_.succeeded(parts_.env.clock.now(), Duration());
    alarm_.ring();
}

async::Task<Status> Members::act(
    NodeId node, ActionKind kind, ShardId shard, NodeId about, async::Deadline deadline) {
    if (node == parts_.self) {
        Status done = co_await parts_.actor.act(kind, shard, about, deadline);
        co_return done;
    }
    using std::chrono::milliseconds;
    const Duration left = std::clamp<Duration>(
        deadline.at.time_since_epoch() - parts_.env.clock.now().time_since_epoch(),
        Duration(),
        internal::kPatienceMax);
    internal::ActRequest request;
    request.kind = kind;
    request.shard = shard;
    request.node = about;
    request.patience = std::chrono::duration_cast<milliseconds>(left);
    Bytes bytes = internal::encode_request(request);
    const Result<rpc::Received> answer =
        co_await parts_.transport.call(node, wire::kClusterTopic, std::move(bytes), deadline);
    co_return answer.status();
}

async::Task<Result<ShardReport>> Members::shard_report(NodeId node, async::Deadline deadline) {
    if (node == parts_.self) {
        co_return own_report();
    }
    Bytes bytes = internal::encode_request(internal::LedShardsRequest());
    KVSTORE_CO_TRY(
        const rpc::Received answer,
        co_await parts_.transport.call(node, wire::kClusterTopic, std::move(bytes), deadline));
    co_return internal::decode_shard_report(answer.bytes);
}

ShardReport Members::own_report() const {
    return {.led = parts_.actor.led_shards(),
            .damaged = parts_.actor.damaged_shards(),
            .disk = parts_.actor.disk()};
}

// ---- what this node keeps up ----

async::Task<void> Members::run() {
    while (is_running_) {
        refresh_locally();
        co_await fetch();
        judge_standing();
        sync_peers();
        co_await announce();
        if (is_running_) {
            co_await alarm_.wait(kInterval);
        }
    }
}

void Members::refresh_locally() {
    if (store_ == nullptr) {
        return;
    }
    if (auto rows = store_->read_local(parts_.directory.version()); rows.has_value()) {
        update_directory(*std::move(rows), parts_.self);
    }
}

void Members::update_directory(SystemRows rows, NodeId from) {
    const Status updated = parts_.directory.update(std::move(rows));
    if (!updated.ok()) {
        log_error("rows of the system shard cannot be read",
                  {{"from", from.value()}, {"error", updated.to_string()}});
    }
}

async::Task<void> Members::fetch() {
    const MonotonicTime now = parts_.env.clock.now();
    const bool is_behind = told_version_ > parts_.directory.version();
    const bool is_due = now >= fetching_.next;
    const bool is_doubtful = now >= fetching_.next + kDoubtAfter;
    if (!is_running_ || !is_due || (has_replica() && !is_behind && !is_doubtful)) {
        co_return;
    }
    const NodeId whom = next_to_ask();
    if (whom == NodeId()) {
        co_return;
    }
    const internal::MemberRequest request =
        internal::FetchRequest{.known = parts_.directory.version()};
    const Result<rpc::Received> answer =
        co_await ask_there(whom, internal::encode_request(request));
    const MonotonicTime answered = parts_.env.clock.now();
    if (!answer.ok()) {
        fetching_.failed(answered);
        co_return;
    }
    fetching_.succeeded(answered, Duration());
    auto rows = internal::decode_fetched(answer->bytes);
    if (!rows.ok()) {
        log_error("rows of the system shard came damaged",
                  {{"from", whom.value()}, {"error", rows.status().to_string()}});
    } else if (rows->has_value()) {
        update_directory(*std::move(*rows), whom);
    }
}

// All that this node knew may have left while it was away, and others have come in their places:
// so whoever answers at the address of one that does not is asked as well. A node of another
// cluster, or this one itself, is refused by the handshake.
async::Task<Result<rpc::Received>> Members::ask_there(NodeId node, Bytes request) {
    auto answer =
        co_await parts_.transport.call(node, wire::kClusterTopic, request, in(kAskPatience));
    if (answer.ok()) {
        co_return answer;
    }
    const std::vector<rpc::PeerStatus> peers = parts_.transport.peers();
    const auto known = std::ranges::find(peers, node, &rpc::PeerStatus::id);
    if (known == peers.end() || known->is_connected || !is_running_) {
        co_return answer;
    }
    co_return co_await parts_.transport.call_address(
        known->address, wire::kClusterTopic, std::move(request), in(kAskPatience));
}

bool Members::has_replica() const {
    const auto view = parts_.directory.view();
    const ShardRecord* system = view->map->find(kSystemShardId);
    return store_ != nullptr && system != nullptr &&
           std::ranges::find(system->voters, parts_.self) != system->voters.end();
}

NodeId Members::next_to_ask() {
    const auto view = parts_.directory.view();
    if (told_by_ != NodeId() && told_by_ != parts_.self) {
        return std::exchange(told_by_, NodeId());
    }
    // Every fourth time anybody will do: those who are said to know best may all be gone.
    std::vector<NodeId> candidates;
    const ShardRecord* system = view->map->find(kSystemShardId);
    if (system != nullptr && turn_ % 4 != 3) {
        candidates = system->voters;
    } else {
        for (const NodeRecord& node : view->metadata.nodes) {
            if (is_member(node.state)) {
                candidates.push_back(node.id);
            }
        }
    }
    if (view->metadata.nodes.empty()) {
        for (const rpc::PeerStatus& peer : parts_.transport.peers()) {
            candidates.push_back(peer.id);
        }
    }
    std::erase(candidates, parts_.self);
    const std::uint64_t turn = turn_++;
    return candidates.empty() ? NodeId()
                              : candidates[static_cast<std::size_t>(turn) % candidates.size()];
}

void Members::sync_peers() {
    const auto view = parts_.directory.view();
    if (view->rows.version == peers_version_) {
        return;
    }
    peers_version_ = view->rows.version;
    for (const NodeRecord& node : view->metadata.nodes) {
        if (node.id == parts_.self) {
            continue;
        }
        if (!is_member(node.state)) {
            parts_.transport.remove_peer(node.id);
            peers_.erase(node.id);
            continue;
        }
        std::string& known = peers_[node.id];
        const auto address = env::Address::parse(node.peer_address);
        if (address.ok() && known != node.peer_address) {
            known = node.peer_address;
            parts_.transport.set_peer(node.id, *address);
        }
    }
}

// ---- what this node tells of itself ----

// Who has left is refused by every member's transport, so that nobody tells it by a call. That is
// for good, so one who says so is enough; other refusals pass, or are about who refuses.
Status Members::refusal_by_peers() const {
    for (const rpc::PeerStatus& peer : parts_.transport.peers()) {
        if (peer.refusal.code() == Code::kPermissionDenied) {
            return {Code::kConflict, std::string(peer.refusal.message())};
        }
    }
    return {};
}

void Members::judge_standing() {
    if (const Status refused = refusal_by_peers(); !refused.ok()) {
        exclude(refused);
    }
    const auto view = parts_.directory.view();
    if (view->metadata.find_node(parts_.self) == nullptr) {
        return;  // older rows than this node; those who are asked know better
    }
    const auto judged = internal::judge_announcement(*view, parts_.self, parts_.facts);
    if (judged.status().code() == Code::kConflict) {
        exclude(judged.status());
    }
}

Status departed_status(const NodeRecord& record) {
    return {Code::kPermissionDenied,
            "node " + std::to_string(record.id.value()) + " ('" + record.name +
                "') is no member any more (" + std::string(node_state_name(record.state)) +
                "); start it with an empty data directory and --join"};
}

void Members::exclude(const Status& why) {
    if (standing_.ok()) {
        standing_ = why;
        log_error("this node does not belong to the cluster any more", {{"why", why.message()}});
        if (parts_.on_excluded) {
            parts_.on_excluded(why);
        }
    }
}

bool Members::is_announced() const {
    const auto view = parts_.directory.view();
    const NodeRecord* record = view->metadata.find_node(parts_.self);
    return record != nullptr && record->state != NodeState::kJoining &&
           internal::updated(*record, parts_.facts) == *record;
}

async::Task<void> Members::announce() {
    const MonotonicTime begun = parts_.env.clock.now();
    if (!is_running_ || !standing_.ok() || is_announced() || begun < announcing_.next) {
        co_return;
    }
    if (!parts_.directory.view()->metadata.cluster.has_value()) {
        co_return;  // not founded, as far as is known here: nobody has a record yet
    }
    // Others first: as long as they do not know where this node is now, a replica of the system
    // shard here hears nothing.
    Status told(Code::kUnavailable, "this node does not lead the system shard");
    const bool leads = store_ != nullptr && store_->is_leader();
    if (!leads) {
        told = co_await announce_to_others(in(kAskPatience));
    }
    const bool is_unheard =
        told.code() == Code::kUnavailable || told.code() == Code::kDeadlineExceeded;
    if (store_ != nullptr && is_unheard) {
        told = co_await internal::admit_announcement(
            store_, parts_.self, parts_.facts, in(kAskPatience));
    }
    const MonotonicTime now = parts_.env.clock.now();
    if (told.ok()) {
        // The record comes back with the next rows; then there is nothing left to announce.
        announcing_.succeeded(now, kAskPatience);
        co_return;
    }
    announcing_.failed(now);
    if (told.code() == Code::kNotFound || told.code() == Code::kConflict) {
        exclude(told);
    } else {
        log_warning("this node could not announce itself", {{"error", told.to_string()}});
    }
}

async::Task<Status> Members::announce_to_others(async::Deadline deadline) {
    const NodeId whom = next_to_ask();
    if (whom == NodeId()) {
        co_return Status(Code::kUnavailable, "no other member is known");
    }
    internal::AnnounceRequest request;
    request.id = parts_.self;
    request.facts = parts_.facts;
    Bytes bytes = internal::encode_request(request);
    const Result<rpc::Received> answer =
        co_await parts_.transport.call(whom, wire::kClusterTopic, std::move(bytes), deadline);
    co_return answer.status();
}

// ---- what others ask ----

void Members::on_messages(NodeId from, rpc::Received /*messages*/) {
    log_warning("a message where there are only calls", {{"from", from.value()}});
}

void Members::on_call(NodeId from, rpc::Received request, rpc::Responder responder) {
    if (gate_.is_closing()) {
        responder.fail(Status(Code::kUnavailable, "the node is stopping"));
        return;
    }
    gate_.spawn(serve(from, Bytes(request.bytes), std::move(responder)));
}

async::Task<Result<Bytes>> Members::on_stream(NodeId /*from*/,
                                              Bytes /*header*/,
                                              std::unique_ptr<rpc::IncomingStream> /*stream*/) {
    co_return Status(Code::kUnimplemented, "members have no streams");
}

async::Task<void> Members::serve(NodeId from, Bytes request, rpc::Responder responder) {
    const Result<Bytes> answered = co_await answer(from, std::move(request));
    if (answered.ok()) {
        responder.answer(*answered);
    } else {
        responder.fail(answered.status());
    }
}

async::Task<Result<Bytes>> Members::answer(NodeId from, Bytes request) {
    KVSTORE_CO_TRY(auto decoded, internal::decode_request(request));
    if (auto* join = std::get_if<internal::JoinRequest>(&decoded); join != nullptr) {
        if (store_ == nullptr) {
            co_return Status(Code::kUnavailable, "the cluster is being formed; try again");
        }
        NodeFacts facts = std::move(join->facts);
        const async::Deadline deadline = in(kServePatience);
        KVSTORE_CO_TRY(const Joined joined,
                       co_await internal::admit_newcomer(
                           store_, std::move(facts), &parts_.liveness, deadline));
        co_return internal::encode_joined(joined);
    }
    if (from == NodeId()) {
        co_return Status(Code::kPermissionDenied, "who has no number may only join");
    }
    if (const auto* fetched = std::get_if<internal::FetchRequest>(&decoded); fetched != nullptr) {
        refresh_locally();
        const auto view = parts_.directory.view();
        const bool is_newer = view->rows.version > fetched->known;
        co_return internal::encode_fetched(is_newer ? &view->rows : nullptr);
    }
    if (auto* told = std::get_if<internal::AnnounceRequest>(&decoded); told != nullptr) {
        if (told->id != from) {
            co_return Status(Code::kPermissionDenied, "a node announces nobody but itself");
        }
        if (store_ == nullptr) {
            co_return Status(Code::kUnavailable, "no system shard here; ask another member");
        }
        NodeFacts facts = std::move(told->facts);
        const async::Deadline deadline = in(kServePatience);
        const Status admitted =
            co_await internal::admit_announcement(store_, from, std::move(facts), deadline);
        KVSTORE_CO_CHECK_OK(admitted);
        co_return Bytes();
    }
    KVSTORE_CO_CHECK_OK(check_member(from));
    if (const auto* step = std::get_if<internal::ActRequest>(&decoded); step != nullptr) {
        const async::Deadline deadline = in(step->patience);
        const Status done =
            co_await parts_.actor.act(step->kind, step->shard, step->node, deadline);
        KVSTORE_CO_CHECK_OK(done);
        co_return Bytes();
    }
    co_return internal::encode_shard_report(own_report());
}

// The handshake has shown who `from` is; who has left since may still have its connection.
Status Members::check_member(NodeId from) const {
    const auto view = parts_.directory.view();
    const NodeRecord* record = view->metadata.find_node(from);
    if (record != nullptr && has_left(record->state)) {
        return {Code::kPermissionDenied, "only members of the cluster may ask this"};
    }
    return {};
}

async::Deadline Members::in(Duration span) const {
    return async::Deadline::after(parts_.env.clock.now(), span);
}

}  // namespace kvstore::cluster
