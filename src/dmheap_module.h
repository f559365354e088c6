/* SPDX-License-Identifier: MIT */
/*
 * Modules: what the public functions do, inside the lock.
 *
 * Knows: which block counts for which module. Does not know: locks, logs, other heaps.
 * Always holds: a module's record has one reference for its name and one for each block that
 * has its id - so no id is used again while a block or a sweep still carries it.
 * Cost: that of the heap's verbs, and of finding a record.
 */
#ifndef DMHEAP_MODULE_H
#define DMHEAP_MODULE_H

#include "dmheap_dead.h"

/* ---- allocation -------------------------------------------------------------- */

/* Allocate for an owner, at the default alignment at least. */
static inline struct dmheap_block* module_alloc_for(struct dmheap_ctx* ctx, size_t alignment,
                                                    size_t size, dmheap_word owner)
{
    return alignment > ctx->alignment ? heap_alloc_aligned(ctx, alignment, size, owner)
                                      : heap_alloc(ctx, size, owner);
}

/*
 * Charge a module, or nobody (NULL), for a block that was allocated for it, if one was. NULL: it may
 * not have it, for the reason in *verdict, and the block is free again.
 */
static inline struct dmheap_block* module_charge(struct dmheap_ctx* ctx, struct record* record,
                                                 struct dmheap_block* block,
                                                 enum dmheap_verdict* verdict)
{
    if (!DMHEAP_ACCOUNTING || DMHEAP_UNLIKELY(block == NULL)) {
        return block;
    }
    const enum dmheap_verdict charged =
        account_charge(ctx, record_holding(ctx, record), heap_size(ctx, block));
    if (DMHEAP_LIKELY(charged == VERDICT_OK)) {
        return block;
    }
    *verdict = charged;
    (void)record_free(ctx, block_payload(block));
    return NULL;
}

/* Discharge it of a block of that size, which is free again. */
static inline void module_discharge(struct dmheap_ctx* ctx, struct record* record, uintptr_t size)
{
    if (DMHEAP_ACCOUNTING) {
        account_release(ctx, record_holding(ctx, record), size, 1);
    }
}

/* A request was refused: count it, unless that had nothing to do with memory. */
static inline enum dmheap_verdict module_note(struct dmheap_ctx* ctx,
                                              struct dmheap_holding* holding, size_t size,
                                              enum dmheap_verdict verdict)
{
    if (DMHEAP_ACCOUNTING && account_is_reason(verdict) && ctx->end != 0) {
        account_refuse(ctx, holding, size, verdict);
    }
    return verdict;
}

/*
 * The same, and what to report, for a request of an owner, or of one that is not known yet (NULL):
 * if for want of memory, why that is.
 */
static inline enum dmheap_verdict module_refuse(struct dmheap_ctx* ctx,
                                                struct dmheap_holding* holding, size_t size,
                                                enum dmheap_verdict verdict)
{
    if (DMHEAP_ACCOUNTING && verdict == VERDICT_NO_MEMORY) {
        verdict = account_reason(ctx, holding, size);
    }
    return module_note(ctx, holding, size, verdict);
}

/* Allocate for a module. NULL: for the reason in *verdict, if not for want of memory. */
static DMHEAP_INLINE struct dmheap_block* module_alloc_owned(struct dmheap_ctx* ctx,
                                                             size_t alignment, size_t size,
                                                             struct record* record,
                                                             enum dmheap_verdict* verdict)
{
    struct dmheap_block* block = module_alloc_for(ctx, alignment, size, record->id);
    block = module_charge(ctx, record, block, verdict);
    if (block != NULL) {
        record->references++;
    } else {
        *verdict = module_refuse(ctx, record_holding(ctx, record), size, *verdict);
    }
    return block;
}

/* Allocate for nobody. As module_alloc_owned. */
static inline struct dmheap_block* module_alloc_unowned(struct dmheap_ctx* ctx, size_t alignment,
                                                        size_t size, enum dmheap_verdict* verdict)
{
    struct dmheap_block* block = module_alloc_for(ctx, alignment, size, OWNER_NOBODY);
    block = module_charge(ctx, NULL, block, verdict);
    if (block == NULL) {
        *verdict = module_refuse(ctx, record_holding(ctx, NULL), size, *verdict);
    }
    return block;
}

