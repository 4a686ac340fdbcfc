// A proposal that remembers what it was told.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/callback.h"
#include "base/status.h"
#include "mvcc/command.h"
#include "replication/group.h"

namespace kvstore::replication::testing {

class Told final : public Proposal {
public:
    Told() = default;
    Told(const Told&) = delete;
    Told& operator=(const Told&) = delete;
    virtual ~Told() = default;

    void on_operation(std::size_t at, const mvcc::OperationResult& result) override {
        KVSTORE_ASSERT(at == numbers.size());
        numbers.push_back(result.number);
        codes.push_back(result.code);
    }
    void on_command(const mvcc::CommandResult& result) override {
        KVSTORE_ASSERT(!is_over());
        command = result;
        if (then) {
            then();
        }
    }
    void on_failed(const Status& why) override {
        KVSTORE_ASSERT(!is_over());
        failure = why;
        if (then) {
            then();
        }
    }

    [[nodiscard]] bool is_done() const { return command.has_value(); }
    [[nodiscard]] bool is_over() const { return is_done() || !failure.ok() || !refusal.ok(); }

    Status refusal;  // of propose(): the proposal was never taken
    Status failure;
    std::optional<mvcc::CommandResult> command;
    std::vector<std::int64_t> numbers;
    std::vector<Code> codes;
    Callback<void()> then;  // from inside the outcome
};

inline mvcc::Operation put_of(ByteView key, ByteView value) {
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kPut;
    operation.key = key;
    operation.argument = value;
    return operation;
}

inline mvcc::Operation increment_of(ByteView key) {
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kIncrement;
    operation.expiry_mode = mvcc::ExpiryMode::kKeep;
    operation.key = key;
    operation.delta = 1;
    return operation;
}

}  // namespace kvstore::replication::testing
