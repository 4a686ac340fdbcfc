# Writes build_info.cc, the body of base/build_info.h. It is one small file, so that
# a new commit costs one small compilation and not the whole tree.
find_package(Git QUIET)
set(KVSTORE_GIT_COMMIT "unknown")
set(KVSTORE_GIT_DATE "unknown")
if(GIT_FOUND)
  execute_process(
    COMMAND ${GIT_EXECUTABLE} log -1 "--format=%h %cs"
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    OUTPUT_VARIABLE git_line OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(git_line MATCHES "^([0-9a-f]+) (.*)$")
    set(KVSTORE_GIT_COMMIT ${CMAKE_MATCH_1})
    set(KVSTORE_GIT_DATE ${CMAKE_MATCH_2})
  endif()
endif()
set(KVSTORE_BUILD_INFO ${CMAKE_BINARY_DIR}/generated/build_info.cc)
configure_file(${PROJECT_SOURCE_DIR}/cmake/build_info.cc.in ${KVSTORE_BUILD_INFO} @ONLY)
