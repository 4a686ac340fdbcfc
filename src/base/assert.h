// Assertions for what we ourselves guarantee. Data from disk, network or a user is never asserted
// on.
//
// KVSTORE_ASSERT        on in every build: prints, flushes the log, aborts.
// KVSTORE_DEBUG_ASSERT  costly checks: on where KVSTORE_DEBUG_ASSERTS is defined.
// KVSTORE_SOFT_ASSERT   suspicious but survivable: aborts in debug builds; elsewhere logs and
// counts.
#pragma once

#include <cstdint>

namespace kvstore {

[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

void soft_assertion_failed(const char* condition, const char* file, int line) noexcept;

// How many soft assertions have failed in this process.
std::uint64_t soft_assertion_count() noexcept;

}  // namespace kvstore

#define KVSTORE_ASSERT(condition)                        \
    (static_cast<bool>(condition) ? static_cast<void>(0) \
                                  : ::kvstore::assertion_failed(#condition, __FILE__, __LINE__))

#define KVSTORE_SOFT_ASSERT(condition) \
    (static_cast<bool>(condition)      \
         ? static_cast<void>(0)        \
         : ::kvstore::soft_assertion_failed(#condition, __FILE__, __LINE__))

#ifdef KVSTORE_DEBUG_ASSERTS
#define KVSTORE_DEBUG_ASSERT(condition) KVSTORE_ASSERT(condition)
#else
#define KVSTORE_DEBUG_ASSERT(condition) static_cast<void>(sizeof(!(condition)))
#endif
