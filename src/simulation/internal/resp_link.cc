#include "simulation/internal/resp_link.h"

#include <optional>
#include <utility>

#include "async/sync.h"
#include "base/parse.h"

namespace kvstore::simulation::internal {
namespace {

using Waiting = async::OneShot<Result<RespReply>>;

constexpr std::string_view kLineEnd = "\r\n";

Bytes encode(const std::vector<Bytes>& words) {
    Bytes bytes = "*" + std::to_string(words.size()) + "\r\n";
    for (const Bytes& word : words) {
        bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    }
    return bytes;
}

Status malformed() {
    return {Code::kInvalidArgument, "this is no reply of the Redis protocol"};
}

}  // namespace

Result<std::size_t> take_reply(ByteView input, RespReply& reply) {
    const std::size_t end = input.find(kLineEnd);
    if (end == ByteView::npos) {
        return std::size_t{0};
    }
    const ByteView line = input.substr(1, end - 1);
    std::size_t used = end + kLineEnd.size();
    switch (input.front()) {
        case '+':
        case '-':
            reply.kind = input.front() == '-' ? RespReply::Kind::kError : RespReply::Kind::kText;
            reply.text = line;
            return used;
        case ':':
        case '$': break;
        default: return malformed();
    }
    const auto number = parse_int64(line);
    if (!number) {
        return malformed();
    }
    if (input.front() == ':') {
        reply.kind = RespReply::Kind::kNumber;
        reply.number = *number;
        return used;
    }
    if (*number < 0) {
        reply.kind = RespReply::Kind::kNull;
        return used;
    }
    const auto size = static_cast<std::size_t>(*number);
    if (input.size() < used + size + kLineEnd.size()) {
        return std::size_t{0};
    }
    reply.kind = RespReply::Kind::kText;
    reply.text = input.substr(used, size);
    used += size + kLineEnd.size();
    return used;
}

// One connection and the reply that is awaited on it. Shared with the handler, since either may go
// first.
class RespLink::Line {
public:
    explicit Line(env::Clock& clock) : clock_(clock) {}

    void attach(env::Connection* connection) { connection_ = has_ended_ ? nullptr : connection; }
    [[nodiscard]] bool is_open() const { return connection_ != nullptr; }

    void begin(const Bytes& request, Waiting* waiting, async::Deadline deadline) {
        waiting_ = waiting;
        connection_->output() += request;
        connection_->flush_later();
        timer_ = clock_.start_timer(deadline.at, [this] {
            timer_ = env::TimerId();
            break_off(Status(Code::kDeadlineExceeded, Effect::kUnknown, "no reply in time"));
        });
    }

    void on_input() {
        RespReply reply;
        const auto used = take_reply(connection_->input(), reply);
        if (!used.ok() || (waiting_ == nullptr && *used > 0)) {
            break_off(Status(Code::kUnavailable, Effect::kUnknown, "no reply that was asked for"));
        } else if (*used > 0) {
            connection_->consume(*used);
            finish(std::move(reply));
        }
    }

    void on_closed() {
        connection_ = nullptr;
        has_ended_ = true;
        finish(Status(Code::kUnavailable, Effect::kUnknown, "the connection closed"));
    }

    void close() {
        if (connection_ != nullptr) {
            std::exchange(connection_, nullptr)->close(env::Connection::CloseMode::kNow);
        }
    }

private:
    void break_off(const Status& why) {
        finish(why);
        close();
    }

    void finish(Result<RespReply> result) {
        if (timer_ != env::TimerId()) {
            clock_.cancel_timer(std::exchange(timer_, env::TimerId()));
        }
        if (waiting_ != nullptr) {
            std::exchange(waiting_, nullptr)->set(std::move(result));
        }
    }

    env::Clock& clock_;
    env::Connection* connection_ = nullptr;
    Waiting* waiting_ = nullptr;
    env::TimerId timer_;
    bool has_ended_ = false;
};

class RespLink::Handler final : public env::ConnectionHandler {
public:
    explicit Handler(std::shared_ptr<Line> line) : line_(std::move(line)) {}
    void on_input(env::Connection& /*connection*/) override {
        if (line_->is_open()) {
            line_->on_input();
        }
    }
    void on_closed(env::Connection& /*connection*/, const Status& /*reason*/) override {
        line_->on_closed();
    }

private:
    std::shared_ptr<Line> line_;
};

RespLink::RespLink(env::Env& env, env::Address server) : env_(env), server_(std::move(server)) {}

RespLink::~RespLink() {
    if (line_ != nullptr) {
        line_->close();
    }
}

async::Task<Result<RespReply>> RespLink::call(std::vector<Bytes> words, async::Deadline deadline) {
    if (line_ == nullptr || !line_->is_open()) {
        line_ = std::make_shared<Line>(env_.clock);
        auto connected =
            co_await env_.network.connect(server_, std::make_unique<Handler>(line_), deadline);
        if (!connected.ok()) {
            const Status why = connected.status();
            co_return Status(why.code(), std::string(why.message()));
        }
        line_->attach(*connected);
        if (!line_->is_open()) {
            co_return Status(Code::kUnavailable, "the server closed the connection at once");
        }
    }
    const Bytes request = encode(words);
    Waiting waiting(env_.scheduler);
    line_->begin(request, &waiting, deadline);
    co_return co_await waiting;
}

}  // namespace kvstore::simulation::internal
