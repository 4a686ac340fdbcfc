// The shard map: what it finds, what it refuses to be made of, and how it follows changes.
#include "cluster/shard_map.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore::cluster {
namespace {

using MapPointer = std::shared_ptr<const ShardMap>;

ShardRecord shard(
    std::uint64_t id, std::string keyspace, Bytes start, Bytes end, std::uint64_t epoch = 1) {
    ShardRecord record;
    record.id = ShardId(id);
    record.epoch = ShardEpoch(epoch);
    record.keyspace = std::move(keyspace);
    record.range_start = std::move(start);
    record.range_end = std::move(end);
    record.voters = {NodeId(1)};
    return record;
}

// `default` cut at b, m and t; two keyspaces of one shard each around it.
std::vector<ShardRecord> example() {
    return {shard(20, "default", "m", "t"),
            shard(17, "system", "", ""),
            shard(18, "default", "", "b"),
            shard(16, "a", "", ""),
            shard(21, "default", "t", ""),
            shard(19, "default", "b", "m")};
}

MapPointer example_map(std::uint64_t version = 5) {
    return ShardMap::build(MapVersion(version), example()).value();
}

std::uint64_t id_at(const ShardMap& map, std::string_view keyspace, ByteView key) {
    const ShardRecord* found = map.find(keyspace, key);
    return found == nullptr ? 0 : found->id.value();
}

std::vector<std::uint64_t> ids(std::span<const ShardRecord> shards) {
    std::vector<std::uint64_t> found;
    for (const ShardRecord& shard : shards) {
        found.push_back(shard.id.value());
    }
    return found;
}

using Ids = std::vector<std::uint64_t>;

TEST(ShardMap, FindsTheShardThatHoldsAKey) {
    const MapPointer map = example_map();

    EXPECT_EQ(map->version(), MapVersion(5));
    EXPECT_EQ(id_at(*map, "default", ""), 18U);
    EXPECT_EQ(id_at(*map, "default", "azz"), 18U);
    EXPECT_EQ(id_at(*map, "default", "b"), 19U) << "the start belongs to a shard, the end does not";
    EXPECT_EQ(id_at(*map, "default", Bytes("b\0", 2)), 19U);
    EXPECT_EQ(id_at(*map, "default", "sz"), 20U);
    EXPECT_EQ(id_at(*map, "default", "\xff\xff"), 21U);
    EXPECT_EQ(id_at(*map, "a", "anything"), 16U);
    EXPECT_EQ(id_at(*map, "system", "anything"), 17U);
    EXPECT_EQ(id_at(*map, "b", "anything"), 0U);
    EXPECT_EQ(id_at(*map, "zz", "anything"), 0U);
}

TEST(ShardMap, FindsAShardByItsId) {
    const MapPointer map = example_map();

    for (const ShardRecord& record : example()) {
        const ShardRecord* found = map->find(record.id);
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(*found, record);
    }
    EXPECT_EQ(map->find(ShardId(15)), nullptr);
    EXPECT_EQ(map->find(ShardId(99)), nullptr);
}

TEST(ShardMap, TellsTheShardsOfARangeInTheOrderOfTheirKeys) {
    const MapPointer map = example_map();
    const auto overlapping = [&](ByteView start, ByteView end) {
        return ids(map->overlapping("default", start, end));
    };

    EXPECT_EQ(overlapping("", ""), (Ids{18, 19, 20, 21}));
    EXPECT_EQ(overlapping("b", "m"), (Ids{19}));
    EXPECT_EQ(overlapping("b", Bytes("m\0", 2)), (Ids{19, 20}));
    EXPECT_EQ(overlapping("a", "b"), (Ids{18}));
    EXPECT_EQ(overlapping("c", "d"), (Ids{19}));
    EXPECT_EQ(overlapping("z", ""), (Ids{21}));
    EXPECT_EQ(overlapping("d", "d"), Ids{}) << "an empty range";
    EXPECT_EQ(overlapping("d", "c"), Ids{});
    EXPECT_EQ(ids(map->overlapping("b", "", "")), Ids{});
    EXPECT_EQ(ids(map->shards("default")), (Ids{18, 19, 20, 21}));
    EXPECT_EQ(ids(map->shards()), (Ids{16, 18, 19, 20, 21, 17}));
}

TEST(ShardMap, OfNothingHasNothing) {
    const ShardMap map;

    EXPECT_EQ(map.version(), MapVersion(0));
    EXPECT_EQ(map.find("default", "k"), nullptr);
    EXPECT_EQ(map.find(ShardId(1)), nullptr);
    EXPECT_TRUE(map.overlapping("default", "", "").empty());
    EXPECT_TRUE(ShardMap::build(MapVersion(1), {}).ok());
}

std::string refusal(std::vector<ShardRecord> shards) {
    const auto built = ShardMap::build(MapVersion(1), std::move(shards));
    EXPECT_EQ(built.status().code(), Code::kCorruption);
    return std::string(built.status().message());
}

TEST(ShardMap, IsNotMadeOfShardsThatLeaveAGap) {
    EXPECT_EQ(refusal({shard(1, "k", "", "b"), shard(2, "k", "c", "")}),
              "keyspace 'k': no shard holds the keys from 'b' (end of shard 1) to 'c' (start of "
              "shard 2)");
    EXPECT_EQ(refusal({shard(1, "k", "\x01z", "")}),
              "keyspace 'k': no shard holds the keys before '\\x01z' (start of shard 1)");
    EXPECT_EQ(refusal({shard(1, "k", "", "b")}),
              "keyspace 'k': no shard holds the keys from 'b' (end of shard 1) on");
    EXPECT_EQ(refusal({shard(1, "k", "", "b"), shard(2, "l", "b", "")}).substr(0, 12),
              "keyspace 'k'")
        << "another keyspace does not fill it";
}

TEST(ShardMap, IsNotMadeOfShardsThatOverlap) {
    EXPECT_EQ(refusal({shard(1, "k", "", "d"), shard(2, "k", "c", "")}),
              "keyspace 'k': shard 1 and shard 2 overlap at 'c'");
    EXPECT_EQ(refusal({shard(1, "k", "", ""), shard(2, "k", "c", "")}),
              "keyspace 'k': shard 1 and shard 2 overlap at 'c'");
    EXPECT_EQ(refusal({shard(2, "k", "", ""), shard(1, "k", "", "")}),
              "keyspace 'k': shard 1 and shard 2 overlap at ''");
    EXPECT_EQ(
        refusal({shard(1, "k", "", std::string(40, 'd')), shard(2, "k", std::string(40, 'c'), "")}),
        "keyspace 'k': shard 1 and shard 2 overlap at '" + std::string(32, 'c') + "...'");
}

TEST(ShardMap, IsNotMadeOfOneShardTwice) {
    EXPECT_EQ(refusal({shard(1, "k", "", "c"), shard(1, "k", "c", "")}),
              "keyspace 'k': shard 1 stands twice, at '' and at 'c'");
}

// Splits shard 19 (b to m) at f.
ShardMapDelta split() {
    ShardMapDelta delta{.from = MapVersion(5), .to = MapVersion(6), .changed = {}, .removed = {}};
    delta.changed = {shard(19, "default", "b", "f", 2), shard(30, "default", "f", "m")};
    return delta;
}

TEST(ShardMapDelta, SplitsAShard) {
    const MapPointer before = example_map();

    const MapPointer after = apply_delta(before, split()).value();

    EXPECT_EQ(after->version(), MapVersion(6));
    EXPECT_EQ(id_at(*after, "default", "e"), 19U);
    EXPECT_EQ(id_at(*after, "default", "f"), 30U);
    EXPECT_EQ(id_at(*before, "default", "f"), 19U) << "who holds the old map keeps it";
}

TEST(ShardMapDelta, MergesShards) {
    ShardMapDelta merge{.from = MapVersion(5), .to = MapVersion(9), .changed = {}, .removed = {}};
    merge.changed = {shard(19, "default", "b", "t", 2)};
    merge.removed = {{.id = ShardId(20), .epoch = ShardEpoch(1)}};

    const MapPointer after = apply_delta(example_map(), merge).value();

    EXPECT_EQ(ids(after->shards("default")), (Ids{18, 19, 21}));
    EXPECT_EQ(after->find(ShardId(20)), nullptr);
}

TEST(ShardMapDelta, ThatEndsAtTheVersionOrBeforeChangesNothing) {
    const MapPointer map = example_map(6);

    EXPECT_EQ(apply_delta(map, split()).value(), map);
    EXPECT_EQ(apply_delta(map, difference(*example_map(3))).value(), map);
}

// A shard may have come and gone between the two beginnings.
TEST(ShardMapDelta, ThatBeginsAtAnotherVersionIsAConflict) {
    for (const std::uint64_t version : {3U, 4U}) {
        const auto refused = apply_delta(example_map(version), split());

        EXPECT_EQ(refused.status().code(), Code::kConflict);
        EXPECT_EQ(refused.status().message(),
                  "changes of the shard map since version 5 do not continue version " +
                      std::to_string(version));
    }
    ShardMapDelta early = split();
    early.from = MapVersion(2);
    EXPECT_EQ(apply_delta(example_map(), early).status().code(), Code::kConflict);
}

TEST(ShardMapDelta, NeverTakesAShardBackToAnOlderEpoch) {
    std::vector<ShardRecord> shards = example();
    shards[0].epoch = ShardEpoch(7);
    shards[0].voters = {NodeId(3)};
    const MapPointer map = ShardMap::build(MapVersion(5), shards).value();
    ShardMapDelta late{.from = MapVersion(5), .to = MapVersion(8), .changed = {}, .removed = {}};
    late.changed = {shard(20, "default", "m", "t", 6)};
    ShardMapDelta whole = difference(*example_map(8));

    const MapPointer after_late = apply_delta(map, late).value();
    const MapPointer after_whole = apply_delta(map, whole).value();

    EXPECT_EQ(after_late->version(), MapVersion(8));
    EXPECT_EQ(*after_late->find(ShardId(20)), shards[0]);
    EXPECT_EQ(*after_whole->find(ShardId(20)), shards[0]);
}

TEST(ShardMapDelta, RemovesNoShardThatItKnewInAnOlderEpochOnly) {
    std::vector<ShardRecord> shards = {shard(1, "k", "", "", 4)};
    const MapPointer map = ShardMap::build(MapVersion(5), shards).value();
    ShardMapDelta delta{.from = MapVersion(5), .to = MapVersion(6), .changed = {}, .removed = {}};
    delta.removed = {{.id = ShardId(1), .epoch = ShardEpoch(3)},
                     {.id = ShardId(2), .epoch = ShardEpoch(9)}};

    EXPECT_NE(apply_delta(map, delta).value()->find(ShardId(1)), nullptr);

    delta.removed[0].epoch = ShardEpoch(4);
    EXPECT_EQ(apply_delta(map, delta).value()->find(ShardId(1)), nullptr);
}

TEST(ShardMapDelta, ChangesSettingsWithoutANewEpochButNeverAPlace) {
    ShardMapDelta delta{.from = MapVersion(5), .to = MapVersion(6), .changed = {}, .removed = {}};
    delta.changed = {shard(20, "default", "m", "t")};
    delta.changed[0].history_ms = 77;
    const MapPointer after = apply_delta(example_map(), delta).value();
    EXPECT_EQ(after->find(ShardId(20))->history_ms, 77U);

    delta.changed[0].voters = {NodeId(2)};
    const auto refused = apply_delta(example_map(), delta);
    EXPECT_EQ(refused.status().code(), Code::kCorruption);
    EXPECT_EQ(refused.status().message(),
              "keyspace 'default': shard 20 has two sets of bounds and replicas at epoch 1");
}

TEST(ShardMapDelta, WhoseShardsDoNotFitIsRefused) {
    ShardMapDelta delta = split();
    delta.changed.pop_back();

    EXPECT_EQ(apply_delta(example_map(), delta).status().code(), Code::kCorruption);
}

TEST(ShardMapDelta, ThatIsWholeReplacesWhatItDoesNotName) {
    const MapPointer other = ShardMap::build(MapVersion(9), {shard(40, "k", "", "")}).value();

    const MapPointer after = apply_delta(example_map(), difference(*other)).value();

    EXPECT_EQ(ids(after->shards()), Ids{40});
}

TEST(ShardMapDelta, CrossesTheWire) {
    ShardMapDelta delta = split();
    delta.removed = {{.id = ShardId(300), .epoch = ShardEpoch(2)}};
    const Bytes bytes = encode_delta(delta);

    const auto decoded = decode_delta(bytes);

    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(*decoded, delta);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_EQ(decode_delta(bytes.substr(0, size)).status().code(), Code::kCorruption) << size;
    }
    EXPECT_EQ(decode_delta(bytes + "x").status().code(), Code::kCorruption);
    Bytes later = bytes;
    later.front() = 2;
    EXPECT_EQ(decode_delta(later).status().code(), Code::kCorruption);
    std::swap(delta.from, delta.to);
    EXPECT_EQ(decode_delta(encode_delta(delta)).status().code(), Code::kCorruption);
}

