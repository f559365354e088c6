/* SPDX-License-Identifier: MIT */
/*
 * Quotas: the functions of dmheap_ctx.h that are there where DMHEAP_ACCOUNTING is 1.
 *
 * Knows: which heap and which module a call is about. Does not know: how figures come about.
 * Always holds: as in dmheap_several.h, which includes this last.
 */
#ifndef DMHEAP_QUOTA_H
#define DMHEAP_QUOTA_H

#if DMHEAP_ACCOUNTING

DMHEAP_STATIC_ASSERT(
    DMHEAP_REASONS == CTX_REASONS && DMHEAP_REASON_FRAGMENTED == DMHEAP_REASON_NO_MEMORY + 1 &&
        VERDICT_LIMIT - VERDICT_FRAGMENTED == DMHEAP_REASON_LIMIT - DMHEAP_REASON_FRAGMENTED &&
        VERDICT_RESERVE - VERDICT_FRAGMENTED == DMHEAP_REASON_RESERVE - DMHEAP_REASON_FRAGMENTED,
    reasons_are_in_the_same_order);

/* ---- whose account --------------------------------------------------------------- */

/* The heap that a call about a module is about: the first that knows it, else the last of all. */
static struct dmheap_ctx* find_home(struct dmheap_ctx* asked, const char* module_name)
{
    struct dmheap_ctx* heap = find_heap(asked);
    struct dmheap_ctx* next = record_is_nobody(module_name) ? NULL : registry_next(asked, heap);
    while (next != NULL && record_find(heap, module_name) == NULL) {
        heap = next;
        next = registry_next(asked, heap);
    }
    return heap;
}

/* What a module holds in a heap; NULL: *verdict says why there is nothing. */
static struct dmheap_holding* find_holding(struct dmheap_ctx* heap, const char* module_name,
                                           enum dmheap_verdict* verdict)
{
    struct record* record = NULL;
    *verdict = heap == &no_heap ? VERDICT_NO_HEAP : VERDICT_OK;
    if (*verdict == VERDICT_OK && !record_is_nobody(module_name)) {
        record = record_find(heap, module_name);
        *verdict = record != NULL ? VERDICT_OK : VERDICT_NO_MODULE;
    }
    return *verdict == VERDICT_OK ? record_holding(heap, record) : NULL;
}

/*
 * The same for a module that is made known if it is not; *heap is where. The lock is held before and
 * after, but not while a failure hook is asked. There may be damage to report in any case.
 */
static struct dmheap_holding* make_holding(struct dmheap_ctx* asked, const char* module_name,
                                           struct dmheap_ctx** heap, enum dmheap_verdict* verdict)
{
    struct request request;
    struct dmheap_holding* holding;
    request_begin(&request, 1, 0, module_name);
    for (;;) {
        *heap = find_home(asked, request.module_name);
        holding = find_holding(*heap, request.module_name, verdict);
        if (*verdict != VERDICT_NO_MODULE) {
            break;
        }
        if (make_module(asked, &request) == NULL) {
            dmheap_port_unlock();
            if (!request_is_heard(&request)) {
                dmheap_port_lock();
                break;
            }
        }
    }
    *verdict = request.verdict != VERDICT_OK ? request.verdict : *verdict;
    return holding;
}

/* Release the lock and report what was asked of a module; was it done? */
static bool unlock_and_report_module(enum dmheap_verdict verdict, const char* request,
                                     const char* module_name)
{
    dmheap_port_unlock();
    if (verdict != VERDICT_OK) {
        report_module(verdict, request, module_name);
    }
    return verdict == VERDICT_OK;
}

/* ---- modules --------------------------------------------------------------------- */

static void show_holding(const struct dmheap_holding* holding, struct dmheap_account* account)
{
    account->bytes = (size_t)holding->bytes;
    account->blocks = (size_t)holding->blocks;
    account->peak = (size_t)holding->peak;
    account->allocations = (size_t)holding->allocations;
    account->failures = (size_t)holding->failures;
    account->largest_failure = account_size(holding->largest_failure);
    account->last_reason = (enum dmheap_reason)holding->last_failure;
    account->limit = account_size(holding->limit);
    account->reserve = (size_t)holding->reserve;
}

