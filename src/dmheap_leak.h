/* SPDX-License-Identifier: MIT */
/*
 * Leaks: what a module holds in a heap when it is unregistered there, by the policy of that heap.
 *
 * Knows: how to count it, whom to tell. Does not know: in which heaps a module is unregistered.
 * Always holds: it begins when the module's name is taken away, so none of its blocks comes anew,
 * and its id is its own until the sweep ends.
 * Cost: that of a walk, where something is to be told; else that of the sweep alone.
 */
#ifndef DMHEAP_LEAK_H
#define DMHEAP_LEAK_H

#include "dmheap_policy.h"
#include "dmheap_walk.h"

struct leak {
    dmheap_word serial; /* of the heap */
    dmheap_word id;     /* of the module there */
    enum dmheap_leak_policy policy;
    bool has_hook;
    size_t bytes;
    size_t blocks;
};

/* Does a heap keep a module for what it holds there? */
static inline bool leak_is_kept(struct dmheap_ctx* heap, const char* module_name)
{
    const struct policy* policy = policy_of(heap->serial);
    if (policy == NULL || policy->leak != DMHEAP_LEAK_KEEP) {
        return false;
    }
    const struct record* record = record_find(heap, module_name);
    return record != NULL && module_blocks(record) != 0;
}

static DMHEAP_COLD void leak_report_kept(const char* module_name)
{
    DMHEAP_PORT_LOG_ERROR("dmheap: unregistration of module %s: it holds memory, which is kept.\n",
                          module_name);
}

/* Under the lock: the name of module `id` was just taken away. */
static inline void leak_begin(struct leak* leak, const struct dmheap_ctx* heap, dmheap_word id)
{
    const struct policy* policy = policy_of(heap->serial);
    leak->serial = heap->serial;
    leak->id = id;
    leak->policy = policy != NULL ? policy->leak : DMHEAP_LEAK_SILENT;
    leak->has_hook = policy != NULL && policy->on_death != NULL;
    leak->bytes = 0;
    leak->blocks = 0;
}

/* Go on with the walk, under the lock: to the module's next block that is in this step; or NULL. */
static inline const struct dmheap_block* leak_step(const struct leak* leak, struct walk* walk,
                                                   uintptr_t* size)
{
    struct walk_block found[WALK_FOUND];
    const struct dmheap_ctx* heap = registry_of_serial(leak->serial);
    const unsigned count = heap != NULL ? walk_step(heap, walk, found) : 0;
    walk->is_over = walk->is_over || heap == NULL;
    for (unsigned i = 0; i < count; i++) {
        if (found[i].is_live && block_owner(found[i].block) == leak->id) {
            *size = found[i].size;
            return found[i].block;
        }
    }
    return NULL;
}

/* Count a block, without the lock, and tell of it where that is wanted. */
static DMHEAP_COLD void leak_note(struct leak* leak, const char* module_name,
                                  const struct dmheap_block* block, size_t size)
{
    leak->bytes += size;
    leak->blocks++;
    if (leak->policy == DMHEAP_LEAK_BLOCKS) {
        DMHEAP_PORT_LOG_WARN("dmheap: Module %s leaves %u bytes at %p.\n", module_name,
                             size_number(size), block_payload(block));
    }
}

/* Count all of its blocks, without the lock but for each step. */
static DMHEAP_COLD void leak_count(struct leak* leak, const char* module_name)
{
    struct walk walk = {0, 0, false};
    while (!walk.is_over) {
        uintptr_t size = 0;
        dmheap_port_lock();
        const struct dmheap_block* block = leak_step(leak, &walk, &size);
        dmheap_port_unlock();
        if (block != NULL) {
            leak_note(leak, module_name, block, (size_t)size);
        }
    }
}

static DMHEAP_COLD void leak_report(const struct leak* leak, const char* module_name)
{
    char heap_name[DMHEAP_CTX_NAME_BYTES] = "";
    dmheap_port_lock();
    const struct dmheap_ctx* heap = registry_of_serial(leak->serial);
    const struct registry_entry* entry = heap != NULL ? registry_entry_of(heap) : NULL;
    if (entry != NULL) {
        memcpy(heap_name, entry->name, sizeof(heap_name));
    }
    dmheap_port_unlock();
    DMHEAP_PORT_LOG_WARN("dmheap: Module %s left %u bytes in %u blocks%s%s.\n", module_name,
                         size_number(leak->bytes), size_number(leak->blocks),
                         heap_name[0] != '\0' ? " in heap " : "", heap_name);
}

/* Call the heap's hook, without the lock. */
static DMHEAP_COLD void leak_tell(const struct leak* leak, const char* module_name)
{
    struct dmheap_death death = {NULL, module_name, leak->bytes, leak->blocks};
    dmheap_death_hook hook = NULL;
    void* context = NULL;
    dmheap_port_lock();
    death.ctx = registry_of_serial(leak->serial);
    const struct policy* policy = policy_of(leak->serial);
    if (death.ctx != NULL && policy != NULL) {
        hook = policy->on_death;
        context = policy->death_context;
    }
    dmheap_port_unlock();
    if (hook != NULL) {
        hook(&death, context);
    }
}

/* Count what there is to tell of, free it, and tell. False: a part of it is damaged. */
static bool leak_sweep(struct leak* leak, const char* module_name)
{
    const bool is_told = leak->policy == DMHEAP_LEAK_SUMMARY || leak->policy == DMHEAP_LEAK_BLOCKS;
    if (is_told || leak->has_hook) {
        policies->count(leak, module_name);
    }
    const bool is_sound = edge_sweep(leak->serial, leak->id);
    if (is_told && leak->blocks != 0) {
        policies->report(leak, module_name);
    }
    return is_sound;
}

/* At last, without the lock: the heap's hook. */
static inline void leak_end(const struct leak* leak, const char* module_name)
{
    if (leak->has_hook) {
        policies->tell(leak, module_name);
    }
}

#endif
