#include "cluster/internal/admission.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "env/network.h"

namespace kvstore::cluster::internal {
namespace {

// As often as others may win the next id before one gives up.
constexpr int kAttemptsMax = 32;

std::string called(const NodeRecord& node) {
    return "node " + std::to_string(node.id.value()) + " (" + node.name + ")";
}

Status check_facts(const NodeRecord& record) {
    if (record.store == 0) {
        return {Code::kInvalidArgument, "the node's data directory has no number"};
    }
    if (auto address = env::Address::parse(record.peer_address); !address.ok()) {
        return Status(address.status()).with_context("the node's address for its peers");
    }
    return check_record(record);
}

NodeRecord record_of(NodeId id, const NodeFacts& facts) {
    NodeRecord record;
    record.id = id;
    record.name = facts.name;
    record.store = facts.store;
    return updated(std::move(record), facts);
}

// Nothing, the member that it is, or why nobody may join with this store.
Result<const NodeRecord*> find_by_store(const Metadata& metadata, const NodeFacts& facts) {
    const auto found = std::ranges::find(metadata.nodes, facts.store, &NodeRecord::store);
    if (found == metadata.nodes.end()) {
        return nullptr;
    }
    if (has_left(found->state)) {
        return Status(Code::kConflict,
                      "this data directory was that of " + called(*found) + ", which was " +
                          std::string(node_state_name(found->state)) +
                          " and cannot come back; start with an empty one");
    }
    if (found->name != facts.name) {
        return Status(Code::kConflict,
                      "this data directory is that of " + called(*found) +
                          "; start it under that name, or use a directory of its own");
    }
    return &*found;
}

}  // namespace

NodeRecord updated(NodeRecord record, const NodeFacts& facts) {
    record.peer_address = facts.peer_address;
    record.http_address = facts.http_address;
    record.grpc_address = facts.grpc_address;
    record.resp_address = facts.resp_address;
    record.zone = facts.zone;
    record.protocol_version = facts.protocol_version;
    return record;
}

Result<Admission> judge_newcomer(const ClusterView& view,
                                 const NodeFacts& facts,
                                 Callback<Liveness(NodeId)>& liveness) {
    if (!view.metadata.cluster.has_value()) {
        return Status(Code::kUnavailable, "the cluster is being formed; try again");
    }
    ClusterRecord cluster = *view.metadata.cluster;
    const NodeRecord newcomer = record_of(cluster.next_node_id, facts);
    KVSTORE_CHECK_OK(check_facts(newcomer));
    KVSTORE_TRY(const NodeRecord* known, find_by_store(view.metadata, facts));
    Admission admission;
    if (known != nullptr) {
        admission.id = known->id;
        return admission;
    }
    const NodeRecord* const holder = view.metadata.find_named(facts.name);
    if (holder != nullptr && holder->state == NodeState::kExpected) {
        NodeRecord expected = updated(*holder, facts);
        expected.store = facts.store;
        expected.state = NodeState::kJoining;
        admission.id = holder->id;
        admission.changes.push_back({.key = node_key(holder->id),
                                     .value = encode_node(expected),
                                     .expected = view.rows.find(node_key(holder->id))});
        return admission;
    }
    if (holder != nullptr) {
        if (liveness(holder->id) != Liveness::kDead) {
            return Status(Code::kConflict,
                          "the name " + facts.name + " is that of " + called(*holder) +
                              ", which is not known to be dead and has another data directory; "
                              "choose another name, wait until it is found dead, or remove it");
        }
        NodeRecord replaced = *holder;
        replaced.state = NodeState::kReplaced;
        admission.changes.push_back({.key = node_key(holder->id),
                                     .value = encode_node(replaced),
                                     .expected = view.rows.find(node_key(holder->id))});
    }
    admission.id = newcomer.id;
    admission.changes.push_back(
        {.key = node_key(newcomer.id), .value = encode_node(newcomer), .expected = std::nullopt});
    cluster.next_node_id = cluster.next_node_id.next();
    admission.changes.push_back({.key = Bytes(kClusterKey),
                                 .value = encode_cluster(cluster),
                                 .expected = view.rows.find(kClusterKey)});
    return admission;
}

Result<Admission> judge_announcement(const ClusterView& view, NodeId id, const NodeFacts& facts) {
    const NodeRecord* record = view.metadata.find_node(id);
    if (record == nullptr) {
        return Status(Code::kNotFound,
                      "there is no node " + std::to_string(id.value()) + " in this cluster");
    }
    if (has_left(record->state)) {
        return Status(Code::kConflict,
                      called(*record) + " was " + std::string(node_state_name(record->state)) +
                          " and cannot come back; start it with an empty data directory");
    }
    if (record->store != facts.store) {
        return Status(Code::kConflict,
                      called(*record) +
                          " has another data directory than this one; a node that has lost its "
                          "disk joins as a new one");
    }
    NodeRecord next = updated(*record, facts);
    if (next.state == NodeState::kJoining) {
        next.state = NodeState::kActive;
    }
    KVSTORE_CHECK_OK(check_facts(next));
    Admission admission;
    admission.id = id;
    if (next != *record) {
        admission.changes.push_back({.key = node_key(id),
                                     .value = encode_node(next),
                                     .expected = view.rows.find(node_key(id))});
    }
    return admission;
}

// The answer always comes from rows that hold the node: after a write the rows are read again, so a
// write of which nobody knows whether it happened, and one that lost against another, end alike.
async::Task<Result<Joined>> admit_newcomer(MetadataStore* store,
                                           NodeFacts facts,
                                           Callback<Liveness(NodeId)>* liveness,
                                           async::Deadline deadline) {
    for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
        KVSTORE_CO_TRY(SystemRows rows, co_await store->read(deadline));
        KVSTORE_CO_TRY(const auto view, ClusterView::build(std::move(rows)));
        KVSTORE_CO_TRY(Admission admission, judge_newcomer(*view, facts, *liveness));
        if (admission.changes.empty()) {
            Joined joined;
            joined.cluster_id = view->metadata.cluster->cluster_id;
            joined.id = admission.id;
            joined.rows = view->rows;
            co_return joined;
        }
        const Status written = co_await store->write(std::move(admission.changes), deadline);
        if (!written.ok() && written.code() != Code::kConflict) {
            co_return written;
        }
        if (written.ok()) {
            log_info("node taken in", {{"node", admission.id.value()}, {"name", facts.name}});
        }
    }
    co_return Status(Code::kUnavailable, "too many nodes join at this moment; try again");
}

async::Task<Status> admit_announcement(MetadataStore* store,
                                       NodeId id,
                                       NodeFacts facts,
                                       async::Deadline deadline) {
    for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
        KVSTORE_CO_TRY(SystemRows rows, co_await store->read(deadline));
        KVSTORE_CO_TRY(const auto view, ClusterView::build(std::move(rows)));
        KVSTORE_CO_TRY(Admission admission, judge_announcement(*view, id, facts));
        if (admission.changes.empty()) {
            co_return Status();
        }
        const Status written = co_await store->write(std::move(admission.changes), deadline);
        if (written.ok()) {
            log_info("node announced", {{"node", id.value()}, {"address", facts.peer_address}});
        }
        if (written.code() != Code::kConflict) {
            co_return written;
        }
    }
    co_return Status(Code::kUnavailable, "the node's record changes all the time; try again");
}

}  // namespace kvstore::cluster::internal
