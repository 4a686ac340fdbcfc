// The place of one command's reply in the order of its connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "frontend/resp/command.h"
#include "frontend/resp/reply_writer.h"

namespace kvstore::resp {

class Core;
class Session;
class Transaction;

// A command that was not answered yet, or was answered before its turn.
//
// Lifetime  Owned by the core's pool. Between take and release it belongs to a session, or, after
//           that has closed, to the proposal or coroutine that is under way and releases it.
class Slot final : public replication::Proposal {
public:
    enum class State : std::uint8_t {
        kDone,      // `reply` waits for its turn
        kPending,   // a write was proposed
        kDeferred,  // a read waits for the writes before it
        kRunning,   // a coroutine will finish it
    };

    explicit Slot(Core& core);
    ~Slot();

    void on_operation(std::size_t at, const mvcc::OperationResult& result) override;
    void on_command(const mvcc::CommandResult& result) override;
    void on_failed(const Status& why) override;

    // The reply is complete: takes its turn in the session, or, without one, is released.
    void finish();

    Session* session = nullptr;  // null: the connection has closed
    Slot* next = nullptr;        // in the session, or in the pool
    State state = State::kDone;
    bool is_silent = false;          // CLIENT REPLY: the reply is dropped
    bool is_uncertain_read = false;  // counted by the session
    std::size_t byte_count = 0;      // of copied arguments; counted by the session
    const CommandSpec* spec = nullptr;
    const Finisher* finisher = nullptr;
    OwnedArguments arguments;
    kv::KeyspaceHandle keyspace;  // of a deferred read
    ShardId shard;                // of a write
    Bytes reply;
    Answer answer;
    std::unique_ptr<Transaction> transaction;

private:
    Core& core_;
};

}  // namespace kvstore::resp
