// The clients of a run: each does one thing after another, asks a node, goes to another one when it
// is refused or not answered, and writes down what it was told.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "history/recorder.h"
#include "sim/world.h"
#include "simulation/internal/attempt.h"
#include "simulation/internal/fleet.h"
#include "simulation/internal/remote_client.h"
#include "simulation/options.h"

namespace kvstore::simulation::internal {

// Lifetime  Of one run; ends before its world.
// Runs on   Outside all hosts; what it asks runs on them.
class Clients {
public:
    Clients(sim::World& world, Fleet& fleet, Random& random, const Options& options);
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
    // Of all keys that were ever used.
    [[nodiscard]] std::vector<Bytes> keys() const;
    // The bound of bounded reads in this run.
    [[nodiscard]] Duration staleness_max() const { return staleness_max_; }

private:
    struct Client;

    void next(Client& client);
    void send(Client& client, Member& member, history::Operation question);
    void finish(Client& client, history::Recorder::Ticket ticket, Answer answer);
    void record(history::Recorder::Ticket ticket, Answer answer);
    Member* choose_node(Client& client);
    history::Operation choose_operation(Client& client);
    history::OperationKind choose_kind(Client& client) const;
    Bytes choose_key(Client& client, history::OperationKind kind);
    kv::CallContext context_of(Client& client, history::Operation& question);

    sim::World& world_;
    Fleet& fleet_;
    Options options_;
    Duration pause_;
    Duration patience_max_;  // of a call
    history::Recorder recorder_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::uint32_t key_count_;
    Duration generation_;  // keys change with time, which keeps what a search orders small
    MonotonicTime begin_;
    Duration staleness_max_;
    std::uint32_t busy_count_ = 0;
    std::uint64_t asker_count_ = 0;
    bool is_stopping_ = false;
};

}  // namespace kvstore::simulation::internal