/* The first allocation of an unknown name. The block comes first: without it, no record. */
static DMHEAP_COLD struct dmheap_block* module_alloc_first(struct dmheap_ctx* ctx, size_t alignment,
                                                           size_t size, const char* text,
                                                           enum dmheap_verdict* verdict)
{
    struct dmheap_block* block = module_alloc_for(ctx, alignment, size, OWNER_HEAP);
    if (block == NULL) {
        *verdict = record_measure(text).length > RECORD_NAME_MAX
                       ? VERDICT_BAD_NAME
                       : module_refuse(ctx, NULL, size, *verdict);
        return NULL;
    }
    struct record* record = record_create(ctx, text, verdict);
    if (record == NULL) {
        (void)record_free(ctx, block_payload(block));
        *verdict = module_note(ctx, NULL, size, *verdict);
        return NULL;
    }
    record->references++;
    heap_set_owner(ctx, block, record->id);
    return module_charge(ctx, record, block, verdict); /* it may: record_alloc saw to that */
}

/* Allocate for a name, which becomes known. NULL: *verdict says why, if not for want of memory. */
static DMHEAP_INLINE struct dmheap_block* module_alloc(struct dmheap_ctx* ctx, size_t alignment,
                                                       size_t size, const char* text,
                                                       enum dmheap_verdict* verdict)
{
    if (record_is_nobody(text)) {
        return module_alloc_unowned(ctx, alignment, size, verdict);
    }
    struct record* record = record_find(ctx, text);
    return record != NULL ? module_alloc_owned(ctx, alignment, size, record, verdict)
                          : module_alloc_first(ctx, alignment, size, text, verdict);
}

/* The short path of nobody's allocations. NULL may also mean a case for module_alloc. */
static inline struct dmheap_block* module_alloc_nobodys(struct dmheap_ctx* ctx, size_t size)
{
    enum dmheap_verdict verdict;
    return module_charge(ctx, NULL, heap_try_alloc(ctx, size, OWNER_NOBODY), &verdict);
}

/* The same at an alignment. */
static inline struct dmheap_block* module_align_nobodys(struct dmheap_ctx* ctx, size_t alignment,
                                                        size_t size)
{
    enum dmheap_verdict verdict;
    struct dmheap_block* block =
        alignment > ctx->alignment ? heap_try_aligned(ctx, alignment, size, OWNER_NOBODY) : NULL;
    return module_charge(ctx, NULL, block, &verdict);
}

/* The short path for a name found by its address before. */
static inline struct dmheap_block* module_alloc_hinted(struct dmheap_ctx* ctx, size_t size,
                                                       const char* text)
{
    enum dmheap_verdict verdict;
    struct record* record = record_find_hinted(ctx, text);
    struct dmheap_block* block = record != NULL ? heap_try_alloc(ctx, size, record->id) : NULL;
    block = module_charge(ctx, record, block, &verdict);
    if (block != NULL) {
        record->references++;
    }
    return block;
}

/* ---- free --------------------------------------------------------------------- */

/*
 * Is there a client's live block at `ptr`, which may be any address? *index and *behind are those
 * of live_find.
 */
static inline enum dmheap_verdict module_find_block(const struct dmheap_ctx* ctx, const void* ptr,
                                                    uintptr_t* index, uintptr_t* behind)
{
    if (!live_find(ctx, ptr, index, behind)) {
        return VERDICT_BAD_POINTER;
    }
    const dmheap_word owner = block_owner(block_of(ptr));
    if (DMHEAP_LIKELY(owner == OWNER_NOBODY)) {
        return VERDICT_OK;
    }
    if (owner == OWNER_HEAP) {
        return VERDICT_BAD_POINTER;
    }
    return record_of_hinted(ctx, owner) != NULL ? VERDICT_OK : VERDICT_DAMAGED;
}

/* Free whatever is live at `ptr`, which may be any address. */
static DMHEAP_INLINE enum dmheap_verdict module_free(struct dmheap_ctx* ctx, const void* ptr)
{
    uintptr_t index;
    uintptr_t behind;
    enum dmheap_verdict verdict = module_find_block(ctx, ptr, &index, &behind);
    if (verdict != VERDICT_OK) {
        return verdict;
    }
    struct record* record = record_of(ctx, block_owner(block_of(ptr)));
    const uintptr_t size = heap_size(ctx, block_of(ptr));
    verdict = heap_free(ctx, ptr);
    if (verdict == VERDICT_OK) {
        module_discharge(ctx, record, size);
        if (record != NULL) {
            record_drop(ctx, record);
        }
    }
    return verdict;
}

