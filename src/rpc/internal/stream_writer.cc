#include "rpc/internal/stream_writer.h"

#include <optional>
#include <string>
#include <utility>

#include "async/sync.h"
#include "rpc/internal/dial.h"
#include "rpc/internal/link.h"
#include "wire/frame.h"
#include "wire/status.h"

namespace kvstore::rpc::internal {
namespace {

using env::Connection;
using wire::FrameKind;

// Lifetime  Owned by who writes. May outlive the transport, whose stop() ends the stream.
class Writer final : public OutgoingStream, public LinkUser {
public:
    Writer(Core& core, std::shared_ptr<Link> link)
        : core_(core), link_(std::move(link)), changed_(core.env.scheduler) {
        link_->set_pace(OutputPace::kAtOnce);
        link_->set_user(this);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() override {
        link_->set_user(nullptr);
        link_->close(Status());
    }

    async::Task<Status> write(Bytes chunk) override {
        if (chunk.empty() || !failure_.ok()) {
            co_return failure_;
        }
        if (chunk.size() > frame_bytes_max_) {
            co_return Status(Code::kTooLarge,
                             "a chunk of " + std::to_string(chunk.size()) + " bytes");
        }
        if (link_->is_open()) {
            const MonotonicTime may_send = core_.stream_rate.reserve(chunk.size(), core_.now());
            while (is_under_way() && core_.now() < may_send) {
                co_await wait_until(may_send);
            }
        }
        link_->send(FrameKind::kStreamChunk, 0, 0, chunk);
        while (is_under_way() && link_->waiting() > Connection::kOutputHighWater) {
            co_await wait_until(MonotonicTime::max());
        }
        co_return failure_;
    }

    async::Task<Result<Bytes>> finish(async::Deadline deadline) override {
        link_->send(FrameKind::kStreamEnd, 0, 0, {});
        while (is_under_way()) {
            if (deadline.has_passed(core_.now())) {
                fail(Status(Code::kDeadlineExceeded, "no answer to the stream in time"));
                link_->close(failure_);
                break;
            }
            co_await wait_until(deadline.at);
        }
        if (!failure_.ok()) {
            co_return failure_;
        }
        link_->close(Status());
        co_return *answer_;
    }

private:
    [[nodiscard]] bool is_under_way() const { return failure_.ok() && !answer_.has_value(); }

    // Suspends: until something has changed, or until `when`.
    async::Task<void> wait_until(MonotonicTime when) {
        changed_.reset();
        env::TimerId timer;
        if (when != MonotonicTime::max()) {
            timer = core_.env.clock.start_timer(when, [this] { changed_.set(); });
        }
        co_await changed_;
        if (timer != env::TimerId()) {
            core_.env.clock.cancel_timer(timer);
        }
    }

    void on_frame(const wire::FrameHeader& header, ByteView payload) override {
        Status error;
        if (header.kind == FrameKind::kStreamAnswer && is_under_way()) {
            answer_ = Bytes(payload);
        } else if (header.kind == FrameKind::kStreamError && is_under_way() &&
                   wire::decode_status(payload, error).ok()) {
            failure_ = error;
        } else {
            link_->end_damaged("no answer to a stream");
            return;
        }
        changed_.set();
    }

    void on_link_down(const Status& why) override {
        fail(Status(why.code() == Code::kDeadlineExceeded ? why.code() : Code::kUnavailable,
                    "the stream broke: " + std::string(why.message())));
        changed_.set();
    }
    void on_output_room() override { changed_.set(); }

    // The reader may have acted on what had come by then.
    void fail(const Status& why) {
        if (is_under_way()) {
            failure_ = why.with_unknown_effect();
        }
    }

    Core& core_;
    std::shared_ptr<Link> link_;
    std::size_t frame_bytes_max_ = core_.options.frame_bytes_max;
    Status failure_;
    std::optional<Bytes> answer_;
    async::Event changed_;
};

}  // namespace

async::Task<Result<std::unique_ptr<OutgoingStream>>> open_stream(Core* core,
                                                                 NodeId peer,
                                                                 env::Address address,
                                                                 Topic topic,
                                                                 Bytes header,
                                                                 async::Deadline deadline) {
    if (header.size() > core->options.frame_bytes_max) {
        co_return Status(Code::kTooLarge,
                         "a stream header of " + std::to_string(header.size()) + " bytes");
    }
    Destination to;
    to.address = std::move(address);
    to.node = peer;
    to.use = wire::ConnectionUse::kStream;
    KVSTORE_CO_TRY(auto link, co_await dial(core, std::move(to), deadline));
    auto writer = std::make_unique<Writer>(*core, link);
    link->send(FrameKind::kStreamBegin, topic, 0, header);
    co_return std::unique_ptr<OutgoingStream>(std::move(writer));
}

}  // namespace kvstore::rpc::internal
