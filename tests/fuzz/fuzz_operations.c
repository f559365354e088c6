/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer's input as a program of operations, played on a heap beside a naive model of it.
 *
 * The first bytes choose the heap, all further ones what clients do: with the nine functions, with
 * those of dmheap_ctx.h and of DMOD, with pointers that are none, with handles of modules that are
 * gone. After each operation the heaps are proven as a whole, and what the model has is compared with
 * them: addresses, sizes, alignments, owners, content and how many there are. What is refused logs one
 * line, leaves the model right, and is nothing that dmheap_ctx_get_stats called sure to be served right
 * before.
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
#define MARGIN      64U   /* bytes in front of a buffer ... */
#define CANARY      0xA5  /* ... and what stands there, and behind the heap */
#define DEFAULTS    HEAPS /* in place of a heap's number: those that serve by default */

/* More than a module's record takes, and a group of records along with it, with all settings. */
#define MODULE_BYTES (64U * DMHEAP_HEADER_BYTES)

/* More than a heap has of its own, at any alignment that is small beside it, with all settings. */
#define START_BYTES (250U * DMHEAP_HEADER_BYTES)

struct slot {
    unsigned char* ptr; /* NULL: unused */
    size_t size;
    size_t alignment;
    unsigned name;
    unsigned heap;
    unsigned char seed; /* of its content */
};

struct handle {
    struct dmheap_module module; /* all zero: none was opened */
    bool is_live;                /* the module is still there; else calls by it are refused */
};

struct heap {
    struct dmheap_ctx* ctx; /* NULL: there is none */
    unsigned char front[MARGIN] __attribute__((aligned(64)));
    unsigned char buffer[BUFFER_MAX];
    size_t size;
    size_t alignment;
    bool is_default;
    bool known[NAMES];
    struct handle handle[NAMES]; /* by the module's name, the last one that it has or had */
    unsigned title;              /* its own name */
    enum dmheap_leak_policy policy;
    bool has_hook;
    bool tells_deaths;
    bool is_bounded; /* a module has, or had, a limit or a reserve */
    size_t deaths;   /* that were told of the module that is unregistered now ... */
    size_t lost;     /* ... and of how many blocks */
};

static struct {
    const uint8_t* at;
    const uint8_t* end;
    struct slot slot[SLOTS];
    struct heap heap[HEAPS];
    const char* dying; /* the module that is unregistered now */
    unsigned printed;
} fuzz;

/* The last one is as long as a name may be. */
#define X7 "xxxxxxx"
static const char* const names[NAMES] = {NULL,
                                         "a",
                                         "b",
                                         "network",
                                         "a module with a name of some length",
                                         "module#12",
                                         X7 X7 X7 X7 X7 X7 X7 X7 X7};

/* Of heaps; the last one is too long. */
#define TITLES 4U
static const char* const titles[TITLES] = {NULL, "fast", "fifteen letters", "sixteen letters!"};

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

/* Which heap a call names, if there is that one, or DEFAULTS. */
static unsigned take_asked(void)
{
    const unsigned asked = take() % (HEAPS + 1);
    return asked < HEAPS && fuzz.heap[asked].ctx == NULL ? DEFAULTS : asked;
}

/* A heap that there is. */
static unsigned take_heap(void)
{
    const unsigned heap = take() % HEAPS;
    return fuzz.heap[heap].ctx != NULL ? heap : 0;
}

/* ---- the model ------------------------------------------------------------------------------ */

static struct dmheap_ctx* ctx_of(unsigned asked)
{
    return asked < HEAPS ? fuzz.heap[asked].ctx : NULL;
}

/* Is a call about that heap, too? */
static bool is_meant(unsigned heap, unsigned asked)
{
    return asked < HEAPS ? heap == asked : fuzz.heap[heap].is_default;
}

/* The first of the heaps that a call is about which knows a module; HEAPS: none does. */
static unsigned heap_that_knows(unsigned asked, unsigned name)
{
    unsigned heap = 0;
    while (heap < HEAPS && !(is_meant(heap, asked) && fuzz.heap[heap].known[name])) {
        heap++;
    }
    return heap;
}

