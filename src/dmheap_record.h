/* SPDX-License-Identifier: MIT */
/*
 * Records: from a module's name to its id, and from an id to how much refers to it.
 *
 *   ctx->modules -> [ table | first group ]      group: [ slot | slot | ... | buckets ]
 *                                                          |
 *                                                          v
 *                                                 [ references | id | next | name ]
 *
 * By its id a record is found through a group's slot, by its name through one of a group's hash
 * buckets. Groups double (8, 16, 32 ... ids): few modules cost little, many stay few to a
 * bucket, and no record ever moves. Table, groups and records are blocks of the heap itself, made
 * with the first module that needs them and given back with the last: what a module's loading
 * took, its unloading returns.
 *
 * Knows: names and ids. Does not know: what a reference stands for, locks, logs.
 * Always holds: a record lives while its count of references is not 0, and so does its id. An
 * offset read from a table, which an overrun may have hit, is followed only where the live map
 * and the owner say that a block of the heap's own starts there.
 * Cost: by id constant; by name the name's length and, by expectation, one or two comparisons.
 */
#ifndef DMHEAP_RECORD_H
#define DMHEAP_RECORD_H

#include "dmheap_heap.h"

/* The longest name; a longer one is refused, so that no two are ever confused. */
#define RECORD_NAME_MAX 63U

#define RECORD_GROUP_LOG2 3U /* ids in the first group */
#define RECORD_GROUP      (1U << RECORD_GROUP_LOG2)
#define RECORD_GROUPS     (BLOCK_OWNER_BITS - RECORD_GROUP_LOG2)
#define RECORD_IDS        (OWNER_COUNT - RECORD_GROUP) /* all groups together */

DMHEAP_STATIC_ASSERT(RECORD_IDS - OWNER_MODULES == (DMHEAP_HEADER_BYTES == 4 ? 245 : 4085),
                     as_many_modules_as_the_manual_says);

#if DMHEAP_HEADER_BYTES == 4
typedef uint8_t record_id;
#else
typedef uint16_t record_id;
#endif

/* Offsets in here are those of payloads, so 0 is none. */
struct record {
    dmheap_word references;
    record_id id;
    record_id next; /* the next id in the bucket, 0: none */
    char name[];    /* empty once the module is unregistered */
};

struct record_group {
    record_id used;     /* ids in use */
    record_id fresh;    /* slots from here on were never used */
    record_id spare;    /* an id used before and free again, 0: none; its slot names the next */
    dmheap_word slot[]; /* one per id; behind them a bucket per id */
};

struct record_table {
    record_id modules;
    dmheap_word group[RECORD_GROUPS]; /* the first one stands behind the table, not in here */
};

/* A name, measured and hashed in one pass. */
struct record_name {
    const char* text;
    unsigned length; /* RECORD_NAME_MAX + 1: too long */
    uint32_t hash;
};

/* ---- the heap's own blocks --------------------------------------------------- */

static inline void* record_alloc(struct dmheap_ctx* ctx, size_t size)
{
    const struct dmheap_block* block =
        heap_alloc_aligned(ctx, (size_t)ctx->granule, size, OWNER_HEAP);
    return block != NULL ? block_payload(block) : NULL;
}

/* False: an overrun destroyed its tags or a neighbour's, and it stays where it is. */
static inline bool record_free(struct dmheap_ctx* ctx, const void* payload)
{
    return heap_free(ctx, payload) == VERDICT_OK;
}

/* The block of the heap's own whose payload is at `offset`, which may be anything; or NULL. */
static inline void* record_at(const struct dmheap_ctx* ctx, dmheap_word offset)
{
    void* payload = ctx_at(ctx, offset);
    return live_is(ctx, payload) && block_owner(block_of(payload)) == OWNER_HEAP ? payload : NULL;
}

/* ---- ids --------------------------------------------------------------------- */

/* Group g has the ids from 8 * 2^g - 8 to 8 * 2^(g + 1) - 9; a wrong id leads to no group there is. */
static inline unsigned record_group_of(dmheap_word id)
{
    return bits_highest_32((uint32_t)id + RECORD_GROUP) - RECORD_GROUP_LOG2;
}

static inline dmheap_word record_group_first(unsigned number)
{
    return ((dmheap_word)RECORD_GROUP << number) - RECORD_GROUP;
}

static inline unsigned record_group_size(unsigned number)
{
    return RECORD_GROUP << number;
}

/* Bytes of a group's payload. */
static inline size_t record_group_bytes(unsigned number)
{
    return offsetof(struct record_group, slot) +
           record_group_size(number) * (sizeof(dmheap_word) + sizeof(record_id));
}

