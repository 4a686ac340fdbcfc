#include "raft/votes.h"

#include <iterator>

namespace kvstore::raft {

Majority::Majority(std::vector<NodeId> ids) : ids_(std::move(ids)) {
    std::sort(ids_.begin(), ids_.end());
    ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
}

bool Majority::contains(NodeId id) const noexcept {
    return std::binary_search(ids_.begin(), ids_.end(), id);
}

void Majority::insert(NodeId id) {
    const auto place = std::lower_bound(ids_.begin(), ids_.end(), id);
    if (place == ids_.end() || *place != id) {
        ids_.insert(place, id);
    }
}

void Majority::erase(NodeId id) {
    const auto place = std::lower_bound(ids_.begin(), ids_.end(), id);
    if (place != ids_.end() && *place == id) {
        ids_.erase(place);
    }
}

std::vector<NodeId> Voters::ids() const {
    std::vector<NodeId> all;
    all.reserve(incoming.size() + outgoing.size());
    std::set_union(incoming.ids().begin(),
                   incoming.ids().end(),
                   outgoing.ids().begin(),
                   outgoing.ids().end(),
                   std::back_inserter(all));
    return all;
}

namespace {

bool id_below(const std::pair<NodeId, Vote>& entry, NodeId id) {
    return entry.first < id;
}

}  // namespace

void Tally::record(NodeId id, Vote vote) {
    const auto place = std::lower_bound(votes_.begin(), votes_.end(), id, id_below);
    if (place == votes_.end() || place->first != id) {
        votes_.insert(place, {id, vote});
    }
}

Vote Tally::of(NodeId id) const noexcept {
    const auto place = std::lower_bound(votes_.begin(), votes_.end(), id, id_below);
    return place != votes_.end() && place->first == id ? place->second : Vote::kMissing;
}

}  // namespace kvstore::raft
