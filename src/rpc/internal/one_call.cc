#include "rpc/internal/one_call.h"

#include <string>
#include <utility>

#include "async/sync.h"
#include "rpc/internal/dial.h"
#include "rpc/internal/link.h"
#include "wire/frame.h"
#include "wire/status.h"

namespace kvstore::rpc::internal {
namespace {

using wire::FrameKind;

class OneCall final : public LinkUser {
public:
    OneCall(async::Scheduler& scheduler, std::shared_ptr<Link> link)
        : link_(std::move(link)), answer_(scheduler) {
        link_->set_user(this);
    }
    OneCall(const OneCall&) = delete;
    OneCall& operator=(const OneCall&) = delete;
    ~OneCall() {
        link_->set_user(nullptr);
        link_->close(Status());
    }

    [[nodiscard]] async::OneShot<Result<Received>>& answer() { return answer_; }

private:
    void on_frame(const wire::FrameHeader& header, ByteView payload) override {
        Status error;
        if (header.kind == FrameKind::kAnswer && !answer_.is_set()) {
            answer_.set(link_->kept(payload));
        } else if (header.kind == FrameKind::kErrorAnswer && !answer_.is_set() &&
                   wire::decode_status(payload, error).ok()) {
            answer_.set(Result<Received>(error));
        } else {
            link_->end_damaged("no answer to a call");
        }
    }
    void on_handed_over() override { may_have_left_ = true; }
    void on_link_down(const Status& why) override {
        if (!answer_.is_set()) {
            const Code code =
                why.code() == Code::kDeadlineExceeded ? why.code() : Code::kUnavailable;
            answer_.set(Result<Received>(Status(code,
                                                may_have_left_ ? Effect::kUnknown : Effect::kNone,
                                                std::string(why.message()))));
        }
    }

    std::shared_ptr<Link> link_;
    async::OneShot<Result<Received>> answer_;
    bool may_have_left_ = false;
};

}  // namespace

async::Task<Result<Received>> call_address(
    Core* core, env::Address address, Topic topic, Bytes request, async::Deadline deadline) {
    if (request.size() > core->options.frame_bytes_max) {
        co_return Status(Code::kTooLarge,
                         "a request of " + std::to_string(request.size()) + " bytes");
    }
    Destination to;
    to.address = std::move(address);
    to.use = wire::ConnectionUse::kOneCall;
    KVSTORE_CO_TRY(auto link, co_await dial(core, std::move(to), deadline));
    OneCall call(core->env.scheduler, link);
    link->set_deadline(deadline.at, "no answer in time");
    link->send(FrameKind::kCall, topic, 1, request);
    Result<Received> answer = co_await call.answer();
    co_return answer;
}

}  // namespace kvstore::rpc::internal
