// The system shard as the cluster's own code uses it: rows under keys, read whole, written by
// conditions. The node implements it over kv; tests keep a map.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "async/deadline.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/status.h"
#include "cluster/records.h"
#include "cluster/shard_map.h"

namespace kvstore::cluster {

// Every row of the system shard at one of its revisions, which is the version of the map.
struct SystemRows {
    MapVersion version;
    std::vector<std::pair<Bytes, Bytes>> rows;  // by key

    // What stands under `key`, as it was read.
    [[nodiscard]] std::optional<Bytes> find(ByteView key) const {
        for (const auto& [stands, value] : rows) {
            if (stands == key) {
                return value;
            }
        }
        return std::nullopt;
    }

    friend bool operator==(const SystemRows&, const SystemRows&) = default;
};

struct MetadataChange {
    Bytes key;
    std::optional<Bytes> value;     // none: the row goes
    std::optional<Bytes> expected;  // what must stand there now; none: nothing may
};

// Runs on  One core.
class MetadataStore {
public:
    virtual ~MetadataStore() = default;

    // Linearizable. Errors: kUnavailable, kDeadlineExceeded, kCorruption.
    virtual async::Task<Result<SystemRows>> read(async::Deadline deadline) = 0;
    // All of the changes or none. Errors: kConflict: one does not find what it expects, nothing was
    // done. Those of a write, with the effect.
    virtual async::Task<Status> write(std::vector<MetadataChange> changes,
                                      async::Deadline deadline) = 0;
    // What the replica on this node holds, when that is newer than `known`; may be old all the
    // same. Nullopt: it is not, or there is no replica here.
    [[nodiscard]] virtual std::optional<SystemRows> read_local(MapVersion known) = 0;
    // Whether this node leads the system shard, as far as it knows.
    [[nodiscard]] virtual bool is_leader() const = 0;
};

}  // namespace kvstore::cluster
