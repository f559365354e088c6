/* SPDX-License-Identifier: MIT */
/*
 * Insight: the functions of dmheap_ctx.h that show what there is - walks, figures, marks.
 *
 * Knows: which heaps a call is about, and what a visitor is told. Does not know: how a walk finds its
 * blocks. Always holds: as in dmheap_several.h, which includes this. A visitor is called without the
 * lock, so between two steps a heap is found again by its serial, or has gone.
 */
#ifndef DMHEAP_INSIGHT_H
#define DMHEAP_INSIGHT_H

/* ---- walks ------------------------------------------------------------------------ */

/* A block to be shown, with the room for its owner's name. */
struct sight {
    struct dmheap_block_info info;
    char name[DMHEAP_NAME_BYTES];
};

/* What a visitor is told of a block, under the lock. */
static void look_at(const struct dmheap_ctx* heap, const struct walk_block* found,
                    struct sight* sight)
{
    const dmheap_word owner = block_owner(found->block);
    const bool is_aligned = found->is_live && (found->block->header & BLOCK_ALIGNED) != 0;
    const uintptr_t lost = BLOCK_OVERHEAD_BYTES + is_aligned;
    const uintptr_t least = found->is_live ? lost : BLOCK_MIN_BYTES; /* less serves nobody */
    const struct dmheap_module no_module = {0, 0};
    const struct record* record =
        found->is_live && owner >= OWNER_MODULES ? record_of(heap, owner) : NULL;
    record_show_name(heap, record, sight->name);
    sight->info.ctx = (struct dmheap_ctx*)heap;
    sight->info.module_name = sight->name;
    sight->info.module = sight->name[0] != '\0' ? handle_of(record) : no_module;
    sight->info.ptr = block_payload(found->block);
    sight->info.size = (size_t)found->size;
    sight->info.usable = found->size >= least ? (size_t)(found->size - lost) : 0;
    sight->info.sequence = found->is_live ? heap_number(heap, found->block) : 0;
    sight->info.kind = !found->is_live       ? DMHEAP_BLOCK_FREE
                       : owner == OWNER_HEAP ? DMHEAP_BLOCK_OWN
                                             : DMHEAP_BLOCK_LIVE;
}

/* Walk through the heap of that serial. False: the visitor ended it, or it went. */
static bool walk_heap(dmheap_word serial, dmheap_visitor visitor, void* context)
{
    struct walk walk = {0, 0, false};
    while (!walk.is_over) {
        struct walk_block found[WALK_FOUND];
        struct sight sight[WALK_FOUND];
        unsigned count = 0;
        dmheap_port_lock();
        const struct dmheap_ctx* heap = registry_of_serial(serial);
        if (heap != NULL) {
            count = walk_step(heap, &walk, found);
            for (unsigned i = 0; i < count; i++) {
                look_at(heap, &found[i], &sight[i]);
            }
        }
        dmheap_port_unlock();
        if (heap == NULL) {
            return false;
        }
        for (unsigned i = 0; i < count; i++) {
            if (!visitor(&sight[i].info, context)) {
                return false;
            }
        }
    }
    return true;
}

/* The serials of the heaps that a call is about: how many there are. */
static unsigned list_serials(struct dmheap_ctx* asked, dmheap_word serials[DMHEAP_DEFAULTS_MAX])
{
    unsigned count = 0;
    dmheap_port_lock();
    struct dmheap_ctx* heap = find_heap(asked);
    while (heap != NULL && heap != &no_heap) {
        serials[count++] = heap->serial;
        heap = registry_next(asked, heap);
    }
    dmheap_port_unlock();
    return count;
}

bool dmheap_ctx_walk(struct dmheap_ctx* ctx, dmheap_visitor visitor, void* context)
{
    dmheap_word serials[DMHEAP_DEFAULTS_MAX];
    const unsigned count = list_serials(ctx, serials);
    if (count == 0) {
        report_pointer(VERDICT_NO_HEAP, "walk", ctx);
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!walk_heap(serials[i], visitor, context)) {
            return false;
        }
    }
    return true;
}

/* A step of a walk over modules looks at so many ids, and finds one module at most. */
#define MODULES_BUDGET 32

