/* SPDX-License-Identifier: MIT */
/*
 * Several heaps: what the twins of the nine leave for where there may be more than one, and the
 * other functions of dmheap_ctx.h.
 *
 * Knows: which heaps a call is about. Does not know: what a block looks like.
 * Always holds: the registry is refreshed whenever the lock was taken, before it is looked at. What
 * ends in _several is called with the lock held, and releases it (all but of_serial_several);
 * `asked` is a context, or NULL for the heaps that serve by default.
 */
#ifndef DMHEAP_SEVERAL_H
#define DMHEAP_SEVERAL_H

#include "dmheap_leak.h"
#include "dmheap_request.h"

/* ---- which heaps a call is about --------------------------------------------------- */

static void* alloc_several(struct dmheap_ctx* asked, size_t alignment, size_t size,
                           const char* module_name);
static void* realloc_several(struct dmheap_ctx* asked, void* ptr, size_t size);
static void free_several(struct dmheap_ctx* asked, void* ptr);
static bool register_several(struct dmheap_ctx* asked, const char* module_name);
static void unregister_several(struct dmheap_ctx* asked, const char* module_name);
static bool retag_several(struct dmheap_ctx* asked, void* ptr, const char* module_name);
static bool rename_several(struct dmheap_ctx* asked, const char* old_name, const char* new_name);
static struct dmheap_ctx* of_serial_several(dmheap_word serial);
static struct dmheap_ctx* find_heap(struct dmheap_ctx* asked);

static const struct registry_calls calls_several = {
    alloc_several, realloc_several, free_several,      register_several, unregister_several,
    retag_several, rename_several,  of_serial_several, find_heap,
};

/*
 * Volatile, so that no compiler knows that root.several has no other value: one that does calls
 * these by name, and every firmware would link them.
 */
static const struct registry_calls* const volatile calls = &calls_several;

/* The entry of a heap, or NULL. */
static struct registry_entry* find_entry(const struct dmheap_ctx* asked)
{
    registry_refresh(calls);
    return registry_entry_of(asked);
}

/* The heap where a call begins. */
static DMHEAP_NOINLINE struct dmheap_ctx* find_heap(struct dmheap_ctx* asked)
{
    registry_refresh(calls);
    return registry_find(asked);
}

/* The heap where something is live at `ptr`, any address; else the last that a call is about. */
static struct dmheap_ctx* find_heap_of(struct dmheap_ctx* asked, const void* ptr)
{
    struct dmheap_ctx* heap = find_heap(asked);
    struct dmheap_ctx* next = registry_next(asked, heap);
    while (next != NULL && !module_has(heap, ptr)) {
        heap = next;
        next = registry_next(asked, heap);
    }
    return heap;
}

static struct dmheap_ctx* of_serial_several(dmheap_word serial)
{
    registry_refresh(calls);
    const struct registry_entry* entry = registry;
    while (entry->ctx != NULL && entry->serial != serial) {
        entry++;
    }
    return entry->ctx != NULL ? entry->ctx : root.heap;
}

/* Release the lock and report what was asked of a pointer, or of a context; was it done? */
static bool unlock_and_report(enum dmheap_verdict verdict, const char* request, const void* ptr)
{
    dmheap_port_unlock();
    if (verdict != VERDICT_OK) {
        report_pointer(verdict, request, ptr);
    }
    return verdict == VERDICT_OK;
}

/* ---- heaps ------------------------------------------------------------------------ */

struct dmheap_ctx* dmheap_ctx_init(void* buffer, size_t size, size_t alignment)
{
    struct dmheap_ctx plan;
    struct dmheap_ctx* created = NULL;
    enum dmheap_verdict verdict = edge_begin_heap(&plan, buffer, size, alignment);
    if (verdict == VERDICT_OK) {
        registry_refresh(calls);
        if (registry_has_room(buffer, size)) {
            registry_clear_buffer(buffer, size);
            created = edge_make_heap(&plan, buffer);
            registry_refresh(calls);
            registry_add(created);
        } else {
            root.is_starting = false;
            verdict = VERDICT_TOO_MANY;
        }
        dmheap_port_unlock();
    }
    (void)report_init(verdict, buffer, size, alignment);
    return created;
}

