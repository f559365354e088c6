/* SPDX-License-Identifier: MIT */
/*
 * Modules: from a name to an owner id, and from an id to all that the module holds.
 *
 *   ctx->modules -> [ table | first group ]      group: [ record | record | ... ] by id
 *                                                          |
 *                                                          v
 *                                                 [ references | id | next | name ]
 *
 * By its name a record is found through a hash bucket; by its id through a group. Groups
 * double (8, 16, 32 ... ids), so that few modules cost little and none ever moves. Table,
 * groups and records are blocks of the heap itself, made with the first module that needs
 * them and given back with the last: what a module's loading took, its unloading returns.
 *
 * Knows: names, ids, how many blocks each id has. Does not know: locks, logs.
 * Always holds: a record lives while anything refers to it; its name counts as one and each
 * block as one. So no id is used again while a block or a sweep still carries it.
 * Cost: constant, the name's length apart. The name used last is compared at once, any
 * other one within its bucket.
 */
#ifndef DMHEAP_MODULE_H
#define DMHEAP_MODULE_H

#include "dmheap_heap.h"

/* The longest name; a longer one is refused, so that no two are ever confused. */
#define MODULE_NAME_MAX 63U

#define MODULE_BUCKETS_LOG2 4U
#define MODULE_BUCKETS      (1U << MODULE_BUCKETS_LOG2)
#define MODULE_GROUP_LOG2   3U /* ids in the first group */
#define MODULE_GROUP        (1U << MODULE_GROUP_LOG2)
#define MODULE_GROUPS       (BLOCK_OWNER_BITS - MODULE_GROUP_LOG2)
#define MODULE_IDS          (OWNER_COUNT - MODULE_GROUP) /* all groups together */

#if DMHEAP_HEADER_BYTES == 4
typedef uint8_t module_id;
#else
typedef uint16_t module_id;
#endif

/* Offsets in here are those of payloads, so 0 is none. */
struct module_record {
    dmheap_word references;
    module_id id;
    module_id next; /* the next id in the bucket, 0: none */
    char name[];    /* empty once the module is unregistered */
};

struct module_group {
    module_id used;  /* ids in use */
    module_id fresh; /* ids from here on were never used */
    module_id spare; /* an id used before and free again, 0: none; its slot names the next */
    dmheap_word slot[];
};

struct module_table {
    module_id modules;
    module_id bucket[MODULE_BUCKETS];
    dmheap_word group[MODULE_GROUPS];
};

/* A name, measured and hashed in one pass. */
struct module_name {
    const char* text;
    unsigned length; /* MODULE_NAME_MAX + 1: too long */
    unsigned bucket;
};

static inline void* module_at(const struct dmheap_ctx* ctx, dmheap_word offset)
{
    return (void*)((uintptr_t)ctx + (uintptr_t)offset);
}

static inline struct module_table* module_table(const struct dmheap_ctx* ctx)
{
    return (struct module_table*)module_at(ctx, ctx->modules);
}

/* ---- ids --------------------------------------------------------------------- */

/* Group g has the ids from 8 * 2^g - 8 to 8 * 2^(g + 1) - 9. */
static inline unsigned module_group_of(dmheap_word id)
{
    return bits_highest_32((uint32_t)id + MODULE_GROUP) - MODULE_GROUP_LOG2;
}

static inline dmheap_word module_group_first(unsigned group)
{
    return ((dmheap_word)MODULE_GROUP << group) - MODULE_GROUP;
}

static inline struct module_group* module_group(const struct dmheap_ctx* ctx, unsigned group)
{
    return (struct module_group*)module_at(ctx, module_table(ctx)->group[group]);
}

static inline dmheap_word* module_slot(const struct dmheap_ctx* ctx, dmheap_word id)
{
    const unsigned group = module_group_of(id);
    return &module_group(ctx, group)->slot[id - module_group_first(group)];
}

