/* SPDX-License-Identifier: MIT */
/*
 * The host's allocators, see installed.h. They come as Debian packages (libmimalloc2.0,
 * libjemalloc2) and export malloc & co. under the usual names; loaded locally, they serve this
 * benchmark only. They lock, and cache by thread: they show where a PC's allocators stand.
 */
#define _GNU_SOURCE
#include "installed.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is left free of an earlier workload goes back to the system. */
static bool glibc_init(void* arena, size_t size)
{
    (void)arena;
    (void)size;
    (void)malloc_trim(0);
    return true;
}

static bool own_init(void* arena, size_t size)
{
    (void)arena;
    (void)size;
    return true;
}

static const struct {
    const char* name;
    const char* file; /* NULL: the process itself */
} sources[INSTALLED_COUNT] = {
    {"glibc", NULL}, {"mimalloc", "libmimalloc.so.2"}, {"jemalloc", "libjemalloc.so.2"}};

static struct bench_allocator opened[INSTALLED_COUNT];

/* C has no conversion from void* to a function's address; POSIX says that the bits are the same. */
static bool find(void* library, const char* name, void* function)
{
    void* const address = dlsym(library, name);
    memcpy(function, &address, sizeof(address));
    return address != NULL;
}

static bool find_all(void* library, struct bench_allocator* allocator)
{
    return find(library, "malloc", &allocator->allocate) &&
           find(library, "free", &allocator->release) &&
           find(library, "realloc", &allocator->resize) &&
           find(library, "aligned_alloc", &allocator->allocate_aligned);
}

const struct bench_allocator* installed_open(unsigned index)
{
    struct bench_allocator* allocator = &opened[index];
    void* const library = dlopen(sources[index].file, RTLD_NOW | RTLD_LOCAL);
    allocator->name = sources[index].name;
    allocator->init = sources[index].file == NULL ? glibc_init : own_init;
    allocator->owns_memory = true;
    if (library == NULL || !find_all(library, allocator)) {
        printf("%s is left out: %s\n", allocator->name, dlerror());
        return NULL;
    }
    return allocator;
}
