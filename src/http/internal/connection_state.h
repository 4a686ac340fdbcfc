// One connection of the server.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "async/task.h"
#include "base/time.h"
#include "env/clock.h"
#include "env/network.h"
#include "http/internal/request_reader.h"
#include "http/internal/response_writer.h"
#include "http/server.h"

namespace kvstore::http {

// Requests are taken one after the other; the next is not looked at before the answer to the one
// before it is in the output, nor while the output backs up.
//
// Lifetime  Shared by the connection's handler and the request under way, which may outlive the
//           connection.
//
// Invariants
//   the server's memory_bytes_ holds charged_ for this connection
//   while a request is answered, no more than kWaitingInputMax and one read of input are held
class Server::ConnectionState : public std::enable_shared_from_this<ConnectionState> {
public:
    ConnectionState(Server& server, env::Connection& connection);
    ConnectionState(const ConnectionState&) = delete;
    ConnectionState& operator=(const ConnectionState&) = delete;
    ~ConnectionState();

    void on_input() { advance(); }
    void on_output_drained();
    void on_input_end();
    void on_closed();

    // Closes now if idle, and behind the answer if not.
    void close_when_idle();
    // Refuses what has come of a request; the connection ends when that is sent.
    void give_up();
    void abort();
    // Answers that were taken meanwhile cost no memory any more.
    void recount() { recharge(); }

private:
    void advance();
    [[nodiscard]] bool may_take() const;
    [[nodiscard]] bool is_backed_up() const;
    bool take();
    void note_headers();
    void finish_request();
    static async::Task<void> answer_later(std::shared_ptr<ConnectionState> self, Request request);
    void send(const Response& response);
    void send_and_close(const Response& response);
    void refuse(unsigned status, std::string_view why);
    void settle();
    void pause_when_waiting();

    void set_deadline();
    void expect_by(MonotonicTime deadline);
    void start_timer(MonotonicTime when);
    void on_timer();
    void on_timeout();
    void recharge();

    Server& server_;
    std::uint64_t number_;         // in server_.connections_
    env::Connection* connection_;  // null once closed
    std::optional<internal::RequestReader> reader_;
    std::size_t answering_bytes_ = 0;  // of the request under way
    std::size_t charged_ = 0;

    env::TimerId timer_;
    MonotonicTime timer_at_;
    MonotonicTime deadline_ = MonotonicTime::max();
    std::optional<MonotonicTime> header_begin_;  // of an unfinished request
    std::optional<MonotonicTime> body_begin_;

    internal::BodyMode body_mode_ = internal::BodyMode::kSend;  // of the answer to come
    bool is_http_10_ = false;
    bool keep_alive_ = true;
    bool is_advancing_ = false;
    bool is_answering_ = false;
    bool is_closing_ = false;
    bool is_input_paused_ = false;
    bool has_input_ended_ = false;
};

}  // namespace kvstore::http
