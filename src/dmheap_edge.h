/* SPDX-License-Identifier: MIT */
/*
 * The edge: what the public functions share. Each checks its arguments, takes the lock, calls one
 * verb of the module layer, releases the lock and reports.
 *
 * Knows: the lock and the log. Does not know: what a block looks like.
 * Always holds: the lock is taken once at a time, nothing is logged or copied under it.
 */
#ifndef DMHEAP_EDGE_H
#define DMHEAP_EDGE_H

#include "dmheap_registry.h"

#include <limits.h>

/* ---- reports ------------------------------------------------------------------ */

static const char* reason_text(enum dmheap_verdict verdict)
{
    static const char* const text[] = {
        [VERDICT_NO_HEAP] = DMHEAP_GUARD ? "there is no heap, or its own data was written over"
                                         : "there is no heap",
        [VERDICT_NO_MEMORY] = "out of memory",
        [VERDICT_BAD_BUFFER] = "that is no buffer",
        [VERDICT_TOO_SMALL] = "the buffer is too small for one block",
        [VERDICT_TOO_LARGE] = DMHEAP_HEADER_BYTES == 4
                                  ? "the buffer is too large, build with DMHEAP_HEADER_BYTES=8"
                                  : "the buffer is too large",
        [VERDICT_BUSY] = "another initialization is under way",
        [VERDICT_BAD_ALIGNMENT] = "the alignment is not a power of two",
        [VERDICT_BAD_NAME] = "the name is empty or too long",
        [VERDICT_NAME_TAKEN] = "the new name is taken",
        [VERDICT_NO_MODULE] = "no module has that name",
        [VERDICT_TOO_MANY] = "there are too many",
        [VERDICT_BAD_POINTER] = "no live block starts there",
        [VERDICT_DAMAGED] = "tags or links beside it were written over",
        [VERDICT_GONE] = "its module or its heap is gone by now",
    };
    static const char* const text_of_accounting[] = {
        "out of memory in one piece",
        "its limit is reached",
        "what is free is reserved for others",
    };
    return DMHEAP_ACCOUNTING && verdict >= VERDICT_FRAGMENTED
               ? text_of_accounting[verdict - VERDICT_FRAGMENTED]
               : text[verdict];
}

static const char* name_text(const char* module_name, enum dmheap_verdict verdict)
{
    if (verdict == VERDICT_BAD_NAME) {
        return "?";
    }
    return record_is_nobody(module_name) ? "(none)" : module_name;
}

/* DMOD's printf knows no size_t. */
static unsigned size_number(size_t size)
{
    return size < UINT_MAX ? (unsigned)size : UINT_MAX;
}

static DMHEAP_COLD void report_request(enum dmheap_verdict verdict, size_t size,
                                       const char* module_name)
{
    DMHEAP_PORT_LOG_ERROR("dmheap: %u bytes for module %s: %s.\n", size_number(size),
                          name_text(module_name, verdict), reason_text(verdict));
}

static DMHEAP_COLD void report_pointer(enum dmheap_verdict verdict, const char* request,
                                       const void* ptr)
{
    DMHEAP_PORT_LOG_ERROR("dmheap: %s of %p: %s.\n", request, ptr, reason_text(verdict));
}

static DMHEAP_COLD void report_module(enum dmheap_verdict verdict, const char* request,
                                      const char* module_name)
{
    DMHEAP_PORT_LOG_ERROR("dmheap: %s of module %s: %s.\n", request,
                          name_text(module_name, verdict), reason_text(verdict));
}

/* Report a registration; is the module known now? */
static DMHEAP_INLINE bool report_registration(enum dmheap_verdict verdict, bool is_known,
                                              bool is_new, const char* module_name)
{
    if (verdict != VERDICT_OK) {
        report_module(verdict, "registration", module_name);
    }
    if (is_known) {
        DMHEAP_PORT_LOG_WARN("dmheap: Module %s is already registered.\n", module_name);
    }
    if (is_new) {
        DMHEAP_PORT_LOG_INFO("dmheap: Module %s registered successfully.\n", module_name);
    }
    return is_known || is_new;
}

static DMHEAP_COLD void report_unregistration(const char* module_name, bool is_sound)
{
    if (!is_sound) {
        report_module(VERDICT_DAMAGED, "unregistration", module_name);
    }
    DMHEAP_PORT_LOG_INFO("dmheap: Module %s unregistered successfully.\n", module_name);
}