bool dmheap_ctx_deinit(struct dmheap_ctx* ctx)
{
    dmheap_port_lock();
    const struct registry_entry* entry = find_entry(ctx);
    const bool is_known = entry != NULL;
    if (is_known) {
        registry_remove(entry);
    }
    return unlock_and_report(is_known ? VERDICT_OK : VERDICT_NO_HEAP, "removal", ctx);
}

/* Change whether a heap serves by default. One that is being made may be about to be the first. */
static bool set_default(struct dmheap_ctx* ctx, bool is_default, const char* request)
{
    enum dmheap_verdict verdict = VERDICT_OK;
    dmheap_port_lock();
    const struct registry_entry* entry = find_entry(ctx);
    if (entry == NULL) {
        verdict = VERDICT_NO_HEAP;
    } else if (root.is_starting) {
        verdict = VERDICT_BUSY;
    } else if (entry->is_default != is_default) {
        if (is_default && registry_count_defaults() == DMHEAP_DEFAULTS_MAX) {
            verdict = VERDICT_TOO_MANY;
        } else {
            registry_set_default(entry, is_default);
        }
    }
    return unlock_and_report(verdict, request, ctx);
}

bool dmheap_ctx_add_default(struct dmheap_ctx* ctx)
{
    return set_default(ctx, true, "listing");
}

bool dmheap_ctx_remove_default(struct dmheap_ctx* ctx)
{
    return set_default(ctx, false, "unlisting");
}

struct dmheap_ctx* dmheap_ctx_get_default(unsigned index)
{
    dmheap_port_lock();
    registry_refresh(calls);
    struct dmheap_ctx* ctx = index < registry_count_defaults() ? registry[index].ctx : NULL;
    dmheap_port_unlock();
    return ctx;
}

bool dmheap_ctx_set_name(struct dmheap_ctx* ctx, const char* name)
{
    const char* const text = name != NULL ? name : "";
    const size_t length = record_measure(text).length;
    enum dmheap_verdict verdict = VERDICT_OK;
    dmheap_port_lock();
    struct registry_entry* entry = find_entry(ctx);
    const struct registry_entry* holder = length != 0 ? registry_named(text) : NULL;
    if (entry == NULL) {
        verdict = VERDICT_NO_HEAP;
    } else if (length >= sizeof(entry->name)) {
        verdict = VERDICT_BAD_NAME;
    } else if (holder != NULL && holder != entry) {
        verdict = VERDICT_NAME_TAKEN;
    } else {
        memcpy(entry->name, text, length + 1);
    }
    return unlock_and_report(verdict, "naming", ctx);
}

bool dmheap_ctx_get_name(struct dmheap_ctx* ctx, char name[DMHEAP_CTX_NAME_BYTES])
{
    name[0] = '\0';
    dmheap_port_lock();
    const struct registry_entry* entry = find_entry(ctx);
    if (entry != NULL) {
        memcpy(name, entry->name, sizeof(entry->name));
    }
    dmheap_port_unlock();
    return entry != NULL;
}

struct dmheap_ctx* dmheap_ctx_find(const char* name)
{
    if (record_is_nobody(name)) {
        return NULL;
    }
    dmheap_port_lock();
    registry_refresh(calls);
    const struct registry_entry* entry = registry_named(name);
    struct dmheap_ctx* ctx = entry != NULL ? entry->ctx : NULL;
    dmheap_port_unlock();
    return ctx;
}

/* ---- what the twins leave for ------------------------------------------------------- */

/* The record of a name in the first heap that has one, or NULL. */
static struct record* find_module(struct dmheap_ctx* asked, const char* module_name)
{
    struct record* record = NULL;
    for (struct dmheap_ctx* heap = find_heap(asked); record == NULL && heap != NULL;
         heap = registry_next(asked, heap)) {
        record = record_find(heap, module_name);
    }
    return record;
}

