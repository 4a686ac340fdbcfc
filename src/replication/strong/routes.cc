#include "replication/strong/routes.h"

#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "replication/strong/digest_checks.h"
#include "replication/strong/outcome_codec.h"
#include "wire/topics.h"

namespace kvstore::replication {
namespace {

// A peer's command: its outcome goes back as the answer to the call. Owns itself until it is told.
class RemoteProposal final : public Proposal {
public:
    explicit RemoteProposal(rpc::Responder responder) : responder_(std::move(responder)) {}
    virtual ~RemoteProposal() = default;

    void on_operation(std::size_t at, const mvcc::OperationResult& result) override {
        writer_.on_operation(at, result);
    }
    void on_command(const mvcc::CommandResult& result) override {
        writer_.on_command(result);
        if (writer_.is_whole()) {
            responder_.answer(writer_.bytes());
        } else {
            responder_.fail(
                {Code::kTooLarge, Effect::kUnknown, "the outcome is too large to be sent"});
        }
        delete this;
    }
    void on_failed(const Status& why) override {
        responder_.fail(why);
        delete this;
    }

private:
    rpc::Responder responder_;
    OutcomeWriter writer_;
};

Status no_replica() {
    return {Code::kNotLeader, "this node has no replica of the shard"};
}

void serve_who_leads(const RaftGroup* group, rpc::Responder responder) {
    if (group == nullptr || !group->health().ok()) {
        responder.fail(no_replica());
        return;
    }
    Bytes answer;
    encode_leader_answer({.leader = group->leader(), .term = group->term()}, answer);
    responder.answer(answer);
}

void serve_comparison(RaftGroup* group,
                      NodeId from,
                      const ForwardRequest& request,
                      rpc::Responder responder) {
    if (group == nullptr || !group->health().ok()) {
        responder.fail(no_replica());
        return;
    }
    if (request.kind == ForwardKind::kDigests) {
        responder.answer(serve_digests(*group));
        return;
    }
    const Status served = serve_divergence(*group, from, request.body);
    if (served.ok()) {
        responder.answer(ByteView());
    } else {
        responder.fail(served);
    }
}

}  // namespace

void serve_proposal(RaftGroup* group, const ForwardRequest& request, rpc::Responder responder) {
    if (group == nullptr) {
        responder.fail(no_replica());
        return;
    }
    if (!group->is_leader() || group->term() != request.term) {
        responder.fail({Code::kNotLeader, "this node does not lead the shard in that term"});
        return;
    }
    if (!group->takes_proposals()) {
        responder.fail({Code::kUnavailable, "leadership is being transferred"});
        return;
    }
    mvcc::Command command;
    const Status decoded = mvcc::decode_command(request.body, command);
    if (!decoded.ok()) {
        responder.fail(decoded);
        return;
    }
    if (planted_bug(PlantedBug::kRouteDropsConditions)) {
        for (mvcc::Operation& operation : command.operations) {
            operation.condition = {};
        }
    }
    RemoteProposal* const proposal =
        std::make_unique<RemoteProposal>(std::move(responder)).release();
    const Status taken = group->propose(command, proposal);
    if (!taken.ok()) {
        proposal->on_failed(taken);
    }
    if (planted_bug(PlantedBug::kRouteAppliesTwice)) {
        static_cast<void>(group->propose(command, /*proposal=*/nullptr));
    }
}

Routes::Routes(RouteShared shared) : shared_(std::move(shared)) {
    if (shared_.transport != nullptr) {
        shared_.transport->add_service(wire::kForwardTopic, this);
    }
}

RoutedGroup& Routes::route(ShardId shard) {
    forgotten_.erase(shard);
    std::unique_ptr<RoutedGroup>& route = routes_[shard];
    if (route == nullptr) {
        route = std::make_unique<RoutedGroup>(shared_, shard);
        if (const auto damage = damage_.find(shard); damage != damage_.end()) {
            route->set_damage(damage->second);
        }
        if (is_refusing_) {
            route->refuse();
        }
    }
    return *route;
}

RoutedGroup* Routes::find_with_replica(ShardId shard) {
    const auto found = routes_.find(shard);
    const bool has_replica = found != routes_.end() && found->second->has_replica();
    return has_replica ? found->second.get() : nullptr;
}

void Routes::forget(ShardId shard) {
    const auto found = routes_.find(shard);
    if (found == routes_.end()) {
        return;
    }
    if (found->second->has_replica()) {
        forgotten_.insert(shard);
    } else {
        retire(found);
    }
}

void Routes::retire(Map::iterator at) {
    RoutedGroup& retired = *retired_.emplace_back(std::move(at->second));
    routes_.erase(at);
    retired.refuse();
}

void Routes::attach(ShardId shard, RaftGroup* replica) {
    route(shard).set_replica(replica);
}

void Routes::detach(ShardId shard) {
    const auto found = routes_.find(shard);
    if (found == routes_.end()) {
        return;
    }
    found->second->set_replica(nullptr);
    if (forgotten_.erase(shard) > 0) {
        retire(found);
    }
}

void Routes::set_damage(ShardId shard, Status why) {
    const auto found = routes_.find(shard);
    if (found != routes_.end()) {
        found->second->set_damage(why);
    }
    if (why.ok()) {
        damage_.erase(shard);
    } else {
        damage_.insert_or_assign(shard, std::move(why));
    }
}

// Who is told of a failure may ask for other routes, and forget some.
void Routes::tick() {
    for (auto at = routes_.begin(); at != routes_.end();) {
        const ShardId shard = at->first;
        at->second->tick();
        at = routes_.upper_bound(shard);
    }
    for (std::size_t i = 0; i < retired_.size(); ++i) {
        retired_[i]->tick();
    }
    if (!is_refusing_) {
        std::erase_if(retired_, [](const auto& route) { return route->is_idle(); });
    }
}

void Routes::refuse() {
    is_refusing_ = true;
    for (auto at = routes_.begin(); at != routes_.end();) {
        const ShardId shard = at->first;
        at->second->refuse();
        at = routes_.upper_bound(shard);
    }
}

async::Task<void> Routes::finish(async::Deadline deadline) {
    KVSTORE_ASSERT(is_refusing_);
    std::vector<RoutedGroup*> all;
    for (const auto& [shard, route] : routes_) {
        all.push_back(route.get());
    }
    for (const auto& route : retired_) {
        all.push_back(route.get());
    }
    for (RoutedGroup* const route : all) {
        co_await route->finish(deadline);
    }
}

// ---- other nodes ----

void Routes::on_messages(NodeId /*from*/, rpc::Received /*messages*/) {}

void Routes::on_call(NodeId from, rpc::Received received, rpc::Responder responder) {
    const Result<ForwardRequest> request = decode_forward_request(received.bytes);
    if (!request.ok()) {
        log_warning("a request about a shard could not be read",
                    {{"from", from.value()}, {"reason", request.status().to_string()}});
        responder.fail(request.status());
        return;
    }
    RoutedGroup* const route = find_with_replica(request->shard);
    RaftGroup* const group = route != nullptr ? route->replica() : nullptr;
    switch (request->kind) {
        case ForwardKind::kPropose: serve_proposal(group, *request, std::move(responder)); break;
        case ForwardKind::kWhoLeads: serve_who_leads(group, std::move(responder)); break;
        case ForwardKind::kAsk:
            if (group == nullptr || (request->whom == AskWhom::kLeader && !group->is_leader())) {
                responder.fail({Code::kNotLeader, "this node is not the one to ask"});
            } else {
                on_ask(*request, std::move(received), std::move(responder));
            }
            break;
        case ForwardKind::kDigests:
        case ForwardKind::kDiverged:
            serve_comparison(group, from, *request, std::move(responder));
            break;
    }
}

void Routes::on_ask(const ForwardRequest& request,
                    rpc::Received received,
                    rpc::Responder responder) {
    if (ask_server_ == nullptr || is_refusing_) {
        responder.fail({Code::kUnavailable, "this node answers no questions now"});
        return;
    }
    received.bytes = request.body;
    ask_server_->on_ask(request.shard, std::move(received), std::move(responder));
}

async::Task<Result<Bytes>> Routes::on_stream(NodeId /*from*/,
                                             Bytes /*header*/,
                                             std::unique_ptr<rpc::IncomingStream> /*stream*/) {
    co_return Status(Code::kUnimplemented, "shards are not streamed on this topic");
}

}  // namespace kvstore::replication
