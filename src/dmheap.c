/* SPDX-License-Identifier: MIT */
/*
 * The edge: the public functions and DMOD's memory interface.
 *
 * Each one checks its arguments, takes the lock, calls one verb of the module layer, releases
 * the lock and reports. Knows: the default heap, the lock, the log. Does not know: what a block
 * looks like. Always holds: the lock is taken once at a time, nothing is logged or copied
 * under it. This is the only file of the library to compile.
 */
#include "dmheap_module.h"

#include "dmheap.h"

#include <limits.h>

/* Without a heap, this one serves: it has no memory and no pointers, so nothing is ever written. */
static const struct dmheap_ctx no_heap = {.granule_shift = 4};

static struct dmheap_ctx* default_heap = (struct dmheap_ctx*)&no_heap;

/* Counts dmheap_init: whoever released the lock for a while sees that a new heap has begun. */
static unsigned epoch_now;

static bool is_starting;

/* ---- reports ------------------------------------------------------------------ */

static const char* reason_text(enum dmheap_verdict verdict)
{
    static const char* const text[] = {
        [VERDICT_NO_HEAP] = "there is no heap",
        [VERDICT_NO_MEMORY] = "out of memory",
        [VERDICT_BAD_BUFFER] = "that is no buffer",
        [VERDICT_TOO_SMALL] = "the buffer is too small for one block",
        [VERDICT_TOO_LARGE] = DMHEAP_HEADER_BYTES == 4
                                  ? "the buffer is too large, build with DMHEAP_HEADER_BYTES=8"
                                  : "the buffer is too large",
        [VERDICT_BUSY] = "another initialization is under way",
        [VERDICT_BAD_ALIGNMENT] = "the alignment is not a power of two",
        [VERDICT_BAD_NAME] = "the name is empty or longer than 63 characters",
        [VERDICT_NAME_TAKEN] = "the new name is taken",
        [VERDICT_NO_MODULE] = "no module has that name",
        [VERDICT_NO_ID] = "too many modules",
        [VERDICT_BAD_POINTER] = "no live block starts there",
        [VERDICT_DAMAGED] = "tags or links beside it were written over",
        [VERDICT_GONE] = "its module or its heap is gone by now",
    };
    return text[verdict];
}

static const char* name_text(const char* module_name, enum dmheap_verdict verdict)
{
    if (verdict == VERDICT_BAD_NAME) {
        return "?";
    }
    return record_is_nobody(module_name) ? "(none)" : module_name;
}

/* DMOD's printf knows no size_t. */
static unsigned size_number(size_t size)
{
    return size < UINT_MAX ? (unsigned)size : UINT_MAX;
}

static DMHEAP_COLD void report_request(enum dmheap_verdict verdict, size_t size,
                                       const char* module_name)
{
    DMHEAP_PORT_LOG_ERROR("dmheap: %u bytes for module %s: %s.\n", size_number(size),
                          name_text(module_name, verdict), reason_text(verdict));
}

static DMHEAP_COLD void report_pointer(enum dmheap_verdict verdict, const char* request,
                                       const void* ptr)
{
    DMHEAP_PORT_LOG_ERROR("dmheap: %s of %p: %s.\n", request, ptr, reason_text(verdict));
}

static DMHEAP_COLD void report_module(enum dmheap_verdict verdict, const char* request,
                                      const char* module_name)
{
    DMHEAP_PORT_LOG_ERROR("dmheap: %s of module %s: %s.\n", request,
                          name_text(module_name, verdict), reason_text(verdict));
}

/*
 * What to report of a request, under the lock. A free list given up on its way comes first, and is
 * reported even if the request was served; a request that failed without a heap failed for that.
 */
static enum dmheap_verdict settle(enum dmheap_verdict verdict)
{
    if (default_heap->damage != 0) {
        default_heap->damage = 0;
        return VERDICT_DAMAGED;
    }
    return verdict != VERDICT_OK && default_heap == &no_heap ? VERDICT_NO_HEAP : verdict;
}

/* ---- the nine functions -------------------------------------------------------- */

bool dmheap_init(void* buffer, size_t size, size_t alignment)
{
    struct dmheap_ctx plan;
    enum dmheap_verdict verdict = heap_lay_out(&plan, buffer, size, alignment);
    if (verdict == VERDICT_OK) {
        dmheap_port_lock();
        if (is_starting) {
            verdict = VERDICT_BUSY;
        } else {
            is_starting = true;
            default_heap = (struct dmheap_ctx*)&no_heap;
            epoch_now++;
        }
        dmheap_port_unlock();
    }
    if (verdict != VERDICT_OK) {
        DMHEAP_PORT_LOG_ERROR(
            "dmheap: Cannot initialize with buffer %p of size %u, alignment %u: %s.\n", buffer,
            size_number(size), size_number(alignment), reason_text(verdict));
        return false;
    }
    struct dmheap_ctx* created = heap_create(&plan, buffer);
    dmheap_port_lock();
    default_heap = created;
    is_starting = false;
    dmheap_port_unlock();
    DMHEAP_PORT_LOG_INFO("dmheap: Initialized with buffer %p of size %u.\n", buffer,
                         size_number(size));
    return true;
}