/* Make a module known in the first heap that has room; or NULL. */
static struct record* make_module(struct dmheap_ctx* asked, struct request* request)
{
    struct record* record;
    struct dmheap_ctx* next = find_heap(asked);
    do {
        struct dmheap_ctx* const heap = next;
        enum dmheap_verdict here = VERDICT_NO_MEMORY;
        record = module_make(heap, request->module_name, &here);
        request_settle(request, heap, record != NULL ? VERDICT_OK : here);
        next = registry_next(asked, heap);
    } while (record == NULL && next != NULL);
    return record;
}

static bool register_several(struct dmheap_ctx* asked, const char* module_name)
{
    struct request request;
    bool is_known;
    bool is_new;
    request_begin(&request, 1, 0, module_name);
    do {
        is_known = find_module(asked, request.module_name) != NULL;
        is_new = !is_known && make_module(asked, &request) != NULL;
        dmheap_port_unlock();
    } while (!is_known && !is_new && request_begin_retry(&request));
    return report_registration(request.verdict, is_known, is_new, request.module_name);
}

/* Does any of the heaps keep a module, for what it holds there? */
static bool is_kept(struct dmheap_ctx* asked, const char* module_name)
{
    struct dmheap_ctx* heap = record_is_nobody(module_name) ? NULL : find_heap(asked);
    while (heap != NULL && !leak_is_kept(heap, module_name)) {
        heap = registry_next(asked, heap);
    }
    return heap != NULL;
}

/* Take a module's name away in all heaps at once: in how many it had one. */
static unsigned close_module(struct dmheap_ctx* asked, const char* module_name,
                             char name[RECORD_NAME_MAX + 1], struct leak leak[DMHEAP_DEFAULTS_MAX])
{
    unsigned count = 0;
    for (struct dmheap_ctx* heap = find_heap(asked); heap != NULL;
         heap = registry_next(asked, heap)) {
        dmheap_word id;
        if (module_close(heap, module_name, name, &id)) {
            leak_begin(&leak[count++], heap, id);
        }
    }
    return count;
}

/* The name goes in all heaps or in none; then what the module has in each is freed. */
static void unregister_several(struct dmheap_ctx* asked, const char* module_name)
{
    struct leak leak[DMHEAP_DEFAULTS_MAX];
    char name[RECORD_NAME_MAX + 1];
    bool is_sound = true;
    if (is_kept(asked, module_name)) {
        dmheap_port_unlock();
        policies->report_kept(module_name);
        return;
    }
    const unsigned count = close_module(asked, module_name, name, leak);
    dmheap_port_unlock();
    for (unsigned i = 0; i < count; i++) {
        is_sound = leak_sweep(&leak[i], name) && is_sound;
    }
    if (count != 0) {
        report_unregistration(name, is_sound);
    }
    for (unsigned i = 0; i < count; i++) {
        leak_end(&leak[i], name);
    }
}

/* Allocate in the first heap that serves. */
static DMHEAP_INLINE const struct dmheap_block* alloc_in_any(struct dmheap_ctx* asked,
                                                             struct request* request)
{
    const struct dmheap_block* block;
    struct dmheap_ctx* next = find_heap(asked);
    do {
        struct dmheap_ctx* const heap = next;
        enum dmheap_verdict here = VERDICT_NO_MEMORY;
        block = module_alloc(heap, request->alignment, request->size, request->module_name, &here);
        request_settle(request, heap, block != NULL ? VERDICT_OK : here);
        next = registry_next(asked, heap);
    } while (block == NULL && next != NULL);
    return block;
}

static DMHEAP_NOINLINE void* alloc_several(struct dmheap_ctx* asked, size_t alignment, size_t size,
                                           const char* module_name)
{
    struct request request;
    const struct dmheap_block* block;
    request_begin(&request, alignment, size, module_name);
    do {
        block = alloc_in_any(asked, &request);
        dmheap_port_unlock();
    } while (DMHEAP_UNLIKELY(block == NULL) && request_begin_retry(&request));
    if (DMHEAP_UNLIKELY(request.verdict != VERDICT_OK)) {
        report_request(request.verdict, size, request.module_name);
    }
    return block != NULL ? block_payload(block) : NULL;
}

