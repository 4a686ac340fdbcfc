// Our values as etcd/raft's interaction tests print them. What our core names
// differently, or keeps apart, is brought back together here and in no other place.
#pragma once

#include <string>
#include <vector>

#include "raft/configuration.h"
#include "raft/messages.h"
#include "raft/node_status.h"
#include "raft/types.h"

namespace kvstore::raft::conformance {

// In `context` of a change, so that it prints as the older of etcd's two kinds.
inline constexpr const char* kVersionOne = "v1";

[[nodiscard]] std::string type_name(raft::MessageKind kind);
[[nodiscard]] std::string role_name(raft::Role role);
[[nodiscard]] std::string describe(const raft::Entry& entry);
[[nodiscard]] std::string describe(const std::vector<raft::Entry>& entries);
[[nodiscard]] std::string describe(const raft::ConfState& state);
[[nodiscard]] std::string describe(const raft::SnapshotMeta& snapshot);
[[nodiscard]] std::string describe(const raft::HardState& state);
[[nodiscard]] std::string describe(const raft::Message& message, const std::string& indent = "");
[[nodiscard]] std::string describe(const raft::SelfAnswer& answer, NodeId id);
[[nodiscard]] std::string describe(const raft::PeerStatus& peer);
// " Entries:[…]" as messages print it; empty for none.
[[nodiscard]] std::string describe_entry_list(const std::vector<raft::Entry>& entries,
                                              const std::string& indent = "");

[[nodiscard]] std::vector<raft::ConfStep> parse_steps(const std::string& text);
[[nodiscard]] std::string hex(std::uint64_t value);

}  // namespace kvstore::raft::conformance
