#include "simulation/internal/remote_client.h"

#include <string>
#include <utility>
#include <vector>

#include "simulation/internal/plan.h"

namespace kvstore::simulation::internal {
namespace {

using history::MaybeValue;
using history::OperationKind;
using history::Outcome;

// What a Redis error says when a write may have happened; others certainly did nothing.
constexpr std::string_view kOutcomeUnknown = "outcome unknown";
constexpr std::string_view kEffectNone = R"("effect":"none")";
// What a node answers that does not show the keyspace yet.
constexpr std::string_view kNoKeyspace = "keyspace not found";
constexpr std::string_view kRaw = "application/octet-stream";

std::vector<Bytes> words_of(const Attempt& attempt) {
    const history::Operation& question = attempt.question;
    switch (question.kind) {
        case OperationKind::kWrite:
            if (attempt.time_to_live) {
                return {"SET",
                        question.key,
                        question.argument.value_or(""),
                        "PX",
                        std::to_string(*attempt.time_to_live / std::chrono::milliseconds(1))};
            }
            return {"SET", question.key, question.argument.value_or("")};
        case OperationKind::kDelete: return {"DEL", question.key};
        case OperationKind::kIncrement:
            return {"INCRBY", question.key, std::to_string(question.delta)};
        case OperationKind::kAppend:
            return {"APPEND", question.key, question.argument.value_or("")};
        case OperationKind::kRead:
        case OperationKind::kCompareAndSet: break;
    }
    return {"GET", question.key};
}

http::ClientRequest request_of(const Attempt& attempt) {
    const history::Operation& question = attempt.question;
    const Place place = place_of(question.key);
    http::ClientRequest request;
    request.target = "/v1/keys/" + Bytes(place.key);
    char separator = '?';
    if (!place.keyspace.empty()) {
        request.target += "?keyspace=" + std::string(place.keyspace);
        separator = '&';
    }
    if (attempt.time_to_live) {
        request.target += separator + std::string("ttl_seconds=") +
                          std::to_string(*attempt.time_to_live / std::chrono::seconds(1));
    }
    switch (question.kind) {
        case OperationKind::kWrite:
            request.method = http::Method::kPut;
            request.body = question.argument.value_or("");
            request.headers.emplace_back("Content-Type", kRaw);
            break;
        case OperationKind::kDelete: request.method = http::Method::kDelete; break;
        default: request.headers.emplace_back("Accept", kRaw); break;
    }
    return request;
}

Answer answer_of(const RespReply& reply, OperationKind kind) {
    Answer answer{.outcome = Outcome::kOk};
    switch (reply.kind) {
        case RespReply::Kind::kError:
            return internal::answer_of(
                Status(Code::kUnavailable,
                       reply.text.find(kOutcomeUnknown) == Bytes::npos ? Effect::kNone
                                                                       : Effect::kUnknown,
                       reply.text),
                kind);
        case RespReply::Kind::kText:
            if (kind == OperationKind::kRead) {
                answer.observed = MaybeValue(reply.text);
            }
            break;
        case RespReply::Kind::kNull: answer.observed = MaybeValue(); break;
        case RespReply::Kind::kNumber: answer.number = reply.number; break;
    }
    return answer;
}

Answer answer_of(const http::Response& response, OperationKind kind) {
    constexpr unsigned kOk = 200;
    constexpr unsigned kCreated = 201;
    constexpr unsigned kNotFound = 404;
    Answer answer{.outcome = Outcome::kOk};
    const bool is_known = response.body.find(kNoKeyspace) == Bytes::npos;
    if (kind == OperationKind::kRead && response.status == kNotFound && is_known) {
        answer.observed = MaybeValue();
        return answer;
    }
    if (response.status != kOk && response.status != kCreated) {
        const bool is_none = response.body.find(kEffectNone) != Bytes::npos;
        return internal::answer_of(
            Status(Code::kUnavailable, is_none ? Effect::kNone : Effect::kUnknown, response.body),
            kind);
    }
    if (kind == OperationKind::kRead) {
        answer.observed = MaybeValue(response.body);
    }
    return answer;
}

}  // namespace

bool RemoteClient::can(Protocol protocol, OperationKind kind) {
    switch (kind) {
        case OperationKind::kRead:
        case OperationKind::kWrite:
        case OperationKind::kDelete: return true;
        case OperationKind::kIncrement:
        case OperationKind::kAppend: return protocol != Protocol::kRest;
        case OperationKind::kCompareAndSet: return protocol == Protocol::kDirect;
    }
    return false;
}

async::Task<void> RemoteClient::call(env::Address node, std::shared_ptr<Attempt> attempt) {
    Attempt* const asked = attempt.get();
    if (protocol_ == Protocol::kResp) {
        Answer answer = co_await call_resp(std::move(node), asked);
        attempt->finish(std::move(answer));
    } else {
        Answer answer = co_await call_rest(std::move(node), asked);
        attempt->finish(std::move(answer));
    }
}

async::Task<Answer> RemoteClient::call_resp(env::Address node, Attempt* attempt) {
    if (resp_ == nullptr || resp_->server().host != node.host) {
        resp_ = std::make_unique<RespLink>(env_, std::move(node));
    }
    const OperationKind kind = attempt->question.kind;
    auto words = words_of(*attempt);
    const auto reply = co_await resp_->call(std::move(words), attempt->context.deadline);
    co_return reply.ok() ? answer_of(*reply, kind) : internal::answer_of(reply.status(), kind);
}

async::Task<Answer> RemoteClient::call_rest(env::Address node, Attempt* attempt) {
    if (rest_ == nullptr || rest_->server().host != node.host) {
        rest_ = std::make_unique<http::Client>(env_, std::move(node));
    }
    const OperationKind kind = attempt->question.kind;
    auto request = request_of(*attempt);
    const auto response = co_await rest_->request(std::move(request), attempt->context.deadline);
    co_return response.ok() ? answer_of(*response, kind)
                            : internal::answer_of(response.status(), kind);
}

}  // namespace kvstore::simulation::internal
