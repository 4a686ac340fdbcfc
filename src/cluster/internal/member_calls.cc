#include "cluster/internal/member_calls.h"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "base/coding.h"

namespace kvstore::cluster::internal {
namespace {

enum class CallKind : std::uint8_t {
    kJoin = 1,
    kAnnounce = 2,
    kFetch = 3,
    kAct = 4,
    kLedShards = 5,
};

// As they travel; never renumbered.
enum class WireAction : std::uint8_t {
    kTransferLeader = 1,
    kPromoteLearner = 2,
    kRemoveVoter = 3,
    kRemoveLearner = 4,
    kAddLearner = 5,
};

WireAction to_wire(ActionKind kind) {
    switch (kind) {
        case ActionKind::kTransferLeader: return WireAction::kTransferLeader;
        case ActionKind::kPromoteLearner: return WireAction::kPromoteLearner;
        case ActionKind::kRemoveVoter: return WireAction::kRemoveVoter;
        case ActionKind::kRemoveLearner: return WireAction::kRemoveLearner;
        case ActionKind::kAddLearner: break;
    }
    return WireAction::kAddLearner;
}

std::optional<ActionKind> from_wire(std::uint64_t kind) {
    switch (kind) {
        case 1: return ActionKind::kTransferLeader;
        case 2: return ActionKind::kPromoteLearner;
        case 3: return ActionKind::kRemoveVoter;
        case 4: return ActionKind::kRemoveLearner;
        case 5: return ActionKind::kAddLearner;
        default: return std::nullopt;
    }
}

Status refuse(std::string_view what) {
    return {Code::kInvalidArgument, "a call to the cluster: " + std::string(what)};
}

Status corrupt(std::string_view what) {
    return {Code::kCorruption, "an answer of a member: " + std::string(what)};
}

Bytes begin(CallKind kind) {
    return Bytes(1, static_cast<char>(kind));
}

void put_facts(Bytes& to, const NodeFacts& facts) {
    put_length_prefixed(to, facts.name);
    put_fixed(to, facts.store);
    put_length_prefixed(to, facts.peer_address);
    put_length_prefixed(to, facts.http_address);
    put_length_prefixed(to, facts.grpc_address);
    put_length_prefixed(to, facts.resp_address);
    put_length_prefixed(to, facts.zone);
    put_varint(to, facts.protocol_version);
}

NodeFacts read_facts(Decoder& decoder) {
    NodeFacts facts;
    facts.name = decoder.length_prefixed();
    facts.store = decoder.fixed<std::uint64_t>();
    facts.peer_address = decoder.length_prefixed();
    facts.http_address = decoder.length_prefixed();
    facts.grpc_address = decoder.length_prefixed();
    facts.resp_address = decoder.length_prefixed();
    facts.zone = decoder.length_prefixed();
    const std::uint64_t protocol = decoder.varint();
    // 0 is refused with the record.
    facts.protocol_version = protocol > std::numeric_limits<std::uint32_t>::max()
                                 ? 0
                                 : static_cast<std::uint32_t>(protocol);
    return facts;
}

void put_rows(Bytes& to, const SystemRows& rows) {
    put_varint(to, rows.version.value());
    put_varint(to, rows.rows.size());
    for (const auto& [key, value] : rows.rows) {
        put_length_prefixed(to, key);
        put_length_prefixed(to, value);
    }
}

SystemRows read_rows(Decoder& decoder) {
    SystemRows rows;
    rows.version = MapVersion(decoder.varint());
    const std::uint64_t count = decoder.varint();
    for (std::uint64_t i = 0; i < count && decoder.ok(); ++i) {
        Bytes key(decoder.length_prefixed());
        Bytes value(decoder.length_prefixed());
        rows.rows.emplace_back(std::move(key), std::move(value));
    }
    return rows;
}

void put_nodes(Bytes& to, const std::vector<NodeId>& nodes) {
    put_varint(to, nodes.size());
    for (const NodeId node : nodes) {
        put_varint(to, node.value());
    }
}

// False: too many, or not rising.
bool read_nodes(Decoder& decoder, std::vector<NodeId>& nodes) {
    const std::uint64_t count = decoder.varint();
    if (count > kGroupMembersMax) {
        return false;
    }
    NodeId last;
    for (std::uint64_t i = 0; i < count; ++i) {
        const NodeId node(decoder.varint());
        if (node <= last) {
            return false;
        }
        nodes.push_back(node);
        last = node;
    }
    return true;
}

// Of is_changing, and of whether there are rows: nothing but 0 and 1.
std::optional<bool> read_bool(Decoder& decoder) {
    const auto value = decoder.fixed<std::uint8_t>();
    return value > 1 ? std::nullopt : std::optional(value == 1);
}

struct RequestEncoder {
    Bytes operator()(const JoinRequest& request) const {
        Bytes to = begin(CallKind::kJoin);
        put_facts(to, request.facts);
        return to;
    }
    Bytes operator()(const AnnounceRequest& request) const {
        Bytes to = begin(CallKind::kAnnounce);
        put_varint(to, request.id.value());
        put_facts(to, request.facts);
        return to;
    }
    Bytes operator()(const FetchRequest& request) const {
        Bytes to = begin(CallKind::kFetch);
        put_varint(to, request.known.value());
        return to;
    }
    Bytes operator()(const ActRequest& request) const {
        Bytes to = begin(CallKind::kAct);
        put_varint(to, static_cast<std::uint64_t>(to_wire(request.kind)));
        put_varint(to, request.shard.value());
        put_varint(to, request.node.value());
        put_varint(to, static_cast<std::uint64_t>(request.patience.count()));
        return to;
    }
    Bytes operator()(const LedShardsRequest& /*request*/) const {
        return begin(CallKind::kLedShards);
    }
};

Result<MemberRequest> read_act(Decoder& decoder) {
    const auto kind = from_wire(decoder.varint());
    ActRequest request;
    request.shard = ShardId(decoder.varint());
    request.node = NodeId(decoder.varint());
    const auto longest = static_cast<std::uint64_t>(kPatienceMax.count());
    request.patience = std::chrono::milliseconds(std::min(decoder.varint(), longest));
    if (!kind.has_value()) {
        return refuse("an action that this node does not know");
    }
    request.kind = *kind;
    return MemberRequest(request);
}

Result<MemberRequest> read_request(Decoder& decoder) {
    switch (static_cast<CallKind>(decoder.fixed<std::uint8_t>())) {
        case CallKind::kJoin: return MemberRequest(JoinRequest{.facts = read_facts(decoder)});
        case CallKind::kAnnounce: {
            AnnounceRequest request;
            request.id = NodeId(decoder.varint());
            request.facts = read_facts(decoder);
            return MemberRequest(std::move(request));
        }
        case CallKind::kFetch:
            return MemberRequest(FetchRequest{.known = MapVersion(decoder.varint())});
        case CallKind::kAct: return read_act(decoder);
        case CallKind::kLedShards: return MemberRequest(LedShardsRequest());
    }
    return refuse("one that this node does not know");
}

}  // namespace

Bytes encode_request(const MemberRequest& request) {
    return std::visit(RequestEncoder(), request);
}

Result<MemberRequest> decode_request(ByteView bytes) {
    Decoder decoder(bytes);
    KVSTORE_TRY(auto request, read_request(decoder));
    if (!decoder.at_end()) {
        return refuse(decoder.ok() ? "bytes behind its end" : "cut short");
    }
    return request;
}

Bytes encode_joined(const Joined& joined) {
    Bytes to;
    put_fixed(to, joined.cluster_id);
    put_varint(to, joined.id.value());
    put_rows(to, joined.rows);
    return to;
}

Result<Joined> decode_joined(ByteView bytes) {
    Decoder decoder(bytes);
    Joined joined;
    joined.cluster_id = decoder.fixed<std::uint64_t>();
    joined.id = NodeId(decoder.varint());
    joined.rows = read_rows(decoder);
    if (!decoder.at_end()) {
        return corrupt(decoder.ok() ? "bytes behind its end" : "cut short");
    }
    if (joined.cluster_id == 0 || joined.id == NodeId()) {
        return corrupt("a cluster or a node with id 0");
    }
    return joined;
}

Bytes encode_fetched(const SystemRows* rows) {
    Bytes to(1, rows == nullptr ? '\0' : '\1');
    if (rows != nullptr) {
        put_rows(to, *rows);
    }
    return to;
}

Result<std::optional<SystemRows>> decode_fetched(ByteView bytes) {
    Decoder decoder(bytes);
    const auto has_rows = read_bool(decoder);
    if (!has_rows.has_value()) {
        return corrupt("rows that are neither there nor not");
    }
    std::optional<SystemRows> rows;
    if (*has_rows) {
        rows = read_rows(decoder);
    }
    if (!decoder.at_end()) {
        return corrupt(decoder.ok() ? "bytes behind its end" : "cut short");
    }
    return rows;
}

Bytes encode_shard_report(const ShardReport& report) {
    Bytes to;
    put_varint(to, report.led.size());
    for (const LedShard& shard : report.led) {
        put_varint(to, shard.id.value());
        put_varint(to, shard.term.value());
        put_nodes(to, shard.voters);
        put_nodes(to, shard.learners);
        put_nodes(to, shard.caught_up);
        to.push_back(shard.is_changing ? '\1' : '\0');
    }
    put_varint(to, report.damaged.size());
    for (const ShardId shard : report.damaged) {
        put_varint(to, shard.value());
    }
    // Nodes of before know of no disks, and would refuse the report.
    if (report.disk != DiskState::kFine) {
        put_varint(to, static_cast<std::uint64_t>(report.disk));
    }
    return to;
}

Result<ShardReport> decode_shard_report(ByteView bytes) {
    Decoder decoder(bytes);
    ShardReport report;
    const std::uint64_t count = decoder.varint();
    for (std::uint64_t i = 0; i < count && decoder.ok(); ++i) {
        LedShard shard;
        shard.id = ShardId(decoder.varint());
        shard.term = Term(decoder.varint());
        if (!read_nodes(decoder, shard.voters) || !read_nodes(decoder, shard.learners) ||
            !read_nodes(decoder, shard.caught_up)) {
            return corrupt("members that are not rising, or too many");
        }
        const auto is_changing = read_bool(decoder);
        if (!is_changing.has_value()) {
            return corrupt("a shard that neither changes nor does not");
        }
        shard.is_changing = *is_changing;
        report.led.push_back(std::move(shard));
    }
    const std::uint64_t damaged = decoder.varint();
    ShardId last;
    for (std::uint64_t i = 0; i < damaged && decoder.ok(); ++i) {
        const ShardId shard(decoder.varint());
        if (decoder.ok() && shard <= last) {
            return corrupt("damaged shards that are not rising");
        }
        report.damaged.push_back(shard);
        last = shard;
    }
    if (decoder.ok() && !decoder.at_end()) {
        const std::uint64_t disk = decoder.varint();
        if (disk == 0 || disk > static_cast<std::uint64_t>(DiskState::kFailed)) {
            return corrupt("a state of the disk that there is not");
        }
        report.disk = static_cast<DiskState>(disk);
    }
    if (!decoder.at_end()) {
        return corrupt(decoder.ok() ? "bytes behind its end" : "cut short");
    }
    return report;
}

}  // namespace kvstore::cluster::internal
