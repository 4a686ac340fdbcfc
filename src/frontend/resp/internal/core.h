// What the connections of one core share: the store, the pool of slots, the list of clients,
// settings and statistics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/sync.h"
#include "async/task.h"
#include "env/network.h"
#include "frontend/resp/command.h"
#include "frontend/resp/internal/command_table.h"
#include "frontend/resp/internal/configuration.h"
#include "frontend/resp/internal/cursors.h"
#include "frontend/resp/internal/session.h"
#include "frontend/resp/internal/slot.h"
#include "frontend/resp/reply_writer.h"
#include "frontend/resp/server.h"
#include "kv/kv.h"
#include "metrics/registry.h"

namespace kvstore::resp {

struct CommandStatistics {
    std::uint64_t calls = 0;
    std::uint64_t rejected_calls = 0;
    std::uint64_t failed_calls = 0;
};

struct Statistics {
    std::uint64_t connections = 0;
    std::uint64_t rejected_connections = 0;
    std::uint64_t commands = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t errors = 0;
};

// Lifetime  Owned by the server. stop() before destruction.
// Runs on   One core.
class Core final : public ErrorCounter {
public:
    Core(kv::Kv& kv, Options options, metrics::Registry& registry);
    virtual ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    std::unique_ptr<env::ConnectionHandler> accept(env::Connection& connection);
    async::Task<void> stop();

    [[nodiscard]] kv::Kv& kv() { return kv_; }
    [[nodiscard]] env::Env& env() { return kv_.env(); }
    [[nodiscard]] Options& options() { return options_; }
    // Whether a write takes effect inside its proposal.
    [[nodiscard]] bool applies_at_once() const { return applies_at_once_; }
    [[nodiscard]] std::uint64_t now_ms() { return kv_.now_ms(); }
    // Since some moment, as of this turn; cheap.
    [[nodiscard]] std::uint64_t turn_ms();

    // ---- slots ----

    Slot& take_slot();
    void release(Slot& slot);
    mvcc::Command& scratch_command();
    // Where a reply is written before it is known where it belongs. Empty; not reentrant.
    Bytes& scratch_reply();

    // ---- coroutines ----

    // Reads the keys of the slot's command, and runs its handler on the records.
    void load(Slot& slot);
    void start(Slot& slot,
               Arguments arguments,
               kv::KeyspaceHandle keyspace,
               AwaitedHandler handler);
    // Runs what has to wait in the slot's transaction.
    void finish_transaction(Slot& slot);

    // ---- clients ----

    [[nodiscard]] Session* first_session() { return first_session_; }
    [[nodiscard]] std::size_t session_count() const { return session_count_; }
    void remove(Session& session);
    // Calls session.resume() from the run queue.
    void resume_later(Session& session);
    // A session waits for the rest of a request.
    void watch_unfinished_requests();
    // CLIENT PAUSE: no commands are taken until then.
    void pause_until(std::uint64_t ms);
    [[nodiscard]] const bool& is_paused() const { return is_paused_; }

    // ---- settings and statistics ----

    [[nodiscard]] Cursors& cursors() { return cursors_; }
    [[nodiscard]] Configuration& configuration() { return configuration_; }
    [[nodiscard]] Statistics& statistics() { return statistics_; }
    [[nodiscard]] CommandStatistics& statistics_of(const CommandSpec& spec) {
        return command_statistics_[CommandTable::number_of(spec)];
    }
    [[nodiscard]] const std::map<std::string, std::uint64_t, std::less<>>& errors() const {
        return errors_;
    }
    void count_error(std::string_view error) override;
    void count_call(const CommandSpec& spec) {
        ++statistics_of(spec).calls;
        ++statistics_.commands;
        commands_total_.add();
    }
    void reset_statistics();
    [[nodiscard]] std::uint64_t started_ms() const { return started_ms_; }
    [[nodiscard]] const std::string& run_id() const { return run_id_; }
    [[nodiscard]] std::uint64_t& last_save_ms() { return last_save_ms_; }
    // Random, but not secret.
    [[nodiscard]] std::uint64_t random();

private:
    void resume_sessions();
    void end_overdue_requests();
    async::Task<void> run_load(Slot* slot);
    async::Task<void> run_awaited(Slot* slot,
                                  std::unique_ptr<AwaitedCall> call,
                                  AwaitedHandler handler);
    async::Task<void> run_transaction_rest(Slot* slot);
    void note_idle();

    kv::Kv& kv_;
    Options options_;
    const bool applies_at_once_;
    Configuration configuration_;
    Cursors cursors_;
    bool is_stopping_ = false;
    async::Event idle_;  // no session and no slot is left

    Slot* free_slots_ = nullptr;
    std::size_t free_slot_count_ = 0;
    std::size_t taken_slot_count_ = 0;
    mvcc::Command scratch_command_;
    Bytes scratch_reply_;

    Session* first_session_ = nullptr;
    std::size_t session_count_ = 0;
    std::uint64_t last_session_id_ = 0;
    std::vector<Session*> to_resume_;
    bool is_resume_posted_ = false;
    bool is_paused_ = false;
    env::TimerId pause_timer_;
    env::TimerId request_timer_;  // runs while requests are unfinished, and a little longer

    Statistics statistics_;
    std::vector<CommandStatistics> command_statistics_;
    std::map<std::string, std::uint64_t, std::less<>> errors_;
    std::uint64_t started_ms_;
    std::uint64_t last_save_ms_;
    std::uint64_t random_state_;
    std::string run_id_;

    metrics::Counter& commands_total_;
    metrics::Counter& errors_total_;
    metrics::Counter& connections_total_;
    metrics::Gauge& connections_open_;
};

}  // namespace kvstore::resp
