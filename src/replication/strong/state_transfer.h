// A shard's state on its way from one node to another: what the stream carries, and how it becomes
// an engine.
//
// The stream begins with a header that says whose state follows and of which index; then come
// chunks of rows in table and key order, and an end that counts and hashes them. The transport
// checks each chunk; the end finds what is missing, doubled or out of order. The rows include what
// the engine keeps of the group (group_meta.h), so the receiver knows term and configuration from
// the state itself. Format: docs/internals/state-transfer.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "raft/types.h"
#include "replication/host.h"
#include "rpc/transport.h"
#include "storage/engine.h"

namespace kvstore::replication {

struct TransferHeader {
    ShardDescription shard;
    NodeId from;
    Term term;      // of the leader that sends
    Index applied;  // of the rows
};

[[nodiscard]] Bytes encode_transfer_header(const TransferHeader& header);
// Errors: kCorruption.
Result<TransferHeader> decode_transfer_header(ByteView bytes);

// Takes chunks of a stream apart and puts their rows into an engine.
//
// Lifetime  Ends before the engine.
class StateReceiver {
public:
    explicit StateReceiver(storage::Engine* engine) : engine_(engine) {}

    // Errors: kCorruption: no chunk, or not the one that follows.
    Status take(ByteView chunk);
    // Whether the end has come, and was right.
    [[nodiscard]] bool is_complete() const { return is_complete_; }
    [[nodiscard]] std::uint64_t row_count() const { return row_count_; }

private:
    Status take_rows(ByteView rows);
    Status take_end(ByteView end);

    storage::Engine* engine_;
    std::uint64_t row_count_ = 0;
    std::uint64_t digest_ = 0;
    bool is_complete_ = false;
};

// Writes the rows of `source` and the end to `stream`. The caller finishes the stream.
// Errors: of the source and the stream.
async::Task<Status> send_state(storage::SnapshotSource* source, rpc::OutgoingStream* stream);

// Reads `stream` to its end into `engine`, which is new, and makes it durable as of `applied`.
// Errors: of the stream and the engine; kCorruption.
async::Task<Status> receive_state(rpc::IncomingStream* stream,
                                  storage::Engine* engine,
                                  Index applied);

}  // namespace kvstore::replication
