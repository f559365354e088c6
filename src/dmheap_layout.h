/* SPDX-License-Identifier: MIT */
/*
 * Layout: what a heap consists of. One structure, the context, at the start of the caller's
 * buffer, everything else behind it:
 *
 *   buffer                first                               top          end
 *   |                     |                                   |            |
 *   [pad][ ctx | bins ][ live map ][ block ][ block ] ... [ block ][ untouched ]
 *        ^ offset 0                 one granule-aligned step each
 *
 * Knows: the layout, and the serials given so far. Does not know: what any field is used for by the
 * layers above.
 * Always holds: every reference is an offset in bytes from the context, one word on
 * any target, so that an image of a heap can be read elsewhere; offset 0 is "none".
 */
#ifndef DMHEAP_LAYOUT_H
#define DMHEAP_LAYOUT_H

#include "dmheap_bits.h"

#define DMHEAP_WORD_BYTES ((dmheap_word)sizeof(dmheap_word))

/* Payloads are aligned to the granule, and blocks are multiples of it. */
#define DMHEAP_GRANULE_MIN \
    (sizeof(void*) > sizeof(dmheap_word) ? sizeof(void*) : sizeof(dmheap_word))
#define DMHEAP_GRANULE_MAX ((size_t)16)

/*
 * A block, seen from its header. The links are there only while it is free; a
 * live block's payload begins where `next` is. It may alias, as its words may: a
 * bin of the context is taken for a block, too.
 */
struct DMHEAP_MAY_ALIAS dmheap_block {
    dmheap_word header;
    dmheap_word next;
    dmheap_word prev;
};

/* Groups of modules, each for four times as many as the one before. */
#define DMHEAP_MODULE_GROUPS (DMHEAP_HEADER_BYTES == 4 ? 3U : 5U)

/* Rows of 32 size classes each; enough for the largest heap of either header width. */
#define DMHEAP_INDEX_ROWS (DMHEAP_HEADER_BYTES == 4 ? 6U : 14U)

/* Names have few addresses: what record was found by one. A cache, direct-mapped by the address. */
#define DMHEAP_HINTS_LOG2 2U
#define DMHEAP_HINTS      (1U << DMHEAP_HINTS_LOG2)

struct dmheap_hint {
    dmheap_word module; /* the record, 0: none */
    uint32_t id;        /* its id */
    uint32_t name;      /* the low bits of the address */
};

/* Reasons to refuse a request with which nothing is wrong: enum dmheap_reason. */
#define CTX_REASONS 4U

/* What one owner holds, and what it may hold. Bytes are those of blocks, their headers included. */
struct dmheap_holding {
    dmheap_word bytes;
    dmheap_word blocks;
    dmheap_word peak;            /* most bytes at a time */
    dmheap_word limit;           /* bytes are never more */
    dmheap_word reserve;         /* bytes that are kept for it, those that it holds included */
    dmheap_word allocations;     /* blocks that it was given so far */
    dmheap_word failures;        /* requests that were refused */
    dmheap_word largest_failure; /* bytes asked for in one of these */
    dmheap_word last_failure;    /* the reason of the last one */
};

/* The same of a heap. used + unmet is never more than the bytes that it has for blocks. */
struct dmheap_totals {
    dmheap_word used;  /* by live blocks, the heap's own included */
    dmheap_word peak;  /* most of that at a time */
    dmheap_word unmet; /* what all owners together may still claim of their reserves */
    dmheap_word failures[CTX_REASONS];
    dmheap_word dead; /* the last figures of modules that are gone, 0: none are kept */
    struct dmheap_holding nobody;
};

struct dmheap_ctx {
    dmheap_word size_mask;     /* of a header: the bits that are the block's size */
    dmheap_word request_limit; /* smallest size that malloc's short path cannot serve */
    dmheap_word seal;          /* ctx_seal; without DMHEAP_GUARD, `prev` of offset 0: never read */
    dmheap_word round;         /* what to add to a request before size_mask rounds it up */
    dmheap_word granule_shift; /* log2(granule) */
    dmheap_word granules;      /* end of the heap, in granules: bound of every pointer's index */
    dmheap_word live;          /* the live map: one bit per granule */
    dmheap_word first;         /* the first block */
    dmheap_word top;           /* where the untouched end begins; no header stands here */
    dmheap_word end;           /* top == end: nothing untouched is left; one word follows */
    dmheap_word alignment;     /* default alignment of payloads, at least a granule */
    dmheap_word group[DMHEAP_MODULE_GROUPS]; /* the groups of modules, 0: none */
    dmheap_word hint_module;         /* the record whose id was asked for last, 0: none ... */
    dmheap_word hint_id;             /* ... and that id, or no module's */
    dmheap_word serial;              /* no other heap has it, or had it before */
    uint16_t suspect;                /* not 0: a class whose list was found damaged just now */
    uint16_t damage;                 /* not 0: a free list was given up, and nobody was told yet */
    uint32_t rows;                   /* bit r is set while row[r] is not 0; none for row 0 */
    uint32_t row[DMHEAP_INDEX_ROWS]; /* bit c of row r: class 32 * r + c has a block */
    struct dmheap_hint hint[DMHEAP_HINTS]; /* by a name's address */
#if DMHEAP_ACCOUNTING
    struct dmheap_totals totals;
#endif
    dmheap_word bin[]; /* the first free block of each class */
};

