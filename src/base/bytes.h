// Keys and values are bytes without a meaning of their own; std::string and std::string_view carry
// them, compared as unsigned bytes.
#pragma once

#include <string>
#include <string_view>

namespace kvstore {

using Bytes = std::string;
using ByteView = std::string_view;

// The first key after every key that begins with `prefix`; empty where there is none (all 0xff).
[[nodiscard]] inline Bytes prefix_end(ByteView prefix) {
    Bytes end(prefix);
    while (!end.empty()) {
        if (static_cast<unsigned char>(end.back()) != 0xff) {
            end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
            return end;
        }
        end.pop_back();
    }
    return end;
}

}  // namespace kvstore
