#include "rpc/internal/dial.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "async/sync.h"
#include "wire/status.h"

namespace kvstore::rpc::internal {
namespace {

std::string number(NodeId node) {
    return std::to_string(node.value());
}

std::string called(const wire::Hello& hello) {
    return "node " + number(hello.node) + (hello.name.empty() ? "" : " (" + hello.name + ")");
}

Status judge_identity(const wire::Hello& mine, const wire::Hello& theirs, NodeId expected) {
    if (mine.store != 0 && theirs.store == mine.store) {
        return {Code::kInvalidArgument,
                "the address given for a peer is that of " + called(mine) + " itself"};
    }
    if (mine.cluster != 0 && theirs.cluster != 0 && theirs.cluster != mine.cluster) {
        return {Code::kInvalidArgument,
                called(theirs) + " and " + called(mine) + " belong to different clusters"};
    }
    if (mine.node != NodeId() && theirs.node == mine.node) {
        return {Code::kInvalidArgument,
                "two nodes have the number " + number(mine.node) + ": " + called(mine) + " and " +
                    called(theirs)};
    }
    if (expected != NodeId() && theirs.node != expected) {
        return {Code::kInvalidArgument,
                called(theirs) + " answers where node " + number(expected) + " was expected"};
    }
    if (theirs.target != NodeId() && theirs.target != mine.node) {
        return {Code::kInvalidArgument,
                called(mine) + " answers where node " + number(theirs.target) + " was expected"};
    }
    return {};
}

// Waits for the other end's hello.
class Greeter final : public LinkUser {
public:
    Greeter(async::Scheduler& scheduler, Link& link) : link_(link), answer_(scheduler) {
        link_.set_user(this);
    }
    Greeter(const Greeter&) = delete;
    Greeter& operator=(const Greeter&) = delete;
    ~Greeter() { link_.set_user(nullptr); }

    void on_frame(const wire::FrameHeader& header, ByteView payload) override {
        Status refusal;
        if (header.kind == wire::FrameKind::kHello && !answer_.is_set()) {
            answer_.set(wire::decode_hello(payload));
        } else if (header.kind == wire::FrameKind::kHelloRefusal && !answer_.is_set() &&
                   wire::decode_status(payload, refusal).ok()) {
            is_refused_ = true;
            answer_.set(Result<wire::Hello>(refusal));
        } else {
            link_.end_damaged("no hello");
        }
    }
    void on_link_down(const Status& why) override {
        if (!answer_.is_set()) {
            answer_.set(Result<wire::Hello>(why));
        }
    }

    [[nodiscard]] async::OneShot<Result<wire::Hello>>& answer() { return answer_; }
    [[nodiscard]] bool is_refused() const { return is_refused_; }

private:
    Link& link_;
    async::OneShot<Result<wire::Hello>> answer_;
    bool is_refused_ = false;
};

void say_hello(Core& core, Link& link, const Destination& to) {
    wire::Hello mine = core.options.self;
    mine.target = to.node;
    Bytes payload;
    wire::encode_hello(mine, payload);
    link.send(wire::FrameKind::kHello, static_cast<std::uint16_t>(to.use), 0, payload);
}

}  // namespace

Status judge_hello(Core& core, const wire::Hello& hello, NodeId expected) {
    KVSTORE_CHECK_OK(wire::agree_on_version(core.options.self, hello).status());
    KVSTORE_CHECK_OK(judge_identity(core.options.self, hello, expected));
    return core.admit ? core.admit(hello) : Status();
}

void refuse(Core& core, Link& link, const Status& why) {
    core.instruments.handshakes_refused.add();
    Bytes payload;
    wire::encode_status(why, payload);
    link.send(wire::FrameKind::kHelloRefusal, 0, 0, payload);
    link.close_after_flush();
}

async::Task<Result<std::shared_ptr<Link>>> dial(Core* core,
                                                Destination to,
                                                async::Deadline deadline) {
    const std::string where = to.address.to_string();
    deadline.at = std::min(deadline.at, core->now() + core->options.connect_timeout);
    if (core->gate.is_closing()) {
        co_return Status(Code::kUnavailable, "the transport has stopped");
    }
    auto link = std::make_shared<Link>(*core, Link::Role::kConnected);
    std::unique_ptr<env::ConnectionHandler> handler = link->make_handler();
    auto connected = co_await core->env.network.connect(to.address, std::move(handler), deadline);
    if (!connected.ok()) {
        const Status why = connected.status();
        co_return Status(why.code(), std::string(why.message()));
    }
    if (!link->attach(**connected)) {
        co_return Status(Code::kUnavailable, where + ": closed the connection at once");
    }
    if (core->is_stopping) {
        link->close(Status());
        co_return Status(Code::kUnavailable, "the transport has stopped");
    }

    Greeter greeter(core->env.scheduler, *link);
    link->set_deadline(deadline.at, "no answer to the handshake in time");
    say_hello(*core, *link, to);
    Result<wire::Hello> theirs = co_await greeter.answer();
    if (!theirs.ok()) {
        link->close(Status());
        const Status why = theirs.status().with_context(where);
        Code code = why.code();
        if (greeter.is_refused()) {
            core->instruments.handshakes_refused.add();
            core->on_refused_by(to.node, why);
        } else if (code != Code::kDeadlineExceeded) {
            code = Code::kUnavailable;
        }
        co_return Status(code, std::string(why.message()));
    }
    const Status verdict = judge_hello(*core, *theirs, to.node);
    if (!verdict.ok()) {
        refuse(*core, *link, verdict);
        co_return Status(verdict.code(), std::string(verdict.with_context(where).message()));
    }
    // It may have gone down behind its hello.
    if (!link->is_open()) {
        co_return Status(Code::kUnavailable, where + ": closed the connection behind its hello");
    }
    link->begin(theirs->node);
    co_return link;
}

}  // namespace kvstore::rpc::internal