/* Is it the name of a module that one of them knows? */
static bool is_a_module(unsigned asked, unsigned name)
{
    return name != 0 && heap_that_knows(asked, name) < HEAPS;
}

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
        if (slot->ptr != NULL && slot->heap == heap && slot->name == name) {
            slot->ptr = NULL;
        }
    }
}

/* Its blocks go, and its handles stay none for ever. */
static void forget_module(unsigned heap, unsigned name)
{
    forget_of(heap, name);
    fuzz.heap[heap].known[name] = name == 0; /* there is always nobody */
    fuzz.heap[heap].handle[name].is_live = false;
}

/* What was set for a heap goes with it. */
static void forget_heap(unsigned heap)
{
    struct heap* gone = &fuzz.heap[heap];
    for (unsigned name = 0; name < NAMES; name++) {
        forget_module(heap, name);
    }
    gone->ctx = NULL;
    gone->is_default = false;
    gone->title = 0;
    gone->policy = DMHEAP_LEAK_SILENT;
    gone->has_hook = false;
    gone->tells_deaths = false;
    gone->is_bounded = false;
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

/* Nothing beside a heap is to be written to. */
static void surround(struct heap* heap)
{
    memset(heap->front, CANARY, MARGIN);
    memset(heap->buffer + heap->size, CANARY, BUFFER_MAX - heap->size);
}

/* `size` is not 0. */
static bool is_canary(const unsigned char* at, size_t size)
{
    return at[0] == CANARY && memcmp(at, at + 1, size - 1) == 0;
}

static bool is_surrounded(const struct heap* heap)
{
    return is_canary(heap->front, MARGIN) &&
           is_canary(heap->buffer + heap->size, BUFFER_MAX - heap->size);
}

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
            must(is_surrounded(&fuzz.heap[i]));
        }
    }
    expect_errors(0);
}

/* ---- operations: memory ------------------------------------------------------------------------ */

static bool is_alignment(size_t alignment)
{
    return alignment != 0 && (alignment & (alignment - 1)) == 0;
}

/*
 * Does a heap promise so much to a module? One where a module has, or had, a limit or a reserve is not
 * judged. To a known module, at the default alignment, that is largest_alloc. Where this is twice what all of a
 * request takes - an alignment, a record -, each part of it is found, wherever free memory lies.
 */
static bool is_sure_of(unsigned heap, size_t size, size_t alignment, unsigned name)
{
    const bool is_known = fuzz.heap[heap].known[name];
    const size_t least = least_alignment(heap);
    const size_t aligned = alignment > least ? alignment : least;
    struct dmheap_stats stats;
    if (fuzz.heap[heap].is_bounded || !is_alignment(alignment)) {
        return false;
    }
    must(dmheap_ctx_get_stats(fuzz.heap[heap].ctx, &stats));
    if (stats.largest_alloc == 0 || size > stats.largest_alloc) {
        return false;
    }
    if (is_known && aligned == least) {
        return true;
    }
    return aligned < stats.largest_alloc &&
           2 * (size + aligned + MODULE_BYTES) <= stats.largest_alloc;
}

static bool is_sure(unsigned asked, size_t size, size_t alignment, unsigned name)
{
    bool is_any = false;
    for (unsigned i = 0; i < HEAPS; i++) {
        is_any = is_any || (is_meant(i, asked) && is_sure_of(i, size, alignment, name));
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
        must(is_alignment(alignment));
        hold(slot, ptr, size, alignment, name);
    }
}