/* Where the first group begins behind the table. */
static inline dmheap_word record_first_group_at(void)
{
    return (dmheap_word)bits_round_up(sizeof(struct record_table), sizeof(dmheap_word));
}

static inline struct record_table* record_table(const struct dmheap_ctx* ctx)
{
    return (struct record_table*)ctx_at(ctx, ctx->modules);
}

/* A group, or NULL where there is none of its size. */
static inline struct record_group* record_group(const struct dmheap_ctx* ctx, unsigned number)
{
    if (ctx->modules == 0 || number >= RECORD_GROUPS) {
        return NULL;
    }
    if (number == 0) {
        return (struct record_group*)ctx_at(ctx, ctx->modules + record_first_group_at());
    }
    const dmheap_word offset = record_table(ctx)->group[number];
    void* group = record_at(ctx, offset);
    return group != NULL && ctx->end - offset >= record_group_bytes(number) ? group : NULL;
}

/* A slot is an offset, which is even, or tells which id is spare next, and is odd. */
static inline bool record_slot_is_spare(dmheap_word slot)
{
    return (slot & 1) != 0;
}

static inline dmheap_word record_slot_of_spare(record_id next)
{
    return (dmheap_word)next << 1 | 1;
}

static inline record_id record_spare_of_slot(dmheap_word slot)
{
    return (record_id)(slot >> 1);
}

/* The record of an id, or NULL where no module has it - a header may have been written over. */
static inline struct record* record_of(const struct dmheap_ctx* ctx, dmheap_word id)
{
    const unsigned number = record_group_of(id);
    const struct record_group* group = record_group(ctx, number);
    const dmheap_word index = id - record_group_first(number);
    if (id < OWNER_MODULES || group == NULL || index >= group->fresh ||
        record_slot_is_spare(group->slot[index])) {
        return NULL;
    }
    struct record* record = (struct record*)record_at(ctx, group->slot[index]);
    return record != NULL && record->id == id ? record : NULL;
}

/* The same of a block's owner that is not nobody; the one found last by its name is proven. */
static inline struct record* record_of_hinted(const struct dmheap_ctx* ctx, dmheap_word id)
{
    return DMHEAP_LIKELY(id == ctx->hint_id) ? (struct record*)ctx_at(ctx, ctx->hint_module)
                                             : record_of(ctx, id);
}

/* ---- table and groups -------------------------------------------------------- */

/* Begin a group at `group`; slots are not cleared, for `fresh` tells which ones count. */
static inline void record_clear_group(struct record_group* group, unsigned number)
{
    group->used = 0;
    group->fresh = 0;
    group->spare = 0;
    memset(&group->slot[record_group_size(number)], 0,
           record_group_size(number) * sizeof(record_id));
}

/* Make the table, with the first group behind it; ids below OWNER_MODULES are taken. */
static inline bool record_make_table(struct dmheap_ctx* ctx)
{
    void* payload = record_alloc(ctx, (size_t)record_first_group_at() + record_group_bytes(0));
    if (payload == NULL) {
        return false;
    }
    memset(payload, 0, sizeof(struct record_table));
    ctx->modules = (dmheap_word)ctx_offset(ctx, payload);
    struct record_group* first = record_group(ctx, 0);
    record_clear_group(first, 0);
    first->used = (record_id)OWNER_MODULES;
    first->fresh = (record_id)OWNER_MODULES;
    memset(first->slot, 0, (size_t)OWNER_MODULES * sizeof(first->slot[0]));
    return true;
}

static inline bool record_make_group(struct dmheap_ctx* ctx, unsigned number)
{
    struct record_group* group =
        (struct record_group*)record_alloc(ctx, record_group_bytes(number));
    if (group == NULL) {
        return false;
    }
    record_clear_group(group, number);
    record_table(ctx)->group[number] = (dmheap_word)ctx_offset(ctx, group);
    return true;
}

/* Give back a group without ids, and the table when no module is left. */
static inline void record_tidy(struct dmheap_ctx* ctx, unsigned number)
{
    struct record_table* table = record_table(ctx);
    const struct record_group* group = record_group(ctx, number);
    if (number != 0 && group != NULL && group->used == 0) {
        table->group[number] = 0;
        (void)record_free(ctx, group);
    }
    if (table->modules == 0) {
        ctx->modules = 0;
        (void)record_free(ctx, table);
    }
}

