# kvstore_module(<name> [DEPS <module>...] [EXTERNAL <library>...] [TEST_DEPS <module>...])
#
# Declares the module in the current folder: every *.cc here becomes one static
# library kvstore_<name>, every *_test.cc one GoogleTest binary, and two proofs:
#
#   <name>_links    an executable of the whole library and its declared DEPS
#                   alone. A symbol taken from an undeclared module fails here,
#                   where a static library would keep silent.
#   header set      every header compiled on its own
#                   (target all_verify_interface_header_sets).
#
# testing/*.cc becomes kvstore_<name>_testing, which the tests of this module and of
# all modules that name it in DEPS or TEST_DEPS link. *_fuzz.cc and *_bench.cc become
# executables <name>_<file> when KVSTORE_FUZZ and KVSTORE_BENCH are on.
#
# DEPS must agree with tools/layers.toml; tools/check_layers.py checks includes and
# the lists, this function checks symbols. EXTERNAL takes the names of
# KvstoreExternals.cmake. A dependency that has no folder yet is left out.
function(kvstore_module name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "DEPS;EXTERNAL;TEST_DEPS")
  string(REPLACE "." "_" short "${name}")
  set(target "kvstore_${short}")

  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cc)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS *.h)
  _kvstore_own_files(sources)
  _kvstore_own_files(headers)
  set(support ${sources})
  list(FILTER support INCLUDE REGEX "/testing/")
  list(FILTER sources EXCLUDE REGEX "/testing/")
  list(FILTER headers EXCLUDE REGEX "/testing/")
  foreach(kind test fuzz bench)
    set(${kind}_files ${sources})
    list(FILTER ${kind}_files INCLUDE REGEX "_${kind}\\.cc$")
  endforeach()
  list(FILTER sources EXCLUDE REGEX "(_test|_bench|_fuzz)\\.cc$")

  _kvstore_module_targets(deps "${ARG_DEPS}")
  _kvstore_module_targets(test_deps "${ARG_TEST_DEPS}")
  set(externals "")
  foreach(external IN LISTS ARG_EXTERNAL)
    kvstore_external_target(${external} external_target)
    list(APPEND externals ${external_target})
  endforeach()

  if(NOT sources)
    # A header-only module still needs a translation unit to carry its proofs.
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty.cc "")
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/empty.cc)
  endif()
  add_library(${target} STATIC ${sources})
  target_sources(${target} PUBLIC
    FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/src FILES ${headers})
  set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  target_link_libraries(${target} PUBLIC kvstore_options ${deps} PRIVATE ${externals})
  set_property(GLOBAL APPEND PROPERTY kvstore_modules ${target})

  if(KVSTORE_PROOFS)
    # Linking the whole archive makes the linker resolve every symbol in it.
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/links_main.cc "int main() { return 0; }\n")
    add_executable(${target}_links ${CMAKE_CURRENT_BINARY_DIR}/links_main.cc)
    target_link_libraries(${target}_links PRIVATE
      "$<LINK_LIBRARY:WHOLE_ARCHIVE,${target}>" ${deps} ${externals})
    _kvstore_manifest(proof ${name} ${target}_links)
  endif()

  if(NOT (KVSTORE_TESTS OR KVSTORE_BENCH OR KVSTORE_FUZZ))
    return()
  endif()

  # What tests may link: the module, everything its tests may use, and the fixtures
  # of all of those.
  if(support)
    add_library(${target}_testing STATIC ${support})
    target_link_libraries(${target}_testing PUBLIC ${target} ${test_deps})
    if(TARGET GTest::gmock)
      target_link_libraries(${target}_testing PUBLIC GTest::gmock)
    endif()
  endif()
  set(test_links ${target} ${test_deps})
  foreach(library IN LISTS target deps test_deps)
    if(TARGET ${library}_testing)
      list(APPEND test_links ${library}_testing)
    endif()
  endforeach()

  if(KVSTORE_TESTS AND test_files)
    add_executable(${target}_test ${test_files})
    target_link_libraries(${target}_test PRIVATE
      ${test_links} ${externals} GTest::gmock GTest::gtest_main)
    # For golden scripts and files of old formats: the folder of the module.
    target_compile_definitions(${target}_test PRIVATE
      KVSTORE_MODULE_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
    add_test(NAME ${name} COMMAND ${target}_test)
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300)
    _kvstore_manifest(test ${name} ${target}_test)
  endif()

  if(KVSTORE_FUZZ)
    foreach(file IN LISTS fuzz_files)
      get_filename_component(file_name ${file} NAME_WE)
      set(fuzz ${short}_${file_name})
      add_executable(${fuzz} ${file})
      target_link_libraries(${fuzz} PRIVATE ${test_links} ${externals})
      target_link_options(${fuzz} PRIVATE -fsanitize=fuzzer)
      _kvstore_manifest(fuzz ${name} ${fuzz})
    endforeach()
  endif()

  if(KVSTORE_BENCH)
    foreach(file IN LISTS bench_files)
      get_filename_component(file_name ${file} NAME_WE)
      set(bench ${short}_${file_name})
      add_executable(${bench} ${file})
      target_link_libraries(${bench} PRIVATE ${test_links} ${externals})
      file(STRINGS ${file} includes_benchmark REGEX "#include <benchmark/")
      if(includes_benchmark)
        target_link_libraries(${bench} PRIVATE benchmark::benchmark)
      endif()
      _kvstore_manifest(bench ${name} ${bench})
    endforeach()
  endif()
endfunction()

# Drops the files that belong to a module in a folder below this one.
macro(_kvstore_own_files list_name)
  file(GLOB_RECURSE nested RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CMakeLists.txt)
  foreach(path IN LISTS nested)
    get_filename_component(folder ${path} DIRECTORY)
    if(folder)
      list(FILTER ${list_name} EXCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/${folder}/")
    endif()
  endforeach()
endmacro()

# Turns module names into targets. One whose folder exists must stand earlier in the
# layer table; one that nobody has begun yet is left out.
function(_kvstore_module_targets out names)
  set(targets "")
  foreach(module IN LISTS names)
    string(REPLACE "." "_" library "kvstore_${module}")
    string(REPLACE "." "/" folder "${module}")
    if(TARGET ${library})
      list(APPEND targets ${library})
    elseif(EXISTS ${PROJECT_SOURCE_DIR}/src/${folder}/CMakeLists.txt)
      message(FATAL_ERROR "'${module}' stands no earlier in tools/layers.toml")
    endif()
  endforeach()
  set(${out} ${targets} PARENT_SCOPE)
endfunction()

# The manifest tells ./dev what was built, one line each: kind, module, path.
function(_kvstore_manifest kind module target)
  set_property(GLOBAL APPEND PROPERTY kvstore_manifest "${kind} ${module} $<TARGET_FILE:${target}>")
endfunction()

function(kvstore_write_manifest)
  get_property(lines GLOBAL PROPERTY kvstore_manifest)
  list(JOIN lines "\n" text)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/manifest.txt CONTENT "${text}\n")
endfunction()
