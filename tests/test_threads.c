/* SPDX-License-Identifier: MIT */
/*
 * Several threads on one heap and then on three, with the posix port; also meant to run under the
 * thread sanitizer. Each thread checks the content of what is its own; at the end everything is
 * given back and the heaps are as large as they were. In a heap beside them, blocks of one module are
 * moved and freed while others unregister it.
 */
#define _POSIX_C_SOURCE 200809L
#include "dmheap_ctx.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS    4U
#define SLOTS      40U
#define ROUNDS     40U
#define STEPS      500U
#define HEAP_BYTES ((size_t)1 << 20)
#define OWN_BYTES  ((size_t)4096)
#define COMMON     4U /* blocks of a thread in the heap of one module */

static unsigned char memory[HEAP_BYTES];
static bool has_several; /* heaps */
static unsigned char common_memory[16 * OWN_BYTES];
static struct dmheap_ctx* common;

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
    void* common[COMMON];                /* they may be gone, or another thread's by now */
    struct dmheap_module module;         /* by its name, where there are several heaps */
    unsigned char own_memory[OWN_BYTES]; /* for a heap that comes and goes */
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

static void* allocate_by(struct worker* worker, size_t size, const char* owner)
{
    if (!has_several || dice(worker, 2) == 0) {
        return dice(worker, 4) == 0 ? dmheap_aligned_alloc(64, size, owner)
                                    : dmheap_malloc(size, owner);
    }
    return owner != NULL ? dmheap_ctx_malloc_for(NULL, size, worker->module)
                         : dmheap_ctx_calloc(NULL, 1, size, NULL);
}

static void allocate(struct worker* worker, size_t number)
{
    struct slot* slot = &worker->slot[number];
    slot->size = dice(worker, 1500);
    slot->is_modules = dice(worker, 3) != 0;
    const char* owner = slot->is_modules ? worker->name : NULL;
    slot->ptr = allocate_by(worker, slot->size, owner);
    if (slot->ptr != NULL) {
        fill(worker, number);
    }
}