/* The first group with a free id, made where it is missing; RECORD_GROUPS: there is none. */
static inline unsigned record_find_room(struct dmheap_ctx* ctx, enum dmheap_verdict* verdict)
{
    for (unsigned number = 0; number < RECORD_GROUPS; number++) {
        const struct record_group* group = record_group(ctx, number);
        if (group == NULL) {
            return record_make_group(ctx, number) ? number : RECORD_GROUPS;
        }
        if (group->used < record_group_size(number)) {
            return number;
        }
    }
    *verdict = VERDICT_NO_ID;
    return RECORD_GROUPS;
}

/*
 * Take an id of a group for `record`: a spare one, else a fresh one. False: the group's counts
 * were written over.
 */
static inline bool record_assign_id(struct dmheap_ctx* ctx, unsigned number, struct record* record)
{
    struct record_group* group = record_group(ctx, number);
    if (group == NULL) {
        return false;
    }
    const dmheap_word first = record_group_first(number);
    const dmheap_word spare = (dmheap_word)group->spare - first;
    dmheap_word index = group->fresh;
    if (group->spare != 0 && spare < record_group_size(number) && spare < group->fresh &&
        record_slot_is_spare(group->slot[spare])) {
        index = spare;
        group->spare = record_spare_of_slot(group->slot[spare]);
    } else if (index < record_group_size(number) && first + index >= OWNER_MODULES) {
        group->fresh++;
    } else {
        return false;
    }
    record->id = (record_id)(first + index);
    group->slot[index] = (dmheap_word)ctx_offset(ctx, record);
    group->used++;
    record_table(ctx)->modules++;
    return true;
}

static inline void record_return_id(struct dmheap_ctx* ctx, record_id id)
{
    const unsigned number = record_group_of(id);
    struct record_group* group = record_group(ctx, number);
    if (group != NULL) {
        group->slot[id - record_group_first(number)] = record_slot_of_spare(group->spare);
        group->spare = id;
        group->used--;
        record_table(ctx)->modules--;
        record_tidy(ctx, number);
    }
}

/* ---- names ------------------------------------------------------------------- */

/* Is this no module's name: NULL or empty? */
static inline bool record_is_nobody(const char* text)
{
    return text == NULL || text[0] == '\0';
}

/* FNV-1a by G. Fowler, L. C. Noll and K.-P. Vo. */
static inline struct record_name record_measure(const char* text)
{
    struct record_name name = {text, 0, 2166136261U};
    while (name.length <= RECORD_NAME_MAX && text[name.length] != '\0') {
        name.hash = (name.hash ^ (uint8_t)text[name.length]) * 16777619U;
        name.length++;
    }
    return name;
}

/* The bucket of a hash in a group, by the upper bits, which FNV mixes best. */
static inline record_id* record_bucket(struct record_group* group, unsigned number, uint32_t hash)
{
    record_id* const buckets = (record_id*)&group->slot[record_group_size(number)];
    return &buckets[hash >> (32 - RECORD_GROUP_LOG2 - number)];
}

static inline struct record* record_find_in(const struct dmheap_ctx* ctx, unsigned number,
                                            const struct record_name* name)
{
    struct record_group* group = record_group(ctx, number);
    if (group == NULL) {
        return NULL;
    }
    /* The last one's `next` is 0, which has no record; a chain written over ends as well. */
    unsigned left = record_group_size(number);
    struct record* record = record_of(ctx, *record_bucket(group, number, name->hash));
    while (record != NULL && strcmp(record->name, name->text) != 0) {
        record = --left != 0 ? record_of(ctx, record->next) : NULL;
    }
    return record;
}

static inline struct record* record_find_measured(const struct dmheap_ctx* ctx,
                                                  const struct record_name* name)
{
    struct record* record = NULL;
    if (name->length <= RECORD_NAME_MAX) {
        for (unsigned number = 0; number < RECORD_GROUPS && record == NULL; number++) {
            record = record_find_in(ctx, number, name);
        }
    }
    return record;
}

/* strcmp would do; for names as short as these a call costs as much as the comparison. */
static inline bool record_is_named(const struct record* record, const char* text)
{
    const char* name = record->name;
    while (*name == *text) {
        if (*name == '\0') {
            return true;
        }
        name++;
        text++;
    }
    return false;
}

/*
 * The record found last, if it was by this pointer and has this name; else NULL. The pointer is
 * a hint only: the text decides, for the memory it stands in may hold another one by now.
 */
static inline struct record* record_find_hinted(const struct dmheap_ctx* ctx, const char* text)
{
    struct record* record = (struct record*)ctx_at(ctx, ctx->hint_module);
    return ctx->hint_module != 0 && ctx->hint_name == (uint32_t)(uintptr_t)text &&
                   record_is_named(record, text)
               ? record
               : NULL;
}

