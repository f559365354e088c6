/* SPDX-License-Identifier: MIT */
/*
 * Owners: who has how much of a heap, counted for a few of them at a time.
 *
 * Knows: the walks over blocks and modules. Does not know: how it is shown. Always holds: its
 * memory is on the stack and of a fixed size, whatever the number of modules. So a heap is walked
 * through once for each OWNERS_AT_ONCE modules, and only the OWNERS_RANKED largest are put in order.
 */
#ifndef DMHEAP_OWNERS_H
#define DMHEAP_OWNERS_H

#include "dmheap_several.h"

#define OWNERS_AT_ONCE 16
#define OWNERS_RANKED  26 /* one a letter */

struct owner {
    uint32_t id;
    size_t bytes;
    size_t blocks;
    size_t largest;
};

/* A few owners, in the order of their ids. */
struct owners {
    struct owner owner[OWNERS_AT_ONCE];
    unsigned count;
    uint32_t next; /* id to go on with */
};

/* The owners that have most, in that order. */
struct ranks {
    struct owner owner[OWNERS_RANKED];
    unsigned count;
    bool is_cut; /* there are more */
};

/* ---- counting --------------------------------------------------------------------- */

static uint32_t owner_of(const struct dmheap_block_info* block)
{
    switch (block->kind) {
    case DMHEAP_BLOCK_FREE:
        return OWNER_FREE;
    case DMHEAP_BLOCK_OWN:
        return OWNER_HEAP;
    case DMHEAP_BLOCK_LIVE:
        break;
    }
    return block->module.id != 0 ? block->module.id : OWNER_NOBODY;
}

/* Has nobody an account to tell of: was anything asked for or kept for nobody? */
static bool owner_nobody_counts(dmheap_word serial)
{
    bool counts = false;
    dmheap_port_lock();
    struct dmheap_ctx* heap = registry_of_serial(serial);
    if (heap != NULL) {
        const struct dmheap_holding* holding = record_holding(heap, NULL);
        counts =
            (holding->peak | holding->allocations | holding->failures | holding->reserve) != 0 ||
            holding->limit != ACCOUNT_NO_LIMIT;
    }
    dmheap_port_unlock();
    return counts;
}

/* Modules are told of even if they have nothing. */
static bool owner_is_shown(dmheap_word serial, const struct owner* owner)
{
    return owner->id >= OWNER_MODULES || owner->blocks != 0 ||
           (DMHEAP_ACCOUNTING && owner->id == OWNER_NOBODY && owner_nobody_counts(serial));
}

static void owners_add(struct owners* owners, uint32_t id)
{
    const struct owner owner = {id, 0, 0, 0};
    owners->owner[owners->count++] = owner;
}

static bool owners_collect(const struct dmheap_module_info* info, void* context)
{
    struct owners* owners = context;
    if (info->module.id >= owners->next) {
        owners_add(owners, info->module.id);
    }
    return owners->count < OWNERS_AT_ONCE;
}

static bool owners_count(const struct dmheap_block_info* block, void* context)
{
    struct owners* owners = context;
    const uint32_t id = owner_of(block);
    for (unsigned i = 0; i < owners->count; i++) {
        struct owner* owner = &owners->owner[i];
        if (owner->id == id) {
            owner->bytes += block->size;
            owner->blocks++;
            owner->largest = block->size > owner->largest ? block->size : owner->largest;
            break;
        }
    }
    return true;
}

static inline void owners_begin(struct owners* owners)
{
    owners->next = OWNER_HEAP;
}

/* The next few owners of the heap of that serial. False: there are no more, or it went. */
static bool owners_next(dmheap_word serial, struct owners* owners)
{
    owners->count = 0;
    for (; owners->next < OWNER_MODULES; owners->next++) {
        owners_add(owners, owners->next);
    }
    (void)walk_modules_of(serial, owners_collect, owners);
    if (owners->count == 0) {
        return false;
    }
    owners->next = owners->owner[owners->count - 1].id + 1;
    return walk_heap(serial, owners_count, owners);
}

/* ---- names ------------------------------------------------------------------------ */

/* What to call an owner. False: it is a module that has no name any more. */
static bool owner_show_name(dmheap_word serial, uint32_t id, char name[DMHEAP_NAME_BYTES])
{
    static const char* const others[] = {
        [OWNER_FREE] = "(free)", [OWNER_HEAP] = "(the heap's own)", [OWNER_NOBODY] = "(nobody)"};
    static const char gone[] = "(unregistered)";
    name[0] = '\0';
    if (id < OWNER_MODULES) {
        memcpy(name, others[id], strlen(others[id]) + 1);
        return true;
    }
    dmheap_port_lock();
    const struct dmheap_ctx* heap = registry_of_serial(serial);
    record_show_name(heap, heap != NULL ? record_of(heap, id) : NULL, name);
    dmheap_port_unlock();
    if (name[0] != '\0') {
        return true;
    }
    memcpy(name, gone, sizeof(gone));
    return false;
}

/* ---- ranks ------------------------------------------------------------------------ */

static void ranks_insert(struct ranks* ranks, const struct owner* owner)
{
    unsigned place = ranks->count;
    while (place != 0 && ranks->owner[place - 1].bytes < owner->bytes) {
        place--;
    }
    ranks->is_cut = ranks->is_cut || ranks->count == OWNERS_RANKED;
    ranks->count += ranks->count < OWNERS_RANKED;
    if (place == OWNERS_RANKED) {
        return;
    }
    for (unsigned i = ranks->count - 1; i > place; i--) {
        ranks->owner[i] = ranks->owner[i - 1];
    }
    ranks->owner[place] = *owner;
}

/* The place of an owner; OWNERS_RANKED: it has none. */
static unsigned ranks_place(const struct ranks* ranks, uint32_t id)
{
    unsigned place = 0;
    while (place < ranks->count && ranks->owner[place].id != id) {
        place++;
    }
    return place < ranks->count ? place : OWNERS_RANKED;
}

/* One for each place, and that of all who have none. */
static const char ranks_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ*";
DMHEAP_STATIC_ASSERT(sizeof(ranks_letters) == OWNERS_RANKED + 2, each_place_has_a_letter);

static inline char ranks_letter(unsigned place)
{
    return ranks_letters[place];
}

/* Count and rank all owners of the heap of that serial. */
static DMHEAP_OWN_FRAME void ranks_make(struct ranks* ranks, dmheap_word serial)
{
    struct owners owners;
    ranks->count = 0;
    ranks->is_cut = false;
    owners_begin(&owners);
    while (owners_next(serial, &owners)) {
        for (unsigned i = 0; i < owners.count; i++) {
            if (owner_is_shown(serial, &owners.owner[i])) {
                ranks_insert(ranks, &owners.owner[i]);
            }
        }
    }
}

#endif
