/* SPDX-License-Identifier: MIT */
/*
 * The functions of dmheap_ctx.h, sentence by sentence: several heaps, handles, companions;
 * and random calls for several heaps, each heap proven after each call.
 *
 *     test_ctx              all cases, and random calls from a fresh seed
 *     test_ctx SEED         those of that seed
 */
#include "heap_test.h"

#include "dmod_api.h"

/* ---- heaps of a case --------------------------------------------------------------- */

#define MOST 24

static struct dmheap_ctx* made[MOST];
static unsigned made_count;

static struct dmheap_ctx* make_in(unsigned char* buffer, size_t size)
{
    struct dmheap_ctx* ctx = dmheap_ctx_init(buffer, size, 8);
    assert_non_null(ctx);
    expect_info();
    assert_true(made_count < MOST);
    made[made_count++] = ctx;
    return ctx;
}

static struct dmheap_ctx* make(size_t size)
{
    return make_in(arena_make(size, 0), size);
}

/* A heap that serves by default. */
static struct dmheap_ctx* make_default(size_t size)
{
    struct dmheap_ctx* ctx = make(size);
    assert_true(dmheap_ctx_add_default(ctx));
    return ctx;
}

static void verify(struct dmheap_ctx* ctx)
{
    test_heap.ctx = ctx;
    (void)heap_verify();
}

static bool is_in(const void* ptr, const struct dmheap_ctx* ctx)
{
    return (uintptr_t)ptr - (uintptr_t)ctx < (uintptr_t)ctx->end;
}

/* Leave no room in a heap. */
static void fill_up(struct dmheap_ctx* ctx)
{
    while (dmheap_ctx_malloc(ctx, 0, NULL) != NULL) {
    }
    test_port_forget_lines();
}

static bool is_empty(struct dmheap_ctx* ctx)
{
    verify(ctx);
    return heap_is_empty();
}

static int ctx_case_begin(void** state)
{
    made_count = 0;
    return heap_case_begin(state);
}

/* No heap is left, before its memory goes. */
static int ctx_case_end(void** state)
{
    for (unsigned i = 0; i < made_count; i++) {
        if (dmheap_ctx_is_initialized(made[i])) {
            assert_true(dmheap_ctx_deinit(made[i]));
        }
    }
    while (dmheap_ctx_get_default(0) != NULL) {
        assert_true(dmheap_ctx_deinit(NULL));
    }
    return heap_case_end(state);
}

#define ctx_case(function)               cmocka_unit_test_setup_teardown(function, ctx_case_begin, ctx_case_end)
#define ctx_case_if(condition, function) case_if(condition, function, ctx_case_begin, ctx_case_end)

/* ---- a heap whose own data was written over (DMHEAP_GUARD) --------------------------- */

/* What says where things are, and the seal itself. */
static const size_t sealed[] = {
    offsetof(struct dmheap_ctx, size_mask), offsetof(struct dmheap_ctx, request_limit),
    offsetof(struct dmheap_ctx, round),     offsetof(struct dmheap_ctx, granule_shift),
    offsetof(struct dmheap_ctx, granules),  offsetof(struct dmheap_ctx, live),
    offsetof(struct dmheap_ctx, first),     offsetof(struct dmheap_ctx, top),
    offsetof(struct dmheap_ctx, end),       offsetof(struct dmheap_ctx, alignment),
    offsetof(struct dmheap_ctx, group[0]),  offsetof(struct dmheap_ctx, group[1]),
    offsetof(struct dmheap_ctx, group[2]),  offsetof(struct dmheap_ctx, serial),
    offsetof(struct dmheap_ctx, seal),
};

/* Each call that is about the heaps by default is refused, and nothing changes. */
static void expect_no_heap(void* ptr)
{
    assert_false(dmheap_is_initialized());
    assert_null(dmheap_malloc(10, NULL));
    assert_string_equal(test_port_text(0),
                        "dmheap: 10 bytes for module (none): " NO_HEAP_TEXT ".\n");
    expect_error();
    assert_null(dmheap_malloc(10, "sensor"));
    expect_error();
    assert_null(dmheap_aligned_alloc(64, 10, NULL));
    expect_error();
    assert_null(dmheap_realloc(ptr, 200, NULL));
    expect_error();
    assert_false(dmheap_register_module("other"));
    expect_error();
    assert_false(Dmod_RetagEx(ptr, "other"));
    expect_error();
    assert_false(Dmod_RenameTag("sensor", "other"));
    expect_error();
    dmheap_free(ptr, false);
    expect_error();
    dmheap_unregister_module("sensor");
    expect_silence();
}

static void a_heap_whose_own_data_was_written_over_serves_no_more(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* ptr = dmheap_malloc(100, "sensor");
    void* hole = dmheap_malloc(100, NULL);
    assert_non_null(dmheap_malloc(100, NULL));
    dmheap_free(hole, false);
    for (unsigned i = 0; i < COUNT_OF(sealed) * 8 * WORD; i++) {
        dmheap_word* word =
            (dmheap_word*)ctx_at(test_heap.ctx, (dmheap_word)sealed[i / (8 * WORD)]);
        const dmheap_word bit = (dmheap_word)1 << i % (8 * WORD);
        snapshot_take();
        *word ^= bit;
        expect_no_heap(ptr);
        *word ^= bit;
        assert_true(snapshot_is_same());
    }
    dmheap_free(ptr, false); /* it is sound again */
    expect_silence();
    (void)heap_verify();
}

static void a_heap_written_over_is_told_by_the_check_and_made_anew(void** state)
{
    struct dmheap_finding finding;
    (void)state;
    heap_open(4 * KIB, 8);
    test_heap.ctx->live ^= WORD;
    assert_false(dmheap_ctx_check(NULL, &finding));
    expect_error();
    assert_int_equal(finding.fault, DMHEAP_FAULT_CONTEXT);
    assert_int_equal(finding.offset, offsetof(struct dmheap_ctx, live));
    test_heap.ctx->live ^= WORD;
    test_heap.ctx->seal ^= 1;
    assert_false(dmheap_ctx_check(NULL, &finding));
    expect_error();
    assert_int_equal(finding.fault, DMHEAP_FAULT_CONTEXT);
    assert_int_equal(finding.offset, offsetof(struct dmheap_ctx, seal));
    assert_false(dmheap_ctx_check_image(test_heap.buffer, test_heap.size, 0, &finding));
    assert_int_equal(finding.fault, DMHEAP_FAULT_CONTEXT);
    assert_int_equal(finding.offset, offsetof(struct dmheap_ctx, seal));
    assert_true(heap_start(test_heap.buffer, test_heap.size, 8));
    expect_info();
    assert_non_null(dmheap_malloc(100, NULL));
    (void)heap_verify();
}

static void where_one_of_several_heaps_was_written_over_the_others_serve(void** state)
{
    (void)state;
    struct dmheap_ctx* first = make_default(4 * KIB);
    struct dmheap_ctx* second = make_default(4 * KIB);
    struct dmheap_ctx* third = make_default(4 * KIB);
    void* lost = dmheap_malloc(100, "sensor");
    assert_true(is_in(lost, first));
    first->granules ^= 1;
    assert_false(dmheap_ctx_is_initialized(first));
    assert_true(dmheap_is_initialized());
    void* found = dmheap_malloc(100, "sensor");
    assert_true(is_in(found, second));
    second->end ^= WORD;
    assert_true(is_in(dmheap_malloc(100, "sensor"), third));
    dmheap_free(found, false);
    expect_error();
    second->end ^= WORD;
    dmheap_free(found, false);
    expect_silence();
    first->granules ^= 1;
    dmheap_unregister_module("sensor");
    expect_info();
    assert_true(is_empty(first) && is_empty(second) && is_empty(third));
}

/* It goes, or is made anew; and what is called meanwhile takes nobody else along. */
static void a_heap_that_was_written_over_takes_no_other_along(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(16 * KIB, 0);
    for (unsigned how = 0; how < 4; how++) {
        struct dmheap_ctx* damaged = make_in(buffer, 4 * KIB);
        assert_true(dmheap_ctx_add_default(damaged));
        struct dmheap_ctx* sound = make_in(buffer + 8 * KIB, 4 * KIB);
        assert_true(dmheap_ctx_add_default(sound));
        struct dmheap_ctx* inner = make_in(dmheap_ctx_malloc(damaged, 2 * KIB, NULL), 2 * KIB);
        void* ptr = dmheap_ctx_malloc(sound, 100, "app");
        if (how < 2) {
            damaged->end = ~(dmheap_word)0;
        } else {
            memset(&damaged->end, 0x41,
                   offsetof(struct dmheap_ctx, suspect) - offsetof(struct dmheap_ctx, end));
        }
        dmheap_free(dmheap_malloc(10, NULL), false);
        if (how % 2 == 0) {
            assert_true(dmheap_ctx_deinit(damaged));
        } else {
            assert_ptr_equal(make_in(buffer, 4 * KIB), damaged);
        }
        assert_int_equal(dmheap_ctx_is_initialized(damaged), how % 2 != 0);
        assert_false(dmheap_ctx_is_initialized(inner));
        assert_ptr_equal(dmheap_ctx_get_default(0), sound);
        dmheap_free(ptr, false);
        expect_silence();
        assert_true(dmheap_ctx_deinit(sound));
        if (how % 2 != 0) {
            assert_true(dmheap_ctx_deinit(damaged));
        }
        made_count = 0;
    }
}

/* That of dmheap_init, which serves by default no more, and one in its place whose serial changes. */
static void a_serial_that_was_written_over_is_no_new_heap(void** state)
{
    struct dmheap_finding finding;
    (void)state;
    heap_open(4 * KIB, 8);
    struct dmheap_ctx* first = test_heap.ctx;
    assert_true(dmheap_ctx_remove_default(NULL));
    struct dmheap_ctx* second = make_default(4 * KIB);
    void* ptr = dmheap_ctx_malloc(first, 10, NULL);
    second->serial ^= 4;
    assert_null(dmheap_malloc(1, NULL));
    expect_error();
    assert_false(dmheap_ctx_check(second, &finding));
    assert_int_equal(finding.fault, DMHEAP_FAULT_CONTEXT);
    assert_int_equal(finding.offset, offsetof(struct dmheap_ctx, seal));
    expect_error();
    assert_false(dmheap_ctx_set_leak_policy(second, DMHEAP_LEAK_KEEP)); /* it would be another's */
    expect_error();
    assert_true(dmheap_ctx_add_default(first)); /* which serves by default now */
    assert_true(dmheap_ctx_set_leak_policy(NULL, DMHEAP_LEAK_KEEP));
    assert_non_null(dmheap_malloc(10, "app"));
    dmheap_unregister_module("app");
    expect_error();
    assert_true(dmheap_ctx_set_leak_policy(first, DMHEAP_LEAK_SILENT));
    dmheap_unregister_module("app");
    expect_info();
    dmheap_ctx_free(first, ptr, false);
    expect_silence();
    assert_true(is_empty(first));
    assert_true(dmheap_ctx_deinit(second) && dmheap_ctx_deinit(first));
    made_count = 0;
}

static void a_bin_that_was_written_over_is_given_up(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* hole = dmheap_malloc(100, NULL);
    void* next = dmheap_malloc(100, NULL);
    assert_non_null(dmheap_malloc(0, NULL));
    dmheap_free(hole, false);
    dmheap_word* bin = &test_heap.ctx->bin[index_class(test_heap.ctx, block_size(block_of(hole)))];
    *bin += (dmheap_word)8;
    void* other = dmheap_malloc(100, NULL);
    expect_error(); /* served from elsewhere */
    assert_true(other != NULL && other != hole);
    *bin = ~(dmheap_word)0;
    dmheap_free(other, false);
    dmheap_free(next, false);
    expect_error(); /* beside a block that is lost now */
}

/* It leads into a client's memory, which looks like a free block to nobody. */
static void a_block_freed_beside_a_bin_that_was_written_over_is_listed_alone(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* hole = dmheap_malloc(100, NULL);
    void* other = dmheap_malloc(100, NULL);
    fill(other, 100, 1);
    test_heap.ctx->bin[index_class(test_heap.ctx, block_size(block_of(hole)))] =
        (dmheap_word)ctx_offset(test_heap.ctx, other);
    dmheap_free(hole, false);
    assert_non_null(strstr(test_port_text(0), "written over"));
    expect_error();
    assert_ptr_equal(dmheap_malloc(100, NULL), hole);
    assert_true(is_filled(other, 100, 1));
    expect_silence();
    (void)heap_verify();
}

