// What this node knows of the cluster now: the newest copy of the system shard's rows that it has
// seen, taken apart. Everybody on the node routes and acts by it, and may be a little behind.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/callback.h"
#include "base/status.h"
#include "cluster/metadata_store.h"
#include "cluster/records.h"
#include "cluster/shard_map.h"

namespace kvstore::cluster {

// Immutable; shared by whoever reads it.
struct ClusterView {
    SystemRows rows;
    Metadata metadata;                    // of `rows`
    std::shared_ptr<const ShardMap> map;  // of metadata.shards, at rows.version

    // Errors: kCorruption, as Metadata::add_row() and ShardMap::build().
    static Result<std::shared_ptr<const ClusterView>> build(SystemRows rows);
};

// Lifetime  Owned by the node; listeners outlive it or are removed.
// Runs on   One core.
class Directory {
public:
    using Listener = Callback<void(const ClusterView& view)>;

    // The empty view at version 0 before the first update.
    [[nodiscard]] const std::shared_ptr<const ClusterView>& view() const { return view_; }
    [[nodiscard]] MapVersion version() const { return view_->rows.version; }

    // Takes a newer view and tells the listeners; an older one, or the same, is passed over.
    // Errors: kCorruption; the view stays.
    Status update(SystemRows rows);

    // Called from inside update(), in the order in which they were added.
    void add_listener(Listener listener) { listeners_.push_back(std::move(listener)); }

private:
    std::shared_ptr<const ClusterView> view_ = std::make_shared<const ClusterView>(
        ClusterView{.rows = {}, .metadata = {}, .map = std::make_shared<const ShardMap>()});
    std::vector<Listener> listeners_;
};

}  // namespace kvstore::cluster