// A cluster's map under random splits, merges, moves and changes of settings, as its owner keeps
// it.
class EvolvingMap {
public:
    explicit EvolvingMap(std::uint64_t seed) : random_(seed) {}

    MapPointer next() {
        ++version_;
        const std::size_t at = random_.below(shards_.size());
        switch (random_.below(4)) {
            case 0: split(at); break;
            case 1: merge(at); break;
            case 2:
                shards_[at].epoch = shards_[at].epoch.next();
                shards_[at].voters = {NodeId(1 + random_.below(9))};
                break;
            default: shards_[at].history_ms = version_;
        }
        return ShardMap::build(MapVersion(version_), shards_).value();
    }

    Bytes random_key() {
        Bytes key;
        for (std::uint64_t left = random_.below(4); left > 0; --left) {
            key += static_cast<char>('a' + random_.below(4));
        }
        return key;
    }

    [[nodiscard]] const std::vector<ShardRecord>& shards() const { return shards_; }
    Random& random() { return random_; }

private:
    void split(std::size_t at) {
        const Bytes key = random_key();
        if (key == shards_[at].range_start || !shards_[at].contains(key)) {
            return;
        }
        shards_.push_back(shard(next_id_++, "k", key, shards_[at].range_end));
        shards_[at].range_end = key;
        shards_[at].epoch = shards_[at].epoch.next();
    }
    void merge(std::size_t at) {
        const auto right =
            std::ranges::find(shards_, shards_[at].range_end, &ShardRecord::range_start);
        if (shards_[at].range_end.empty() || right == shards_.end()) {
            return;
        }
        shards_[at].range_end = right->range_end;
        shards_[at].epoch = shards_[at].epoch.next();
        shards_.erase(right);
    }

