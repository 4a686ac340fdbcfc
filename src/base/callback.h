// A callable that moves and never copies, called through one pointer. Callables of up to three
// words live inside it; larger ones cost an allocation.
#pragma once

#include <array>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "base/assert.h"

namespace kvstore {

template <typename Signature>
class Callback;

template <typename R, typename... Args>
class Callback<R(Args...)> {
public:
    Callback() noexcept = default;

    template <typename F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, Callback> &&
                 std::is_invocable_r_v<R, std::remove_cvref_t<F>&, Args...>)
    Callback(F&& callable) {  // NOLINT(google-explicit-constructor): lambdas convert
        using Stored = std::remove_cvref_t<F>;
        if constexpr (sizeof(Stored) <= sizeof(Storage) && alignof(Stored) <= alignof(Storage) &&
                      std::is_nothrow_move_constructible_v<Stored>) {
            ::new (static_cast<void*>(&storage_)) Stored(std::forward<F>(callable));
            call_ = [](void* self, Args... args) -> R {
                return (*static_cast<Stored*>(self))(std::forward<Args>(args)...);
            };
            manage_ = [](void* self, void* to) noexcept {
                auto* stored = static_cast<Stored*>(self);
                if (to != nullptr) {
                    ::new (to) Stored(std::move(*stored));
                }
                stored->~Stored();
            };
        } else {
            auto* stored = ::new Stored(std::forward<F>(callable));
            ::new (static_cast<void*>(&storage_)) Stored*(stored);
            call_ = [](void* self, Args... args) -> R {
                return (**static_cast<Stored**>(self))(std::forward<Args>(args)...);
            };
            manage_ = [](void* self, void* to) noexcept {
                auto** stored = static_cast<Stored**>(self);
                if (to != nullptr) {
                    ::new (to) Stored*(*stored);
                } else {
                    delete *stored;
                }
            };
        }
    }

    Callback(Callback&& other) noexcept { take(other); }
    Callback& operator=(Callback&& other) noexcept {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    Callback(const Callback&) = delete;
    Callback& operator=(const Callback&) = delete;
    ~Callback() { reset(); }

    [[nodiscard]] explicit operator bool() const noexcept { return call_ != nullptr; }

    R operator()(Args... args) {
        KVSTORE_ASSERT(call_ != nullptr);
        return call_(&storage_, std::forward<Args>(args)...);
    }

    void reset() noexcept {
        if (manage_ != nullptr) {
            manage_(&storage_, nullptr);
        }
        call_ = nullptr;
        manage_ = nullptr;
    }

private:
    struct alignas(void*) Storage {
        std::array<std::byte, 3 * sizeof(void*)> raw;
    };

    void take(Callback& other) noexcept {
        if (other.manage_ != nullptr) {
            other.manage_(&other.storage_, &storage_);
        }
        call_ = std::exchange(other.call_, nullptr);
        manage_ = std::exchange(other.manage_, nullptr);
    }

    Storage storage_;
    R (*call_)(void*, Args...) = nullptr;
    void (*manage_)(void*, void*) noexcept = nullptr;
};

}  // namespace kvstore
