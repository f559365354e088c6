# SPDX-License-Identifier: MIT
#
# As in the real tree: writes <source dir of the caller>/Makefile, with the target's properties
# as they are at that moment, and adds a step behind the build.
function(create_library_makefile target)
    foreach(needed DMOD_DIR DMOD_BUILD_DIR DMOD_MODE)
        if("${${needed}}" STREQUAL "")
            message(FATAL_ERROR "create_library_makefile: ${needed} is not set")
        endif()
    endforeach()
    # DMOD names the allocator, so nobody else may do so without asking.
    target_compile_definitions(${target} PRIVATE DMOD_CURRENT_ALLOCATOR="${target}")
    set(text "# written by create_library_makefile\n")
    foreach(property SOURCES INCLUDE_DIRECTORIES LINK_LIBRARIES COMPILE_DEFINITIONS)
        get_target_property(value ${target} ${property})
        string(APPEND text "${property} = ${value}\n")
    endforeach()
    get_target_property(libraries ${target} LINK_LIBRARIES)
    foreach(library IN LISTS libraries)
        get_target_property(ignored ${library} INTERFACE_INCLUDE_DIRECTORIES)
    endforeach()
    file(WRITE "${CMAKE_CURRENT_SOURCE_DIR}/Makefile" "${text}")
    add_custom_command(TARGET ${target} POST_BUILD
        COMMAND ${CMAKE_COMMAND} -P ${DMOD_SCRIPTS_DIR}/analysis.cmake)
endfunction()
