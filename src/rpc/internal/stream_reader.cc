#include "rpc/internal/stream_reader.h"

#include <optional>
#include <utility>

#include "async/sync.h"
#include "wire/frame.h"
#include "wire/status.h"

namespace kvstore::rpc::internal {
namespace {

using wire::FrameKind;

// One chunk is held ready; the connection is not read while it waits, so that the writer slows down
// to what the service takes.
//
// Lifetime  Shared by the coroutine that serves the stream and by the service's end of it.
class Reader final : public LinkUser {
public:
    Reader(Core& core, std::shared_ptr<Link> link)
        : link_(std::move(link)), changed_(core.env.scheduler), ended_(core.env.scheduler) {
        link_->set_pace(OutputPace::kAtOnce);
        link_->set_user(this);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader() {
        link_->set_user(nullptr);
        link_->close(Status());
    }

    static async::Task<Result<Bytes>> read(std::shared_ptr<Reader> self) {
        while (!self->chunk_.has_value() && !self->has_end_ && self->failure_.ok()) {
            self->changed_.reset();
            co_await self->changed_;
        }
        if (self->chunk_.has_value()) {
            Bytes chunk = *std::move(self->chunk_);
            self->chunk_.reset();
            self->link_->resume();
            co_return chunk;
        }
        if (self->has_end_) {
            co_return Bytes();
        }
        co_return self->failure_;
    }

    // The service has let go: what still comes is for nobody.
    void discard() {
        is_discarding_ = true;
        chunk_.reset();
        link_->resume();
    }

    // Sends the service's answer, and ends the connection once the writer has said all it has: an
    // end before that could take the answer away from him.
    void answer(const Result<Bytes>& result) {
        discard();
        if (result.ok()) {
            link_->send(FrameKind::kStreamAnswer, 0, 0, *result);
        } else {
            Bytes error;
            wire::encode_status(result.status(), error);
            link_->send(FrameKind::kStreamError, 0, 0, error);
        }
        has_answered_ = true;
        end_when_done();
    }

    [[nodiscard]] async::Event& ended() { return ended_; }

private:
    void on_frame(const wire::FrameHeader& header, ByteView payload) override {
        if (header.kind == FrameKind::kStreamEnd && !has_end_) {
            has_end_ = true;
            changed_.set();
            end_when_done();
        } else if (header.kind != FrameKind::kStreamChunk || has_end_ || payload.empty()) {
            link_->end_damaged("no chunk of a stream");
        } else if (!is_discarding_) {
            chunk_ = Bytes(payload);
            link_->pause();
            changed_.set();
        }
    }

    void on_link_down(const Status& why) override {
        failure_ = Status(why.code() == Code::kCorruption || why.code() == Code::kDeadlineExceeded
                              ? why.code()
                              : Code::kUnavailable,
                          "the stream broke: " + std::string(why.message()));
        changed_.set();
        ended_.set();
    }

    void end_when_done() {
        if (has_answered_ && has_end_) {
            link_->close_after_flush();
            ended_.set();
        }
    }

    std::shared_ptr<Link> link_;
    std::optional<Bytes> chunk_;
    bool has_end_ = false;
    bool is_discarding_ = false;
    bool has_answered_ = false;
    Status failure_;
    async::Event changed_;
    async::Event ended_;
};

class ServiceEnd final : public IncomingStream {
public:
    explicit ServiceEnd(std::shared_ptr<Reader> reader) : reader_(std::move(reader)) {}
    ServiceEnd(const ServiceEnd&) = delete;
    ServiceEnd& operator=(const ServiceEnd&) = delete;
    ~ServiceEnd() override { reader_->discard(); }

    async::Task<Result<Bytes>> read() override { return Reader::read(reader_); }

private:
    std::shared_ptr<Reader> reader_;
};

async::Task<void> serve(std::shared_ptr<Reader> reader,
                        Service* service,
                        NodeId from,
                        Bytes header) {
    std::unique_ptr<IncomingStream> stream = std::make_unique<ServiceEnd>(reader);
    const Result<Bytes> result =
        co_await service->on_stream(from, std::move(header), std::move(stream));
    reader->answer(result);
    co_await reader->ended();
}

}  // namespace

void serve_stream(
    Core& core, std::shared_ptr<Link> link, Service* service, NodeId from, Bytes header) {
    auto reader = std::make_shared<Reader>(core, std::move(link));
    core.gate.spawn(serve(std::move(reader), service, from, std::move(header)));
}

}  // namespace kvstore::rpc::internal
