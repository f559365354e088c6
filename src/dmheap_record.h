/* SPDX-License-Identifier: MIT */
/*
 * Records: from a module's name to its id, and from an id to how much refers to it.
 *
 *   ctx->group[] -> [ used | spare | given | slot | slot | ... | buckets ]
 *                                              |
 *                                              v
 *                                     [ references | serial | id | next | name ]
 *
 * By its id a record is found through a group's slot, by its name through one of a group's hash
 * buckets. Groups quadruple (12, 48, 192 ... ids): few modules cost little, many stay few to a
 * bucket, and no record ever moves. Groups and records are blocks of the heap itself, made
 * with the first module that needs them and given back with the last: what a module's loading
 * took, its unloading returns.
 *
 * Knows: names and ids. Does not know: what a reference stands for, locks, logs.
 * Always holds: a record lives while its count of references is not 0, and so does its id. A record
 * is followed only where the live map and the owner say that a block of the heap's own starts
 * there. A group is proven so before it is written to, and may be read without that, for what is
 * read there is proven.
 * Cost: by id constant; by name the name's length and, by expectation, one or two comparisons.
 */
#ifndef DMHEAP_RECORD_H
#define DMHEAP_RECORD_H

#include "dmheap_account.h"

/* The longest name; a longer one is refused, so that no two are ever confused. */
#define RECORD_NAME_MAX 63U

/* Is it noted which records were found lately? Not to save space. */
#define RECORD_HINTS DMHEAP_SHORT_PATHS

#define RECORD_GROUPS       DMHEAP_MODULE_GROUPS
#define RECORD_BUCKETS_LOG2 3U /* of the first group; each further one has four times as many */
#define RECORD_ID_END       (OWNER_COUNT - 1) /* modules' ids: from OWNER_MODULES up to there */

DMHEAP_STATIC_ASSERT(RECORD_ID_END - OWNER_MODULES == (DMHEAP_HEADER_BYTES == 4 ? 252 : 4092),
                     as_many_modules_as_the_manual_says);

#if DMHEAP_HEADER_BYTES == 4
typedef uint8_t record_id;
#else
typedef uint16_t record_id;
#endif

/* Offsets in here are those of payloads, so 0 is none. */
struct record {
    dmheap_word references;
    uint32_t serial; /* no other module has it, or had it before */
    record_id id;
    record_id next; /* the next id in the bucket, 0: none */
#if DMHEAP_ACCOUNTING
    struct dmheap_holding holding;
#endif
    char name[]; /* empty once the module is unregistered */
};

/* What a module holds; NULL stands for nobody. Only to be used where DMHEAP_ACCOUNTING is 1. */
#if DMHEAP_ACCOUNTING
static inline struct dmheap_holding* record_holding(struct dmheap_ctx* ctx, struct record* record)
{
    return record != NULL ? &record->holding : &ctx_totals(ctx)->nobody;
}
#else
static inline struct dmheap_holding* record_holding(struct dmheap_ctx* ctx, struct record* record)
{
    (void)ctx;
    (void)record;
    return NULL;
}
#endif

struct record_group {
    record_id used;     /* ids in use */
    record_id spare;    /* the first free slot; as many as there are slots: none */
    record_id given;    /* slots that were ever in use; those behind hold anything */
    record_id unused;   /* what padding is on most targets: an image is the same everywhere */
    dmheap_word slot[]; /* one per id; behind them two buckets for three ids */
};

/* A name, measured and hashed in one pass. */
struct record_name {
    const char* text;
    unsigned length; /* RECORD_NAME_MAX + 1: too long */
    uint32_t hash;
};

/* ---- the heap's own blocks --------------------------------------------------- */

/* False: an overrun destroyed its tags or a neighbour's, and it stays where it is. */
static inline bool record_free(struct dmheap_ctx* ctx, const void* payload)
{
    return heap_free(ctx, payload) == VERDICT_OK;
}

