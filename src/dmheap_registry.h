/* SPDX-License-Identifier: MIT */
/*
 * The registry: which heaps there are, and which of them serve by default.
 *
 * Knows: contexts, by address and serial, and by what calls the twins go on. Does not know: what is
 * in a heap, how it is locked.
 * Always holds: no call touches a context that is not known here. All of it is called under the
 * lock. A firmware with one heap, made by dmheap_init, links the first section only.
 * Cost: proportional to the number of heaps.
 */
#ifndef DMHEAP_REGISTRY_H
#define DMHEAP_REGISTRY_H

#include "dmheap_module.h"

#include "dmheap_ctx.h"

/* ---- one heap ------------------------------------------------------------------ */

/* Without a heap, this one serves: it has no memory and no pointers, so nothing is ever written. */
static const struct dmheap_ctx no_heap = {.granule_shift = 4};
#define REGISTRY_NONE ((struct dmheap_ctx*)&no_heap)

/*
 * What the twins of the nine do instead where there may be more heaps than one. Each is called with
 * the lock held; all but the last two release it.
 */
struct registry_calls {
    void* (*alloc)(struct dmheap_ctx* asked, size_t alignment, size_t size, const char* name);
    void* (*realloc)(struct dmheap_ctx* asked, void* ptr, size_t size);
    void (*free)(struct dmheap_ctx* asked, void* ptr);
    bool (*register_module)(struct dmheap_ctx* asked, const char* name);
    void (*unregister_module)(struct dmheap_ctx* asked, const char* name);
    bool (*retag)(struct dmheap_ctx* asked, void* ptr, const char* name);
    bool (*rename_module)(struct dmheap_ctx* asked, const char* old_name, const char* new_name);
    struct dmheap_ctx* (*of_serial)(dmheap_word serial);
    struct dmheap_ctx* (*find)(struct dmheap_ctx* asked);
};

static struct {
    struct dmheap_ctx* heap;              /* the first that serves by default, or no_heap */
    const struct registry_calls* several; /* NULL: there is that heap, or none */
    bool is_starting;                     /* a heap is being made */
} root = {REGISTRY_NONE, NULL, false};

/* The heap that the nine functions are about: the first by default, unless it is written over. */
static inline struct dmheap_ctx* registry_heap(void)
{
    return ctx_is_sound(root.heap) ? root.heap : REGISTRY_NONE;
}

/*
 * The heap that a call asks for where there is that one only, or none; NULL is the same. no_heap: it
 * is not that one. Out of line, or callers have a copy of what they do for no_heap.
 */
static DMHEAP_NOINLINE struct dmheap_ctx* registry_only(const struct dmheap_ctx* asked)
{
    return asked == NULL || asked == root.heap ? registry_heap() : REGISTRY_NONE;
}

/* The heap where a call that asks for one begins, for a short path, which tries no other one. */
static inline struct dmheap_ctx* registry_asked(struct dmheap_ctx* asked)
{
    if (DMHEAP_LIKELY(asked == NULL || asked == root.heap)) {
        return registry_heap();
    }
    return root.several != NULL ? root.several->find(asked) : registry_only(asked);
}

/* The heap of that serial, or NULL: it went, or was written over, while the lock was released. */
static inline struct dmheap_ctx* registry_of_serial(dmheap_word serial)
{
    struct dmheap_ctx* ctx = root.several != NULL ? root.several->of_serial(serial) : root.heap;
    return ctx->serial == serial && ctx_is_sound(ctx) ? ctx : NULL;
}

/* Forget all heaps, unless none serves by default. `registry` is stale until it is refreshed. */
static inline void registry_clear(void)
{
    if (root.heap != &no_heap) {
        root.heap = REGISTRY_NONE;
        root.several = NULL;
    }
}

/* ---- several heaps ------------------------------------------------------------ */

struct registry_entry {
    struct dmheap_ctx* ctx; /* NULL: the list ends here */
    dmheap_word serial;     /* that of the context, unless other data stands there by now */
    dmheap_word first;      /* where its own data ends, and ... */
    dmheap_word end;        /* ... the heap, when it was listed; 0: it was not sound then */
    bool is_default;
    bool is_of_init; /* made by dmheap_init; there is one of that kind at most */
    char name[DMHEAP_CTX_NAME_BYTES];
};

DMHEAP_STATIC_ASSERT(DMHEAP_NAME_BYTES == RECORD_NAME_MAX + 1,
                     names_are_as_long_as_the_manual_says);
