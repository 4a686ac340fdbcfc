// Messages of Raft groups as bytes: what the nodes of a cluster say to one another most.
//
// A batch is a sequence of messages, one behind the other; a sender appends whatever its groups
// have to say in a turn, and a receiver takes it apart without copying entries. Format:
// docs/internals/wire.md.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "raft/messages.h"

namespace kvstore::wire {

// Of one message. Bounds what a corrupt count can ask for.
inline constexpr std::size_t kRaftEntriesMax = 64U << 10U;

// Appends the message. Both ends are known from the connection, so `from` and `to` are not written.
void encode_raft_message(const raft::Message& message, Bytes& to);

// Takes a batch apart and appends its messages; they get `from` and `to`, and entries are windows
// into `batch`, which `owner` keeps alive.
//
// Errors: kCorruption: nothing of the batch may be used. `messages` is in no defined state then.
Status decode_raft_messages(const std::shared_ptr<const void>& owner,
                            ByteView batch,
                            NodeId from,
                            NodeId to,
                            std::vector<raft::Message>& messages);

// A configuration as bytes, for whoever keeps one beside data.
void encode_conf_state(const raft::ConfState& conf, Bytes& to);
// Errors: kCorruption.
Result<raft::ConfState> decode_conf_state(ByteView bytes);

}  // namespace kvstore::wire
