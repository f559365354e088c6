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

/* ---- limits and reserves ------------------------------------------------------------ */

/* What is done to an account: account_limit or account_reserve. */
typedef enum dmheap_verdict (*quota)(struct dmheap_ctx* ctx, struct dmheap_holding* holding,
                                     dmheap_word bytes);

/* Make a module known in one heap, with that quota, or not at all. */
static enum dmheap_verdict make_with(struct dmheap_ctx* heap, const char* module_name, quota set,
                                     dmheap_word bytes)
{
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    const dmheap_word peak = module_peak(heap);
    struct record* record = module_make(heap, module_name, &verdict);
    if (record == NULL) {
        return verdict;
    }
    verdict = set(heap, record_holding(heap, record), bytes);
    if (verdict != VERDICT_OK) {
        module_unmake(heap, record, peak);
    }
    return verdict;
}

/* The same in the first heap with room for it; was it done? */
static bool make_with_several(struct dmheap_ctx* asked, struct request* request, quota set,
                              dmheap_word bytes)
{
    enum dmheap_verdict here;
    struct dmheap_ctx* next = find_heap(asked);
    do {
        struct dmheap_ctx* const heap = next;
        here = make_with(heap, request->module_name, set, bytes);
        request_settle(request, heap, here);
        next = registry_next(asked, heap);
    } while (here != VERDICT_OK && next != NULL);
    return here == VERDICT_OK;
}

/* Set a quota of a module, made known if it is not. */
static bool set_quota(struct dmheap_ctx* asked, const char* module_name, quota set, size_t bytes,
                      const char* what)
{
    struct request request;
    enum dmheap_verdict verdict;
    bool is_done = false;
    request_begin(&request, 1, 0, module_name);
    dmheap_port_lock();
    do {
        struct dmheap_ctx* heap = find_home(asked, request.module_name);
        struct dmheap_holding* holding = find_holding(heap, request.module_name, &verdict);
        if (holding != NULL) {
            verdict = set(heap, holding, account_word(bytes));
            is_done = verdict == VERDICT_OK;
        } else if (verdict == VERDICT_NO_MODULE) {
            is_done = make_with_several(asked, &request, set, account_word(bytes));
            verdict = request.verdict;
        }
        dmheap_port_unlock();
    } while (!is_done && request_begin_retry(&request));
    if (verdict != VERDICT_OK) {
        report_module(verdict, what, request.module_name);
    }
    return is_done;
}

bool dmheap_ctx_set_limit(struct dmheap_ctx* ctx, const char* module_name, size_t bytes)
{
    return set_quota(ctx, module_name, account_limit, bytes, "limit");
}

bool dmheap_ctx_set_reserve(struct dmheap_ctx* ctx, const char* module_name, size_t bytes)
{
    return set_quota(ctx, module_name, account_reserve, bytes, "reserve");
}

/* ---- figures of modules ------------------------------------------------------------------ */

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

/* ---- heaps ----------------------------------------------------------------------- */

static void show_totals(struct dmheap_ctx* heap, struct dmheap_heap_account* account)
{
    const struct dmheap_totals* totals = ctx_totals(heap);
    account->used = (size_t)totals->used;
    account->free = (size_t)account_free(heap);
    account->min_free = (size_t)(account_capacity(heap) - totals->peak);
    account->reserved = (size_t)totals->unmet;
    for (unsigned i = 0; i < CTX_REASONS; i++) {
        account->failures[i] = (size_t)totals->failures[i];
    }
}

bool dmheap_ctx_get_heap_account(struct dmheap_ctx* ctx, struct dmheap_heap_account* account)
{
    memset(account, 0, sizeof(*account));
    dmheap_port_lock();
    struct dmheap_ctx* heap = find_heap(ctx);
    if (heap == &no_heap) {
        return unlock_and_report(VERDICT_NO_HEAP, "account", ctx);
    }
    show_totals(heap, account);
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
    enum dmheap_verdict outcome = VERDICT_NO_HEAP;
    if (heap != &no_heap) {
        outcome = module_note(heap, NULL, 0, dead_keep(heap, count));
    }
    (void)unlock_and_report(settle(heap, outcome), "keeping of accounts", ctx);
    return outcome == VERDICT_OK;
}

/* The account of the module that went as the index tells, latest first. False: none is kept. */
static bool show_dead(struct dmheap_ctx* heap, size_t index, char name[DMHEAP_NAME_BYTES],
                      struct dmheap_account* account)
{
    const struct dead* dead = dead_at(heap, index);
    if (dead != NULL) {
        show_holding(&dead->holding, account);
        memcpy(name, dead->name, sizeof(dead->name) - 1);
        name[sizeof(dead->name) - 1] = '\0';
    }
    return dead != NULL;
}

bool dmheap_ctx_get_dead(struct dmheap_ctx* ctx, size_t index, char module_name[DMHEAP_NAME_BYTES],
                         struct dmheap_account* account)
{
    module_name[0] = '\0';
    memset(account, 0, sizeof(*account));
    dmheap_port_lock();
    const bool is_there = show_dead(find_heap(ctx), index, module_name, account);
    dmheap_port_unlock();
    return is_there;
}

#endif

#endif
