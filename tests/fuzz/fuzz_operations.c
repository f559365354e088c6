/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer's input as a program of operations, played on a heap beside a naive model of it.
 *
 * The first bytes choose the heap, all further ones what clients do: with the nine functions, with
 * those of dmheap_ctx.h, with pointers that are none. After each operation the heaps are proven as a
 * whole, and what the model has is compared with them: addresses, sizes, alignments, owners, content
 * and how many there are. What is refused logs one line, leaves the model right, and is nothing that
 * dmheap_ctx_get_stats called sure to be served right before.
 *
 * Whatever does not hold ends the program, which is what a fuzzer looks for.
 */
#include "dmheap.h"
#include "dmheap_ctx.h"
#include "fuzz.h"
#include "port/test_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dmod_api.h"

#define SLOTS       24U
#define NAMES       7U /* nobody and six modules */
#define HEAPS       2U /* of which the first serves by default, and the other one may */
#define BUFFER_MAX  6144U
#define OPERATIONS  400U /* of one input at most */
#define PRINTED_MAX 400U

struct slot {
    unsigned char* ptr; /* NULL: unused */
    size_t size;
    size_t alignment;
    unsigned name;
    unsigned heap;
    unsigned char seed; /* of its content */
};

struct heap {
    struct dmheap_ctx* ctx; /* NULL: there is none */
    unsigned char buffer[BUFFER_MAX] __attribute__((aligned(64)));
    size_t size;
    size_t alignment;
    bool is_default;
    bool known[NAMES];
};

static struct {
    const uint8_t* at;
    const uint8_t* end;
    struct slot slot[SLOTS];
    struct heap heap[HEAPS];
    struct dmheap_module handle[NAMES]; /* of the first heap */
    bool has_hook;
    bool keeps_leaks;
    bool tells_deaths;
    bool is_bounded;   /* a module has, or had, a limit or a reserve */
    const char* dying; /* the module that is unregistered now */
    size_t deaths;     /* that were told of it ... */
    size_t lost;       /* ... and of how many blocks */
    unsigned printed;
} fuzz;

static const char* const names[NAMES] = {
    NULL, "a", "b", "network", "a module with a name of some length", "module#12", "x"};

#define must(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char* what, int line)
{
    (void)fprintf(stderr, "fuzz_operations.c:%d: not so: %s\n", line, what);
    for (size_t i = 0; i < test_port_lines(); i++) {
        (void)fprintf(stderr, "logged: %s", test_port_text(i));
    }
    abort();
}

/* ---- input --------------------------------------------------------------------------------- */

static unsigned take(void)
{
    return fuzz.at < fuzz.end ? *fuzz.at++ : 0;
}

/* Mostly small; 0, large and impossible ones, too. */
static size_t take_size(void)
{
    const size_t byte = take();
    switch (byte % 8) {
    case 0:
        return take() * 16U;
    case 1:
        return byte < 16 ? SIZE_MAX - take() : byte * 20U;
    default:
        return byte / 2;
    }
}

static size_t take_alignment(void)
{
    const unsigned byte = take();
    return byte < 240 ? (size_t)1 << byte % 12 : byte;
}

static unsigned take_name(void)
{
    return take() % NAMES;
}

/* ---- the model ------------------------------------------------------------------------------ */

static size_t least_alignment(unsigned heap)
{
    const size_t least = sizeof(void*) > DMHEAP_HEADER_BYTES ? sizeof(void*) : DMHEAP_HEADER_BYTES;
    return fuzz.heap[heap].alignment > least ? fuzz.heap[heap].alignment : least;
}

static void fill(const struct slot* slot)
{
    for (size_t i = 0; i < slot->size; i++) {
        slot->ptr[i] = (unsigned char)(slot->seed + i * 3);
    }
}

static bool is_filled(const unsigned char* ptr, size_t size, unsigned char seed)
{
    size_t i = 0;
    while (i < size && ptr[i] == (unsigned char)(seed + i * 3)) {
        i++;
    }
    return i == size;
}

static unsigned heap_of(const void* ptr)
{
    for (unsigned i = 0; i < HEAPS; i++) {
        const uintptr_t start = (uintptr_t)fuzz.heap[i].buffer;
        if ((uintptr_t)ptr - start < fuzz.heap[i].size && fuzz.heap[i].ctx != NULL) {
            return i;
        }
    }
    fail("a pointer into a heap", __LINE__);
    return 0;
}

