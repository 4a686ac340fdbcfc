// Reading the tables of a view: the state, and what a key was at a revision.
#pragma once

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "mvcc/internal/keys.h"
#include "mvcc/shard.h"
#include "storage/engine.h"

namespace kvstore::mvcc::internal {

// The state that stands beside the view's records; that of an empty shard where there is none.
// Errors: kCorruption, kIoError.
Result<ShardState> read_state(storage::View& view);

// Errors: kCompacted, kFutureRevision.
Status check_retained(const ShardState& state, Revision as_of);

// What the index says of a key at a revision.
struct PastRecord {
    enum class Answer : std::uint8_t {
        kUnchanged,  // nothing: kCurrent's record if it is that old, or else absent
        kAbsent,
        kRecord,
    };
    Answer answer = Answer::kUnchanged;
    ByteView stored{};  // kRecord: until the next call with the same cursor or view
};

// Moves `index`, a cursor of kIndex. `scratch` is overwritten.
// Errors: kCorruption, kIoError.
Result<PastRecord> read_past(
    storage::View& view, storage::Cursor& index, ByteView key, Revision as_of, Bytes& scratch);

}  // namespace kvstore::mvcc::internal
