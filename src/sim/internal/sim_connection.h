// One end of a stream as its process sees it: env::Connection with its buffers and its flush.
#pragma once

#include <memory>
#include <utility>

#include "async/scheduler.h"
#include "base/id.h"
#include "env/network.h"
#include "sim/internal/wires.h"

namespace kvstore::sim::internal {

class SimNetwork;

// Lifetime    Owned by its network until on_closed() has returned.
// Invariants  the handler is called in turns of the core only, never from inside a call on the
//             connection.
class SimConnection final : public env::Connection, private async::TurnEndHook, private StreamUser {
public:
    using Id = StrongId<struct SimConnectionTag>;

    SimConnection(SimNetwork& network,
                  Id id,
                  std::shared_ptr<Stream> stream,
                  Side side,
                  env::Address local,
                  env::Address peer);
    SimConnection(const SimConnection&) = delete;
    SimConnection& operator=(const SimConnection&) = delete;
    ~SimConnection() override;

    [[nodiscard]] Id id() const { return id_; }
    // Begins to hand over input. Called once.
    void start(std::unique_ptr<env::ConnectionHandler> handler);
    // For a connection that nobody wants: it ends without telling a handler.
    void refuse();

    [[nodiscard]] ByteView input() const override { return ByteView(input_).substr(consumed_); }
    void consume(std::size_t size) override;
    void expect_input(std::size_t size) override;
    [[nodiscard]] Bytes& output() override { return output_; }
    [[nodiscard]] std::size_t output_size() const override {
        return leaving_.size() - sent_ + (is_closing_ ? 0 : output_.size());
    }
    void flush_later() override;
    void pause_input() override { is_paused_ = true; }
    void resume_input() override;
    void close(CloseMode mode) override;
    [[nodiscard]] const env::Address& peer() const override { return peer_; }
    [[nodiscard]] const env::Address& local() const override { return local_; }

    template <typename Visit>
    void visit_stream(Visit visit) {
        visit(stream_, side_);
    }

private:
    void run_at_turn_end() override { flush(); }
    void on_readable() override;
    void on_writable() override;
    void on_broken(const Status& reason) override;

    [[nodiscard]] bool can_read() const;
    void flush();
    void send();
    void tell_drained();
    // Asks for on_closed() in a later step of the turn; whoever is first gives the reason.
    void finish(Status reason);

    SimNetwork& network_;
    Id id_;
    std::shared_ptr<Stream> stream_;
    Side side_;
    env::Address local_;
    env::Address peer_;
    std::unique_ptr<env::ConnectionHandler> handler_;
    Bytes input_;
    std::size_t consumed_ = 0;
    Bytes output_;
    Bytes leaving_;         // taken from output_ by a flush
    std::size_t sent_ = 0;  // of leaving_
    bool is_paused_ = false;
    bool is_above_high_water_ = false;
    bool has_told_end_ = false;
    bool is_closing_ = false;   // close() was called
    bool is_finished_ = false;  // on_closed() is on its way
};

}  // namespace kvstore::sim::internal