/* Have all lists that are empty, but one, begin where no block is; or let them be empty again. */
static void spoil_bins(uintptr_t but, bool is_bad)
{
    const struct dmheap_ctx* ctx = test_heap.ctx;
    const dmheap_word bad = ~(dmheap_word)7;
    for (uintptr_t size_class = 1; index_is_class(ctx, size_class); size_class++) {
        dmheap_word* bin = &test_heap.ctx->bin[size_class];
        if (is_bad ? *bin == 0 && size_class != but : *bin == bad) {
            *bin = is_bad ? bad : 0;
        }
    }
}

/* Calls that put a rest, or a block, into such a list. */
enum giving {
    MALLOC,
    MALLOC_BY_NAME,
    MALLOC_BY_HANDLE,
    MALLOC_ALIGNED,
    SHRINK,
    MOVE,
    FREE,
    FREE_OWNED,
    RENAME,
    UNREGISTER_ALL,
    GIVINGS
};

static void give(enum giving what, unsigned char* mine, unsigned char* apps,
                 struct dmheap_module app)
{
    switch (what) {
    case MALLOC:
        assert_non_null(dmheap_malloc(100, NULL));
        break;
    case MALLOC_BY_NAME:
        assert_non_null(dmheap_malloc(100, "app"));
        break;
    case MALLOC_BY_HANDLE:
        assert_non_null(dmheap_ctx_malloc_for(NULL, 100, app));
        break;
    case MALLOC_ALIGNED:
        assert_non_null(dmheap_aligned_alloc(64, 99, NULL));
        break;
    case SHRINK:
        assert_ptr_equal(dmheap_realloc(mine, 100, NULL), mine);
        break;
    case MOVE: /* where a rest is left, from where a block is freed */
        assert_non_null(dmheap_realloc(mine, 900, NULL));
        break;
    case FREE:
        dmheap_free(mine, false);
        break;
    case FREE_OWNED:
        dmheap_free(apps, false);
        break;
    case RENAME: /* by a record that leaves a rest, and takes the place of one that is freed */
        assert_true(dmheap_ctx_rename_module(NULL, "app", "web"));
        break;
    default:
        dmheap_unregister_module("app");
        break;
    }
}

static void what_meets_a_bin_that_was_written_over_tells_of_it(void** state)
{
    (void)state;
    for (enum giving what = MALLOC; what < GIVINGS; what++) {
        struct dmheap_module app;
        heap_open(16 * KIB, 8);
        unsigned char* hole = dmheap_malloc(1400, NULL);
        assert_non_null(dmheap_malloc(10, NULL));
        unsigned char* mine = dmheap_malloc(300, NULL);
        assert_non_null(dmheap_malloc(10, NULL));
        unsigned char* apps = dmheap_malloc(300, "app");
        assert_non_null(dmheap_malloc(10, NULL));
        assert_true(dmheap_ctx_open_module(NULL, "app", &app));
        dmheap_free(hole, false);
        expect_silence();
        spoil_bins(index_class(test_heap.ctx, heap_need(test_heap.ctx, 100)), true);
        give(what, mine, apps, app);
        assert_non_null(strstr(test_port_text(0), "written over"));
        check_log(1, 0, what == UNREGISTER_ALL, NULL, __FILE__, __LINE__);
        spoil_bins(0, false);
        assert_true(dmheap_register_module("other"));
        expect_info();
    }
}

/* A bit behind all rows, where the first hint stands, which is not 0. */
static void a_row_that_cannot_be_has_no_blocks(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    memset(test_heap.ctx->hint, 0xFF, sizeof(test_heap.ctx->hint));
    test_heap.ctx->rows |= (uint32_t)1 << DMHEAP_INDEX_ROWS;
    assert_non_null(dmheap_malloc(100, NULL));
    expect_silence();
}

static void a_class_that_cannot_be_is_not_given_up(void** state)
{
    (void)state;
    struct dmheap_hint hint[DMHEAP_HINTS];
    heap_open(4 * KIB, 8);
    memset(test_heap.ctx->hint, 0xFF, sizeof(test_heap.ctx->hint));
    memcpy(hint, test_heap.ctx->hint, sizeof(hint));
    for (unsigned size_class = 32 * DMHEAP_INDEX_ROWS; size_class < 0x400; size_class++) {
        test_heap.ctx->suspect = (uint16_t)size_class;
        assert_null(dmheap_malloc(64 * KIB, NULL));
        test_port_forget_lines();
        assert_memory_equal(hint, test_heap.ctx->hint, sizeof(hint));
    }
}

/* ---- init and deinit ----------------------------------------------------------------- */

static void a_heap_serves_whoever_names_it_and_no_one_else(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(4 * KIB);
    assert_true(dmheap_ctx_is_initialized(ctx));
    assert_false(dmheap_is_initialized());
    assert_false(dmheap_ctx_is_initialized(NULL));
    void* ptr = dmheap_ctx_malloc(ctx, 100, "dma");
    assert_true(is_in(ptr, ctx));
    expect_silence();
    assert_null(dmheap_malloc(100, NULL));
    expect_error();
    dmheap_free(ptr, false);
    expect_error();
    dmheap_ctx_free(ctx, ptr, false);
    expect_silence();
    verify(ctx);
}

static void what_init_refuses_makes_no_heap(void** state)
{
    (void)state;
    unsigned char* buffer = arena_make(4 * KIB, 0);
    assert_null(dmheap_ctx_init(NULL, 4 * KIB, 8));
    expect_error();
    assert_null(dmheap_ctx_init(buffer, 0, 8));
    expect_error();
    assert_null(dmheap_ctx_init(buffer, 4 * KIB, 0));
    expect_error();
    assert_null(dmheap_ctx_init(buffer, 4 * KIB, 12));
    expect_error();
    assert_null(dmheap_ctx_init(buffer, 64, 8));
    expect_error();
    assert_true(arena_is_canary(buffer, 4 * KIB));
    assert_null(dmheap_ctx_get_default(0));
}

static void there_may_be_sixteen_heaps_and_that_of_init(void** state)
{
    (void)state;
    unsigned char* const main_buffer = arena_make(2 * KIB, 0);
    assert_true(dmheap_init(main_buffer, 2 * KIB, 8));
    expect_info();
    for (unsigned i = 0; i < DMHEAP_CTX_MAX; i++) {
        (void)make(2 * KIB);
    }
    unsigned char* const buffer = arena_make(2 * KIB, 0);
    assert_null(dmheap_ctx_init(buffer, 2 * KIB, 8));
    expect_error();
    assert_true(arena_is_canary(buffer, 2 * KIB));
    assert_true(dmheap_ctx_deinit(made[3]));
    assert_false(dmheap_ctx_is_initialized(made[3]));
    made[3] = dmheap_ctx_init(buffer, 2 * KIB, 8);
    assert_non_null(made[3]);
    expect_info();
    for (unsigned i = 0; i < DMHEAP_CTX_MAX; i++) {
        void* ptr = dmheap_ctx_malloc(made[i], 40, "app");
        assert_true(is_in(ptr, made[i]));
        verify(made[i]);
    }
}

static void nothing_reaches_a_heap_that_was_torn_down(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(4 * KIB, 0);
    struct dmheap_ctx* ctx = make_in(buffer, 4 * KIB);
    assert_true(dmheap_ctx_add_default(ctx));
    assert_true(dmheap_ctx_set_name(ctx, "dma"));
    void* ptr = dmheap_ctx_malloc(ctx, 100, "app");
    struct dmheap_module app;
    assert_true(dmheap_ctx_open_module(ctx, "app", &app));
    assert_true(dmheap_ctx_deinit(ctx));
    expect_silence();
    memset(buffer, CANARY, 4 * KIB); /* it is the caller's again */

    char name[DMHEAP_NAME_BYTES];
    assert_false(dmheap_ctx_is_initialized(ctx));
    assert_false(dmheap_is_initialized());
    assert_null(dmheap_ctx_get_default(0));
    assert_null(dmheap_ctx_find("dma"));
    assert_false(dmheap_ctx_get_name(ctx, name));
    dmheap_ctx_unregister_module(ctx, "app");
    dmheap_ctx_concatenate_free_blocks(ctx);
    expect_silence();
    assert_null(dmheap_ctx_malloc(ctx, 10, NULL));
    expect_error();
    assert_null(dmheap_ctx_malloc(ctx, 10, "app"));
    expect_error();
    assert_null(dmheap_ctx_aligned_alloc(ctx, 64, 10, "app"));
    expect_error();
    assert_null(dmheap_ctx_realloc(ctx, ptr, 10, "app"));
    expect_error();
    assert_null(dmheap_ctx_realloc(ctx, NULL, 10, "app"));
    expect_error();
    dmheap_ctx_free(ctx, ptr, false);
    expect_error();
    assert_false(dmheap_ctx_register_module(ctx, "app"));
    expect_error();
    assert_false(dmheap_ctx_open_module(ctx, "app", &app));
    expect_error();
    assert_null(dmheap_ctx_malloc_for(ctx, 10, app));
    expect_error();
    assert_null(dmheap_ctx_calloc(ctx, 1, 10, "app"));
    expect_error();
    assert_null(dmheap_ctx_aligned_realloc(ctx, ptr, 64, 10, "app"));
    expect_error();
    assert_int_equal(dmheap_ctx_usable_size(ctx, ptr), 0);
    expect_error();
    assert_false(dmheap_ctx_owner_of(ctx, ptr, name));
    expect_error();
    assert_false(dmheap_ctx_retag(ctx, ptr, "app"));
    expect_error();
    assert_false(dmheap_ctx_rename_module(ctx, "app", "web"));
    expect_error();
    assert_false(dmheap_ctx_add_default(ctx));
    expect_error();
    assert_false(dmheap_ctx_remove_default(ctx));
    expect_error();
    assert_false(dmheap_ctx_set_name(ctx, "dma"));
    expect_error();
    assert_false(dmheap_ctx_deinit(ctx));
    expect_error();
    assert_true(arena_is_canary(buffer, 4 * KIB));
}

/* A value that is no context is looked for, and not read: this one could not be. */
static void any_value_may_be_given_as_a_context(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make_default(4 * KIB);
    struct dmheap_ctx* const no_context[] = {
        (struct dmheap_ctx*)(uintptr_t)1, (struct dmheap_ctx*)UINTPTR_MAX,
        (struct dmheap_ctx*)((uintptr_t)ctx + 8), (struct dmheap_ctx*)(uintptr_t)ctx->end};
    for (size_t i = 0; i < COUNT_OF(no_context); i++) {
        assert_false(dmheap_ctx_is_initialized(no_context[i]));
        assert_null(dmheap_ctx_malloc(no_context[i], 10, NULL));
        expect_error();
        assert_false(dmheap_ctx_deinit(no_context[i]));
        expect_error();
    }
}

static void a_buffer_used_again_forgets_the_heap_in_it(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(8 * KIB, 0);
    struct dmheap_ctx* bystander = make_default(2 * KIB);
    struct dmheap_ctx* former = make_in(buffer + 64, 4 * KIB);
    assert_true(dmheap_ctx_add_default(former));
    void* ptr = dmheap_ctx_malloc(former, 10, "app");
    struct dmheap_ctx* now = make_in(buffer, 8 * KIB);
    assert_ptr_not_equal(now, former);
    assert_false(dmheap_ctx_is_initialized(former));
    assert_ptr_equal(dmheap_ctx_get_default(0), bystander);
    assert_null(dmheap_ctx_get_default(1));
    dmheap_free(ptr, false);
    expect_error();
    /* In the very place of one: that one's pointers are bad, too. */
    struct dmheap_ctx* again = make_in(buffer, 8 * KIB);
    assert_ptr_equal(again, now);
    assert_true(is_empty(again));
}

