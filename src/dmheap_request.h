/* SPDX-License-Identifier: MIT */
/*
 * A request for memory that several heaps may serve: how it went, and whom to ask before it fails.
 *
 * Knows: which heaps refused it, and what their failure hooks are told. Does not know: what is
 * requested. Always holds: it is tried twice at most. Whoever makes it goes round this loop:
 *
 *     request_begin(&request, ...);
 *     do {
 *         for each heap: try, and request_settle(&request, heap, outcome);
 *         release the lock;
 *     } while (nothing was served && request_begin_retry(&request));    the lock is held again
 *     report request.verdict, if it is not VERDICT_OK
 */
#ifndef DMHEAP_REQUEST_H
#define DMHEAP_REQUEST_H

#include "dmheap_policy.h"

/* A heap with a hook refused. */
struct refusal {
    dmheap_word serial; /* the heap's */
    enum dmheap_verdict why;
};

struct request {
    enum dmheap_verdict verdict; /* to be reported: damage in any heap, else of the last one */
    size_t alignment;
    size_t size;
    const char* module_name; /* the caller's text; `name` from the first hook on */
    unsigned refusals;
    bool is_retry; /* a hook asked for it: it is the last */
    struct refusal refusal[DMHEAP_DEFAULTS_MAX];
    char name[DMHEAP_NAME_BYTES];
};

static inline void request_begin(struct request* request, size_t alignment, size_t size,
                                 const char* module_name)
{
    request->verdict = VERDICT_OK;
    request->alignment = alignment;
    request->size = size;
    request->module_name = module_name;
    request->refusals = 0;
    request->is_retry = false;
    request->name[0] = '\0';
}

/*
 * Copy a name, for a hook may free the memory that the caller's text stands in. NULL: it is too long
 * for one.
 */
static const char* request_copy_name(char name[DMHEAP_NAME_BYTES], const char* text)
{
    if (text == name) {
        return name;
    }
    const unsigned length = text != NULL ? record_measure(text).length : 0;
    if (length > RECORD_NAME_MAX) {
        return NULL;
    }
    memcpy(name, text != NULL ? text : "", length);
    name[length] = '\0';
    return name;
}

/* A heap lacks the memory. With a name that is none, the request fails in any case. */
static DMHEAP_COLD void request_refuse(struct request* request, const struct dmheap_ctx* heap,
                                       enum dmheap_verdict why)
{
    if (request->is_retry || !policy_has_failure_hook(heap)) {
        return;
    }
    const char* const kept = request_copy_name(request->name, request->module_name);
    if (kept != NULL) {
        DMHEAP_ASSERT(request->refusals < DMHEAP_DEFAULTS_MAX);
        const struct refusal refusal = {heap->serial, why};
        request->refusal[request->refusals++] = refusal;
        request->module_name = kept;
    }
}

/* How it went in a heap. */
static inline void request_settle(struct request* request, struct dmheap_ctx* heap,
                                  enum dmheap_verdict here)
{
    if (DMHEAP_UNLIKELY(account_is_reason(here))) {
        request_refuse(request, heap, here);
    }
    const enum dmheap_verdict verdict = settle(heap, here);
    request->verdict = request->verdict == VERDICT_DAMAGED ? VERDICT_DAMAGED : verdict;
}

/*
 * Without the lock: ask the hooks of those that refused, in their order. True: one of them wants
 * another try, and the lock is held for it.
 */
static DMHEAP_COLD bool request_begin_retry(struct request* request)
{
    bool is_retry_wanted = false;
    for (unsigned i = 0; i < request->refusals && !is_retry_wanted; i++) {
        struct dmheap_failure failure = {
            NULL,          (enum dmheap_reason)account_reason_number(request->refusal[i].why),
            request->size, request->alignment,
            request->name, 0,
        };
        is_retry_wanted = policies->call_failure_hook(request->refusal[i].serial, &failure);
    }
    request->refusals = 0;
    if (is_retry_wanted) {
        request->is_retry = true;
        request->verdict = request->verdict == VERDICT_DAMAGED ? VERDICT_DAMAGED : VERDICT_OK;
        dmheap_port_lock();
    }
    return is_retry_wanted;
}

#endif
