#include "replication/strong/routed_group.h"

#include <algorithm>
#include <utility>

#include "base/coding.h"
#include "replication/strong/outcome_codec.h"
#include "wire/topics.h"

namespace kvstore::replication {
namespace {

constexpr std::uint8_t kFormat = 1;

// A peer's command: its outcome goes back as the answer to the call.
class RemoteProposal final : public Proposal {
public:
    explicit RemoteProposal(rpc::Responder responder) : responder_(std::move(responder)) {}
    virtual ~RemoteProposal() = default;

    void on_operation(std::size_t at, const mvcc::OperationResult& result) override {
        writer_.on_operation(at, result);
    }
    void on_command(const mvcc::CommandResult& result) override {
        writer_.on_command(result);
        responder_.answer(writer_.bytes());
        delete this;
    }
    void on_failed(const Status& why) override {
        responder_.fail(why);
        delete this;
    }

private:
    rpc::Responder responder_;
    OutcomeWriter writer_;
};

}  // namespace

void encode_forward_request(const ForwardRequest& request, Bytes& to) {
    put_fixed(to, kFormat);
    put_varint(to, request.shard.value());
    put_varint(to, request.term.value());
    to.append(request.command);
}

Result<ForwardRequest> decode_forward_request(ByteView bytes) {
    Decoder decoder(bytes);
    const auto format = decoder.fixed<std::uint8_t>();
    ForwardRequest request;
    request.shard = ShardId(decoder.varint());
    request.term = Term(decoder.varint());
    request.command = decoder.rest();
    if (!decoder.ok() || format != kFormat) {
        return Status(Code::kCorruption, "unreadable forwarded command");
    }
    return request;
}

void serve_forwarded(RaftGroup* group, ByteView request_bytes, rpc::Responder responder) {
    const Result<ForwardRequest> request = decode_forward_request(request_bytes);
    if (!request.ok()) {
        responder.fail(request.status());
        return;
    }
    if (group == nullptr) {
        responder.fail({Code::kNotLeader, "this node has no replica of the shard"});
        return;
    }
    if (!group->is_leader() || group->term() != request->term) {
        responder.fail({Code::kNotLeader, "this node does not lead the shard in that term"});
        return;
    }
    mvcc::Command command;
    const Status decoded = mvcc::decode_command(request->command, command);
    if (!decoded.ok()) {
        responder.fail(decoded);
        return;
    }
    // Owns itself until it is told.
    auto proposal = std::make_unique<RemoteProposal>(std::move(responder));
    const Status taken = group->propose(command, proposal.get());
    RemoteProposal* const told = proposal.release();
    if (!taken.ok()) {
        told->on_failed(taken);
    }
}

// One command on its way to the leader.
class RoutedGroup::Forward final : public rpc::CallSink {
public:
    Forward(RoutedGroup& group, Proposal* proposal, Bytes command, MonotonicTime give_up)
        : group_(group), proposal_(proposal), command_(std::move(command)), give_up_(give_up) {}
    virtual ~Forward() = default;