bool dmheap_is_initialized(void)
{
    dmheap_port_lock();
    const bool is_initialized = default_heap != &no_heap;
    dmheap_port_unlock();
    return is_initialized;
}

bool dmheap_register_module(const char* module_name)
{
    enum dmheap_verdict verdict = VERDICT_BAD_NAME;
    bool is_known = false;
    bool is_new = false;
    if (!record_is_nobody(module_name)) {
        enum dmheap_verdict failure = VERDICT_NO_MEMORY;
        dmheap_port_lock();
        is_known = record_find(default_heap, module_name) != NULL;
        is_new = !is_known && record_create(default_heap, module_name, &failure) != NULL;
        verdict = settle(is_known || is_new ? VERDICT_OK : failure);
        dmheap_port_unlock();
    }
    if (verdict != VERDICT_OK) {
        report_module(verdict, "registration", module_name);
    }
    if (is_known) {
        DMHEAP_PORT_LOG_WARN("dmheap: Module %s is already registered.\n", module_name);
    }
    if (is_new) {
        DMHEAP_PORT_LOG_INFO("dmheap: Module %s registered successfully.\n", module_name);
    }
    return is_known || is_new;
}

void dmheap_unregister_module(const char* module_name)
{
    char name[RECORD_NAME_MAX + 1];
    dmheap_word id = 0;
    struct heap_sweep sweep = {0, 0, false, false};

    dmheap_port_lock();
    bool more = module_close(default_heap, module_name, name, &id);
    const unsigned epoch = epoch_now;
    dmheap_port_unlock();
    if (!more) {
        return;
    }
    while (more) {
        dmheap_port_lock();
        more = epoch == epoch_now && module_sweep(default_heap, id, &sweep);
        dmheap_port_unlock();
    }
    if (sweep.damaged) {
        report_module(VERDICT_DAMAGED, "unregistration", name);
    }
    DMHEAP_PORT_LOG_INFO("dmheap: Module %s unregistered successfully.\n", name);
}

/* Allocate in every case, report, and release the lock, which is held. */
static DMHEAP_NOINLINE void* malloc_and_unlock(size_t alignment, size_t size,
                                               const char* module_name)
{
    enum dmheap_verdict failure = VERDICT_NO_MEMORY;
    const struct dmheap_block* block =
        module_alloc(default_heap, alignment, size, module_name, &failure);
    const enum dmheap_verdict verdict = settle(block != NULL ? VERDICT_OK : failure);
    dmheap_port_unlock();
    if (DMHEAP_UNLIKELY(verdict != VERDICT_OK)) {
        report_request(verdict, size, module_name);
    }
    return block != NULL ? block_payload(block) : NULL;
}

/* The short path for the module found last. */
static DMHEAP_NOINLINE DMHEAP_FLATTEN void* malloc_named(size_t size, const char* module_name)
{
    dmheap_port_lock();
    const struct dmheap_block* block = module_alloc_hinted(default_heap, size, module_name);
    if (DMHEAP_UNLIKELY(block == NULL)) {
        return malloc_and_unlock(1, size, module_name);
    }
    dmheap_port_unlock();
    return block_payload(block);
}

/*
 * Short paths: what they do not serve goes on out of line, with the lock held. So they need no
 * registers but those that a call may destroy anyway.
 */
DMHEAP_FLATTEN void* dmheap_malloc(size_t size, const char* module_name)
{
    if (!DMHEAP_SHORT_PATHS) {
        dmheap_port_lock();
        return malloc_and_unlock(1, size, module_name);
    }
    if (module_name != NULL) {
        return malloc_named(size, module_name);
    }
    dmheap_port_lock();
    const struct dmheap_block* block = module_alloc_nobodys(default_heap, size);
    if (DMHEAP_UNLIKELY(block == NULL)) {
        return malloc_and_unlock(1, size, NULL);
    }
    dmheap_port_unlock();
    return block_payload(block);
}

DMHEAP_FLATTEN void* dmheap_aligned_alloc(size_t alignment, size_t size, const char* module_name)
{
    if (!bits_is_power_of_two(alignment)) {
        report_request(VERDICT_BAD_ALIGNMENT, size, module_name);
        return NULL;
    }
    dmheap_port_lock();
    const struct dmheap_block* block = DMHEAP_SHORT_PATHS && module_name == NULL
                                           ? module_align_nobodys(default_heap, alignment, size)
                                           : NULL;
    if (block == NULL) {
        return malloc_and_unlock(alignment, size, module_name);
    }
    dmheap_port_unlock();
    return block_payload(block);
}

