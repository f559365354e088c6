/* SPDX-License-Identifier: MIT */
/*
 * The check: one function that proves a whole heap. Compiled into tests only.
 *
 * Knows: every invariant of the layers below. Does not know: what clients wrote.
 * What it cannot prove: that a block's owner is the one who asked for it, and that payloads
 * hold what was written; the model test compares those with a shadow.
 * Cost: proportional to the heap's size; it reads only inside the heap, whatever stands there.
 */
#ifndef DMHEAP_CHECK_H
#define DMHEAP_CHECK_H

#include "dmheap_module.h"

/* Counted on the way; compared where two layers must agree. */
struct heap_census {
    size_t live_blocks;
    size_t live_bytes;    /* headers included */
    size_t own_blocks;    /* of those: the heap's own records */
    size_t module_blocks; /* of those: modules' */
    size_t free_blocks;
    size_t free_bytes;   /* the untouched end not included */
    size_t largest_free; /* the larger of the largest free block and the untouched end */
};

#define CHECK(condition)                         \
    do {                                         \
        if (!(condition)) {                      \
            return __FILE__ ": not " #condition; \
        }                                        \
    } while (0)

/* Every block in address order, against its neighbours and the live map. */
static inline const char* check_blocks(const struct dmheap_ctx* ctx, struct heap_census* census)
{
    bool prev_free = false;
    uintptr_t index = 0;
    dmheap_word offset = ctx->first;
    while (offset < ctx->top) {
        const struct dmheap_block* block = ctx_block(ctx, (uintptr_t)offset);
        const dmheap_word size = (dmheap_word)block_size(block);
        CHECK(size >= BLOCK_MIN_BYTES && size % ctx_granule(ctx) == 0 && size <= ctx->top - offset);
        CHECK(((block->header & BLOCK_PREV_FREE) != 0) == prev_free);
        const uintptr_t start = live_index(ctx, block_payload(block));
        for (; index < start; index++) {
            CHECK(!live_test(ctx, index));
        }
        CHECK(live_test(ctx, start) == !block_is_free(block));
        index = start + 1;
        prev_free = block_is_free(block);
        if (prev_free) {
            CHECK(block->header == size);
            CHECK(heap_is_free(block, ctx->top - offset));
            CHECK(offset + size < ctx->top);
            census->free_blocks++;
            census->free_bytes += (size_t)size;
            if (size > census->largest_free) {
                census->largest_free = (size_t)size;
            }
        } else {
            CHECK(heap_alignment(ctx, block) != 0);
            CHECK(heap_is_whole(ctx, block));
            census->live_blocks++;
            census->live_bytes += (size_t)size;
            census->own_blocks += block_owner(block) == OWNER_HEAP;
            census->module_blocks += block_owner(block) >= OWNER_MODULES;
        }
        offset += size;
    }
    CHECK(offset == ctx->top && !prev_free);
    for (; index < ctx->granules; index++) {
        CHECK(!live_test(ctx, index));
    }
    return NULL;
}

/* Every class: its list, its bits, and no free block missing. */
static inline const char* check_index(const struct dmheap_ctx* ctx,
                                      const struct heap_census* census)
{
    const dmheap_word classes =
        (ctx->live - (dmheap_word)offsetof(struct dmheap_ctx, bin)) / DMHEAP_WORD_BYTES;
    size_t listed = 0;
    CHECK(ctx->suspect == 0);
    CHECK((ctx->rows & 1) == 0);
    for (unsigned row = 1; row < DMHEAP_INDEX_ROWS; row++) {
        CHECK((ctx->rows >> row & 1) == (ctx->row[row] != 0));
    }
    for (uintptr_t size_class = 0; size_class < DMHEAP_INDEX_ROWS * 32; size_class++) {
        const bool marked = (ctx->row[size_class / 32] >> (size_class % 32) & 1) != 0;
        CHECK(marked == (size_class < classes && ctx->bin[size_class] != 0));
        dmheap_word prev = (dmheap_word)index_bin_as_block(size_class);
        dmheap_word offset = size_class < classes ? ctx->bin[size_class] : 0;
        while (offset != 0) {
            CHECK(offset >= ctx->first && offset < ctx->top);
            CHECK((offset + DMHEAP_WORD_BYTES) % ctx_granule(ctx) == 0);
            const struct dmheap_block* block = ctx_block(ctx, (uintptr_t)offset);
            CHECK(block_is_free(block) && block_size(block) >= BLOCK_MIN_BYTES);
            CHECK(index_class(ctx, block_size(block)) == size_class);
            CHECK(block->prev == prev);
            CHECK(++listed <= census->free_blocks);
            prev = offset;
            offset = block->next;
        }
    }
    CHECK(listed == census->free_blocks);
    return NULL;
}