/* Report an initialization; was it one? */
static DMHEAP_COLD bool report_init(enum dmheap_verdict verdict, const void* buffer, size_t size,
                                    size_t alignment)
{
    if (verdict == VERDICT_OK) {
        DMHEAP_PORT_LOG_INFO("dmheap: Initialized with buffer %p of size %u.\n", buffer,
                             size_number(size));
        return true;
    }
    DMHEAP_PORT_LOG_ERROR(
        "dmheap: Cannot initialize with buffer %p of size %u, alignment %u: %s.\n", buffer,
        size_number(size), size_number(alignment), reason_text(verdict));
    return false;
}

/*
 * What to report of a request, under the lock. A free list given up on its way comes first, and is
 * reported even if the request was served; a request that failed without a heap failed for that.
 */
static enum dmheap_verdict settle(struct dmheap_ctx* ctx, enum dmheap_verdict verdict)
{
    if (ctx->damage != 0) {
        ctx->damage = 0;
        return VERDICT_DAMAGED;
    }
    return verdict != VERDICT_OK && ctx == &no_heap ? VERDICT_NO_HEAP : verdict;
}

/*
 * The same where memory was given back: only with DMHEAP_GUARD may that have found a free list to give
 * up. What is to be reported anyway comes first.
 */
static DMHEAP_INLINE enum dmheap_verdict settle_given(struct dmheap_ctx* ctx,
                                                      enum dmheap_verdict verdict)
{
    const enum dmheap_verdict found = DMHEAP_GUARD ? settle(ctx, VERDICT_OK) : VERDICT_OK;
    return verdict != VERDICT_OK ? verdict : found;
}

/* What a short path has allocated: release the lock, and report. */
static DMHEAP_INLINE void* unlock_and_give(struct dmheap_ctx* heap,
                                           const struct dmheap_block* block, size_t size,
                                           const char* module_name)
{
    const enum dmheap_verdict verdict = settle_given(heap, VERDICT_OK);
    dmheap_port_unlock();
    if (DMHEAP_UNLIKELY(verdict != VERDICT_OK)) {
        report_request(verdict, size, module_name);
    }
    return block_payload(block);
}

/* What it has done with a block: the same. */
static DMHEAP_INLINE void unlock_and_tell(struct dmheap_ctx* heap, const char* request,
                                          const void* ptr)
{
    const enum dmheap_verdict verdict = settle_given(heap, VERDICT_OK);
    dmheap_port_unlock();
    if (DMHEAP_UNLIKELY(verdict != VERDICT_OK)) {
        report_pointer(verdict, request, ptr);
    }
}

/* ---- heaps -------------------------------------------------------------------- */

/* VERDICT_OK: the heap is laid out, no other one can begin, and the lock is held. */
static DMHEAP_INLINE enum dmheap_verdict
edge_begin_heap(struct dmheap_ctx* plan, const void* buffer, size_t size, size_t alignment)
{
    const enum dmheap_verdict verdict = heap_lay_out(plan, buffer, size, alignment);
    if (verdict != VERDICT_OK) {
        return verdict;
    }
    const uint32_t key = DMHEAP_KEY();
    dmheap_port_lock();
    if (root.is_starting) {
        dmheap_port_unlock();
        return VERDICT_BUSY;
    }
    root.is_starting = true;
    ctx_begin_serials(key);
    plan->serial = ctx_new_serial();
    return VERDICT_OK;
}

/* Make it, for which the lock is released for a while; it is held before and after. */
static DMHEAP_INLINE struct dmheap_ctx* edge_make_heap(const struct dmheap_ctx* plan, void* buffer)
{
    dmheap_port_unlock();
    struct dmheap_ctx* created = heap_create(plan, buffer);
    dmheap_port_lock();
    root.is_starting = false;
    return created;
}

/* ---- work that is done without the lock ----------------------------------------- */

/* Fill what a block has for its client, before it is freed. */
static void edge_fill(const struct module_move* move)
{
    memset(block_payload(move->from), MODULE_POISON, (size_t)move->bytes);
}

