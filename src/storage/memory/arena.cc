#include "storage/memory/arena.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

namespace kvstore::storage::memory {
namespace {

constexpr std::size_t kPagesPerHugeBlock = kHugePageSize / Arena::kPageSize;
// So many pages are mapped one by one before the first huge block.
constexpr std::size_t kSmallBlockCountMax = 16;

// A blob too large for a slot: its address and size lie in the slot.
struct Indirect {
    char* data;
    std::uint64_t size;
};
static_assert(sizeof(Indirect) == Arena::kSlotSizeMin);

}  // namespace

Arena::Arena() {
    grow_directory(8);
    // Page 0 is never handed out: a Ref of zero is null.
    pages_.emplace_back();
}

Arena::~Arena() {
    while (dismantle_step()) {
    }
}

std::size_t Arena::class_of(std::size_t size) noexcept {
    if (size <= kSlotSizeMin) {
        return 0;
    }
    if (size <= 256) {
        return (size + 3) / 4 - 4;
    }
    if (size <= 1024) {
        return kFineCount + (size - 257) / 16;
    }
    return kFineCount + kMiddleCount + (63 - kPageSize / size);
}

std::size_t Arena::slot_size_of(std::size_t size_class) noexcept {
    if (size_class < kFineCount) {
        return (size_class + 4) * 4;
    }
    if (size_class < kFineCount + kMiddleCount) {
        return 272 + (size_class - kFineCount) * 16;
    }
    if (size_class < kBlobClassCount) {
        return kPageSize / (63 - (size_class - kFineCount - kMiddleCount));
    }
    if (size_class == kIndirectClass) {
        return sizeof(Indirect);
    }
    return size_class == kLeafClass ? kLeafSize : kInnerSize;
}

Arena::Blob Arena::allocate(std::size_t size) {
    if (size <= kSlotSizeMax) {
        return allocate_in(class_of(size));
    }
    const Blob slot = allocate_in(kIndirectClass);
    auto data = std::make_unique_for_overwrite<char[]>(size);
    const Indirect indirect{.data = data.release(), .size = size};
    store_fixed(slot.data, indirect);
    memory_bytes_ += size;
    used_bytes_ += size;
    return {.ref = slot.ref, .data = indirect.data};
}

Arena::Blob Arena::allocate_node(std::size_t size) {
    KVSTORE_DEBUG_ASSERT(size == kLeafSize || size == kInnerSize);
    return allocate_in(size == kLeafSize ? kLeafClass : kInnerClass);
}

Arena::Blob Arena::allocate_in(std::size_t size_class) {
    PageList& list = with_room_[size_class];
    if (list.head == kNone) {
        if (free_pages_.head == kNone) {
            add_block();
        }
        assign_page(free_pages_.head, size_class);
    }
    const std::uint32_t number = list.head;
    Page& page = pages_[number];
    const PageAddress& address = directory()[number];
    std::size_t slot = page.mark;
    if (page.free_head != 0) {
        slot = page.free_head - std::size_t{1};
        page.free_head = load_fixed<std::uint16_t>(address.base + slot * address.slot_size);
        // Blobs of one size often come in a row: the next one's memory is fetched meanwhile.
        if (page.free_head != 0) {
            const char* next = address.base + (page.free_head - std::size_t{1}) * address.slot_size;
            __builtin_prefetch(next, 1);
            __builtin_prefetch(next + 64, 1);
        }
    } else {
        ++page.mark;
    }
    ++page.used;
    if (page.used == page.capacity) {
        unlink_page(list, number);
    }
    used_bytes_ += address.slot_size;
    return {.ref = (number << kSlotBits) | static_cast<Ref>(slot),
            .data = address.base + slot * address.slot_size};
}

void Arena::free(Ref ref) {
    KVSTORE_ASSERT(ref != kNullRef);
    const PageAddress& address = directory()[ref >> kSlotBits];
    if (address.is_indirect) [[unlikely]] {
        const auto indirect = load_fixed<Indirect>(
            address.base + static_cast<std::size_t>(ref & kSlotMask) * address.slot_size);
        const std::unique_ptr<char[]> data(indirect.data);
        memory_bytes_ -= indirect.size;
        used_bytes_ -= indirect.size;
    }
    free_slot(ref);
}

void Arena::free_slot(Ref ref) {
    const std::uint32_t number = ref >> kSlotBits;
    const std::size_t slot = ref & kSlotMask;
    Page& page = pages_[number];
    const PageAddress& address = directory()[number];
    KVSTORE_ASSERT(page.is_assigned);
    KVSTORE_ASSERT(page.used > 0);
    KVSTORE_ASSERT(slot < page.mark);
    char* at = address.base + slot * address.slot_size;
#ifdef KVSTORE_DEBUG_ASSERTS
    // Whoever still reads it shall see that.
    std::memset(at, 0xdd, address.slot_size);
#endif
    store_fixed(at, page.free_head);
    page.free_head = static_cast<std::uint16_t>(slot + 1);
    used_bytes_ -= address.slot_size;
    const bool was_full = page.used == page.capacity;
    --page.used;
    if (page.used == 0) {
        if (!was_full && !page.is_evacuating) {
            unlink_page(with_room_[page.size_class], number);
        }
        release_page(number);
    } else if (was_full && !page.is_evacuating) {
        push_page(with_room_[page.size_class], number);
    }
}

void Arena::assign_page(std::uint32_t number, std::size_t size_class) {
    unlink_page(free_pages_, number);
    Page& page = pages_[number];
    Block& block = blocks_[page.block];
    if (block.memory.size() == kHugePageSize && block.free_count == kPagesPerHugeBlock) {
        --unused_block_count_;
    }
    --block.free_count;
    if (page.is_dropped) {
        page.is_dropped = false;
        --block.dropped_count;
        memory_bytes_ += kPageSize;
    }
    const std::size_t slot_size = slot_size_of(size_class);
    page.capacity =
        static_cast<std::uint16_t>(std::min(kPageSize / slot_size, kPageSize / kSlotSizeMin));
    page.used = 0;
    page.mark = 0;
    page.free_head = 0;
    page.size_class = static_cast<std::uint8_t>(size_class);
    page.is_assigned = true;
    page.is_evacuating = false;
    PageAddress& address = directory()[number];
    address.slot_size = static_cast<std::uint32_t>(slot_size);
    address.is_indirect = size_class == kIndirectClass;
    push_page(with_room_[size_class], number);
}

// Requires: the page is in no list.
void Arena::release_page(std::uint32_t number) {
    Page& page = pages_[number];
    page.is_assigned = false;
    page.is_evacuating = false;
    push_page(free_pages_, number);
    Block& block = blocks_[page.block];
    ++block.free_count;
    if (block.memory.size() != kHugePageSize || block.free_count != kPagesPerHugeBlock) {
        return;
    }
    // One unused block is kept, so that work around a block's edge does not map and unmap it.
    if (unused_block_count_ > 0) {
        for (std::uint32_t i = 0; i < kPagesPerHugeBlock; ++i) {
            unlink_page(free_pages_, block.page_first + i);
        }
        release_block(page.block);
    } else {
        ++unused_block_count_;
    }
}

void Arena::add_block() {
    const bool is_small = blocks_.size() < kSmallBlockCountMax;
    const std::uint32_t page_count = is_small ? 1U : static_cast<std::uint32_t>(kPagesPerHugeBlock);
    std::uint32_t number = static_cast<std::uint32_t>(blocks_.size());
    std::uint32_t page_first = static_cast<std::uint32_t>(pages_.size());
    if (!vacant_blocks_.empty()) {
        // Only huge blocks are ever released, so the numbers fit.
        number = vacant_blocks_.back();
        vacant_blocks_.pop_back();
        page_first = vacant_pages_.back();
        vacant_pages_.pop_back();
    } else {
        // 64 GiB of small entries in one table: out of memory, which is not handled.
        KVSTORE_ASSERT(pages_.size() + page_count <= kPageCountMax);
        blocks_.emplace_back();
        pages_.resize(pages_.size() + page_count);
        grow_directory(static_cast<std::uint32_t>(pages_.size()));
    }
    Block& block = blocks_[number];
    block.memory = MappedBlock(is_small ? kPageSize : kHugePageSize, MappedBlock::Huge::kAtOnce);
    block.page_first = page_first;
    block.free_count = page_count;
    memory_bytes_ += block.memory.size();
    unused_block_count_ += is_small ? 0 : 1;
    for (std::uint32_t i = page_count; i-- > 0;) {
        pages_[page_first + i] = Page{};
        pages_[page_first + i].block = number;
        directory()[page_first + i].base = block.memory.data() + i * kPageSize;
        push_page(free_pages_, page_first + i);
    }
}

// Requires: its pages are in no list.
void Arena::release_block(std::uint32_t number) {
    Block& block = blocks_[number];
    memory_bytes_ -= block.memory_bytes();
    block.memory = MappedBlock();
    block.dropped_count = 0;
    vacant_blocks_.push_back(number);
    vacant_pages_.push_back(block.page_first);
}

void Arena::grow_directory(std::uint32_t page_count) {
    if (page_count <= directory_capacity_) {
        return;
    }
    const std::uint32_t capacity = std::max(page_count, directory_capacity_ * 2);
    directories_.push_back(std::make_unique<PageAddress[]>(capacity));
    PageAddress* grown = directories_.back().get();
    std::copy_n(directory(), directory_capacity_, grown);
    directory_.store(grown, std::memory_order_release);
    memory_bytes_ += capacity * sizeof(PageAddress);
    directory_capacity_ = capacity;
}

void Arena::push_page(PageList& list, std::uint32_t number) {
    Page& page = pages_[number];
    page.previous = kNone;
    page.next = list.head;
    if (list.head != kNone) {
        pages_[list.head].previous = number;
    }
    list.head = number;
}

void Arena::unlink_page(PageList& list, std::uint32_t number) {
    const Page& page = pages_[number];
    if (page.previous == kNone) {
        KVSTORE_ASSERT(list.head == number);
        list.head = page.next;
    } else {
        pages_[page.previous].next = page.next;
    }
    if (page.next != kNone) {
        pages_[page.next].previous = page.previous;
    }
}

std::size_t Arena::begin_evacuation() {
    std::size_t closed = 0;
    std::vector<std::uint32_t> pages;
    for (std::size_t size_class = 0; size_class < kBlobClassCount; ++size_class) {
        pages.clear();
        std::size_t used = 0;
        for (std::uint32_t at = with_room_[size_class].head; at != kNone; at = pages_[at].next) {
            pages.push_back(at);
            used += pages_[at].used;
        }
        if (pages.size() < 2) {
            continue;
        }
        const std::size_t capacity = pages_[pages.front()].capacity;
        const std::size_t needed = (used + capacity - 1) / capacity;
        // The upper pages go: what stays gathers in few blocks.
        std::sort(pages.begin(), pages.end(), std::greater<>());
        for (std::size_t i = 0; i + needed < pages.size(); ++i) {
            unlink_page(with_room_[size_class], pages[i]);
            pages_[pages[i]].is_evacuating = true;
            ++closed;
        }
    }
    return closed;
}

bool Arena::must_move(Ref ref) const {
    return pages_[ref >> kSlotBits].is_evacuating;
}

void Arena::end_evacuation() {
    for (std::uint32_t number = 1; number < pages_.size(); ++number) {
        Page& page = pages_[number];
        if (page.is_evacuating) {
            page.is_evacuating = false;
            push_page(with_room_[page.size_class], number);
        }
    }
    drop_free_pages();
}

// Blocks that a few pages in use keep from being released still give up the others.
void Arena::drop_free_pages() {
    for (std::uint32_t at = free_pages_.head; at != kNone; at = pages_[at].next) {
        Page& page = pages_[at];
        if (!page.is_dropped) {
            Block& block = blocks_[page.block];
            block.memory.drop_content((at - block.page_first) * kPageSize, kPageSize);
            page.is_dropped = true;
            ++block.dropped_count;
            memory_bytes_ -= kPageSize;
        }
    }
}

bool Arena::dismantle_step() {
    if (blocks_.empty()) {
        return false;
    }
    const Block& block = blocks_.back();
    if (block.memory.data() != nullptr) {
        const std::size_t page_count = block.memory.size() / kPageSize;
        for (std::size_t i = 0; i < page_count; ++i) {
            const Page& page = pages_[block.page_first + i];
            if (!page.is_assigned || page.size_class != kIndirectClass) {
                continue;
            }
            // The slots in the free list hold no blob.
            std::vector<bool> is_free(page.mark, false);
            const char* base = block.memory.data() + i * kPageSize;
            for (std::uint32_t slot = page.free_head; slot != 0;) {
                is_free[slot - 1] = true;
                slot = load_fixed<std::uint16_t>(base + (slot - 1) * sizeof(Indirect));
            }
            for (std::size_t slot = 0; slot < page.mark; ++slot) {
                if (!is_free[slot]) {
                    const std::unique_ptr<char[]> data(
                        load_fixed<Indirect>(base + slot * sizeof(Indirect)).data);
                }
            }
        }
        memory_bytes_ -= block.memory_bytes();
    }
    blocks_.pop_back();
    return !blocks_.empty();
}

void Arena::check() const {
    std::uint64_t used_bytes = 0;
    for (std::uint32_t number = 1; number < pages_.size(); ++number) {
        const Page& page = pages_[number];
        if (!page.is_assigned) {
            continue;
        }
        const PageAddress& address = directory()[number];
        KVSTORE_ASSERT(page.used > 0);
        KVSTORE_ASSERT(page.used <= page.mark);
        KVSTORE_ASSERT(page.mark <= page.capacity);
        std::size_t free_count = 0;
        for (std::size_t slot = page.free_head; slot != 0; ++free_count) {
            KVSTORE_ASSERT(slot <= page.mark);
            slot = load_fixed<std::uint16_t>(address.base + (slot - 1) * address.slot_size);
        }
        KVSTORE_ASSERT(page.used + free_count == page.mark);
        used_bytes += static_cast<std::uint64_t>(page.used) * address.slot_size;
    }
    KVSTORE_ASSERT(used_bytes <= used_bytes_);
}

}  // namespace kvstore::storage::memory