DMHEAP_STATIC_ASSERT(offsetof(struct dmheap_ctx, seal) == offsetof(struct dmheap_block, prev),
                     none_has_a_prev);
DMHEAP_STATIC_ASSERT(offsetof(struct dmheap_ctx, bin) % sizeof(dmheap_word) == 0, bins_are_aligned);
DMHEAP_STATIC_ASSERT(offsetof(struct dmheap_ctx, bin) ==
                         (14 + DMHEAP_MODULE_GROUPS + DMHEAP_HINTS) * sizeof(dmheap_word) +
                             (2 + DMHEAP_INDEX_ROWS + 2 * DMHEAP_HINTS) * sizeof(uint32_t) +
                             (DMHEAP_ACCOUNTING ? sizeof(struct dmheap_totals) : 0),
                     nothing_is_padding_so_that_an_image_is_the_same_everywhere);

static uint32_t ctx_last_serial;
static bool ctx_has_key; /* it may be any, so none stands for "none yet" */

/* Let the serials begin behind `key`, the first time. */
static DMHEAP_INLINE void ctx_begin_serials(uint32_t key)
{
    if (DMHEAP_CANARY && !ctx_has_key) {
        ctx_last_serial = key & ~1U;
        ctx_has_key = true;
    }
}

/* The next serial, of a heap or a module: odd, so never 0. They begin again after 2^31. */
static DMHEAP_INLINE uint32_t ctx_new_serial(void)
{
    ctx_last_serial += 2;
    return ctx_last_serial + 1;
}

/* Only to be used where DMHEAP_ACCOUNTING is 1. */
#if DMHEAP_ACCOUNTING
static inline struct dmheap_totals* ctx_totals(struct dmheap_ctx* ctx)
{
    return &ctx->totals;
}
#else
static inline struct dmheap_totals* ctx_totals(struct dmheap_ctx* ctx)
{
    (void)ctx;
    return NULL;
}
#endif

/* ---- the seal ------------------------------------------------------------------ */

/*
 * What a sound context has as its seal: another one if any bit, or any word, of what says where
 * things are becomes another. That all of it is 0, or all ones, is no context either.
 */
#define CTX_SEAL_OF_NOTHING 0x5EA1U

static inline dmheap_word ctx_seal(const struct dmheap_ctx* ctx)
{
    dmheap_word seal = CTX_SEAL_OF_NOTHING ^ ctx->size_mask ^ ctx->request_limit ^ ctx->round ^
                       ctx->granule_shift ^ ctx->granules ^ ctx->live ^ ctx->first ^ ctx->top ^
                       ctx->end ^ ctx->alignment ^ ctx->serial;
    for (unsigned number = 0; number < DMHEAP_MODULE_GROUPS; number++) {
        seal ^= ctx->group[number];
    }
    return seal;
}

/* Is what says where things are as it was written? */
static inline bool ctx_is_sound(const struct dmheap_ctx* ctx)
{
    return !DMHEAP_GUARD || ctx->seal == ctx_seal(ctx);
}

/* Change a field that the seal covers. */
static inline void ctx_set(struct dmheap_ctx* ctx, dmheap_word* field, dmheap_word value)
{
    if (DMHEAP_GUARD) {
        ctx->seal ^= *field ^ value;
    }
    *field = value;
}

/* ---- addresses ----------------------------------------------------------------- */

/* Bytes, a power of two. */
static inline uintptr_t ctx_granule(const struct dmheap_ctx* ctx)
{
    return (uintptr_t)1 << (unsigned)ctx->granule_shift;
}

static inline struct dmheap_block* ctx_block(const struct dmheap_ctx* ctx, uintptr_t offset)
{
    return (struct dmheap_block*)((uintptr_t)ctx + offset);
}

static inline void* ctx_at(const struct dmheap_ctx* ctx, dmheap_word offset)
{
    return (void*)((uintptr_t)ctx + (uintptr_t)offset);
}

static inline uintptr_t ctx_offset(const struct dmheap_ctx* ctx, const void* address)
{
    return (uintptr_t)address - (uintptr_t)ctx;
}

#endif
