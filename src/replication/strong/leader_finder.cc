#include "replication/strong/leader_finder.h"

#include <algorithm>
#include <utility>

#include "wire/topics.h"

namespace kvstore::replication {

std::vector<NodeId> RouteShared::others(ShardId shard) {
    std::vector<NodeId> nodes;
    if (transport != nullptr && locate) {
        nodes = locate(shard);
        std::erase(nodes, self);
    }
    return nodes;
}

// Owns itself until it is told, which may be after the finder is gone.
class LeaderFinder::Question final : public rpc::CallSink {
public:
    explicit Question(std::weak_ptr<LeaderFinder*> finder) : finder_(std::move(finder)) {}
    virtual ~Question() = default;

    void on_answer(rpc::Received answer) override {
        const std::unique_ptr<Question> self(this);
        const Result<LeaderAnswer> told = decode_leader_answer(answer.bytes);
        if (const auto finder = finder_.lock(); finder != nullptr && told.ok()) {
            (*finder)->on_told(*told);
        }
    }
    void on_failed(const Status& /*why*/) override { delete this; }

private:
    std::weak_ptr<LeaderFinder*> finder_;
};

LeaderFinder::LeaderFinder(RouteShared& shared, ShardId shard, Callback<void()> on_news)
    : shared_(shared),
      shard_(shard),
      on_news_(std::move(on_news)),
      alive_(std::make_shared<LeaderFinder*>(this)) {}

LeaderFinder::~LeaderFinder() = default;

std::optional<KnownLeader> LeaderFinder::find() const {
    Term newest;
    if (replica_ != nullptr && replica_->health().ok()) {
        newest = replica_->term();
        if (replica_->is_leader()) {
            return replica_->takes_proposals()
                       ? std::optional(KnownLeader{.node = shared_.self, .term = newest})
                       : std::nullopt;
        }
        const NodeId leader = replica_->leader();
        if (leader != NodeId() && leader != shared_.self && newest > refused_term_) {
            return KnownLeader{.node = leader, .term = newest};
        }
    }
    if (told_.leader == NodeId() || (told_.term < newest && is_member())) {
        return std::nullopt;
    }
    return KnownLeader{.node = told_.leader, .term = told_.term};
}

// Of one that was removed the group may never hear the term that it had come to.
bool LeaderFinder::is_member() const {
    const std::vector<NodeId> nodes =
        shared_.locate ? shared_.locate(shard_) : std::vector<NodeId>();
    return nodes.empty() || std::ranges::find(nodes, shared_.self) != nodes.end();
}

void LeaderFinder::note_refused(const KnownLeader& leader) {
    refused_term_ = std::max(refused_term_, leader.term);
    if (told_.term <= refused_term_) {
        told_.leader = NodeId();
    }
}

void LeaderFinder::note_lost(const KnownLeader& leader) {
    if (told_.leader == leader.node && told_.term == leader.term) {
        told_.leader = NodeId();
    }
}

void LeaderFinder::look_up() {
    const MonotonicTime now = shared_.env.clock.now();
    if (now < next_look_up_) {
        return;
    }
    next_look_up_ = now + kInterval;
    Bytes request;
    encode_forward_request({.kind = ForwardKind::kWhoLeads, .shard = shard_}, request);
    for (const NodeId node : shared_.others(shard_)) {
        auto question = std::make_unique<Question>(alive_);
        const Status asked = shared_.transport->start_call(node,
                                                           wire::kForwardTopic,
                                                           request,
                                                           async::Deadline{.at = now + kPatience},
                                                           question.get());
        if (asked.ok()) {
            question.release();
        }
    }
}

void LeaderFinder::on_told(const LeaderAnswer& answer) {
    const bool is_news = answer.leader != NodeId() && answer.leader != shared_.self &&
                         answer.term > refused_term_ && answer.term >= told_.term;
    if (is_news) {
        told_ = answer;
        on_news_();
    }
}

}  // namespace kvstore::replication