/* The record of an id, or NULL where no module has it - a header may have been written over. */
static inline struct module_record* module_of(const struct dmheap_ctx* ctx, dmheap_word id)
{
    const unsigned number = module_group_of(id);
    if (ctx->modules == 0 || number >= MODULE_GROUPS || module_table(ctx)->group[number] == 0) {
        return NULL;
    }
    const struct module_group* group = module_group(ctx, number);
    const dmheap_word index = id - module_group_first(number);
    if (index >= group->fresh || group->slot[index] == 0 || (group->slot[index] & 1) != 0) {
        return NULL;
    }
    return (struct module_record*)module_at(ctx, group->slot[index]);
}

/* ---- the heap's own blocks --------------------------------------------------- */

static inline void* module_alloc_own(struct dmheap_ctx* ctx, size_t size,
                                     enum dmheap_verdict* verdict)
{
    struct dmheap_block* block =
        heap_alloc_aligned(ctx, (size_t)ctx->granule, size, OWNER_HEAP, verdict);
    return block != NULL ? memset(block_payload(block), 0, size) : NULL;
}

/* False: an overrun destroyed its tags or a neighbour's, and it stays where it is. */
static inline bool module_free_own(struct dmheap_ctx* ctx, const void* payload)
{
    return heap_free(ctx, payload) == VERDICT_OK;
}

/* ---- table and groups -------------------------------------------------------- */

/* Make the table, with the first group behind it; ids below OWNER_MODULES are taken. */
static inline bool module_make_table(struct dmheap_ctx* ctx, enum dmheap_verdict* verdict)
{
    struct module_table* table;
    struct module_group* group;
    const size_t group_at = (size_t)bits_round_up(sizeof(*table), sizeof(dmheap_word));
    table = (struct module_table*)module_alloc_own(
        ctx, group_at + sizeof(*group) + MODULE_GROUP * sizeof(dmheap_word), verdict);
    if (table == NULL) {
        return false;
    }
    ctx->modules = (dmheap_word)ctx_offset(ctx, table);
    table->group[0] = ctx->modules + (dmheap_word)group_at;
    group = module_group(ctx, 0);
    group->used = (module_id)OWNER_MODULES;
    group->fresh = (module_id)OWNER_MODULES;
    return true;
}

static inline bool module_make_group(struct dmheap_ctx* ctx, unsigned number,
                                     enum dmheap_verdict* verdict)
{
    const size_t slots = (size_t)MODULE_GROUP << number;
    void* group =
        module_alloc_own(ctx, sizeof(struct module_group) + slots * sizeof(dmheap_word), verdict);
    if (group == NULL) {
        return false;
    }
    module_table(ctx)->group[number] = (dmheap_word)ctx_offset(ctx, group);
    return true;
}

/* Give back a group without ids, and the table when no module is left. */
static inline void module_tidy(struct dmheap_ctx* ctx, unsigned number)
{
    struct module_table* table = module_table(ctx);
    if (number != 0 && module_group(ctx, number)->used == 0) {
        (void)module_free_own(ctx, module_group(ctx, number));
        table->group[number] = 0;
    }
    if (table->modules == 0) {
        ctx->modules = 0;
        (void)module_free_own(ctx, table);
    }
}

/* The first group with a free id, made where it is missing; MODULE_GROUPS: there is none. */
static inline unsigned module_find_room(struct dmheap_ctx* ctx, enum dmheap_verdict* verdict)
{
    const struct module_table* table = module_table(ctx);
    for (unsigned number = 0; number < MODULE_GROUPS; number++) {
        if (table->group[number] == 0) {
            return module_make_group(ctx, number, verdict) ? number : MODULE_GROUPS;
        }
        if (module_group(ctx, number)->used < (MODULE_GROUP << number)) {
            return number;
        }
    }
    *verdict = VERDICT_NO_ID;
    return MODULE_GROUPS;
}

/* Take an id of a group that has one for `record`. */
static inline void module_assign_id(struct dmheap_ctx* ctx, unsigned number,
                                    struct module_record* record)
{
    struct module_group* group = module_group(ctx, number);
    if (group->spare != 0) {
        record->id = group->spare;
        group->spare = (module_id)(*module_slot(ctx, record->id) >> 1);
    } else {
        record->id = (module_id)(module_group_first(number) + group->fresh);
        group->fresh++;
    }
    group->used++;
    module_table(ctx)->modules++;
    *module_slot(ctx, record->id) = (dmheap_word)ctx_offset(ctx, record);
}