/* 0 to 3 name a heap, 2 to 5 an alignment. */
static void do_malloc(struct slot* slot)
{
    const unsigned how = take() % 10;
    const unsigned asked = how < 4 ? take_asked() : DEFAULTS;
    const unsigned name = take_name();
    const size_t size = take_size();
    const size_t alignment = how >= 2 && how < 6 ? take_alignment() : 1;
    const bool sure = is_sure(asked, size, alignment, name);
    struct dmheap_ctx* ctx = ctx_of(asked);
    void* ptr;
    switch (how) {
    case 0:
        ptr = dmheap_ctx_malloc(ctx, size, names[name]);
        break;
    case 1:
        ptr = dmheap_ctx_realloc(ctx, NULL, size, names[name]);
        break;
    case 2:
        ptr = dmheap_ctx_aligned_alloc(ctx, alignment, size, names[name]);
        break;
    case 3:
        ptr = dmheap_ctx_aligned_realloc(ctx, NULL, alignment, size, names[name]);
        break;
    case 4:
        ptr = dmheap_aligned_alloc(alignment, size, names[name]);
        break;
    case 5:
        ptr = Dmod_AlignedMallocEx(size, alignment, names[name]);
        break;
    case 6:
        ptr = Dmod_MallocEx(size, names[name]);
        break;
    case 7:
        ptr = Dmod_ReallocEx(NULL, size, names[name]);
        break;
    case 8:
        ptr = dmheap_realloc(NULL, size, names[name]);
        break;
    default:
        ptr = dmheap_malloc(size, names[name]);
        break;
    }
    must(ptr == NULL || is_meant(heap_of(ptr), asked));
    got(slot, ptr, size, alignment, name, sure);
}

static void do_calloc(struct slot* slot)
{
    const unsigned asked = take_asked();
    const unsigned name = take_name();
    const size_t count = take_size();
    const size_t size = take_size();
    const bool is_size = size == 0 || count <= SIZE_MAX / size;
    const bool sure = is_size && is_sure(asked, count * size, 1, name);
    unsigned char* ptr = dmheap_ctx_calloc(ctx_of(asked), count, size, names[name]);
    must(ptr == NULL || (is_size && is_meant(heap_of(ptr), asked)));
    for (size_t i = 0; ptr != NULL && i < count * size; i++) {
        must(ptr[i] == 0);
    }
    got(slot, ptr, count * size, 1, name, sure);
}

/* By any handle there is or was, of any heap; one that was never opened is all zero. */
static void do_malloc_for(struct slot* slot)
{
    const unsigned heap = take() % HEAPS;
    const unsigned name = take_name();
    const unsigned asked = take_asked();
    const size_t size = take_size();
    const size_t alignment = take() % 4 == 0 ? take_alignment() : 1;
    const struct handle* handle = &fuzz.heap[heap].handle[name];
    const bool serves = handle->is_live && is_meant(heap, asked);
    const bool sure = serves && is_sure_of(heap, size, alignment, name);
    void* ptr = alignment == 1
                    ? dmheap_ctx_malloc_for(ctx_of(asked), size, handle->module)
                    : dmheap_ctx_aligned_alloc_for(ctx_of(asked), alignment, size, handle->module);
    must(ptr == NULL || (serves && heap_of(ptr) == heap));
    got(slot, ptr, size, alignment, name, sure);
}

/*
 * A block of the heaps by default is found without its heap, too. `how`: 0 and 1 by DMOD, 2 and 3 by
 * dmheap.h, others by dmheap_ctx.h, where an odd one names no heap.
 */
static void* resize(const struct slot* slot, size_t alignment, size_t size, unsigned how)
{
    const char* other = names[(slot->name + 1) % NAMES]; /* ignored: the block has an owner */
    const bool is_default = fuzz.heap[slot->heap].is_default;
    struct dmheap_ctx* ctx = is_default && how % 2 != 0 ? NULL : fuzz.heap[slot->heap].ctx;
    if (alignment != 1) {
        return dmheap_ctx_aligned_realloc(ctx, slot->ptr, alignment, size, NULL);
    }
    if (is_default && how < 4) {
        return how < 2 ? Dmod_ReallocEx(slot->ptr, size, other)
                       : dmheap_realloc(slot->ptr, size, other);
    }
    return dmheap_ctx_realloc(ctx, slot->ptr, size, other);
}