/* Is there a live block at `ptr`? Then it is out of the live map; module_restore puts it back. */
static inline bool module_take(struct dmheap_ctx* ctx, const void* ptr, uintptr_t* index,
                               uintptr_t* behind)
{
    return live_take(ctx, ptr, index, behind);
}

static inline void module_restore(struct dmheap_ctx* ctx, const void* ptr)
{
    live_restore(ctx, ptr);
}

static inline bool module_is_nobodys(const void* ptr)
{
    return block_owner(block_of(ptr)) == OWNER_NOBODY;
}

/*
 * Count a live block no more for its module, before it is freed: so nothing has to be kept of the
 * module meanwhile. Only for the module whose record is hinted at, and if that has more references.
 */
static inline bool module_uncount(const struct dmheap_ctx* ctx, const void* ptr)
{
    const dmheap_word owner = block_owner(block_of(ptr));
    if (!RECORD_HINTS || DMHEAP_GUARD || DMHEAP_ACCOUNTING || owner != ctx->hint_id) {
        return false;
    }
    struct record* record = (struct record*)ctx_at(ctx, ctx->hint_module);
    if (DMHEAP_UNLIKELY(record->references <= 1)) {
        return false;
    }
    record->references--;
    return true;
}

/* Undo module_uncount, which was true, for a block that cannot be freed; nobody's is not counted. */
static inline void module_recount(const struct dmheap_ctx* ctx, const void* ptr)
{
    if (!module_is_nobodys(ptr)) {
        ((struct record*)ctx_at(ctx, ctx->hint_module))->references++;
    }
}

/*
 * The short path of module_free for a block that counts for nobody, or not any more. False may also
 * mean a case for that.
 */
static inline bool module_free_uncounted(struct dmheap_ctx* ctx, const void* ptr, uintptr_t index,
                                         uintptr_t behind)
{
    const uintptr_t size = heap_size(ctx, block_of(ptr));
    if (DMHEAP_UNLIKELY(!heap_release(ctx, block_of(ptr), index, behind))) {
        return false;
    }
    module_discharge(ctx, NULL, size);
    return true;
}

/*
 * The same for a module's block that module_uncount did not take: so its record is not hinted at, but
 * for one with accounts, or with its last reference.
 */
static inline bool module_free_owned(struct dmheap_ctx* ctx, const void* ptr, uintptr_t index,
                                     uintptr_t behind)
{
    struct dmheap_block* block = block_of(ptr);
    const dmheap_word owner = block_owner(block);
    struct record* record =
        DMHEAP_ACCOUNTING ? record_of_hinted(ctx, owner) : record_of(ctx, owner);
    const uintptr_t size = heap_size(ctx, block);
    if (DMHEAP_UNLIKELY(record == NULL || !heap_release(ctx, block, index, behind))) {
        return false;
    }
    module_discharge(ctx, record, size);
    record_hint_id(ctx, record, owner);
    record_drop(ctx, record);
    return true;
}

/* ---- realloc ------------------------------------------------------------------ */

/*
 * A block on its way to another place, or a new one that is to be cleared. While that is done,
 * outside the lock, both places belong to the heap: nobody can free them, no sweep takes them. The
 * old one's reference to its module stays and goes over to the new one.
 */
struct module_move {
    struct dmheap_block* from; /* NULL: a new block */
    struct dmheap_block* to;
    dmheap_word owner;
    uintptr_t bytes; /* to copy or to clear */
};

/* Was a module unregistered, while something still refers to its record? NULL: nobody was not. */
static DMHEAP_INLINE bool module_is_closed(const struct record* record)
{
    return record != NULL && record->name[0] == '\0';
}

/* The record of a client's block's owner; NULL: nobody, or it was written over. */
static inline struct record* module_of(const struct dmheap_ctx* ctx, dmheap_word owner)
{
    return owner != OWNER_NOBODY ? record_of(ctx, owner) : NULL;
}

/*
 * heap_resize on the owner's account. Where it may not have what the block would grow by, the block
 * gets its old size back, for which there is room.
 */
