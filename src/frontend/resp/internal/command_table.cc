#include "frontend/resp/internal/command_table.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "base/assert.h"
#include "base/hash.h"
#include "frontend/resp/internal/commands.h"

namespace kvstore::resp {
namespace {

constexpr std::size_t kNameBytesMax = 24;
constexpr std::size_t kSlots = 512;

// The name in lower case, padded with zeros. Bytes that are no letters may fold together; a row's
// name is compared afterwards.
struct FoldedName {
    std::array<std::uint64_t, kNameBytesMax / 8> words{};

    explicit FoldedName(std::string_view name) {
        std::memcpy(words.data(), name.data(), name.size());
        for (std::uint64_t& word : words) {
            word |= 0x2020202020202020ULL;
        }
    }

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
        static_assert(kSlots < 0xffff);
        KVSTORE_ASSERT(rows.size() * 2 < kSlots);
        for (std::size_t row = 0; row < rows.size(); ++row) {
            KVSTORE_ASSERT(rows[row].name.size() <= kNameBytesMax);
            std::size_t place = FoldedName(rows[row].name).place();
            while (rows_[place] != 0) {
                place = (place + 1) % kSlots;
            }
            rows_[place] = static_cast<std::uint16_t>(row + 1);
        }
    }

    [[nodiscard]] const CommandSpec* find(std::string_view name) const {
        if (name.size() > kNameBytesMax) {
            return nullptr;
        }
        const std::span<const CommandSpec> rows = command_rows();
        std::size_t place = FoldedName(name).place();
        for (; rows_[place] != 0; place = (place + 1) % kSlots) {
            const CommandSpec& row = rows[rows_[place] - 1U];
            if (equals_ignoring_case(name, row.name)) {
                return &row;
            }
        }
        return nullptr;
    }

private:
    std::array<std::uint16_t, kSlots> rows_{};  // 0: free
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
