/* SPDX-License-Identifier: MIT */
/*
 * The dead: the last accounts of modules that were unregistered, in a ring of as many as was asked
 * for. Where DMHEAP_ACCOUNTING is 0 nothing of this is left.
 *
 * Knows: a record's name and account. Does not know: when a module goes.
 * Always holds: whatever was written over the ring's content, nothing is read or written outside of
 * its block, which is one of the heap's own.
 * Cost: constant; a name's length to keep one.
 */
#ifndef DMHEAP_DEAD_H
#define DMHEAP_DEAD_H

#include "dmheap_record.h"

/* A module that is gone, with what it held when its name was taken away. */
struct dead {
    struct dmheap_holding holding;
    char name[RECORD_NAME_MAX + 1];
};

/*
 * The last so many of them, in a block of the heap's own. An offset that led to a record once may
 * lead here now: so where a record has its id, this has that of none.
 */
struct dead_ring {
    dmheap_word count; /* entries in use */
    uint32_t next;     /* the entry to be written next */
    record_id no_id;   /* 0 */
    struct dead entry[];
};

DMHEAP_STATIC_ASSERT(offsetof(struct dead_ring, no_id) == offsetof(struct record, id),
                     the_dead_are_not_taken_for_a_record);

/* The ring of dead modules, or NULL. */
static inline struct dead_ring* dead_ring(struct dmheap_ctx* ctx)
{
    return (struct dead_ring*)record_at(ctx, ctx_totals(ctx)->dead);
}

/* How many it has room for: by its block, for its content may be written over. */
static inline size_t dead_room(const struct dmheap_ctx* ctx, const struct dead_ring* ring)
{
    const struct dmheap_block* block = block_of(ring);
    return heap_is_size(ctx, block)
               ? ((size_t)heap_usable(ctx, block) - sizeof(*ring)) / sizeof(ring->entry[0])
               : 0;
}

/* Keep the last `count` dead modules from now on; those kept so far are forgotten. */
static inline enum dmheap_verdict dead_keep(struct dmheap_ctx* ctx, size_t count)
{
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    struct dead_ring* const former = dead_ring(ctx);
    struct dead_ring* ring = NULL;
    if (count > (SIZE_MAX - sizeof(*ring)) / sizeof(ring->entry[0])) {
        return verdict;
    }
    if (count != 0) {
        const size_t size = sizeof(*ring) + count * sizeof(ring->entry[0]);
        ring = (struct dead_ring*)record_alloc(ctx, size, &verdict);
        if (ring == NULL) {
            return verdict;
        }
        ring->count = 0;
        ring->next = 0;
        ring->no_id = 0;
    }
    account_note_peak(ctx);
    ctx_totals(ctx)->dead = ring != NULL ? (dmheap_word)ctx_offset(ctx, ring) : 0;
    if (former != NULL) {
        (void)record_free(ctx, former);
    }
    return VERDICT_OK;
}

/* The dead module that went as number `index`, counted back from the last one, 0; or NULL. */
static inline const struct dead* dead_at(struct dmheap_ctx* ctx, size_t index)
{
    const struct dead_ring* ring = dead_ring(ctx);
    const size_t room = ring != NULL ? dead_room(ctx, ring) : 0;
    if (index >= room || index >= ring->count || ring->next >= room) {
        return NULL;
    }
    const size_t next = (size_t)ring->next;
    return &ring->entry[index < next ? next - 1 - index : next + room - 1 - index];
}

/* Keep the figures of a module that is unregistered, if any are to be kept. */
static inline void dead_bury(struct dmheap_ctx* ctx, struct record* record)
{
    struct dead_ring* ring = dead_ring(ctx);
    const size_t room = ring != NULL ? dead_room(ctx, ring) : 0;
    if (room == 0 || ring->next >= room) {
        return;
    }
    struct dead* dead = &ring->entry[ring->next];
    dead->holding = *record_holding(ctx, record);
    record_show_name(ctx, record, dead->name);
    ring->next = ring->next + 1 < room ? ring->next + 1 : 0;
    ring->count += ring->count < room;
}

#endif