/* Is there a block of the heap's own with room for `bytes` at the payload `offset`? */
static inline bool check_is_own(const struct dmheap_ctx* ctx, dmheap_word offset, size_t bytes)
{
    const void* payload = ctx_at(ctx, offset);
    return live_is(ctx, payload) && block_owner(block_of(payload)) == OWNER_HEAP &&
           block_capacity(block_of(payload)) >= bytes;
}

static inline size_t check_count_blocks(const struct dmheap_ctx* ctx, dmheap_word owner)
{
    size_t blocks = 0;
    for (dmheap_word at = ctx->first; at < ctx->top;) {
        const struct dmheap_block* block = ctx_block(ctx, (uintptr_t)at);
        blocks += block_owner(block) == owner;
        at += (dmheap_word)block_size(block);
    }
    return blocks;
}

/* One record: whole, with its id, found by its name, with a reference for all that it has. */
static inline const char* check_record(const struct dmheap_ctx* ctx, dmheap_word id,
                                       const struct record* record, size_t* named,
                                       size_t* module_blocks)
{
    const dmheap_word offset = (dmheap_word)ctx_offset(ctx, record);
    CHECK(check_is_own(ctx, offset, offsetof(struct record, name) + 1));
    CHECK(record->id == id);
    const bool has_name = record->name[0] != '\0';
    if (has_name) {
        const size_t room =
            (size_t)block_capacity(block_of(record)) - offsetof(struct record, name);
        CHECK(memchr(record->name, '\0', room) != NULL);
        const struct record_name name = record_measure(record->name);
        record_id* link;
        CHECK(record_find_measured(ctx, &name, &link) == record && *link == id);
        *named += 1;
    }
    const size_t blocks = check_count_blocks(ctx, id);
    CHECK(record->references == has_name + blocks);
    *module_blocks += blocks;
    return NULL;
}

/* One group: its memory, its free slots, and each record in it; *modules are counted on. */
static inline const char* check_group(const struct dmheap_ctx* ctx, unsigned number,
                                      size_t* modules, size_t* named, size_t* module_blocks)
{
    const dmheap_word size = record_group_size(number);
    CHECK(check_is_own(ctx, ctx->group[number], record_group_bytes(number)));
    const struct record_group* group = record_group(ctx, number);
    CHECK(group->given <= size);
    size_t free_slots = 0;
    for (dmheap_word i = 0; i < group->given; i++) {
        const dmheap_word id = record_group_first(number) + i;
        const struct record* record = record_of(ctx, id);
        CHECK((record == NULL) == record_slot_is_free(group->slot[i]));
        if (record != NULL) {
            const char* fault = check_record(ctx, id, record, named, module_blocks);
            if (fault != NULL) {
                return fault;
            }
        }
        free_slots += record == NULL;
    }
    const size_t used = (size_t)group->given - free_slots;
    CHECK(group->used == used && used != 0);
    *modules += used;
    dmheap_word spare = group->spare;
    for (; spare < group->given; free_slots--) {
        CHECK(free_slots != 0 && record_slot_is_free(group->slot[spare]));
        spare = record_next_of_slot(group->slot[spare]);
    }
    CHECK(spare == group->given && free_slots == 0);
    return NULL;
}

/* Each record with a name in one bucket's chain, which *named counts down. */
static inline const char* check_buckets(const struct dmheap_ctx* ctx, unsigned number,
                                        size_t* named)
{
    const struct record_group* group = record_group(ctx, number);
    const record_id* buckets = (const record_id*)&group->slot[record_group_size(number)];
    for (unsigned i = 0; i < record_group_buckets(number); i++) {
        for (record_id id = buckets[i]; id != 0; id = record_of(ctx, id)->next) {
            CHECK(record_of(ctx, id) != NULL && record_group_of(id) == number && *named != 0);
            *named -= 1;
        }
    }
    return NULL;
}

