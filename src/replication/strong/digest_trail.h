// What a replica remembers of its digest, so that replicas can be compared which are never at the
// same index at the same moment: the digest at every index that is a multiple of some number, and
// the newest one.
//
// Pure: judge_digests() finds who differs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"

namespace kvstore::replication {

// The digest of a shard once everything up to `index` is applied.
struct DigestPoint {
    Index index;
    std::uint64_t digest = 0;

    friend bool operator==(const DigestPoint&, const DigestPoint&) = default;
};

class DigestTrail {
public:
    static constexpr std::uint64_t kSpacing = 64;
    static constexpr std::size_t kPointsMax = 64;

    // Whether the point at `index` is kept. Asked with every entry.
    [[nodiscard]] static bool is_kept(Index index) { return index.value() % kSpacing == 0; }
    void add(DigestPoint point);
    void clear() { points_.clear(); }
    [[nodiscard]] const std::deque<DigestPoint>& points() const { return points_; }

private:
    std::deque<DigestPoint> points_;  // rising
};

// Number of points (varint), and of each the index (varint) and the digest (8 bytes).
void encode_digests(const std::vector<DigestPoint>& points, Bytes& to);
// Errors: kCorruption.
Result<std::vector<DigestPoint>> decode_digests(ByteView bytes);

struct DigestReport {
    NodeId node;
    std::vector<DigestPoint> points;
};

struct DigestVerdict {
    bool is_compared = false;   // some two are known at one index
    bool is_undecided = false;  // replicas differ, and no digest is that of a majority
    // Where replicas differ: what a majority of the voters has, and who has something else.
    std::optional<DigestPoint> right;
    std::vector<NodeId> odd;
};

[[nodiscard]] DigestVerdict judge_digests(const std::vector<DigestReport>& reports,
                                          const std::vector<NodeId>& voters);

}  // namespace kvstore::replication
