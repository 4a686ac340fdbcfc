#include "cluster/directory.h"

#include <utility>

namespace kvstore::cluster {

Result<std::shared_ptr<const ClusterView>> ClusterView::build(SystemRows rows) {
    auto view = std::make_shared<ClusterView>();
    for (const auto& [key, value] : rows.rows) {
        KVSTORE_CHECK_OK(view->metadata.add_row(key, value));
    }
    KVSTORE_TRY(view->map, ShardMap::build(rows.version, view->metadata.shards));
    view->rows = std::move(rows);
    return std::shared_ptr<const ClusterView>(std::move(view));
}

Status Directory::update(SystemRows rows) {
    if (rows.version <= version()) {
        return {};
    }
    KVSTORE_TRY(auto view, ClusterView::build(std::move(rows)));
    view_ = view;
    // A listener may add another, or bring a newer view, which all have been told of then.
    for (std::size_t i = 0; i < listeners_.size() && view_ == view; ++i) {
        listeners_[i](*view);
    }
    return {};
}

}  // namespace kvstore::cluster