    Random random_;
    std::uint64_t version_ = 0;
    std::uint64_t next_id_ = 2;
    std::vector<ShardRecord> shards_ = {shard(1, "k", "", "")};
};

void expect_finds_what_a_walk_finds(EvolvingMap& model, const ShardMap& map) {
    const Bytes key = model.random_key();
    const Bytes end = model.random_key();
    std::vector<std::pair<Bytes, std::uint64_t>> expected;
    for (const ShardRecord& shard : model.shards()) {
        if (shard.contains(key)) {
            EXPECT_EQ(id_at(map, "k", key), shard.id.value());
        }
        const bool is_after = !end.empty() && shard.range_start >= end;
        const bool is_before = !shard.range_end.empty() && shard.range_end <= key;
        if (!is_after && !is_before && (end.empty() || key < end)) {
            expected.emplace_back(shard.range_start, shard.id.value());
        }
    }
    std::ranges::sort(expected);
    Ids in_order;
    for (const auto& [start, id] : expected) {
        in_order.push_back(id);
    }
    EXPECT_EQ(ids(map.overlapping("k", key, end)), in_order);
}

// Followers at random distances, told by deltas that may come late, twice or as a whole map.
TEST(ShardMap, IsFollowedByDeltasThroughAnyHistory) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(seed);
        EvolvingMap model(seed);
        std::vector<MapPointer> versions = {std::make_shared<ShardMap>()};
        MapPointer follower = versions.front();
        for (int step = 0; step < 60; ++step) {
            versions.push_back(model.next());
            expect_finds_what_a_walk_finds(model, *versions.back());
            const std::size_t from = model.random().chance(1, 2)
                                         ? follower->version().value()
                                         : model.random().below(versions.size());
            const std::size_t to = model.random().between(from, versions.size() - 1);
            const Bytes sent = encode_delta(difference(*versions[from], *versions[to]));

            const auto applied = apply_delta(follower, decode_delta(sent).value());

            const bool is_late = to <= follower->version().value();
            if (!is_late && from != 0 && from != follower->version().value()) {
                EXPECT_EQ(applied.status().code(), Code::kConflict);
                continue;
            }
            ASSERT_TRUE(applied.ok()) << applied.status().to_string();
            const auto version = std::max<std::size_t>(follower->version().value(), to);
            follower = *applied;
            EXPECT_TRUE(std::ranges::equal(follower->shards(), versions[version]->shards()));
        }
    }
}

}  // namespace
}  // namespace kvstore::cluster
