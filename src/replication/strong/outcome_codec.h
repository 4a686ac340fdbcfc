// The outcome of a command as bytes, for a proposer on another node.
//
//     format (1 byte), then for each operation
//         1 (1 byte), code, flags (1: changed, 2: had previous, 4: previous follows), number
//         (zigzag), text (length-prefixed), the previous record as stored (length-prefixed)
//     and at the end
//         2 (1 byte), flags (1: conditions held, 2: changed), revision, stamp
//
// Integers are varints.
#pragma once

#include "base/bytes.h"
#include "base/status.h"
#include "mvcc/command.h"
#include "replication/group.h"

namespace kvstore::replication {

// Collects an outcome while it is told.
class OutcomeWriter final : public mvcc::ApplySink {
public:
    OutcomeWriter();
    virtual ~OutcomeWriter() = default;
    void on_operation(std::size_t at, const mvcc::OperationResult& result) override;
    void on_command(const mvcc::CommandResult& result) override;

    [[nodiscard]] const Bytes& bytes() const { return bytes_; }

private:
    Bytes bytes_;
};

// Tells `sink` what an OutcomeWriter was told. Errors: kCorruption; `sink` may have been told a
// part.
Status replay_outcome(ByteView bytes, mvcc::ApplySink* sink);

}  // namespace kvstore::replication