/* Free a block that is filled first, and release the lock, which is held. */
static DMHEAP_NOINLINE enum dmheap_verdict edge_fill_and_free(const struct dmheap_ctx* heap,
                                                              const void* ptr)
{
    struct module_move move = {NULL, NULL, OWNER_NOBODY, 0};
    const dmheap_word serial = heap->serial;
    enum dmheap_verdict verdict = module_begin_fill(heap, ptr, &move);
    dmheap_port_unlock();
    if (verdict == VERDICT_OK) {
        edge_fill(&move);
        dmheap_port_lock();
        struct dmheap_ctx* ctx = registry_of_serial(serial);
        verdict = ctx != NULL ? settle_given(ctx, module_finish_fill(ctx, &move)) : VERDICT_GONE;
        dmheap_port_unlock();
    }
    return verdict;
}

/* Free, and release the lock, which is held. */
static DMHEAP_INLINE enum dmheap_verdict edge_free_and_unlock(struct dmheap_ctx* ctx,
                                                              const void* ptr)
{
    if (DMHEAP_POISON) {
        return edge_fill_and_free(ctx, ptr);
    }
    const enum dmheap_verdict verdict = settle_given(ctx, module_free(ctx, ptr));
    dmheap_port_unlock();
    return verdict;
}

/* Fill what a closed module has, a block at a time. */
static void edge_fill_all(dmheap_word serial, dmheap_word id)
{
    struct heap_sweep sweep = {0, 0, false, false};
    struct module_move move = {NULL, NULL, OWNER_NOBODY, 0};
    bool more = true;
    while (more) {
        dmheap_port_lock();
        const struct dmheap_ctx* ctx = registry_of_serial(serial);
        if (ctx != NULL && sweep.index == 0) {
            sweep.left = module_count(ctx, id);
        }
        more = ctx != NULL && module_fill_next(ctx, id, &sweep, &move);
        dmheap_port_unlock();
        if (more && move.from != NULL) {
            edge_fill(&move);
        }
    }
}

/* Free what a closed module has, in slices. False: a part of it, or of free memory, is damaged. */
static DMHEAP_INLINE bool edge_sweep(dmheap_word serial, dmheap_word id)
{
    struct heap_sweep sweep = {0, 0, false, false};
    bool more = true;
    bool is_sound = true;
    if (DMHEAP_POISON) {
        edge_fill_all(serial, id);
    }
    while (more) {
        dmheap_port_lock();
        struct dmheap_ctx* ctx = registry_of_serial(serial);
        more = ctx != NULL && module_sweep(ctx, id, &sweep);
        if (ctx != NULL && settle_given(ctx, VERDICT_OK) != VERDICT_OK) {
            is_sound = false;
        }
        dmheap_port_unlock();
    }
    return is_sound && !sweep.damaged;
}

/* Free the new place of a block whose module went meanwhile; what was copied there is filled first. */
static void edge_abandon(dmheap_word serial, const struct module_move* move, size_t copied)
{
    memset(block_payload(move->to), MODULE_POISON, copied);
    dmheap_port_lock();
    struct dmheap_ctx* ctx = registry_of_serial(serial);
    struct record* record = ctx != NULL ? module_of(ctx, move->owner) : NULL;
    if (record != NULL) { /* else it was written over meanwhile */
        module_abandon(ctx, record, move->to);
        (void)settle_given(ctx, VERDICT_GONE); /* which the caller reports */
    }
    dmheap_port_unlock();
}

/*
 * Copy a block to its new place, `size` bytes of it at most, and let the old one go; report `verdict`,
 * if not worse.
 */
static DMHEAP_INLINE void* edge_copy(dmheap_word serial, const void* ptr,
                                     const struct module_move* move, size_t size,
                                     enum dmheap_verdict verdict)
{
    void* moved = block_payload(move->to);
    const size_t copied = size < (size_t)move->bytes ? size : (size_t)move->bytes;
    memcpy(moved, ptr, copied);
    if (DMHEAP_POISON) {
        edge_fill(move);
    }
    dmheap_port_lock();
    struct dmheap_ctx* ctx = registry_of_serial(serial);
    const enum dmheap_verdict end = ctx != NULL ? module_finish_move(ctx, move) : VERDICT_GONE;
    if (ctx != NULL) {
        verdict = settle_given(ctx, verdict);
    }
    dmheap_port_unlock();
    if (DMHEAP_POISON && ctx != NULL && end == VERDICT_GONE) {
        edge_abandon(serial, move, copied);
    }
    verdict = end != VERDICT_OK ? end : verdict;
    if (DMHEAP_UNLIKELY(verdict != VERDICT_OK)) {
        report_pointer(verdict, "realloc", ptr);
    }
    return end != VERDICT_GONE ? moved : NULL;
}

#endif