static inline void module_return_id(struct dmheap_ctx* ctx, module_id id)
{
    const unsigned number = module_group_of(id);
    struct module_group* group = module_group(ctx, number);
    *module_slot(ctx, id) = (dmheap_word)group->spare << 1 | 1;
    group->spare = id;
    group->used--;
    module_table(ctx)->modules--;
    module_tidy(ctx, number);
}

/* ---- names ------------------------------------------------------------------- */

/* FNV-1a by G. Fowler, L. C. Noll and K.-P. Vo; its upper bits choose the bucket. */
static inline struct module_name module_measure(const char* text)
{
    struct module_name name = {text, 0, 0};
    uint32_t hash = 2166136261U;
    while (name.length <= MODULE_NAME_MAX && text[name.length] != '\0') {
        hash = (hash ^ (uint8_t)text[name.length]) * 16777619U;
        name.length++;
    }
    name.bucket = hash >> (32 - MODULE_BUCKETS_LOG2);
    return name;
}

static inline struct module_record* module_find_measured(const struct dmheap_ctx* ctx,
                                                         const struct module_name* name)
{
    if (ctx->modules == 0 || name->length > MODULE_NAME_MAX) {
        return NULL;
    }
    /* The last one's `next` is 0, which has no record; a bucket written over ends as well. */
    module_id left = module_table(ctx)->modules;
    struct module_record* record = module_of(ctx, module_table(ctx)->bucket[name->bucket]);
    while (record != NULL && strcmp(record->name, name->text) != 0) {
        record = left-- != 0 ? module_of(ctx, record->next) : NULL;
    }
    return record;
}

/*
 * The record found last, if it was by this pointer and has this name; else NULL. The pointer is
 * a hint only: the text decides, for the memory it stands in may hold another one by now.
 */
static inline struct module_record* module_find_again(const struct dmheap_ctx* ctx,
                                                      const char* text)
{
    struct module_record* record = (struct module_record*)module_at(ctx, ctx->hint_module);
    return ctx->hint_module != 0 && ctx->hint_name == (uint32_t)(uintptr_t)text &&
                   strcmp(record->name, text) == 0
               ? record
               : NULL;
}

/* The record of a name that is not empty, or NULL. */
static inline struct module_record* module_find(struct dmheap_ctx* ctx, const char* text)
{
    struct module_record* record = module_find_again(ctx, text);
    if (record == NULL) {
        const struct module_name name = module_measure(text);
        record = module_find_measured(ctx, &name);
        if (record != NULL) {
            ctx->hint_module = (dmheap_word)ctx_offset(ctx, record);
            ctx->hint_name = (uint32_t)(uintptr_t)text;
        }
    }
    return record;
}

static inline void module_link(struct dmheap_ctx* ctx, struct module_record* record,
                               const struct module_name* name)
{
    module_id* bucket = &module_table(ctx)->bucket[name->bucket];
    record->next = *bucket;
    *bucket = record->id;
}

static inline void module_unlink(struct dmheap_ctx* ctx, const struct module_record* record)
{
    const struct module_name name = module_measure(record->name);
    module_id* link = &module_table(ctx)->bucket[name.bucket];
    module_id left = module_table(ctx)->modules;
    struct module_record* before = module_of(ctx, *link);
    while (before != NULL && before != record && left-- != 0) {
        link = &before->next;
        before = module_of(ctx, *link);
    }
    if (before == record) {
        *link = record->next;
    }
    ctx->hint_module = 0;
}

/* ---- records ----------------------------------------------------------------- */

static inline struct module_record* module_make_record(struct dmheap_ctx* ctx,
                                                       const struct module_name* name,
                                                       enum dmheap_verdict* verdict)
{
    struct module_record* record = (struct module_record*)module_alloc_own(
        ctx, offsetof(struct module_record, name) + name->length + 1, verdict);
    if (record != NULL) {
        memcpy(record->name, name->text, name->length);
    }
    return record;
}