/* NULL: *verdict says why, if not for want of memory. */
static inline void* record_alloc(struct dmheap_ctx* ctx, size_t size, enum dmheap_verdict* verdict)
{
    const struct dmheap_block* block =
        heap_alloc_aligned(ctx, (size_t)ctx_granule(ctx), size, OWNER_HEAP);
    if (block == NULL) {
        if (DMHEAP_ACCOUNTING) {
            *verdict = account_reason(ctx, NULL, size);
        }
        return NULL;
    }
    if (DMHEAP_ACCOUNTING && !account_is_covered(ctx)) {
        (void)record_free(ctx, block_payload(block));
        *verdict = VERDICT_RESERVE;
        return NULL;
    }
    return block_payload(block);
}

/*
 * The block of the heap's own whose payload is at `offset`, which may be anything; or NULL. That
 * nothing is at 0 is not left to the live map, for the header would stand in front of the heap.
 */
static inline void* record_at(const struct dmheap_ctx* ctx, dmheap_word offset)
{
    void* payload = ctx_at(ctx, offset);
    return offset != 0 && live_is(ctx, payload) && block_owner(block_of(payload)) == OWNER_HEAP
               ? payload
               : NULL;
}

/* ---- ids --------------------------------------------------------------------- */

/* Group g has the ids from 4^(g + 1) - 1 to 4^(g + 2) - 2; a wrong id leads to no group. */
static inline unsigned record_group_of(dmheap_word id)
{
    return bits_highest_32((uint32_t)id + 1) / 2 - 1;
}

static inline dmheap_word record_group_first(unsigned number)
{
    return ((dmheap_word)4 << 2 * number) - 1;
}

static inline unsigned record_group_size(unsigned number)
{
    return 12U << 2 * number;
}

static inline unsigned record_group_buckets(unsigned number)
{
    return 1U << (RECORD_BUCKETS_LOG2 + 2 * number);
}

/* Bytes of a group's payload. */
static inline size_t record_group_bytes(unsigned number)
{
    return offsetof(struct record_group, slot) + record_group_size(number) * sizeof(dmheap_word) +
           record_group_buckets(number) * sizeof(record_id);
}

/* A group, or NULL where there is none of that number: whoever writes into it asks for it so. */
static inline struct record_group* record_group(const struct dmheap_ctx* ctx, unsigned number)
{
    return number < RECORD_GROUPS ? (struct record_group*)record_at(ctx, ctx->group[number]) : NULL;
}

/* A slot is an offset, which is even, or free: then it names the next free one, and is odd. */
static inline bool record_slot_is_free(dmheap_word slot)
{
    return (slot & 1) != 0;
}

static inline dmheap_word record_slot_of_next(dmheap_word next)
{
    return next << 1 | 1;
}

static inline dmheap_word record_next_of_slot(dmheap_word slot)
{
    return slot >> 1;
}

/*
 * The record of an id, or NULL where no module has it - a header may have been written over. Its
 * group needs no proof, for what stands in the slot is proven.
 */
static inline struct record* record_of(const struct dmheap_ctx* ctx, dmheap_word id)
{
    const unsigned number = record_group_of(id);
    if (number >= RECORD_GROUPS || ctx->group[number] == 0) {
        return NULL;
    }
    const struct record_group* group = (const struct record_group*)ctx_at(ctx, ctx->group[number]);
    const dmheap_word index = id - record_group_first(number);
    struct record* record =
        index < group->given ? (struct record*)record_at(ctx, group->slot[index]) : NULL;
    return record != NULL && record->id == id ? record : NULL;
}

/*
 * The same for an owner other than OWNER_NOBODY, which hint_id is while there is no hint. The
 * hinted record was proven when it was found, and is forgotten before it goes; with DMHEAP_GUARD no
 * hint is followed that is not proven again.
 */
static inline struct record* record_of_hinted(const struct dmheap_ctx* ctx, dmheap_word id)
{
    return DMHEAP_LIKELY(RECORD_HINTS && !DMHEAP_GUARD && id == ctx->hint_id)
               ? (struct record*)ctx_at(ctx, ctx->hint_module)
               : record_of(ctx, id);
}

/*
 * The first record with a name among `most` ids from *id on, or NULL; *id is where to look on. Slots
 * that were never used are passed by whole groups.
 */
