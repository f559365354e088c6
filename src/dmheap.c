/* SPDX-License-Identifier: MIT */
/*
 * The nine functions, each over its twin of dmheap_ctx.h, the twins, and DMOD's memory interface.
 * This is the only file of the library to compile.
 *
 * The twins know the one heap that most firmwares have. Where there may be more, they leave for
 * root.several, in dmheap_several.h, if their short paths do not serve. They reach those functions
 * by no other way, so a firmware that makes no further heap links none of them.
 */
#include "dmheap_edge.h"

/* ---- the twins -------------------------------------------------------------------- */

bool dmheap_ctx_is_initialized(struct dmheap_ctx* ctx)
{
    dmheap_port_lock();
    const struct dmheap_ctx* heap =
        root.several != NULL ? root.several->find(ctx) : registry_only(ctx);
    const bool is_initialized = heap != &no_heap;
    dmheap_port_unlock();
    return is_initialized;
}

bool dmheap_ctx_register_module(struct dmheap_ctx* ctx, const char* module_name)
{
    enum dmheap_verdict verdict = VERDICT_BAD_NAME;
    bool is_known = false;
    bool is_new = false;
    if (!record_is_nobody(module_name)) {
        enum dmheap_verdict failure = VERDICT_NO_MEMORY;
        dmheap_port_lock();
        if (root.several != NULL) {
            return root.several->register_module(ctx, module_name);
        }
        struct dmheap_ctx* heap = registry_only(ctx);
        is_known = record_find(heap, module_name) != NULL;
        is_new = !is_known && module_make(heap, module_name, &failure) != NULL;
        verdict = settle(heap, is_known || is_new ? VERDICT_OK : failure);
        dmheap_port_unlock();
    }
    return report_registration(verdict, is_known, is_new, module_name);
}

void dmheap_ctx_unregister_module(struct dmheap_ctx* ctx, const char* module_name)
{
    char name[RECORD_NAME_MAX + 1];
    dmheap_word id = 0;
    dmheap_port_lock();
    if (root.several != NULL) {
        root.several->unregister_module(ctx, module_name);
        return;
    }
    struct dmheap_ctx* heap = registry_only(ctx);
    const bool is_known = module_close(heap, module_name, name, &id);
    const dmheap_word serial = heap->serial;
    dmheap_port_unlock();
    if (is_known) {
        report_unregistration(name, edge_sweep(serial, id));
    }
}

/* Allocate in every case, report, and release the lock, which is held. */
static DMHEAP_NOINLINE void* alloc_and_unlock(struct dmheap_ctx* asked, size_t alignment,
                                              size_t size, const char* module_name)
{
    if (root.several != NULL) {
        return root.several->alloc(asked, alignment, size, module_name);
    }
    enum dmheap_verdict failure = VERDICT_NO_MEMORY;
    struct dmheap_ctx* heap = registry_only(asked);
    const struct dmheap_block* block = module_alloc(heap, alignment, size, module_name, &failure);
    const enum dmheap_verdict verdict = settle(heap, block != NULL ? VERDICT_OK : failure);
    dmheap_port_unlock();
    if (DMHEAP_UNLIKELY(verdict != VERDICT_OK)) {
        report_request(verdict, size, module_name);
    }
    return block != NULL ? block_payload(block) : NULL;
}

/* The short path for a module found lately ... */
static DMHEAP_INLINE void* alloc_named(struct dmheap_ctx* asked, size_t size,
                                       const char* module_name)
{
    dmheap_port_lock();
    struct dmheap_ctx* heap = registry_asked(asked);
    const struct dmheap_block* block = module_alloc_hinted(heap, size, module_name);
    if (DMHEAP_UNLIKELY(block == NULL)) {
        return alloc_and_unlock(asked, 1, size, module_name);
    }
    return unlock_and_give(heap, block, size, module_name);
}

/* ... in the heaps by default, and in one that is named. */
static DMHEAP_NOINLINE DMHEAP_FLATTEN void* malloc_named(size_t size, const char* module_name)
{
    return alloc_named(NULL, size, module_name);
}

