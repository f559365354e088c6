/* SPDX-License-Identifier: MIT */
/**
 * @file dmheap_compat.h
 * @brief The context-first interface of DMOD's later dmheap, for clients written for that one.
 *
 * There are two generations of dmheap's interface, whose functions have the same names and other
 * arguments: the nine of dmheap.h, and these, that take a context first. A file has one of them.
 * Where DMHEAP_COMPAT is defined (CMake: the option DMHEAP_COMPAT defines it for all who link
 * dmheap), `#include "dmheap.h"` leads here; without it, a file may include this one by itself.
 *
 * - All of them are inline functions over those of dmheap_ctx.h, and no symbols of the library. So
 *   files of both generations may be linked together; they share the heaps.
 * - What is called in the manner of the other generation does not compile: it has more arguments or
 *   fewer. Only dmheap_init has the same ones, and its result is true where the heap was made.
 * - Modules for DMOD and objects that were compiled with another header than these have to be
 *   compiled anew: to a linker or loader both generations look the same.
 * - New code is better written for dmheap_ctx.h, whose contexts are the same.
 *
 * What dmheap_ctx.h says of `ctx`, threads, failure and cost holds here, too; what differs is said
 * below. NULL for `ctx` stands for the heaps that serve by default, tried in their order.
 */
#ifndef DMHEAP_COMPAT_H
#define DMHEAP_COMPAT_H

#ifndef DMHEAP_COMPAT
#ifdef DMHEAP_H
#error "The nine functions of dmheap.h are here already: define DMHEAP_COMPAT before them."
#endif
#define DMHEAP_COMPAT
#endif

#include "dmod.h" /* clients expect it of dmheap.h */
#include "dmheap_ctx.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A heap. */
typedef struct dmheap_ctx dmheap_context_t;

/** How full a heap is. All sizes are bytes that clients may use: without the blocks' headers. */
typedef struct dmheap_stats_t {
    size_t heap_size;           /* of all blocks; the only one with their headers */
    size_t free_bytes;          /* of all free blocks */
    size_t used_bytes;          /* of all used blocks, the heap's own among them */
    size_t free_block_count;    /* the end of the heap that is untouched yet is one */
    size_t used_block_count;    /* the heap's own among them: modules' records */
    size_t largest_free_block;  /* 0: there is none */
    size_t smallest_free_block; /* 0: there is none */
} dmheap_stats_t;

/**
 * Called for each block, without the lock; it may call any function. `owner_name` is NULL for free
 * blocks and for those of nobody or of the heap itself, and valid during the call.
 */
typedef void (*dmheap_block_visitor_t)(void* address, size_t size, const char* owner_name,
                                       void* user_data);

/* ---- inside -------------------------------------------------------------------- */

/* For functions that need a heap: NULL is none here. Nor is this; to be refused, and reported. */
static inline struct dmheap_ctx* dmheap_compat_required(dmheap_context_t* ctx)
{
    return ctx != NULL ? ctx : (struct dmheap_ctx*)(uintptr_t)1;
}

/* The heaps that serve by default: how many there are. */
static inline unsigned dmheap_compat_list(struct dmheap_ctx* heaps[DMHEAP_DEFAULTS_MAX])
{
    unsigned count = 0;
    while (count < DMHEAP_DEFAULTS_MAX && (heaps[count] = dmheap_ctx_get_default(count)) != NULL) {
        count++;
    }
    return count;
}

static inline bool dmheap_compat_has(struct dmheap_ctx* const* heaps, unsigned count,
                                     const struct dmheap_ctx* ctx)
{
    while (count != 0 && heaps[count - 1] != ctx) {
        count--;
    }
    return count != 0;
}

/* The name of a heap, where a pointer to it stays right. */
struct dmheap_compat_name {
    struct dmheap_ctx* ctx;
    char text[DMHEAP_CTX_NAME_BYTES];
};

/* One for each heap that there may be, so one is free or of a heap that is gone. */
#define DMHEAP_COMPAT_NAMES (DMHEAP_CTX_MAX + 1)

/* The place of a heap's name, or one for it. */
static inline struct dmheap_compat_name* dmheap_compat_place(struct dmheap_compat_name* names,
                                                             const struct dmheap_ctx* heap)
{
    struct dmheap_compat_name* place = names;
    for (unsigned i = 0; i < DMHEAP_COMPAT_NAMES; i++) {
        if (names[i].ctx == heap) {
            return &names[i];
        }
        if (names[i].ctx == NULL || !dmheap_ctx_is_initialized(names[i].ctx)) {
            place = &names[i];
        }
    }
    return place;
}

/* What a walk is for: a visitor, and the kind of blocks it is called for. */
struct dmheap_compat_visit {
    dmheap_block_visitor_t visitor;
    void* user_data;
    bool is_for_free;
};

static inline bool dmheap_compat_show(const struct dmheap_block_info* block, void* context)
{
    const struct dmheap_compat_visit* visit = (const struct dmheap_compat_visit*)context;
    if ((block->kind == DMHEAP_BLOCK_FREE) == visit->is_for_free) {
        visit->visitor((void*)(uintptr_t)block->ptr, block->usable,
                       block->module_name[0] != '\0' ? block->module_name : NULL, visit->user_data);
    }
    return true;
}

