/* SPDX-License-Identifier: MIT */
/* What the system has to bring: log, critical section, memory. All of it has weak defaults. */
#ifndef DMOD_SAL_H
#define DMOD_SAL_H

#include "dmod_types.h"

/* As in the newer headers: whoever allocates on the system's side says who it is. */
#if DMOD_SYSTEM_EN == ON && !defined(DMOD_CURRENT_ALLOCATOR)
#error "Define DMOD_CURRENT_ALLOCATOR before including this."
#endif

typedef enum {
    Dmod_LogLevel_None,
    Dmod_LogLevel_Error,
    Dmod_LogLevel_Warn,
    Dmod_LogLevel_Info,
    Dmod_LogLevel_Verbose
} Dmod_LogLevel_t;

DMOD_BUILTIN_API(Dmod, 1.0, int, _Printf, (const char* Format, ...))
DMOD_BUILTIN_API(Dmod, 1.0, bool, _CheckLogLevel, (Dmod_LogLevel_t Level))
DMOD_BUILTIN_API(Dmod, 1.0, void, _SetLogLevel, (Dmod_LogLevel_t Level))
DMOD_BUILTIN_API(Dmod, 1.0, void, _EnterCritical, (void))
DMOD_BUILTIN_API(Dmod, 1.0, void, _ExitCritical, (void))
DMOD_BUILTIN_API(Dmod, 1.0, void*, _MallocEx, (size_t Size, const char* ModuleName))
DMOD_BUILTIN_API(Dmod, 1.0, void*, _ReallocEx, (void* Ptr, size_t Size, const char* ModuleName))
DMOD_BUILTIN_API(Dmod, 1.0, void*, _AlignedMallocEx,
                 (size_t Size, size_t Alignment, const char* ModuleName))
DMOD_BUILTIN_API(Dmod, 1.0, void, _FreeEx, (void* Ptr, bool Concatenate))
DMOD_BUILTIN_API(Dmod, 1.0, void, _FreeModule, (const char* ModuleName))
DMOD_BUILTIN_API(Dmod, 1.0, bool, _RetagEx, (void* Ptr, const char* ModuleName))
DMOD_BUILTIN_API(Dmod, 1.0, bool, _RenameTag, (const char* Old, const char* New))

#define DMOD_LOG_AT(LEVEL, COLOUR, TEXT, ...) \
    if (Dmod_CheckLogLevel(LEVEL)) {          \
        Dmod_Printf(COLOUR TEXT __VA_ARGS__); \
        Dmod_Printf("\033[0m");               \
    };
#define DMOD_LOG_ERROR(...) DMOD_LOG_AT(Dmod_LogLevel_Error, "\033[31;1m", "[ERROR] ", __VA_ARGS__)
#define DMOD_LOG_WARN(...)  DMOD_LOG_AT(Dmod_LogLevel_Warn, "\033[33;1m", "[WARN] ", __VA_ARGS__)
#define DMOD_LOG_INFO(...)  DMOD_LOG_AT(Dmod_LogLevel_Info, "\033[32;1m", "[INFO] ", __VA_ARGS__)

#endif