/* Copy a block to its new place, without the lock, and let the old one go. */
static void* copy_and_finish(const struct module_move* move, unsigned epoch, const void* ptr)
{
    void* moved = block_payload(move->to);
    memcpy(moved, ptr, (size_t)move->bytes);
    dmheap_port_lock();
    const enum dmheap_verdict verdict =
        epoch == epoch_now ? module_finish_move(default_heap, move) : VERDICT_GONE;
    dmheap_port_unlock();
    if (DMHEAP_UNLIKELY(verdict != VERDICT_OK)) {
        report_pointer(verdict, "realloc", ptr);
    }
    return verdict != VERDICT_GONE ? moved : NULL;
}

/* Go on where a block cannot be resized in place, for `outcome`; the lock is held. */
static DMHEAP_NOINLINE void* move_and_unlock(enum dmheap_verdict outcome, const void* ptr,
                                             size_t size)
{
    struct module_move move = {NULL, NULL, OWNER_NOBODY, 0};
    const unsigned epoch = epoch_now;
    if (outcome == VERDICT_MUST_MOVE) {
        outcome = module_begin_move(default_heap, ptr, size, &move);
    }
    const enum dmheap_verdict verdict = settle(outcome);
    dmheap_port_unlock();
    if (DMHEAP_UNLIKELY(verdict != VERDICT_OK)) {
        report_pointer(verdict, "realloc", ptr);
    }
    return outcome == VERDICT_OK ? copy_and_finish(&move, epoch, ptr) : NULL;
}

DMHEAP_FLATTEN void* dmheap_realloc(void* ptr, size_t size, const char* module_name)
{
    dmheap_port_lock();
    if (ptr == NULL) {
        return malloc_and_unlock(1, size, module_name);
    }
    const enum dmheap_verdict verdict = module_resize(default_heap, ptr, size);
    if (verdict != VERDICT_OK) {
        return move_and_unlock(verdict, ptr, size);
    }
    dmheap_port_unlock();
    return ptr;
}

/* Free in every case, report, and release the lock, which is held. */
static DMHEAP_NOINLINE void free_and_unlock(void* ptr, bool is_taken)
{
    if (is_taken) {
        module_restore(default_heap, ptr);
    }
    const enum dmheap_verdict verdict = module_free(default_heap, ptr);
    dmheap_port_unlock();
    if (DMHEAP_UNLIKELY(verdict != VERDICT_OK) && ptr != NULL) {
        report_pointer(verdict, "free", ptr);
    }
}

/* The short path for a module's block, which module_take took; the lock is held. */
static DMHEAP_NOINLINE DMHEAP_FLATTEN void free_owned_and_unlock(void* ptr, uintptr_t index,
                                                                 uintptr_t behind)
{
    if (DMHEAP_UNLIKELY(!module_free_owned(default_heap, ptr, index, behind))) {
        free_and_unlock(ptr, true);
        return;
    }
    dmheap_port_unlock();
}

/* The heap merges at once in either case; docs/DESIGN.md tells what deferring costs. */
DMHEAP_FLATTEN void dmheap_free(void* ptr, bool concatenate)
{
    uintptr_t index;
    uintptr_t behind;
    (void)concatenate;
    dmheap_port_lock();
    if (!DMHEAP_SHORT_PATHS || DMHEAP_UNLIKELY(!module_take(default_heap, ptr, &index, &behind))) {
        free_and_unlock(ptr, false);
    } else if (!module_is_nobodys(ptr)) {
        free_owned_and_unlock(ptr, index, behind);
    } else if (DMHEAP_UNLIKELY(!module_free_nobodys(default_heap, ptr, index, behind))) {
        free_and_unlock(ptr, true);
    } else {
        dmheap_port_unlock();
    }
}

/* Nothing is left to merge: no two free blocks are ever adjacent. */
void dmheap_concatenate_free_blocks(void)
{
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

/* Hand a live block to another module, made known if it is not; false: as it was, one ERROR. */
bool Dmod_RetagEx(void* Ptr, const char* ModuleName)
{
    dmheap_port_lock();
    const enum dmheap_verdict outcome = module_retag(default_heap, Ptr, ModuleName);
    const enum dmheap_verdict verdict = settle(outcome);
    dmheap_port_unlock();
    if (verdict != VERDICT_OK) {
        report_pointer(verdict, "retag", Ptr);
    }
    return outcome == VERDICT_OK;
}

/* Give a module a name that no other one has; false: as it was, one ERROR. */
bool Dmod_RenameTag(const char* OldName, const char* NewName)
{
    dmheap_port_lock();
    const enum dmheap_verdict outcome = module_rename(default_heap, OldName, NewName);
    const enum dmheap_verdict verdict = settle(outcome);
    dmheap_port_unlock();
    if (verdict != VERDICT_OK) {
        report_module(verdict, "renaming", OldName);
    }
    return outcome == VERDICT_OK;
}
#endif