static inline void dmheap_compat_walk(dmheap_context_t* ctx, dmheap_block_visitor_t visitor,
                                      void* user_data, bool is_for_free)
{
    struct dmheap_compat_visit visit = {visitor, user_data, is_for_free};
    if (visitor != NULL) {
        (void)dmheap_ctx_walk(ctx, dmheap_compat_show, &visit);
    }
}

static inline bool dmheap_compat_count(const struct dmheap_block_info* block, void* context)
{
    dmheap_stats_t* stats = (dmheap_stats_t*)context;
    stats->heap_size += block->size;
    if (block->kind != DMHEAP_BLOCK_FREE) {
        stats->used_bytes += block->usable;
        stats->used_block_count++;
        return true;
    }
    stats->free_bytes += block->usable;
    if (stats->free_block_count == 0 || block->usable < stats->smallest_free_block) {
        stats->smallest_free_block = block->usable;
    }
    if (block->usable > stats->largest_free_block) {
        stats->largest_free_block = block->usable;
    }
    stats->free_block_count++;
    return true;
}

/* ---- heaps --------------------------------------------------------------------- */

/**
 * @brief dmheap_ctx_init.
 *
 * The heap serves by default if no other one does, or if a heap with the same context did before;
 * its place is then behind the others. Any other heap serves by default only after
 * dmheap_add_default_context.
 *
 * @return The context, or NULL.
 */
static inline dmheap_context_t* dmheap_init(void* buffer, size_t size, size_t alignment)
{
    struct dmheap_ctx* served[DMHEAP_DEFAULTS_MAX];
    const unsigned count = dmheap_compat_list(served);
    struct dmheap_ctx* const ctx = dmheap_ctx_init(buffer, size, alignment);
    const bool is_first = !dmheap_ctx_is_initialized(NULL);
    if (ctx != NULL && (is_first || dmheap_compat_has(served, count, ctx))) {
        (void)dmheap_ctx_add_default(ctx);
    }
    return ctx;
}

/** @brief dmheap_ctx_is_initialized. */
static inline bool dmheap_is_initialized(dmheap_context_t* ctx)
{
    return dmheap_ctx_is_initialized(ctx);
}

/**
 * @brief dmheap_ctx_set_name: text of up to 15 characters that no other heap has; a longer one is
 *        refused, never cut. false also for NULL.
 */
static inline bool dmheap_set_context_name(dmheap_context_t* ctx, const char* name)
{
    return dmheap_ctx_set_name(dmheap_compat_required(ctx), name);
}

/**
 * @brief The name of a heap; NULL for `ctx`: of the first that serves by default.
 *
 * @return The name; the empty text if it has none, or if there is no such heap. It stays where it
 *         is as long as the heap lives, and is brought up to date by the next call for this heap in
 *         the same file. Each file that calls this has a table of some 350 bytes (32-bit targets)
 *         for it: two threads should not be the first ones there to ask for a name.
 */
static inline const char* dmheap_get_context_name(dmheap_context_t* ctx)
{
    static struct dmheap_compat_name names[DMHEAP_COMPAT_NAMES];
    struct dmheap_ctx* const heap = ctx != NULL ? ctx : dmheap_ctx_get_default(0);
    char text[DMHEAP_CTX_NAME_BYTES];
    if (heap == NULL || !dmheap_ctx_get_name(heap, text)) {
        return "";
    }
    struct dmheap_compat_name* const place = dmheap_compat_place(names, heap);
    place->ctx = heap;
    if (strcmp(place->text, text) != 0) {
        memcpy(place->text, text, sizeof(text));
    }
    return place->text;
}

/** @brief dmheap_ctx_find: any heap of that name, whether it serves by default or not. */
static inline dmheap_context_t* dmheap_get_context_by_name(const char* name)
{
    return dmheap_ctx_find(name);
}

/** @brief dmheap_ctx_add_default; false also for NULL. */
static inline bool dmheap_add_default_context(dmheap_context_t* ctx)
{
    return dmheap_ctx_add_default(dmheap_compat_required(ctx));
}

/**
 * @brief dmheap_ctx_remove_default.
 *
 * @return true if the heap served by default until now; else false, and nothing is logged.
 */
static inline bool dmheap_remove_default_context(dmheap_context_t* ctx)
{
    struct dmheap_ctx* heaps[DMHEAP_DEFAULTS_MAX];
    const unsigned count = dmheap_compat_list(heaps);
    return dmheap_compat_has(heaps, count, ctx) && dmheap_ctx_remove_default(ctx);
}

/**
 * @brief Let one heap serve by default, and no other one; NULL: none at all.
 *
 * It does so before the others cease to, unless there are DMHEAP_DEFAULTS_MAX of them. A context
 * that is none changes nothing, and logs one line of level ERROR.
 */
