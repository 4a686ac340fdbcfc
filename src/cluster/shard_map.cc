#include "cluster/shard_map.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "base/coding.h"

namespace kvstore::cluster {
namespace {

constexpr std::uint64_t kDeltaFormat = 1;

std::string shard_text(const ShardRecord& shard) {
    return "shard " + std::to_string(shard.id.value());
}

// A key in a message: what can be printed, and no more than tells it apart.
std::string key_text(ByteView key) {
    constexpr std::size_t kShown = 32;
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string text = "'";
    for (const char c : key.substr(0, kShown)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            text += c;
        } else {
            text += "\\x";
            text += kHex[byte >> 4U];
            text += kHex[byte & 0xfU];
        }
    }
    return text + (key.size() > kShown ? "...'" : "'");
}

Status corrupt(std::string_view keyspace, const std::string& what) {
    return {Code::kCorruption, "keyspace '" + std::string(keyspace) + "': " + what};
}

// Whether `after` begins where `before` ends.
Status check_border(const ShardRecord& before, const ShardRecord& after) {
    if (before.range_end == after.range_start && !before.range_end.empty()) {
        return {};
    }
    const bool overlaps = before.range_end.empty() || before.range_end > after.range_start;
    if (overlaps) {
        return corrupt(after.keyspace,
                       shard_text(before) + " and " + shard_text(after) + " overlap at " +
                           key_text(after.range_start));
    }
    return corrupt(after.keyspace,
                   "no shard holds the keys from " + key_text(before.range_end) + " (end of " +
                       shard_text(before) + ") to " + key_text(after.range_start) + " (start of " +
                       shard_text(after) + ")");
}

Status check_cover(std::span<const ShardRecord> shards) {
    const ShardRecord& first = shards.front();
    if (!first.range_start.empty()) {
        return corrupt(first.keyspace,
                       "no shard holds the keys before " + key_text(first.range_start) +
                           " (start of " + shard_text(first) + ")");
    }
    for (std::size_t i = 1; i < shards.size(); ++i) {
        KVSTORE_CHECK_OK(check_border(shards[i - 1], shards[i]));
    }
    const ShardRecord& last = shards.back();
    if (!last.range_end.empty()) {
        return corrupt(last.keyspace,
                       "no shard holds the keys from " + key_text(last.range_end) + " (end of " +
                           shard_text(last) + ") on");
    }
    return {};
}

bool have_same_place(const ShardRecord& one, const ShardRecord& other) {
    return one.keyspace == other.keyspace && one.range_start == other.range_start &&
           one.range_end == other.range_end && one.voters == other.voters &&
           one.learners == other.learners;
}

// Which of two records of one shard stands, when `told` comes from a later version of the map.
Result<ShardRecord> later_of(const ShardRecord& known, ShardRecord told) {
    if (told.epoch < known.epoch) {
        return known;
    }
    if (told.epoch == known.epoch && !have_same_place(known, told)) {
        return corrupt(told.keyspace,
                       shard_text(told) + " has two sets of bounds and replicas at epoch " +
                           std::to_string(told.epoch.value()));
    }
    return told;
}

}  // namespace

Result<std::shared_ptr<const ShardMap>> ShardMap::build(MapVersion version,
                                                        std::vector<ShardRecord> shards) {
    std::ranges::sort(shards, {}, [](const ShardRecord& shard) {
        return std::tie(shard.keyspace, shard.range_start, shard.id);
    });
    auto map = std::make_shared<ShardMap>();
    map->version_ = version;
    map->shards_ = std::move(shards);
    KVSTORE_CHECK_OK(map->index_ids());
    KVSTORE_CHECK_OK(map->index_keyspaces());
    return std::shared_ptr<const ShardMap>(std::move(map));
}

Status ShardMap::index_ids() {
    by_id_.reserve(shards_.size());
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        by_id_.emplace_back(shards_[i].id, i);
    }
    std::ranges::sort(by_id_);
    const auto twice = std::ranges::adjacent_find(by_id_, {}, &decltype(by_id_)::value_type::first);
    if (twice != by_id_.end()) {
        const ShardRecord& shard = shards_[twice->second];
        return corrupt(shard.keyspace,
                       shard_text(shard) + " stands twice, at " + key_text(shard.range_start) +
                           " and at " + key_text(shards_[std::next(twice)->second].range_start));
    }
    return {};
}

Status ShardMap::index_keyspaces() {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        if (keyspaces_.empty() || keyspaces_.back().name != shards_[i].keyspace) {
            keyspaces_.push_back({.name = shards_[i].keyspace, .first = i, .count = 0});
        }
        ++keyspaces_.back().count;
    }
    for (const Keyspace& keyspace : keyspaces_) {
        KVSTORE_CHECK_OK(check_cover(shards().subspan(keyspace.first, keyspace.count)));
    }
    return {};
}

std::span<const ShardRecord> ShardMap::shards(std::string_view keyspace) const noexcept {
    const auto found = std::ranges::lower_bound(keyspaces_, keyspace, {}, &Keyspace::name);
    if (found == keyspaces_.end() || found->name != keyspace) {
        return {};
    }
    return shards().subspan(found->first, found->count);
}