static DMHEAP_INLINE enum dmheap_verdict module_resize_charged(struct dmheap_ctx* ctx,
                                                               struct dmheap_block* block,
                                                               uintptr_t index, uintptr_t behind,
                                                               size_t size)
{
    const uintptr_t before = heap_size(ctx, block);
    const size_t usable = (size_t)heap_usable(ctx, block);
    enum dmheap_verdict verdict = heap_resize(ctx, block, index, behind, size);
    if (verdict == VERDICT_MUST_MOVE || verdict == VERDICT_DAMAGED) {
        return verdict;
    }
    struct dmheap_holding* holding = record_holding(ctx, module_of(ctx, block_owner(block)));
    if (verdict == VERDICT_OK) {
        verdict = account_change(ctx, holding, before, heap_size(ctx, block));
        if (DMHEAP_LIKELY(verdict == VERDICT_OK)) {
            return VERDICT_OK;
        }
        (void)heap_resize(ctx, block, index, behind, usable);
    }
    return module_refuse(ctx, holding, size, verdict);
}

/* Resize a block in place that was found at `ptr`. */
static DMHEAP_INLINE enum dmheap_verdict module_resize_at(struct dmheap_ctx* ctx, const void* ptr,
                                                          uintptr_t index, uintptr_t behind,
                                                          size_t size)
{
    return DMHEAP_ACCOUNTING ? module_resize_charged(ctx, block_of(ptr), index, behind, size)
                             : heap_resize(ctx, block_of(ptr), index, behind, size);
}

/* Resize in place. VERDICT_MUST_MOVE: the block is proven, and module_begin_move may take it. */
static DMHEAP_INLINE enum dmheap_verdict module_resize(struct dmheap_ctx* ctx, const void* ptr,
                                                       size_t size)
{
    uintptr_t index;
    uintptr_t behind;
    const enum dmheap_verdict verdict = module_find_block(ctx, ptr, &index, &behind);
    return DMHEAP_LIKELY(verdict == VERDICT_OK) ? module_resize_at(ctx, ptr, index, behind, size)
                                                : verdict;
}

/* The alignment of a live block that is sound. */
static inline size_t module_alignment(const struct dmheap_ctx* ctx, const void* ptr)
{
    return (size_t)heap_alignment(ctx, block_of(ptr));
}

/* The same for a block that is to have that alignment: one that has less must move. */
static inline enum dmheap_verdict module_realign(struct dmheap_ctx* ctx, const void* ptr,
                                                 size_t alignment, size_t size)
{
    uintptr_t index;
    uintptr_t behind;
    enum dmheap_verdict verdict = module_find_block(ctx, ptr, &index, &behind);
    if (verdict != VERDICT_OK) {
        return verdict;
    }
    struct dmheap_block* block = block_of(ptr);
    const dmheap_word own = heap_alignment(ctx, block);
    const bool must_move = own != 0 && own < alignment; /* 0: damaged, and refused below */
    if (must_move && heap_is_beyond(ctx, size, true)) { /* true: the new place has a byte for it */
        struct record* record = module_of(ctx, block_owner(block));
        return module_refuse(ctx, record_holding(ctx, record), size, VERDICT_NO_MEMORY);
    }
    const size_t here =
        must_move ? (size_t)heap_usable(ctx, block) : size; /* a proof, if as it is */
    verdict = module_resize_at(ctx, ptr, index, behind, here);
    return must_move && verdict == VERDICT_OK ? VERDICT_MUST_MOVE : verdict;
}

/* A block's next place would be in itself: it is free memory again. */
static DMHEAP_COLD enum dmheap_verdict module_refuse_place(struct dmheap_ctx* ctx,
                                                           const struct dmheap_block* to)
{
    (void)record_free(ctx, block_payload(to));
    return VERDICT_DAMAGED;
}

/*
 * Allocate a block's next place, on its owner's account. VERDICT_NO_MEMORY, or one of its kind: it
 * is not to be had, and nothing has changed. VERDICT_DAMAGED: it would be in the block itself, whose
 * size was written over and leads past what lies behind it, or into free memory where there are still
 * the tags of what was free once.
 */
