// Whether a condition holds for what stands at a key.
#pragma once

#include "mvcc/command.h"
#include "mvcc/internal/record_writer.h"

namespace kvstore::mvcc::internal {

// A record that has expired counts as absent. An absent key has revisions and a version count of 0;
// it has no value, so that neither kValue nor kValueNot holds (as in etcd).
[[nodiscard]] bool holds(const Condition& condition, const Found& found);

}  // namespace kvstore::mvcc::internal