static struct slot* any_slot(void)
{
    return &fuzz.slot[take() % SLOTS];
}

static void hold(struct slot* slot, void* ptr, size_t size, size_t alignment, unsigned name)
{
    const unsigned heap = heap_of(ptr);
    slot->ptr = ptr;
    slot->size = size;
    slot->alignment = alignment > least_alignment(heap) ? alignment : least_alignment(heap);
    slot->name = name;
    slot->heap = heap;
    slot->seed = (unsigned char)take();
    fuzz.heap[heap].known[name] = true;
    fill(slot);
}

static void forget_of(unsigned heap, unsigned name)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot* slot = &fuzz.slot[i];
        if (slot->ptr != NULL && slot->heap == heap && (name == NAMES || slot->name == name)) {
            slot->ptr = NULL;
        }
    }
}

static void forget_heap(unsigned heap)
{
    forget_of(heap, NAMES);
    memset(fuzz.heap[heap].known, 0, sizeof(fuzz.heap[heap].known));
    fuzz.heap[heap].ctx = NULL;
    fuzz.heap[heap].is_default = false;
}

/* Blocks that a module has. */
static unsigned held_by(unsigned heap, unsigned name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct slot* slot = &fuzz.slot[i];
        count += slot->ptr != NULL && slot->heap == heap && slot->name == name;
    }
    return count;
}

/* Lines of errors, since the last one of these; further levels do not count. */
static void expect_errors(size_t count)
{
    must(test_port_lines_of(TEST_ERROR) == count);
    test_port_forget_lines();
}

/* ---- comparison ------------------------------------------------------------------------------ */

static unsigned visited[HEAPS];

static bool visit(const struct dmheap_block_info* block, void* context)
{
    const unsigned heap = *(const unsigned*)context;
    if (block->kind == DMHEAP_BLOCK_LIVE) {
        visited[heap]++;
    }
    return true;
}

static void compare_slot(const struct slot* slot)
{
    char owner[DMHEAP_NAME_BYTES];
    struct dmheap_ctx* ctx = fuzz.heap[slot->heap].ctx;
    must(((uintptr_t)slot->ptr & (slot->alignment - 1)) == 0);
    must(dmheap_ctx_usable_size(ctx, slot->ptr) >= slot->size);
    must(dmheap_ctx_owner_of(ctx, slot->ptr, owner));
    must(strcmp(owner, slot->name == 0 ? "" : names[slot->name]) == 0);
    must(is_filled(slot->ptr, slot->size, slot->seed));
}

static void compare(void)
{
    unsigned held[HEAPS] = {0, 0};
    for (unsigned i = 0; i < SLOTS; i++) {
        if (fuzz.slot[i].ptr != NULL) {
            compare_slot(&fuzz.slot[i]);
            held[fuzz.slot[i].heap]++;
        }
    }
    for (unsigned i = 0; i < HEAPS; i++) {
        struct dmheap_finding finding;
        visited[i] = 0;
        if (fuzz.heap[i].ctx != NULL) {
            must(dmheap_ctx_check(fuzz.heap[i].ctx, &finding));
            must(finding.moving == 0);
            must(dmheap_ctx_walk(fuzz.heap[i].ctx, visit, &i));
            must(visited[i] == held[i]);
        }
    }
    expect_errors(0);
}

/* ---- operations: memory ------------------------------------------------------------------------ */

static bool is_alignment(size_t alignment)
{
    return alignment != 0 && (alignment & (alignment - 1)) == 0;
}

/* Does a heap promise so much to a module? None that may have a limit or a reserve is judged. */
static bool is_sure_of(unsigned heap, size_t size, size_t alignment, unsigned name)
{
    struct dmheap_stats stats;
    if (fuzz.is_bounded || fuzz.heap[heap].ctx == NULL || !fuzz.heap[heap].known[name] ||
        !is_alignment(alignment) || alignment > least_alignment(heap)) {
        return false;
    }
    must(dmheap_ctx_get_stats(fuzz.heap[heap].ctx, &stats));
    return stats.largest_alloc != 0 && size <= stats.largest_alloc;
}