static DMHEAP_INLINE enum dmheap_verdict module_begin_move(struct dmheap_ctx* ctx, const void* ptr,
                                                           size_t alignment, size_t size,
                                                           struct module_move* move)
{
    struct dmheap_block* block = block_of(ptr);
    struct record* record = DMHEAP_ACCOUNTING ? module_of(ctx, block_owner(block)) : NULL;
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    struct dmheap_block* to = module_alloc_for(ctx, alignment, size, OWNER_HEAP);
    if (to != NULL && DMHEAP_UNLIKELY(!heap_is_apart(ctx, block, to))) {
        return module_refuse_place(ctx, to);
    }
    move->to = module_charge(ctx, record, to, &verdict);
    if (move->to == NULL) {
        return module_refuse(ctx, record_holding(ctx, record), size, verdict);
    }
    move->from = block;
    move->owner = block_owner(block);
    move->bytes = heap_size(ctx, block) - BLOCK_OVERHEAD_BYTES;
    if (DMHEAP_POISON) {
        move->bytes = heap_usable(ctx, block); /* the alignment's byte has to stay, until it goes */
    }
    heap_keep_number(ctx, block, move->to);
    heap_set_owner(ctx, block, OWNER_HEAP);
    return VERDICT_OK;
}

/* Free a block that is the heap's, because the module it was made for is gone. */
static inline void module_abandon(struct dmheap_ctx* ctx, struct record* record,
                                  const struct dmheap_block* block)
{
    const uintptr_t size = heap_size(ctx, block);
    if (record_free(ctx, block_payload(block))) {
        module_discharge(ctx, record, size);
    }
    record_drop(ctx, record);
}

/*
 * The content is copied: free the old place and hand the new one to the owner, if it lives.
 * VERDICT_GONE: it does not, and the new place is freed as well; with DMHEAP_POISON it is the
 * caller's to fill and to abandon. VERDICT_DAMAGED: the old place could not be freed and stays the
 * owner's, too.
 */
static DMHEAP_INLINE enum dmheap_verdict module_finish_move(struct dmheap_ctx* ctx,
                                                            const struct module_move* move)
{
    struct record* record = module_of(ctx, move->owner);
    const bool is_gone = module_is_closed(record);
    const uintptr_t size = heap_size(ctx, move->from);
    const bool is_freed = record_free(ctx, block_payload(move->from));
    if (is_freed) {
        module_discharge(ctx, record, size);
    }
    if (is_gone) {
        if (!DMHEAP_POISON) {
            module_abandon(ctx, record, move->to);
        }
        return VERDICT_GONE;
    }
    heap_set_owner(ctx, move->to, move->owner);
    if (is_freed) {
        return VERDICT_OK;
    }
    heap_set_owner(ctx, move->from, move->owner);
    if (record != NULL) {
        record->references++;
    }
    return VERDICT_DAMAGED;
}

/* ---- unregister ---------------------------------------------------------------- */

/*
 * Take a module's name away, so that no block can come to it any more and a new module may
 * have the name. The name's reference goes to the caller, who sweeps; the text goes to `name`, for
 * the one given may stand in memory that the sweep frees. *id is the module's; false: unknown.
 */
static DMHEAP_INLINE bool module_close(struct dmheap_ctx* ctx, const char* text,
                                       char name[RECORD_NAME_MAX + 1], dmheap_word* id)
{
    struct record* record = record_is_nobody(text) ? NULL : record_find(ctx, text);
    if (record == NULL) {
        return false;
    }
    record_copy_name(record, name);
    if (DMHEAP_ACCOUNTING) {
        dead_bury(ctx, record);
    }
    record_close(ctx, record);
    *id = record->id;
    return true;
}

/* One slice of freeing a closed module's blocks; true while there is more, else it is gone. */
static DMHEAP_INLINE bool module_sweep(struct dmheap_ctx* ctx, dmheap_word id,
                                       struct heap_sweep* sweep)
{
    struct record* record = record_of(ctx, id);
    if (record == NULL || record->name[0] != '\0' || record->references == 0) {
        return false; /* written over: nobody's to free */
    }
    const dmheap_word blocks = record->references - 1;
    const dmheap_word before = DMHEAP_ACCOUNTING ? account_free(ctx) : 0;
    sweep->left = blocks;
    const bool more = heap_sweep(ctx, id, sweep);
    record->references -= blocks - sweep->left;
    if (DMHEAP_ACCOUNTING) {
        account_release(ctx, record_holding(ctx, record), (uintptr_t)(account_free(ctx) - before),
                        blocks - sweep->left);
    }
    if (!more) {
        record_drop(ctx, record);
    }
    return more;
}

/* ---- calloc -------------------------------------------------------------------- */

