// The system shard's rows, for kv itself and for the cluster's code (cluster/metadata_store.h).
#pragma once

#include <optional>
#include <vector>

#include "cluster/metadata_store.h"
#include "kv/kv.h"

namespace kvstore::kv {

// Lifetime  Owned by Kv.
// Runs on   One core.
class SystemStore final : public cluster::MetadataStore {
public:
    // `system` is the handle of the system keyspace.
    SystemStore(Kv& kv, KeyspaceHandle system) : kv_(kv), system_(std::move(system)) {}

    async::Task<Result<cluster::SystemRows>> read(async::Deadline deadline) override;
    async::Task<Status> write(std::vector<cluster::MetadataChange> changes,
                              async::Deadline deadline) override;
    [[nodiscard]] std::optional<cluster::SystemRows> read_local(cluster::MapVersion known) override;
    [[nodiscard]] bool is_leader() const override;

private:
    // One page after the other into `rows`. Returns: whether all are of one revision.
    async::Task<Result<bool>> read_pages(cluster::SystemRows* rows, async::Deadline deadline);

    Kv& kv_;
    KeyspaceHandle system_;
};

}  // namespace kvstore::kv