static bool is_sure(size_t size, size_t alignment, unsigned name)
{
    bool is_any = false;
    for (unsigned i = 0; i < HEAPS; i++) {
        is_any = is_any || (fuzz.heap[i].is_default && is_sure_of(i, size, alignment, name));
    }
    return is_any;
}

/* `sure`: what was promised before; it must not be refused. */
static void got(struct slot* slot, void* ptr, size_t size, size_t alignment, unsigned name,
                bool sure)
{
    expect_errors(ptr == NULL);
    must(ptr != NULL || !sure);
    if (ptr != NULL) {
        hold(slot, ptr, size, alignment, name);
    }
}

static void do_malloc(struct slot* slot)
{
    const unsigned how = take() % 6;
    const unsigned name = take_name();
    const size_t size = take_size();
    const size_t alignment = how == 1 ? take_alignment() : 1;
    const bool sure = how == 2 && fuzz.heap[1].ctx != NULL ? is_sure_of(1, size, alignment, name)
                                                           : is_sure(size, alignment, name);
    void* ptr;
    switch (how) {
    case 0:
        ptr = dmheap_realloc(NULL, size, names[name]);
        break;
    case 1:
        ptr = dmheap_aligned_alloc(alignment, size, names[name]);
        must(ptr == NULL || is_alignment(alignment));
        break;
    case 2:
        ptr = dmheap_ctx_malloc(fuzz.heap[1].ctx, size, names[name]);
        break;
    case 3:
        ptr = Dmod_MallocEx(size, names[name]);
        break;
    default:
        ptr = dmheap_malloc(size, names[name]);
        break;
    }
    got(slot, ptr, size, alignment, name, sure);
}

static void do_calloc(struct slot* slot)
{
    const unsigned name = take_name();
    const size_t count = take_size();
    const size_t size = take_size();
    const bool sure = (size == 0 || count <= SIZE_MAX / size) && is_sure(count * size, 1, name);
    const unsigned char* ptr = dmheap_ctx_calloc(NULL, count, size, names[name]);
    for (size_t i = 0; ptr != NULL && i < count * size; i++) {
        must(ptr[i] == 0);
    }
    must(ptr == NULL || size == 0 || count <= SIZE_MAX / size);
    got(slot, (void*)(uintptr_t)ptr, count * size, 1, name, sure);
}

static void do_malloc_for(struct slot* slot)
{
    const unsigned name = 1 + take() % (NAMES - 1);
    const size_t size = take_size();
    const unsigned how = take();
    const size_t alignment = how % 8 >= 6 ? take_alignment() : 1;
    bool sure = false;
    if (how % 2 != 0) {
        (void)dmheap_ctx_open_module(fuzz.heap[0].ctx, names[name], &fuzz.handle[name]);
        fuzz.heap[0].known[name] = fuzz.heap[0].known[name] || fuzz.handle[name].serial != 0;
        test_port_forget_lines();
        sure = fuzz.handle[name].serial != 0 && is_sure_of(0, size, alignment, name);
    }
    void* ptr = alignment == 1
                    ? dmheap_ctx_malloc_for(NULL, size, fuzz.handle[name])
                    : dmheap_ctx_aligned_alloc_for(NULL, alignment, size, fuzz.handle[name]);
    must(ptr == NULL || (fuzz.heap[0].known[name] && is_alignment(alignment)));
    got(slot, ptr, size, alignment, name, sure);
}

static void do_realloc(struct slot* slot)
{
    const size_t size = take_size();
    const struct slot before = *slot;
    const size_t alignment = take() % 4 == 0 ? take_alignment() : 1;
    const size_t wanted = alignment > before.alignment ? alignment : before.alignment;
    const bool sure = is_alignment(alignment) && is_sure_of(before.heap, size, wanted, before.name);
    struct dmheap_ctx* ctx = fuzz.heap[slot->heap].ctx;
    const char* other = names[(before.name + 1) % NAMES]; /* ignored: the block has an owner */
    unsigned char* ptr;
    if (alignment != 1) {
        ptr = dmheap_ctx_aligned_realloc(ctx, slot->ptr, alignment, size, NULL);
    } else if (fuzz.heap[slot->heap].is_default) {
        ptr = dmheap_realloc(slot->ptr, size, other);
    } else {
        ptr = dmheap_ctx_realloc(ctx, slot->ptr, size, other);
    }
    expect_errors(ptr == NULL);
    if (ptr == NULL) {
        must(!sure);
        must(size > before.size || alignment > before.alignment || !is_alignment(alignment));
        return;
    }
    must(heap_of(ptr) == before.heap);
    must(is_filled(ptr, size < before.size ? size : before.size, before.seed));
    slot->ptr = NULL;
    hold(slot, ptr, size, wanted, before.name);
}

