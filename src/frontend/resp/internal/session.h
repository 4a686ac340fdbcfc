// One connection: takes requests from its input, runs them, and keeps their replies in order.
//
// While nothing is under way, a reply goes straight to the output. Otherwise each command has a
// slot in a list, and replies leave from its front. Writes are proposed as they are parsed, so a
// whole pipeline shares one group commit; a read behind a pending write waits for it, and runs
// inside its completion, before a later write of the connection can be applied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "env/network.h"
#include "frontend/resp/command.h"
#include "frontend/resp/internal/slot.h"
#include "frontend/resp/internal/transaction.h"
#include "frontend/resp/request_parser.h"
#include "kv/kv.h"

namespace kvstore::resp {

class Core;

enum class ReplyMode : std::uint8_t { kOn, kOff, kSkipNext, kSkip };

// Lifetime  Owned by its connection. Slots outlive it where their work is under way.
// Runs on   One core.
//
// Invariants
//   a command's reply follows the replies of all commands before it
//   a read sees every write before it on the connection, and none after it
//   slot_count_ is the length of the list from first_ to last_
class Session final : public env::ConnectionHandler {
public:
    Session(Core& core, env::Connection& connection, std::uint64_t id);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void on_input(env::Connection& connection) override;
    void on_output_drained(env::Connection& connection) override;
    void on_input_end(env::Connection& connection) override;
    void on_closed(env::Connection& connection, const Status& reason) override;

    // ---- for handlers ----

    [[nodiscard]] std::uint64_t id() const { return id_; }
    [[nodiscard]] const env::Connection& connection() const { return connection_; }
    [[nodiscard]] const kv::KeyspaceHandle& keyspace() const { return keyspace_; }
    [[nodiscard]] unsigned database() const { return database_; }
    void select(unsigned database, kv::KeyspaceHandle keyspace);
    [[nodiscard]] Protocol protocol() const { return protocol_; }
    void use_protocol(Protocol protocol) { protocol_ = protocol; }
    [[nodiscard]] ReplyMode reply_mode() const { return reply_mode_; }
    void use_reply_mode(ReplyMode mode) { reply_mode_ = mode; }
    [[nodiscard]] bool has_slots() const { return first_ != nullptr; }
    [[nodiscard]] bool has_input_ended() const { return has_input_ended_; }
    [[nodiscard]] TransactionQueue& transaction() { return transaction_; }
    // The level of this connection's reads, and what it has seen.
    [[nodiscard]] const kv::CallContext& reads() const { return reads_; }
    void use_consistency(kv::Consistency level, Duration max_staleness);
    // Whether its reads may be of a replica that is behind.
    [[nodiscard]] bool is_readonly() const {
        return reads_.consistency != kv::Consistency::kLinearizable;
    }
    // Closes after what was asked so far has been answered; nothing more is parsed.
    void close_after_replies();
    void close_now();
    // As a new connection, but for its id.
    void reset();

    struct Facts {
        std::string name;
        std::string library_name;
        std::string library_version;
        std::string_view last_command = "NULL";
        std::uint64_t connected_ms = 0;
        std::uint64_t last_used_ms = 0;
        bool is_no_evict = false;
        bool is_no_touch = false;
    };
    [[nodiscard]] Facts& facts() { return facts_; }
    [[nodiscard]] std::size_t input_size() const { return connection_.input().size(); }
    [[nodiscard]] std::size_t output_size() const { return connection_.output_size(); }
    [[nodiscard]] std::size_t slot_count() const { return slot_count_; }

    // ---- for Call, Slot and Core ----

    Outcome propose(const CommandSpec& spec,
                    const mvcc::Operation& operation,
                    const Finisher& finisher,
                    std::int64_t number);
    Outcome propose(const CommandSpec& spec,
                    const mvcc::Command& command,
                    const Finisher& finisher,
                    std::int64_t number);
    Outcome propose(const CommandSpec& spec, std::unique_ptr<Transaction> transaction);
    Outcome await(const CommandSpec& spec, Arguments arguments, AwaitedHandler handler);
    // The transaction was applied, but commands in it have to wait.
    void finish_transaction(Slot& slot);
    void on_slot_done(Slot& slot);
    // Goes on with input that was left.
    void resume();
    // When the rest of a request that has begun to arrive must be there; max() when there is none.
    [[nodiscard]] MonotonicTime request_due() const;
    // Ends the connection, since the rest did not come.
    void give_up_request();

    [[nodiscard]] ReplyWriter writer(Bytes& to);

    // For the core's list of sessions.
    Session* previous = nullptr;
    Session* next = nullptr;
    bool is_resume_due = false;

private:
    // A request that was parsed and did not run yet.
    struct Gathered {
        const CommandSpec* spec;  // null: there is none of that name
        std::size_t first;        // of its arguments in gathered_arguments_
        std::size_t count;
        std::size_t end;  // in the input
    };

    [[nodiscard]] bool can_parse() const;
    void process();
    RequestParser::Outcome gather(ByteView input, std::size_t from);
    void hint_at_key(const Gathered& request);
    std::size_t run_gathered(std::size_t& taken);
    void end_processing(std::size_t taken);
    void note_rest_of_input(std::size_t taken);
    void wake_when_possible();

    bool dispatch(const CommandSpec* spec, Arguments arguments);
    bool enqueue(const CommandSpec& spec, Arguments arguments);
    void reject(const CommandSpec* spec, std::string_view error);
    void reply_in_turn(std::string_view error);
    bool run(const CommandSpec& spec, Arguments arguments);
    bool run_first(const CommandSpec& spec, Arguments arguments);
    bool run_behind_others(const CommandSpec& spec, Arguments arguments);

    Slot& push_slot(const CommandSpec& spec, Slot::State state);
    Slot& push_write(const CommandSpec& spec);
    static Outcome submitted(Slot& slot, const Status& status);
    void pop_first();
    void drain();
    void defer(const CommandSpec& spec, Arguments arguments);
    void run_deferred(Slot& slot);
    void load(Slot& slot);
    void load(const CommandSpec& spec, Arguments arguments);

    Core& core_;
    env::Connection& connection_;
    const std::uint64_t id_;
    RequestParser parser_;
    std::vector<Gathered> gathered_;
    std::vector<ByteView> gathered_arguments_;
    kv::KeyspaceHandle keyspace_;
    unsigned database_ = 0;
    Protocol protocol_ = Protocol::kResp2;
    ReplyMode reply_mode_ = ReplyMode::kOn;
    kv::CallContext reads_;  // its session is never null
    TransactionQueue transaction_;
    Facts facts_;

    Slot* first_ = nullptr;
    Slot* last_ = nullptr;
    std::size_t slot_count_ = 0;
    std::size_t pending_writes_ = 0;
    std::size_t deferred_reads_ = 0;
    // Reads whose moment is not settled when the next command is parsed, since they may have to
    // wait for the disk: writes wait behind them, or they could see those.
    std::size_t uncertain_reads_ = 0;
    std::size_t waiting_bytes_ = 0;

    std::optional<MonotonicTime> unfinished_since_;  // a request that has not come whole

    bool is_processing_ = false;
    bool is_awaiting_ = false;     // a coroutine command runs: nothing is parsed
    bool needs_no_slots_ = false;  // the next request waits until all before it are answered
    bool is_stalled_ = false;      // input was left though it may hold requests
    bool is_input_paused_ = false;
    bool is_closing_ = false;  // nothing more is parsed
    bool has_input_ended_ = false;
    bool is_draining_ = false;
    const bool& is_paused_;  // CLIENT PAUSE, of the core
};

}  // namespace kvstore::resp
