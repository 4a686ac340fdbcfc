// What a command is to the front end: a row of the table and a handler that plans operations on kv
// or answers at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/bytes.h"
#include "frontend/resp/reply_writer.h"
#include "frontend/resp/request_parser.h"
#include "kv/kv.h"

namespace kvstore::resp {

class Core;
class Session;
class Call;
class Slot;
class TransactionStep;

// How a handler left its call.
enum class Outcome : std::uint8_t {
    kReplied,    // the answer is written
    kSubmitted,  // a write or a coroutine will answer (it may have done so already)
    kMustLoad,   // a read has to wait for the disk: call again with the records of its keys
    kNotNow,     // call again when all commands before it have been answered
};

enum class CommandKind : std::uint8_t {
    kInstant,  // reads no keys: answered at once, wherever it stands among pending commands
    kRead,     // reads its keys through Call::find() and writes nothing
    kWrite,    // plans operations through Call::write()
};

// What COMMAND INFO shows.
using CommandFlags = std::uint32_t;
inline constexpr CommandFlags kFlagWrite = 1U << 0U;
inline constexpr CommandFlags kFlagReadonly = 1U << 1U;
inline constexpr CommandFlags kFlagDenyOom = 1U << 2U;
inline constexpr CommandFlags kFlagAdmin = 1U << 3U;
inline constexpr CommandFlags kFlagFast = 1U << 4U;
inline constexpr CommandFlags kFlagNoscript = 1U << 5U;
inline constexpr CommandFlags kFlagLoading = 1U << 6U;
inline constexpr CommandFlags kFlagStale = 1U << 7U;
inline constexpr CommandFlags kFlagNoAuth = 1U << 8U;
inline constexpr CommandFlags kFlagSkipMonitor = 1U << 9U;
inline constexpr CommandFlags kFlagNoMulti = 1U << 10U;
inline constexpr CommandFlags kFlagAllowBusy = 1U << 11U;
// Not shown: done at once between MULTI and EXEC rather than queued.
inline constexpr CommandFlags kFlagAtOnce = 1U << 31U;

enum class CommandGroup : std::uint8_t {
    kString,
    kGeneric,
    kConnection,
    kTransactions,
    kServer,
    kCluster
};

struct CommandSpec {
    std::string_view name;  // lower case
    // With the name; negative: at least so many.
    int arity = 1;
    CommandKind kind = CommandKind::kInstant;
    CommandFlags flags = 0;
    // Where the keys stand; 0: there are none. `last` counts from the end where negative.
    int first_key = 0;
    int last_key = 0;
    int key_step = 0;
    CommandGroup group = CommandGroup::kServer;
    Outcome (*handler)(Call&) = nullptr;
    std::string_view since = "1.0.0";
    std::string_view summary;
};

// Arguments that outlive the input they came in.
class OwnedArguments {
public:
    void assign(Arguments arguments);
    void clear();
    // Valid until changed.
    [[nodiscard]] Arguments views() const { return views_; }
    [[nodiscard]] std::size_t byte_count() const { return bytes_.size(); }

private:
    Bytes bytes_;
    std::vector<ByteView> views_;
};

// What a write's answer is made of while its outcome comes in.
struct Answer {
    ReplyWriter reply;
    std::int64_t number = 0;
};

// Formats the outcome of the operations that one command planned.
struct Finisher {
    // Of operation `at` of the command. The result's views end with the call.
    void (*on_operation)(Answer& answer, std::size_t at, const mvcc::OperationResult& result);
    // After the last; null where there is nothing to add.
    void (*on_end)(Answer& answer, bool conditions_held) = nullptr;
};

// A record that was read for a command before its handler is called.
struct LoadedRecord {
    bool present = false;
    mvcc::Record record;
};

// A command that runs as a coroutine, alone on its connection.
//
// Lifetime  Until the coroutine ends. The session may end before: ask.
struct AwaitedCall {
    Core& core;
    kv::KeyspaceHandle keyspace;
    kv::CallContext context;  // of the connection's reads
    OwnedArguments owned;
    ReplyWriter reply;
    Slot* slot;

    [[nodiscard]] Arguments arguments() const { return owned.views(); }
    [[nodiscard]] Session* session() const;
};
using AwaitedHandler = async::Task<void> (*)(AwaitedCall* call);

// One command at its handler.
class Call {
public:
    Call(Core& core,
         Session& session,
         const CommandSpec& spec,
         Arguments arguments,
         ReplyWriter reply)
        : core_(core), session_(session), spec_(spec), arguments_(arguments), reply_(reply) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    [[nodiscard]] Core& core() { return core_; }
    [[nodiscard]] Session& session() { return session_; }
    [[nodiscard]] kv::Kv& kv();
    [[nodiscard]] const kv::KeyspaceHandle& keyspace() const;
    [[nodiscard]] std::uint64_t now_ms();

    [[nodiscard]] Arguments arguments() const { return arguments_; }
    [[nodiscard]] std::size_t size() const { return arguments_.size(); }
    [[nodiscard]] const CommandSpec& spec() const { return spec_; }
    [[nodiscard]] std::string_view name() const { return spec_.name; }
    [[nodiscard]] ByteView operator[](std::size_t at) const { return arguments_[at]; }

    // ---- answer at once ----

    [[nodiscard]] ReplyWriter& reply() { return reply_; }
    Outcome ok();
    Outcome fail(std::string_view error);
    Outcome syntax_error() { return fail("ERR syntax error"); }
    Outcome integer(std::int64_t number);

    // ---- read ----

    // The record of the command's key number `at`, counted from 0 in the order of the arguments.
    // Views last until the next call.
    storage::Lookup find(std::size_t at, ByteView key, mvcc::Record* record);

    // ---- write ----

    // Proposes, or adds to the transaction under way. The answer comes from `finisher`. At most
    // once a call.
    Outcome write(const mvcc::Operation& operation,
                  const Finisher& finisher,
                  std::int64_t number = 0);
    // As above for several operations; `command` may be used again afterwards.
    Outcome write(const mvcc::Command& command, const Finisher& finisher, std::int64_t number = 0);
    // Keeps bytes that are not among the arguments as long as the planned operations need them.
    [[nodiscard]] ByteView keep(Bytes bytes);
    // Room to plan several operations in, empty.
    [[nodiscard]] mvcc::Command& scratch_command();

    // ---- wait ----

    // Runs `handler` once everything before it on this connection was answered.
    Outcome await(AwaitedHandler handler);

    [[nodiscard]] bool is_in_transaction() const { return step_ != nullptr; }

    // ---- for who calls handlers ----

    void use_loaded(std::span<const LoadedRecord> records) { loaded_ = records; }
    void use_step(TransactionStep* step) { step_ = step; }

private:
    Core& core_;
    Session& session_;
    const CommandSpec& spec_;
    Arguments arguments_;
    ReplyWriter reply_;
    std::span<const LoadedRecord> loaded_;
    TransactionStep* step_ = nullptr;
    Bytes kept_;
};

// Whether `text` is `word`, which is in lower case, in any case.
[[nodiscard]] bool equals_ignoring_case(std::string_view text, std::string_view word);
[[nodiscard]] std::string lower_case(std::string_view text);

}  // namespace kvstore::resp
