// The operations of a command, each a function over what stands at its key.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "mvcc/command.h"
#include "mvcc/internal/float_text.h"
#include "mvcc/internal/record_writer.h"
#include "mvcc/shard.h"
#include "storage/engine.h"

namespace kvstore::mvcc::internal {

// Lifetime   Owned by its shard.
// Runs on    The core of its group.
// Never      Allocates for a command that is like an earlier one: its buffers keep their room.
class Applier {
public:
    Applier(storage::Engine& engine, ShardState& state);

    // Applies one encoded command and tells `sink` (may be null) what came of it.
    // Errors: kCorruption, kIoError; the command may be half done then.
    Status apply(ByteView encoded, ApplySink* sink);
    // The same for a command of one operation without conditions, not encoded.
    Status apply(Version stamp, const Operation& operation, ApplySink* sink);

private:
    using Handler = Status (Applier::*)(const Operation& operation);
    // What an operation does; `on_one_key`: `found_` is what stands at its key, its condition
    // holds, and the record before is kept if wanted.
    struct Kind {
        Handler handler = nullptr;
        bool on_one_key = false;
    };
    static const Kind& kind_of(OperationKind kind);

    void end_command(bool conditions_held, ApplySink* sink);
    Result<bool> all_hold(const std::vector<KeyCondition>& conditions);
    Status apply_operations(const std::vector<Operation>& operations, ApplySink* sink);
    Status apply_operation(const Operation& operation);
    // Looks up the key. Returns: whether the operation's condition holds; the result is told if
    // not.
    Result<bool> admit(const Operation& operation, ByteView key);
    void refuse(Code code) { result_.code = code; }
    void keep_previous();
    void release_room();

    // ---- values: apply_values.cc ----
    Status get(const Operation& operation);
    Status put(const Operation& operation);
    Status increment(const Operation& operation);
    Status increment_float(const Operation& operation);
    Status append(const Operation& operation);
    Status set_range(const Operation& operation);
    // Stores `value` with the operation's expiry and lease. Requires: not bytes of the engine.
    void write(const Operation& operation, ByteView value);

    // ---- keys and the shard: apply_keys.cc ----
    Status erase(const Operation& operation);
    Status set_expiry(const Operation& operation);
    Status move(const Operation& operation);
    Status expire(const Operation& operation);
    Status erase_range(const Operation& operation);
    Status erase_slice(Bytes& from, ByteView to, bool* done);
    Result<std::uint64_t> count_expired();
    Status compact(const Operation& operation);
    Status configure(const Operation& operation);
    [[nodiscard]] bool takes_expiry(const Operation& operation) const;

    storage::Engine& engine_;
    ShardState& state_;
    RecordWriter writer_;
    Command command_;
    OperationResult result_;
    Found found_;
    Bytes previous_;  // the stored record before, while its value is shown
    Bytes value_;     // the value to write, where it is made from parts
    std::vector<Bytes> slice_;
    // Five kilobytes that few shards need.
    std::unique_ptr<FloatText> float_text_;
};

}  // namespace kvstore::mvcc::internal
