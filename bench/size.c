/* SPDX-License-Identifier: MIT */
/*
 * A firmware that uses all of dmheap, to be linked and never run: what the linker keeps of the
 * library, with every section that nothing refers to removed, is what a firmware pays.
 *
 * SIZE_USES says what is used besides the nine functions: 1 DMOD's memory interface, 2 that and all
 * of dmheap_ctx.h. Arguments come from volatile memory, so that no call is left out and none is
 * simplified.
 */
#include "dmheap_ctx.h"

#if SIZE_USES >= 1
#include "../tests/dmod_api.h"
#endif

static const char* volatile name;
static void* volatile place;
static volatile size_t size;
static volatile bool flag;

static void use_library(void)
{
    flag = dmheap_init(place, size, size);
    flag = dmheap_is_initialized();
    flag = dmheap_register_module(name);
    place = dmheap_malloc(size, name);
    place = dmheap_aligned_alloc(size, size, name);
    place = dmheap_realloc(place, size, name);
    dmheap_free(place, flag);
    dmheap_concatenate_free_blocks();
    dmheap_unregister_module(name);
}

static void use_dmod(void)
{
#if SIZE_USES >= 1
    place = Dmod_MallocEx(size, name);
    place = Dmod_ReallocEx(place, size, name);
    place = Dmod_AlignedMallocEx(size, size, name);
    flag = Dmod_RetagEx(place, name);
    flag = Dmod_RenameTag(name, name);
    Dmod_FreeEx(place, flag);
    Dmod_FreeModule(name);
#endif
}

#if SIZE_USES >= 2
static bool visit(const struct dmheap_block_info* block, void* context)
{
    return block->ptr != context;
}

static bool visit_module(const struct dmheap_module_info* module, void* context)
{
    return module->ctx != context;
}

static bool show(const char* line, void* context)
{
    return line != context;
}

static void bury(const struct dmheap_death* death, void* context)
{
    size = death->bytes;
    place = context;
}

static bool release(const struct dmheap_failure* failure, void* context)
{
    return failure->size != size && place != context;
}
#endif

static void use_ctx(void)
{
#if SIZE_USES >= 2
    static struct dmheap_stats stats;
    static struct dmheap_module_stats module_stats;
    struct dmheap_module module = {0, 0};
    char text[DMHEAP_NAME_BYTES];
    struct dmheap_ctx* ctx = dmheap_ctx_init(place, size, size);
    flag = dmheap_ctx_is_initialized(ctx);
    flag = dmheap_ctx_add_default(ctx);
    flag = dmheap_ctx_remove_default(ctx);
    ctx = dmheap_ctx_get_default((unsigned)size);
    flag = dmheap_ctx_set_name(ctx, name);
    flag = dmheap_ctx_get_name(ctx, text);
    ctx = dmheap_ctx_find(name);
    flag = dmheap_ctx_register_module(ctx, name);
    place = dmheap_ctx_malloc(ctx, size, name);
    place = dmheap_ctx_aligned_alloc(ctx, size, size, name);
    place = dmheap_ctx_realloc(ctx, place, size, name);
    dmheap_ctx_free(ctx, place, flag);
    dmheap_ctx_concatenate_free_blocks(ctx);
    flag = dmheap_ctx_open_module(ctx, name, &module);
    place = dmheap_ctx_malloc_for(ctx, size, module);
    place = dmheap_ctx_aligned_alloc_for(ctx, size, size, module);
    place = dmheap_ctx_calloc(ctx, size, size, name);
    place = dmheap_ctx_aligned_realloc(ctx, place, size, size, name);
    size = dmheap_ctx_usable_size(ctx, place);
    flag = dmheap_ctx_owner_of(ctx, place, text);
    flag = dmheap_ctx_retag(ctx, place, name);
    flag = dmheap_ctx_rename_module(ctx, name, name);
    flag = dmheap_ctx_walk(ctx, visit, place);
    flag = dmheap_ctx_get_stats(ctx, &stats);
    flag = dmheap_ctx_get_module_stats(ctx, name, &module_stats);
    flag = dmheap_ctx_walk_modules(ctx, visit_module, place);
    flag = dmheap_ctx_report(ctx, (unsigned)size, show, place);
    flag = dmheap_ctx_set_leak_policy(ctx, (enum dmheap_leak_policy)size);
    flag = dmheap_ctx_set_death_hook(ctx, bury, place);
    flag = dmheap_ctx_set_failure_hook(ctx, release, place);
    dmheap_ctx_unregister_module(ctx, name);
    flag = dmheap_ctx_deinit(ctx);
#endif
}

int main(void)
{
    for (;;) {
        use_library();
        use_dmod();
        use_ctx();
    }
}