static DMHEAP_NOINLINE DMHEAP_FLATTEN void* malloc_named_in(struct dmheap_ctx* asked, size_t size,
                                                            const char* module_name)
{
    return alloc_named(asked, size, module_name);
}

/*
 * Short paths: what they do not serve goes on out of line, with the lock held. So they need no
 * registers but those that a call may destroy anyway.
 */
DMHEAP_FLATTEN void* dmheap_ctx_malloc(struct dmheap_ctx* ctx, size_t size, const char* module_name)
{
    if (!DMHEAP_SHORT_PATHS) {
        dmheap_port_lock();
        return alloc_and_unlock(ctx, 1, size, module_name);
    }
    if (module_name != NULL) {
        return ctx == NULL ? malloc_named(size, module_name)
                           : malloc_named_in(ctx, size, module_name);
    }
    dmheap_port_lock();
    struct dmheap_ctx* heap = registry_asked(ctx);
    const struct dmheap_block* block = module_alloc_nobodys(heap, size);
    if (DMHEAP_UNLIKELY(block == NULL)) {
        return alloc_and_unlock(ctx, 1, size, NULL);
    }
    return unlock_and_give(heap, block, size, NULL);
}

DMHEAP_FLATTEN void* dmheap_ctx_aligned_alloc(struct dmheap_ctx* ctx, size_t alignment, size_t size,
                                              const char* module_name)
{
    if (!bits_is_power_of_two(alignment)) {
        report_request(VERDICT_BAD_ALIGNMENT, size, module_name);
        return NULL;
    }
    dmheap_port_lock();
    if (!DMHEAP_SHORT_PATHS || module_name != NULL) {
        return alloc_and_unlock(ctx, alignment, size, module_name);
    }
    struct dmheap_ctx* heap = registry_asked(ctx);
    const struct dmheap_block* block = module_align_nobodys(heap, alignment, size);
    if (block == NULL) {
        return alloc_and_unlock(ctx, alignment, size, NULL);
    }
    return unlock_and_give(heap, block, size, NULL);
}

/*
 * Does realloc try for itself what there may be several heaps for? Not to save space; nor where what
 * is refused is counted, for it would be twice.
 */
#define REALLOC_TRIES (DMHEAP_SHORT_PATHS && !DMHEAP_ACCOUNTING)

/*
 * Go on where a block cannot be resized in place, for `outcome`; the lock is held. Where there may
 * be several heaps, all begins anew; else the block is in the only one, or in none.
 */
static DMHEAP_NOINLINE void* move_and_unlock(struct dmheap_ctx* asked, enum dmheap_verdict outcome,
                                             void* ptr, size_t size)
{
    if (REALLOC_TRIES && root.several != NULL) {
        return root.several->realloc(asked, ptr, size);
    }
    struct module_move move = {NULL, NULL, OWNER_NOBODY, 0};
    struct dmheap_ctx* heap = registry_heap();
    const dmheap_word serial = heap->serial;
    if (outcome == VERDICT_MUST_MOVE) {
        const size_t alignment = module_alignment(heap, ptr);
        outcome = module_begin_move(heap, ptr, alignment, size, &move);
    }
    const enum dmheap_verdict verdict = settle(heap, outcome);
    dmheap_port_unlock();
    if (move.to == NULL) {
        report_pointer(verdict, "realloc", ptr);
        return NULL;
    }
    return edge_copy(serial, ptr, &move, (size_t)move.bytes, verdict);
}

DMHEAP_FLATTEN void* dmheap_ctx_realloc(struct dmheap_ctx* ctx, void* ptr, size_t size,
                                        const char* module_name)
{
    dmheap_port_lock();
    if (ptr == NULL) {
        return alloc_and_unlock(ctx, 1, size, module_name);
    }
    if (!REALLOC_TRIES && root.several != NULL) { /* at once, as alloc_and_unlock does */
        return root.several->realloc(ctx, ptr, size);
    }
    struct dmheap_ctx* heap = registry_asked(ctx);
    const enum dmheap_verdict verdict = module_resize(heap, ptr, size);
    if (verdict != VERDICT_OK) {
        return move_and_unlock(ctx, verdict, ptr, size);
    }
    unlock_and_tell(heap, "realloc", ptr);
    return ptr;
}

