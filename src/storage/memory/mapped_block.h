// Memory straight from the operating system: zeroed, given back at once, on huge pages where it is
// large enough to have some.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvstore::storage::memory {

inline constexpr std::size_t kHugePageSize = 2U << 20U;

// Lifetime  Unmaps itself.
// Runs on   One core; the bytes may be read by any.
class MappedBlock {
public:
    MappedBlock() = default;
    // When huge pages are asked for: at once, or by make_huge() for what is in use by then.
    enum class Huge : std::uint8_t { kAtOnce, kLater };

    // Maps `size` bytes; from kHugePageSize on aligned to huge pages. A process without memory
    // ends.
    MappedBlock(std::size_t size, Huge huge);
    MappedBlock(MappedBlock&& other) noexcept;
    MappedBlock& operator=(MappedBlock&& other) noexcept;
    MappedBlock(const MappedBlock&) = delete;
    MappedBlock& operator=(const MappedBlock&) = delete;
    ~MappedBlock();

    [[nodiscard]] char* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }

    // Puts the huge page at `offset` together from the small pages there, which should all be in
    // use. Takes some 100 microseconds. Only a matter of speed, so it may fail in silence.
    void make_huge(std::size_t offset);

    // Gives part of the memory back while its addresses stay readable: they read as zero.
    void drop_content(std::size_t offset, std::size_t size);

private:
    void unmap() noexcept;

    char* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace kvstore::storage::memory