    void on_answer(rpc::Received answer) override {
        is_under_way_ = false;
        group_.on_answer(this, answer.bytes);
    }
    void on_failed(const Status& why) override {
        is_under_way_ = false;
        group_.on_failed(this, why);
    }

private:
    friend class RoutedGroup;
    RoutedGroup& group_;
    Proposal* proposal_;
    Bytes command_;
    MonotonicTime give_up_;
    bool is_under_way_ = false;
};

RoutedGroup::RoutedGroup(env::Env& env, RaftGroup& group, rpc::Transport* transport)
    : env_(env), group_(group), transport_(transport) {}

RoutedGroup::~RoutedGroup() {
    KVSTORE_ASSERT(forwards_.empty());
}

bool RoutedGroup::leads_here() const {
    return transport_ == nullptr || (forwards_.empty() && group_.is_leader());
}

Status RoutedGroup::propose(const mvcc::Operation& operation, Proposal* proposal) {
    if (leads_here()) {
        return group_.propose(operation, proposal);
    }
    mvcc::Command command;
    command.operations.push_back(operation);
    return forward(command, proposal);
}

Status RoutedGroup::propose(const mvcc::Command& command, Proposal* proposal) {
    if (leads_here()) {
        return group_.propose(command, proposal);
    }
    return forward(command, proposal);
}

Status RoutedGroup::forward(const mvcc::Command& command, Proposal* proposal) {
    if (is_stopping_) {
        return {Code::kUnavailable, "the server is stopping"};
    }
    Bytes encoded;
    mvcc::encode_command(command, encoded);
    if (bytes_ + encoded.size() > kBytesMax) {
        return {Code::kOverloaded, "too many writes wait for another node; try again"};
    }
    bytes_ += encoded.size();
    forwards_.push_back(std::make_unique<Forward>(
        *this, proposal, std::move(encoded), env_.clock.now() + kPatience));
    push_on();
    return {};
}

// Whether one that was refused has others under way behind it: it waits until they are told, since
// they may have been taken.
bool RoutedGroup::is_held_up() const {
    const auto waiting = std::ranges::find_if(
        forwards_, [](const auto& forward) { return !forward->is_under_way_; });
    return std::any_of(
        waiting, forwards_.end(), [](const auto& forward) { return forward->is_under_way_; });
}

// Starts what may start, in order.
void RoutedGroup::push_on() {
    if (is_held_up()) {
        return;
    }
    for (std::size_t i = 0; i < forwards_.size(); ++i) {
        Forward& forward = *forwards_[i];
        if (!forward.is_under_way_ && !start(forward)) {
            return;
        }
    }
}

// Returns: false when it must wait.
bool RoutedGroup::start(Forward& forward) {
    const NodeId leader = group_.leader();
    if (leader == NodeId() || group_.is_leader()) {
        return false;  // here it is proposed by tick(), when nothing is under way any more
    }
    Bytes request;
    encode_forward_request(
        {.shard = ShardId(group_.id().value()), .term = group_.term(), .command = forward.command_},
        request);
    const Status started = transport_->start_call(
        leader, wire::kForwardTopic, request, async::Deadline{.at = forward.give_up_}, &forward);
    forward.is_under_way_ = started.ok();
    return started.ok();
}

std::unique_ptr<RoutedGroup::Forward> RoutedGroup::take(Forward* forward) {
    const auto found = std::ranges::find_if(
        forwards_, [forward](const auto& each) { return each.get() == forward; });
    KVSTORE_ASSERT(found != forwards_.end());
    std::unique_ptr<Forward> taken = std::move(*found);
    forwards_.erase(found);
    bytes_ -= taken->command_.size();
    return taken;
}

void RoutedGroup::on_answer(Forward* forward, ByteView answer) {
    const std::unique_ptr<Forward> taken = take(forward);
    const Status told = replay_outcome(answer, taken->proposal_);
    if (!told.ok() && taken->proposal_ != nullptr) {
        taken->proposal_->on_failed(told.with_unknown_effect());
    }
}

void RoutedGroup::on_failed(Forward* forward, const Status& why) {
    const bool is_worth_another_try =
        why.effect() == Effect::kNone &&
        (why.code() == Code::kNotLeader || why.code() == Code::kUnavailable) && !is_stopping_ &&
        env_.clock.now() < forward->give_up_;
    if (is_worth_another_try) {
        return;  // tick() tries again
    }
    const std::unique_ptr<Forward> taken = take(forward);
    if (taken->proposal_ != nullptr) {
        taken->proposal_->on_failed(why);
    }
}

void RoutedGroup::tick() {
    const MonotonicTime now = env_.clock.now();
    while (!forwards_.empty() && !forwards_.front()->is_under_way_ && !is_held_up() &&
           (now >= forwards_.front()->give_up_ || group_.is_leader())) {
        const std::unique_ptr<Forward> first = take(forwards_.front().get());
        Status refused(Code::kUnavailable, "no leader of the shard could be reached");
        if (now < first->give_up_) {
            mvcc::Command command;
            refused = mvcc::decode_command(first->command_, command);
            if (refused.ok()) {
                refused = group_.propose(command, first->proposal_);
            }
        }
        if (!refused.ok() && first->proposal_ != nullptr) {
            first->proposal_->on_failed(refused);
        }
    }
    push_on();
}

void RoutedGroup::stop() {
    is_stopping_ = true;
    std::deque<std::unique_ptr<Forward>> left;
    for (auto& forward : std::exchange(forwards_, {})) {
        if (forward->is_under_way_) {
            left.push_back(std::move(forward));
            continue;
        }
        bytes_ -= forward->command_.size();
        if (forward->proposal_ != nullptr) {
            forward->proposal_->on_failed(Status(Code::kUnavailable, "the server is stopping"));
        }
    }
    forwards_ = std::move(left);
}

}  // namespace kvstore::replication
