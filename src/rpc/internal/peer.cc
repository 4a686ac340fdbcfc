#include "rpc/internal/peer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"
#include "rpc/internal/dial.h"
#include "wire/frame.h"
#include "wire/status.h"

namespace kvstore::rpc::internal {
namespace {

using wire::FrameKind;

// Messages of one turn and topic beyond this leave in more than one frame.
constexpr std::size_t kOpenFrameSealAt = 1U << 20U;
// What an open frame's buffer keeps between turns.
constexpr std::size_t kOpenFrameKeepMax = 1U << 20U;

Status unavailable(Effect effect, std::string_view words) {
    return {Code::kUnavailable, effect, std::string(words)};
}

}  // namespace

Peer::Peer(Core& core, NodeId id, env::Address address)
    : core_(core), id_(id), address_(std::move(address)), backoff_(core.options.backoff_min) {}

Peer::~Peer() {
    KVSTORE_ASSERT(state_ == State::kShutDown && calls_.size() == 0);
}

PeerStatus Peer::status() const {
    return {.id = id_,
            .address = address_,
            .is_connected = is_connected(),
            .last_failure = last_failure_,
            .refusal = refusal_,
            .round_trip = link_ != nullptr ? link_->round_trip() : round_trip_};
}

void Peer::cancel(env::TimerId& timer) {
    if (timer != env::TimerId()) {
        core_.env.clock.cancel_timer(timer);
        timer = env::TimerId();
    }
}

// ---- connecting ----

void Peer::connect() {
    cancel(retry_timer_);
    state_ = State::kConnecting;
    core_.gate.spawn(attempt(shared_from_this(), ++attempt_));
}

async::Task<void> Peer::attempt(std::shared_ptr<Peer> self, std::uint64_t number) {
    Destination to;
    to.address = self->address_;
    to.node = self->id_;
    to.use = wire::ConnectionUse::kPeer;
    auto outcome = co_await dial(&self->core_, std::move(to), async::Deadline::never());
    self->on_attempt_done(number, std::move(outcome));
}

void Peer::on_attempt_done(std::uint64_t number, Result<std::shared_ptr<Link>> outcome) {
    if (number != attempt_ || state_ != State::kConnecting) {
        if (outcome.ok()) {
            (*outcome)->close(Status());
        }
        return;
    }
    if (outcome.ok()) {
        on_connected(*std::move(outcome));
        return;
    }
    core_.instruments.connects_failed.add();
    waiting_.clear();
    retry_later(outcome.status());
}

void Peer::on_connected(std::shared_ptr<Link> link) {
    link_ = std::move(link);
    link_->set_user(this);
    state_ = State::kConnected;
    connected_at_ = core_.now();
    last_failure_ = Status();
    refusal_ = Status();
    core_.tell_peer_state(id_, /*is_connected=*/true);
    send_waiting_calls();
}

// Calls that have expired meanwhile were told that they had no effect.
void Peer::send_waiting_calls() {
    Bytes waiting;
    std::swap(waiting, waiting_);
    ByteView rest = waiting;
    while (!rest.empty()) {
        const auto header = wire::read_frame_header(rest, wire::kFramePayloadMax);
        const std::size_t size = (*header)->size();
        if (calls_.contains((*header)->call)) {
            link_->send_frames(rest.substr(0, size), 1);
        }
        rest.remove_prefix(size);
    }
}

// Half of the wait is by chance, so that nodes that lost one peer do not come back together.
void Peer::retry_later(const Status& why) {
    last_failure_ = why;
    fail_calls(why);
    state_ = State::kWaiting;
    const auto half = static_cast<std::uint64_t>(backoff_.count()) / 2;
    const Duration wait(static_cast<Duration::rep>(half + core_.env.entropy.next() % (half + 1)));
    backoff_ = std::min(2 * backoff_, core_.options.backoff_max);
    retry_timer_ = core_.env.clock.start_timer(core_.now() + wait, [this] {
        retry_timer_ = env::TimerId();
        connect();
    });
}

void Peer::on_link_down(const Status& why) {
    round_trip_ = link_->round_trip();
    link_.reset();
    drop_open_frames();
    core_.tell_peer_state(id_, /*is_connected=*/false);
    // A peer that accepts and ends connections at once is left alone as one that refuses them.
    if (core_.now() - connected_at_ >= core_.options.backoff_max) {
        backoff_ = core_.options.backoff_min;
    }
    if (state_ == State::kConnected) {
        retry_later(why);
    }
}

void Peer::note_refusal(const Status& why) {
    if (state_ != State::kConnected) {
        last_failure_ = why;
        refusal_ = why;
    }
}

void Peer::set_address(const env::Address& address) {
    if (address.host == address_.host && address.port == address_.port) {
        return;
    }
    address_ = address;
    if (state_ == State::kIdle) {
        return;
    }
    const Status why = unavailable(Effect::kNone, "the peer has another address now");
    if (state_ == State::kConnected) {
        state_ = State::kWaiting;
        link_->close(why);
        fail_calls(why);
    }
    // Calls that wait for an attempt wait for the next one.
    last_failure_ = Status();
    backoff_ = core_.options.backoff_min;
    connect();
}

void Peer::shut_down(const Status& why) {
    state_ = State::kShutDown;
    cancel(retry_timer_);
    cancel(deadline_timer_);
    if (link_ != nullptr) {
        // The user's last word to the link: it calls on_link_down().
        const std::shared_ptr<Link> link = link_;
        link->close(why);
    }
    Bytes().swap(waiting_);
    fail_calls(why);
}

// ---- messages ----

std::size_t Peer::open_bytes() const {
    std::size_t size = 0;
    for (const OpenFrame& frame : open_frames_) {
        size += frame.bytes.size();
    }
    return size;
}

Bytes* Peer::message_buffer(Topic topic) {
    if (state_ == State::kIdle) {
        connect();
    }
    if (link_ == nullptr || link_->waiting() + open_bytes() > core_.options.peer_output_max) {
        core_.instruments.messages_dropped.add();
        return nullptr;
    }
    auto frame = std::find_if(open_frames_.begin(), open_frames_.end(), [topic](const auto& open) {
        return open.topic == topic;
    });
    if (frame == open_frames_.end()) {
        frame = open_frames_.insert(frame, OpenFrame{.topic = topic});
    }
    if (frame->bytes.size() > kOpenFrameSealAt) {
        seal(*frame);
    }
    if (frame->bytes.empty()) {
        wire::begin_frame(frame->bytes);
        link_->flush_later();
    }
    return &frame->bytes;
}

void Peer::seal(OpenFrame& frame) {
    const std::size_t size = frame.bytes.size();
    if (size > wire::kFrameHeaderSize + core_.options.frame_bytes_max) {
        core_.instruments.messages_dropped.add();
    } else if (size > wire::kFrameHeaderSize) {
        wire::seal_frame(frame.bytes, 0, FrameKind::kMessages, frame.topic, 0);
        link_->send_frames(frame.bytes, 1);
    }
    if (frame.bytes.capacity() > kOpenFrameKeepMax) {
        Bytes().swap(frame.bytes);
    } else {
        frame.bytes.clear();
    }
}

void Peer::before_flush() {
    for (OpenFrame& frame : open_frames_) {
        if (!frame.bytes.empty()) {
            seal(frame);
        }
    }
}

void Peer::drop_open_frames() {
    for (const OpenFrame& frame : open_frames_) {
        if (frame.bytes.size() > wire::kFrameHeaderSize) {
            core_.instruments.messages_dropped.add();
        }
    }
    open_frames_.clear();
}

// ---- calls ----

Status Peer::admit_call(std::size_t size) const {
    if (size > core_.options.frame_bytes_max) {
        return {Code::kTooLarge,
                "a request of " + std::to_string(size) + " bytes, where " +
                    std::to_string(core_.options.frame_bytes_max) + " are allowed"};
    }
    const bool may_wait = state_ == State::kConnecting && last_failure_.ok();
    if (link_ == nullptr && !may_wait) {
        return unavailable(Effect::kNone,
                           "node " + std::to_string(id_.value()) + " at " + address_.to_string() +
                               " cannot be reached: " + std::string(last_failure_.message()));
    }
    const std::size_t waiting =
        link_ != nullptr ? link_->waiting() + open_bytes() : waiting_.size();
    if (calls_.size() >= core_.options.calls_max ||
        waiting + size > core_.options.peer_output_max) {
        return {Code::kOverloaded,
                "too much waits for node " + std::to_string(id_.value()) + " already"};
    }
    return {};
}

Status Peer::start_call(Topic topic, ByteView request, async::Deadline deadline, CallSink* sink) {
    if (state_ == State::kIdle) {
        connect();
    }
    KVSTORE_CHECK_OK(admit_call(request.size()));
    const MonotonicTime now = core_.now();
    if (deadline.has_passed(now)) {
        return {Code::kDeadlineExceeded, "the call's time was up before it began"};
    }
    const std::uint64_t call = calls_.add(sink, deadline, now);
    core_.instruments.calls_sent.add();
    if (link_ != nullptr) {
        link_->send(FrameKind::kCall, topic, call, request);
    } else {
        wire::append_frame(waiting_, FrameKind::kCall, topic, call, request);
    }
    set_deadline_timer(deadline.at);
    return {};
}

// One timer stands for all calls. It is moved only by a deadline that is earlier than all others,
// which in a row of calls with the same time allowed is none but the first.
void Peer::set_deadline_timer(MonotonicTime deadline) {
    if (deadline >= deadline_at_) {
        return;
    }
    cancel(deadline_timer_);
    deadline_at_ = calls_.next_check();
    deadline_timer_ = core_.env.clock.start_timer(deadline_at_, [this] {
        deadline_timer_ = env::TimerId();
        deadline_at_ = MonotonicTime::max();
        const std::shared_ptr<Peer> keep = shared_from_this();
        fail_expired();
    });
}

void Peer::fail_expired() {
    std::vector<CallTable::Call> calls = calls_.take_expired(core_.now());
    set_deadline_timer(calls_.next_check());
    // What waits for a connection is not sent once it has expired; what was given to one may be.
    const Effect effect = link_ == nullptr ? Effect::kNone : Effect::kUnknown;
    core_.instruments.calls_failed.add(calls.size());
    for (const CallTable::Call& call : calls) {
        call.sink->on_failed(Status(Code::kDeadlineExceeded, effect, "no answer in time"));
    }
}

// They are told in a step of their own, since whoever is told may call the transport again.
void Peer::fail_calls(const Status& why) {
    cancel(deadline_timer_);
    deadline_at_ = MonotonicTime::max();
    if (calls_.size() == 0) {
        return;
    }
    core_.instruments.calls_failed.add(calls_.size());
    const std::string words =
        "node " + std::to_string(id_.value()) + ": " + std::string(why.message());
    core_.post([calls = calls_.take_all(), below = handed_over_below_, words] {
        for (const CallTable::Call& call : calls) {
            const Effect effect = call.id < below ? Effect::kUnknown : Effect::kNone;
            call.sink->on_failed(unavailable(effect, words));
        }
    });
}

void Peer::on_frame(const wire::FrameHeader& header, ByteView payload) {
    Status error;
    if (header.kind == FrameKind::kAnswer) {
        if (CallSink* sink = calls_.take(header.call); sink != nullptr) {
            sink->on_answer(link_->kept(payload));
        }
    } else if (header.kind == FrameKind::kErrorAnswer && wire::decode_status(payload, error).ok()) {
        if (CallSink* sink = calls_.take(header.call); sink != nullptr) {
            sink->on_failed(error);
        }
    } else {
        link_->end_damaged("a frame that is no answer");
    }
}

}  // namespace kvstore::rpc::internal