/*
 * Allocate a block that is to be cleared, outside the lock, before its owner may have it. Until
 * then it is the heap's, as a block that moves is.
 */
static inline enum dmheap_verdict module_begin_clear(struct dmheap_ctx* ctx, size_t size,
                                                     const char* text, struct module_move* move)
{
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    move->to = module_alloc(ctx, 1, size, text, &verdict);
    if (move->to == NULL) {
        return verdict;
    }
    move->owner = block_owner(move->to);
    move->bytes = size;
    heap_set_owner(ctx, move->to, OWNER_HEAP);
    return VERDICT_OK;
}

static inline enum dmheap_verdict module_finish_clear(struct dmheap_ctx* ctx,
                                                      const struct module_move* move)
{
    struct record* record = module_of(ctx, move->owner);
    if (module_is_closed(record)) {
        module_abandon(ctx, record, move->to);
        return VERDICT_GONE;
    }
    heap_set_owner(ctx, move->to, move->owner);
    return VERDICT_OK;
}

/* ---- poison --------------------------------------------------------------------- */

/*
 * What a client's memory is filled with before it is freed. As an address it is odd and, on most
 * targets, where nothing is; as a number it is seen at once.
 */
#define MODULE_POISON 0xDD

/*
 * Prove that a client's block can be freed, and take it to be filled, outside the lock, before it
 * is. Until then it is the heap's, as a block that moves is.
 */
static inline enum dmheap_verdict module_begin_fill(const struct dmheap_ctx* ctx, const void* ptr,
                                                    struct module_move* move)
{
    uintptr_t index;
    uintptr_t behind;
    struct dmheap_block* block = block_of(ptr);
    const enum dmheap_verdict verdict = module_find_block(ctx, ptr, &index, &behind);
    if (verdict != VERDICT_OK) {
        return verdict;
    }
    if (!heap_may_release(ctx, block, index, behind)) {
        return VERDICT_DAMAGED;
    }
    move->from = block;
    move->owner = block_owner(block);
    move->bytes = heap_usable(ctx, block);
    heap_set_owner(ctx, block, OWNER_HEAP);
    return VERDICT_OK;
}

/* It is filled: free it. VERDICT_DAMAGED: it cannot be freed any more, and stays its owner's. */
static inline enum dmheap_verdict module_finish_fill(struct dmheap_ctx* ctx,
                                                     const struct module_move* move)
{
    struct record* record = module_of(ctx, move->owner);
    const uintptr_t size = heap_size(ctx, move->from);
    if (!record_free(ctx, block_payload(move->from))) {
        heap_set_owner(ctx, move->from, move->owner);
        return VERDICT_DAMAGED;
    }
    module_discharge(ctx, record, size);
    if (record != NULL) {
        record_drop(ctx, record);
    }
    return VERDICT_OK;
}

/*
 * The same for all blocks of a closed module, before they are swept: the one taken last is its own
 * again, and the next one from sweep->index on is taken; move->from is NULL if the step was used up
 * before. False: there is none left.
 */
static inline bool module_fill_next(const struct dmheap_ctx* ctx, dmheap_word id,
                                    struct heap_sweep* sweep, struct module_move* move)
{
    int budget = HEAP_SWEEP_BUDGET;
    const uintptr_t first = live_index(ctx, block_payload(ctx_block(ctx, (uintptr_t)ctx->first)));
    const uintptr_t limit = live_index(ctx, block_payload(ctx_block(ctx, (uintptr_t)ctx->top)));
    sweep->index = sweep->index > first ? sweep->index : first;
    if (move->from != NULL) {
        heap_set_owner(ctx, move->from, id);
        move->from = NULL;
    }
    while (budget > 0 && sweep->left != 0) {
        sweep->index = heap_next_live(ctx, sweep->index, limit, &budget);
        if (sweep->index >= limit) {
            return false;
        }
        if (budget <= 0) {
            break;
        }
        const void* ptr = live_address(ctx, sweep->index);
        sweep->index += 1;
        budget -= HEAP_SWEEP_LOOK;
        if (block_owner(block_of(ptr)) == id && module_begin_fill(ctx, ptr, move) == VERDICT_OK) {
            sweep->left -= 1;
            return true;
        }
    }
    return sweep->left != 0;
}

/* How many blocks a closed module has; 0 for what is none. */
static inline dmheap_word module_count(const struct dmheap_ctx* ctx, dmheap_word id)
{
    const struct record* record = record_of(ctx, id);
    return record != NULL ? record->references - 1 : 0;
}

