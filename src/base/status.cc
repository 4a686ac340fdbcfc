#include "base/status.h"

namespace kvstore {

std::string_view code_name(Code code) noexcept {
    switch (code) {
        case Code::kOk: return "ok";
        case Code::kNotFound: return "not found";
        case Code::kAlreadyExists: return "already exists";
        case Code::kInvalidArgument: return "invalid argument";
        case Code::kTooLarge: return "too large";
        case Code::kConflict: return "conflict";
        case Code::kWrongType: return "wrong type";
        case Code::kOutOfRange: return "out of range";
        case Code::kCompacted: return "compacted";
        case Code::kFutureRevision: return "future revision";
        case Code::kNotLeader: return "not leader";
        case Code::kUnavailable: return "unavailable";
        case Code::kOverloaded: return "overloaded";
        case Code::kDeadlineExceeded: return "deadline exceeded";
        case Code::kDiskFull: return "disk full";
        case Code::kMemoryFull: return "memory full";
        case Code::kIoError: return "i/o error";
        case Code::kCorruption: return "corruption";
        case Code::kUnauthenticated: return "unauthenticated";
        case Code::kPermissionDenied: return "permission denied";
        case Code::kUnimplemented: return "unimplemented";
        case Code::kInternal: return "internal";
    }
    return "internal";
}

Status::Status(Code code, Effect effect, std::string message) {
    KVSTORE_ASSERT(code != Code::kOk);
    rep_ =
        std::make_unique<Rep>(Rep{.code = code, .effect = effect, .message = std::move(message)});
}

Status::Status(Code code, std::string message) : Status(code, Effect::kNone, std::move(message)) {}

Status::Status(const Status& other)
    : rep_(other.rep_ ? std::make_unique<Rep>(*other.rep_) : nullptr) {}

Status& Status::operator=(const Status& other) {
    if (this != &other) {
        rep_ = other.rep_ ? std::make_unique<Rep>(*other.rep_) : nullptr;
    }
    return *this;
}

Status Status::with_context(std::string_view context) const {
    if (ok()) {
        return {};
    }
    return {rep_->code, rep_->effect, std::string(context) + ": " + rep_->message};
}

Status Status::with_unknown_effect() const {
    if (ok()) {
        return {};
    }
    return {rep_->code, Effect::kUnknown, rep_->message};
}

std::string Status::to_string() const {
    if (ok()) {
        return "ok";
    }
    return std::string(code_name(rep_->code)) + ": " + rep_->message;
}

}  // namespace kvstore
