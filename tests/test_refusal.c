/* SPDX-License-Identifier: MIT */
/*
 * Every allocation that a call makes, refused: the first, the second and so on, each alone and with
 * all that follow. The library is part of this file, so that its layers ask here before they ask
 * the heap: for a block, a module's record, a group of modules, the place a block moves to, the ring
 * of dead modules.
 *
 * What a call that fails leaves is what it found; and when there is memory again, it does its work.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "dmheap_heap.h"
#pragma GCC diagnostic pop

/* Is the allocation that is asked for now one that is refused? */
static bool is_refused(void);

#define heap_alloc(ctx, size, owner)     (is_refused() ? NULL : heap_alloc(ctx, size, owner))
#define heap_try_alloc(ctx, size, owner) (is_refused() ? NULL : heap_try_alloc(ctx, size, owner))
#define heap_alloc_aligned(ctx, alignment, size, owner) \
    (is_refused() ? NULL : heap_alloc_aligned(ctx, alignment, size, owner))
#define heap_try_aligned(ctx, alignment, size, owner) \
    (is_refused() ? NULL : heap_try_aligned(ctx, alignment, size, owner))

#include "dmheap.c"

#include "dmod_api.h"
#include "heap_test.h"

#define MODULES 12U /* as many as the first group has ids */

static struct {
    unsigned asked;  /* allocations so far */
    unsigned number; /* of the one that is refused; 0: none */
    bool with_all;   /* and all that follow */
} refusal;

static bool is_refused(void)
{
    refusal.asked++;
    return refusal.number != 0 && (refusal.asked == refusal.number ||
                                   (refusal.with_all && refusal.asked > refusal.number));
}

/* ---- the scene -------------------------------------------------------------------------- */

static unsigned char* nobodys; /* a block that cannot grow where it stands */
static unsigned char* modules_block;
static struct dmheap_module handle;

static void lay(unsigned modules)
{
    refusal.number = 0;
    heap_open(32 * KIB, 8);
    for (unsigned i = 0; i < modules; i++) {
        assert_true(dmheap_register_module(numbered_name(i)));
    }
    modules_block = dmheap_malloc(40, "owner");
    nobodys = dmheap_malloc(40, NULL);
    assert_true(dmheap_malloc(1, NULL) != NULL && modules_block != NULL && nobodys != NULL);
    fill(nobodys, 40, 1);
    fill(modules_block, 40, 2);
    assert_true(dmheap_ctx_open_module(NULL, "owner", &handle));
    test_port_forget_lines();
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15U;
    return hash ^ hash >> 29;
}

/* What is known of a module, but for its failures. NULL: nothing. */
static uint64_t look_at_module(const struct record* record)
{
    uint64_t hash = 0;
    if (record == NULL) {
        return hash;
    }
    hash = mix(record->id, record_measure(record->name).hash);
    hash = mix(hash, record->references);
#if DMHEAP_ACCOUNTING
    hash = mix(hash, record->holding.blocks);
    hash = mix(hash, record->holding.bytes);
    hash = mix(hash, record->holding.limit);
    hash = mix(hash, record->holding.reserve);
    hash = mix(hash, record->holding.peak);
    hash = mix(hash, record->holding.allocations);
#endif
    return hash;
}

/* All that a client could see of the heap; which is sound. */
static uint64_t look(void)
{
    uint64_t hash = 0;
    (void)heap_verify();
    for (const struct dmheap_block* at = heap_first_block(); at != NULL; at = heap_next_block(at)) {
        hash = mix(hash, ctx_offset(test_heap.ctx, at));
        hash = mix(hash, (uint64_t)block_size(at));
        hash = mix(hash, block_owner(at));
    }
    assert_true(is_filled(nobodys, 40, 1) && is_filled(modules_block, 40, 2));
    for (dmheap_word id = OWNER_MODULES; id < RECORD_ID_END;) {
        hash = mix(hash, look_at_module(record_next(test_heap.ctx, &id, RECORD_ID_END)));
    }
    hash = mix(hash, (uint64_t)(test_heap.ctx->top));
    return mix(hash, modules());
}

/* ---- calls: each makes something, and says whether it did ------------------------------------ */

static bool call_malloc(void)
{
    return dmheap_malloc(30, NULL) != NULL;
}

static bool call_malloc_of_a_module(void)
{
    return dmheap_malloc(30, "owner") != NULL;
}