static void a_heap_may_stand_in_a_block_of_another(void** state)
{
    (void)state;
    struct dmheap_ctx* outer = make_default(8 * KIB);
    void* block = dmheap_malloc(2 * KIB, "arena");
    struct dmheap_ctx* inner = make_in(block, 2 * KIB);
    assert_true(dmheap_ctx_add_default(inner));
    void* ptr = dmheap_ctx_malloc(inner, 100, "app");
    assert_true(is_in(ptr, inner));
    dmheap_free(ptr, true); /* found by its address, though the outer heap reaches around it */
    expect_silence();
    verify(inner);
    assert_int_equal(heap_client_blocks(), 0);
    assert_true(dmheap_ctx_deinit(inner));
    dmheap_free(block, true);
    expect_silence();
    dmheap_unregister_module("arena");
    expect_info();
    assert_true(is_empty(outer));
}

static void the_heaps_in_the_blocks_of_one_go_with_it(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(8 * KIB, 0);
    struct dmheap_ctx* outer = make_in(buffer, 8 * KIB);
    struct dmheap_ctx* inner = make_in(dmheap_ctx_malloc(outer, 4 * KIB, NULL), 4 * KIB);
    struct dmheap_ctx* innermost = make_in(dmheap_ctx_malloc(inner, 2 * KIB, NULL), 2 * KIB);
    struct dmheap_ctx* bystander = make_default(2 * KIB);
    assert_true(dmheap_ctx_add_default(inner) && dmheap_ctx_add_default(innermost));
    assert_true(dmheap_ctx_deinit(outer));
    assert_false(dmheap_ctx_is_initialized(inner) || dmheap_ctx_is_initialized(innermost));
    assert_ptr_equal(dmheap_ctx_get_default(0), bystander);
    assert_null(dmheap_ctx_get_default(1));
    memset(buffer, CANARY, 8 * KIB);
    assert_null(dmheap_malloc(2 * KIB, NULL));
    expect_error();
    assert_true(arena_is_canary(buffer, 8 * KIB));
}

/* The list is then: the inner heap, the outer one, that in front. The first two go at once. */
static void of_heaps_in_a_buffer_none_is_passed_by(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(20 * KIB, 0);
    struct dmheap_ctx* outer = make_in(buffer + 4 * KIB, 16 * KIB);
    struct dmheap_ctx* inner = make_in(dmheap_ctx_malloc(outer, 4 * KIB, NULL), 4 * KIB);
    assert_true(dmheap_ctx_add_default(inner));
    struct dmheap_ctx* front = make_in(buffer, 4 * KIB);
    assert_ptr_equal(dmheap_ctx_init(buffer, 4 * KIB + 16, 8), front);
    expect_info();
    assert_false(dmheap_ctx_is_initialized(outer) || dmheap_ctx_is_initialized(inner));
    assert_non_null(dmheap_ctx_malloc(front, 10, NULL));
    verify(front);
}

/* Right behind the own data of a heap, in its first block: that one stays as it is. */
static void init_in_the_first_block_of_a_heap_leaves_it_alone(void** state)
{
    (void)state;
    for (size_t alignment = 4; alignment <= 64; alignment *= 2) {
        unsigned char* const buffer = arena_make(16 * KIB, 0);
        struct dmheap_ctx* outer = dmheap_ctx_init(buffer, 16 * KIB, alignment);
        void* block = dmheap_ctx_malloc(outer, 8 * KIB, NULL);
        assert_true(dmheap_init(block, 8 * KIB, 8));
        test_port_forget_lines();
        assert_true(dmheap_ctx_is_initialized(outer));
        void* ptr = dmheap_ctx_malloc(outer, 100, NULL);
        assert_true(is_in(ptr, outer));
        verify(outer);
        /* And goes together with it. */
        assert_true(dmheap_ctx_deinit(outer));
        assert_false(dmheap_is_initialized());
        expect_silence();
    }
}

/* dmheap_init takes the place of the heap it made before, which was not the default any more. */
static void heaps_in_a_heap_that_init_forgets_go_with_it(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(8 * KIB, 0);
    assert_true(dmheap_init(buffer, 8 * KIB, 8));
    expect_info();
    struct dmheap_ctx* former = dmheap_ctx_get_default(0);
    assert_true(dmheap_ctx_remove_default(former));
    struct dmheap_ctx* inner = make_in(dmheap_ctx_malloc(former, 4 * KIB, NULL), 4 * KIB);
    struct dmheap_ctx* bystander = make(2 * KIB);
    unsigned char* const other = arena_make(2 * KIB, 0);
    assert_true(dmheap_init(other, 2 * KIB, 8));
    expect_info();
    assert_false(dmheap_ctx_is_initialized(former) || dmheap_ctx_is_initialized(inner));
    assert_true(dmheap_ctx_is_initialized(bystander));
}

/* A step behind the context of the heap that was there: what is new lies over its bins. */
static void a_buffer_over_the_own_data_of_a_heap_forgets_it(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(8 * KIB, 0);
    for (size_t step = 16; step <= 512; step *= 2) {
        struct dmheap_ctx* former = make_in(buffer, 4 * KIB);
        assert_true(dmheap_ctx_add_default(former));
        const bool is_over = step < former->first;
        struct dmheap_ctx* now = is_over ? make_in(buffer + step, 4 * KIB) : former;
        assert_true(dmheap_ctx_is_initialized(former) != is_over);
        assert_true(dmheap_ctx_is_initialized(now));
        assert_true(dmheap_ctx_deinit(now));
        made_count = 0;
    }
}

static void init_forgets_all_heaps_while_one_serves_by_default(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(2 * KIB);
    unsigned char* const buffer = arena_make(4 * KIB, 0);
    assert_true(dmheap_init(buffer, 4 * KIB, 8));
    expect_info();
    assert_true(dmheap_ctx_is_initialized(ctx)); /* none served by default before */
    assert_true(dmheap_ctx_add_default(ctx));
    assert_true(dmheap_init(buffer, 4 * KIB, 16));
    expect_info();
    assert_false(dmheap_ctx_is_initialized(ctx));
    assert_null(dmheap_ctx_get_default(1));
    assert_true(dmheap_ctx_is_initialized(dmheap_ctx_get_default(0)));
    assert_null(dmheap_ctx_malloc(ctx, 10, NULL));
    expect_error();
}

/* Its former heap was taken off the list, and would else be one more each time. */
static void there_is_one_heap_of_init_at_most(void** state)
{
    (void)state;
    unsigned char* const buffer[2] = {arena_make(2 * KIB, 0), arena_make(2 * KIB, 0)};
    struct dmheap_ctx* former = NULL;
    for (unsigned i = 0; i < 2 * DMHEAP_CTX_MAX; i++) {
        assert_true(dmheap_init(buffer[i % 2], 2 * KIB, 8));
        expect_info();
        assert_false(former != NULL && dmheap_ctx_is_initialized(former));
        former = dmheap_ctx_get_default(0);
        assert_true(dmheap_ctx_remove_default(former));
        assert_false(dmheap_is_initialized());
        assert_true(dmheap_ctx_is_initialized(former));
        void* ptr = dmheap_ctx_malloc(former, 10, "app");
        assert_true(is_in(ptr, former));
    }
    made[made_count++] = former;
}

/* As many as there may be, and the one in the buffer does not count: it is that of dmheap_init. */
static void room_for_a_heap_is_not_made_by_forgetting_that_of_init(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(4 * KIB, 0);
    assert_true(dmheap_init(buffer, 2 * KIB, 8));
    expect_info();
    struct dmheap_ctx* const first = dmheap_ctx_get_default(0);
    for (unsigned i = 0; i < DMHEAP_CTX_MAX; i++) {
        (void)make(2 * KIB);
    }
    assert_null(dmheap_ctx_init(buffer, 4 * KIB, 8));
    expect_error();
    assert_ptr_equal(dmheap_ctx_get_default(0), first); /* nothing was forgotten */
    assert_true(dmheap_ctx_deinit(made[0]));
    made[0] = make_in(buffer, 4 * KIB);
    made_count--;
    assert_false(dmheap_is_initialized());
    unsigned char* const other = arena_make(2 * KIB, 0);
    assert_true(dmheap_init(other, 2 * KIB, 8));
    expect_info();
    for (unsigned i = 0; i < DMHEAP_CTX_MAX; i++) {
        assert_true(dmheap_ctx_is_initialized(made[i]));
    }
}

/* As many in one heap's blocks: with the heap they make room for the one in its place. */
static void heaps_that_go_with_another_make_room(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(64 * KIB, 0);
    assert_true(dmheap_init(buffer, 64 * KIB, 8));
    expect_info();
    struct dmheap_ctx* const outer = dmheap_ctx_get_default(0);
    assert_non_null(dmheap_malloc(8 * KIB, NULL));
    for (unsigned i = 0; i < DMHEAP_CTX_MAX; i++) {
        (void)make_in(dmheap_malloc(2 * KIB, NULL), 2 * KIB);
    }
    assert_true(dmheap_ctx_remove_default(outer)); /* the last one in the list now */
    assert_null(dmheap_ctx_init(arena_make(2 * KIB, 0), 2 * KIB, 8));
    expect_error();
    assert_ptr_equal(make_in(buffer, 4 * KIB), outer);
    for (unsigned i = 0; i < DMHEAP_CTX_MAX; i++) {
        assert_false(dmheap_ctx_is_initialized(made[i]));
    }
    assert_true(is_empty(outer));
}

/* Though its context is written over before anybody looks. */
static void init_in_place_of_a_former_one_forgets_the_heaps_in_its_blocks(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(16 * KIB, 0);
    assert_true(dmheap_init(buffer, 16 * KIB, 8));
    expect_info();
    assert_non_null(dmheap_malloc(8 * KIB, NULL));
    struct dmheap_ctx* const inner = make_in(dmheap_malloc(2 * KIB, NULL), 2 * KIB);
    assert_true(dmheap_ctx_remove_default(NULL));
    assert_true(dmheap_init(buffer, 4 * KIB, 8));
    expect_info();
    assert_false(dmheap_ctx_is_initialized(inner));
    assert_true(dmheap_ctx_remove_default(NULL)); /* it is the only one now */
    assert_true(dmheap_init(buffer, 4 * KIB, 8));
    expect_info();
    assert_ptr_equal(dmheap_ctx_get_default(0), buffer);
}

/* Nor that of one that was written over, which is no heap any more; with a seal it still is one. */
static void a_heap_in_a_block_of_one_that_was_written_over_stays(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(8 * KIB, 0);
    struct dmheap_ctx* const outer = make_in(buffer, 8 * KIB);
    struct dmheap_ctx* const inner = make_in(buffer + 4 * KIB, 2 * KIB);
    memset(&outer->serial, 0x55, sizeof(outer->serial));
    assert_ptr_equal(make_in(buffer, 2 * KIB), outer);
    assert_int_equal(dmheap_ctx_is_initialized(inner), !DMHEAP_GUARD);
}

static void init_without_a_default_forgets_what_lies_in_its_buffer(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(8 * KIB, 0);
    for (size_t at = 0; at <= 4 * KIB; at += 2 * KIB) {
        struct dmheap_ctx* former = make_in(buffer + at, 2 * KIB);
        struct dmheap_ctx* bystander = make(2 * KIB);
        void* ptr = dmheap_ctx_malloc(former, 100, NULL);
        assert_true(dmheap_init(buffer, 8 * KIB, 16));
        expect_info();
        struct dmheap_ctx* now = dmheap_ctx_get_default(0);
        assert_true(dmheap_ctx_is_initialized(former) == (now == former));
        assert_true(dmheap_ctx_is_initialized(bystander));
        dmheap_ctx_free(former, ptr, false);
        expect_error();
        assert_true(dmheap_ctx_remove_default(now)); /* it is listed once, and found */
        assert_true(dmheap_ctx_is_initialized(now));
        assert_true(is_empty(now));
        assert_true(dmheap_ctx_deinit(now));
        assert_false(dmheap_ctx_is_initialized(now));
        expect_silence();
    }
}

/* ---- while a heap is being made ----------------------------------------------------------- */

static unsigned char* second_buffer;
static struct dmheap_ctx* bystander_ctx;