static inline const struct record* record_next(const struct dmheap_ctx* ctx, dmheap_word* id,
                                               unsigned most)
{
    for (; most != 0 && *id < RECORD_ID_END; most--) {
        const unsigned number = record_group_of(*id);
        const dmheap_word first = record_group_first(number);
        const struct record_group* group = record_group(ctx, number);
        if (group == NULL || *id - first >= group->given) {
            *id = record_group_first(number + 1);
            continue;
        }
        const struct record* record = record_of(ctx, *id);
        *id += 1;
        if (record != NULL && record->name[0] != '\0') {
            return record;
        }
    }
    return NULL;
}

/* Hint at the record of an id from now on. */
static inline void record_hint_id(struct dmheap_ctx* ctx, const struct record* record,
                                  dmheap_word id)
{
    if (RECORD_HINTS && DMHEAP_UNLIKELY(id != ctx->hint_id)) {
        ctx->hint_module = (dmheap_word)ctx_offset(ctx, record);
        ctx->hint_id = id;
    }
}

/*
 * The record of that id and serial, both of which may be anything, if it has a name; or NULL. What has
 * that id is hinted at from now on.
 */
static inline struct record* record_of_handle(struct dmheap_ctx* ctx, uint32_t id, uint32_t serial)
{
    if (id < OWNER_MODULES || id >= RECORD_ID_END) {
        return NULL;
    }
    struct record* record = record_of_hinted(ctx, (dmheap_word)id);
    if (record != NULL) {
        record_hint_id(ctx, record, (dmheap_word)id);
    }
    return record != NULL && record->serial == serial && record->name[0] != '\0' ? record : NULL;
}

/* ---- names ------------------------------------------------------------------- */

/* Is this no module's name: NULL or empty? */
static inline bool record_is_nobody(const char* text)
{
    return text == NULL || text[0] == '\0';
}

/* A name is hashed up to where it is too long. */
static inline struct record_name record_measure(const char* text)
{
    struct record_name name = {text, 0, BITS_HASH_OF_NOTHING};
    while (name.length <= RECORD_NAME_MAX && text[name.length] != '\0') {
        name.hash = bits_hash(name.hash, (uint8_t)text[name.length]);
        name.length++;
    }
    return name;
}

