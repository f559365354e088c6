# SPDX-License-Identifier: MIT
#
# As in the real tree: a module is a program of its own without the C library, whose libraries are
# linked without keywords.
function(dmod_add_executable module version)
    foreach(needed DMOD_AUTHOR_NAME DMOD_STACK_SIZE DMOD_PRIORITY)
        if("${${needed}}" STREQUAL "")
            message(FATAL_ERROR "dmod_add_executable: ${needed} is not set")
        endif()
    endforeach()
    if(NOT EXISTS "${DMOD_DMR_PATH}")
        message(FATAL_ERROR "dmod_add_executable: there is no ${DMOD_DMR_PATH}")
    endif()
    add_executable(${module} ${ARGN})
    target_compile_definitions(${module} PUBLIC DMOD_MODULE_VERSION="${version}")
    target_compile_options(${module} PRIVATE -fPIC -fno-builtin -fno-stack-protector -O2)
    target_link_libraries(${module} dmod)
    target_link_options(${module} PRIVATE -nostdlib -nostartfiles -pie -Wl,--entry=main)
endfunction()
