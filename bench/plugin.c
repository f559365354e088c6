/* SPDX-License-Identifier: MIT */
/*
 * See plugin.h. Each plug-in's names are its own: two of them may bring the same library.
 */
#define _GNU_SOURCE
#include "plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct bench_allocator* plugin_open(const char* path, const char** why)
{
    char* file = NULL;
    /* A path without a slash would be looked for among the system's libraries. */
    if (asprintf(&file, "%s%s", strchr(path, '/') == NULL ? "./" : "", path) < 0) {
        *why = "out of memory";
        return NULL;
    }
    void* const library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const void* const allocator = library == NULL ? NULL : dlsym(library, "bench_allocator");
    if (allocator == NULL) {
        *why = dlerror();
    }
    free(file);
    return (const struct bench_allocator*)allocator;
}
