/* SPDX-License-Identifier: MIT */
/*
 * Policies: what is wanted of a heap beyond what it does by itself, and whom to call.
 *
 * Knows: the hooks of each heap, by its serial. Does not know: when they are due.
 * Always holds: an entry counts as long as the heap of its serial lives; nobody has to clear it, for
 * no other heap ever has that serial. All is called under the lock, but for policy_call_failure_hook. The list,
 * and what is seldom done by it, are reached by a pointer that the first setting sets: a firmware
 * that sets nothing does not link them.
 * Cost: proportional to the number of heaps.
 */
#ifndef DMHEAP_POLICY_H
#define DMHEAP_POLICY_H

#include "dmheap_edge.h"

struct policy {
    dmheap_word serial; /* the heap's, 0: none */
    enum dmheap_leak_policy leak;
    unsigned calls; /* of the failure hook, under way */
    dmheap_failure_hook on_failure;
    void* failure_context;
    dmheap_death_hook on_death;
    void* death_context;
};

#define POLICIES (DMHEAP_CTX_MAX + 1U) /* that of dmheap_init comes on top */

static struct policy policy_list[POLICIES];

struct leak;

/* Those below it are called without the lock; the leaks' are in dmheap_leak.h. */
struct policy_calls {
    struct policy* list;
    bool (*call_failure_hook)(dmheap_word serial, struct dmheap_failure* failure);
    void (*count)(struct leak* leak, const char* module_name);
    void (*report)(const struct leak* leak, const char* module_name);
    void (*report_kept)(const char* module_name);
    void (*tell)(const struct leak* leak, const char* module_name);
};

static const struct policy_calls* policies; /* NULL: nothing was ever set */

/* What was set for the heap of that serial, or NULL. */
static inline struct policy* policy_of(dmheap_word serial)
{
    for (unsigned i = 0; policies != NULL && i < POLICIES; i++) {
        if (policies->list[i].serial == serial) {
            return &policies->list[i];
        }
    }
    return NULL;
}

/* The same for a heap of which something is to be set: there is room for all that may be. */
static inline struct policy* policy_make(const struct dmheap_ctx* heap)
{
    struct policy* policy = policy_of(heap->serial);
    for (unsigned i = 0; policy == NULL; i++) {
        DMHEAP_ASSERT(i < POLICIES);
        struct policy* entry = &policies->list[i];
        if (entry->serial == 0 || registry_of_serial(entry->serial) == NULL) {
            policy = entry;
            memset(policy, 0, sizeof(*policy));
            policy->serial = heap->serial;
        }
    }
    return policy;
}

/* ---- the failure hook -------------------------------------------------------------- */

/* Does a heap have one? */
static inline bool policy_has_failure_hook(const struct dmheap_ctx* heap)
{
    const struct policy* policy = policy_of(heap->serial);
    return policy != NULL && policy->on_failure != NULL;
}

/* Begin a call of it; NULL: none is to be made. */
static inline dmheap_failure_hook policy_begin_call(dmheap_word serial,
                                                    struct dmheap_failure* failure, void** context)
{
    struct dmheap_ctx* heap = registry_of_serial(serial);
    struct policy* policy = policy_of(serial);
    if (heap == NULL || policy == NULL || policy->on_failure == NULL ||
        policy->calls == DMHEAP_FAILURE_CALLS_MAX) {
        return NULL;
    }
    policy->calls++;
    failure->ctx = heap;
    failure->calls = policy->calls;
    if (failure->alignment < heap->alignment) {
        failure->alignment = (size_t)heap->alignment;
    }
    *context = policy->failure_context;
    return policy->on_failure;
}

/* The call is over. If the heap went meanwhile, its entry may be another one's. */
static inline void policy_end_call(dmheap_word serial)
{
    struct policy* policy = policy_of(serial);
    if (policy != NULL) {
        policy->calls--;
    }
}

/* Call it, without the lock, and tell it what failed. True: it wants another try. */
static DMHEAP_COLD bool policy_call_failure_hook(dmheap_word serial, struct dmheap_failure* failure)
{
    void* context = NULL;
    dmheap_port_lock();
    const dmheap_failure_hook hook = policy_begin_call(serial, failure, &context);
    dmheap_port_unlock();
    if (hook == NULL) {
        return false;
    }
    const bool is_retry_wanted = hook(failure, context);
    dmheap_port_lock();
    policy_end_call(serial);
    dmheap_port_unlock();
    return is_retry_wanted;
}

#endif