static void change_heaps(void* context)
{
    (void)context;
    test_port_on_unlock(NULL, NULL);
    assert_null(dmheap_ctx_init(second_buffer, 2 * KIB, 8));
    expect_error();
    assert_false(dmheap_init(second_buffer, 2 * KIB, 8));
    expect_error();
    assert_false(dmheap_ctx_add_default(bystander_ctx));
    expect_error();
    assert_false(dmheap_ctx_remove_default(bystander_ctx));
    expect_error();
    assert_non_null(dmheap_ctx_malloc(bystander_ctx, 10, NULL));
}

static void heaps_are_made_one_at_a_time(void** state)
{
    (void)state;
    second_buffer = arena_make(2 * KIB, 0);
    bystander_ctx = make(2 * KIB);
    unsigned char* const buffer = arena_make(2 * KIB, 0);
    test_port_on_unlock(change_heaps, NULL);
    struct dmheap_ctx* ctx = make_in(buffer, 2 * KIB);
    assert_true(is_empty(ctx));
    test_port_on_unlock(change_heaps, NULL);
    assert_true(dmheap_init(buffer, 2 * KIB, 8));
    expect_info();
    assert_true(dmheap_ctx_add_default(bystander_ctx));
    assert_ptr_equal(dmheap_ctx_get_default(1), bystander_ctx);
}

/* ---- the list of those that serve by default ---------------------------------------------- */

static void eight_heaps_may_serve_by_default_in_their_order(void** state)
{
    (void)state;
    for (unsigned i = 0; i <= DMHEAP_DEFAULTS_MAX; i++) {
        struct dmheap_ctx* ctx = make(2 * KIB);
        assert_int_equal(dmheap_ctx_add_default(ctx), i < DMHEAP_DEFAULTS_MAX);
    }
    expect_error();
    assert_true(dmheap_ctx_add_default(made[5])); /* its place stays */
    for (unsigned i = 0; i < DMHEAP_DEFAULTS_MAX; i++) {
        assert_ptr_equal(dmheap_ctx_get_default(i), made[i]);
    }
    assert_null(dmheap_ctx_get_default(DMHEAP_DEFAULTS_MAX));
    assert_null(dmheap_ctx_get_default(~0U));
    assert_true(dmheap_ctx_remove_default(made[0]));
    assert_true(dmheap_ctx_remove_default(made[3]));
    assert_true(dmheap_ctx_remove_default(made[3]));
    assert_true(dmheap_ctx_add_default(made[8]));
    const unsigned order[] = {1, 2, 4, 5, 6, 7, 8};
    for (unsigned i = 0; i < COUNT_OF(order); i++) {
        assert_ptr_equal(dmheap_ctx_get_default(i), made[order[i]]);
    }
    assert_null(dmheap_ctx_get_default(COUNT_OF(order)));
    expect_silence();
}

static void the_first_heap_that_serves_is_taken(void** state)
{
    (void)state;
    struct dmheap_ctx* heap[3];
    for (unsigned i = 0; i < 3; i++) {
        heap[i] = make_default((i + 1) * 4 * KIB);
    }
    assert_true(is_in(dmheap_malloc(2500, "app"), heap[0]));
    assert_true(is_in(dmheap_malloc(2500, "app"), heap[1]));
    assert_true(is_in(dmheap_malloc(6000, NULL), heap[2]));
    assert_true(is_in(dmheap_aligned_alloc(64, 2500, "app"), heap[1]));
    assert_true(is_in(dmheap_realloc(NULL, 3000, "web"), heap[2]));
    assert_true(is_in(dmheap_ctx_calloc(NULL, 10, 10, "app"), heap[0]));
    expect_silence();
    assert_null(dmheap_malloc(16 * KIB, "app"));
    expect_error(); /* one, for all of them */
    assert_null(dmheap_malloc(10, long_name(64, 'x')));
    expect_error();
    for (unsigned i = 0; i < 3; i++) {
        verify(heap[i]);
    }
}

static void a_pointer_finds_its_heap(void** state)
{
    (void)state;
    struct dmheap_ctx* heap[3];
    void* ptr[3];
    for (unsigned i = 0; i < 3; i++) {
        heap[i] = make_default(4 * KIB);
        ptr[i] = dmheap_ctx_malloc(heap[i], 100, "app");
        fill(ptr[i], 100, i);
    }
    for (unsigned i = 0; i < 3; i++) {
        char name[DMHEAP_NAME_BYTES];
        void* moved = dmheap_realloc(ptr[i], 1000 + i, NULL);
        assert_true(is_in(moved, heap[i]));
        assert_true(is_filled(moved, 100, i));
        assert_true(dmheap_ctx_usable_size(NULL, moved) >= 1000 + i);
        assert_true(dmheap_ctx_owner_of(NULL, moved, name));
        assert_string_equal(name, "app");
        assert_true(dmheap_ctx_retag(NULL, moved, NULL));
        moved = dmheap_ctx_aligned_realloc(NULL, moved, 128, 200, NULL);
        assert_true(is_in(moved, heap[i]) && is_aligned(moved, 128));
        assert_true(is_filled(moved, 100, i));
        ptr[i] = moved;
    }
    expect_silence();
    dmheap_ctx_free(heap[0], ptr[2], false); /* not of the heap named */
    expect_error();
    assert_null(dmheap_ctx_realloc(heap[2], ptr[0], 4, NULL));
    expect_error();
    for (unsigned i = 0; i < 3; i++) {
        dmheap_free(ptr[i], false);
        expect_silence();
        dmheap_free(ptr[i], false);
        expect_error();
        dmheap_unregister_module("app");
        test_port_forget_lines();
        assert_true(is_empty(heap[i]));
    }
}

/* A larger heap elsewhere does not matter to it. */
static void a_block_never_leaves_its_heap(void** state)
{
    (void)state;
    struct dmheap_ctx* small = make_default(2 * KIB);
    (void)make_default(16 * KIB);
    void* ptr = dmheap_malloc(100, "app");
    fill(ptr, 100, 1);
    assert_true(is_in(ptr, small));
    assert_null(dmheap_realloc(ptr, 4 * KIB, NULL));
    expect_error();
    assert_true(is_filled(ptr, 100, 1));
    verify(small);
}

static void a_module_is_unregistered_in_all_heaps_that_serve_by_default(void** state)
{
    (void)state;
    struct dmheap_ctx* heap[3];
    for (unsigned i = 0; i < 3; i++) {
        heap[i] = make(4 * KIB);
    }
    assert_true(dmheap_ctx_add_default(heap[0]) && dmheap_ctx_add_default(heap[1]));
    char* name =
        dmheap_ctx_malloc(heap[0], 16, "app"); /* which goes with the first heap's blocks */
    memcpy(name, "app", 4);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < 20; k++) {
            assert_non_null(dmheap_ctx_malloc(heap[i], 40, "app"));
        }
    }
    dmheap_unregister_module(name);
    expect_info_of("dmheap: Module app unregistered successfully.\n");
    assert_true(is_empty(heap[0]) && is_empty(heap[1]));
    assert_false(is_empty(heap[2]));
    dmheap_ctx_unregister_module(heap[2], "app");
    expect_info();
    assert_true(is_empty(heap[2]));
    dmheap_unregister_module("app");
    dmheap_ctx_unregister_module(heap[2], NULL);
    expect_silence();
}

static void a_module_is_registered_in_the_first_heap_that_has_room(void** state)
{
    (void)state;
    struct dmheap_ctx* first = make_default(2 * KIB);
    struct dmheap_ctx* second = make_default(2 * KIB);
    void* last = dmheap_ctx_malloc(first, 100, NULL);
    void* next_to_last = dmheap_ctx_malloc(first, 100, NULL);
    fill_up(first);
    assert_true(dmheap_register_module("app"));
    expect_info_of("dmheap: Module app registered successfully.\n");
    assert_true(dmheap_register_module("app")); /* known to the second, whatever the first has */
    expect_warning();
    test_heap.ctx = second;
    assert_int_equal(modules(), 1);
    struct dmheap_module handle;
    struct dmheap_module again;
    assert_true(dmheap_ctx_open_module(second, "app", &handle));
    dmheap_ctx_free(first, last, false);
    dmheap_ctx_free(first, next_to_last, false);
    assert_true(dmheap_register_module("app"));
    expect_warning();
    assert_true(dmheap_ctx_open_module(NULL, "app", &again));
    assert_memory_equal(&handle, &again, sizeof(handle));
    while (dmheap_malloc(0, NULL) != NULL) {
    }
    test_port_forget_lines();
    assert_false(dmheap_register_module("web"));
    expect_error();
    assert_false(dmheap_ctx_register_module(second, NULL));
    expect_error();
    assert_false(dmheap_register_module(""));
    expect_error();
    verify(first);
    verify(second);
}

/* ---- names of heaps ---------------------------------------------------------------------- */

static void a_heap_is_found_by_its_name(void** state)
{
    (void)state;
    struct dmheap_ctx* dma = make(2 * KIB);
    struct dmheap_ctx* sdram = make(2 * KIB);
    unsigned char* const buffer = arena_make(2 * KIB, 0);
    assert_true(dmheap_init(buffer, 2 * KIB, 8));
    expect_info();
    char name[DMHEAP_CTX_NAME_BYTES];
    assert_true(dmheap_ctx_get_name(dma, name));
    assert_string_equal(name, "");
    assert_true(dmheap_ctx_set_name(dma, "dma"));
    assert_true(dmheap_ctx_set_name(sdram, "sdram56789abcde"));
    assert_true(dmheap_ctx_set_name(NULL, "internal"));
    assert_ptr_equal(dmheap_ctx_find("dma"), dma);
    assert_ptr_equal(dmheap_ctx_find("sdram56789abcde"), sdram);
    assert_ptr_equal(dmheap_ctx_find("internal"), dmheap_ctx_get_default(0));
    assert_true(dmheap_ctx_get_name(sdram, name));
    assert_string_equal(name, "sdram56789abcde");
    assert_true(dmheap_ctx_set_name(dma, "dma"));
    assert_true(dmheap_ctx_add_default(dma)); /* a name moves with its heap */
    assert_ptr_equal(dmheap_ctx_find("dma"), dma);
    assert_ptr_equal(dmheap_ctx_find("internal"), dmheap_ctx_get_default(0));
    assert_true(dmheap_ctx_set_name(dma, NULL));
    assert_null(dmheap_ctx_find("dma"));
    assert_null(dmheap_ctx_find(NULL));
    assert_null(dmheap_ctx_find(""));
    assert_true(dmheap_ctx_set_name(sdram, ""));
    expect_silence();
    assert_true(dmheap_init(buffer, 2 * KIB, 8));
    expect_info();
    assert_null(dmheap_ctx_find("internal")); /* that is another heap */
    assert_true(dmheap_ctx_get_name(NULL, name));
    assert_string_equal(name, "");
    strcpy(name, "left");
    assert_false(dmheap_ctx_get_name(dma, name)); /* it was forgotten */
    assert_string_equal(name, "");
}

static void a_name_that_is_too_long_or_taken_is_refused(void** state)
{
    (void)state;
    struct dmheap_ctx* dma = make(2 * KIB);
    struct dmheap_ctx* sdram = make(2 * KIB);
    assert_true(dmheap_ctx_set_name(dma, "dma"));
    assert_false(dmheap_ctx_set_name(sdram, "dma"));
    expect_error();
    assert_false(dmheap_ctx_set_name(dma, long_name(16, 'x')));
    expect_error();
    assert_false(dmheap_ctx_set_name(dma, long_name(100, 'x')));
    expect_error();
    assert_ptr_equal(dmheap_ctx_find("dma"), dma);
    assert_true(dmheap_ctx_deinit(dma));
    assert_true(dmheap_ctx_set_name(sdram, "dma"));
}

/* ---- handles ------------------------------------------------------------------------------- */