/*
 * Resize a block in place, or begin to move it, to an alignment at least. What a hook is told if
 * there is no memory, the block tells.
 */
static enum dmheap_verdict begin_realloc(struct dmheap_ctx* heap, void* ptr,
                                         struct request* request, struct module_move* move)
{
    enum dmheap_verdict outcome = module_realign(heap, ptr, request->alignment, request->size);
    if (outcome != VERDICT_MUST_MOVE && !account_is_reason(outcome)) {
        return outcome;
    }
    const size_t own = module_alignment(heap, ptr);
    request->alignment = own > request->alignment ? own : request->alignment;
    if (outcome == VERDICT_MUST_MOVE) {
        outcome = module_begin_move(heap, ptr, request->alignment, request->size, move);
    }
    if (account_is_reason(outcome)) {
        (void)module_owner_of(heap, ptr, request->name);
    }
    return outcome;
}

static void* realign_several(struct dmheap_ctx* asked, void* ptr, size_t alignment, size_t size)
{
    struct module_move move = {NULL, NULL, OWNER_NOBODY, 0};
    struct request request;
    enum dmheap_verdict outcome;
    dmheap_word serial;
    request_begin(&request, alignment, size, NULL);
    request.module_name = request.name; /* which the attempt fills in */
    do {
        struct dmheap_ctx* heap = find_heap_of(asked, ptr);
        serial = heap->serial;
        outcome = begin_realloc(heap, ptr, &request, &move);
        request_settle(&request, heap, outcome);
        dmheap_port_unlock();
    } while (account_is_reason(outcome) && request_begin_retry(&request));
    if (move.to != NULL) {
        return edge_copy(serial, ptr, &move, size, request.verdict); /* it may be smaller now */
    }
    if (request.verdict != VERDICT_OK) {
        report_pointer(request.verdict, "realloc", ptr);
    }
    return outcome == VERDICT_OK ? ptr : NULL;
}

/* Any alignment is one of 1 at least. */
static void* realloc_several(struct dmheap_ctx* asked, void* ptr, size_t size)
{
    return realign_several(asked, ptr, 1, size);
}

static DMHEAP_NOINLINE void free_several(struct dmheap_ctx* asked, void* ptr)
{
    const enum dmheap_verdict verdict = edge_free_and_unlock(find_heap_of(asked, ptr), ptr);
    if (verdict != VERDICT_OK && ptr != NULL) {
        report_pointer(verdict, "free", ptr);
    }
}

/* ---- module handles --------------------------------------------------------------- */

static struct dmheap_module handle_of(const struct record* record)
{
    const struct dmheap_module module = {record->id, record->serial};
    return module;
}

bool dmheap_ctx_open_module(struct dmheap_ctx* ctx, const char* module_name,
                            struct dmheap_module* module)
{
    struct request request;
    struct dmheap_module found = {0, 0};
    request_begin(&request, 1, 0, module_name);
    if (record_is_nobody(module_name)) {
        request.verdict = VERDICT_BAD_NAME;
    } else {
        dmheap_port_lock();
        do {
            const struct record* record = find_module(ctx, request.module_name);
            if (record == NULL) {
                record = make_module(ctx, &request);
            }
            if (record != NULL) {
                found = handle_of(record);
            }
            dmheap_port_unlock();
        } while (found.id == 0 && request_begin_retry(&request));
    }
    if (request.verdict != VERDICT_OK) {
        report_module(request.verdict, "opening", request.module_name);
    }
    *module = found;
    return found.id != 0;
}

/* Allocate in the heap of a handle. */
static const struct dmheap_block*
alloc_handled(struct dmheap_ctx* asked, struct dmheap_module module, struct request* request)
{
    struct record* record;
    struct dmheap_ctx* heap;
    struct dmheap_ctx* next = find_heap(asked);
    do {
        heap = next;
        record = record_of_handle(heap, module.id, module.serial);
        next = registry_next(asked, heap);
    } while (record == NULL && next != NULL);
    enum dmheap_verdict outcome = VERDICT_GONE;
    const struct dmheap_block* block = NULL;
    if (record != NULL) {
        outcome = VERDICT_NO_MEMORY;
        block = module_alloc_owned(heap, request->alignment, request->size, record, &outcome);
        outcome = block != NULL ? VERDICT_OK : outcome;
    }
    if (account_is_reason(outcome)) {
        record_show_name(heap, record, request->name);
    }
    request_settle(request, heap, outcome);
    return block;
}

