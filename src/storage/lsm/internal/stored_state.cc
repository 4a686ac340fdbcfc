#include "storage/lsm/internal/stored_state.h"

#include <bitset>

#include "base/coding.h"

namespace kvstore::storage::lsm {
namespace {

constexpr std::uint8_t kFormatVersion = 1;

using PrefixSet = std::bitset<256>;

PrefixSet used_prefixes(const StoredState& state) {
    PrefixSet used;
    used.set(kStatePrefix);
    for (const std::uint8_t prefix : state.prefixes) {
        used.set(prefix);
    }
    for (const std::uint8_t prefix : state.dead) {
        used.set(prefix);
    }
    return used;
}

}  // namespace

std::optional<std::uint8_t> StoredState::find_free_prefix() const {
    const PrefixSet used = used_prefixes(*this);
    for (std::size_t prefix = 0; prefix < used.size(); ++prefix) {
        if (!used.test(prefix)) {
            return static_cast<std::uint8_t>(prefix);
        }
    }
    return std::nullopt;
}

Bytes StoredState::encode() const {
    Bytes stored;
    stored.push_back(static_cast<char>(kFormatVersion));
    put_fixed(stored, applied.value());
    for (const std::uint8_t prefix : prefixes) {
        stored.push_back(static_cast<char>(prefix));
    }
    for (const std::uint8_t prefix : dead) {
        stored.push_back(static_cast<char>(prefix));
    }
    return stored;
}

Result<StoredState> StoredState::decode(ByteView stored) {
    Decoder decoder(stored);
    StoredState state;
    const auto version = decoder.fixed<std::uint8_t>();
    state.applied = Index(decoder.fixed<std::uint64_t>());
    for (std::uint8_t& prefix : state.prefixes) {
        prefix = decoder.fixed<std::uint8_t>();
    }
    if (!decoder.ok()) {
        return Status(Code::kCorruption, "the engine's state record is short");
    }
    if (version != kFormatVersion) {
        return Status(Code::kCorruption,
                      "the engine's state record has format " + std::to_string(version) +
                          ", this program reads " + std::to_string(kFormatVersion));
    }
    while (!decoder.at_end()) {
        state.dead.push_back(decoder.fixed<std::uint8_t>());
    }
    // Every prefix stands for one thing.
    if (used_prefixes(state).count() != 1 + state.prefixes.size() + state.dead.size()) {
        return Status(Code::kCorruption, "the engine's state record uses a prefix twice");
    }
    return state;
}

}  // namespace kvstore::storage::lsm
