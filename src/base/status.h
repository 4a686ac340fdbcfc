// Errors as values. A failed write always says what it may have done.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace kvstore {

// What the caller can do about it; few on purpose. Protocol codes are made in the front ends.
enum class Code : std::uint8_t {
    kOk,
    kNotFound,          // the named thing does not exist
    kAlreadyExists,     // it exists and should not
    kInvalidArgument,   // the request is wrong and will stay wrong
    kTooLarge,          // over a limit that a setting holds
    kConflict,          // a condition did not hold (compare-and-set, changed meanwhile)
    kWrongType,         // the value is of another type than the operation works on
    kOutOfRange,        // a number or position leaves its range
    kCompacted,         // the revision asked for is no longer retained
    kFutureRevision,    // the revision asked for does not exist yet
    kNotLeader,         // another node leads this shard
    kUnavailable,       // cannot be served now; try again
    kOverloaded,        // admission refused it; try again later
    kDeadlineExceeded,  // its time is up
    kDiskFull,          // no space for writes
    kMemoryFull,        // no room for writes that add data; what deletes is taken
    kIoError,           // the disk or network failed
    kCorruption,        // stored data failed its checks
    kUnauthenticated,
    kPermissionDenied,
    kUnimplemented,
    kInternal,
};

[[nodiscard]] std::string_view code_name(Code code) noexcept;

// What a failed call may have done. Nobody turns unknown into none.
enum class Effect : std::uint8_t {
    kNone,     // certainly nothing
    kUnknown,  // it may yet take effect
};

// The outcome of a call that returns nothing else.
//
// Runs on: any; a value. An OK status is one null pointer.
class [[nodiscard]] Status {
public:
    Status() noexcept = default;
    Status(Code code, Effect effect, std::string message);
    // For calls that change nothing: the effect is none.
    Status(Code code, std::string message);

    Status(const Status& other);
    Status& operator=(const Status& other);
    Status(Status&&) noexcept = default;
    Status& operator=(Status&&) noexcept = default;
    ~Status() = default;

    [[nodiscard]] bool ok() const noexcept { return rep_ == nullptr; }
    [[nodiscard]] Code code() const noexcept { return ok() ? Code::kOk : rep_->code; }
    [[nodiscard]] Effect effect() const noexcept { return ok() ? Effect::kNone : rep_->effect; }
    [[nodiscard]] std::string_view message() const noexcept {
        return ok() ? std::string_view() : std::string_view(rep_->message);
    }

    // The same error with `context` and a colon before its message.
    [[nodiscard]] Status with_context(std::string_view context) const;
    // The same error, known less precisely: its effect is unknown.
    [[nodiscard]] Status with_unknown_effect() const;

    // For people: "corruption: wal/wal-00000003 at 8192: bad checksum".
    [[nodiscard]] std::string to_string() const;

private:
    struct Rep {
        Code code;
        Effect effect;
        std::string message;
    };
    std::unique_ptr<Rep> rep_;
};

// A value, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value)
        : state_(std::in_place_index<1>, std::move(value)) {
    }  // NOLINT(google-explicit-constructor): return value;
    Result(Status status)
        : state_(std::in_place_index<0>,
                 std::move(status)) {  // NOLINT(google-explicit-constructor): return status;
        KVSTORE_ASSERT(!std::get<0>(state_).ok());
    }

    [[nodiscard]] bool ok() const noexcept { return state_.index() == 1; }
    [[nodiscard]] Status status() const { return ok() ? Status() : std::get<0>(state_); }

    // Requires: ok().
    [[nodiscard]] T& value() & {
        KVSTORE_ASSERT(ok());
        return *std::get_if<1>(&state_);
    }
    [[nodiscard]] const T& value() const& {
        KVSTORE_ASSERT(ok());
        return *std::get_if<1>(&state_);
    }
    [[nodiscard]] T&& value() && {
        KVSTORE_ASSERT(ok());
        return std::move(*std::get_if<1>(&state_));
    }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }

private:
    std::variant<Status, T> state_;
};

}  // namespace kvstore

#define KVSTORE_CONCAT_INNER(a, b) a##b
#define KVSTORE_CONCAT(a, b) KVSTORE_CONCAT_INNER(a, b)

// KVSTORE_TRY(auto x, f());  declares x, or returns f()'s error.
#define KVSTORE_TRY(declaration, expression)                   \
    auto KVSTORE_CONCAT(try_result_, __LINE__) = (expression); \
    if (!KVSTORE_CONCAT(try_result_, __LINE__).ok()) {         \
        return KVSTORE_CONCAT(try_result_, __LINE__).status(); \
    }                                                          \
    declaration = std::move(KVSTORE_CONCAT(try_result_, __LINE__)).value()

// The same in a coroutine: KVSTORE_CO_TRY(auto x, co_await f());
#define KVSTORE_CO_TRY(declaration, expression)                   \
    auto KVSTORE_CONCAT(try_result_, __LINE__) = (expression);    \
    if (!KVSTORE_CONCAT(try_result_, __LINE__).ok()) {            \
        co_return KVSTORE_CONCAT(try_result_, __LINE__).status(); \
    }                                                             \
    declaration = std::move(KVSTORE_CONCAT(try_result_, __LINE__)).value()

// KVSTORE_CHECK_OK(f());  for a Status: goes on, or returns it.
#define KVSTORE_CHECK_OK(expression)                     \
    do {                                                 \
        ::kvstore::Status kvstore_status = (expression); \
        if (!kvstore_status.ok()) {                      \
            return kvstore_status;                       \
        }                                                \
    } while (false)

#define KVSTORE_CO_CHECK_OK(expression)                  \
    do {                                                 \
        ::kvstore::Status kvstore_status = (expression); \
        if (!kvstore_status.ok()) {                      \
            co_return kvstore_status;                    \
        }                                                \
    } while (false)
