# What find_package(rapidcheck) finds where Debian has none.
if(NOT TARGET rapidcheck)
  add_library(rapidcheck INTERFACE IMPORTED GLOBAL)
  set_target_properties(rapidcheck PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES ${CMAKE_CURRENT_LIST_DIR})
endif()
