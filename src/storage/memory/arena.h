// Where entries and tree nodes of one table lie.
//
// Memory comes in pages of 64 KiB. A page is cut into slots of one size class; a Ref of four bytes
// names page and slot, so a table holds up to 64 GiB of small blobs (a blob above kSlotSizeMax lies
// on its own and takes a slot of 16 bytes). Size classes are four bytes apart up to 256 bytes,
// where most entries are, then coarser, with less than 7 % lost. A page whose last slot is freed is
// free for any class, and memory whose pages are all free goes back to the system.
//
// Pages come from small blocks first, so that a shard with a few keys stays small, then from blocks
// of one huge page.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "base/coding.h"
#include "storage/memory/mapped_block.h"

namespace kvstore::storage::memory {

// Names a blob of one arena. Page number in the upper 20 bits, slot in the lower 12.
using Ref = std::uint32_t;
inline constexpr Ref kNullRef = 0;

// Lifetime    Owned by its table.
// Runs on     The writer's core, but for address(), which any core may call for a Ref that it got
//             from the writer by an acquire load and that was not freed.
// Invariants  a slot is either in use, or in its page's free list, or above the page's mark
//             a page is in its class's list when it has room, in the free list when unused
class Arena {
public:
    struct Blob {
        Ref ref;
        char* data;
    };

    static constexpr std::size_t kPageSize = 64U << 10U;
    static constexpr std::size_t kSlotSizeMin = 16;
    static constexpr std::size_t kSlotSizeMax = kPageSize / 8;
    static constexpr std::size_t kLeafSize = 512;
    static constexpr std::size_t kInnerSize = 1024;

    Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena();

    Blob allocate(std::size_t size);
    // As allocate(), aligned to its size and never moved; kLeafSize or kInnerSize.
    Blob allocate_node(std::size_t size);

    // Requires: nobody can see the blob any more, on any core.
    void free(Ref ref);

    [[nodiscard]] char* address(Ref ref) const noexcept {
        const PageAddress& page = directory_.load(std::memory_order_acquire)[ref >> kSlotBits];
        char* at = page.base + static_cast<std::size_t>(ref & kSlotMask) * page.slot_size;
        if (page.is_indirect) [[unlikely]] {
            return load_fixed<char*>(at);
        }
        return at;
    }
    void prefetch(Ref ref) const noexcept {
        const PageAddress& page = directory_.load(std::memory_order_acquire)[ref >> kSlotBits];
        const char* at = page.base + static_cast<std::size_t>(ref & kSlotMask) * page.slot_size;
        __builtin_prefetch(at);
        __builtin_prefetch(at + 64);
        if (page.slot_size > 64) {
            __builtin_prefetch(at + std::min(page.slot_size - 1, kPrefetchedMax));
        }
    }

    // Closes pages to new blobs, as many as the others have room for. To be emptied by whoever
    // holds the refs: each blob that must_move() is copied and freed. Returns: how many pages were
    // closed.
    std::size_t begin_evacuation();
    [[nodiscard]] bool must_move(Ref ref) const;
    // Opens what was not emptied again, and gives the memory of free pages back.
    void end_evacuation();

    // Takes one block of memory apart, whatever lies in it, so that a large table is let go in
    // small steps. Nothing but this and the destructor may follow. Returns: whether there is more.
    bool dismantle_step();

    // What the system has given us.
    [[nodiscard]] std::uint64_t memory_bytes() const { return memory_bytes_; }
    // Of that, what blobs and nodes were asked for.
    [[nodiscard]] std::uint64_t used_bytes() const { return used_bytes_; }

    // Aborts where an invariant does not hold. Takes time in proportion to the slots.
    void check() const;

private:
    static constexpr unsigned kSlotBits = 12;
    // Of a blob; what is behind follows on its own while the first lines are read.
    static constexpr std::uint32_t kPrefetchedMax = 191;
    static constexpr Ref kSlotMask = (1U << kSlotBits) - 1;
    static constexpr std::uint32_t kPageCountMax = 1U << (32U - kSlotBits);
    static constexpr std::uint32_t kNone = UINT32_MAX;

    // Classes 0..kBlobClassCount-1 are blobs by size; then the three special ones.
    static constexpr std::size_t kFineCount = 61;    // 16, 20, .. 256
    static constexpr std::size_t kMiddleCount = 48;  // 272, 288, .. 1024
    static constexpr std::size_t kCoarseCount = 56;  // 64 KiB by 63, .. by 8
    static constexpr std::size_t kBlobClassCount = kFineCount + kMiddleCount + kCoarseCount;
    static constexpr std::size_t kIndirectClass = kBlobClassCount;
    static constexpr std::size_t kLeafClass = kBlobClassCount + 1;
    static constexpr std::size_t kInnerClass = kBlobClassCount + 2;
    static constexpr std::size_t kClassCount = kBlobClassCount + 3;
    static_assert(kClassCount <= UINT8_MAX);

    // What readers need of a page.
    struct PageAddress {
        char* base = nullptr;
        std::uint32_t slot_size = 0;
        bool is_indirect = false;
    };
    // What only the writer needs.
    struct Page {
        std::uint32_t previous = kNone;  // in the list of its class, or of free pages
        std::uint32_t next = kNone;
        std::uint32_t block = kNone;
        std::uint16_t capacity = 0;
        std::uint16_t used = 0;
        std::uint16_t mark = 0;       // slots from here on were never used
        std::uint16_t free_head = 0;  // slot number plus one; the slot holds the next one
        std::uint8_t size_class = 0;
        bool is_assigned = false;    // to a class
        bool is_evacuating = false;  // closed to new blobs
        bool is_dropped = false;     // free, and its memory given back
    };
    struct Block {
        MappedBlock memory;
        std::uint32_t page_first = 0;
        std::uint32_t free_count = 0;
        std::uint32_t dropped_count = 0;

        [[nodiscard]] std::size_t memory_bytes() const {
            return memory.size() - dropped_count * kPageSize;
        }
    };
    struct PageList {
        std::uint32_t head = kNone;
    };

    static std::size_t class_of(std::size_t size) noexcept;
    static std::size_t slot_size_of(std::size_t size_class) noexcept;

    Blob allocate_in(std::size_t size_class);
    void free_slot(Ref ref);
    void assign_page(std::uint32_t number, std::size_t size_class);
    void release_page(std::uint32_t number);
    void add_block();
    void release_block(std::uint32_t number);
    void drop_free_pages();
    void grow_directory(std::uint32_t page_count);
    [[nodiscard]] PageAddress* directory() const {
        return directory_.load(std::memory_order_relaxed);
    }
    void push_page(PageList& list, std::uint32_t number);
    void unlink_page(PageList& list, std::uint32_t number);

    std::atomic<PageAddress*> directory_{nullptr};
    std::uint32_t directory_capacity_ = 0;
    // The current array and its smaller predecessors, which late readers may still use; together
    // they are no larger than the current one.
    std::vector<std::unique_ptr<PageAddress[]>> directories_;
    std::vector<Page> pages_;
    std::vector<Block> blocks_;
    std::vector<std::uint32_t> vacant_blocks_;  // numbers to use again
    std::vector<std::uint32_t> vacant_pages_;   // first page numbers of released huge blocks
    PageList free_pages_;
    std::array<PageList, kClassCount> with_room_;
    std::uint32_t unused_block_count_ = 0;  // huge blocks whose pages are all free
    std::uint64_t memory_bytes_ = 0;
    std::uint64_t used_bytes_ = 0;
};

}  // namespace kvstore::storage::memory
