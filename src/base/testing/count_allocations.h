// Counts what a test program allocates, by an operator new of its own. For one `_test.cc` of a
// program, outside the thread sanitizer, whose operator new cannot be replaced.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace kvstore::testing {

// Since the program began.
inline std::size_t& allocation_count() {
    static std::size_t count = 0;
    return count;
}

}  // namespace kvstore::testing

// NOLINTBEGIN(cppcoreguidelines-no-malloc, misc-new-delete-overloads): the whole point
void* operator new(std::size_t size) {
    ++kvstore::testing::allocation_count();
    void* room = std::malloc(size == 0 ? 1 : size);
    if (room == nullptr) {
        std::abort();
    }
    return room;
}
void operator delete(void* room) noexcept {
    std::free(room);
}
void operator delete(void* room, std::size_t /*size*/) noexcept {
    std::free(room);
}
// NOLINTEND(cppcoreguidelines-no-malloc, misc-new-delete-overloads)