static void do_free(struct slot* slot)
{
    const bool now = take() % 2 != 0;
    if (fuzz.heap[slot->heap].is_default) {
        dmheap_free(slot->ptr, now);
    } else {
        dmheap_ctx_free(fuzz.heap[slot->heap].ctx, slot->ptr, now);
    }
    expect_errors(0);
    slot->ptr = NULL;
}

static void do_slot(void)
{
    struct slot* slot = any_slot();
    const unsigned how = take() % 8;
    if (slot->ptr == NULL) {
        if (how == 0) {
            do_calloc(slot);
        } else if (how == 1) {
            do_malloc_for(slot);
        } else {
            do_malloc(slot);
        }
    } else if (how < 4) {
        do_realloc(slot);
    } else {
        do_free(slot);
    }
}

/* ---- operations: what is wrong ------------------------------------------------------------------ */

static bool is_held(const void* ptr)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (fuzz.slot[i].ptr == ptr) {
            return true;
        }
    }
    return false;
}

/* Anywhere in or beside a buffer. */
static void do_bad_pointer(void)
{
    char owner[DMHEAP_NAME_BYTES];
    const unsigned how = take() % 5;
    struct heap* heap = &fuzz.heap[take() % HEAPS];
    void* ptr = (void*)((uintptr_t)heap->buffer + (take() * 256U + take()) % (BUFFER_MAX + 64));
    if (is_held(ptr)) {
        return;
    }
    switch (how) {
    case 0:
        dmheap_free(ptr, true);
        break;
    case 1:
        must(dmheap_realloc(ptr, take_size(), NULL) == NULL);
        break;
    case 2:
        must(!Dmod_RetagEx(ptr, names[take_name()]));
        break;
    case 3:
        must(dmheap_ctx_usable_size(NULL, ptr) == 0);
        break;
    default:
        must(!dmheap_ctx_owner_of(heap->ctx, ptr, owner));
        break;
    }
    expect_errors(1);
}

/* A copy of a heap with some bytes of the input over it: the check comes back. */
static void do_check_of_copy(void)
{
    static unsigned char copy[BUFFER_MAX];
    struct dmheap_finding finding;
    const struct heap* heap = &fuzz.heap[take() % HEAPS];
    const unsigned count = take() % 8;
    if (heap->ctx == NULL) {
        return;
    }
    memcpy(copy, heap->buffer, heap->size);
    for (unsigned i = 0; i < count; i++) {
        copy[(take() * 256U + take()) % heap->size] = (unsigned char)take();
    }
    unsigned char* exact = malloc(heap->size); /* so that the sanitizer knows its end */
    must(exact != NULL);
    memcpy(exact, copy, heap->size);
    const bool is_sound = dmheap_ctx_check_image(exact, heap->size, 0, &finding);
    must(is_sound == (finding.fault == DMHEAP_FAULT_NONE));
    must(count != 0 || is_sound);
    free(exact);
}

/* ---- operations: modules -------------------------------------------------------------------------- */

static void do_register(void)
{
    const unsigned name = take_name();
    bool is_known = false;
    for (unsigned i = 0; i < HEAPS; i++) {
        is_known = is_known || (fuzz.heap[i].is_default && fuzz.heap[i].known[name]);
    }
    const bool done = dmheap_register_module(names[name]);
    expect_errors(!done);
    must(done || !is_known || name == 0);
    must(!done || name != 0);
    for (unsigned i = 0; done && !is_known && i < HEAPS; i++) {
        struct heap* heap = &fuzz.heap[i]; /* to its own name only a known module is renamed */
        heap->known[name] =
            heap->ctx != NULL && dmheap_ctx_rename_module(heap->ctx, names[name], names[name]);
    }
    test_port_forget_lines();
}

