#include "replication/strong/digest_trail.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <utility>

#include "base/coding.h"

namespace kvstore::replication {
namespace {

using Holders = std::map<std::uint64_t, std::vector<NodeId>>;  // by digest

std::map<Index, Holders> by_index(const std::vector<DigestReport>& reports) {
    std::map<Index, Holders> all;
    for (const DigestReport& report : reports) {
        for (const DigestPoint& point : report.points) {
            std::vector<NodeId>& holders = all[point.index][point.digest];
            if (std::ranges::find(holders, report.node) == holders.end()) {
                holders.push_back(report.node);
            }
        }
    }
    return all;
}

std::size_t count_voters(const std::vector<NodeId>& nodes, const std::vector<NodeId>& voters) {
    return static_cast<std::size_t>(std::ranges::count_if(
        nodes, [&](NodeId node) { return std::ranges::find(voters, node) != voters.end(); }));
}

}  // namespace

void DigestTrail::add(DigestPoint point) {
    points_.push_back(point);
    if (points_.size() > kPointsMax) {
        points_.pop_front();
    }
}

void encode_digests(const std::vector<DigestPoint>& points, Bytes& to) {
    put_varint(to, points.size());
    for (const DigestPoint& point : points) {
        put_varint(to, point.index.value());
        put_fixed(to, point.digest);
    }
}

Result<std::vector<DigestPoint>> decode_digests(ByteView bytes) {
    Decoder decoder(bytes);
    std::vector<DigestPoint> points;
    const std::uint64_t count = decoder.varint();
    for (std::uint64_t i = 0; i < count && decoder.ok(); ++i) {
        const Index index(decoder.varint());
        points.push_back({.index = index, .digest = decoder.fixed<std::uint64_t>()});
    }
    if (!decoder.ok() || !decoder.at_end()) {
        return Status(Code::kCorruption, "unreadable digests of a replica");
    }
    return points;
}

DigestVerdict judge_digests(const std::vector<DigestReport>& reports,
                            const std::vector<NodeId>& voters) {
    DigestVerdict verdict;
    const std::map<Index, Holders> indexes = by_index(reports);
    for (const auto& [index, holders] : indexes | std::views::reverse) {
        std::size_t known = 0;
        for (const auto& [digest, nodes] : holders) {
            known += nodes.size();
        }
        verdict.is_compared = verdict.is_compared || known > 1;
        if (holders.size() < 2) {
            continue;
        }
        const auto right = std::ranges::find_if(holders, [&](const auto& each) {
            return count_voters(each.second, voters) > voters.size() / 2;
        });
        if (right == holders.end()) {
            verdict.is_undecided = true;
            continue;
        }
        verdict.is_undecided = false;
        verdict.right = DigestPoint{.index = index, .digest = right->first};
        for (const auto& [digest, nodes] : holders) {
            if (digest != right->first) {
                verdict.odd.insert(verdict.odd.end(), nodes.begin(), nodes.end());
            }
        }
        std::ranges::sort(verdict.odd);
        break;
    }
    return verdict;
}

}  // namespace kvstore::replication