/* Walk through the modules of the heap of that serial. False: the visitor ended it, or it went. */
static bool walk_modules_of(dmheap_word serial, dmheap_module_visitor visitor, void* context)
{
    dmheap_word id = OWNER_MODULES;
    while (id < RECORD_ID_END) {
        char name[DMHEAP_NAME_BYTES];
        struct dmheap_module_info info = {NULL, name, {0, 0}, 0};
        dmheap_port_lock();
        info.ctx = registry_of_serial(serial);
        const struct record* record =
            info.ctx != NULL ? record_next(info.ctx, &id, MODULES_BUDGET) : NULL;
        if (record != NULL) {
            info.module = handle_of(record);
            info.blocks = module_blocks(record);
            record_show_name(info.ctx, record, name);
        }
        dmheap_port_unlock();
        if (info.ctx == NULL || (record != NULL && !visitor(&info, context))) {
            return false;
        }
    }
    return true;
}

bool dmheap_ctx_walk_modules(struct dmheap_ctx* ctx, dmheap_module_visitor visitor, void* context)
{
    dmheap_word serials[DMHEAP_DEFAULTS_MAX];
    const unsigned count = list_serials(ctx, serials);
    if (count == 0) {
        report_pointer(VERDICT_NO_HEAP, "walk", ctx);
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!walk_modules_of(serials[i], visitor, context)) {
            return false;
        }
    }
    return true;
}

/* ---- figures ---------------------------------------------------------------------- */

/* What is counted on a walk, and what is still needed of the block before. */
struct measure {
    struct dmheap_stats* stats;
    size_t front;      /* free memory right in front, 0: none */
    struct sight last; /* the client's block right in front; its ptr is NULL: none ... */
    size_t before;     /* ... and the free memory in front of that */
};

/* The hole that the block right in front would leave, with so much free memory behind it. */
static void measure_hole(struct measure* measure, size_t behind)
{
    struct dmheap_stats* stats = measure->stats;
    struct dmheap_block_info* block = &measure->last.info;
    const size_t hole = block->ptr != NULL ? measure->before + block->size + behind : 0;
    if (hole > stats->largest_hole && hole <= stats->size) {
        stats->largest_hole = hole;
        stats->splitter = block->ptr;
        memcpy(stats->splitter_owner, measure->last.name, sizeof(stats->splitter_owner));
    }
    block->ptr = NULL;
}

static bool measure_block(const struct dmheap_block_info* block, void* context)
{
    struct measure* measure = context;
    struct dmheap_stats* stats = measure->stats;
    const bool is_free = block->kind == DMHEAP_BLOCK_FREE;
    measure_hole(measure, is_free ? block->size : 0);
    stats->live_blocks += block->kind == DMHEAP_BLOCK_LIVE;
    stats->own += block->kind == DMHEAP_BLOCK_OWN ? block->size : 0;
    if (is_free) {
        stats->free_blocks++;
        stats->largest_free = block->size > stats->largest_free ? block->size : stats->largest_free;
    } else {
        stats->used += block->size;
    }
    if (block->kind == DMHEAP_BLOCK_LIVE) {
        measure->last.info = *block;
        memcpy(measure->last.name, block->module_name, strlen(block->module_name) + 1);
        measure->before = measure->front;
    }
    measure->front = is_free ? block->size : 0;
    return true;
}

/* What follows from all that was measured. */
static void measure_finish(struct measure* measure)
{
    struct dmheap_stats* stats = measure->stats;
    measure_hole(measure, 0);
    stats->free = stats->used < stats->size ? stats->size - stats->used : 0;
    stats->overhead += stats->own + stats->live_blocks * BLOCK_OVERHEAD_BYTES;
    stats->fragmentation = stats->free > stats->largest_free
                               ? bits_share((uintptr_t)(stats->free - stats->largest_free),
                                            (uintptr_t)stats->size, 100)
                               : 0;
    if (stats->largest_hole <= stats->largest_free) {
        stats->largest_hole = stats->largest_free;
        stats->splitter = NULL;
        stats->splitter_owner[0] = '\0';
    }
}