/* The first heap tells of a module that died, and of what it had. */
static void note_death(const struct dmheap_death* death, void* context)
{
    must(context == &fuzz.deaths && death->ctx == fuzz.heap[0].ctx);
    must(strcmp(death->module_name, fuzz.dying) == 0);
    must((death->blocks == 0) == (death->bytes == 0));
    fuzz.deaths++;
    fuzz.lost += death->blocks;
}

/* Is a module unregistered from that heap, too? */
static bool is_meant(unsigned heap, bool from_second)
{
    return from_second && fuzz.heap[1].ctx != NULL ? heap == 1 : fuzz.heap[heap].is_default;
}

static void do_unregister(void)
{
    const unsigned name = take_name();
    const bool from_second = take() % 4 == 0;
    const bool goes = name != 0 && fuzz.heap[0].known[name] && is_meant(0, from_second);
    const size_t held = held_by(0, name);
    const bool is_kept = is_meant(0, from_second) && fuzz.keeps_leaks && held != 0;
    fuzz.dying = names[name];
    fuzz.deaths = 0;
    fuzz.lost = 0;
    if (from_second) {
        dmheap_ctx_unregister_module(fuzz.heap[1].ctx, names[name]);
    } else {
        dmheap_unregister_module(names[name]);
    }
    test_port_forget_lines();
    must(fuzz.deaths == (fuzz.tells_deaths && goes && !is_kept));
    must(fuzz.lost == (fuzz.deaths != 0 ? held : 0));
    for (unsigned i = 0; name != 0 && !is_kept && i < HEAPS; i++) {
        if (is_meant(i, from_second)) {
            forget_of(i, name);
            fuzz.heap[i].known[name] = false;
        }
    }
}

static void do_retag(struct slot* slot)
{
    const unsigned name = take_name();
    const bool done = dmheap_ctx_retag(fuzz.heap[slot->heap].ctx, slot->ptr, names[name]);
    expect_errors(!done);
    must(done || !fuzz.heap[slot->heap].known[name] || fuzz.is_bounded);
    if (done) {
        slot->name = name;
        fuzz.heap[slot->heap].known[name] = true;
    }
}

static void do_rename(void)
{
    struct heap* heap = &fuzz.heap[0];
    const unsigned old = take_name();
    const unsigned new = take_name();
    const bool done = dmheap_ctx_rename_module(heap->ctx, names[old], names[new]);
    expect_errors(!done);
    if (!done || old == new) {
        must(!done || heap->known[old]);
        return;
    }
    must(old != 0 && new != 0 && heap->known[old] && !heap->known[new]);
    heap->known[old] = false;
    heap->known[new] = true;
    fuzz.handle[new] = fuzz.handle[old]; /* it stays the module's */
    memset(&fuzz.handle[old], 0, sizeof(fuzz.handle[old]));
    for (unsigned i = 0; i < SLOTS; i++) {
        if (fuzz.slot[i].ptr != NULL && fuzz.slot[i].heap == 0 && fuzz.slot[i].name == old) {
            fuzz.slot[i].name = new;
        }
    }
}

/* ---- operations: heaps ------------------------------------------------------------------------------ */

static bool free_something(const struct dmheap_failure* failure, void* context)
{
    (void)context;
    (void)failure;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot* slot = &fuzz.slot[i];
        if (slot->ptr != NULL && slot->heap == 0 && slot->size > 50) {
            dmheap_ctx_free(fuzz.heap[0].ctx, slot->ptr, true);
            slot->ptr = NULL;
            return true;
        }
    }
    return false;
}

static bool count_lines(const char* line, void* context)
{
    (void)context;
    must(strlen(line) < PRINTED_MAX);
    fuzz.printed++;
    return true;
}

static void do_second_heap(void)
{
    struct heap* heap = &fuzz.heap[1];
    if (heap->ctx != NULL && take() % 2 != 0) {
        must(dmheap_ctx_deinit(heap->ctx));
        forget_heap(1);
    } else if (heap->ctx == NULL) {
        heap->size = 600 + take() * 8U;
        heap->alignment = (size_t)4 << take() % 5;
        heap->ctx = dmheap_ctx_init(heap->buffer, heap->size, heap->alignment);
    } else {
        heap->is_default = take() % 2 != 0;
        must(heap->is_default ? dmheap_ctx_add_default(heap->ctx)
                              : dmheap_ctx_remove_default(heap->ctx));
    }
    test_port_forget_lines();
}

