// Which shard holds a key: all shards of all keyspaces, as they stood at one version of the map.
//
// The version of the map is a number that rises with every change of any shard's record; the
// revision of the system shard that holds the records will do. A node that hears of a newer one
// (gossip.h) asks for the changes since its own, a ShardMapDelta, and makes the next snapshot of
// the map from it; requests that began with the old one keep it as long as they need it.
//
// A map may always be out of date. It says where to ask; whether that is right is decided there, by
// the epoch that the request carries.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "cluster/records.h"

namespace kvstore::cluster {

// 0: no map yet.
using MapVersion = StrongId<struct MapVersionTag>;

// A snapshot of the map.
//
// Lifetime   Shared by whoever reads it; pointers and spans from it last as long as it.
// Runs on    Any thread; immutable.
//
// Invariants
//   the shards of each keyspace cover every key once
//   no two shards have one id
class ShardMap {
public:
    // The map of no shards, at version 0.
    ShardMap() = default;

    // Makes a map of records in any order.
    // Errors: kCorruption with the keyspace, the shards and the bounds concerned: a gap, an
    //         overlap, or one id twice.
    static Result<std::shared_ptr<const ShardMap>> build(MapVersion version,
                                                         std::vector<ShardRecord> shards);

    [[nodiscard]] MapVersion version() const noexcept { return version_; }

    // The shard that holds `key`; null when there is no such keyspace. O(log n), without an
    // allocation, as the next two.
    [[nodiscard]] const ShardRecord* find(std::string_view keyspace, ByteView key) const noexcept;
    [[nodiscard]] const ShardRecord* find(ShardId id) const noexcept;

    // The shards that hold keys from `start` on and before `end` (empty: to the last key), in the
    // order of their keys. Empty when the range is empty or there is no such keyspace.
    [[nodiscard]] std::span<const ShardRecord> overlapping(std::string_view keyspace,
                                                           ByteView start,
                                                           ByteView end) const noexcept;

    // All of one keyspace, in the order of their keys.
    [[nodiscard]] std::span<const ShardRecord> shards(std::string_view keyspace) const noexcept;
    // All, by keyspace and then in the order of their keys.
    [[nodiscard]] std::span<const ShardRecord> shards() const noexcept { return shards_; }

private:
    struct Keyspace {
        std::string name;
        std::size_t first = 0;  // of shards_
        std::size_t count = 0;
    };

    Status index_ids();
    Status index_keyspaces();

    MapVersion version_;
    std::vector<ShardRecord> shards_;
    std::vector<Keyspace> keyspaces_;                     // by name
    std::vector<std::pair<ShardId, std::size_t>> by_id_;  // place in shards_, by id
};

struct ShardRemoval {
    ShardId id;
    ShardEpoch epoch;  // its last

    friend bool operator==(const ShardRemoval&, const ShardRemoval&) = default;
};

// What became of the shards from one version of the map to a later one. One that begins at version
// 0 holds a whole map.
struct ShardMapDelta {
    MapVersion from;
    MapVersion to;
    std::vector<ShardRecord> changed;  // and new ones, as they stand at `to`
    std::vector<ShardRemoval> removed;

    friend bool operator==(const ShardMapDelta&, const ShardMapDelta&) = default;
};

// What leads from `older` to `newer`. Requires: `newer` is not the older one.
[[nodiscard]] ShardMapDelta difference(const ShardMap& older, const ShardMap& newer);
// The whole map.
[[nodiscard]] ShardMapDelta difference(const ShardMap& map);

// The map after `delta`; `map` itself when the delta ends at its version or before.
//
// A shard is never taken back to an older epoch, and never removed by who knew an older one only.
// At equal epochs the delta has the newer settings.
//
// Errors: kConflict: the delta begins at another version than that of `map`, which may hold shards
//           that came and went in between; ask for one that begins there.
//         kCorruption: the shards that come out do not fit together, or two sources tell different
//         bounds or replicas of one shard at one epoch. Ask for a whole map.
Result<std::shared_ptr<const ShardMap>> apply_delta(const std::shared_ptr<const ShardMap>& map,
                                                    ShardMapDelta delta);

// As nodes send it: varint format (1), from, to, count and records (each with its length), count
// and removals (id, epoch).
// Requires: every record passes check_record().
[[nodiscard]] Bytes encode_delta(const ShardMapDelta& delta);
// Errors: kCorruption.
Result<ShardMapDelta> decode_delta(ByteView bytes);

}  // namespace kvstore::cluster