/* Before the lock is taken: nothing is known. */
static void measure_clear(struct measure* measure, struct dmheap_stats* stats)
{
    memset(measure, 0, sizeof(*measure));
    memset(stats, 0, sizeof(*stats));
    measure->stats = stats;
}

/* What is known of a heap without a walk, under the lock. */
static void measure_begin(const struct measure* measure, struct dmheap_ctx* heap)
{
    struct dmheap_stats* stats = measure->stats;
    stats->size = (size_t)(heap->end - heap->first);
    stats->overhead = (size_t)(heap->first + DMHEAP_WORD_BYTES);
    stats->largest_alloc = (size_t)heap_largest(heap);
    if (DMHEAP_ACCOUNTING) {
        stats->largest_alloc = (size_t)account_bound(heap, (uintptr_t)stats->largest_alloc);
    }
}

/* The rest. False: the heap of that serial is gone, and nothing was measured. */
static bool measure_blocks(struct measure* measure, dmheap_word serial)
{
    if (!walk_heap(serial, measure_block, measure)) {
        memset(measure->stats, 0, sizeof(*measure->stats));
        return false;
    }
    measure_finish(measure);
    return true;
}

bool dmheap_ctx_get_stats(struct dmheap_ctx* ctx, struct dmheap_stats* stats)
{
    struct measure measure;
    measure_clear(&measure, stats);
    dmheap_port_lock();
    struct dmheap_ctx* heap = find_heap(ctx);
    const dmheap_word serial = heap->serial;
    if (heap == &no_heap) {
        return unlock_and_report(VERDICT_NO_HEAP, "measurement", ctx);
    }
    measure_begin(&measure, heap);
    dmheap_port_unlock();
    return measure_blocks(&measure, serial);
}

/* Whose blocks are counted, and how many so far. */
struct tally {
    const char* module_name;
    struct dmheap_module_stats* stats;
};

static bool tally_block(const struct dmheap_block_info* block, void* context)
{
    const struct tally* tally = context;
    if (block->kind == DMHEAP_BLOCK_LIVE && strcmp(block->module_name, tally->module_name) == 0) {
        tally->stats->bytes += block->size;
        tally->stats->blocks++;
    }
    return true;
}

bool dmheap_ctx_get_module_stats(struct dmheap_ctx* ctx, const char* module_name,
                                 struct dmheap_module_stats* stats)
{
    struct tally tally = {module_name != NULL ? module_name : "", stats};
    memset(stats, 0, sizeof(*stats));
    const bool is_whole = dmheap_ctx_walk(ctx, tally_block, &tally);
    if (!is_whole) {
        memset(stats, 0, sizeof(*stats));
    }
    return is_whole;
}

/* ---- marks ------------------------------------------------------------------------ */

#if DMHEAP_SEQUENCE

uint32_t dmheap_ctx_mark(void)
{
    dmheap_port_lock();
    const uint32_t mark = trailer_last_number;
    dmheap_port_unlock();
    return mark;
}

/* Between which two marks a block is visited, and who asked for it. */
struct since {
    uint32_t mark;
    uint32_t now;
    dmheap_visitor visitor;
    void* context;
};

static bool visit_since(const struct dmheap_block_info* block, void* context)
{
    const struct since* since = context;
    const bool is_asked_for = block->kind == DMHEAP_BLOCK_LIVE &&
                              trailer_is_since(block->sequence, since->mark, since->now);
    return !is_asked_for || since->visitor(block, since->context);
}

bool dmheap_ctx_walk_since(struct dmheap_ctx* ctx, uint32_t mark, dmheap_visitor visitor,
                           void* context)
{
    struct since since = {mark, dmheap_ctx_mark(), visitor, context};
    return dmheap_ctx_walk(ctx, visit_since, &since);
}

bool dmheap_ctx_get_module_stats_since(struct dmheap_ctx* ctx, uint32_t mark,
                                       const char* module_name, struct dmheap_module_stats* stats)
{
    struct tally tally = {module_name != NULL ? module_name : "", stats};
    memset(stats, 0, sizeof(*stats));
    const bool is_whole = dmheap_ctx_walk_since(ctx, mark, tally_block, &tally);
    if (!is_whole) {
        memset(stats, 0, sizeof(*stats));
    }
    return is_whole;
}

#endif

#endif
