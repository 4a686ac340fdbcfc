// Whether a replica has anything to show.
#pragma once

#include "base/status.h"
#include "replication/group.h"

namespace kvstore::kv {

// Whether one has applied nothing: it was made a moment ago and waits for its leader.
[[nodiscard]] inline bool is_empty(replication::Group& group) {
    return group.has_replica() && !group.can_read_now() && group.shard().applied_index() == Index();
}

// Whether there is a state here to show, however old. A replica that has failed may hold anything.
// Requires: there is a replica here.
[[nodiscard]] inline Status check_replica(replication::Group& group) {
    if (group.can_read_now()) {
        return {};
    }
    if (!group.has_sound_state()) {
        return group.health();
    }
    if (is_empty(group)) {
        return {Code::kUnavailable, "this replica was not sent the shard's state yet"};
    }
    return {};
}

}  // namespace kvstore::kv
