# Debian's emscripten; programs run under node. Headers that libraries consist of come from the host,
# linked into a folder of their own: beside them lie those of the host's C library.
include(/usr/share/emscripten/cmake/Modules/Platform/Emscripten.cmake)

# Exceptions are for the tests: the runtime is compiled without them. Code for threads runs in programs
# linked without them, too.
add_compile_options(-msimd128 -pthread -fexceptions)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-sALLOW_MEMORY_GROWTH=1 -sMAXIMUM_MEMORY=4GB")

# This emscripten takes node's fetch() for a browser's, which does not read files.
set(CMAKE_CROSSCOMPILING_EMULATOR node --no-experimental-fetch)

set(header_folder ${CMAKE_BINARY_DIR}/host-headers)
foreach(header hwy flatbuffers xxhash.h)
  if(NOT EXISTS ${header_folder}/${header})
    file(MAKE_DIRECTORY ${header_folder})
    file(CREATE_LINK /usr/include/${header} ${header_folder}/${header} SYMBOLIC)
  endif()
endforeach()
set(CMAKE_INCLUDE_PATH ${header_folder})
list(APPEND CMAKE_FIND_ROOT_PATH ${header_folder})