static void do_realloc(struct slot* slot)
{
    const size_t size = take_size();
    const struct slot before = *slot;
    const unsigned how = take() % 8;
    const size_t alignment = how >= 6 ? take_alignment() : 1;
    const size_t wanted = alignment > before.alignment ? alignment : before.alignment;
    const bool sure = is_alignment(alignment) && is_sure_of(before.heap, size, wanted, before.name);
    unsigned char* ptr = resize(slot, alignment, size, how);
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
    const unsigned how = fuzz.heap[slot->heap].is_default ? take() % 4 : 0;
    const bool now = take() % 2 != 0;
    switch (how) {
    case 0:
        dmheap_ctx_free(fuzz.heap[slot->heap].ctx, slot->ptr, now);
        break;
    case 1:
        dmheap_ctx_free(NULL, slot->ptr, now);
        break;
    case 2:
        Dmod_FreeEx(slot->ptr, now);
        break;
    default:
        dmheap_free(slot->ptr, now);
        break;
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

/* Is there a block at `ptr` in one of the heaps that a call is about? */
static bool is_held(const void* ptr, unsigned asked)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (fuzz.slot[i].ptr == ptr && is_meant(fuzz.slot[i].heap, asked)) {
            return true;
        }
    }
    return false;
}

/* Anywhere in or beside a buffer, or where a block is: for other heaps it is none. */
static void* take_pointer(void)
{
    const unsigned where = take() % (HEAPS + 1);
    if (where == HEAPS) {
        return any_slot()->ptr;
    }
    const unsigned offset = (take() * 256U + take()) % (BUFFER_MAX + 64);
    return (void*)((uintptr_t)fuzz.heap[where].buffer + offset);
}

/* 0 to 5 name a heap. */
static void do_bad_pointer(void)
{
    char owner[DMHEAP_NAME_BYTES];
    const unsigned how = take() % 12;
    const unsigned asked = how < 6 ? take_asked() : DEFAULTS;
    struct dmheap_ctx* ctx = ctx_of(asked);
    void* ptr = take_pointer();
    if (ptr == NULL || is_held(ptr, asked)) {
        return;
    }
    switch (how) {
    case 0:
        dmheap_ctx_free(ctx, ptr, false);
        break;
    case 1:
        must(dmheap_ctx_realloc(ctx, ptr, take_size(), NULL) == NULL);
        break;
    case 2:
        must(dmheap_ctx_aligned_realloc(ctx, ptr, take_alignment(), take_size(), NULL) == NULL);
        break;
    case 3:
        must(!dmheap_ctx_retag(ctx, ptr, names[take_name()]));
        break;
    case 4:
        must(dmheap_ctx_usable_size(ctx, ptr) == 0);
        break;
    case 5:
        must(!dmheap_ctx_owner_of(ctx, ptr, owner) && owner[0] == '\0');
        break;
    case 6:
        Dmod_FreeEx(ptr, true);
        break;
    case 7:
        must(Dmod_ReallocEx(ptr, take_size(), NULL) == NULL);
        break;
    case 8:
        must(!Dmod_RetagEx(ptr, names[take_name()]));
        break;
    case 9:
        must(dmheap_realloc(ptr, take_size(), NULL) == NULL);
        break;
    default:
        dmheap_free(ptr, true);
        break;
    }
    expect_errors(1);
}

/* By one of three calls for the heaps that serve by default. */
static void unregister(unsigned asked, const char* name)
{
    const unsigned how = asked == DEFAULTS ? take() % 3 : 0;
    if (how == 0) {
        dmheap_ctx_unregister_module(ctx_of(asked), name);
    } else if (how == 1) {
        dmheap_unregister_module(name);
    } else {
        Dmod_FreeModule(name);
    }
}

/* Ask for something by a name that is too long. */
static void ask_by(unsigned asked, const char* name)
{
    struct dmheap_ctx* ctx = ctx_of(asked);
    struct dmheap_module module;
    switch (take() % 8) {
    case 0:
        must(!dmheap_ctx_register_module(ctx, name));
        break;
    case 1:
        must(dmheap_ctx_aligned_alloc(ctx, (size_t)1 << take() % 12, take_size(), name) == NULL);
        break;
    case 2:
        must(dmheap_ctx_calloc(ctx, take(), take_size(), name) == NULL);
        break;
    case 3:
        must(dmheap_ctx_realloc(ctx, NULL, take_size(), name) == NULL);
        break;
    case 4:
        must(!dmheap_ctx_rename_module(ctx, names[take_name()], name));
        break;
    case 5:
        must(!dmheap_ctx_rename_module(ctx, name, names[take_name()]));
        break;
    case 6:
        must(!dmheap_ctx_open_module(ctx, name, &module) && module.id == 0);
        break;
    default:
        must(dmheap_ctx_malloc(ctx, take_size(), name) == NULL);
        break;
    }
}

