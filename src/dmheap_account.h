/* SPDX-License-Identifier: MIT */
/*
 * Accounts: what each owner holds and held, what it may hold, and what it was refused. Where
 * DMHEAP_ACCOUNTING is 0 nothing of this is left.
 *
 * Knows: sums. Does not know: whose a holding is, names, how memory is found.
 * Always holds: no holding has more bytes than its limit, unless that was lowered since; what the
 * heap used and what of reserves is unmet together fit into it; so an owner is never refused what
 * others were kept from, unless it is in pieces.
 * Cost: some ten instructions a call.
 */
#ifndef DMHEAP_ACCOUNT_H
#define DMHEAP_ACCOUNT_H

#include "dmheap_heap.h"

#define ACCOUNT_NO_LIMIT (~(dmheap_word)0)

/* A number of bytes as a word: the largest for what exceeds it. */
static inline dmheap_word account_word(size_t bytes)
{
    const dmheap_word word = (dmheap_word)bytes;
    return (size_t)word == bytes && bytes != SIZE_MAX ? word : ACCOUNT_NO_LIMIT;
}

/* Back: bytes as clients know them. */
static inline size_t account_size(dmheap_word bytes)
{
    return bytes != ACCOUNT_NO_LIMIT ? (size_t)bytes : SIZE_MAX;
}

/* The holding of an owner that is new. */
static inline void account_open(struct dmheap_holding* holding)
{
    memset(holding, 0, sizeof(*holding));
    holding->limit = ACCOUNT_NO_LIMIT;
}

/* Bytes of all blocks together. */
static inline dmheap_word account_capacity(const struct dmheap_ctx* ctx)
{
    return ctx->end - ctx->first;
}

/* Bytes that no live block has. */
static inline dmheap_word account_free(struct dmheap_ctx* ctx)
{
    return account_capacity(ctx) - ctx_totals(ctx)->used;
}

/* Bytes of its reserve that an owner may still claim. */
static inline dmheap_word account_unmet(const struct dmheap_holding* holding)
{
    return holding->reserve > holding->bytes ? holding->reserve - holding->bytes : 0;
}

static inline void account_set(struct dmheap_ctx* ctx, struct dmheap_holding* holding,
                               dmheap_word bytes, dmheap_word reserve)
{
    if (DMHEAP_UNLIKELY((holding->reserve | reserve) != 0)) {
        ctx_totals(ctx)->unmet -= account_unmet(holding);
        holding->reserve = reserve;
        ctx_totals(ctx)->unmet += reserve > bytes ? reserve - bytes : 0;
    }
    holding->bytes = bytes;
}

/* Is there as much free memory as reserves are unmet? */
static inline bool account_is_covered(struct dmheap_ctx* ctx)
{
    return ctx_totals(ctx)->unmet <= account_free(ctx);
}

/* Give an owner a limit, whatever it holds. As account_reserve, but for that it never fails. */
static inline enum dmheap_verdict account_limit(struct dmheap_ctx* ctx,
                                                struct dmheap_holding* holding, dmheap_word limit)
{
    (void)ctx;
    holding->limit = limit;
    return VERDICT_OK;
}

/* Give an owner a reserve. VERDICT_NO_MEMORY: less is free, and nothing has changed. */
static inline enum dmheap_verdict
account_reserve(struct dmheap_ctx* ctx, struct dmheap_holding* holding, dmheap_word reserve)
{
    const dmheap_word before = holding->reserve;
    if (reserve > account_capacity(ctx)) {
        return VERDICT_NO_MEMORY;
    }
    account_set(ctx, holding, holding->bytes, reserve);
    if (reserve > before && !account_is_covered(ctx)) {
        account_set(ctx, holding, holding->bytes, before);
        return VERDICT_NO_MEMORY;
    }
    return VERDICT_OK;
}

/*
 * Of `largest` payload bytes that a request could find, those that it gets without claiming
 * reserves. What has to be covered, too, is its header, and a rest too small for a block that goes
 * along; and no block is smaller than BLOCK_MIN_BYTES, however little is asked for.
 */
static inline uintptr_t account_bound(struct dmheap_ctx* ctx, uintptr_t largest)
{
    const dmheap_word unmet = ctx_totals(ctx)->unmet;
    if (unmet == 0 || !account_is_covered(ctx)) {
        return unmet == 0 ? largest : 0;
    }
    const uintptr_t room = (uintptr_t)((account_free(ctx) - unmet) & ctx->size_mask);
    const uintptr_t bound =
        room >= 2 * BLOCK_MIN_BYTES ? room - BLOCK_MIN_BYTES - BLOCK_OVERHEAD_BYTES : 0;
    return bound < largest ? bound : largest;
}

/* The heap used more, and nobody objected. */
static inline void account_note_peak(struct dmheap_ctx* ctx)
{
    struct dmheap_totals* totals = ctx_totals(ctx);
    totals->peak = totals->used > totals->peak ? totals->used : totals->peak;
}