const ShardRecord* ShardMap::find(std::string_view keyspace, ByteView key) const noexcept {
    const auto all = shards(keyspace);
    if (all.empty()) {
        return nullptr;
    }
    // The first shard starts at the first of all keys, so one before the bound always exists.
    const auto after = std::ranges::upper_bound(all, key, {}, &ShardRecord::range_start);
    return &*std::prev(after);
}

const ShardRecord* ShardMap::find(ShardId id) const noexcept {
    const auto found =
        std::ranges::lower_bound(by_id_, id, {}, &decltype(by_id_)::value_type::first);
    return found == by_id_.end() || found->first != id ? nullptr : &shards_[found->second];
}

std::span<const ShardRecord> ShardMap::overlapping(std::string_view keyspace,
                                                   ByteView start,
                                                   ByteView end) const noexcept {
    const auto all = shards(keyspace);
    if (all.empty() || (!end.empty() && start >= end)) {
        return {};
    }
    const auto first =
        std::prev(std::ranges::upper_bound(all, start, {}, &ShardRecord::range_start));
    const auto last =
        end.empty() ? all.end() : std::ranges::lower_bound(all, end, {}, &ShardRecord::range_start);
    return {first, last};
}

ShardMapDelta difference(const ShardMap& older, const ShardMap& newer) {
    KVSTORE_ASSERT(older.version() <= newer.version());
    ShardMapDelta delta{
        .from = older.version(), .to = newer.version(), .changed = {}, .removed = {}};
    for (const ShardRecord& shard : newer.shards()) {
        const ShardRecord* before = older.find(shard.id);
        if (before == nullptr || *before != shard) {
            delta.changed.push_back(shard);
        }
    }
    for (const ShardRecord& shard : older.shards()) {
        if (newer.find(shard.id) == nullptr) {
            delta.removed.push_back({.id = shard.id, .epoch = shard.epoch});
        }
    }
    return delta;
}

ShardMapDelta difference(const ShardMap& map) {
    return difference(ShardMap(), map);
}

Result<std::shared_ptr<const ShardMap>> apply_delta(const std::shared_ptr<const ShardMap>& map,
                                                    ShardMapDelta delta) {
    if (delta.to <= map->version()) {
        return map;
    }
    const bool is_whole = delta.from == MapVersion();
    if (!is_whole && delta.from != map->version()) {
        return Status(Code::kConflict,
                      "changes of the shard map since version " +
                          std::to_string(delta.from.value()) + " do not continue version " +
                          std::to_string(map->version().value()));
    }
    std::map<ShardId, ShardRecord> shards;
    if (!is_whole) {
        for (const ShardRecord& shard : map->shards()) {
            shards.emplace(shard.id, shard);
        }
        for (const ShardRemoval& removal : delta.removed) {
            const auto known = shards.find(removal.id);
            if (known != shards.end() && known->second.epoch <= removal.epoch) {
                shards.erase(known);
            }
        }
    }
    for (ShardRecord& told : delta.changed) {
        const ShardRecord* known = map->find(told.id);
        if (known != nullptr) {
            KVSTORE_TRY(told, later_of(*known, std::move(told)));
        }
        const ShardId id = told.id;
        shards.insert_or_assign(id, std::move(told));
    }
    std::vector<ShardRecord> all;
    all.reserve(shards.size());
    for (auto& [id, shard] : shards) {
        all.push_back(std::move(shard));
    }
    return ShardMap::build(delta.to, std::move(all));
}

Bytes encode_delta(const ShardMapDelta& delta) {
    Bytes to;
    put_varint(to, kDeltaFormat);
    put_varint(to, delta.from.value());
    put_varint(to, delta.to.value());
    put_varint(to, delta.changed.size());
    for (const ShardRecord& shard : delta.changed) {
        put_length_prefixed(to, encode_shard(shard));
    }
    put_varint(to, delta.removed.size());
    for (const ShardRemoval& removal : delta.removed) {
        put_varint(to, removal.id.value());
        put_varint(to, removal.epoch.value());
    }
    return to;
}

Result<ShardMapDelta> decode_delta(ByteView bytes) {
    Decoder decoder(bytes);
    const Status unreadable(Code::kCorruption, "unreadable changes of the shard map");
    const bool is_known = decoder.varint() == kDeltaFormat;
    ShardMapDelta delta;
    delta.from = MapVersion(decoder.varint());
    delta.to = MapVersion(decoder.varint());
    // Counts are not trusted with memory: each turn of these loops takes bytes.
    for (std::uint64_t left = decoder.varint(); left > 0 && decoder.ok(); --left) {
        const ByteView record = decoder.length_prefixed();
        if (!decoder.ok()) {
            return unreadable;
        }
        KVSTORE_TRY(ShardRecord shard, decode_shard(record));
        delta.changed.push_back(std::move(shard));
    }
    for (std::uint64_t left = decoder.varint(); left > 0 && decoder.ok(); --left) {
        const ShardId id(decoder.varint());
        const ShardEpoch epoch(decoder.varint());
        delta.removed.push_back({.id = id, .epoch = epoch});
    }
    if (!is_known || !decoder.at_end() || delta.from > delta.to) {
        return unreadable;
    }
    return delta;
}

}  // namespace kvstore::cluster
