// How a configuration change travels in a log entry.
//
//     offset  size  field
//          0     1  format      1
//          1     1  transition  Transition
//          2     2  count       of steps, little-endian
//          4   9*n  steps       operation (1), node id (8, little-endian)
//        4+9n     m  context    the rest
//
// An empty payload is the empty change, which leaves a joint configuration.
#pragma once

#include "base/status.h"
#include "raft/types.h"

namespace kvstore::raft {

inline constexpr std::size_t kConfStepsMax = 256;

// Requires: at most kConfStepsMax steps.
[[nodiscard]] Payload encode_conf_change(const ConfChange& change);

// Errors: kCorruption: these bytes are no change that encode_conf_change() made.
[[nodiscard]] Result<ConfChange> decode_conf_change(const Payload& payload);

}  // namespace kvstore::raft
