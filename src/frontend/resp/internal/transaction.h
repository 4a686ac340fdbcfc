// MULTI to EXEC: what was queued and watched, and the queue as one command of the shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "frontend/resp/command.h"
#include "kv/kv.h"

namespace kvstore::resp {

// One queued command, then its part of the transaction.
class TransactionStep {
public:
    const CommandSpec* spec = nullptr;
    OwnedArguments arguments;

    // Its operations within the command; none: it is answered between those of others.
    std::size_t first_operation = 0;
    std::size_t operation_count = 0;
    const Finisher* finisher = nullptr;  // null: a read, whose handler runs on the records
    std::int64_t number = 0;
    std::deque<Bytes> values;  // that the records show
    std::vector<LoadedRecord> records;
    AwaitedHandler awaited = nullptr;
    Bytes reply;
    bool is_done = false;
    std::deque<Bytes> kept;  // that the operations show

    // For Call::write(): adds the operations to the transaction's.
    void plan(const mvcc::Operation& operation, const Finisher& how, std::int64_t with_number);
    mvcc::Command* command = nullptr;
};

struct WatchedKey {
    kv::KeyspaceHandle keyspace;
    Bytes key;
    Revision mod_revision;  // 0: absent
};

// The state of a connection between MULTI and EXEC.
class TransactionQueue {
public:
    [[nodiscard]] bool is_open() const { return is_open_; }
    void open() { is_open_ = true; }
    // A command was refused: EXEC will be.
    void spoil() { is_spoiled_ = is_open_; }
    [[nodiscard]] bool is_spoiled() const { return is_spoiled_; }
    void add(const CommandSpec& spec, Arguments arguments);
    void watch(kv::KeyspaceHandle keyspace, ByteView key, Revision mod_revision);
    [[nodiscard]] bool watches(const kv::Keyspace& keyspace, ByteView key) const;
    [[nodiscard]] const std::vector<WatchedKey>& watched() const { return watched_; }
    void unwatch() { watched_.clear(); }
    // Whether the shard orders it: it reads, writes or compares keys.
    [[nodiscard]] bool has_keys() const { return has_keys_ || !watched_.empty(); }
    [[nodiscard]] std::size_t size() const { return steps_.size(); }
    [[nodiscard]] std::size_t byte_count() const { return byte_count_; }
    // Ends the transaction and forgets what was watched.
    void close();

    std::deque<TransactionStep> take_steps() { return std::exchange(steps_, {}); }
    std::vector<WatchedKey> take_watched() { return std::exchange(watched_, {}); }

private:
    bool is_open_ = false;
    bool is_spoiled_ = false;
    bool has_keys_ = false;
    std::size_t byte_count_ = 0;
    std::deque<TransactionStep> steps_;
    std::vector<WatchedKey> watched_;
};

// An EXEC under way.
//
// Lifetime  Owned by its slot.
class Transaction {
public:
    Transaction(Core& core, Session& session, TransactionQueue& queue);

    // Plans every step into command(). Watched keys of other keyspaces are compared now.
    // Returns: false when one of them has changed.
    bool plan(Session& session);

    [[nodiscard]] const mvcc::Command& command() const { return command_; }
    // Whether the shard has anything to do.
    [[nodiscard]] bool has_command() const {
        return !command_.operations.empty() || !command_.conditions.empty();
    }

    // `session` is null when the connection has closed: nobody is told then.
    void on_operation(Session* session, std::size_t at, const mvcc::OperationResult& result);
    // Runs what is left.
    void on_end(Session* session, bool conditions_held);
    // Whether a coroutine must finish it: finish() is to be awaited.
    [[nodiscard]] bool has_awaited() const { return has_awaited_; }
    void write_reply(ReplyWriter& reply);

    std::deque<TransactionStep>& steps() { return steps_; }
    [[nodiscard]] const kv::KeyspaceHandle& keyspace() const { return keyspace_; }

private:
    void plan_step(Session& session, TransactionStep& step);
    void plan_reads(TransactionStep& step);
    [[nodiscard]] ByteView first_key() const;
    static void take_record(TransactionStep& step, const mvcc::OperationResult& result);
    void run_steps_without_operations(Session& session);
    void run_step(Session& session, TransactionStep& step);
    void note_done(TransactionStep& step);

    Core& core_;
    kv::KeyspaceHandle keyspace_;
    Protocol protocol_;
    std::deque<TransactionStep> steps_;
    std::vector<WatchedKey> watched_;
    mvcc::Command command_;
    std::size_t next_step_ = 0;
    bool has_keys_ = false;
    bool conditions_held_ = true;
    bool has_awaited_ = false;
};

}  // namespace kvstore::resp
