// Holds a gate open for the length of a coroutine: stop() waits for it.
#pragma once

#include <utility>

#include "async/sync.h"
#include "base/status.h"

namespace kvstore::kv {

class Inside {
public:
    // `exclusion` is why nobody may enter at all; ok: everybody may.
    explicit Inside(async::Gate& gate, Status exclusion = Status())
        : gate_(gate), entered_(gate.try_enter()), exclusion_(std::move(exclusion)) {}
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() {
        if (entered_) {
            gate_.leave();
        }
    }

    // Errors: kUnavailable: the gate is closed, and its owner may be half gone; the exclusion.
    [[nodiscard]] Status status() const {
        return entered_ ? exclusion_ : Status(Code::kUnavailable, "the server is stopping");
    }

private:
    async::Gate& gate_;
    bool entered_;
    Status exclusion_;
};

}  // namespace kvstore::kv
