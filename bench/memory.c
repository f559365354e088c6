/* SPDX-License-Identifier: MIT */
/*
 * What a heap leaves of its buffer to the client: the payload of blocks of one size until the
 * first refusal, the largest single block, the smallest buffer that serves malloc(16), and for
 * dmheap what it keeps for itself.
 *
 * Knows: the plug-in interface, and dmheap's plan of a heap. Does not know: headers and padding.
 * Always holds: each block is filled and looked at again once the heap is full, so that memory
 * given out twice does not count.
 */
#define _POSIX_C_SOURCE 200809L
#include "control.h"
#include "space.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1024)

static const char help[] =
    "usage: memory [options]\n"
    "Payload that heaps of 64 and 256 KiB hold, and the smallest buffer that serves.\n"
    "\n"
    "  --plugin FILE   an allocator in a shared object, see bench/allocator.h; repeatable\n"
    "  --json FILE     the figures as JSON, one object a line\n"
    "  --values FILE   the figures as `name value` lines, for bench/ceilings.sh\n"
    "  --help          this text\n";

static const size_t arenas[] = {64 * KIB, 256 * KIB};
static const size_t sizes[] = {16, 32, 64, 100, 1000};

#define ARENAS      (sizeof(arenas) / sizeof(arenas[0]))
#define SIZES       (sizeof(sizes) / sizeof(sizes[0]))
#define MOST_BLOCKS (256 * KIB / 16)

/* ---- full heaps --------------------------------------------------------------------------- */

static bool is_filled(const unsigned char* block, size_t size, unsigned char with)
{
    return block[0] == with && memcmp(block, block + 1, size - 1) == 0;
}

/* Payload of all blocks of `size` bytes that a heap of `bytes` serves; 0: there is no such heap. */
static size_t fill(const struct space* space, const struct bench_allocator* heap, size_t bytes,
                   size_t size)
{
    static unsigned char* block[MOST_BLOCKS];
    size_t count = 0;
    if (!space_begin(space, heap, bytes)) {
        return 0;
    }
    while (count < MOST_BLOCKS && (block[count] = heap->allocate(size)) != NULL) {
        memset(block[count], (int)(count % 251), size);
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_filled(block[i], size, (unsigned char)(i % 251))) {
            space_fail(space, "wrote over a live block, or gave it out twice", heap->name);
        }
    }
    return count * size;
}

static void measure_payload(const struct space* space, const struct bench_allocator* heap)
{
    char name[64];
    printf("%-15s", heap->name);
    for (size_t a = 0; a < ARENAS; a++) {
        for (size_t s = 0; s < SIZES; s++) {
            const size_t payload = fill(space, heap, arenas[a], sizes[s]);
            snprintf(name, sizeof(name), "payload.%zuk.%zu", arenas[a] / KIB, sizes[s]);
            if (payload == 0) {
                printf(" %7s", "-");
                continue;
            }
            printf(" %7zu", payload);
            space_write(space, heap, name, (double)payload, "bytes");
        }
    }
    printf("\n");
}

/* ---- small buffers ------------------------------------------------------------------------ */

/* Does a buffer of that size serve? In a process of its own: the code may not stand a small one. */
static bool serves(const struct space* space, const struct bench_allocator* heap, size_t bytes)
{
    int status = 0;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        alarm(2);
        void* block = space_begin(space, heap, bytes) ? heap->allocate(16) : NULL;
        const bool is_inside = (unsigned char*)block >= space->arena &&
                               (unsigned char*)block + 16 <= space->arena + bytes;
        if (block != NULL && is_inside) {
            memset(block, 1, 16);
            heap->release(block);
            _exit(EXIT_SUCCESS);
        }
        _exit(EXIT_FAILURE);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == EXIT_SUCCESS;
}

/* 0: none up to 64 KiB. */
static size_t smallest_buffer(const struct space* space, const struct bench_allocator* heap)
{
    for (size_t bytes = 16; bytes <= 64 * KIB; bytes += 4) {
        if (serves(space, heap, bytes)) {
            return bytes;
        }
    }
    return 0;
}

/* The largest request that an untouched heap of `bytes` serves. */
static size_t largest_block(const struct space* space, const struct bench_allocator* heap,
                            size_t bytes)
{
    size_t served = 0;
    size_t refused = bytes;
    while (refused - served > 1) {
        const size_t size = served + (refused - served) / 2;
        if (space_begin(space, heap, bytes) && heap->allocate(size) != NULL) {
            served = size;
        } else {
            refused = size;
        }
    }
    return served;
}

static void measure_rest(const struct space* space, const struct bench_allocator* heap)
{
    const size_t bytes = 64 * KIB;
    const size_t largest = largest_block(space, heap, bytes);
    const size_t smallest = smallest_buffer(space, heap);
    printf("%-15s %15zu %15zu", heap->name, bytes - largest, smallest);
    space_write(space, heap, "kept.64k", (double)(bytes - largest), "bytes");
    if (smallest != 0) {
        space_write(space, heap, "smallest", (double)smallest, "bytes");
    }
    const size_t alignment = space_alignment(heap);
    if (alignment != 0) {
        const struct control control = control_of(space->arena, bytes, alignment);
        printf(" %7zu and %4zu", control.context, control.map);
        space_write(space, heap, "context.64k", (double)control.context, "bytes");
        space_write(space, heap, "map.64k", (double)control.map, "bytes");
    }
    printf("\n");
}

int main(int argc, char** argv)
{
    struct space space = space_open(argc, argv, help, 1, 0);
    printf("Payload in bytes, %u-bit: heaps of 64 KiB, of 256 KiB, full of blocks of\n%-15s",
           (unsigned)sizeof(void*) * 8, "");
    for (size_t i = 0; i < ARENAS * SIZES; i++) {
        printf(" %7zu", sizes[i % SIZES]);
    }
    printf("\n");
    for (unsigned i = 0; i < space.count; i++) {
        measure_payload(&space, &space.heap[i]);
    }
    printf("\n%-15s %15s %15s %s\n", "Bytes", "not in the larg-", "smallest for",
           "context and live");
    printf("%-15s %15s %15s %s\n", "", "est of 64 KiB", "malloc(16)", "map of 64 KiB");
    for (unsigned i = 0; i < space.count; i++) {
        measure_rest(&space, &space.heap[i]);
    }
    return space_close(&space);
}