static void a_handle_allocates_for_its_module(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make_default(4 * KIB);
    struct dmheap_module app;
    struct dmheap_module again;
    char name[DMHEAP_NAME_BYTES];
    assert_true(dmheap_ctx_open_module(ctx, "app", &app));
    assert_true(dmheap_ctx_open_module(NULL, "app", &again));
    assert_memory_equal(&app, &again, sizeof(app));
    void* ptr = dmheap_ctx_malloc_for(ctx, 100, app);
    assert_true(dmheap_ctx_owner_of(ctx, ptr, name));
    assert_string_equal(name, "app");
    ptr = dmheap_ctx_malloc_for(NULL, 100, app);
    assert_string_equal(heap_owner_name((test_heap.ctx = ctx, ptr)), "app");
    ptr = dmheap_ctx_aligned_alloc_for(ctx, 256, 100, app);
    assert_true(is_aligned(ptr, 256));
    assert_string_equal(heap_owner_name(ptr), "app");
    expect_silence();
    assert_null(dmheap_ctx_malloc_for(ctx, 8 * KIB, app));
    expect_error();
    assert_null(dmheap_ctx_aligned_alloc_for(ctx, 3, 8, app));
    expect_error();
    assert_null(dmheap_ctx_aligned_alloc_for(ctx, 0, 8, app));
    expect_error();
    verify(ctx);
    assert_true(dmheap_ctx_rename_module(ctx, "app", "application"));
    ptr = dmheap_ctx_malloc_for(ctx, 10, app);
    assert_string_equal(heap_owner_name(ptr), "application");
    dmheap_ctx_unregister_module(ctx, "application");
    expect_info();
    assert_true(is_empty(ctx));
}

static void expect_stale(struct dmheap_ctx* ctx, struct dmheap_module module)
{
    assert_null(dmheap_ctx_malloc_for(ctx, 10, module));
    expect_error();
    assert_null(dmheap_ctx_aligned_alloc_for(ctx, 64, 10, module));
    expect_error();
    verify(test_heap.ctx);
}

static void a_stale_handle_is_refused(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make_default(4 * KIB);
    struct dmheap_ctx* other = make_default(4 * KIB);
    struct dmheap_module app;
    struct dmheap_module now;
    assert_true(dmheap_ctx_open_module(ctx, "app", &app));
    test_heap.ctx = other;
    expect_stale(other, app); /* of another heap, also where that one has a module with its id */
    assert_true(dmheap_ctx_open_module(other, "app", &now));
    assert_int_equal(app.id, now.id);
    expect_stale(other, app);
    test_heap.ctx = ctx;
    dmheap_ctx_unregister_module(ctx, "app");
    expect_info();
    expect_stale(ctx, app);
    expect_stale(NULL, app);
    assert_true(dmheap_ctx_open_module(ctx, "app", &now)); /* name and place are used again */
    assert_int_equal(app.id, now.id);
    expect_stale(ctx, app);
    assert_non_null(dmheap_ctx_malloc_for(ctx, 10, now));
    expect_stale(ctx, app);
    expect_silence();
}

static void a_handle_that_is_none_is_refused(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(4 * KIB);
    struct dmheap_module app;
    assert_true(dmheap_ctx_open_module(ctx, "app", &app));
    test_heap.ctx = ctx;
    const uint32_t ids[] = {0, 1, 2, 3, 4, 254, 255, 256, 4095, 4096, UINT32_MAX - 1, UINT32_MAX};
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        const struct dmheap_module zero = {ids[i], 0};
        const struct dmheap_module forged = {ids[i], app.serial + 1};
        const struct dmheap_module elsewhere = {ids[i], app.serial};
        expect_stale(ctx, zero);
        expect_stale(ctx, forged);
        if (ids[i] != app.id) {
            expect_stale(ctx, elsewhere);
        }
    }
    struct dmheap_module none = app;
    assert_false(dmheap_ctx_open_module(ctx, NULL, &none));
    expect_error();
    assert_int_equal(none.id, 0);
    assert_int_equal(none.serial, 0);
    assert_false(dmheap_ctx_open_module(ctx, long_name(64, 'x'), &none));
    expect_error();
    while (dmheap_ctx_malloc_for(ctx, 0, app) != NULL) {
    }
    test_port_forget_lines();
    assert_false(dmheap_ctx_open_module(ctx, "web", &none));
    expect_error();
    verify(ctx);
}

/* While its blocks are swept, its id is still taken. */
static struct dmheap_module swept;
static unsigned refused;

static void allocate_for_the_swept(void* context)
{
    refused += dmheap_ctx_malloc_for(context, 10, swept) == NULL;
}

static void a_handle_of_a_module_that_is_being_unregistered_is_refused(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(64 * KIB);
    assert_true(dmheap_ctx_open_module(ctx, "app", &swept));
    for (unsigned i = 0; i < 500; i++) {
        assert_non_null(dmheap_ctx_malloc_for(ctx, 40, swept));
        assert_non_null(dmheap_ctx_malloc(ctx, 40, NULL));
    }
    refused = 0;
    test_port_on_unlock(allocate_for_the_swept, ctx);
    const unsigned before = test_port_holds();
    dmheap_ctx_unregister_module(ctx, "app");
    const unsigned holds = test_port_holds() - before;
    test_port_on_unlock(NULL, NULL);
    assert_true(refused > 10);
    assert_true(holds > refused);
    test_port_forget_lines();
    verify(ctx);
    assert_int_equal(modules(), 0);
}

/* ---- companions ------------------------------------------------------------------------------ */

static void calloc_clears(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(4 * KIB, 0);
    memset(buffer, 0xEE, 4 * KIB);
    struct dmheap_ctx* ctx = make_in(buffer, 4 * KIB);
    static const unsigned char zero[512];
    void* dirty = dmheap_ctx_malloc(ctx, 512, NULL);
    memset(dirty, 0xEE, 512);
    dmheap_ctx_free(ctx, dirty, false);
    unsigned char* ptr = dmheap_ctx_calloc(ctx, 4, 100, "app");
    assert_memory_equal(ptr, zero, 400);
    assert_string_equal(heap_owner_name((test_heap.ctx = ctx, ptr)), "app");
    ptr = dmheap_ctx_calloc(ctx, 512, 1, NULL);
    assert_memory_equal(ptr, zero, 512);
    assert_string_equal(heap_owner_name(ptr), "");
    assert_non_null(dmheap_ctx_calloc(ctx, 0, 100, NULL));
    assert_non_null(dmheap_ctx_calloc(ctx, 100, 0, NULL));
    expect_silence();
    verify(ctx);
    dmheap_ctx_unregister_module(ctx, "app");
    expect_info();
    verify(ctx);
}

static void calloc_refuses_what_overflows(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(4 * KIB);
    const size_t half = SIZE_MAX / 2 + 1;
    const size_t pairs[][2] = {{half, 2},     {2, half},     {SIZE_MAX, SIZE_MAX},
                               {SIZE_MAX, 1}, {1, SIZE_MAX}, {half + 1, 2},
                               {half, 4},     {8 * KIB, 1}};
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        assert_null(dmheap_ctx_calloc(ctx, pairs[i][0], pairs[i][1], "app"));
        expect_error();
    }
    assert_null(dmheap_ctx_calloc(ctx, 1, 1, long_name(64, 'x')));
    expect_error();
    assert_true(is_empty(ctx));
}

/* What another thread does while a block is copied or cleared. */
enum meanwhile { UNREGISTER, DEINIT, INIT_AGAIN, DEINIT_OTHER };

static struct {
    enum meanwhile what;
    struct dmheap_ctx* ctx;
    struct dmheap_ctx* other;
    unsigned char* buffer;
} meanwhile;

static void do_meanwhile(void* context)
{
    (void)context;
    test_port_on_unlock(NULL, NULL);
    switch (meanwhile.what) {
    case UNREGISTER:
        dmheap_ctx_unregister_module(meanwhile.ctx, "app");
        break;
    case DEINIT:
        assert_true(dmheap_ctx_deinit(meanwhile.ctx));
        break;
    case INIT_AGAIN:
        assert_ptr_equal(dmheap_ctx_init(meanwhile.buffer, 8 * KIB, 8), meanwhile.ctx);
        break;
    case DEINIT_OTHER:
        assert_true(dmheap_ctx_deinit(meanwhile.other));
        break;
    }
    test_port_forget_lines();
}

static void prepare_meanwhile(enum meanwhile what)
{
    meanwhile.what = what;
    meanwhile.other = make_default(2 * KIB);
    meanwhile.buffer = arena_make(8 * KIB, 0);
    meanwhile.ctx = make_in(meanwhile.buffer, 8 * KIB);
}

static void calloc_gives_nothing_to_an_owner_that_went_meanwhile(void** state)
{
    (void)state;
    for (enum meanwhile what = UNREGISTER; what <= DEINIT_OTHER; what++) {
        prepare_meanwhile(what);
        test_port_on_unlock(do_meanwhile, NULL);
        const void* ptr = dmheap_ctx_calloc(meanwhile.ctx, 10, 10, "app");
        if (what == DEINIT_OTHER) {
            assert_non_null(ptr);
            expect_silence();
        } else {
            assert_null(ptr);
            expect_error();
            assert_true(what == DEINIT || is_empty(meanwhile.ctx));
        }
    }
}

static void a_move_ends_where_its_heap_or_owner_went_meanwhile(void** state)
{
    (void)state;
    for (enum meanwhile what = UNREGISTER; what <= DEINIT_OTHER; what++) {
        prepare_meanwhile(what);
        void* ptr = dmheap_ctx_malloc(meanwhile.ctx, 100, "app");
        assert_non_null(dmheap_ctx_malloc(meanwhile.ctx, 10, NULL));
        test_port_on_unlock(do_meanwhile, NULL);
        const void* moved = dmheap_ctx_realloc(meanwhile.ctx, ptr, 1000, NULL);
        if (what == DEINIT_OTHER) {
            assert_non_null(moved);
            expect_silence();
        } else {
            assert_null(moved);
            expect_error();
        }
        if (what != DEINIT) {
            verify(meanwhile.ctx);
        }
    }
}

static void init_around(void* context)
{
    test_port_on_unlock(NULL, NULL);
    assert_true(dmheap_init(context, 16 * KIB, 8));
    expect_info();
}

/* What is left of the former heap lies unchanged in free memory of the new one. */
static void a_move_ends_where_init_took_the_memory_around_its_heap(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(16 * KIB, 0);
    struct dmheap_ctx* ctx = make_in(buffer + 8 * KIB, 4 * KIB);
    void* ptr = dmheap_ctx_malloc(ctx, 100, NULL);
    assert_non_null(dmheap_ctx_malloc(ctx, 10, NULL));
    test_port_on_unlock(init_around, buffer);
    assert_null(dmheap_ctx_realloc(ctx, ptr, 1000, NULL));
    expect_error();
    assert_true(is_empty(dmheap_ctx_get_default(0)));
}

static void an_unregistration_ends_where_its_heap_went_meanwhile(void** state)
{
    (void)state;
    for (enum meanwhile what = DEINIT; what <= DEINIT_OTHER; what++) {
        prepare_meanwhile(what);
        for (unsigned i = 0; i < 50; i++) {
            assert_non_null(dmheap_ctx_malloc(meanwhile.ctx, 10, "app"));
            assert_non_null(dmheap_ctx_malloc(meanwhile.ctx, 10, NULL));
        }
        test_port_on_unlock(do_meanwhile, NULL);
        dmheap_ctx_unregister_module(meanwhile.ctx, "app");
        expect_info(); /* the module is gone in any case */
        if (what != DEINIT) {
            verify(meanwhile.ctx);
            assert_int_equal(modules(), 0);
        }
    }
}

static void usable_size_is_what_may_be_written(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(8 * KIB);
    for (size_t size = 0; size < 100; size++) {
        for (size_t alignment = 8; alignment <= 256; alignment *= 2) {
            unsigned char* ptr = dmheap_ctx_aligned_alloc(ctx, alignment, size, NULL);
            const size_t usable = dmheap_ctx_usable_size(ctx, ptr);
            assert_true(usable >= size && usable < size + 32);
            memset(ptr, 0xFF, usable);
            verify(ctx);
            assert_ptr_equal(dmheap_ctx_realloc(ctx, ptr, usable, NULL), ptr);
            assert_int_equal(dmheap_ctx_usable_size(ctx, ptr), usable);
            dmheap_ctx_free(ctx, ptr, false);
        }
    }
    assert_int_equal(dmheap_ctx_usable_size(ctx, NULL), 0);
    expect_silence();
}