/* Allocate by a handle in every case, report, and release the lock, which is held. */
static DMHEAP_NOINLINE void* alloc_for_several(struct dmheap_ctx* asked, size_t alignment,
                                               size_t size, struct dmheap_module module)
{
    struct request request;
    const struct dmheap_block* block;
    request_begin(&request, alignment, size, NULL);
    request.module_name = request.name; /* which the attempt fills in */
    do {
        block = alloc_handled(asked, module, &request);
        dmheap_port_unlock();
    } while (DMHEAP_UNLIKELY(block == NULL) && request_begin_retry(&request));
    if (DMHEAP_UNLIKELY(request.verdict != VERDICT_OK)) {
        report_request(request.verdict, size, "(handle)");
    }
    return block != NULL ? block_payload(block) : NULL;
}

/* The same at the default alignment, with the arguments where dmheap_ctx_malloc_for has them. */
static DMHEAP_COLD void* malloc_for_several(struct dmheap_ctx* asked, size_t size,
                                            struct dmheap_module module)
{
    return alloc_for_several(asked, 1, size, module);
}

DMHEAP_FLATTEN void* dmheap_ctx_malloc_for(struct dmheap_ctx* ctx, size_t size,
                                           struct dmheap_module module)
{
    dmheap_port_lock();
    if (!DMHEAP_SHORT_PATHS) {
        return alloc_for_several(ctx, 1, size, module);
    }
    struct dmheap_ctx* heap = registry_asked(ctx);
    const struct dmheap_block* block = module_alloc_handled(heap, size, module.id, module.serial);
    if (DMHEAP_UNLIKELY(block == NULL)) {
        return malloc_for_several(ctx, size, module);
    }
    return unlock_and_give(heap, block, size, "(handle)");
}

void* dmheap_ctx_aligned_alloc_for(struct dmheap_ctx* ctx, size_t alignment, size_t size,
                                   struct dmheap_module module)
{
    if (!bits_is_power_of_two(alignment)) {
        report_request(VERDICT_BAD_ALIGNMENT, size, "(handle)");
        return NULL;
    }
    dmheap_port_lock();
    return alloc_for_several(ctx, alignment, size, module);
}

/* ---- companions ------------------------------------------------------------------- */

/* Allocate what is to be cleared in the first heap that serves; the serial of the last one asked. */
static dmheap_word begin_clear(struct dmheap_ctx* asked, struct request* request,
                               struct module_move* move)
{
    struct dmheap_ctx* heap;
    struct dmheap_ctx* next = find_heap(asked);
    do {
        heap = next;
        request_settle(request, heap,
                       module_begin_clear(heap, request->size, request->module_name, move));
        next = registry_next(asked, heap);
    } while (move->to == NULL && next != NULL);
    return heap->serial;
}

/* Clear a block that was begun, and give it to its owner; NULL: that one is gone, or the heap. */
static void* clear(dmheap_word serial, const struct module_move* move)
{
    void* ptr = block_payload(move->to);
    memset(ptr, 0, (size_t)move->bytes);
    dmheap_port_lock();
    struct dmheap_ctx* heap = registry_of_serial(serial);
    const bool is_done =
        heap != NULL && settle_given(heap, module_finish_clear(heap, move)) == VERDICT_OK;
    dmheap_port_unlock();
    return is_done ? ptr : NULL;
}

