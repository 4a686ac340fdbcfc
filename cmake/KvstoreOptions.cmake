# Compiler and linker options, carried by the interface target kvstore_options.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

get_property(multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT CMAKE_BUILD_TYPE AND NOT multi_config)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Dev or RelWithDebInfo" FORCE)
endif()

# -g1 keeps line tables for stack traces at a fraction of the link time. Frame
# pointers stay, so that a profiler sees whole stacks of what ships.
set(CMAKE_CXX_FLAGS_DEV "-O1 -g1 -fno-omit-frame-pointer")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -fno-omit-frame-pointer")

if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(KVSTORE_CCACHE ccache)
  if(KVSTORE_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${KVSTORE_CCACHE})
  endif()
endif()

find_package(Threads REQUIRED)

add_library(kvstore_options INTERFACE)
target_include_directories(kvstore_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(kvstore_options INTERFACE Threads::Threads)
target_compile_definitions(kvstore_options INTERFACE _GLIBCXX_ASSERTIONS)

target_compile_options(kvstore_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  -Wimplicit-fallthrough -Wunused-result)

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Only the pinned compiler makes warnings errors: another one has other opinions,
  # and a user's first build must not fail on them.
  target_compile_options(kvstore_options INTERFACE -Werror -Wthread-safety)
  target_link_options(kvstore_options INTERFACE -fuse-ld=lld)
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  # SSE4.2 and carry-less multiply: every server processor since 2011 has them.
  target_compile_options(kvstore_options INTERFACE -march=x86-64-v2 -mpclmul)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Dev" OR KVSTORE_SANITIZE OR KVSTORE_FUZZ)
  target_compile_definitions(kvstore_options INTERFACE KVSTORE_DEBUG_ASSERTS=1 KVSTORE_PLANTED_BUGS=1)
endif()

if(KVSTORE_SANITIZE)
  target_compile_options(kvstore_options INTERFACE
    -fsanitize=${KVSTORE_SANITIZE} -fno-sanitize-recover=all -fno-optimize-sibling-calls)
  target_link_options(kvstore_options INTERFACE -fsanitize=${KVSTORE_SANITIZE})
  target_compile_definitions(kvstore_options INTERFACE KVSTORE_SANITIZED=1)
endif()
if(KVSTORE_FUZZ)
  # Coverage feedback for libFuzzer; the driver itself is linked by *_fuzz only.
  target_compile_options(kvstore_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(kvstore_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(KVSTORE_COVERAGE)
  target_compile_options(kvstore_options INTERFACE
    -fprofile-instr-generate -fcoverage-mapping)
  target_link_options(kvstore_options INTERFACE -fprofile-instr-generate)
endif()