static void questions_about_bad_pointers_are_refused(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(8 * KIB);
    char name[DMHEAP_NAME_BYTES] = "before";
    char* ptr = dmheap_ctx_malloc(ctx, 100, "app");
    char* freed = dmheap_ctx_malloc(ctx, 100, "app");
    dmheap_ctx_free(ctx, freed, false);
    char* const bad[] = {ptr + 1, ptr + 8, freed, (char*)ctx, (char*)&name, (char*)UINTPTR_MAX};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(dmheap_ctx_usable_size(ctx, bad[i]), 0);
        expect_error();
        assert_false(dmheap_ctx_owner_of(ctx, bad[i], name));
        assert_string_equal(name, "");
        expect_error();
        assert_false(dmheap_ctx_retag(ctx, bad[i], "web"));
        expect_error();
        assert_null(dmheap_ctx_aligned_realloc(ctx, bad[i], 64, 10, NULL));
        expect_error();
    }
    assert_false(dmheap_ctx_owner_of(ctx, NULL, name));
    expect_error();
    verify(ctx);
}

static void owner_of_names_the_owner(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(8 * KIB);
    char name[DMHEAP_NAME_BYTES] = "before";
    const char* const longest = long_name(63, 'x');
    assert_true(dmheap_ctx_owner_of(ctx, dmheap_ctx_malloc(ctx, 1, longest), name));
    assert_string_equal(name, longest);
    assert_true(dmheap_ctx_owner_of(ctx, dmheap_ctx_malloc(ctx, 1, NULL), name));
    assert_string_equal(name, "");
    expect_silence();
}

static void retag_hands_a_block_over(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(8 * KIB);
    test_heap.ctx = ctx;
    void* ptr = dmheap_ctx_malloc(ctx, 100, "app");
    assert_true(dmheap_ctx_retag(ctx, ptr, "web"));
    assert_string_equal(heap_owner_name(ptr), "web");
    dmheap_ctx_unregister_module(ctx, "app");
    expect_info();
    assert_true(dmheap_ctx_retag(ctx, ptr, ""));
    assert_string_equal(heap_owner_name(ptr), "");
    assert_false(dmheap_ctx_retag(ctx, ptr, long_name(64, 'x')));
    expect_error();
    dmheap_ctx_unregister_module(ctx, "web");
    expect_info();
    verify(ctx);
    dmheap_ctx_free(ctx, ptr, false);
    assert_true(is_empty(ctx));
}

/* While the owner is unregistered, at each release of the lock before the block is gone. */
static struct {
    unsigned unlocks; /* until then */
    struct dmheap_ctx* ctx;
    void* ptr;
    bool is_done;
} rescue;

static void retag_meanwhile(void* context)
{
    (void)context;
    if (rescue.unlocks-- == 0) {
        test_port_on_unlock(NULL, NULL);
        rescue.is_done = dmheap_ctx_retag(rescue.ctx, rescue.ptr, "web");
        test_port_forget_lines();
    }
}

/* Or it is refused, and the block goes. */
static void a_retag_during_the_unregistration_keeps_what_the_block_has(void** state)
{
    (void)state;
    rescue.ctx = make(8 * KIB);
    for (unsigned unlocks = 0; unlocks < 8; unlocks++) {
        rescue.ptr = dmheap_ctx_malloc(rescue.ctx, 100, "app");
        fill(rescue.ptr, 100, 1);
        assert_non_null(dmheap_ctx_malloc(rescue.ctx, 30, "app"));
        rescue.unlocks = unlocks;
        rescue.is_done = false;
        test_port_on_unlock(retag_meanwhile, NULL);
        dmheap_ctx_unregister_module(rescue.ctx, "app");
        test_port_on_unlock(NULL, NULL);
        test_port_forget_lines();
        assert_true(!DMHEAP_POISON || !rescue.is_done);
        assert_true(DMHEAP_POISON || rescue.is_done || unlocks != 0);
        assert_true(!rescue.is_done || is_filled(rescue.ptr, 100, 1));
        dmheap_ctx_unregister_module(rescue.ctx, "web");
        test_port_forget_lines();
        assert_true(is_empty(rescue.ctx));
    }
}

static void aligned_realloc_aligns(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(32 * KIB);
    test_heap.ctx = ctx;
    unsigned char* ptr = dmheap_ctx_aligned_realloc(ctx, NULL, 64, 100, "app");
    assert_true(is_aligned(ptr, 64));
    assert_string_equal(heap_owner_name(ptr), "app");
    fill(ptr, 100, 1);
    ptr = dmheap_ctx_aligned_realloc(ctx, ptr, 512, 200, "ignored");
    assert_true(is_aligned(ptr, 512) && is_filled(ptr, 100, 1));
    assert_string_equal(heap_owner_name(ptr), "app");
    assert_int_equal(heap_alignment(ctx, block_of(ptr)), 512);
    assert_ptr_equal(dmheap_ctx_aligned_realloc(ctx, ptr, 16, 50, NULL), ptr); /* it has more */
    assert_int_equal(heap_alignment(ctx, block_of(ptr)), 512);
    assert_true(is_filled(ptr, 50, 1));
    assert_non_null(dmheap_ctx_malloc(ctx, 10, NULL));
    ptr =
        dmheap_ctx_aligned_realloc(ctx, ptr, 1024, 20, NULL); /* moves, though it becomes smaller */
    assert_true(is_aligned(ptr, 1024) && is_filled(ptr, 20, 1));
    verify(ctx);
    ptr = dmheap_ctx_realloc(ctx, ptr, 2000, NULL); /* and keeps that from then on */
    assert_true(is_aligned(ptr, 1024) && is_filled(ptr, 20, 1));
    assert_non_null(dmheap_ctx_malloc(ctx, 1500, NULL));
    const void* const before = ptr;
    ptr = dmheap_ctx_aligned_realloc(ctx, ptr, 16, 4000, NULL); /* its own also where it moves */
    assert_ptr_not_equal(ptr, before);
    assert_true(is_aligned(ptr, 1024) && is_filled(ptr, 20, 1));
    assert_int_equal(heap_alignment(ctx, block_of(ptr)), 1024);
    verify(ctx);
    expect_silence();
    assert_null(dmheap_ctx_aligned_realloc(ctx, ptr, 2048, 64 * KIB, NULL));
    expect_error();
    assert_null(dmheap_ctx_aligned_realloc(ctx, ptr, 3, 10, NULL));
    expect_error();
    assert_null(dmheap_ctx_aligned_realloc(ctx, ptr, 0, 10, NULL));
    expect_error();
    assert_null(dmheap_ctx_aligned_realloc(ctx, ptr, SIZE_MAX / 2 + 1, 10, NULL));
    expect_error();
    assert_true(is_filled(ptr, 20, 1));
    dmheap_ctx_unregister_module(ctx, "app");
    expect_info();
    verify(ctx);
}

static void a_module_is_renamed_in_all_heaps_or_in_none(void** state)
{
    (void)state;
    struct dmheap_ctx* heap[3];
    for (unsigned i = 0; i < 3; i++) {
        heap[i] = make_default(2 * KIB);
    }
    assert_true(dmheap_ctx_register_module(heap[0], "app"));
    assert_true(dmheap_ctx_register_module(heap[2], "app"));
    assert_true(dmheap_ctx_register_module(heap[1], "web"));
    test_port_forget_lines();
    assert_false(
        dmheap_ctx_rename_module(NULL, "app", "web")); /* taken, in a heap without the other */
    expect_error();
    assert_false(dmheap_ctx_rename_module(NULL, "nobody", "new"));
    expect_error();
    assert_false(dmheap_ctx_rename_module(NULL, "app", ""));
    expect_error();
    assert_true(dmheap_ctx_rename_module(NULL, "app", "application"));
    assert_true(dmheap_ctx_rename_module(NULL, "application", "application"));
    assert_true(Dmod_RenameTag("application", "app"));
    expect_silence();
    fill_up(heap[2]);
    assert_false(
        dmheap_ctx_rename_module(NULL, "app", long_name(63, 'x'))); /* no room in the last */
    expect_error();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(dmheap_ctx_register_module(heap[i], i == 1 ? "web" : "app"), true);
        expect_warning();
        verify(heap[i]);
        assert_int_equal(modules(), 1);
    }
}

/* Damage that is met on the way is told, whichever heap serves at last; the link of a free block is. */
static void damage_in_one_of_several_heaps_is_told(void** state)
{
    (void)state;
    for (unsigned call = 0; call < 4; call++) {
        struct dmheap_ctx* damaged = make_default(2 * KIB);
        struct dmheap_ctx* other = make_default(4 * KIB);
        struct dmheap_module module;
        char* hole = dmheap_ctx_malloc(damaged, 1000, NULL);
        fill_up(damaged);
        dmheap_ctx_free(damaged, hole, false);
        block_of(hole)->header += DMHEAP_WORD_BYTES;
        switch (call) {
        case 0:
            assert_true(is_in(dmheap_malloc(500, NULL), other));
            break;
        case 1:
            assert_true(is_in(dmheap_ctx_calloc(NULL, 5, 100, NULL), other));
            break;
        case 2:
            assert_true(dmheap_ctx_open_module(NULL, "app", &module));
            break;
        default:
            assert_true(dmheap_ctx_register_module(NULL, "app"));
            assert_int_equal(test_port_lines_of(TEST_INFO), 1);
            break;
        }
        assert_int_equal(test_port_lines_of(TEST_ERROR), 1);
        test_port_forget_lines();
        verify(other);
        assert_true(dmheap_ctx_deinit(damaged));
        assert_true(dmheap_ctx_deinit(other));
    }
}

static void a_size_that_cannot_be_right_is_not_told(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(4 * KIB);
    void* ptr = dmheap_ctx_malloc(ctx, 100, NULL);
    char name[DMHEAP_NAME_BYTES];
    const dmheap_word right = block_of(ptr)->header;
    const dmheap_word sizes[] = {0, 8, 8 * KIB, BLOCK_SIZE_MASK & ~(dmheap_word)15};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        block_of(ptr)->header = (right & ~(dmheap_word)BLOCK_SIZE_MASK) | sizes[i];
        assert_int_equal(dmheap_ctx_usable_size(ctx, ptr), 0);
        expect_error();
        assert_false(dmheap_ctx_owner_of(ctx, ptr, name));
        expect_error();
        assert_null(dmheap_ctx_aligned_realloc(ctx, ptr, 64, 10, NULL));
        expect_error();
    }
    block_of(ptr)->header = right;
    verify(ctx);
}

/* Where the record of a module is. */
static const struct record* record_in(struct dmheap_ctx* ctx, const char* name)
{
    const struct record* record = record_find(ctx, name);
    assert_non_null(record);
    return record;
}

/* A new record would take the first hole, and the old one leave a larger one than it had. */
static void a_renaming_that_is_refused_elsewhere_leaves_each_record_in_its_place(void** state)
{
    (void)state;
    struct dmheap_ctx* heap[] = {make_default(4 * KIB), make_default(4 * KIB)};
    struct dmheap_stats before;
    struct dmheap_stats after;
    void* front = dmheap_malloc(200, NULL);
    assert_true(dmheap_ctx_register_module(heap[0], "app"));
    const struct record* record = record_in(heap[0], "app");
    void* hole = dmheap_malloc((size_t)heap_usable(heap[0], block_of(record)), NULL);
    (void)dmheap_malloc(10, NULL);
    dmheap_free(hole, true);
    dmheap_free(front, true);
    assert_true(dmheap_ctx_register_module(heap[1], "web"));
    test_port_forget_lines();
    assert_true(dmheap_ctx_get_stats(heap[0], &before));
    assert_false(dmheap_ctx_rename_module(NULL, "app", "web"));
    expect_error();
    assert_ptr_equal(record_in(heap[0], "app"), record);
    assert_true(dmheap_ctx_get_stats(heap[0], &after));
    assert_memory_equal(&before, &after, sizeof(before));
    verify(heap[0]);
    verify(heap[1]);
}

/*
 * The size of a long block, written over, leads past free memory behind it to a live block; that is
 * more than the live map tells of it. That memory would serve as its next place.
 */