/* The bucket of a hash in a group, by the upper bits, which FNV mixes best. */
static inline record_id* record_bucket(struct record_group* group, unsigned number, uint32_t hash)
{
    record_id* const buckets = (record_id*)&group->slot[record_group_size(number)];
    return &buckets[hash >> (32 - RECORD_BUCKETS_LOG2 - 2 * number)];
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

/* Copy the name of a record that was found by it. */
static DMHEAP_INLINE void record_copy_name(const struct record* record,
                                           char name[RECORD_NAME_MAX + 1])
{
    const unsigned length = record_measure(record->name).length;
    memcpy(name, record->name, length);
    name[length <= RECORD_NAME_MAX ? length : RECORD_NAME_MAX] = '\0';
}

/* The same for a record whose name may have been written over; empty for none. */
static inline void record_show_name(const struct dmheap_ctx* ctx, const struct record* record,
                                    char name[RECORD_NAME_MAX + 1])
{
    size_t room = 0;
    if (record != NULL && heap_is_size(ctx, block_of(record))) {
        const size_t usable = (size_t)heap_usable(ctx, block_of(record));
        const size_t front = offsetof(struct record, name);
        room = usable > front ? usable - front : 0;
    }
    size_t length = 0;
    while (length < room && length < RECORD_NAME_MAX && record->name[length] != '\0') {
        name[length] = record->name[length];
        length++;
    }
    name[length] = '\0';
}

/*
 * The record of a name, or NULL. *link is what leads to it: a bucket, or `next` of another one in
 * the bucket.
 */
static inline struct record* record_find_measured(const struct dmheap_ctx* ctx,
                                                  const struct record_name* name, record_id** link)
{
    for (unsigned number = 0; number < RECORD_GROUPS && name->length <= RECORD_NAME_MAX; number++) {
        struct record_group* group = record_group(ctx, number);
        if (group == NULL) {
            continue;
        }
        *link = record_bucket(group, number, name->hash);
        /* The last one's `next` is 0, which has no record; a chain written over ends as well. */
        struct record* record = record_of(ctx, **link);
        for (unsigned left = record_group_size(number); record != NULL && left != 0; left--) {
            if (record_is_named(record, name->text)) {
                return record;
            }
            *link = &record->next;
            record = record_of(ctx, **link);
        }
    }
    return NULL;
}

/* The hint for a name at that address. */
static inline struct dmheap_hint* record_hint(struct dmheap_ctx* ctx, const char* text)
{
    const uint32_t address = (uint32_t)((uintptr_t)text / 8);
    return &ctx->hint[bits_scatter(address) >> (32 - DMHEAP_HINTS_LOG2)];
}

/* Does it lead to its id's record? What a hint says is proven only where no bit is trusted. */
static inline bool record_is_hinted(const struct dmheap_ctx* ctx, const struct dmheap_hint* hint,
                                    const struct record* record)
{
    return hint->id < RECORD_ID_END && record != NULL && record == record_of(ctx, hint->id);
}

/*
 * The record found by this pointer before, if it has this name and still its id; else NULL. The
 * pointer is a hint only: the text decides, for the memory it stands in may hold another by now.
 */
static inline struct record* record_find_hinted(struct dmheap_ctx* ctx, const char* text)
{
    const struct dmheap_hint* hint = record_hint(ctx, text);
    if (hint->module == 0 || hint->name != (uint32_t)(uintptr_t)text) {
        return NULL;
    }
    struct record* record = (struct record*)ctx_at(ctx, hint->module);
    if (DMHEAP_GUARD && !record_is_hinted(ctx, hint, record)) {
        return NULL;
    }
    return record->id == hint->id && record_is_named(record, text) ? record : NULL;
}

/* The record of a name that is not empty, proven to be its id's; or NULL. */
static inline struct record* record_find(struct dmheap_ctx* ctx, const char* text)
{
    struct record* record = RECORD_HINTS ? record_find_hinted(ctx, text) : NULL;
    if (record == NULL) {
        const struct record_name name = record_measure(text);
        record_id* link;
        record = record_find_measured(ctx, &name, &link);
        if (RECORD_HINTS && record != NULL) {
            struct dmheap_hint* hint = record_hint(ctx, text);
            hint->module = (dmheap_word)ctx_offset(ctx, record);
            hint->id = record->id;
            hint->name = (uint32_t)(uintptr_t)text;
        }
    }
    return record;
}

/* Before a record goes, or its name. */
static inline void record_forget_hints(struct dmheap_ctx* ctx)
{
    if (RECORD_HINTS) {
        ctx->hint_module = 0;
        ctx->hint_id = OWNER_NOBODY;
        memset(ctx->hint, 0, sizeof(ctx->hint));
    }
}

static DMHEAP_INLINE void record_link(struct dmheap_ctx* ctx, struct record* record, uint32_t hash)
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
    const struct record_name name = record_measure(record->name);
    record_id* link = NULL;
    if (record_find_measured(ctx, &name, &link) == record) {
        *link = record->next;
    }
    record_forget_hints(ctx);
}

/* ---- records ----------------------------------------------------------------- */

static DMHEAP_INLINE struct record*
record_make(struct dmheap_ctx* ctx, const struct record_name* name, enum dmheap_verdict* verdict)
{
    struct record* record = (struct record*)record_alloc(
        ctx, offsetof(struct record, name) + name->length + 1, verdict);
    if (record != NULL) {
        record->references = 0;
        record->next = 0;
        memcpy(record->name, name->text, name->length);
        record->name[name->length] = '\0';
    }
    return record;
}

static inline struct record_group* record_make_group(struct dmheap_ctx* ctx, unsigned number,
                                                     enum dmheap_verdict* verdict)
{
    const unsigned size = record_group_size(number);
    struct record_group* group =
        (struct record_group*)record_alloc(ctx, record_group_bytes(number), verdict);
    if (group != NULL) {
        memset(group, 0, offsetof(struct record_group, slot));
        memset(&group->slot[size], 0, record_group_buckets(number) * sizeof(record_id));
        ctx_set(ctx, &ctx->group[number], (dmheap_word)ctx_offset(ctx, group));
    }
    return group;
}

/* Take a group's first free slot; as many as there are slots: it has none. */
static inline dmheap_word record_take_slot(struct record_group* group, dmheap_word size)
{
    const dmheap_word index = group->spare;
    if (index >= size || index > group->given) {
        return size;
    }
    if (index == group->given) {
        group->given++;
        group->spare = group->given;
    } else if (record_slot_is_free(group->slot[index])) {
        group->spare = (record_id)record_next_of_slot(group->slot[index]);
    } else {
        return size;
    }
    group->used++;
    return index;
}