/* Make a record for a name that has none. On failure everything is as before. */
static DMHEAP_NOINLINE struct module_record* module_create(struct dmheap_ctx* ctx, const char* text,
                                                           enum dmheap_verdict* verdict)
{
    const struct module_name name = module_measure(text);
    if (name.length > MODULE_NAME_MAX) {
        *verdict = VERDICT_BAD_NAME;
        return NULL;
    }
    if (ctx->modules == 0 && !module_make_table(ctx, verdict)) {
        return NULL;
    }
    const unsigned number = module_find_room(ctx, verdict);
    if (number == MODULE_GROUPS) {
        return NULL; /* a table made just now has room, so there is none to give back */
    }
    struct module_record* record = module_make_record(ctx, &name, verdict);
    if (record == NULL) {
        module_tidy(ctx, number);
        return NULL;
    }
    module_assign_id(ctx, number, record);
    module_link(ctx, record, &name);
    record->references = 1;
    return record;
}

/*
 * Give back the record of a module that nothing refers to. One that still has its name lost the
 * name's reference to a block whose owner was written over, and keeps living.
 */
static DMHEAP_NOINLINE void module_destroy(struct dmheap_ctx* ctx, struct module_record* record)
{
    if (record->name[0] != '\0') {
        record->references = 1;
        return;
    }
    const module_id id = record->id;
    (void)module_free_own(ctx, record);
    module_return_id(ctx, id);
}

/* Drop one reference; the last one takes the record and its id along. */
static inline void module_drop(struct dmheap_ctx* ctx, struct module_record* record)
{
    record->references--;
    if (DMHEAP_UNLIKELY(record->references == 0)) {
        module_destroy(ctx, record);
    }
}

/* Is this no module's name: NULL or empty? */
static inline bool module_is_nobody(const char* text)
{
    return text == NULL || text[0] == '\0';
}

/* Find the live block at `ptr`, which may be any address. */
static inline enum dmheap_verdict module_find_block(const struct dmheap_ctx* ctx, const void* ptr,
                                                    struct dmheap_block** found)
{
    if (!live_is(ctx, ptr)) {
        return VERDICT_BAD_POINTER;
    }
    *found = block_of(ptr);
    const dmheap_word owner = block_owner(*found);
    if (owner == OWNER_HEAP) {
        return VERDICT_BAD_POINTER;
    }
    return owner == OWNER_NOBODY || (owner != OWNER_FREE && module_of(ctx, owner) != NULL)
               ? VERDICT_OK
               : VERDICT_DAMAGED;
}

/* ---- what the public functions do, inside the lock ---------------------------- */

/* Allocate, at the default alignment at least. NULL: *verdict says why. */
static inline struct dmheap_block* module_alloc_for(struct dmheap_ctx* ctx, size_t alignment,
                                                    size_t size, dmheap_word owner,
                                                    enum dmheap_verdict* verdict)
{
    if (alignment > ctx->alignment) {
        return heap_alloc_aligned(ctx, alignment, size, owner, verdict);
    }
    return heap_alloc(ctx, size, owner, verdict);
}

/* The first allocation of an unknown name. The block comes first: without it, no record. */
static DMHEAP_NOINLINE struct dmheap_block* module_alloc_first(struct dmheap_ctx* ctx,
                                                               size_t alignment, size_t size,
                                                               const char* text,
                                                               enum dmheap_verdict* verdict)
{
    struct dmheap_block* block = module_alloc_for(ctx, alignment, size, OWNER_HEAP, verdict);
    if (block == NULL) {
        return NULL;
    }
    struct module_record* record = module_create(ctx, text, verdict);
    if (record == NULL) {
        (void)module_free_own(ctx, block_payload(block));
        return NULL;
    }
    record->references++;
    block_set_owner(block, record->id);
    return block;
}

static inline struct dmheap_block* module_alloc(struct dmheap_ctx* ctx, size_t alignment,
                                                size_t size, const char* text,
                                                enum dmheap_verdict* verdict)
{
    if (module_is_nobody(text)) {
        return module_alloc_for(ctx, alignment, size, OWNER_NOBODY, verdict);
    }
    struct module_record* record = module_find(ctx, text);
    if (record == NULL) {
        return module_alloc_first(ctx, alignment, size, text, verdict);
    }
    struct dmheap_block* block = module_alloc_for(ctx, alignment, size, record->id, verdict);
    if (block != NULL) {
        record->references++;
    }
    return block;
}