static inline void dmheap_set_default_context(dmheap_context_t* ctx)
{
    struct dmheap_ctx* heaps[DMHEAP_DEFAULTS_MAX];
    unsigned count = dmheap_compat_list(heaps);
    if (ctx != NULL && !dmheap_compat_has(heaps, count, ctx)) {
        if (count == DMHEAP_DEFAULTS_MAX && dmheap_ctx_is_initialized(ctx)) {
            (void)dmheap_ctx_remove_default(heaps[--count]);
        }
        if (!dmheap_ctx_add_default(ctx)) {
            return;
        }
    }
    while (count-- != 0) {
        if (heaps[count] != ctx) {
            (void)dmheap_ctx_remove_default(heaps[count]);
        }
    }
}

/** @brief The first heap that serves by default, or NULL. */
static inline dmheap_context_t* dmheap_get_default_context(void)
{
    return dmheap_ctx_get_default(0);
}

/** @brief How many heaps serve by default. */
static inline size_t dmheap_get_default_context_count(void)
{
    struct dmheap_ctx* heaps[DMHEAP_DEFAULTS_MAX];
    return dmheap_compat_list(heaps);
}

/** @brief dmheap_ctx_get_default. */
static inline dmheap_context_t* dmheap_get_default_context_at(size_t index)
{
    return index < DMHEAP_DEFAULTS_MAX ? dmheap_ctx_get_default((unsigned)index) : NULL;
}

/* ---- modules and memory --------------------------------------------------------- */

/** @brief dmheap_ctx_register_module. */
static inline bool dmheap_register_module(dmheap_context_t* ctx, const char* module_name)
{
    return dmheap_ctx_register_module(ctx, module_name);
}

/** @brief dmheap_ctx_unregister_module. */
static inline void dmheap_unregister_module(dmheap_context_t* ctx, const char* module_name)
{
    dmheap_ctx_unregister_module(ctx, module_name);
}

/** @brief dmheap_ctx_malloc. */
static inline void* dmheap_malloc(dmheap_context_t* ctx, size_t size, const char* module_name)
{
    return dmheap_ctx_malloc(ctx, size, module_name);
}

/** @brief dmheap_ctx_aligned_alloc. */
static inline void* dmheap_aligned_alloc(dmheap_context_t* ctx, size_t alignment, size_t size,
                                         const char* module_name)
{
    return dmheap_ctx_aligned_alloc(ctx, alignment, size, module_name);
}

/** @brief dmheap_ctx_realloc. */
static inline void* dmheap_realloc(dmheap_context_t* ctx, void* ptr, size_t size,
                                   const char* module_name)
{
    return dmheap_ctx_realloc(ctx, ptr, size, module_name);
}

/** @brief dmheap_ctx_free. */
static inline void dmheap_free(dmheap_context_t* ctx, void* ptr, bool concatenate)
{
    dmheap_ctx_free(ctx, ptr, concatenate);
}

/** @brief dmheap_ctx_concatenate_free_blocks. */
static inline void dmheap_concatenate_free_blocks(dmheap_context_t* ctx)
{
    dmheap_ctx_concatenate_free_blocks(ctx);
}

/** @brief dmheap_ctx_retag. */
static inline bool dmheap_retag(dmheap_context_t* ctx, void* ptr, const char* new_module_name)
{
    return dmheap_ctx_retag(ctx, ptr, new_module_name);
}

/* ---- insight -------------------------------------------------------------------- */

/**
 * @brief Measure a heap; NULL: all that serve by default, together.
 *
 * @param out_stats Gets the figures; all zero on failure.
 * @return As dmheap_ctx_walk; false also if `out_stats` is NULL. Cost: as that.
 */
static inline bool dmheap_get_stats(dmheap_context_t* ctx, dmheap_stats_t* out_stats)
{
    if (out_stats == NULL) {
        return false;
    }
    memset(out_stats, 0, sizeof(*out_stats));
    const bool is_whole = dmheap_ctx_walk(ctx, dmheap_compat_count, out_stats);
    if (!is_whole) {
        memset(out_stats, 0, sizeof(*out_stats));
    }
    return is_whole;
}

/**
 * @brief Visit all free blocks, by dmheap_ctx_walk, in the order of their addresses.
 *
 * @param visitor   Gets the address that malloc would give about there, and bytes that a client
 *                  could use. NULL: nothing.
 * @param user_data Handed to it.
 */
static inline void dmheap_for_each_free_block(dmheap_context_t* ctx, dmheap_block_visitor_t visitor,
                                              void* user_data)
{
    dmheap_compat_walk(ctx, visitor, user_data, true);
}

/**
 * @brief Visit all used blocks, by dmheap_ctx_walk, in the order of their addresses; the heap's own
 *        among them, whose owner is NULL.
 *
 * @param visitor   Gets the address that malloc gave, and bytes that the client may use. NULL:
 *                  nothing.
 * @param user_data Handed to it.
 */
static inline void dmheap_for_each_used_block(dmheap_context_t* ctx, dmheap_block_visitor_t visitor,
                                              void* user_data)
{
    dmheap_compat_walk(ctx, visitor, user_data, false);
}

#ifdef __cplusplus
}
#endif

#endif
