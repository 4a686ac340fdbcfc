#include <algorithm>
#include <deque>
#include <memory>

#include "async/sync.h"
#include "base/parse.h"
#include "cli/stress_load.h"

namespace kvstore::cli {
namespace {

constexpr Duration kConnectTimeout = std::chrono::seconds(5);
constexpr std::uint64_t kFillPipeline = 64;

void append_bulk(Bytes& to, ByteView text) {
    to += '$';
    to += std::to_string(text.size());
    to += "\r\n";
    to += text;
    to += "\r\n";
}

void append_set(Bytes& to, ByteView key, ByteView value) {
    to += "*3\r\n$3\r\nSET\r\n";
    append_bulk(to, key);
    append_bulk(to, value);
}

void append_get(Bytes& to, ByteView key) {
    to += "*2\r\n$3\r\nGET\r\n";
    append_bulk(to, key);
}

// Where a client's operations come from and go to.
class Feed {
public:
    virtual ~Feed() = default;
    // False: there is nothing more to do.
    virtual bool begin(StressRun::Operation* operation) = 0;
    virtual void end(const StressRun::Operation& operation, std::uint64_t began_ns) = 0;
    virtual void fail(const StressRun::Operation& operation, const std::string& why) = 0;
};

class MeasuredFeed final : public Feed {
public:
    explicit MeasuredFeed(StressRun& run) : run_(run) {}
    bool begin(StressRun::Operation* operation) override { return run_.begin(operation); }
    void end(const StressRun::Operation& operation, std::uint64_t began_ns) override {
        run_.end(operation, began_ns);
    }
    void fail(const StressRun::Operation& operation, const std::string& why) override {
        run_.fail(operation, why);
    }

private:
    StressRun& run_;
};

// Every key once.
class FillFeed final : public Feed {
public:
    explicit FillFeed(std::uint64_t count) : count_(count) {}
    bool begin(StressRun::Operation* operation) override {
        *operation = {.is_read = false, .key = next_};
        return next_++ < count_;
    }
    void end(const StressRun::Operation& /*operation*/, std::uint64_t /*began*/) override {}
    void fail(const StressRun::Operation& /*operation*/, const std::string& why) override {
        if (status.ok()) {
            status = Status(Code::kUnavailable, Effect::kUnknown, why);
        }
    }

    Status status;

private:
    std::uint64_t next_ = 0;
    std::uint64_t count_;
};

// One client: keeps `pipeline` commands on their way until the feed ends, then closes.
class LoadConnection final : public env::ConnectionHandler {
public:
    LoadConnection(Feed& feed, const StressRun& run, std::uint64_t pipeline, async::Gate& gate)
        : feed_(feed), run_(run), pipeline_(pipeline), gate_(gate) {}

    void send(env::Connection& connection) {
        StressRun::Operation operation;
        while (waiting_.size() < pipeline_ && feed_.begin(&operation)) {
            const std::string key = run_.key(operation.key);
            waiting_.push_back({operation, stopwatch_nanoseconds()});
            if (operation.is_read) {
                append_get(connection.output(), key);
            } else {
                append_set(connection.output(), key, run_.value());
            }
        }
        connection.flush_later();
        if (waiting_.empty()) {
            connection.close(env::Connection::CloseMode::kAfterFlush);
        }
    }

    void on_input(env::Connection& connection) override {
        std::size_t used = 0;
        while (!waiting_.empty()) {
            const ByteView rest = connection.input().substr(used);
            const std::size_t size = reply_size(rest);
            if (size == 0) {
                break;
            }
            take(rest.substr(0, size));
            used += size;
        }
        if (used > 0) {
            connection.consume(used);
            send(connection);
        }
    }

    void on_closed(env::Connection& /*connection*/, const Status& reason) override {
        for (const Waiting& left : waiting_) {
            feed_.fail(left.operation,
                       reason.ok() ? "the server closed the connection" : reason.to_string());
        }
        waiting_.clear();
        gate_.leave();
    }

private:
    struct Waiting {
        StressRun::Operation operation;
        std::uint64_t began_ns;
    };

    void take(ByteView reply) {
        const Waiting done = waiting_.front();
        waiting_.pop_front();
        if (reply.starts_with('-')) {
            feed_.fail(done.operation, std::string(reply.substr(1, reply.size() - 3)));
        } else {
            feed_.end(done.operation, done.began_ns);
        }
    }

    Feed& feed_;
    const StressRun& run_;
    std::uint64_t pipeline_;
    async::Gate& gate_;
    std::deque<Waiting> waiting_;
};

struct Travel {
    env::Address server;
    std::uint64_t connections = 1;
    std::uint64_t pipeline = 1;
};

// Runs the feed dry.
async::Task<Status> drive(env::Env* env, Travel travel, const StressRun* run, Feed* feed) {
    async::Gate gate(env->scheduler);
    Status failure;
    for (std::uint64_t i = 0; i < travel.connections; ++i) {
        if (!gate.try_enter()) {
            break;
        }
        auto handler = std::make_unique<LoadConnection>(*feed, *run, travel.pipeline, gate);
        LoadConnection* const load = handler.get();
        const auto deadline = async::Deadline::after(env->clock.now(), kConnectTimeout);
        auto connected = co_await env->network.connect(travel.server, std::move(handler), deadline);
        if (!connected.ok()) {
            gate.leave();
            failure = connected.status();
            break;
        }
        load->send(**connected);
    }
    co_await gate.close();
    co_return failure;
}

}  // namespace

std::size_t reply_size(ByteView input) {
    const std::size_t end = input.find("\r\n");
    if (end == ByteView::npos) {
        return 0;
    }
    if (input[0] != '$') {
        return end + 2;
    }
    const auto length = parse_int64(input.substr(1, end - 1));
    if (!length) {
        return 0;
    }
    if (*length < 0) {
        return end + 2;
    }
    const std::size_t size = end + 2 + static_cast<std::size_t>(*length) + 2;
    return input.size() >= size ? size : 0;
}

async::Task<Status> load_resp(env::Env* env, env::Address server, StressRun* run) {
    MeasuredFeed feed(*run);
    Travel travel{.server = std::move(server),
                  .connections = run->plan().client_count,
                  .pipeline = run->plan().pipeline};
    co_return co_await drive(env, std::move(travel), run, &feed);
}

async::Task<Status> fill_resp(env::Env* env, env::Address server, const StressRun* run) {
    FillFeed feed(run->plan().key_count);
    Travel travel{.server = std::move(server), .connections = 1, .pipeline = kFillPipeline};
    const Status travelled = co_await drive(env, std::move(travel), run, &feed);
    co_return travelled.ok() ? feed.status : travelled;
}

}  // namespace kvstore::cli