static bool count_module(const struct dmheap_module_info* info, void* context)
{
    unsigned* left = context;
    must(info->module_name[0] != '\0' && *left != 0);
    (*left)--;
    return true;
}

#if DMHEAP_SEQUENCE
static bool count_block(const struct dmheap_block_info* block, void* context)
{
    must(block->kind == DMHEAP_BLOCK_LIVE);
    (*(size_t*)context)++;
    return true;
}

/* All blocks are of after the first mark, and none is of after the last one. */
static void look_at_marks(struct dmheap_ctx* ctx, const char* name, size_t held, size_t all)
{
    struct dmheap_module_stats stats;
    const uint32_t mark = dmheap_ctx_mark();
    size_t since = 0;
    must(dmheap_ctx_walk_since(ctx, 0, count_block, &since));
    must(since == all);
    must(dmheap_ctx_walk_since(ctx, mark, count_block, &since));
    must(since == all);
    must(dmheap_ctx_get_module_stats_since(ctx, 0, name, &stats));
    must(stats.blocks == held);
    must(dmheap_ctx_get_module_stats_since(ctx, mark, name, &stats));
    must(stats.blocks == 0 && stats.bytes == 0);
}
#else
static void look_at_marks(struct dmheap_ctx* ctx, const char* name, size_t held, size_t all)
{
    (void)ctx;
    (void)name;
    (void)held;
    (void)all;
}
#endif

/* What a heap says of its modules. */
static void look_at_modules(unsigned heap)
{
    struct dmheap_ctx* ctx = fuzz.heap[heap].ctx;
    unsigned modules = 0;
    size_t blocks = 0;
    for (unsigned name = 0; name < NAMES; name++) {
        struct dmheap_module_stats stats;
        modules += name != 0 && fuzz.heap[heap].known[name];
        blocks += held_by(heap, name);
        must(dmheap_ctx_get_module_stats(ctx, names[name], &stats));
        must(stats.blocks == held_by(heap, name) && stats.bytes >= stats.blocks);
    }
    must(dmheap_ctx_walk_modules(ctx, count_module, &modules));
    must(modules == 0);
    look_at_marks(ctx, names[1], held_by(heap, 1), blocks);
}

static void do_look(void)
{
    struct dmheap_stats stats;
    fuzz.printed = 0;
    for (unsigned i = 0; i < HEAPS; i++) {
        if (fuzz.heap[i].ctx != NULL) {
            look_at_modules(i);
        }
    }
    must(dmheap_is_initialized());
    must(dmheap_ctx_report(NULL, take() % 32, count_lines, NULL));
    must(dmheap_ctx_get_stats(NULL, &stats));
    must(stats.used + stats.free == stats.size && stats.largest_free <= stats.free);
    expect_errors(0);
}

/* The heap of dmheap_init, made anew: all others are forgotten. */
static void do_init_again(void)
{
    struct heap* heap = &fuzz.heap[0];
    const size_t size = take() % 8 == 0 ? take() : 500 + take() * 20U;
    const size_t alignment = take_alignment();
    const bool done = dmheap_init(heap->buffer, size, alignment);
    expect_errors(!done);
    must(done || size < 2500 || !is_alignment(alignment) || alignment > 64);
    if (done) {
        forget_heap(0);
        forget_heap(1);
        heap->size = size;
        heap->alignment = alignment;
        heap->ctx = dmheap_ctx_get_default(0);
        heap->is_default = true;
        fuzz.has_hook = false;
        fuzz.keeps_leaks = false;
        fuzz.tells_deaths = false;
        fuzz.is_bounded = false;
    }
}