/* Free in every case, report, and release the lock, which is held. */
static DMHEAP_COLD void free_and_unlock(struct dmheap_ctx* asked, void* ptr)
{
    if (root.several != NULL) {
        root.several->free(asked, ptr);
        return;
    }
    const enum dmheap_verdict verdict = edge_free_and_unlock(registry_only(asked), ptr);
    if (DMHEAP_UNLIKELY(verdict != VERDICT_OK) && ptr != NULL) {
        report_pointer(verdict, "free", ptr);
    }
}

/* The same for a block that module_take took, in this heap. */
static DMHEAP_COLD void free_taken_and_unlock(struct dmheap_ctx* heap, void* ptr)
{
    module_restore(heap, ptr);
    free_and_unlock(heap, ptr);
}

/* The same for a block that is not counted any more. */
static DMHEAP_COLD void free_uncounted_and_unlock(struct dmheap_ctx* heap, void* ptr)
{
    module_recount(heap, ptr);
    free_taken_and_unlock(heap, ptr);
}

/* The short path for a module's block, which module_take took; the lock is held. */
static DMHEAP_NOINLINE DMHEAP_FLATTEN void free_owned_and_unlock(struct dmheap_ctx* heap, void* ptr,
                                                                 uintptr_t index, uintptr_t behind)
{
    if (DMHEAP_UNLIKELY(!module_free_owned(heap, ptr, index, behind))) {
        free_taken_and_unlock(heap, ptr);
        return;
    }
    unlock_and_tell(heap, "free", ptr);
}

/* The heap merges at once in either case; docs/DESIGN.md tells what deferring costs. */
DMHEAP_FLATTEN void dmheap_ctx_free(struct dmheap_ctx* ctx, void* ptr, bool concatenate)
{
    uintptr_t index;
    uintptr_t behind;
    (void)concatenate;
    dmheap_port_lock();
    if (!DMHEAP_SHORT_PATHS || DMHEAP_POISON) {
        free_and_unlock(ctx, ptr);
        return;
    }
    struct dmheap_ctx* heap = registry_asked(ctx);
    if (DMHEAP_UNLIKELY(!module_take(heap, ptr, &index, &behind))) {
        free_and_unlock(ctx, ptr);
    } else if (!module_is_nobodys(ptr) && !module_uncount(heap, ptr)) {
        free_owned_and_unlock(heap, ptr, index, behind);
    } else if (DMHEAP_UNLIKELY(!module_free_uncounted(heap, ptr, index, behind))) {
        free_uncounted_and_unlock(heap, ptr);
    } else {
        unlock_and_tell(heap, "free", ptr);
    }
}

/* Nothing is left to merge: no two free blocks are ever adjacent. */
void dmheap_ctx_concatenate_free_blocks(struct dmheap_ctx* ctx)
{
    (void)ctx;
}

/* Two more, for DMOD's interface. */
bool dmheap_ctx_retag(struct dmheap_ctx* ctx, void* ptr, const char* module_name)
{
    dmheap_port_lock();
    if (root.several != NULL) {
        return root.several->retag(ctx, ptr, module_name);
    }
    struct dmheap_ctx* heap = registry_only(ctx);
    const enum dmheap_verdict outcome = module_retag(heap, ptr, module_name);
    const enum dmheap_verdict verdict = settle(heap, outcome);
    dmheap_port_unlock();
    if (verdict != VERDICT_OK) {
        report_pointer(verdict, "retag", ptr);
    }
    return outcome == VERDICT_OK;
}

bool dmheap_ctx_rename_module(struct dmheap_ctx* ctx, const char* old_name, const char* new_name)
{
    dmheap_port_lock();
    if (root.several != NULL) {
        return root.several->rename_module(ctx, old_name, new_name);
    }
    struct dmheap_ctx* heap = registry_only(ctx);
    const enum dmheap_verdict outcome = module_rename(heap, old_name, new_name);
    const enum dmheap_verdict verdict = settle(heap, outcome);
    dmheap_port_unlock();
    if (verdict != VERDICT_OK) {
        report_module(verdict, "renaming", old_name);
    }
    return outcome == VERDICT_OK;
}