bool dmheap_ctx_get_account(struct dmheap_ctx* ctx, const char* module_name,
                            struct dmheap_account* account)
{
    enum dmheap_verdict verdict;
    memset(account, 0, sizeof(*account));
    dmheap_port_lock();
    const struct dmheap_holding* holding =
        find_holding(find_home(ctx, module_name), module_name, &verdict);
    if (holding != NULL) {
        show_holding(holding, account);
    }
    return unlock_and_report_module(verdict, "account", module_name);
}

bool dmheap_ctx_reset_peak(struct dmheap_ctx* ctx, const char* module_name)
{
    enum dmheap_verdict verdict;
    dmheap_port_lock();
    struct dmheap_holding* holding =
        find_holding(find_home(ctx, module_name), module_name, &verdict);
    if (holding != NULL) {
        holding->peak = holding->bytes;
    }
    return unlock_and_report_module(verdict, "peak", module_name);
}

bool dmheap_ctx_set_limit(struct dmheap_ctx* ctx, const char* module_name, size_t bytes)
{
    enum dmheap_verdict verdict;
    struct dmheap_ctx* heap;
    dmheap_port_lock();
    struct dmheap_holding* holding = make_holding(ctx, module_name, &heap, &verdict);
    if (holding != NULL) {
        holding->limit = account_word(bytes);
    }
    (void)unlock_and_report_module(verdict, "limit", module_name);
    return holding != NULL;
}

bool dmheap_ctx_set_reserve(struct dmheap_ctx* ctx, const char* module_name, size_t bytes)
{
    enum dmheap_verdict verdict;
    struct dmheap_ctx* heap;
    bool is_done = false;
    dmheap_port_lock();
    struct dmheap_holding* holding = make_holding(ctx, module_name, &heap, &verdict);
    if (holding != NULL) {
        const enum dmheap_verdict here = account_reserve(heap, holding, account_word(bytes));
        is_done = here == VERDICT_OK;
        verdict = is_done ? verdict : here;
    }
    (void)unlock_and_report_module(verdict, "reserve", module_name);
    return is_done;
}

/* ---- heaps ----------------------------------------------------------------------- */

bool dmheap_ctx_get_heap_account(struct dmheap_ctx* ctx, struct dmheap_heap_account* account)
{
    memset(account, 0, sizeof(*account));
    dmheap_port_lock();
    struct dmheap_ctx* heap = find_heap(ctx);
    if (heap == &no_heap) {
        return unlock_and_report(VERDICT_NO_HEAP, "account", ctx);
    }
    const struct dmheap_totals* totals = ctx_totals(heap);
    account->used = (size_t)totals->used;
    account->free = (size_t)account_free(heap);
    account->min_free = (size_t)(account_capacity(heap) - totals->peak);
    account->reserved = (size_t)totals->unmet;
    for (unsigned i = 0; i < CTX_REASONS; i++) {
        account->failures[i] = (size_t)totals->failures[i];
    }
    return unlock_and_report(VERDICT_OK, "account", ctx);
}

bool dmheap_ctx_reset_min_free(struct dmheap_ctx* ctx)
{
    dmheap_port_lock();
    struct dmheap_ctx* heap = find_heap(ctx);
    if (heap == &no_heap) {
        return unlock_and_report(VERDICT_NO_HEAP, "peak", ctx);
    }
    ctx_totals(heap)->peak = ctx_totals(heap)->used;
    return unlock_and_report(VERDICT_OK, "peak", ctx);
}

bool dmheap_ctx_keep_dead(struct dmheap_ctx* ctx, size_t count)
{
    dmheap_port_lock();
    struct dmheap_ctx* heap = find_heap(ctx);
    const enum dmheap_verdict verdict =
        heap != &no_heap ? record_keep_dead(heap, count) : VERDICT_NO_HEAP;
    return unlock_and_report(verdict, "keeping of accounts", ctx);
}

bool dmheap_ctx_get_dead(struct dmheap_ctx* ctx, size_t index, char module_name[DMHEAP_NAME_BYTES],
                         struct dmheap_account* account)
{
    module_name[0] = '\0';
    memset(account, 0, sizeof(*account));
    dmheap_port_lock();
    const struct record_dead* dead = record_dead_at(find_heap(ctx), index);
    if (dead != NULL) {
        show_holding(&dead->holding, account);
        memcpy(module_name, dead->name, sizeof(dead->name) - 1);
        module_name[sizeof(dead->name) - 1] = '\0';
    }
    dmheap_port_unlock();
    return dead != NULL;
}

#endif

#endif