/* One that begins like a module's, which stays as it is: there is nothing to unregister, either. */
static void do_bad_name(void)
{
    char name[2 * DMHEAP_NAME_BYTES];
    const size_t length = DMHEAP_NAME_BYTES + take() % DMHEAP_NAME_BYTES;
    const unsigned asked = take_asked();
    const struct slot* slot = any_slot();
    memset(name, 'x', length);
    name[length] = '\0';
    ask_by(asked, name);
    expect_errors(1);
    if (slot->ptr != NULL) {
        must(!dmheap_ctx_retag(fuzz.heap[slot->heap].ctx, slot->ptr, name));
        expect_errors(1);
    }
    unregister(asked, name);
    must(test_port_lines() == 0);
}

/* A copy of a heap with some bytes of the input over it: the check comes back. */
static void do_check_of_copy(void)
{
    static unsigned char copy[BUFFER_MAX];
    struct dmheap_finding finding;
    const struct heap* heap = &fuzz.heap[take_heap()];
    const unsigned count = take() % 8;
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

/*
 * One of the heaps knows a name from now on that none of them knew: to its own name only a known
 * module is renamed.
 */
static void learn(unsigned asked, unsigned name)
{
    unsigned learned = 0;
    test_port_forget_lines();
    for (unsigned i = 0; i < HEAPS; i++) {
        struct heap* heap = &fuzz.heap[i];
        if (is_meant(i, asked)) {
            must(!heap->known[name]);
            heap->known[name] = dmheap_ctx_rename_module(heap->ctx, names[name], names[name]);
            learned += heap->known[name];
        }
    }
    must(learned == 1);
    test_port_forget_lines();
}

static void do_register(void)
{
    const bool by_default = take() % 2 != 0;
    const unsigned asked = by_default ? DEFAULTS : take_asked();
    const unsigned name = take_name();
    const bool is_known = is_a_module(asked, name);
    const bool sure = name != 0 && (is_known || is_sure(asked, 0, 1, name));
    const bool done = by_default ? dmheap_register_module(names[name])
                                 : dmheap_ctx_register_module(ctx_of(asked), names[name]);
    must(test_port_lines_of(TEST_WARN) == is_known);
    must(test_port_lines_of(TEST_INFO) == (done && !is_known));
    expect_errors(!done);
    must(done ? name != 0 : !sure);
    if (done && !is_known) {
        learn(asked, name);
    }
}

static void do_open(void)
{
    const unsigned asked = take_asked();
    const unsigned name = take_name();
    const bool is_known = is_a_module(asked, name);
    const bool sure = name != 0 && (is_known || is_sure(asked, 0, 1, name));
    struct dmheap_module module;
    const bool done = dmheap_ctx_open_module(ctx_of(asked), names[name], &module);
    expect_errors(!done);
    if (!done) {
        must(!sure && module.id == 0 && module.serial == 0);
        return;
    }
    must(name != 0);
    if (!is_known) {
        learn(asked, name);
    }
    struct handle* handle = &fuzz.heap[heap_that_knows(asked, name)].handle[name];
    must(!handle->is_live || memcmp(&handle->module, &module, sizeof(module)) == 0);
    handle->module = module;
    handle->is_live = true;
}

/* A heap tells of a module that died, and of what it had. */
static void note_death(const struct dmheap_death* death, void* context)
{
    struct heap* heap = context;
    must(death->ctx == heap->ctx);
    must(strcmp(death->module_name, fuzz.dying) == 0);
    must((death->blocks == 0) == (death->bytes == 0));
    heap->deaths++;
    heap->lost += death->blocks;
}

static bool is_kept(unsigned heap, unsigned name)
{
    return name != 0 && fuzz.heap[heap].policy == DMHEAP_LEAK_KEEP && held_by(heap, name) != 0;
}

/* Lines of level WARN about what a module leaves in a heap. */
static size_t lines_of_leak(unsigned heap, unsigned name)
{
    const size_t held = name != 0 ? held_by(heap, name) : 0;
    switch (fuzz.heap[heap].policy) {
    case DMHEAP_LEAK_SUMMARY:
        return held != 0;
    case DMHEAP_LEAK_BLOCKS:
        return held != 0 ? held + 1 : 0;
    default:
        return 0;
    }
}

/* A module goes from a heap, which has told of it if it does so. */
static void end_module(unsigned heap, unsigned name)
{
    const bool is_told = name != 0 && fuzz.heap[heap].tells_deaths && fuzz.heap[heap].known[name];
    must(fuzz.heap[heap].deaths == is_told);
    must(fuzz.heap[heap].lost == (is_told ? held_by(heap, name) : 0));
    fuzz.heap[heap].deaths = 0;
    fuzz.heap[heap].lost = 0;
    if (name != 0) {
        forget_module(heap, name);
    }
}

static void do_unregister(void)
{
    const unsigned name = take_name();
    const unsigned asked = take_asked();
    const bool is_known = is_a_module(asked, name);
    bool keeps = false;
    size_t warnings = 0;
    for (unsigned i = 0; i < HEAPS; i++) {
        keeps = keeps || (is_meant(i, asked) && is_kept(i, name));
        warnings += is_meant(i, asked) ? lines_of_leak(i, name) : 0;
    }
    fuzz.dying = names[name];
    unregister(asked, names[name]);
    must(test_port_lines_of(TEST_WARN) == (keeps ? 0 : warnings));
    must(test_port_lines_of(TEST_INFO) == (is_known && !keeps));
    expect_errors(keeps);
    for (unsigned i = 0; !keeps && i < HEAPS; i++) {
        if (is_meant(i, asked)) {
            end_module(i, name);
        }
    }
    must(fuzz.heap[0].deaths == 0 && fuzz.heap[1].deaths == 0);
}

static void do_retag(struct slot* slot)
{
    const unsigned name = take_name();
    const unsigned how = fuzz.heap[slot->heap].is_default ? take() % 3 : 0;
    struct heap* heap = &fuzz.heap[slot->heap];
    struct dmheap_ctx* ctx = how == 0 ? heap->ctx : NULL;
    const bool sure = heap->known[name] ? !heap->is_bounded : is_sure_of(slot->heap, 0, 1, name);
    const bool done = how == 2 ? Dmod_RetagEx(slot->ptr, names[name])
                               : dmheap_ctx_retag(ctx, slot->ptr, names[name]);
    expect_errors(!done);
    must(done || !sure);
    if (done) {
        slot->name = name;
        heap->known[name] = true;
    }
}

/* A heap's module has another name; its blocks and its handle stay its own. */
static void rename_in(unsigned heap, unsigned from, unsigned to)
{
    struct handle* handle = fuzz.heap[heap].handle;
    fuzz.heap[heap].known[from] = false;
    fuzz.heap[heap].known[to] = true;
    if (handle[from].is_live) {
        handle[to] = handle[from];
        memset(&handle[from], 0, sizeof(handle[from]));
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot* slot = &fuzz.slot[i];
        if (slot->ptr != NULL && slot->heap == heap && slot->name == from) {
            slot->name = to;
        }
    }
}

/* Is there memory for another record in each heap where a module is to have one? */
static bool is_sure_to_rename(unsigned asked, unsigned from, unsigned to)
{
    bool are_all = true;
    for (unsigned i = 0; i < HEAPS; i++) {
        are_all = are_all &&
                  (!is_meant(i, asked) || !fuzz.heap[i].known[from] || is_sure_of(i, 0, 1, to));
    }
    return are_all;
}

static void do_rename(void)
{
    const unsigned asked = take_asked();
    const unsigned from = take_name();
    const unsigned to = take_name();
    const bool may = is_a_module(asked, from) && to != 0 && (from == to || !is_a_module(asked, to));
    const bool sure = may && (from == to || is_sure_to_rename(asked, from, to));
    const bool done = asked == DEFAULTS && take() % 2 != 0
                          ? Dmod_RenameTag(names[from], names[to])
                          : dmheap_ctx_rename_module(ctx_of(asked), names[from], names[to]);
    expect_errors(!done);
    must(done ? may : !sure);
    for (unsigned i = 0; done && from != to && i < HEAPS; i++) {
        if (is_meant(i, asked) && fuzz.heap[i].known[from]) {
            rename_in(i, from, to);
        }
    }
}

/* ---- operations: heaps ------------------------------------------------------------------------------ */

static bool free_something(const struct dmheap_failure* failure, void* context)
{
    const struct heap* heap = context;
    must(failure->ctx == heap->ctx && failure->calls == 1);
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot* slot = &fuzz.slot[i];
        if (slot->ptr != NULL && &fuzz.heap[slot->heap] == heap && slot->size > 50) {
            dmheap_ctx_free(heap->ctx, slot->ptr, true);
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

/* Is a heap sure to be made so? */
static bool starts(size_t size, size_t alignment)
{
    return size >= START_BYTES && is_alignment(alignment) && alignment <= size / 8;
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
        surround(heap);
        heap->ctx = dmheap_ctx_init(heap->buffer, heap->size, heap->alignment);
        expect_errors(heap->ctx == NULL);
        must(heap->ctx != NULL || !starts(heap->size, heap->alignment));
    } else {
        heap->is_default = take() % 2 != 0;
        must(heap->is_default ? dmheap_ctx_add_default(heap->ctx)
                              : dmheap_ctx_remove_default(heap->ctx));
    }
    test_port_forget_lines();
}

/* No two heaps have the same name. */
static void do_title(void)
{
    const unsigned asked = take_asked();
    const unsigned named = asked < HEAPS ? asked : 0; /* the first by default */
    const unsigned title = take() % TITLES;
    const bool is_free = title == 0 || fuzz.heap[1 - named].title != title;
    const bool done = dmheap_ctx_set_name(ctx_of(asked), titles[title]);
    must(done == (is_free && title != TITLES - 1));
    expect_errors(!done);
    fuzz.heap[named].title = done ? title : fuzz.heap[named].title;
}

/* What is told of a heap itself. */
static void look_at_heap(unsigned heap)
{
    char name[DMHEAP_CTX_NAME_BYTES];
    struct dmheap_ctx* ctx = fuzz.heap[heap].ctx;
    const char* title = titles[fuzz.heap[heap].title];
    must(dmheap_ctx_is_initialized(ctx) && dmheap_ctx_get_name(ctx, name));
    must(strcmp(name, title != NULL ? title : "") == 0);
    must(dmheap_ctx_find(title) == (title != NULL ? ctx : NULL));
}

/* What is told of all of them, and of one that is none. */
static void look_at_heaps(void)
{
    char name[DMHEAP_CTX_NAME_BYTES];
    struct dmheap_ctx* none = (struct dmheap_ctx*)(uintptr_t)(fuzz.heap[0].buffer + 1);
    must(dmheap_is_initialized() && dmheap_ctx_is_initialized(NULL));
    must(!dmheap_ctx_is_initialized(none) && !dmheap_ctx_get_name(none, name));
    must(dmheap_ctx_get_default(0) == fuzz.heap[0].ctx);
    must(dmheap_ctx_get_default(1) == (fuzz.heap[1].is_default ? fuzz.heap[1].ctx : NULL));
    must(dmheap_ctx_get_default(2) == NULL && dmheap_ctx_find(titles[TITLES - 1]) == NULL);
    for (unsigned i = 1; i < TITLES; i++) {
        const bool is_there = fuzz.heap[0].title == i || fuzz.heap[1].title == i;
        must((dmheap_ctx_find(titles[i]) != NULL) == is_there);
    }
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
    const unsigned asked = take_asked();
    struct dmheap_stats stats;
    for (unsigned i = 0; i < HEAPS; i++) {
        if (fuzz.heap[i].ctx != NULL) {
            look_at_heap(i);
            look_at_modules(i);
        }
    }
    look_at_heaps();
    fuzz.printed = 0;
    must(dmheap_ctx_report(ctx_of(asked), take() % 32, count_lines, NULL));
    must(fuzz.printed != 0);
    must(dmheap_ctx_get_stats(ctx_of(asked), &stats));
    must(stats.used + stats.free == stats.size && stats.largest_free <= stats.free);
    expect_errors(0);
}

/* Make the heap of dmheap_init, anew or for the first time: all others are forgotten. */
static bool init(size_t size, size_t alignment)
{
    struct heap* heap = &fuzz.heap[0];
    const size_t most = size > heap->size ? size : heap->size;
    const bool done = dmheap_init(heap->buffer, size, alignment);
    must(is_canary(heap->front, MARGIN));
    must(is_canary(heap->buffer + most, BUFFER_MAX - most));
    expect_errors(!done);
    must(done || !starts(size, alignment));
    if (done) {
        forget_heap(0);
        forget_heap(1);
        heap->size = size;
        heap->alignment = alignment;
        heap->ctx = dmheap_ctx_get_default(0);
        heap->is_default = true;
        surround(heap);
    }
    return done;
}

static void do_init_again(void)
{
    const size_t size = take() % 8 == 0 ? take() : 500 + take() * 20U;
    const size_t alignment = take_alignment();
    (void)init(size, alignment);
}

#if DMHEAP_ACCOUNTING
static void do_account(void)
{
    const unsigned heap = take_heap();
    struct dmheap_ctx* ctx = fuzz.heap[heap].ctx;
    const unsigned name = take_name();
    const bool sure = fuzz.heap[heap].known[name] || is_sure_of(heap, 0, 1, name);
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
        must(done || !sure);
        break;
    case 1:
        done = dmheap_ctx_set_reserve(ctx, names[name], size);
        must(done || size != 0 || !sure);
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
        fuzz.heap[heap].is_bounded = fuzz.heap[heap].is_bounded || size != 0;
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

/* NULL is the first heap by default. */
static void do_policy(void)
{
    const unsigned asked = take_asked();
    struct dmheap_ctx* ctx = ctx_of(asked);
    struct heap* heap = &fuzz.heap[asked < HEAPS ? asked : 0];
    switch (take() % 3) {
    case 0:
        heap->has_hook = !heap->has_hook;
        must(dmheap_ctx_set_failure_hook(ctx, heap->has_hook ? free_something : NULL, heap));
        break;
    case 1:
        heap->policy = (enum dmheap_leak_policy)(take() % (DMHEAP_LEAK_KEEP + 1));
        must(dmheap_ctx_set_leak_policy(ctx, heap->policy));
        break;
    default:
        heap->tells_deaths = !heap->tells_deaths;
        must(dmheap_ctx_set_death_hook(ctx, heap->tells_deaths ? note_death : NULL, heap));
        break;
    }
    expect_errors(0);
}

static void do_concatenate(void)
{
    if (take() % 2 != 0) {
        dmheap_concatenate_free_blocks();
    } else {
        dmheap_ctx_concatenate_free_blocks(ctx_of(take_asked()));
    }
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
        if (take() % 2 == 0) {
            do_concatenate();
        } else {
            do_bad_name();
        }
        break;
    case 10:
        do_open();
        break;
    case 11:
        do_account();
        break;
    case 12:
        if (take() % 4 == 0) {
            do_init_again();
        } else {
            do_title();
        }
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
    surround(&fuzz.heap[0]);
    fuzz.at = data;
    fuzz.end = data + size;
    const size_t bytes = 500 + take() * 20U;
    const size_t alignment = (size_t)1 << take() % 8;
    if (!init(bytes, alignment)) {
        return 0;
    }
    for (unsigned i = 0; i < OPERATIONS && fuzz.at < fuzz.end; i++) {
        do_operation();
        compare();
    }
    if (fuzz.heap[1].ctx != NULL) {
        must(dmheap_ctx_deinit(fuzz.heap[1].ctx));
    }
    must(!test_port_is_held());
    return 0;
}