/* ---- handles -------------------------------------------------------------------- */

/* The short path for a handle, at the default alignment. */
static inline struct dmheap_block* module_alloc_handled(struct dmheap_ctx* ctx, size_t size,
                                                        uint32_t id, uint32_t serial)
{
    struct record* record = record_of_handle(ctx, id, serial);
    enum dmheap_verdict verdict;
    struct dmheap_block* block = record != NULL ? heap_try_alloc(ctx, size, (dmheap_word)id) : NULL;
    block = module_charge(ctx, record, block, &verdict);
    if (block != NULL) {
        record->references++;
    }
    return block;
}

/* ---- questions ------------------------------------------------------------------ */

/* How many blocks a module has, that is found by its name. */
static inline size_t module_blocks(const struct record* record)
{
    return record->references != 0 ? (size_t)record->references - 1 : 0;
}

/* Is anything live at `ptr`, which may be any address? */
static inline bool module_has(const struct dmheap_ctx* ctx, const void* ptr)
{
    return live_is(ctx, ptr);
}

/* Is there a client's live block at `ptr`, as far as its owner and its size tell? */
static inline enum dmheap_verdict module_check(const struct dmheap_ctx* ctx, const void* ptr)
{
    uintptr_t index;
    uintptr_t behind;
    const enum dmheap_verdict verdict = module_find_block(ctx, ptr, &index, &behind);
    return verdict == VERDICT_OK && !heap_is_size(ctx, block_of(ptr)) ? VERDICT_DAMAGED : verdict;
}

/* The name of the module that a block belongs to; empty: nobody, or one that is going. */
static inline enum dmheap_verdict module_owner_of(const struct dmheap_ctx* ctx, const void* ptr,
                                                  char name[RECORD_NAME_MAX + 1])
{
    const enum dmheap_verdict verdict = module_check(ctx, ptr);
    if (verdict == VERDICT_OK) {
        record_show_name(ctx, record_of(ctx, block_owner(block_of(ptr))), name);
    }
    return verdict;
}

/* Bytes that a client may use in a block. */
static inline enum dmheap_verdict module_usable_size(const struct dmheap_ctx* ctx, const void* ptr,
                                                     size_t* size)
{
    const enum dmheap_verdict verdict = module_check(ctx, ptr);
    if (verdict == VERDICT_OK) {
        *size = (size_t)heap_usable(ctx, block_of(ptr));
    }
    return verdict;
}

/* ---- retag and rename ----------------------------------------------------------- */

/* The record of a name, which becomes known. NULL: *verdict says why. */
static inline struct record* module_make(struct dmheap_ctx* ctx, const char* text,
                                         enum dmheap_verdict* verdict)
{
    struct record* record = record_create(ctx, text, verdict);
    if (record == NULL) {
        *verdict = module_note(ctx, NULL, 0, *verdict);
    }
    return record;
}

/* The heap's peak, for module_restore_peak. */
static inline dmheap_word module_peak(struct dmheap_ctx* ctx)
{
    return DMHEAP_ACCOUNTING ? ctx_totals(ctx)->peak : 0;
}

/* What was made since was made for a request that is refused, and is gone. */
static inline void module_restore_peak(struct dmheap_ctx* ctx, dmheap_word peak)
{
    if (DMHEAP_ACCOUNTING) {
        ctx_totals(ctx)->peak = peak;
    }
}

/* A module was made for a request that is refused: it goes, and was never there. */
static inline void module_unmake(struct dmheap_ctx* ctx, struct record* record, dmheap_word peak)
{
    record_close(ctx, record);
    record_drop(ctx, record);
    module_restore_peak(ctx, peak);
}

/* Hand a live block over on both accounts. */
static inline enum dmheap_verdict module_transfer(struct dmheap_ctx* ctx, struct record* from,
                                                  struct record* to,
                                                  const struct dmheap_block* block)
{
    if (!DMHEAP_ACCOUNTING || from == to) {
        return VERDICT_OK;
    }
    struct dmheap_holding* holding = record_holding(ctx, to);
    const enum dmheap_verdict verdict =
        account_transfer(ctx, record_holding(ctx, from), holding, heap_size(ctx, block));
    return module_note(ctx, holding, (size_t)heap_usable(ctx, block), verdict);
}