/* The short path for the module found last. */
static DMHEAP_NOINLINE DMHEAP_HOT struct dmheap_block*
module_try_again(struct dmheap_ctx* ctx, size_t size, const char* text)
{
    struct module_record* record = module_find_again(ctx, text);
    struct dmheap_block* block = record != NULL ? heap_try(ctx, size, record->id) : NULL;
    if (block != NULL) {
        record->references++;
    }
    return block;
}

/*
 * The short path of module_alloc: for nobody, or for the module found last, at the default
 * alignment. NULL may also mean that this is a case for module_alloc.
 */
static inline struct dmheap_block* module_try(struct dmheap_ctx* ctx, size_t size, const char* text)
{
    return text == NULL ? heap_try(ctx, size, OWNER_NOBODY) : module_try_again(ctx, size, text);
}

/* Free the block at `ptr`, which live_take took out of the live map, or put it back there. */
static DMHEAP_NOINLINE DMHEAP_HOT enum dmheap_verdict module_release(struct dmheap_ctx* ctx,
                                                                     const void* ptr)
{
    struct dmheap_block* block = block_of(ptr);
    const dmheap_word owner = block_owner(block);
    struct module_record* record = owner < OWNER_MODULES ? NULL : module_of(ctx, owner);
    if (DMHEAP_LIKELY(record != NULL && heap_release(ctx, block))) {
        module_drop(ctx, record);
        return VERDICT_OK;
    }
    live_set(ctx, live_index(ctx, ptr));
    return owner == OWNER_HEAP ? VERDICT_BAD_POINTER : VERDICT_DAMAGED;
}

/* Free whatever is live at `ptr`, which may be any address. */
static inline enum dmheap_verdict module_free(struct dmheap_ctx* ctx, const void* ptr)
{
    if (DMHEAP_UNLIKELY(!live_take(ctx, ptr))) {
        return VERDICT_BAD_POINTER;
    }
    struct dmheap_block* block = block_of(ptr);
    if (block_owner(block) != OWNER_NOBODY) {
        return module_release(ctx, ptr);
    }
    if (DMHEAP_UNLIKELY(!heap_release(ctx, block))) {
        live_set(ctx, live_index(ctx, ptr));
        return VERDICT_DAMAGED;
    }
    return VERDICT_OK;
}

/*
 * A block on its way to another place. While its content is copied, outside the lock, both
 * places belong to the heap: nobody can free them, no sweep takes them. The old one's
 * reference to its module stays and goes over to the new one.
 */
struct module_move {
    struct dmheap_block* from;
    struct dmheap_block* to;
    dmheap_word owner;
    dmheap_word bytes; /* to copy */
};

/* Resize in place, or prepare a move: VERDICT_MUST_MOVE. */
static inline enum dmheap_verdict module_resize(struct dmheap_ctx* ctx, const void* ptr,
                                                size_t size, struct module_move* move)
{
    struct dmheap_block* block = NULL;
    enum dmheap_verdict verdict = module_find_block(ctx, ptr, &block);
    if (verdict == VERDICT_OK) {
        verdict = heap_resize(ctx, block, size);
    }
    if (verdict != VERDICT_MUST_MOVE) {
        return verdict;
    }
    const dmheap_word alignment = heap_alignment(ctx, block);
    enum dmheap_verdict found = VERDICT_NO_MEMORY;
    move->from = block;
    move->owner = block_owner(block);
    move->bytes = block_capacity(block);
    move->to = module_alloc_for(ctx, (size_t)alignment, size, OWNER_HEAP, &found);
    if (move->to == NULL) {
        return found;
    }
    block_set_owner(block, OWNER_HEAP);
    return VERDICT_MUST_MOVE;
}

/*
 * The content is copied: free the old place and hand the new one to the owner, if it lives.
 * VERDICT_DAMAGED: the old place could not be freed and stays the owner's, too.
 */
