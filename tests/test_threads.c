/* SPDX-License-Identifier: MIT */
/*
 * Several threads on one heap, with the posix port; also meant to run under the thread
 * sanitizer. Each thread checks the content of what is its own; at the end everything is
 * given back and the heap is as large as it was.
 */
#define _POSIX_C_SOURCE 200809L
#include "dmheap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS    4U
#define SLOTS      40U
#define ROUNDS     40U
#define STEPS      500U
#define HEAP_BYTES ((size_t)1 << 20)

static unsigned char memory[HEAP_BYTES];

struct slot {
    unsigned char* ptr;
    size_t size;
    bool is_modules; /* else nobody's */
};

struct worker {
    unsigned number;
    uint32_t random;
    struct slot slot[SLOTS];
    char name[32];
    unsigned failures;
};

static uint32_t dice(struct worker* worker, uint32_t sides)
{
    worker->random = worker->random * 1664525U + 1013904223U;
    return (worker->random >> 8) % sides;
}

static unsigned char content(const struct worker* worker, size_t slot, size_t i)
{
    return (unsigned char)(worker->number * 59U + (unsigned)slot * 7U + (unsigned)i);
}

static void fill(const struct worker* worker, size_t number)
{
    const struct slot* slot = &worker->slot[number];
    for (size_t i = 0; i < slot->size; i++) {
        slot->ptr[i] = content(worker, number, i);
    }
}

static void check(struct worker* worker, size_t number, size_t size)
{
    const struct slot* slot = &worker->slot[number];
    for (size_t i = 0; i < size; i++) {
        if (slot->ptr[i] != content(worker, number, i)) {
            worker->failures++;
            return;
        }
    }
}

static void allocate(struct worker* worker, size_t number)
{
    struct slot* slot = &worker->slot[number];
    slot->size = dice(worker, 1500);
    slot->is_modules = dice(worker, 3) != 0;
    const char* owner = slot->is_modules ? worker->name : NULL;
    slot->ptr = dice(worker, 4) == 0 ? dmheap_aligned_alloc(64, slot->size, owner)
                                     : dmheap_malloc(slot->size, owner);
    if (slot->ptr != NULL) {
        fill(worker, number);
    }
}

static void resize(struct worker* worker, size_t number)
{
    struct slot* slot = &worker->slot[number];
    const size_t size = dice(worker, 3000);
    unsigned char* ptr = dmheap_realloc(slot->ptr, size, worker->name);
    if (ptr != NULL) {
        slot->ptr = ptr;
        check(worker, number, size < slot->size ? size : slot->size);
        slot->size = size;
        fill(worker, number);
    }
}

static void release(struct worker* worker, size_t number)
{
    check(worker, number, worker->slot[number].size);
    dmheap_free(worker->slot[number].ptr, dice(worker, 2) != 0);
    worker->slot[number].ptr = NULL;
}

/*
 * A shared module: any thread allocates for it and any unregisters it. What such an
 * allocation returned may be gone at once, so nobody touches it.
 */
static void share(struct worker* worker)
{
    (void)dmheap_malloc(dice(worker, 300), "shared");
    if (dice(worker, 40) == 0) {
        dmheap_unregister_module("shared");
    }
}

static void step(struct worker* worker)
{
    const size_t number = dice(worker, SLOTS);
    if (dice(worker, 8) == 0) {
        share(worker);
    } else if (worker->slot[number].ptr == NULL) {
        allocate(worker, number);
    } else if (dice(worker, 3) == 0) {
        resize(worker, number);
    } else {
        release(worker, number);
    }
}

static void unload(struct worker* worker)
{
    for (size_t i = 0; i < SLOTS; i++) {
        if (worker->slot[i].ptr != NULL) {
            check(worker, i, worker->slot[i].size);
        }
    }
    dmheap_unregister_module(worker->name);
    for (size_t i = 0; i < SLOTS; i++) {
        if (worker->slot[i].is_modules) {
            worker->slot[i].ptr = NULL;
        }
    }
}

static void* work(void* argument)
{
    struct worker* worker = argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        (void)dmheap_register_module(worker->name);
        for (unsigned i = 0; i < STEPS; i++) {
            step(worker);
        }
        unload(worker);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (worker->slot[i].ptr != NULL) {
            release(worker, i);
        }
    }
    return NULL;
}

/* The largest block that can be had now. */
static size_t largest(void)
{
    size_t served = 0;
    for (size_t add = HEAP_BYTES / 2; add != 0; add /= 2) {
        void* ptr = dmheap_malloc(served + add, NULL);
        if (ptr != NULL) {
            served += add;
            dmheap_free(ptr, true);
        }
    }
    return served;
}

static unsigned run_all(struct worker* workers)
{
    pthread_t threads[THREADS];
    unsigned failures = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        memset(&workers[i], 0, sizeof(workers[i]));
        workers[i].number = i;
        workers[i].random = 1000U + i;
        (void)snprintf(workers[i].name, sizeof(workers[i].name), "worker#%u", i);
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) {
            (void)fprintf(stderr, "no thread\n");
            exit(2);
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        failures += workers[i].failures;
    }
    return failures;
}

int main(void)
{
    static struct worker workers[THREADS];
    /* The port prints two lines for each of thousands of modules; results go to stderr. */
    if (freopen("/dev/null", "w", stdout) == NULL || !dmheap_init(memory, sizeof(memory), 8)) {
        return 2;
    }
    const size_t before = largest();
    const unsigned failures = run_all(workers);
    dmheap_unregister_module("shared");
    const size_t after = largest();
    (void)fprintf(stderr, "threads: %u blocks with a wrong content, largest block %u of %u\n",
                  failures, (unsigned)after, (unsigned)before);
    return failures != 0 || after != before;
}