/* ---- the nine functions -------------------------------------------------------- */

/* Its twin, dmheap_ctx_init, makes a heap beside others; this one makes the first by default. */
bool dmheap_init(void* buffer, size_t size, size_t alignment)
{
    struct dmheap_ctx plan;
    const enum dmheap_verdict verdict = edge_begin_heap(&plan, buffer, size, alignment);
    if (verdict == VERDICT_OK) {
        registry_clear();
        root.heap = edge_make_heap(&plan, buffer);
        dmheap_port_unlock();
    }
    return report_init(verdict, buffer, size, alignment);
}

bool dmheap_is_initialized(void)
{
    return dmheap_ctx_is_initialized(NULL);
}

bool dmheap_register_module(const char* module_name)
{
    return dmheap_ctx_register_module(NULL, module_name);
}

void dmheap_unregister_module(const char* module_name)
{
    dmheap_ctx_unregister_module(NULL, module_name);
}

DMHEAP_FLATTEN void* dmheap_malloc(size_t size, const char* module_name)
{
    return dmheap_ctx_malloc(NULL, size, module_name);
}

DMHEAP_FLATTEN void* dmheap_aligned_alloc(size_t alignment, size_t size, const char* module_name)
{
    return dmheap_ctx_aligned_alloc(NULL, alignment, size, module_name);
}

DMHEAP_FLATTEN void* dmheap_realloc(void* ptr, size_t size, const char* module_name)
{
    return dmheap_ctx_realloc(NULL, ptr, size, module_name);
}

DMHEAP_FLATTEN void dmheap_free(void* ptr, bool concatenate)
{
    dmheap_ctx_free(NULL, ptr, concatenate);
}

void dmheap_concatenate_free_blocks(void)
{
    dmheap_ctx_concatenate_free_blocks(NULL);
}

/* ---- DMOD's memory interface ---------------------------------------------------- */

/*
 * In this object on purpose: DMOD has weak defaults of these, and a linker that finds those
 * first would never open an archive member that had nothing but the strong ones in it.
 */
#ifndef DMHEAP_DONT_IMPLEMENT_DMOD_API
/* DMOD's own headers declare them, or not, depending on its version. */
void* Dmod_MallocEx(size_t Size, const char* ModuleName);
void* Dmod_ReallocEx(void* Ptr, size_t Size, const char* ModuleName);
void* Dmod_AlignedMallocEx(size_t Size, size_t Alignment, const char* ModuleName);
void Dmod_FreeEx(void* Ptr, bool Concatenate);
void Dmod_FreeModule(const char* ModuleName);
bool Dmod_RetagEx(void* Ptr, const char* ModuleName);
bool Dmod_RenameTag(const char* OldName, const char* NewName);

void* Dmod_MallocEx(size_t Size, const char* ModuleName)
{
    return dmheap_malloc(Size, ModuleName);
}

void* Dmod_ReallocEx(void* Ptr, size_t Size, const char* ModuleName)
{
    return dmheap_realloc(Ptr, Size, ModuleName);
}

void* Dmod_AlignedMallocEx(size_t Size, size_t Alignment, const char* ModuleName)
{
    return dmheap_aligned_alloc(Alignment, Size, ModuleName);
}

void Dmod_FreeEx(void* Ptr, bool Concatenate)
{
    dmheap_free(Ptr, Concatenate);
}

void Dmod_FreeModule(const char* ModuleName)
{
    dmheap_unregister_module(ModuleName);
}

bool Dmod_RetagEx(void* Ptr, const char* ModuleName)
{
    return dmheap_ctx_retag(NULL, Ptr, ModuleName);
}

bool Dmod_RenameTag(const char* OldName, const char* NewName)
{
    return dmheap_ctx_rename_module(NULL, OldName, NewName);
}
#endif

/* ---- what there is for several heaps ----------------------------------------------- */

#include "dmheap_proof.h"
#include "dmheap_report.h"