static inline enum dmheap_verdict module_finish_move(struct dmheap_ctx* ctx,
                                                     const struct module_move* move)
{
    struct module_record* record = move->owner < OWNER_MODULES ? NULL : module_of(ctx, move->owner);
    const bool is_gone = record != NULL && record->name[0] == '\0';
    const bool is_freed = module_free_own(ctx, block_payload(move->from));
    if (is_gone) {
        (void)module_free_own(ctx, block_payload(move->to));
        module_drop(ctx, record);
        return VERDICT_GONE;
    }
    block_set_owner(move->to, move->owner);
    if (is_freed) {
        return VERDICT_OK;
    }
    block_set_owner(move->from, move->owner);
    if (record != NULL) {
        record->references++;
    }
    return VERDICT_DAMAGED;
}

/*
 * Take a module's name away, so that no block can come to it any more and a new module may
 * have the name. The name's reference goes to the caller, who sweeps and then drops it; the
 * text goes to `name`, for the one given may stand in memory that the sweep frees.
 */
static inline struct module_record* module_close(struct dmheap_ctx* ctx, const char* text,
                                                 char name[MODULE_NAME_MAX + 1])
{
    struct module_record* record = module_is_nobody(text) ? NULL : module_find(ctx, text);
    if (record != NULL) {
        memcpy(name, record->name, strlen(record->name) + 1);
        module_unlink(ctx, record);
        record->name[0] = '\0';
    }
    return record;
}

/* One slice of freeing a closed module's blocks; true while there is more, else it is gone. */
static inline bool module_sweep(struct dmheap_ctx* ctx, struct module_record* record,
                                struct heap_sweep* sweep)
{
    const dmheap_word blocks = record->references - 1;
    sweep->left = blocks;
    const bool more = heap_sweep(ctx, record->id, sweep);
    record->references -= blocks - sweep->left;
    if (!more) {
        module_drop(ctx, record);
    }
    return more;
}

/* Hand a live block to another module, which becomes known if it is not. */
static inline enum dmheap_verdict module_retag(struct dmheap_ctx* ctx, const void* ptr,
                                               const char* text)
{
    struct dmheap_block* block = NULL;
    enum dmheap_verdict verdict = module_find_block(ctx, ptr, &block);
    if (verdict != VERDICT_OK) {
        return verdict;
    }
    const dmheap_word old_owner = block_owner(block);
    struct module_record* old_record = old_owner < OWNER_MODULES ? NULL : module_of(ctx, old_owner);
    struct module_record* record = NULL;
    if (!module_is_nobody(text)) {
        verdict = VERDICT_NO_MEMORY;
        record = module_find(ctx, text);
        if (record == NULL && (record = module_create(ctx, text, &verdict)) == NULL) {
            return verdict;
        }
        record->references++;
    }
    block_set_owner(block, record != NULL ? record->id : OWNER_NOBODY);
    if (old_record != NULL) {
        module_drop(ctx, old_record);
    }
    return VERDICT_OK;
}

/* Give a module another name; its blocks stay its own. */
static inline enum dmheap_verdict module_rename(struct dmheap_ctx* ctx, const char* old_text,
                                                const char* new_text)
{
    struct module_record* record = module_is_nobody(old_text) ? NULL : module_find(ctx, old_text);
    if (record == NULL) {
        return VERDICT_NO_MODULE;
    }
    if (module_is_nobody(new_text)) {
        return VERDICT_BAD_NAME;
    }
    const struct module_name name = module_measure(new_text);
    if (name.length > MODULE_NAME_MAX) {
        return VERDICT_BAD_NAME;
    }
    if (module_find_measured(ctx, &name) != NULL) {
        return strcmp(old_text, new_text) == 0 ? VERDICT_OK : VERDICT_NAME_TAKEN;
    }
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    struct module_record* renamed = module_make_record(ctx, &name, &verdict);
    if (renamed == NULL) {
        return verdict;
    }
    module_unlink(ctx, record);
    renamed->references = record->references;
    renamed->id = record->id;
    *module_slot(ctx, renamed->id) = (dmheap_word)ctx_offset(ctx, renamed);
    module_link(ctx, renamed, &name);
    (void)module_free_own(ctx, record);
    return VERDICT_OK;
}

#endif