static bool call_malloc_of_a_new_module(void)
{
    return dmheap_malloc(30, "new") != NULL;
}

static bool call_aligned_alloc(void)
{
    return dmheap_aligned_alloc(128, 30, NULL) != NULL;
}

static bool call_aligned_alloc_of_a_new_module(void)
{
    return dmheap_aligned_alloc(128, 30, "new") != NULL;
}

static bool call_realloc(void)
{
    unsigned char* moved = dmheap_realloc(nobodys, 500, NULL);
    nobodys = moved != NULL ? moved : nobodys;
    return moved != NULL;
}

static bool call_realloc_of_a_module(void)
{
    unsigned char* moved = dmheap_realloc(modules_block, 500, NULL);
    modules_block = moved != NULL ? moved : modules_block;
    return moved != NULL;
}

static bool call_aligned_realloc(void)
{
    unsigned char* moved = dmheap_ctx_aligned_realloc(NULL, modules_block, 256, 45, NULL);
    modules_block = moved != NULL ? moved : modules_block;
    return moved != NULL;
}

static bool call_realloc_of_nothing(void)
{
    return dmheap_realloc(NULL, 30, "new") != NULL;
}

static bool call_calloc(void)
{
    return dmheap_ctx_calloc(NULL, 3, 10, "new") != NULL;
}

static bool call_malloc_for(void)
{
    return dmheap_ctx_malloc_for(NULL, 30, handle) != NULL;
}

static bool call_aligned_alloc_for(void)
{
    return dmheap_ctx_aligned_alloc_for(NULL, 64, 30, handle) != NULL;
}

static bool call_register(void)
{
    return dmheap_register_module("new");
}

static bool call_open(void)
{
    struct dmheap_module module;
    return dmheap_ctx_open_module(NULL, "new", &module);
}

static bool call_retag(void)
{
    return Dmod_RetagEx(nobodys, "new");
}

static bool call_rename(void)
{
    return Dmod_RenameTag("owner", long_name(60, 'r'));
}

#if DMHEAP_ACCOUNTING
static bool call_set_limit(void)
{
    return dmheap_ctx_set_limit(NULL, "new", 1000);
}

static bool call_set_reserve(void)
{
    return dmheap_ctx_set_reserve(NULL, "new", 1000);
}

static bool call_keep_dead(void)
{
    return dmheap_ctx_keep_dead(NULL, 3);
}
#endif

struct call {
    const char* name;
    bool (*make)(void);
    unsigned least; /* allocations that it makes at least */
};

static const struct call calls_to_try[] = {
    {"malloc", call_malloc, 1},
    {"malloc of a module", call_malloc_of_a_module, 1},
    {"malloc of a new module", call_malloc_of_a_new_module, 2},
    {"aligned_alloc", call_aligned_alloc, 1},
    {"aligned_alloc of a new module", call_aligned_alloc_of_a_new_module, 2},
    {"realloc", call_realloc, 1},
    {"realloc of a module's", call_realloc_of_a_module, 1},
    {"aligned_realloc", call_aligned_realloc, 1},
    {"realloc of NULL", call_realloc_of_nothing, 2},
    {"calloc", call_calloc, 2},
    {"malloc_for", call_malloc_for, 1},
    {"aligned_alloc_for", call_aligned_alloc_for, 1},
    {"register_module", call_register, 1},
    {"open_module", call_open, 1},
    {"retag", call_retag, 1},
    {"rename_module", call_rename, 1},
#if DMHEAP_ACCOUNTING
    {"set_limit", call_set_limit, 1},
    {"set_reserve", call_set_reserve, 1},
    {"keep_dead", call_keep_dead, 1},
#endif
};

/* ---- each refused ------------------------------------------------------------------------------ */

static unsigned tried;

/* Free all that there may be; nothing is left. */
static void give_back(unsigned modules)
{
#if DMHEAP_ACCOUNTING
    assert_true(dmheap_ctx_keep_dead(NULL, 0));
#endif
    for (unsigned i = 0; i < modules; i++) {
        dmheap_unregister_module(numbered_name(i));
    }
    dmheap_unregister_module("owner");
    dmheap_unregister_module("new");
    dmheap_unregister_module(long_name(60, 'r'));
    for (struct dmheap_block* at = heap_first_block(); at != NULL; at = heap_first_block()) {
        while (block_owner(at) != OWNER_NOBODY) {
            at = heap_next_block(at);
            assert_non_null(at); /* what is not nobody's is gone, or free */
        }
        dmheap_free(block_payload(at), true);
    }
    assert_true(heap_is_empty());
    test_port_forget_lines();
}