/* Take an id for `record` from a group. False: it has none. */
static inline bool record_take_id_of(const struct dmheap_ctx* ctx, struct record* record,
                                     unsigned number)
{
    struct record_group* group = record_group(ctx, number);
    const dmheap_word size = record_group_size(number);
    const dmheap_word index = group != NULL ? record_take_slot(group, size) : size;
    if (index >= size) {
        return false;
    }
    group->slot[index] = (dmheap_word)ctx_offset(ctx, record);
    record->id = (record_id)(record_group_first(number) + index);
    return true;
}

/* The same from the first group that has one; else from the first that is missing, which is made. */
static inline bool record_take_id(struct dmheap_ctx* ctx, struct record* record,
                                  enum dmheap_verdict* verdict)
{
    unsigned missing = RECORD_GROUPS;
    for (unsigned number = 0; number < RECORD_GROUPS; number++) {
        if (record_take_id_of(ctx, record, number)) {
            return true;
        }
        if (ctx->group[number] == 0 && missing == RECORD_GROUPS) {
            missing = number;
        }
    }
    if (missing == RECORD_GROUPS) {
        *verdict = VERDICT_TOO_MANY;
        return false;
    }
    if (record_make_group(ctx, missing, verdict) == NULL) {
        return false;
    }
    return record_take_id_of(ctx, record, missing);
}

/* Return an id; the last one takes its group along. */
static inline void record_return_id(struct dmheap_ctx* ctx, record_id id)
{
    const unsigned number = record_group_of(id);
    struct record_group* group = record_group(ctx, number);
    if (group == NULL) {
        return;
    }
    const dmheap_word index = id - record_group_first(number);
    group->slot[index] = record_slot_of_next(group->spare);
    group->spare = (record_id)index;
    group->used--;
    if (group->used == 0) {
        ctx_set(ctx, &ctx->group[number], 0);
        (void)record_free(ctx, group);
    }
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
    struct record* record = record_make(ctx, &name, verdict);
    if (record == NULL) {
        return NULL;
    }
    if (!record_take_id(ctx, record, verdict)) {
        (void)record_free(ctx, record);
        return NULL;
    }
    record_link(ctx, record, name.hash);
    record->references = 1;
    record->serial = ctx_new_serial();
    if (DMHEAP_ACCOUNTING) {
        account_open(record_holding(ctx, record));
        account_note_peak(ctx);
    }
    return record;
}

/*
 * Give back the record of a module whose references ran out. If its name is still there, a block
 * whose owner was written over was freed on this module's account; if its id leads elsewhere, it
 * was written over itself. Then it keeps a reference, and stays.
 */
static DMHEAP_COLD void record_destroy(struct dmheap_ctx* ctx, struct record* record)
{
    if (record->name[0] != '\0' || record_of(ctx, record->id) != record) {
        record->references = 1;
        return;
    }
    const record_id id = record->id;
    record_forget_hints(ctx);
    (void)record_free(ctx, record);
    record_return_id(ctx, id);
}

/* Take a module's name away, and what is kept for it; the name's reference goes to the caller. */
static inline void record_close(struct dmheap_ctx* ctx, struct record* record)
{
    if (DMHEAP_ACCOUNTING) {
        struct dmheap_holding* holding = record_holding(ctx, record);
        account_set(ctx, holding, holding->bytes, 0);
    }
    record_unlink(ctx, record);
    record->name[0] = '\0';
}

/* Put `renamed` in the place of a record that is in no bucket: same id, same references. */
static inline void record_replace(struct dmheap_ctx* ctx, struct record* record,
                                  struct record* renamed)
{
    const unsigned number = record_group_of(record->id);
    struct record_group* group = record_group(ctx, number);
    renamed->references = record->references;
    renamed->serial = record->serial;
    renamed->id = record->id;
    if (DMHEAP_ACCOUNTING) {
        *record_holding(ctx, renamed) = *record_holding(ctx, record);
        account_note_peak(ctx);
    }
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