void* dmheap_ctx_calloc(struct dmheap_ctx* ctx, size_t count, size_t size, const char* module_name)
{
    const bool is_beyond = size != 0 && count > SIZE_MAX / size;
    const size_t bytes = is_beyond ? SIZE_MAX : count * size; /* that many no heap has */
    struct module_move move = {NULL, NULL, OWNER_NOBODY, 0};
    struct request request;
    dmheap_word serial;
    request_begin(&request, 1, bytes, module_name);
    dmheap_port_lock();
    do {
        serial = begin_clear(ctx, &request, &move);
        dmheap_port_unlock();
    } while (move.to == NULL && !is_beyond && request_begin_retry(&request));
    void* cleared = move.to != NULL ? clear(serial, &move) : NULL;
    if (move.to != NULL && cleared == NULL) {
        request.verdict = VERDICT_GONE;
    }
    if (request.verdict != VERDICT_OK) {
        report_request(request.verdict, bytes, request.module_name);
    }
    return cleared;
}

void* dmheap_ctx_aligned_realloc(struct dmheap_ctx* ctx, void* ptr, size_t alignment, size_t size,
                                 const char* module_name)
{
    if (ptr == NULL || !bits_is_power_of_two(alignment)) { /* that is reported there, too */
        return dmheap_ctx_aligned_alloc(ctx, alignment, size, module_name);
    }
    dmheap_port_lock();
    return realign_several(ctx, ptr, alignment, size);
}

size_t dmheap_ctx_usable_size(struct dmheap_ctx* ctx, const void* ptr)
{
    size_t size = 0;
    dmheap_port_lock();
    const enum dmheap_verdict verdict = module_usable_size(find_heap_of(ctx, ptr), ptr, &size);
    dmheap_port_unlock();
    if (verdict != VERDICT_OK && ptr != NULL) {
        report_pointer(verdict, "size", ptr);
    }
    return size;
}

bool dmheap_ctx_owner_of(struct dmheap_ctx* ctx, const void* ptr,
                         char module_name[DMHEAP_NAME_BYTES])
{
    module_name[0] = '\0';
    dmheap_port_lock();
    return unlock_and_report(module_owner_of(find_heap_of(ctx, ptr), ptr, module_name), "owner",
                             ptr);
}

static bool retag_several(struct dmheap_ctx* asked, void* ptr, const char* module_name)
{
    struct request request;
    enum dmheap_verdict outcome;
    request_begin(&request, 1, 0, module_name);
    do {
        struct dmheap_ctx* heap = find_heap_of(asked, ptr);
        outcome = module_retag(heap, ptr, request.module_name);
        request_settle(&request, heap, outcome);
        dmheap_port_unlock();
    } while (account_is_reason(outcome) && request_begin_retry(&request));
    if (request.verdict != VERDICT_OK) {
        report_pointer(request.verdict, "retag", ptr);
    }
    return outcome == VERDICT_OK;
}

/* Begin it in one heap of several: the name must not be another one's in any of them. */
static enum dmheap_verdict begin_rename(struct dmheap_ctx* heap, const char* old_name,
                                        const char* new_name, struct module_renaming* renaming)
{
    const enum dmheap_verdict verdict = module_begin_rename(heap, old_name, new_name, renaming);
    const bool is_taken = verdict == VERDICT_NO_MODULE && !record_is_nobody(new_name) &&
                          record_find(heap, new_name) != NULL;
    return is_taken ? VERDICT_NAME_TAKEN : verdict;
}

/* End what was begun in the heaps up to `last`: all of it is done, or none. */
static void end_rename(struct dmheap_ctx* asked, const struct dmheap_ctx* last, bool is_done,
                       const struct module_renaming* renaming, struct request* request)
{
    struct dmheap_ctx* heap;
    struct dmheap_ctx* next = registry_find(asked);
    do {
        heap = next;
        if (is_done) {
            module_end_rename(heap, renaming);
        } else {
            module_cancel_rename(heap, renaming);
        }
        request->verdict = settle_given(heap, request->verdict);
        next = registry_next(asked, heap);
        renaming++;
    } while (heap != last);
}