DMHEAP_STATIC_ASSERT(DMHEAP_DEFAULTS_MAX <= DMHEAP_CTX_MAX, all_that_may_serve_are_listed);

/*
 * All heaps, first those that serve by default, in their order. That of dmheap_init comes on top of
 * DMHEAP_CTX_MAX, and the last one ends the list.
 */
static struct registry_entry registry[DMHEAP_CTX_MAX + 2];

static inline unsigned registry_count(void)
{
    unsigned count = 0;
    while (registry[count].ctx != NULL) {
        count++;
    }
    return count;
}

static inline unsigned registry_count_defaults(void)
{
    unsigned count = 0;
    while (registry[count].is_default) {
        count++;
    }
    return count;
}

/* Put an entry in front of the one at `index`. */
static inline void registry_insert(unsigned index, struct registry_entry entry)
{
    DMHEAP_ASSERT(registry_count() <= DMHEAP_CTX_MAX);
    while (entry.ctx != NULL) {
        const struct registry_entry pushed = registry[index];
        registry[index++] = entry;
        entry = pushed;
    }
}

/* Take out the entry at `index`. */
static inline struct registry_entry registry_take(unsigned index)
{
    const struct registry_entry entry = registry[index];
    for (; registry[index].ctx != NULL; index++) {
        registry[index] = registry[index + 1];
    }
    return entry;
}

static inline struct registry_entry registry_make_entry(struct dmheap_ctx* ctx, bool is_of_init)
{
    const bool is_sound = ctx_is_sound(ctx);
    const struct registry_entry entry = {
        ctx,        ctx->serial, is_sound ? ctx->first : 0, is_sound ? ctx->end : 0, is_of_init,
        is_of_init, ""};
    return entry;
}

/*
 * Is that heap no more? Another heap stands in its place, or other data. But with DMHEAP_GUARD data
 * without a seal is a heap that was written over: the same one, until it is made anew.
 */
static inline bool registry_is_stale(const struct registry_entry* entry)
{
    return entry->ctx->serial != entry->serial && ctx_is_sound(entry->ctx);
}

/* Does a part of a heap's own data lie in that memory? */
static inline bool registry_is_in(const struct registry_entry* entry, uintptr_t start, size_t size)
{
    const uintptr_t ctx = (uintptr_t)entry->ctx;
    return ctx - start < size || start - ctx < (uintptr_t)entry->first;
}

/* Is `inner` that heap, or one that stands in a block of it? */
static inline bool registry_has(const struct registry_entry* entry,
                                const struct registry_entry* inner)
{
    return (uintptr_t)inner->ctx - (uintptr_t)entry->ctx < (uintptr_t)entry->end;
}

/* Forget the heap at `index`, and, if so, those that stand in blocks of it. */
static inline void registry_forget(unsigned index, bool with_inner)
{
    const struct registry_entry entry = registry_take(index);
    index = registry_count();
    while (with_inner && index-- != 0) {
        if (registry_has(&entry, &registry[index])) {
            (void)registry_take(index);
        }
    }
}

/*
 * Forget the heaps whose own data lies in that memory, and those that are no more: where one of these
 * was, others may have been made since.
 */
static inline void registry_forget_in(uintptr_t start, size_t size)
{
    for (unsigned index = 0; registry[index].ctx != NULL;) {
        const bool is_stale = registry_is_stale(&registry[index]);
        if (is_stale || registry_is_in(&registry[index], start, size)) {
            registry_forget(index, !is_stale);
            index = 0; /* others may have gone along */
        } else {
            index++;
        }
    }
}

/*
 * The heap that dmheap_init made is a new one: that of the call before goes, if it is still there,
 * and those in its buffer.
 */
static inline void registry_adopt(struct dmheap_ctx* ctx)
{
    const struct registry_entry entry = registry_make_entry(ctx, true);
    unsigned index = 0;
    while (registry[index].ctx != NULL && !registry[index].is_of_init) {
        index++;
    }
    if (registry[index].ctx != NULL) {
        registry_forget(index,
                        true); /* though it is written over by now, if it was in that place */
    }
    registry_forget_in((uintptr_t)ctx, (size_t)entry.end);
    registry_insert(0, entry);
}

/*
 * Called first whenever the lock was taken: the nine go by `calls` from now on, and what dmheap_init
 * did is known.
 */
