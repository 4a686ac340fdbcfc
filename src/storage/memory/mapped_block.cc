#include "storage/memory/mapped_block.h"

#include <cstdint>
#include <utility>

#include <sys/mman.h>

#include "base/assert.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define KVSTORE_HAS_LEAK_CHECKER
#endif
#endif

namespace kvstore::storage::memory {
namespace {

char* map_pages(std::size_t size) {
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    KVSTORE_ASSERT(at != MAP_FAILED);
    return static_cast<char*>(at);
}

// Linux 6.1; not yet in every C library's headers.
constexpr int kMadviseCollapse = 25;

// Maps one huge page more than asked for and trims both ends.
char* map_huge_pages(std::size_t size) {
    char* mapped = map_pages(size + kHugePageSize);
    const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(mapped) % kHugePageSize;
    const std::size_t before = misaligned == 0 ? 0 : kHugePageSize - misaligned;
    char* at = mapped + before;
    if (before > 0) {
        munmap(mapped, before);
    }
    munmap(at + size, kHugePageSize - before);
    return at;
}

// A blob too large for a slot is known to its slot alone, which the leak checker does not read by
// itself.
void show_to_leak_checker([[maybe_unused]] const char* data, [[maybe_unused]] std::size_t size) {
#ifdef KVSTORE_HAS_LEAK_CHECKER
    __lsan_register_root_region(data, size);
#endif
}

void hide_from_leak_checker([[maybe_unused]] const char* data, [[maybe_unused]] std::size_t size) {
#ifdef KVSTORE_HAS_LEAK_CHECKER
    __lsan_unregister_root_region(data, size);
#endif
}

}  // namespace

MappedBlock::MappedBlock(std::size_t size, Huge huge)
    : data_(size < kHugePageSize ? map_pages(size) : map_huge_pages(size)), size_(size) {
    show_to_leak_checker(data_, size_);
    if (size >= kHugePageSize && huge == Huge::kAtOnce) {
        // Only advice: without huge pages everything works, at the cost of more TLB misses.
        static_cast<void>(madvise(data_, size, MADV_HUGEPAGE));
    }
}

void MappedBlock::make_huge(std::size_t offset) {
    KVSTORE_ASSERT(offset % kHugePageSize == 0);
    KVSTORE_ASSERT(offset + kHugePageSize <= size_);
    // The advice lets an older kernel do it by itself, later.
    static_cast<void>(madvise(data_ + offset, kHugePageSize, MADV_HUGEPAGE));
    static_cast<void>(madvise(data_ + offset, kHugePageSize, kMadviseCollapse));
}

MappedBlock::MappedBlock(MappedBlock&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedBlock& MappedBlock::operator=(MappedBlock&& other) noexcept {
    if (this != &other) {
        unmap();
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

MappedBlock::~MappedBlock() {
    unmap();
}

void MappedBlock::unmap() noexcept {
    if (data_ != nullptr) {
        hide_from_leak_checker(data_, size_);
        munmap(data_, size_);
    }
}

void MappedBlock::drop_content(std::size_t offset, std::size_t size) {
    KVSTORE_ASSERT(offset + size <= size_);
    const int dropped = madvise(data_ + offset, size, MADV_DONTNEED);
    KVSTORE_ASSERT(dropped == 0);
}

}  // namespace kvstore::storage::memory