static void a_block_is_not_moved_into_its_own_memory(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(64 * KIB);
    unsigned char* ptr = dmheap_ctx_malloc(ctx, 4 * KIB, NULL);
    void* hole = dmheap_ctx_malloc(ctx, 16 * KIB, NULL);
    void* behind[2];
    const dmheap_word right = block_of(ptr)->header;
    fill(ptr, 4 * KIB, 1);
    behind[0] = dmheap_ctx_malloc(ctx, 2 * KIB, NULL); /* it tells that the hole is in front */
    behind[1] = dmheap_ctx_malloc(ctx, 100, NULL);     /* this one does not */
    dmheap_ctx_free(ctx, hole, true);
    for (unsigned i = 0; i < 2; i++) {
        const dmheap_word all = (dmheap_word)((uintptr_t)behind[i] - (uintptr_t)ptr);
        const dmheap_word wrong = right - (dmheap_word)block_size(block_of(ptr)) + all;
        for (size_t size = 1; size <= 12 * KIB; size *= 3) {
            block_of(ptr)->header = wrong;
            assert_null(dmheap_ctx_aligned_realloc(ctx, ptr, 64, size, NULL));
            expect_error();
            assert_true(block_of(ptr)->header == wrong);
            block_of(ptr)->header = right;
            assert_true(is_filled(ptr, 4 * KIB, 1));
            verify(ctx);
        }
    }
    dmheap_ctx_free(ctx, ptr, true);
    expect_silence();
}

/* What happens to the heaps between two slices: the module is gone in all of them by then. */
static struct {
    unsigned what;
    unsigned char* buffer;
    struct dmheap_ctx* heap[2];
} between;

static void change_between(void* context)
{
    (void)context;
    test_port_on_unlock(NULL, NULL);
    switch (between.what) {
    case 0:
        assert_true(dmheap_ctx_deinit(between.heap[0]));
        break;
    case 1:
        assert_true(dmheap_ctx_remove_default(between.heap[1]));
        break;
    case 2:
        assert_true(dmheap_init(between.buffer, 4 * KIB, 8));
        assert_non_null(dmheap_malloc(100, "app"));
        break;
    default:
        assert_non_null(dmheap_ctx_malloc(between.heap[1], 100, "app"));
        break;
    }
    test_port_forget_lines();
}

static void an_unregistration_frees_what_the_module_had_and_nothing_else(void** state)
{
    (void)state;
    for (between.what = 0; between.what < 4; between.what++) {
        between.buffer = arena_make(4 * KIB, 0);
        between.heap[0] = make_default(4 * KIB);
        between.heap[1] = make_default(4 * KIB);
        for (unsigned i = 0; i < 20; i++) {
            assert_non_null(dmheap_ctx_malloc(between.heap[i % 2], 40, "app"));
        }
        test_port_on_unlock(change_between, NULL);
        dmheap_unregister_module("app");
        test_port_on_unlock(NULL, NULL);
        expect_info();
        if (between.what == 2) {
            test_heap.ctx = dmheap_ctx_get_default(0);
            assert_int_equal(heap_client_blocks(), 1);
            assert_true(dmheap_ctx_deinit(NULL));
            continue;
        }
        test_heap.ctx = between.heap[1];
        assert_int_equal(heap_client_blocks(), between.what == 3 ? 1 : 0);
        for (unsigned i = 0; i < 2; i++) {
            if (dmheap_ctx_is_initialized(between.heap[i])) {
                assert_true(i == 1 || is_empty(between.heap[i]));
                assert_true(dmheap_ctx_deinit(between.heap[i]));
            }
        }
    }
}

/* In the second heap, since the first is full; and the handle serves for that one alone. */
static void a_handle_is_of_the_heap_that_has_its_module(void** state)
{
    (void)state;
    struct dmheap_ctx* first = make_default(2 * KIB);
    struct dmheap_ctx* second = make_default(4 * KIB);
    void* ptr = dmheap_ctx_malloc(first, 600, NULL);
    fill_up(first);
    struct dmheap_module app;
    assert_true(dmheap_ctx_open_module(NULL, "app", &app));
    dmheap_free(ptr, false);
    assert_true(is_in(dmheap_ctx_malloc_for(NULL, 100, app), second));
    expect_silence();
    assert_null(dmheap_ctx_malloc_for(NULL, 4 * KIB, app));
    expect_error();
    assert_true(dmheap_ctx_deinit(NULL));
    assert_ptr_equal(dmheap_ctx_get_default(0), second);
    assert_true(is_in(dmheap_ctx_malloc_for(NULL, 100, app), second));
}

/* The lock is taken once, and once more for what was done without it; nothing is logged under it. */
static void the_lock_is_taken_once(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make_default(8 * KIB);
    struct dmheap_module app;
    char name[DMHEAP_NAME_BYTES];
    void* ptr = dmheap_ctx_malloc(ctx, 100, "app");
    unsigned before = test_port_holds();
#define expect_holds(count)                                    \
    do {                                                       \
        assert_int_equal(test_port_holds() - before, (count)); \
        before = test_port_holds();                            \
    } while (0)
    assert_true(dmheap_ctx_open_module(ctx, "app", &app));
    expect_holds(1);
    assert_non_null(dmheap_ctx_malloc_for(ctx, 10, app));
    expect_holds(1);
    assert_non_null(dmheap_ctx_aligned_alloc_for(ctx, 64, 10, app));
    expect_holds(1);
    assert_non_null(dmheap_ctx_malloc(ctx, 10, "web"));
    expect_holds(1);
    assert_non_null(dmheap_ctx_calloc(ctx, 10, 10, "app"));
    expect_holds(2);
    ptr = dmheap_ctx_aligned_realloc(ctx, ptr, 256, 50, NULL);
    expect_holds(2);
    ptr = dmheap_ctx_realloc(ctx, ptr, 40, NULL);
    expect_holds(1);
    assert_true(dmheap_ctx_owner_of(ctx, ptr, name));
    expect_holds(1);
    assert_true(dmheap_ctx_usable_size(ctx, ptr) >= 40);
    expect_holds(1);
    assert_true(dmheap_ctx_retag(ctx, ptr, "web"));
    expect_holds(1);
    assert_true(dmheap_ctx_rename_module(ctx, "web", "www"));
    expect_holds(1);
    dmheap_ctx_free(ctx, ptr, false);
    expect_holds(1 + DMHEAP_POISON);
    assert_true(dmheap_ctx_set_name(ctx, "main") && dmheap_ctx_find("main") == ctx);
    expect_holds(2);
    assert_true(dmheap_ctx_remove_default(ctx) && dmheap_ctx_add_default(ctx));
    expect_holds(2);
    assert_true(dmheap_ctx_deinit(ctx));
    expect_holds(1);
#undef expect_holds
}

/* Clearing or copying ends with "gone", of which the damage met before is not a second line. */
static void a_failed_call_is_one_line_though_two_things_went_wrong(void** state)
{
    (void)state;
    for (unsigned call = 0; call < 3; call++) {
        prepare_meanwhile(UNREGISTER);
        struct dmheap_ctx* ctx = meanwhile.ctx;
        char* ptr = dmheap_ctx_malloc(ctx, 100, "app");
        char* hole = dmheap_ctx_malloc(ctx, 1000, NULL);
        assert_non_null(dmheap_ctx_malloc(ctx, 10, NULL));
        dmheap_ctx_free(ctx, hole, false);
        block_of(hole)->header += DMHEAP_WORD_BYTES;
        test_port_on_unlock(do_meanwhile, NULL);
        if (call == 0) {
            assert_null(dmheap_ctx_calloc(ctx, 1, 900, "app"));
        } else if (call == 1) {
            assert_null(dmheap_ctx_aligned_realloc(ctx, ptr, 64, 900, NULL));
        } else {
            assert_null(dmheap_ctx_realloc(ctx, ptr, 1100, NULL));
        }
        expect_error();
        made_count = 0;
        assert_true(dmheap_ctx_deinit(ctx) && dmheap_ctx_deinit(NULL));
    }
}

/* ---- at random --------------------------------------------------------------------------------- */

#define HEAPS  3
#define BLOCKS 60

static struct {
    struct dmheap_ctx* heap[HEAPS]; /* NULL: torn down */
    unsigned char* buffer[HEAPS];
    unsigned char* block[BLOCKS];
    size_t size[BLOCKS];
    unsigned home[BLOCKS];
    const char* owner[BLOCKS]; /* NULL: nobody */
} shadow;

static const char* const names[] = {NULL, "app", "web", "a rather long name of a module"};

static void shadow_forget(unsigned heap, const char* owner, bool all)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (shadow.block[i] != NULL && shadow.home[i] == heap &&
            (all || (owner != NULL && shadow.owner[i] == owner))) {
            shadow.block[i] = NULL;
        }
    }
}

static void shadow_note(unsigned i, void* ptr, size_t size, const char* owner)
{
    shadow.block[i] = ptr;
    if (ptr == NULL) {
        return;
    }
    shadow.size[i] = size;
    shadow.owner[i] = owner;
    for (shadow.home[i] = 0; shadow.home[i] < HEAPS; shadow.home[i]++) {
        struct dmheap_ctx* heap = shadow.heap[shadow.home[i]];
        if (heap != NULL && is_in(ptr, heap)) {
            break;
        }
    }
    assert_true(shadow.home[i] < HEAPS);
    fill(ptr, size, i);
}

static void shadow_verify(void)
{
    size_t blocks[HEAPS] = {0};
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (shadow.block[i] != NULL) {
            assert_true(is_filled(shadow.block[i], shadow.size[i], i));
            blocks[shadow.home[i]]++;
        }
    }
    for (unsigned h = 0; h < HEAPS; h++) {
        if (shadow.heap[h] != NULL) {
            test_heap.ctx = shadow.heap[h];
            assert_int_equal(heap_client_blocks(), blocks[h]);
        }
    }
}

static void allocate_somehow(unsigned i, struct dmheap_ctx* ctx)
{
    const size_t size = dice(4) == 0 ? dice(900) : dice(100);
    const char* owner = names[dice(COUNT_OF(names))];
    struct dmheap_module module;
    void* ptr = NULL;
    switch (dice(4)) {
    case 0:
        ptr = dmheap_ctx_malloc(ctx, size, owner);
        break;
    case 1:
        ptr = dmheap_ctx_calloc(ctx, 1, size, owner);
        break;
    case 2:
        ptr = dmheap_ctx_aligned_alloc(ctx, (size_t)8 << dice(5), size, owner);
        break;
    default:
        if (owner != NULL && dmheap_ctx_open_module(ctx, owner, &module)) {
            ptr = dmheap_ctx_malloc_for(ctx, size, module);
        }
        break;
    }
    shadow_note(i, ptr, size, owner);
}

static void change_somehow(unsigned i, struct dmheap_ctx* ctx)
{
    unsigned char* const ptr = shadow.block[i];
    const size_t size = dice(300);
    const size_t kept = size < shadow.size[i] ? size : shadow.size[i];
    char name[DMHEAP_NAME_BYTES];
    unsigned char* moved = ptr;
    switch (dice(5)) {
    case 0:
        moved = dmheap_ctx_realloc(ctx, ptr, size, NULL);
        break;
    case 1:
        moved = dmheap_ctx_aligned_realloc(ctx, ptr, (size_t)8 << dice(5), size, NULL);
        break;
    case 2:
        shadow.owner[i] = names[dice(COUNT_OF(names))];
        if (!dmheap_ctx_retag(ctx, ptr, shadow.owner[i])) {
            assert_true(dmheap_ctx_retag(ctx, ptr, NULL));
            shadow.owner[i] = NULL;
        }
        return;
    case 3:
        assert_true(dmheap_ctx_owner_of(ctx, ptr, name));
        assert_string_equal(name, shadow.owner[i] != NULL ? shadow.owner[i] : "");
        return;
    default:
        dmheap_ctx_free(ctx, ptr, dice(2) != 0);
        shadow.block[i] = NULL;
        return;
    }
    if (moved != NULL) {
        const unsigned home = shadow.home[i];
        assert_true(is_filled(moved, kept, i));
        shadow_note(i, moved, size, shadow.owner[i]);
        assert_int_equal(shadow.home[i], home);
    }
}

