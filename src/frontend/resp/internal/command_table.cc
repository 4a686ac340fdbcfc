#include "frontend/resp/internal/command_table.h"

#include <array>
#include <cstdint>

#include "base/assert.h"
#include "base/hash.h"
#include "frontend/resp/internal/commands.h"

namespace kvstore::resp {
namespace {

constexpr std::size_t kNameBytesMax = 24;
constexpr std::size_t kSlots = 512;

// The name in lower case, padded with zeros.
struct FoldedName {
    std::array<std::uint64_t, kNameBytesMax / 8> words{};

    FoldedName() = default;
    // Requires: at most kNameBytesMax bytes.
    explicit FoldedName(std::string_view name) {
        for (std::size_t i = 0; i < name.size(); ++i) {
            const auto byte = static_cast<unsigned char>(name[i]);
            const bool is_upper = byte >= 'A' && byte <= 'Z';
            words[i / 8] |= std::uint64_t{byte + (is_upper ? 0x20U : 0U)} << (i % 8 * 8);
        }
    }

    friend bool operator==(const FoldedName&, const FoldedName&) = default;

    [[nodiscard]] std::size_t place() const {
        return static_cast<std::size_t>(mix64(words[0] ^ (words[1] * 31U) ^ (words[2] * 131U)) %
                                        kSlots);
    }
};

// Open addressing over the rows, filled once.
class Index {
public:
    Index() {
        const std::span<const CommandSpec> rows = command_rows();
        KVSTORE_ASSERT(rows.size() * 2 < kSlots);
        for (std::size_t row = 0; row < rows.size(); ++row) {
            KVSTORE_ASSERT(rows[row].name.size() <= kNameBytesMax);
            const FoldedName folded(rows[row].name);
            std::size_t place = folded.place();
            while (slots_[place].row != nullptr) {
                place = (place + 1) % kSlots;
            }
            slots_[place] = {.name = folded, .row = &rows[row]};
        }
    }

    [[nodiscard]] const CommandSpec* find(std::string_view name) const {
        if (name.size() > kNameBytesMax) {
            return nullptr;
        }
        const FoldedName folded(name);
        std::size_t place = folded.place();
        while (slots_[place].row != nullptr && slots_[place].name != folded) {
            place = (place + 1) % kSlots;
        }
        return slots_[place].row;
    }

private:
    struct Slot {
        FoldedName name;
        const CommandSpec* row = nullptr;  // null: free
    };
    std::array<Slot, kSlots> slots_{};
};

const Index& index() {
    static const Index kIndex;
    return kIndex;
}

}  // namespace

const CommandSpec* CommandTable::find(std::string_view name) {
    return index().find(name);
}

std::span<const CommandSpec> CommandTable::all() {
    return command_rows();
}

std::size_t CommandTable::number_of(const CommandSpec& spec) {
    return static_cast<std::size_t>(&spec - command_rows().data());
}

bool arity_suits(const CommandSpec& spec, std::size_t size) {
    return spec.arity >= 0 ? size == static_cast<std::size_t>(spec.arity)
                           : size >= static_cast<std::size_t>(-spec.arity);
}

KeyPositions::KeyPositions(const CommandSpec& spec, std::size_t size) {
    if (spec.first_key == 0) {
        return;
    }
    first_ = static_cast<std::size_t>(spec.first_key);
    step_ = static_cast<std::size_t>(spec.key_step);
    const std::size_t last = spec.last_key >= 0 ? static_cast<std::size_t>(spec.last_key)
                                                : size - static_cast<std::size_t>(-spec.last_key);
    count_ = last < first_ || last >= size ? 0 : ((last - first_) / step_) + 1;
}

}  // namespace kvstore::resp