/* The record of a name that is not empty, proven to be its id's; or NULL. */
static inline struct record* record_find(struct dmheap_ctx* ctx, const char* text)
{
    struct record* record = record_find_hinted(ctx, text);
    if (record == NULL || record->id != ctx->hint_id) {
        const struct record_name name = record_measure(text);
        record = record_find_measured(ctx, &name);
        if (record != NULL) {
            ctx->hint_module = (dmheap_word)ctx_offset(ctx, record);
            ctx->hint_id = record->id;
            ctx->hint_name = (uint32_t)(uintptr_t)text;
        }
    }
    return record;
}

/* Before the record found last goes, or its name. */
static inline void record_forget_hint(struct dmheap_ctx* ctx)
{
    ctx->hint_module = 0;
    ctx->hint_id = OWNER_NOBODY;
}

static inline void record_link(struct dmheap_ctx* ctx, struct record* record, uint32_t hash)
{
    const unsigned number = record_group_of(record->id);
    struct record_group* group = record_group(ctx, number);
    if (group != NULL) {
        record_id* bucket = record_bucket(group, number, hash);
        record->next = *bucket;
        *bucket = record->id;
    }
}

static inline void record_unlink(struct dmheap_ctx* ctx, const struct record* record)
{
    const unsigned number = record_group_of(record->id);
    const uint32_t hash = record_measure(record->name).hash;
    struct record_group* group = record_group(ctx, number);
    record_id* link = group != NULL ? record_bucket(group, number, hash) : NULL;
    unsigned left = record_group_size(number);
    while (link != NULL && *link != record->id) {
        struct record* before = left-- != 0 ? record_of(ctx, *link) : NULL;
        link = before != NULL ? &before->next : NULL;
    }
    if (link != NULL) {
        *link = record->next;
    }
    record_forget_hint(ctx);
}

/* ---- records ----------------------------------------------------------------- */

static inline struct record* record_make(struct dmheap_ctx* ctx, const struct record_name* name)
{
    struct record* record =
        (struct record*)record_alloc(ctx, offsetof(struct record, name) + name->length + 1);
    if (record != NULL) {
        record->references = 0;
        record->next = 0;
        memcpy(record->name, name->text, name->length);
        record->name[name->length] = '\0';
    }
    return record;
}

/*
 * Make a record for a name that has none, with the name's reference. On failure everything is as
 * before, and *verdict says why if not for want of memory.
 */
static DMHEAP_COLD struct record* record_create(struct dmheap_ctx* ctx, const char* text,
                                                enum dmheap_verdict* verdict)
{
    const struct record_name name = record_measure(text);
    if (name.length > RECORD_NAME_MAX) {
        *verdict = VERDICT_BAD_NAME;
        return NULL;
    }
    if (ctx->modules == 0 && !record_make_table(ctx)) {
        return NULL;
    }
    const unsigned number = record_find_room(ctx, verdict);
    if (number == RECORD_GROUPS) {
        return NULL; /* a table made just now has room, so there is none to give back */
    }
    struct record* record = record_make(ctx, &name);
    if (record == NULL || !record_assign_id(ctx, number, record)) {
        if (record != NULL) {
            (void)record_free(ctx, record);
        }
        record_tidy(ctx, number);
        return NULL;
    }
    record_link(ctx, record, name.hash);
    record->references = 1;
    return record;
}

/*
 * Give back the record of a module whose references ran out. If its name is still there, a block
 * whose owner was written over was freed on this module's account: then the name gets its
 * reference back, and the record stays.
 */
static DMHEAP_COLD void record_destroy(struct dmheap_ctx* ctx, struct record* record)
{
    if (record->name[0] != '\0') {
        record->references = 1;
        return;
    }
    const record_id id = record->id;
    record_forget_hint(ctx);
    (void)record_free(ctx, record);
    record_return_id(ctx, id);
}

/* Put `renamed` in the place of a record that is in no bucket: same id, same references. */
static inline void record_replace(struct dmheap_ctx* ctx, struct record* record,
                                  struct record* renamed)
{
    const unsigned number = record_group_of(record->id);
    struct record_group* group = record_group(ctx, number);
    renamed->references = record->references;
    renamed->id = record->id;
    if (group != NULL) {
        group->slot[record->id - record_group_first(number)] =
            (dmheap_word)ctx_offset(ctx, renamed);
    }
    (void)record_free(ctx, record);
}

/* Drop one reference; the last one takes the record and its id along. */
static inline void record_drop(struct dmheap_ctx* ctx, struct record* record)
{
    if (DMHEAP_UNLIKELY(record->references <= 1)) {
        record_destroy(ctx, record);
    } else {
        record->references--;
    }
}

#endif
