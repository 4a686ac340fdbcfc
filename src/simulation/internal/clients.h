// The clients of a run: each does one thing after another, asks a node, goes to another one when it
// is refused or not answered, and writes down what it was told.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "history/recorder.h"
#include "sim/world.h"
#include "simulation/internal/attempt.h"
#include "simulation/internal/fleet.h"
#include "simulation/internal/plan.h"
#include "simulation/internal/remote_client.h"
#include "simulation/options.h"

namespace kvstore::simulation::internal {

// What a client can do.
enum class Deed : std::uint8_t {
    kRead,
    kWrite,
    kRemove,
    kCompareAndSet,
    kIncrement,
    kAppend,
    kExpire,
    kScan,
    kReadMany,
    kBatch,
    kConditional,
    kCount,
};

// Lifetime  Of one run; ends before its world.
// Runs on   Outside all hosts; what it asks runs on them.
class Clients {
public:
    // Several keyspaces are made by somebody else meanwhile.
    Clients(
        sim::World& world, Fleet& fleet, Random& random, const Options& options, const Plan& plan);
    Clients(const Clients&) = delete;
    Clients& operator=(const Clients&) = delete;
    ~Clients();

    void start();
    // What is under way ends.
    void stop() { is_stopping_ = true; }
    [[nodiscard]] bool is_idle() const { return busy_count_ == 0; }

    // One more operation, by a client that does nothing else: a linearizable read or a write
    // through the `kv` of `member`. `done` is told the outcome, also when the node never answers.
    void ask(Member& member, history::Operation question, Callback<void(const Answer&)> done);

    [[nodiscard]] const history::History& history() const { return recorder_.history(); }
    // Of all keys that were ever used, as place_of() reads them.
    [[nodiscard]] std::vector<Bytes> keys() const;
    // The bound of bounded reads in this run.
    [[nodiscard]] Duration staleness_max() const { return staleness_max_; }

private:
    struct Client;
    using Ticket = history::Recorder::Ticket;

    void next(Client& client);
    void go_on(Client& client, bool is_ok);
    Member* choose_node(Client& client);
    [[nodiscard]] std::uint32_t weight_of(const Client& client, Deed deed) const;
    Deed choose_deed(Client& client);
    std::string_view choose_keyspace(Client& client);
    [[nodiscard]] std::uint64_t generation() const;
    char choose_family(Client& client, Deed deed);
    kv::CallContext context_of(Client& client);
    [[nodiscard]] static Bytes fresh_value(Client& client);

    // ---- one key ----
    history::Operation choose_operation(Client& client, Deed deed);
    void choose_level(Client& client, Attempt& attempt);
    void send(Client& client, Member& member, Deed deed);
    [[nodiscard]] Duration doubt() const;
    void finish(Client& client, Ticket ticket, Answer answer);

    // ---- several keys ----
    [[nodiscard]] std::vector<Bytes> some_keys(Client& client, char family, std::size_t count);
    [[nodiscard]] std::vector<history::Operation> choose_wide(Client& client,
                                                              std::string_view keyspace,
                                                              WideKind kind);
    void send_widely(Client& client, Member& member, WideKind kind);
    void finish_widely(Client& client,
                       const std::vector<Ticket>& tickets,
                       std::vector<Answer> answers,
                       const std::string& oddity);

    void record(Ticket ticket, Answer answer);
    void note_seen(Client& client, Ticket ticket);

    sim::World& world_;
    Fleet& fleet_;
    Options options_;
    Plan plan_;
    Duration pause_;
    Duration patience_max_;  // of a call
    history::Recorder recorder_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::uint32_t key_count_;
    Duration generation_span_;
    MonotonicTime begin_;
    Duration staleness_max_;
    std::uint32_t busy_count_ = 0;
    std::uint64_t asker_count_ = 0;
    bool is_stopping_ = false;
};

}  // namespace kvstore::simulation::internal