/* False: the call makes fewer allocations than `number`. */
static bool try_refusing(const struct call* call, unsigned modules, unsigned number, bool with_all)
{
    lay(modules);
    const uint64_t before = look();
    refusal.asked = 0;
    refusal.number = number;
    refusal.with_all = with_all;
    const bool is_made = call->make();
    const bool is_met = refusal.asked >= number;
    refusal.number = 0;
    if (!is_made) {
        expect_error();
        assert_true(is_met);
        assert_true(look() == before);
        assert_true(call->make());
    }
    assert_true(!is_met || number > call->least || !with_all || !is_made);
    test_port_forget_lines();
    (void)look();
    give_back(modules);
    arenas_release();
    tried += is_met;
    return is_met;
}

static void each_allocation_of_each_call(void** state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(calls_to_try) * 4; i++) {
        const struct call* call = &calls_to_try[i / 4];
        const unsigned modules = i % 2 != 0 ? MODULES - 1 : 0; /* "new" needs a second group */
        unsigned number = 1;
        while (try_refusing(call, modules, number, i % 4 / 2 != 0)) {
            number++;
        }
        printf("%s: %u allocations\n", call->name, number - 1);
        assert_true(number > call->least);
    }
    printf("%u refused\n", tried);
}

/* ---- those who are asked then ----------------------------------------------------------------- */

static unsigned hook_calls;

static bool ask_again(const struct dmheap_failure* failure, void* context)
{
    (void)failure;
    (void)context;
    hook_calls++;
    return true;
}

static void a_failure_hook_has_one_retry(void** state)
{
    (void)state;
    lay(0);
    assert_true(dmheap_ctx_set_failure_hook(NULL, ask_again, NULL));
    for (unsigned number = 1; number < 10; number++) {
        hook_calls = 0;
        refusal.asked = 0;
        refusal.number = number;
        refusal.with_all = false;
        assert_true(call_malloc_of_a_new_module());
        assert_true(hook_calls <= 1);
        refusal.number = 0;
        dmheap_unregister_module("new");
        test_port_forget_lines();
    }
    const uint64_t before = look();
    hook_calls = 0;
    refusal.asked = 0;
    refusal.number = 1;
    refusal.with_all = true;
    assert_false(call_malloc_of_a_new_module());
    assert_int_equal(hook_calls, 1);
    expect_error();
    refusal.number = 0;
    assert_true(look() == before);
    give_back(0);
}

/* Whichever allocation the first heap refuses, the block lies in the other one, with its record. */
static void another_heap_serves_what_the_first_refuses(void** state)
{
    (void)state;
    lay(0);
    const size_t size = 8 * KIB;
    unsigned char* buffer = arena_make(size, 0);
    struct dmheap_ctx* other = dmheap_ctx_init(buffer, size, 8);
    assert_true(other != NULL && dmheap_ctx_add_default(other));
    test_port_forget_lines();
    const uint64_t before = look();
    unsigned number = 1;
    for (;; number++) {
        struct image_census census;
        refusal.asked = 0;
        refusal.number = number;
        refusal.with_all = false;
        unsigned char* ptr = dmheap_malloc(30, "new");
        const bool is_met = refusal.asked >= number;
        refusal.number = 0;
        expect_silence();
        assert_non_null(ptr);
        const bool is_in_other = ptr >= buffer && ptr < buffer + size;
        assert_true(is_in_other == is_met);
        assert_null(heap_check(other, &census));
        assert_int_equal(census.live_blocks - census.own_blocks, is_met);
        assert_true(!is_met || look() == before);
        dmheap_unregister_module("new");
        expect_info();
        assert_null(heap_check(other, &census));
        assert_true(census.live_blocks == 0 && census.free_blocks == 0);
        assert_true(look() == before);
        if (!is_met) {
            break;
        }
    }
    assert_true(number > 2); /* a record and a block were refused, each alone */
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        heap_case(each_allocation_of_each_call),
        heap_case(a_failure_hook_has_one_retry),
        heap_case(another_heap_serves_what_the_first_refuses),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
