// The outcome of a command as bytes, for a proposer on another node.
//
//     format (1 byte: 1), then for each operation
//         1 (1 byte), code (a byte, as in wire/status.h; 0: ok), flags (1 byte: 1 changed, 2 had
//         previous, 4 previous follows), number (zigzag), text (length-prefixed), the previous
//         record as stored (length-prefixed)
//     and at the end
//         2 (1 byte), flags (1 byte: 1 conditions held, 2 changed), revision, stamp
//
// Integers are varints.
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "base/status.h"
#include "mvcc/command.h"

namespace kvstore::replication {

// Collects an outcome while it is told.
class OutcomeWriter final : public mvcc::ApplySink {
public:
    // What fits into an answer, with something to spare.
    static constexpr std::size_t kBytesMax = 60U << 20U;

    explicit OutcomeWriter(std::size_t bytes_max = kBytesMax);
    virtual ~OutcomeWriter() = default;
    void on_operation(std::size_t at, const mvcc::OperationResult& result) override;
    void on_command(const mvcc::CommandResult& result) override;

    // False: it is longer than it may be, and bytes() lack something.
    [[nodiscard]] bool is_whole() const { return is_whole_; }
    [[nodiscard]] const Bytes& bytes() const { return bytes_; }

private:
    Bytes bytes_;
    std::size_t bytes_max_;
    bool is_whole_ = true;
};

// Tells `sink` what an OutcomeWriter was told; null: nobody wants to know.
// Errors: kCorruption; `sink` may have been told of operations, and not of the command.
Status replay_outcome(ByteView bytes, mvcc::ApplySink* sink);

}  // namespace kvstore::replication
