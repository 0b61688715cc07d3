# Flags that every target of strata shares: warnings are errors, sanitizers by preset.
# Link strata_options privately; link strata_runtime_options instead for what goes to a device.
add_library(strata_options INTERFACE)
target_compile_options(strata_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Wcast-qual -Wformat=2 -Wundef)
# g++ 12 sees overlaps in std::string's operator+ that are not there (GCC bug 105651).
target_compile_options(strata_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# clang-tidy reads the flags of g++ and knows not all of them.
target_compile_options(strata_options INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:-Wno-unknown-warning-option>)
target_include_directories(strata_options INTERFACE
  ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
if(STRATA_SANITIZE)
  target_compile_options(strata_options INTERFACE
    -fsanitize=${STRATA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(strata_options INTERFACE -fsanitize=${STRATA_SANITIZE})
  # g++ 12 reports std::variant's own destructor when it is instrumented; the release build and
  # clang keep the warning.
  target_compile_options(strata_options INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()
if(STRATA_FUZZ)
  # Coverage of the libraries guides the fuzzer; the fuzz targets themselves link its main().
  target_compile_options(strata_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# The runtime must build for devices without exceptions: errors travel as Status and Result.
add_library(strata_runtime_options INTERFACE)
target_link_libraries(strata_runtime_options INTERFACE strata_options)
target_compile_options(strata_runtime_options INTERFACE -fno-exceptions)