/* Hand a live block to another module, which becomes known if it is not. */
static inline enum dmheap_verdict module_retag(struct dmheap_ctx* ctx, const void* ptr,
                                               const char* text)
{
    uintptr_t index;
    uintptr_t behind;
    struct dmheap_block* block = block_of(ptr);
    enum dmheap_verdict verdict = module_find_block(ctx, ptr, &index, &behind);
    if (verdict == VERDICT_OK &&
        ((DMHEAP_ACCOUNTING && !heap_is_size(ctx, block)) || !heap_is_whole(ctx, block))) {
        verdict = VERDICT_DAMAGED; /* what accounts would count twice, or a canary tells */
    }
    if (verdict != VERDICT_OK) {
        return verdict;
    }
    struct record* old_record = module_of(ctx, block_owner(block));
    if (DMHEAP_POISON && module_is_closed(old_record)) {
        return VERDICT_GONE; /* it may be filled already */
    }
    struct record* record = NULL;
    const dmheap_word peak = module_peak(ctx);
    bool is_new = false;
    if (!record_is_nobody(text)) {
        verdict = VERDICT_NO_MEMORY;
        record = record_find(ctx, text);
        is_new = record == NULL;
        record = is_new ? module_make(ctx, text, &verdict) : record;
        if (record == NULL) {
            return verdict;
        }
        record->references++;
    }
    verdict = module_transfer(ctx, old_record, record, block);
    if (verdict == VERDICT_OK) {
        heap_set_owner(ctx, block, record != NULL ? record->id : OWNER_NOBODY);
        record = old_record; /* the one that loses a reference */
    } else if (is_new) {
        record->references--;
        module_unmake(ctx, record, peak);
        record = NULL;
    }
    if (record != NULL) {
        record_drop(ctx, record);
    }
    return verdict;
}

/* A module that is getting another name. */
struct module_renaming {
    struct record* record;
    struct record* renamed; /* what is to take its place; NULL: it has that name already */
    uint32_t hash;          /* of the new name */
};

/* See that a module can have another name; then nothing but its new record is there yet. */
static DMHEAP_COLD enum dmheap_verdict module_begin_rename(struct dmheap_ctx* ctx,
                                                           const char* old_text,
                                                           const char* new_text,
                                                           struct module_renaming* renaming)
{
    struct record* record = record_is_nobody(old_text) ? NULL : record_find(ctx, old_text);
    renaming->record = record;
    renaming->renamed = NULL;
    if (record == NULL) {
        return VERDICT_NO_MODULE;
    }
    if (record_is_nobody(new_text)) {
        return VERDICT_BAD_NAME;
    }
    const struct record_name name = record_measure(new_text);
    if (name.length > RECORD_NAME_MAX) {
        return VERDICT_BAD_NAME;
    }
    record_id* link;
    const struct record* holder = record_find_measured(ctx, &name, &link);
    if (holder != NULL) {
        return holder == record ? VERDICT_OK : VERDICT_NAME_TAKEN;
    }
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    renaming->renamed = record_make(ctx, &name, &verdict);
    renaming->hash = name.hash;
    return renaming->renamed != NULL ? VERDICT_OK : module_note(ctx, NULL, 0, verdict);
}

/* Give it that name; its blocks stay its own. */
static DMHEAP_COLD void module_end_rename(struct dmheap_ctx* ctx,
                                          const struct module_renaming* renaming)
{
    if (renaming->renamed != NULL) {
        record_unlink(ctx, renaming->record);
        record_replace(ctx, renaming->record, renaming->renamed);
        record_link(ctx, renaming->renamed, renaming->hash);
    }
}

/* Or leave it as it was. */
static DMHEAP_COLD void module_cancel_rename(struct dmheap_ctx* ctx,
                                             const struct module_renaming* renaming)
{
    if (renaming->renamed != NULL) {
        (void)record_free(ctx, renaming->renamed);
    }
}

/* Both in one heap. */
static inline enum dmheap_verdict module_rename(struct dmheap_ctx* ctx, const char* old_text,
                                                const char* new_text)
{
    struct module_renaming renaming;
    const enum dmheap_verdict verdict = module_begin_rename(ctx, old_text, new_text, &renaming);
    if (verdict == VERDICT_OK) {
        module_end_rename(ctx, &renaming);
    }
    return verdict;
}

#endif
