// Holds a gate open for the length of a coroutine: stop() waits for it.
#pragma once

#include "async/sync.h"
#include "base/status.h"

namespace kvstore::kv {

class Inside {
public:
    explicit Inside(async::Gate& gate) : gate_(gate), entered_(gate.try_enter()) {}
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() {
        if (entered_) {
            gate_.leave();
        }
    }

    // Errors: kUnavailable: the gate is closed, and its owner may be half gone.
    [[nodiscard]] Status status() const {
        return entered_ ? Status() : Status(Code::kUnavailable, "the server is stopping");
    }

private:
    async::Gate& gate_;
    bool entered_;
};

}  // namespace kvstore::kv
