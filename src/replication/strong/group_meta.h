// What a replica's engine keeps beside the rows of its shard, for the Raft group: under the key
// "group" of the meta table, written in the same batch as the entry that changed it.
//
// So an engine always says of which term its applied index is and who belonged to the group there,
// which is what a log needs to go on after it.
#pragma once

#include <optional>
#include <string_view>

#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "raft/types.h"
#include "storage/engine.h"

namespace kvstore::replication {

inline constexpr std::string_view kGroupMetaKey = "group";

struct GroupMeta {
    Term term;  // of the entry at the engine's applied index
    raft::ConfState conf;

    // Whether `node` is the only voter.
    [[nodiscard]] bool is_alone(NodeId node) const {
        return conf.voters.size() == 1 && conf.voters.front() == node &&
               conf.voters_outgoing.empty();
    }
    // Whether there is anybody who may ask this member for its log or its state.
    [[nodiscard]] bool has_others() const {
        return conf.voters.size() + conf.voters_outgoing.size() + conf.learners.size() +
                   conf.learners_next.size() >
               1;
    }
};

[[nodiscard]] Bytes encode_group_meta(const GroupMeta& meta);
// Errors: kCorruption.
Result<GroupMeta> decode_group_meta(ByteView bytes);

// Nullopt: the engine is new. Errors: kCorruption, kIoError.
async::Task<Result<std::optional<GroupMeta>>> load_group_meta(storage::Engine* engine);

}  // namespace kvstore::replication