#if DMHEAP_ACCOUNTING
static void do_account(void)
{
    const unsigned heap = fuzz.heap[1].ctx != NULL ? take() % HEAPS : 0;
    struct dmheap_ctx* ctx = fuzz.heap[heap].ctx;
    const unsigned name = take_name();
    const unsigned how = take() % 4;
    const size_t size = how < 2 && take() % 2 != 0 ? take_size() : 0;
    struct dmheap_account account;
    struct dmheap_heap_account all;
    struct dmheap_stats stats;
    char dead[DMHEAP_NAME_BYTES];
    bool done = false;
    switch (how) {
    case 0:
        done = dmheap_ctx_set_limit(ctx, names[name], size != 0 ? size - 1 : SIZE_MAX);
        break;
    case 1:
        done = dmheap_ctx_set_reserve(ctx, names[name], size);
        break;
    case 2:
        done = dmheap_ctx_keep_dead(ctx, name % 3);
        must(!done || !dmheap_ctx_get_dead(ctx, 0, dead, &account));
        must(dmheap_ctx_reset_min_free(ctx));
        break;
    default:
        done = dmheap_ctx_reset_peak(ctx, names[name]);
        must(done == fuzz.heap[heap].known[name]);
        break;
    }
    expect_errors(!done);
    if (how < 2 && done) {
        fuzz.is_bounded = fuzz.is_bounded || size != 0;
        fuzz.heap[heap].known[name] = true;
    }
    must(dmheap_ctx_get_heap_account(ctx, &all));
    must(dmheap_ctx_get_stats(ctx, &stats));
    must(all.used == stats.used && all.free == stats.free && all.min_free <= all.free);
    must(all.reserved <= all.free);
    (void)dmheap_ctx_get_dead(ctx, 0, dead, &account);
    if (fuzz.heap[heap].known[name]) {
        must(dmheap_ctx_get_account(ctx, names[name], &account));
        must(account.blocks == held_by(heap, name) && account.peak >= account.bytes);
    }
}
#else
static void do_account(void)
{
}
#endif

static void do_policy(void)
{
    struct dmheap_ctx* ctx = fuzz.heap[0].ctx;
    switch (take() % 8) {
    case 0:
    case 1:
        fuzz.has_hook = !fuzz.has_hook;
        must(dmheap_ctx_set_failure_hook(ctx, fuzz.has_hook ? free_something : NULL, NULL));
        break;
    case 2:
    case 3:
        fuzz.keeps_leaks = !fuzz.keeps_leaks;
        must(dmheap_ctx_set_leak_policy(ctx,
                                        fuzz.keeps_leaks ? DMHEAP_LEAK_KEEP : DMHEAP_LEAK_SILENT));
        break;
    case 4:
        fuzz.tells_deaths = !fuzz.tells_deaths;
        must(dmheap_ctx_set_death_hook(ctx, fuzz.tells_deaths ? note_death : NULL, &fuzz.deaths));
        break;
    case 5:
        do_init_again();
        break;
    default:
        do_account();
        break;
    }
    expect_errors(0);
}

/* ---- one input -------------------------------------------------------------------------------------- */

static void do_operation(void)
{
    struct slot* slot;
    switch (take() % 16) {
    case 0:
        do_bad_pointer();
        break;
    case 1:
        do_register();
        break;
    case 2:
        do_unregister();
        break;
    case 3:
        slot = any_slot();
        if (slot->ptr != NULL) {
            do_retag(slot);
        }
        break;
    case 4:
        do_rename();
        break;
    case 5:
        do_second_heap();
        break;
    case 6:
        do_look();
        break;
    case 7:
        do_policy();
        break;
    case 8:
        do_check_of_copy();
        break;
    case 9:
        dmheap_concatenate_free_blocks();
        break;
    default:
        do_slot();
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    memset(&fuzz, 0, sizeof(fuzz));
    (void)test_port_reset();
    fuzz.at = data;
    fuzz.end = data + size;
    struct heap* heap = &fuzz.heap[0];
    heap->size = 500 + take() * 20U;
    heap->alignment = (size_t)1 << take() % 8;
    const bool done = dmheap_init(heap->buffer, heap->size, heap->alignment);
    expect_errors(!done);
    if (!done) {
        return 0;
    }
    heap->ctx = dmheap_ctx_get_default(0);
    heap->is_default = true;
    heap->known[0] = true;
    fuzz.heap[1].known[0] = true;
    for (unsigned i = 0; i < OPERATIONS && fuzz.at < fuzz.end; i++) {
        do_operation();
        fuzz.heap[0].known[0] = true;
        fuzz.heap[1].known[0] = true;
        compare();
    }
    if (fuzz.heap[1].ctx != NULL) {
        must(dmheap_ctx_deinit(fuzz.heap[1].ctx));
    }
    must(!test_port_is_held());
    return 0;
}