/* What one owner holds is what its blocks are, and what it may; *unmet is counted on. */
static inline const char* check_holding(const struct dmheap_ctx* ctx,
                                        const struct dmheap_holding* holding, dmheap_word owner,
                                        dmheap_word* unmet)
{
    dmheap_word bytes = 0;
    dmheap_word blocks = 0;
    for (dmheap_word at = ctx->first; at < ctx->top;) {
        const struct dmheap_block* block = ctx_block(ctx, (uintptr_t)at);
        const dmheap_word size = (dmheap_word)block_size(block);
        bytes += block_owner(block) == owner ? size : 0;
        blocks += block_owner(block) == owner;
        at += size;
    }
    CHECK(holding->bytes == bytes && holding->blocks == blocks);
    CHECK(holding->peak >= bytes && holding->allocations >= blocks);
    *unmet += holding->reserve > bytes ? holding->reserve - bytes : 0;
    return NULL;
}

/* After heap_check: the sums of all owners are the heap's. Where DMHEAP_ACCOUNTING is 1. */
static inline const char* check_holdings(struct dmheap_ctx* ctx, const struct heap_census* census)
{
    const struct dmheap_totals* totals = ctx_totals(ctx);
    dmheap_word unmet = 0;
    const char* fault = check_holding(ctx, &totals->nobody, OWNER_NOBODY, &unmet);
    for (unsigned number = 0; number < RECORD_GROUPS; number++) {
        const dmheap_word end = record_group_first(number + 1);
        for (dmheap_word id = record_group_first(number); fault == NULL && id < end; id++) {
            struct record* record = record_of(ctx, id);
            if (record != NULL) {
                fault = check_holding(ctx, record_holding(ctx, record), id, &unmet);
            }
        }
    }
    if (fault != NULL) {
        return fault;
    }
    CHECK(totals->used == census->live_bytes && totals->peak >= totals->used);
    CHECK(totals->unmet == unmet && unmet <= ctx->end - ctx->first - totals->used);
    return NULL;
}

/* Every module: in its bucket, in its group, with as many references as blocks and name. */
static inline const char* check_modules(const struct dmheap_ctx* ctx,
                                        const struct heap_census* census)
{
    size_t groups = 0;
    size_t modules = 0;
    size_t named = 0;
    size_t module_blocks = 0;
    const char* fault = NULL;
    for (unsigned number = 0; fault == NULL && number < RECORD_GROUPS; number++) {
        if (ctx->group[number] != 0) {
            groups++;
            fault = check_group(ctx, number, &modules, &named, &module_blocks);
        }
    }
    if (fault != NULL) {
        return fault;
    }
    if (DMHEAP_ACCOUNTING && ctx_totals((struct dmheap_ctx*)ctx)->dead != 0) {
        CHECK(
            check_is_own(ctx, ctx_totals((struct dmheap_ctx*)ctx)->dead, sizeof(struct dead_ring)));
        groups++;
    }
    CHECK(census->own_blocks == groups + modules);
    CHECK(census->module_blocks == module_blocks);
    CHECK(ctx->hint_module == 0 ||
          ctx_at(ctx, ctx->hint_module) == (const void*)record_of(ctx, ctx->hint_id));
    for (unsigned i = 0; i < DMHEAP_HINTS; i++) {
        const struct dmheap_hint* hint = &ctx->hint[i];
        const struct record* record = hint->module != 0 ? record_of(ctx, hint->id) : NULL;
        CHECK(hint->module == 0 || (record != NULL && ctx_offset(ctx, record) == hint->module &&
                                    record->name[0] != '\0'));
    }
    for (unsigned number = 0; fault == NULL && number < RECORD_GROUPS; number++) {
        if (ctx->group[number] != 0) {
            fault = check_buckets(ctx, number, &named);
        }
    }
    CHECK(fault != NULL || named == 0);
    return fault;
}

/*
 * NULL if all of the heap at `ctx` is as DESIGN.md says while no call is under way; else the
 * first thing that is not, as text.
 */
static inline const char* heap_check(const struct dmheap_ctx* ctx, struct heap_census* census)
{
    const struct heap_census nothing = {0};
    *census = nothing;
    CHECK(ctx->hint_module != 0 || ctx->hint_id == OWNER_NOBODY);
    CHECK(ctx->first <= ctx->top && ctx->top <= ctx->end);
    CHECK((ctx->first + DMHEAP_WORD_BYTES) % ctx_granule(ctx) == 0);
    const char* fault = check_blocks(ctx, census);
    if (fault == NULL) {
        fault = check_index(ctx, census);
    }
    if (fault == NULL) {
        fault = check_modules(ctx, census);
    }
    if (ctx->end - ctx->top > census->largest_free) {
        census->largest_free = (size_t)(ctx->end - ctx->top);
    }
    return fault;
}

#undef CHECK

#endif