static void resize(struct worker* worker, size_t number)
{
    struct slot* slot = &worker->slot[number];
    const size_t size = dice(worker, 3000);
    unsigned char* ptr = has_several && dice(worker, 2) == 0
                             ? dmheap_ctx_aligned_realloc(NULL, slot->ptr, 128, size, NULL)
                             : dmheap_realloc(slot->ptr, size, worker->name);
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

/*
 * The same with blocks that move and are freed, in a heap where all are such blocks: a pointer whose
 * block is gone is refused, or finds another one of them.
 */
static void share_all(struct worker* worker)
{
    void** ptr = &worker->common[dice(worker, COMMON)];
    void* moved;
    switch (dice(worker, 12)) {
    case 0:
        dmheap_ctx_unregister_module(common, "shared");
        break;
    case 1:
    case 2:
        dmheap_ctx_free(common, *ptr, false);
        *ptr = NULL;
        break;
    case 3:
    case 4:
        *ptr = dmheap_ctx_malloc(common, dice(worker, 300), "shared");
        break;
    default:
        moved = dmheap_ctx_realloc(common, *ptr, dice(worker, 900), "shared");
        *ptr = moved != NULL ? moved : *ptr;
        break;
    }
}

/* A heap of the thread's own; none, while another thread makes one. */
static void come_and_go(struct worker* worker)
{
    struct dmheap_ctx* ctx = dmheap_ctx_init(worker->own_memory, OWN_BYTES, 8);
    if (ctx == NULL) {
        return;
    }
    unsigned char* ptr = dmheap_ctx_calloc(ctx, 10, 10, worker->name);
    char owner[DMHEAP_NAME_BYTES];
    const bool is_right = ptr != NULL && ptr[99] == 0 && dmheap_ctx_owner_of(ctx, ptr, owner) &&
                          strcmp(owner, worker->name) == 0 &&
                          dmheap_ctx_set_name(ctx, worker->name) &&
                          dmheap_ctx_find(worker->name) == ctx && dmheap_ctx_deinit(ctx) &&
                          !dmheap_ctx_is_initialized(ctx);
    worker->failures += !is_right;
}

static bool read_line(const char* line, void* context)
{
    unsigned* lengths = context;
    *lengths += (unsigned)strlen(line);
    return true;
}

static bool read_block(const struct dmheap_block_info* block, void* context)
{
    return read_line(block->module_name, context);
}

static bool read_module(const struct dmheap_module_info* info, void* context)
{
    return read_line(info->module_name, context);
}

/* Once more: another thread may have released something. */
static bool on_failure(const struct dmheap_failure* failure, void* context)
{
    (void)context;
    return failure->calls == 1;
}

static void on_death(const struct dmheap_death* death, void* context)
{
    (void)death;
    (void)context;
}

/* All that tells of the heaps, while others change them. */
static void look(struct worker* worker)
{
    struct dmheap_stats stats;
    struct dmheap_module_stats module;
    struct dmheap_finding finding;
    char name[DMHEAP_CTX_NAME_BYTES];
    unsigned lengths = 0;
    const bool is_right = dmheap_is_initialized() && dmheap_ctx_is_initialized(NULL) &&
                          dmheap_ctx_get_default(0) != NULL && dmheap_ctx_get_name(NULL, name) &&
                          dmheap_ctx_get_stats(NULL, &stats) &&
                          dmheap_ctx_get_module_stats(NULL, worker->name, &module) &&
                          dmheap_ctx_walk(NULL, read_block, &lengths) &&
                          dmheap_ctx_walk_modules(NULL, read_module, &lengths) &&
                          dmheap_ctx_report(NULL, DMHEAP_REPORT_ALL, read_line, &lengths) &&
                          dmheap_ctx_check(NULL, &finding) && lengths != 0;
    worker->failures += !is_right;
}

/* Heaps are set up anew, to what they are already. */
static void set_up(struct worker* worker)
{
    const bool is_right = dmheap_ctx_set_failure_hook(NULL, on_failure, NULL) &&
                          dmheap_ctx_set_death_hook(NULL, on_death, NULL) &&
                          dmheap_ctx_set_leak_policy(NULL, DMHEAP_LEAK_SUMMARY) &&
                          dmheap_ctx_set_name(NULL, "first");
    worker->failures += !is_right;
    dmheap_concatenate_free_blocks();
}

/* A block of the thread's own gets another owner, and its module another name for a while. */
static void rename_and_retag(struct worker* worker, size_t number)
{
    struct slot* slot = &worker->slot[number];
    char owner[DMHEAP_NAME_BYTES];
    char name[sizeof(worker->name)];
    (void)snprintf(name, sizeof(name), "renamed#%u", worker->number);
    if (dmheap_ctx_rename_module(NULL, worker->name, name)) {
        worker->failures += !dmheap_ctx_rename_module(NULL, name, worker->name);
    }
    if (dmheap_ctx_retag(NULL, slot->ptr, worker->name)) {
        slot->is_modules = true;
        const bool is_right = dmheap_ctx_usable_size(NULL, slot->ptr) >= slot->size &&
                              dmheap_ctx_owner_of(NULL, slot->ptr, owner) &&
                              strcmp(owner, worker->name) == 0;
        worker->failures += !is_right;
    }
}

static void step(struct worker* worker)
{
    const size_t number = dice(worker, SLOTS);
    if (dice(worker, 250) == 0) {
        look(worker);
    } else if (dice(worker, 100) == 0) {
        set_up(worker);
    } else if (dice(worker, 8) == 0) {
        share(worker);
    } else if (has_several && dice(worker, 8) == 0) {
        share_all(worker);
    } else if (has_several && dice(worker, 50) == 0) {
        come_and_go(worker);
    } else if (worker->slot[number].ptr == NULL) {
        allocate(worker, number);
    } else if (dice(worker, 3) == 0) {
        resize(worker, number);
    } else if (dice(worker, 5) == 0) {
        rename_and_retag(worker, number);
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
        if (has_several) {
            worker->failures += !dmheap_ctx_open_module(NULL, worker->name, &worker->module);
        } else {
            (void)dmheap_register_module(worker->name);
        }
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

/* One heap, or three that serve by default. */
static bool make_heaps(void)
{
    const size_t part = HEAP_BYTES / 4;
    if (!has_several) {
        return dmheap_init(memory, HEAP_BYTES, 8);
    }
    if (!dmheap_init(memory, part, 8)) { /* which forgets all others */
        return false;
    }
    common = dmheap_ctx_init(common_memory, sizeof(common_memory), 8);
    return common != NULL && dmheap_ctx_add_default(dmheap_ctx_init(memory + part, part, 16)) &&
           dmheap_ctx_add_default(dmheap_ctx_init(memory + 2 * part, 2 * part, 8));
}

/* Is that heap sound, and has everything come back once the module is gone? */
static bool is_common_empty(void)
{
    struct dmheap_stats stats;
    struct dmheap_finding finding;
    dmheap_ctx_unregister_module(common, "shared");
    return dmheap_ctx_check(common, &finding) && finding.moving == 0 &&
           dmheap_ctx_get_stats(common, &stats) && stats.used == 0 &&
           stats.largest_free == stats.free;
}

/* Did all go well? */
static bool run(void)
{
    static struct worker workers[THREADS];
    if (!make_heaps()) {
        (void)fprintf(stderr, "no heap\n");
        return false;
    }
    const size_t before = largest();
    const unsigned failures = run_all(workers);
    dmheap_unregister_module("shared");
    const size_t after = largest();
    (void)fprintf(stderr, "threads: %u wrong contents or refusals, largest block %u of %u\n",
                  failures, (unsigned)after, (unsigned)before);
    return failures == 0 && after == before && (!has_several || is_common_empty());
}

int main(void)
{
    /* The port prints two lines for each of thousands of modules; results go to stderr. */
    if (freopen("/dev/null", "w", stdout) == NULL) {
        return 2;
    }
    const bool went_well_with_one = run();
    has_several = true;
    const bool went_well_with_several = run();
    return !went_well_with_one || !went_well_with_several;
}