/* Heaps go and come, and all three serve by default, in whatever order. */
static void replace_heap(unsigned h)
{
    if (shadow.heap[h] != NULL) {
        assert_true(dmheap_ctx_deinit(shadow.heap[h]));
        shadow.heap[h] = NULL;
        shadow_forget(h, NULL, true);
    } else {
        shadow.heap[h] = dmheap_ctx_init(shadow.buffer[h], 2 * KIB, 8);
        assert_true(dmheap_ctx_add_default(shadow.heap[h]));
    }
}

static void random_step(void)
{
    const unsigned i = dice(BLOCKS);
    const unsigned h = dice(HEAPS);
    if (dice(300) == 0) {
        replace_heap(h);
    } else if (dice(40) == 0) {
        const char* name = names[1 + dice(COUNT_OF(names) - 1)];
        const bool in_all = dice(2) != 0;
        if (in_all || shadow.heap[h] != NULL) {
            dmheap_ctx_unregister_module(in_all ? NULL : shadow.heap[h], name);
        }
        for (unsigned k = 0; k < HEAPS; k++) {
            if (in_all || k == h) {
                shadow_forget(k, name, false);
            }
        }
    } else if (shadow.block[i] == NULL) {
        allocate_somehow(i, dice(2) != 0 ? NULL : shadow.heap[h]);
    } else {
        change_somehow(i, dice(2) != 0 ? NULL : shadow.heap[shadow.home[i]]);
    }
    test_port_forget_lines();
}

static void random_calls_for_several_heaps(void** state)
{
    (void)state;
    random_begin();
    memset(&shadow, 0, sizeof(shadow));
    for (unsigned h = 0; h < HEAPS; h++) {
        shadow.buffer[h] = arena_make(2 * KIB, 0);
        replace_heap(h);
    }
    for (unsigned step = 0; step < 6000; step++) {
        random_step();
        shadow_verify();
    }
}

/*
 * A heap's serial is one of two things by which it is known again: what has another is no heap, unless
 * a seal tells that it was written over; then it serves nobody, but is still known.
 */
static void a_heap_whose_serial_was_written_over_serves_no_more(void** state)
{
    (void)state;
    struct dmheap_ctx* sound = make_default(4 * KIB);
    struct dmheap_ctx* ctx = make(4 * KIB);
    assert_true(dmheap_ctx_set_name(ctx, "fast"));
    ctx->serial ^= 2;
    assert_null(dmheap_ctx_malloc(ctx, 10, NULL));
    expect_error();
    assert_false(dmheap_ctx_is_initialized(ctx));
    (void)make(4 * KIB); /* which looks at all heaps, and forgets those that are no more */
    assert_ptr_equal(dmheap_ctx_find("fast"), DMHEAP_GUARD ? ctx : NULL);
    ctx->serial ^= 2;
    assert_int_equal(dmheap_ctx_malloc(ctx, 10, NULL) != NULL, DMHEAP_GUARD);
    check_log(!DMHEAP_GUARD, 0, 0, NULL, __FILE__, __LINE__);
    verify(sound);
}

/* The check goes by where the heap ends, not by what its context says of that. */
static void a_context_that_is_a_larger_heaps_leads_the_check_nowhere(void** state)
{
    struct dmheap_finding finding;
    (void)state;
    struct dmheap_ctx* larger = make(32 * KIB);
    struct dmheap_ctx* ctx = make(4 * KIB);
    assert_non_null(dmheap_ctx_malloc(ctx, 100, NULL));
    memcpy(ctx, larger, offsetof(struct dmheap_ctx, group));
    assert_false(dmheap_ctx_check(ctx, &finding));
    expect_error();
    assert_int_equal(finding.fault, DMHEAP_FAULT_CONTEXT);
    assert_int_equal(finding.offset, offsetof(struct dmheap_ctx, end));
    assert_true(finding.block.address == 0 && finding.before.address == 0);
    assert_true(dmheap_ctx_deinit(ctx));
    assert_true(is_empty(larger));
}

/* After two inits there is that heap only, until a function for several is called. */
static void without_other_heaps_any_context_is_refused(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    heap_open(4 * KIB, 8);
    assert_null(dmheap_ctx_malloc(heap_context(test_heap.buffer + KIB, 8), 10, NULL));
    expect_error();
    assert_non_null(dmheap_ctx_malloc(test_heap.ctx, 10, NULL));
    (void)heap_verify();
}

static void a_module_damaged_in_the_first_heap_is_freed_in_the_second(void** state)
{
    (void)state;
    struct dmheap_ctx* damaged = make_default(4 * KIB);
    struct dmheap_ctx* other = make_default(4 * KIB);
    struct dmheap_block* block = block_of(dmheap_ctx_malloc(damaged, 100, "app"));
    assert_non_null(dmheap_ctx_malloc(other, 100, "app"));
    (void)dmheap_ctx_malloc(damaged, 10, NULL);
    block->header += (dmheap_word)ctx_granule(damaged); /* into the block behind */
    dmheap_unregister_module("app");
    assert_int_equal(test_port_lines_of(TEST_ERROR), 1);
    assert_int_equal(test_port_lines_of(TEST_INFO), 1);
    test_port_forget_lines();
    assert_true(is_empty(other));
}

/* A class with a bit and no block is given up like one whose list is damaged. */
static void a_bin_that_was_cleared_is_given_up(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make_default(16 * KIB);
    void* hole = dmheap_malloc(1000, NULL);
    (void)dmheap_malloc(10, NULL);
    dmheap_free(hole, true);
    ctx->bin[index_class(ctx, block_size(block_of(hole)))] = 0;
    assert_non_null(dmheap_malloc(500, NULL));
    expect_error();
    assert_non_null(dmheap_malloc(500, NULL));
    expect_silence();
}

static void spoil_seal(void* context)
{
    struct dmheap_ctx* ctx = context;
    ctx->seal ^= 8;
    test_port_on_unlock(NULL, NULL);
}

/* Whatever is done without the lock: what the heap has by then is proven again. */
static void a_heap_written_over_during_the_copy_ends_the_realloc(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make_default(4 * KIB);
    void* block = dmheap_malloc(100, NULL);
    assert_non_null(dmheap_malloc(10, NULL));
    test_port_on_unlock(spoil_seal, ctx);
    assert_null(dmheap_realloc(block, 500, NULL));
    expect_error();
    ctx->seal ^= 8;
}

int main(int argc, char** argv)
{
    random_choose(argc, argv);
    const struct CMUnitTest cases[] = {
        ctx_case(random_calls_for_several_heaps),
        ctx_case(a_heap_serves_whoever_names_it_and_no_one_else),
        ctx_case(what_init_refuses_makes_no_heap),
        ctx_case(there_may_be_sixteen_heaps_and_that_of_init),
        ctx_case(nothing_reaches_a_heap_that_was_torn_down),
        ctx_case(any_value_may_be_given_as_a_context),
        ctx_case(a_buffer_used_again_forgets_the_heap_in_it),
        ctx_case(a_heap_may_stand_in_a_block_of_another),
        ctx_case(the_heaps_in_the_blocks_of_one_go_with_it),
        ctx_case(of_heaps_in_a_buffer_none_is_passed_by),
        ctx_case(a_buffer_over_the_own_data_of_a_heap_forgets_it),
        ctx_case(init_in_the_first_block_of_a_heap_leaves_it_alone),
        ctx_case(heaps_in_a_heap_that_init_forgets_go_with_it),
        ctx_case(init_forgets_all_heaps_while_one_serves_by_default),
        ctx_case(there_is_one_heap_of_init_at_most),
        ctx_case(room_for_a_heap_is_not_made_by_forgetting_that_of_init),
        ctx_case(init_without_a_default_forgets_what_lies_in_its_buffer),
        ctx_case(heaps_that_go_with_another_make_room),
        ctx_case(a_heap_in_a_block_of_one_that_was_written_over_stays),
        ctx_case(init_in_place_of_a_former_one_forgets_the_heaps_in_its_blocks),
        ctx_case(heaps_are_made_one_at_a_time),
        ctx_case(eight_heaps_may_serve_by_default_in_their_order),
        ctx_case(the_first_heap_that_serves_is_taken),
        ctx_case(a_pointer_finds_its_heap),
        ctx_case(a_block_never_leaves_its_heap),
        ctx_case(a_module_is_unregistered_in_all_heaps_that_serve_by_default),
        ctx_case(a_module_is_registered_in_the_first_heap_that_has_room),
        ctx_case(a_heap_is_found_by_its_name),
        ctx_case(a_name_that_is_too_long_or_taken_is_refused),
        ctx_case(a_handle_allocates_for_its_module),
        ctx_case(a_stale_handle_is_refused),
        ctx_case(a_handle_that_is_none_is_refused),
        ctx_case(a_handle_of_a_module_that_is_being_unregistered_is_refused),
        ctx_case(calloc_clears),
        ctx_case(calloc_refuses_what_overflows),
        ctx_case(calloc_gives_nothing_to_an_owner_that_went_meanwhile),
        ctx_case(a_move_ends_where_its_heap_or_owner_went_meanwhile),
        ctx_case(a_move_ends_where_init_took_the_memory_around_its_heap),
        ctx_case(an_unregistration_ends_where_its_heap_went_meanwhile),
        ctx_case(usable_size_is_what_may_be_written),
        ctx_case(questions_about_bad_pointers_are_refused),
        ctx_case(owner_of_names_the_owner),
        ctx_case(retag_hands_a_block_over),
        ctx_case(a_retag_during_the_unregistration_keeps_what_the_block_has),
        ctx_case(aligned_realloc_aligns),
        ctx_case(a_module_is_renamed_in_all_heaps_or_in_none),
        ctx_case(a_renaming_that_is_refused_elsewhere_leaves_each_record_in_its_place),
        ctx_case(damage_in_one_of_several_heaps_is_told),
        ctx_case(a_size_that_cannot_be_right_is_not_told),
        ctx_case(a_block_is_not_moved_into_its_own_memory),
        ctx_case(an_unregistration_frees_what_the_module_had_and_nothing_else),
        ctx_case(a_handle_is_of_the_heap_that_has_its_module),
        ctx_case(a_failed_call_is_one_line_though_two_things_went_wrong),
        ctx_case(the_lock_is_taken_once),
        ctx_case(without_other_heaps_any_context_is_refused),
        ctx_case(a_context_that_is_a_larger_heaps_leads_the_check_nowhere),
        ctx_case(a_heap_whose_serial_was_written_over_serves_no_more),
        ctx_case(a_module_damaged_in_the_first_heap_is_freed_in_the_second),
        ctx_case_if(DMHEAP_GUARD, a_heap_written_over_during_the_copy_ends_the_realloc),
        ctx_case_if(DMHEAP_GUARD, a_bin_that_was_cleared_is_given_up),
        ctx_case_if(DMHEAP_GUARD, a_heap_whose_own_data_was_written_over_serves_no_more),
        ctx_case_if(DMHEAP_GUARD, a_heap_written_over_is_told_by_the_check_and_made_anew),
        ctx_case_if(DMHEAP_GUARD, where_one_of_several_heaps_was_written_over_the_others_serve),
        ctx_case_if(DMHEAP_GUARD, a_heap_that_was_written_over_takes_no_other_along),
        ctx_case_if(DMHEAP_GUARD, a_serial_that_was_written_over_is_no_new_heap),
        ctx_case_if(DMHEAP_GUARD, what_meets_a_bin_that_was_written_over_tells_of_it),
        ctx_case_if(DMHEAP_GUARD, a_bin_that_was_written_over_is_given_up),
        ctx_case_if(DMHEAP_GUARD, a_block_freed_beside_a_bin_that_was_written_over_is_listed_alone),
        ctx_case_if(DMHEAP_GUARD, a_row_that_cannot_be_has_no_blocks),
        ctx_case_if(DMHEAP_GUARD, a_class_that_cannot_be_is_not_given_up),
    };
    const struct CMUnitTest random[] = {cases[0]};
    return argc > 1 ? cmocka_run_group_tests(random, NULL, NULL)
                    : cmocka_run_group_tests(cases, NULL, NULL);
}
