#include "replication/strong/digest_checks.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "replication/strong/forward_codec.h"
#include "wire/topics.h"

namespace kvstore::replication {
namespace {

Status divergence(Index index) {
    return {Code::kCorruption,
            "its state differs from that of a majority at index " + std::to_string(index.value())};
}

Bytes request_of(ForwardKind kind, ShardId shard, ByteView body) {
    Bytes request;
    encode_forward_request({.kind = kind, .shard = shard, .body = body}, request);
    return request;
}

}  // namespace

DigestChecks::DigestChecks(
    env::Env& env, rpc::Transport& transport, NodeId self, metrics::Registry* registry, Find find)
    : env_(env), transport_(transport), self_(self), find_(std::move(find)) {
    if (registry != nullptr) {
        checks_ = &registry->add_counter("kvstore_replication_digest_checks_total",
                                         "Comparisons of the replicas of a shard led here.");
        mismatches_ = &registry->add_counter("kvstore_replication_digest_mismatches_total",
                                             "Comparisons in which replicas differed.");
    }
}

RaftGroup* DigestChecks::find_led(ShardId shard) {
    RaftGroup* const group = find_(shard);
    return group != nullptr && group->is_leader() ? group : nullptr;
}

async::Deadline DigestChecks::patience() const {
    return async::Deadline::after(env_.clock.now(), kPatience);
}

async::Task<void> DigestChecks::check(ShardId shard) {
    const RaftGroup* group = find_led(shard);
    if (group == nullptr || group->digests().back().index == checked_[shard]) {
        co_return;
    }
    const Index applied = group->digests().back().index;
    std::vector<NodeId> others = group->configuration().voters;
    const std::vector<NodeId>& learners = group->configuration().learners;
    others.insert(others.end(), learners.begin(), learners.end());
    std::erase(others, self_);
    std::vector<DigestReport> reports;
    for (const NodeId node : others) {
        co_await ask(shard, node, &reports);
    }
    group = find_led(shard);
    if (group == nullptr || others.empty()) {
        co_return;
    }
    reports.push_back({.node = self_, .points = group->digests()});
    DigestVerdict verdict = judge_digests(reports, group->configuration().voters);
    if (!verdict.is_compared) {
        co_return;  // nobody answered, or all are far behind
    }
    if (checks_ != nullptr) {
        checks_->add();
    }
    if (verdict.is_undecided || !verdict.odd.empty()) {
        co_await act_on(shard, std::move(verdict));
    } else if (reports.size() == others.size() + 1) {
        checked_[shard] = applied;
    }
}

async::Task<void> DigestChecks::ask(ShardId shard,
                                    NodeId node,
                                    std::vector<DigestReport>* reports) {
    Bytes request = request_of(ForwardKind::kDigests, shard, ByteView());
    const auto answer =
        co_await transport_.call(node, wire::kForwardTopic, std::move(request), patience());
    if (!answer.ok()) {
        co_return;
    }
    auto points = decode_digests(answer->bytes);
    if (points.ok()) {
        reports->push_back({.node = node, .points = *std::move(points)});
    }
}

async::Task<void> DigestChecks::act_on(ShardId shard, DigestVerdict verdict) {
    if (mismatches_ != nullptr) {
        mismatches_->add();
    }
    if (verdict.is_undecided) {
        log_error(
            "replicas of a shard differ, and no majority agrees: nobody can tell who is right",
            {{"shard", shard.value()}});
        co_return;
    }
    for (const NodeId node : verdict.odd) {
        log_error("a replica differs from the majority and is to be made anew",
                  {{"shard", shard.value()},
                   {"node", node.value()},
                   {"index", verdict.right->index.value()}});
        if (node != self_) {
            co_await tell(shard, node, *verdict.right);
        }
    }
    if (std::ranges::find(verdict.odd, self_) != verdict.odd.end()) {
        co_await leave(shard, std::move(verdict));
    }
}

async::Task<void> DigestChecks::tell(ShardId shard, NodeId node, DigestPoint right) {
    Bytes body;
    const std::vector<DigestPoint> points(1, right);
    encode_digests(points, body);
    Bytes request = request_of(ForwardKind::kDiverged, shard, body);
    const auto told =
        co_await transport_.call(node, wire::kForwardTopic, std::move(request), patience());
    if (!told.ok()) {
        // The next comparison finds it again.
        log_warning("a replica that differs could not be told",
                    {{"shard", shard.value()}, {"node", node.value()}});
    }
}

// What is under way is better answered by the next leader than failed here.
async::Task<void> DigestChecks::leave(ShardId shard, DigestVerdict verdict) {
    RaftGroup* group = find_led(shard);
    if (group != nullptr) {
        for (const NodeId voter : group->configuration().voters) {
            const bool is_odd = std::ranges::find(verdict.odd, voter) != verdict.odd.end();
            if (voter != self_ && !is_odd && group->transfer_leader(voter).ok()) {
                break;
            }
        }
    }
    const MonotonicTime end = env_.clock.now() + kHandOverPatience;
    while (find_led(shard) != nullptr && env_.clock.now() < end) {
        co_await env_.clock.sleep(kHandOverPatience / 50);
    }
    group = find_(shard);
    if (group != nullptr && !group->is_quarantined()) {
        group->quarantine(divergence(verdict.right->index));
    }
}

Bytes serve_digests(const RaftGroup& group) {
    Bytes answer;
    encode_digests(group.digests(), answer);
    return answer;
}

Status serve_divergence(RaftGroup& group, NodeId from, ByteView point) {
    KVSTORE_TRY(const std::vector<DigestPoint> told, decode_digests(point));
    if (told.size() != 1) {
        return {Code::kCorruption, "a divergence is told by one digest"};
    }
    const std::vector<DigestPoint> own = group.digests();
    const auto here = std::ranges::find(own, told.front().index, &DigestPoint::index);
    // Whoever says so may be wrong about this replica, which may have been made anew since.
    if (here == own.end() || here->digest == told.front().digest || group.is_quarantined()) {
        return {};
    }
    log_error("this replica differs from the majority",
              {{"shard", group.id().value()}, {"told by", from.value()}});
    group.quarantine(divergence(here->index));
    return {};
}

}  // namespace kvstore::replication