/*
 * An owner's block has other than `before` bytes now, and the heap has counted that already: may
 * it? VERDICT_LIMIT, VERDICT_RESERVE: it may not, and nothing has changed here.
 */
static inline enum dmheap_verdict account_change(struct dmheap_ctx* ctx,
                                                 struct dmheap_holding* holding, uintptr_t before,
                                                 uintptr_t now)
{
    const dmheap_word was = holding->bytes;
    const dmheap_word bytes = was - (dmheap_word)before + (dmheap_word)now;
    if (DMHEAP_UNLIKELY(now > before && bytes > holding->limit)) {
        return VERDICT_LIMIT;
    }
    account_set(ctx, holding, bytes, holding->reserve);
    if (DMHEAP_UNLIKELY(now > before && !account_is_covered(ctx))) {
        account_set(ctx, holding, was, holding->reserve);
        return VERDICT_RESERVE;
    }
    holding->peak = bytes > holding->peak ? bytes : holding->peak;
    account_note_peak(ctx);
    return VERDICT_OK;
}

/* The same for a block of `size` bytes that an owner just got. */
static inline enum dmheap_verdict account_charge(struct dmheap_ctx* ctx,
                                                 struct dmheap_holding* holding, uintptr_t size)
{
    const enum dmheap_verdict verdict = account_change(ctx, holding, 0, size);
    if (DMHEAP_LIKELY(verdict == VERDICT_OK)) {
        holding->blocks++;
        holding->allocations++;
    }
    return verdict;
}

/*
 * An owner gave back `bytes` in so many blocks, and the heap has counted that already. More than it
 * had it gives where owners of blocks were written over.
 */
static inline void account_release(struct dmheap_ctx* ctx, struct dmheap_holding* holding,
                                   uintptr_t bytes, dmheap_word blocks)
{
    const dmheap_word had = holding->bytes;
    account_set(ctx, holding, had > bytes ? had - (dmheap_word)bytes : 0, holding->reserve);
    holding->blocks = holding->blocks > blocks ? holding->blocks - blocks : 0;
}

/* A block changes hands. As account_change. */
static inline enum dmheap_verdict account_transfer(struct dmheap_ctx* ctx,
                                                   struct dmheap_holding* from,
                                                   struct dmheap_holding* to, uintptr_t size)
{
    account_release(ctx, from, size, 1);
    enum dmheap_verdict verdict = account_charge(ctx, to, size);
    if (verdict != VERDICT_OK) {
        account_set(ctx, from, from->bytes + (dmheap_word)size, from->reserve);
        from->blocks++;
    }
    return verdict;
}

/*
 * Why can an owner, or one that is not known yet (NULL), not have `size` bytes, which were not to
 * be found? Fragmented: there is as much, but not in one piece, or not so aligned.
 */
static inline enum dmheap_verdict account_reason(struct dmheap_ctx* ctx,
                                                 const struct dmheap_holding* holding, size_t size)
{
    const dmheap_word need = heap_is_beyond(ctx, size, false) ? account_capacity(ctx) + 1
                                                              : (dmheap_word)heap_need(ctx, size);
    const dmheap_word bytes = holding != NULL ? holding->bytes : 0;
    const dmheap_word limit = holding != NULL ? holding->limit : ACCOUNT_NO_LIMIT;
    const dmheap_word own = holding != NULL ? account_unmet(holding) : 0;
    const dmheap_word others = ctx_totals(ctx)->unmet - own;
    if (bytes > limit || need > limit - bytes) {
        return VERDICT_LIMIT;
    }
    if (need > account_free(ctx)) {
        return VERDICT_NO_MEMORY;
    }
    return need + others > account_free(ctx) ? VERDICT_RESERVE : VERDICT_FRAGMENTED;
}

/* Was a request refused for want of memory, or for what its owner may have? */
static inline bool account_is_reason(enum dmheap_verdict verdict)
{
    return verdict == VERDICT_NO_MEMORY || (DMHEAP_ACCOUNTING && verdict >= VERDICT_FRAGMENTED);
}

/* The reason's number, in the order of the public ones. */
static inline dmheap_word account_reason_number(enum dmheap_verdict verdict)
{
    const unsigned further = (unsigned)verdict - VERDICT_FRAGMENTED + 1;
    return verdict == VERDICT_NO_MEMORY ? 0 : further;
}

/* Note that an owner, or one that is not known yet (NULL), was refused `size` bytes. */
static inline void account_refuse(struct dmheap_ctx* ctx, struct dmheap_holding* holding,
                                  size_t size, enum dmheap_verdict verdict)
{
    const dmheap_word reason = account_reason_number(verdict);
    ctx_totals(ctx)->failures[reason]++;
    if (holding != NULL) {
        const dmheap_word bytes = account_word(size);
        holding->failures++;
        holding->last_failure = reason;
        holding->largest_failure =
            bytes > holding->largest_failure ? bytes : holding->largest_failure;
    }
}

#endif