static inline void registry_refresh(const struct registry_calls* calls)
{
    if (root.several == NULL) {
        memset(registry, 0, sizeof(registry));
        root.several = calls;
    }
    /* In the place of a former one, which did not serve any more, there may be a new one. */
    const bool is_listed = registry[0].ctx == root.heap && registry[0].is_default;
    if (root.heap != &no_heap && !is_listed) {
        registry_adopt(root.heap);
    }
}

/* The entry of a heap (NULL: of the first by default), or NULL if it is none. */
static inline struct registry_entry* registry_entry_of(const struct dmheap_ctx* asked)
{
    const struct dmheap_ctx* ctx = asked != NULL ? asked : root.heap;
    struct registry_entry* entry = registry;
    while (entry->ctx != NULL && entry->ctx != ctx) {
        entry++;
    }
    return entry->ctx != NULL && !registry_is_stale(entry) ? entry : NULL;
}

/* The first heap by default from `entry` on that is not written over, or NULL. */
static inline struct dmheap_ctx* registry_default_from(const struct registry_entry* entry)
{
    while (entry->is_default && !ctx_is_sound(entry->ctx)) {
        entry++;
    }
    return entry->is_default ? entry->ctx : NULL;
}

/* The heap that a call is about: NULL asks for the first by default. no_heap: there is none. */
static inline struct dmheap_ctx* registry_find(struct dmheap_ctx* asked)
{
    struct dmheap_ctx* found = asked;
    if (asked == NULL) {
        found = DMHEAP_GUARD ? registry_default_from(registry) : root.heap;
    } else if (asked != root.heap && registry_entry_of(asked) == NULL) {
        found = NULL;
    }
    return found != NULL && ctx_is_sound(found) ? found : REGISTRY_NONE;
}

/* Where a call that `asked` for none goes on after `heap`: at the next by default, or NULL. */
static inline struct dmheap_ctx* registry_next(const struct dmheap_ctx* asked,
                                               const struct dmheap_ctx* heap)
{
    if (asked != NULL) {
        return NULL;
    }
    const struct registry_entry* entry = registry;
    while (entry->is_default && entry->ctx != heap) {
        entry++;
    }
    return entry->is_default ? registry_default_from(&entry[1]) : NULL;
}

/* The heap of that name, which is not empty; or NULL. */
static inline struct registry_entry* registry_named(const char* name)
{
    struct registry_entry* entry = registry;
    while (entry->ctx != NULL && strcmp(entry->name, name) != 0) {
        entry++;
    }
    return entry->ctx != NULL ? entry : NULL;
}

/* Does registry_forget_in forget a heap? */
static inline bool registry_goes(const struct registry_entry* entry, uintptr_t start, size_t size)
{
    const struct registry_entry* other = registry;
    while (other->ctx != NULL && !(registry_is_in(other, start, size) &&
                                   !registry_is_stale(other) && registry_has(other, entry))) {
        other++;
    }
    return other->ctx != NULL || registry_is_stale(entry);
}

/* Is there room for one more heap of dmheap_ctx_init, those forgotten that go with its buffer? */
static inline bool registry_has_room(const void* buffer, size_t size)
{
    unsigned count = 0;
    for (const struct registry_entry* entry = registry; entry->ctx != NULL; entry++) {
        count += !entry->is_of_init && !registry_goes(entry, (uintptr_t)buffer, size);
    }
    return count < DMHEAP_CTX_MAX;
}

/* Let the calls see which heap is the first by default. */
static inline void registry_publish(void)
{
    root.heap = registry[0].is_default ? registry[0].ctx : REGISTRY_NONE;
}

static inline void registry_add(struct dmheap_ctx* ctx)
{
    registry_insert(registry_count(), registry_make_entry(ctx, false));
}

/* Forget a heap. */
static inline void registry_remove(const struct registry_entry* entry)
{
    registry_forget((unsigned)(entry - registry), true);
    registry_publish();
}

/* Make room in a buffer: forget the heaps that it would write over. */
static inline void registry_clear_buffer(const void* buffer, size_t size)
{
    registry_forget_in((uintptr_t)buffer, size);
    registry_publish();
}

/* Let a heap serve by default, after all others that do; or not any more. */
static inline void registry_set_default(const struct registry_entry* entry, bool is_default)
{
    struct registry_entry taken = registry_take((unsigned)(entry - registry));
    taken.is_default = is_default;
    registry_insert(is_default ? registry_count_defaults() : registry_count(), taken);
    registry_publish();
}

#endif