/* Rename it in all heaps that have it, or in none. */
static enum dmheap_verdict rename_in_all(struct dmheap_ctx* asked, const char* old_name,
                                         const char* new_name, struct request* request)
{
    struct module_renaming renaming[DMHEAP_DEFAULTS_MAX];
    struct dmheap_ctx* heap;
    struct dmheap_ctx* next = find_heap(asked);
    unsigned heaps = 0;
    enum dmheap_verdict outcome = VERDICT_NO_MODULE;
    do {
        heap = next;
        DMHEAP_ASSERT(heaps < DMHEAP_DEFAULTS_MAX);
        const enum dmheap_verdict here = begin_rename(heap, old_name, new_name, &renaming[heaps++]);
        const bool is_elsewhere = here == VERDICT_NO_MODULE;
        outcome = is_elsewhere ? outcome : here;
        request_settle(request, heap, is_elsewhere ? VERDICT_OK : here);
        next = outcome == VERDICT_OK || is_elsewhere ? registry_next(asked, heap) : NULL;
    } while (next != NULL);
    end_rename(asked, heap, outcome == VERDICT_OK, renaming, request);
    if (request->verdict == VERDICT_OK) {
        request->verdict = settle(heap, outcome);
    }
    return outcome;
}

static bool rename_several(struct dmheap_ctx* asked, const char* old_name, const char* new_name)
{
    char kept[DMHEAP_NAME_BYTES]; /* the new name, as request.name is the old one */
    struct request request;
    enum dmheap_verdict outcome;
    request_begin(&request, 1, 0, old_name);
    do {
        outcome = rename_in_all(asked, request.module_name, new_name, &request);
        if (account_is_reason(outcome)) { /* so it is not too long */
            new_name = request_copy_name(kept, new_name);
        }
        dmheap_port_unlock();
    } while (account_is_reason(outcome) && request_begin_retry(&request));
    if (request.verdict != VERDICT_OK) {
        report_module(request.verdict, "renaming", request.module_name);
    }
    return outcome == VERDICT_OK;
}

/* ---- policies --------------------------------------------------------------------- */

static const struct policy_calls policy_calls = {
    policy_list, policy_call_failure_hook, leak_count, leak_report, leak_report_kept, leak_tell,
};

/* Volatile, as `calls`: so that no compiler names in its stead what it points to. */
static const struct policy_calls* const volatile policy_place = &policy_calls;

/*
 * The policy of a heap, to be changed; NULL: there is no such heap. The lock is held. `policies` is
 * written once: who has found a policy under the lock may go by it without.
 */
static struct policy* find_policy(struct dmheap_ctx* asked)
{
    const struct dmheap_ctx* heap = find_heap(asked);
    if (policies == NULL) {
        policies = policy_place;
    }
    return heap != &no_heap ? policy_make(heap) : NULL;
}

bool dmheap_ctx_set_leak_policy(struct dmheap_ctx* ctx, enum dmheap_leak_policy policy)
{
    if ((unsigned)policy > DMHEAP_LEAK_KEEP) {
        DMHEAP_PORT_LOG_ERROR("dmheap: leak policy of %p: there is no policy %u.\n", (void*)ctx,
                              (unsigned)policy);
        return false;
    }
    dmheap_port_lock();
    struct policy* found = find_policy(ctx);
    if (found != NULL) {
        found->leak = policy;
    }
    return unlock_and_report(found != NULL ? VERDICT_OK : VERDICT_NO_HEAP, "leak policy", ctx);
}

bool dmheap_ctx_set_death_hook(struct dmheap_ctx* ctx, dmheap_death_hook hook, void* context)
{
    dmheap_port_lock();
    struct policy* found = find_policy(ctx);
    if (found != NULL) {
        found->on_death = hook;
        found->death_context = context;
    }
    return unlock_and_report(found != NULL ? VERDICT_OK : VERDICT_NO_HEAP, "death hook", ctx);
}

bool dmheap_ctx_set_failure_hook(struct dmheap_ctx* ctx, dmheap_failure_hook hook, void* context)
{
    dmheap_port_lock();
    struct policy* found = find_policy(ctx);
    if (found != NULL) {
        found->on_failure = hook;
        found->failure_context = context;
    }
    return unlock_and_report(found != NULL ? VERDICT_OK : VERDICT_NO_HEAP, "failure hook", ctx);
}

#include "dmheap_insight.h"
#include "dmheap_quota.h"

#endif
