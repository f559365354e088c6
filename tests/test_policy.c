/* SPDX-License-Identifier: MIT */
/*
 * What is wanted of a heap beyond what it does by itself, sentence by sentence of the manual: leak
 * policies, the hook for modules that die, the hook for requests that fail; and the walk over
 * modules. At last random calls of several heaps whose hooks do anything, each heap proven after
 * each call.
 *
 *     test_policy            all cases, the random ones from a fresh seed
 *     test_policy SEED       those of that seed
 */
#include "heap_test.h"

#include "dmod_api.h"

/* ---- heaps of a case --------------------------------------------------------------- */

static struct dmheap_ctx* make(size_t size)
{
    struct dmheap_ctx* ctx = dmheap_ctx_init(arena_make(size, 0), size, 8);
    assert_non_null(ctx);
    expect_info();
    return ctx;
}

static struct dmheap_ctx* make_default(size_t size)
{
    struct dmheap_ctx* ctx = make(size);
    assert_true(dmheap_ctx_add_default(ctx));
    return ctx;
}

/* The heap of dmheap_init, as most cases have it. */
static struct dmheap_ctx* open_heap(size_t size)
{
    heap_open(size, 8);
    return dmheap_ctx_get_default(0);
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

/* Leave no room in a heap. A request that fails calls its hook. */
static void fill_up(struct dmheap_ctx* ctx)
{
    while (dmheap_ctx_malloc(ctx, 0, NULL) != NULL) {
    }
    test_port_forget_lines();
}

static void expect_lines(size_t errors, size_t warnings, size_t infos)
{
    check_log(errors, warnings, infos, NULL, __FILE__, __LINE__);
}

/* What the hooks of a case were told, and what they do. */
#define TOLD 16

static struct {
    unsigned calls;
    struct dmheap_failure failure[TOLD];
    struct dmheap_death death[TOLD];
    char name[TOLD][DMHEAP_NAME_BYTES];
    void (*act)(void);
    bool answer;
    /* for the acts */
    void* ptr;
    const char* module_name;
    struct dmheap_ctx* ctx;
} told;

static int policy_case_begin(void** state)
{
    memset(&told, 0, sizeof(told));
    return heap_case_begin(state);
}

/* Tear down all heaps, and give their memory back. */
static void release_heaps(void)
{
    for (const struct arena* arena = arenas; arena < arenas + ARENAS; arena++) {
        struct dmheap_ctx* ctx = (struct dmheap_ctx*)(uintptr_t)arena->buffer;
        if (arena->memory != NULL && dmheap_ctx_is_initialized(ctx)) {
            assert_true(dmheap_ctx_deinit(ctx));
        }
    }
    arenas_release();
}

static int policy_case_end(void** state)
{
    test_port_on_unlock(NULL, NULL);
    release_heaps();
    return heap_case_end(state);
}

#define policy_case(function) \
    cmocka_unit_test_setup_teardown(function, policy_case_begin, policy_case_end)

static void note_name(const char* module_name)
{
    assert_non_null(module_name);
    assert_true(strlen(module_name) < DMHEAP_NAME_BYTES);
    assert_true(told.calls < TOLD);
    strcpy(told.name[told.calls], module_name);
}

static void act_once(void)
{
    void (*const act)(void) = told.act;
    told.act = NULL;
    if (act != NULL) {
        act();
    }
}

static bool note_failure(const struct dmheap_failure* failure, void* context)
{
    assert_false(test_port_is_held());
    assert_ptr_equal(context, &told);
    note_name(failure->module_name);
    told.failure[told.calls++] = *failure;
    act_once();
    return told.answer;
}

static void note_death(const struct dmheap_death* death, void* context)
{
    assert_false(test_port_is_held());
    assert_ptr_equal(context, &told);
    note_name(death->module_name);
    told.death[told.calls++] = *death;
    act_once();
}

static void free_ptr(void)
{
    dmheap_free(told.ptr, false);
}

static void tear_down(void)
{
    assert_true(dmheap_ctx_deinit(told.ctx));
}

/* ---- setting ------------------------------------------------------------------------- */

/* The first case of all: nothing was set before, for any heap. */
static void something_may_be_set_before_any_heap_serves_by_default(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(4 * KIB);
    assert_true(dmheap_ctx_set_failure_hook(ctx, note_failure, &told));
    assert_null(dmheap_ctx_malloc(ctx, 64 * KIB, NULL));
    expect_error();
    assert_int_equal(told.calls, 1);
}

static void what_cannot_be_set_is_refused(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(4 * KIB);
    assert_false(dmheap_ctx_set_leak_policy(ctx, (enum dmheap_leak_policy)(DMHEAP_LEAK_KEEP + 1)));
    expect_error();
    assert_true(dmheap_ctx_deinit(ctx));
    struct dmheap_ctx* const no_context[] = {ctx, NULL, (struct dmheap_ctx*)UINTPTR_MAX};
    for (size_t i = 0; i < COUNT_OF(no_context); i++) {
        assert_false(dmheap_ctx_set_leak_policy(no_context[i], DMHEAP_LEAK_KEEP));
        expect_error();
        assert_false(dmheap_ctx_set_death_hook(no_context[i], note_death, &told));
        expect_error();
        assert_false(dmheap_ctx_set_failure_hook(no_context[i], note_failure, &told));
        expect_error();
    }
}

static void null_is_the_first_heap_by_default(void** state)
{
    (void)state;
    struct dmheap_ctx* first = make_default(2 * KIB);
    struct dmheap_ctx* second = make_default(2 * KIB);
    assert_true(dmheap_ctx_set_leak_policy(NULL, DMHEAP_LEAK_SUMMARY));
    assert_true(dmheap_ctx_set_death_hook(NULL, note_death, &told));
    assert_true(dmheap_ctx_set_failure_hook(NULL, note_failure, &told));
    expect_silence();
    assert_non_null(dmheap_ctx_malloc(second, 10, "app"));
    dmheap_ctx_unregister_module(second, "app");
    expect_info();
    assert_null(dmheap_ctx_malloc(second, 4 * KIB, NULL));
    expect_error();
    assert_int_equal(told.calls, 0);
    assert_non_null(dmheap_ctx_malloc(first, 10, "app"));
    dmheap_ctx_unregister_module(first, "app");
    expect_lines(0, 1, 1);
    assert_null(dmheap_ctx_malloc(first, 4 * KIB, NULL));
    expect_error();
    assert_int_equal(told.calls, 2);
}

static void set_all(struct dmheap_ctx* ctx, enum dmheap_leak_policy policy)
{
    assert_true(dmheap_ctx_set_leak_policy(ctx, policy));
    assert_true(dmheap_ctx_set_death_hook(ctx, note_death, &told));
    assert_true(dmheap_ctx_set_failure_hook(ctx, note_failure, &told));
}

static void expect_nothing_set(struct dmheap_ctx* ctx)
{
    assert_non_null(dmheap_ctx_malloc(ctx, 10, "app"));
    dmheap_ctx_unregister_module(ctx, "app");
    expect_info();
    assert_null(dmheap_ctx_malloc(ctx, 64 * KIB, NULL));
    expect_error();
    assert_int_equal(told.calls, 0);
}

static void what_is_set_goes_with_its_heap(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(4 * KIB, 0);
    for (unsigned round = 0; round < 4; round++) {
        struct dmheap_ctx* ctx = dmheap_ctx_init(buffer, 4 * KIB, 8);
        expect_info();
        set_all(ctx, DMHEAP_LEAK_KEEP);
        assert_true(round % 2 != 0 || dmheap_ctx_deinit(ctx)); /* or made anew while it lives */
        assert_ptr_equal(dmheap_ctx_init(buffer, 4 * KIB, 8), ctx);
        expect_info();
        expect_nothing_set(ctx);
        assert_true(dmheap_ctx_deinit(ctx));
    }
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    set_all(ctx, DMHEAP_LEAK_KEEP);
    assert_true(dmheap_init(test_heap.buffer, 4 * KIB, 8));
    expect_info();
    expect_nothing_set(NULL);
}

/* More heaps than entries, one after the other; at last, as many as there may be. */
static void each_heap_has_its_own(void** state)
{
    (void)state;
    struct dmheap_ctx* heap[DMHEAP_CTX_MAX + 1];
    heap[DMHEAP_CTX_MAX] = open_heap(2 * KIB);
    for (unsigned i = 0; i < 3 * DMHEAP_CTX_MAX; i++) {
        struct dmheap_ctx* ctx = i < 2 * DMHEAP_CTX_MAX ? heap[DMHEAP_CTX_MAX] : NULL;
        const unsigned h = i % DMHEAP_CTX_MAX;
        if (i < DMHEAP_CTX_MAX) {
            heap[h] = make(2 * KIB);
        } else {
            assert_true(dmheap_ctx_deinit(heap[h]));
            heap[h] = dmheap_ctx_init(heap[h], 2 * KIB, 8);
            expect_info();
        }
        assert_true(dmheap_ctx_set_leak_policy(heap[h], (enum dmheap_leak_policy)(i % 4)));
        assert_true(dmheap_ctx_set_leak_policy(ctx, DMHEAP_LEAK_KEEP));
    }
    expect_silence();
    for (unsigned i = 0; i <= DMHEAP_CTX_MAX; i++) {
        const unsigned policy = i < DMHEAP_CTX_MAX ? i % 4 : (unsigned)DMHEAP_LEAK_KEEP;
        assert_non_null(dmheap_ctx_malloc(heap[i], 10, "app"));
        dmheap_ctx_unregister_module(heap[i], "app");
        expect_lines(policy == DMHEAP_LEAK_KEEP, policy < DMHEAP_LEAK_KEEP ? policy : 0,
                     policy != DMHEAP_LEAK_KEEP);
    }
}

/* ---- leak policies --------------------------------------------------------------------- */

/* Blocks of "app" among others'. */
static size_t spread(struct dmheap_ctx* ctx, unsigned count)
{
    struct dmheap_module_stats stats;
    for (unsigned i = 0; i < count; i++) {
        assert_non_null(dmheap_ctx_malloc(ctx, 20 + 8 * i, "app"));
        assert_non_null(dmheap_ctx_malloc(ctx, 20, i % 2 == 0 ? NULL : "web"));
    }
    assert_true(dmheap_ctx_get_module_stats(ctx, "app", &stats));
    assert_int_equal(stats.blocks, count);
    return stats.bytes;
}

static void nothing_is_told_where_nothing_was_set(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    for (unsigned round = 0; round < 2; round++) {
        (void)spread(ctx, 5);
        dmheap_unregister_module("app");
        expect_info_of("dmheap: Module app unregistered successfully.\n");
        assert_true(dmheap_ctx_set_leak_policy(ctx, DMHEAP_LEAK_SILENT));
    }
}

static void a_summary_is_one_line(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    char text[100];
    assert_true(dmheap_ctx_set_leak_policy(ctx, DMHEAP_LEAK_SUMMARY));
    for (unsigned round = 0; round < 2; round++) {
        const size_t bytes = spread(ctx, 5);
        (void)snprintf(text, sizeof(text), "dmheap: Module app left %u bytes in 5 blocks%s.\n",
                       (unsigned)bytes, round == 0 ? "" : " in heap m");
        dmheap_unregister_module("app");
        assert_string_equal(test_port_text(0), text);
        assert_int_equal(test_port_level(0), TEST_WARN);
        expect_lines(0, 1, 1);
        verify(ctx);
        assert_int_equal(modules(), 1);
        assert_true(dmheap_ctx_set_name(ctx, "m"));
    }
}

static void each_block_is_a_line(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    char text[100];
    void* block[2];
    assert_true(dmheap_ctx_set_leak_policy(ctx, DMHEAP_LEAK_BLOCKS));
    assert_non_null(dmheap_malloc(100, NULL));
    block[0] = dmheap_malloc(20, "app");
    assert_non_null(dmheap_malloc(100, "web"));
    block[1] = dmheap_aligned_alloc(64, 200, "app");
    size_t sum = 0;
    size_t size[2];
    for (unsigned i = 0; i < 2; i++) {
        size[i] = (size_t)block_size(block_of(block[i]));
        sum += size[i];
    }
    dmheap_unregister_module("app");
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof(text), "dmheap: Module app leaves %u bytes at %p.\n",
                       (unsigned)size[i], block[i]);
        assert_string_equal(test_port_text(i), text);
    }
    (void)snprintf(text, sizeof(text), "dmheap: Module app left %u bytes in 2 blocks.\n",
                   (unsigned)sum);
    assert_string_equal(test_port_text(2), text);
    expect_lines(0, 3, 1);
    verify(ctx);
    assert_int_equal(heap_client_blocks(), 2);
}

static void a_module_that_holds_nothing_is_no_line(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    for (unsigned policy = DMHEAP_LEAK_SILENT; policy <= DMHEAP_LEAK_KEEP; policy++) {
        assert_true(dmheap_ctx_set_leak_policy(ctx, (enum dmheap_leak_policy)policy));
        dmheap_unregister_module("unknown");
        dmheap_unregister_module(NULL);
        expect_silence();
        dmheap_free(dmheap_malloc(10, "app"), false);
        assert_non_null(dmheap_malloc(10, NULL));
        dmheap_unregister_module("app");
        expect_info();
    }
}

static void unregister_somehow(unsigned how, struct dmheap_ctx* ctx, const char* module_name)
{
    switch (how) {
    case 0:
        dmheap_unregister_module(module_name);
        break;
    case 1:
        Dmod_FreeModule(module_name);
        break;
    case 2:
        dmheap_ctx_unregister_module(NULL, module_name);
        break;
    default:
        dmheap_ctx_unregister_module(ctx, module_name);
        break;
    }
}

static void a_module_that_holds_memory_is_kept(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    assert_true(dmheap_ctx_set_leak_policy(ctx, DMHEAP_LEAK_KEEP));
    assert_true(dmheap_ctx_set_death_hook(ctx, note_death, &told));
    for (unsigned how = 0; how < 4; how++) {
        struct dmheap_module app;
        unsigned char* ptr = dmheap_malloc(100, "app");
        fill(ptr, 100, how);
        assert_true(dmheap_ctx_open_module(ctx, "app", &app));
        snapshot_take();
        unregister_somehow(how, ctx, "app");
        assert_string_equal(test_port_text(0), "dmheap: unregistration of module app: it holds "
                                               "memory, which is kept.\n");
        expect_error();
        assert_true(snapshot_is_same());
        assert_non_null(ptr = dmheap_ctx_realloc(ctx, ptr, 200, NULL));
        assert_true(is_filled(ptr, 100, how));
        dmheap_free(dmheap_ctx_malloc_for(ctx, 10, app), false);
        expect_silence();
        assert_int_equal(told.calls, 0);
        dmheap_free(ptr, false);
        unregister_somehow(how, ctx, "app");
        expect_info();
        assert_true(heap_is_empty());
        assert_int_equal(told.calls, 1);
        told.calls = 0;
    }
}

static void a_module_goes_in_all_heaps_or_in_none(void** state)
{
    (void)state;
    struct dmheap_ctx* heap[3];
    void* ptr[3];
    for (unsigned i = 0; i < 3; i++) {
        heap[i] = make_default(2 * KIB);
        assert_true(dmheap_ctx_set_leak_policy(heap[i], DMHEAP_LEAK_SUMMARY));
    }
    for (unsigned keeper = 0; keeper < 3; keeper++) {
        for (unsigned i = 0; i < 3; i++) {
            ptr[i] = dmheap_ctx_malloc(heap[i], 100, "app");
        }
        assert_true(dmheap_ctx_set_leak_policy(heap[keeper], DMHEAP_LEAK_KEEP));
        dmheap_unregister_module("app");
        expect_error();
        for (unsigned i = 0; i < 3; i++) {
            assert_true(dmheap_ctx_usable_size(heap[i], ptr[i]) >= 100);
            assert_true(dmheap_ctx_register_module(heap[i], "app"));
            expect_warning(); /* known all the while */
        }
        dmheap_free(ptr[keeper], false);
        dmheap_unregister_module("app");
        expect_lines(0, 2, 1); /* each of the others tells of its own */
        for (unsigned i = 0; i < 3; i++) {
            verify(heap[i]);
            assert_true(heap_is_empty());
        }
        assert_true(dmheap_ctx_set_leak_policy(heap[keeper], DMHEAP_LEAK_SUMMARY));
    }
    /* One heap that is named goes by itself. */
    assert_non_null(dmheap_ctx_malloc(heap[0], 100, "app"));
    assert_non_null(dmheap_ctx_malloc(heap[1], 100, "app"));
    assert_true(dmheap_ctx_set_leak_policy(heap[0], DMHEAP_LEAK_KEEP));
    dmheap_ctx_unregister_module(heap[1], "app");
    expect_lines(0, 1, 1);
}

/* A block on its way counts as held. */
static void unregister_it(void* context)
{
    test_port_on_unlock(NULL, NULL);
    dmheap_unregister_module(context);
}

static void what_is_being_moved_is_held_but_not_told(void** state)
{
    (void)state;
    static char name[] = "app";
    struct dmheap_ctx* ctx = open_heap(8 * KIB);
    assert_true(dmheap_ctx_set_leak_policy(ctx, DMHEAP_LEAK_KEEP));
    void* ptr = dmheap_malloc(100, "app");
    assert_non_null(dmheap_malloc(10, NULL));
    test_port_on_unlock(unregister_it, name);
    ptr = dmheap_realloc(ptr, 1000, NULL);
    assert_non_null(ptr);
    expect_error();
    assert_non_null(dmheap_malloc(500, NULL));
    assert_true(dmheap_ctx_set_leak_policy(ctx, DMHEAP_LEAK_SUMMARY));
    test_port_on_unlock(unregister_it, name);
    assert_null(dmheap_realloc(ptr, 2000, NULL));
    expect_lines(1, 0, 1); /* realloc's, since the owner went */
    verify(ctx);
    assert_int_equal(modules(), 0);
}

/* From the port's lock, after so many holds: as another thread does. */
static unsigned holds_left;

static void act_after(void* context)
{
    (void)context;
    if (holds_left != 0 && --holds_left == 0) {
        act_once();
    }
}

static void at_hold(unsigned hold, void (*act)(void))
{
    holds_left = hold;
    told.act = act;
    test_port_on_unlock(act_after, NULL);
}

static void register_anew(void)
{
    assert_non_null(dmheap_ctx_malloc(told.ctx, 1000, "app"));
}

/* The name is taken away once: one that takes it meanwhile is another module. */
static void a_new_module_of_that_name_is_not_told_of(void** state)
{
    (void)state;
    for (unsigned hold = 1; hold < 20; hold++) {
        told.ctx = open_heap(8 * KIB);
        assert_true(dmheap_ctx_set_leak_policy(NULL, DMHEAP_LEAK_BLOCKS));
        assert_true(dmheap_ctx_set_death_hook(NULL, note_death, &told));
        const size_t bytes = spread(told.ctx, 3);
        told.calls = 0;
        at_hold(hold, register_anew);
        dmheap_unregister_module("app");
        test_port_on_unlock(NULL, NULL);
        expect_lines(0, 4, 1);
        assert_int_equal(told.calls, 1);
        assert_int_equal(told.death[0].bytes, bytes);
        assert_int_equal(told.death[0].blocks, 3);
        verify(told.ctx);
        if (told.act == NULL) {
            struct dmheap_module_stats stats;
            assert_true(dmheap_ctx_get_module_stats(NULL, "app", &stats));
            assert_int_equal(stats.blocks, 1);
        }
        told.act = NULL;
        release_heaps();
    }
}

static void what_is_freed_meanwhile_is_told_or_not(void** state)
{
    (void)state;
    for (unsigned hold = 1; hold < 20; hold++) {
        struct dmheap_ctx* ctx = open_heap(8 * KIB);
        assert_true(dmheap_ctx_set_leak_policy(NULL, DMHEAP_LEAK_BLOCKS));
        assert_non_null(dmheap_malloc(100, "app"));
        assert_non_null(dmheap_malloc(100, NULL));
        told.ptr = dmheap_malloc(100, "app");
        assert_non_null(dmheap_malloc(100, NULL));
        assert_non_null(dmheap_malloc(100, "app"));
        assert_non_null(dmheap_malloc(100, NULL));
        at_hold(hold, free_ptr);
        dmheap_unregister_module("app");
        test_port_on_unlock(NULL, NULL);
        const size_t warnings = test_port_lines_of(TEST_WARN);
        assert_true(warnings == 3 || warnings == 4);
        test_port_forget_lines();
        verify(ctx);
        assert_int_equal(modules(), 0);
        assert_int_equal(heap_client_blocks(), 3);
        told.act = NULL;
        release_heaps();
    }
}

static void telling_ends_with_its_heap(void** state)
{
    (void)state;
    for (unsigned hold = 1; hold < 20; hold++) {
        struct dmheap_ctx* other = make_default(4 * KIB);
        told.ctx = make_default(4 * KIB);
        for (unsigned i = 0; i < 2; i++) {
            struct dmheap_ctx* ctx = i == 0 ? told.ctx : other;
            set_all(ctx, DMHEAP_LEAK_BLOCKS);
            (void)spread(ctx, 3);
        }
        told.calls = 0;
        at_hold(hold, tear_down);
        dmheap_unregister_module("app");
        test_port_on_unlock(NULL, NULL);
        assert_int_equal(test_port_lines_of(TEST_ERROR), 0);
        assert_int_equal(test_port_lines_of(TEST_INFO), 1);
        test_port_forget_lines();
        const bool is_gone = !dmheap_ctx_is_initialized(told.ctx);
        assert_true(is_gone == (told.act == NULL));
        assert_true(told.calls >= 1 && told.calls <= 2);
        assert_ptr_equal(told.death[0].ctx, other);
        assert_int_equal(told.death[0].blocks, 3);
        assert_true(told.calls == 1 || told.death[1].ctx == told.ctx);
        verify(other);
        told.act = NULL;
        assert_true(dmheap_ctx_deinit(other) && (is_gone || dmheap_ctx_deinit(told.ctx)));
        release_heaps();
    }
}

static void telling_holds_the_lock_for_short(void** state)
{
    (void)state;
    heap_open(MIB, 8);
    assert_true(dmheap_ctx_set_leak_policy(NULL, DMHEAP_LEAK_SUMMARY));
    for (unsigned i = 0; i < 3000; i++) {
        assert_non_null(dmheap_malloc(100, "app"));
        assert_non_null(dmheap_malloc(100, NULL));
    }
    dmheap_free(dmheap_malloc(600 * 100, NULL), false);
    (void)test_port_reset();
    dmheap_unregister_module("app");
    expect_lines(0, 1, 1);
    assert_true(test_port_holds() > 6000);
    assert_true(test_port_longest_hold() <= 1200); /* a slice of the sweep */
}

/* ---- the death hook --------------------------------------------------------------------- */

static void look_at_the_dead(void)
{
    struct dmheap_module_stats stats;
    assert_int_equal(test_port_lines(), 2); /* the summary and the unregistration are written */
    assert_true(dmheap_ctx_get_module_stats(NULL, "app", &stats));
    assert_int_equal(stats.blocks, 0);
    for (unsigned i = 0; i < 2; i++) {
        verify(dmheap_ctx_get_default(i));
        assert_int_equal(modules(), 0);
    }
}

static void the_hook_is_called_when_the_module_is_gone_from_all_heaps(void** state)
{
    (void)state;
    struct dmheap_ctx* heap[2] = {make_default(4 * KIB), make_default(4 * KIB)};
    void* ptr[2];
    for (unsigned i = 0; i < 2; i++) {
        assert_true(dmheap_ctx_set_death_hook(heap[i], note_death, &told));
        ptr[i] = dmheap_ctx_malloc(heap[i], 100 * (i + 1), "app");
    }
    assert_true(dmheap_ctx_set_leak_policy(heap[1], DMHEAP_LEAK_SUMMARY));
    assert_non_null(dmheap_ctx_malloc(heap[1], 10, NULL));
    const size_t size[2] = {(size_t)block_size(block_of(ptr[0])),
                            (size_t)block_size(block_of(ptr[1]))};
    told.act = look_at_the_dead;
    dmheap_unregister_module("app");
    assert_int_equal(told.calls, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_string_equal(told.name[i], "app");
        assert_ptr_equal(told.death[i].ctx, heap[i]);
        assert_int_equal(told.death[i].blocks, 1);
        assert_int_equal(told.death[i].bytes, size[i]);
    }
    /* Of one that holds nothing as well; not of one that nobody knows. */
    assert_true(dmheap_ctx_register_module(heap[1], "web"));
    dmheap_unregister_module("web");
    dmheap_unregister_module("unknown");
    assert_int_equal(told.calls, 3);
    assert_int_equal(told.death[2].blocks + told.death[2].bytes, 0);
    assert_true(dmheap_ctx_set_death_hook(heap[0], NULL, NULL));
    assert_non_null(dmheap_ctx_malloc(heap[0], 10, "app"));
    dmheap_unregister_module("app");
    assert_non_null(dmheap_ctx_malloc(heap[1], 10, "app"));
    assert_true(dmheap_ctx_deinit(heap[1])); /* that is no death */
    assert_int_equal(told.calls, 3);
}

static void unregister_next(void)
{
    dmheap_unregister_module("web");
}

static void hook_away(void)
{
    assert_true(dmheap_ctx_set_death_hook(told.ctx, NULL, NULL));
    assert_true(dmheap_ctx_set_failure_hook(told.ctx, NULL, NULL));
}

static void hook_anew(void)
{
    set_all(told.ctx, DMHEAP_LEAK_KEEP);
}

static void a_death_hook_may_call_anything(void** state)
{
    (void)state;
    void (*const acts[])(void) = {register_anew, unregister_next, tear_down, hook_away};
    for (size_t i = 0; i < COUNT_OF(acts); i++) {
        told.ctx = open_heap(4 * KIB);
        assert_true(dmheap_ctx_set_death_hook(NULL, note_death, &told));
        assert_non_null(dmheap_malloc(10, "app"));
        assert_non_null(dmheap_malloc(10, "web"));
        told.calls = 0;
        told.act = acts[i];
        dmheap_unregister_module("app");
        assert_int_equal(told.calls, acts[i] == unregister_next ? 2 : 1);
        test_port_forget_lines();
        if (acts[i] != tear_down) {
            verify(told.ctx);
            assert_int_equal(modules(), acts[i] == register_anew ? 2 : acts[i] == hook_away);
        }
        release_heaps();
    }
}

/* Taken away or set anew while the module goes: not called. The last holds are the hook's own. */
static void a_hook_counts_from_the_moment_the_name_goes(void** state)
{
    (void)state;
    told.ctx = open_heap(4 * KIB);
    assert_non_null(dmheap_malloc(10, "app"));
    at_hold(1, hook_anew);
    dmheap_unregister_module("app");
    assert_null(told.act);
    assert_int_equal(told.calls, 0);
    expect_info(); /* and that policy came too late as well */
    assert_true(dmheap_ctx_set_leak_policy(NULL, DMHEAP_LEAK_SILENT));
    assert_non_null(dmheap_malloc(10, "app"));
    at_hold(2, hook_away);
    dmheap_unregister_module("app");
    assert_null(told.act);
    assert_int_equal(told.calls, 0);
}

/* ---- the failure hook ------------------------------------------------------------------- */

/* Every request that needs memory, by the nine and by the family. */
static struct {
    struct dmheap_ctx* asked; /* of the family: a context, or NULL */
    struct dmheap_ctx* ctx;
    struct dmheap_module module;
    void* block; /* of "app", 100 bytes */
    void* ballast;
    const char* long_name;
} scene;

/* A full heap, where freeing `ballast` makes room again. */
static void set_scene(struct dmheap_ctx* ctx, struct dmheap_ctx* asked)
{
    scene.ctx = ctx;
    scene.asked = asked;
    scene.long_name = long_name(63, 'x');
    told.calls = 0;
    scene.block = dmheap_ctx_malloc(ctx, 100, "app");
    assert_true(dmheap_ctx_open_module(ctx, "app", &scene.module));
    scene.ballast = dmheap_ctx_malloc(ctx, 2000, NULL);
    assert_non_null(scene.ballast);
    fill(scene.block, 100, 1);
    fill_up(ctx);
    assert_true(dmheap_ctx_set_failure_hook(ctx, note_failure, &told));
}

static void release_ballast(void)
{
    dmheap_ctx_free(scene.ctx, scene.ballast, false);
}

struct expectation {
    size_t size;
    size_t alignment;
    const char* name;
};

#define REQUESTS 20U

/* Request number `n`; was it served? */
static bool request_somehow(unsigned n)
{
    struct dmheap_ctx* const ctx = scene.asked;
    struct dmheap_module module;
    switch (n) {
    case 0:
        return dmheap_malloc(600, "app") != NULL;
    case 1:
        return dmheap_aligned_alloc(64, 600, NULL) != NULL;
    case 2:
        return dmheap_realloc(scene.block, 601, "ignored") != NULL;
    case 3:
        return dmheap_realloc(NULL, 602, "new") != NULL;
    case 4:
        return dmheap_register_module("new");
    case 5:
        return Dmod_RetagEx(scene.block, "new");
    case 6:
        return Dmod_RenameTag("app", scene.long_name);
    case 7:
        return dmheap_ctx_malloc(ctx, 600, NULL) != NULL;
    case 8:
        return dmheap_ctx_malloc(ctx, 600, "new") != NULL;
    case 9:
        return dmheap_ctx_aligned_alloc(ctx, 64, 600, "app") != NULL;
    case 10:
        return dmheap_ctx_realloc(ctx, scene.block, 601, NULL) != NULL;
    case 11:
        return dmheap_ctx_realloc(ctx, NULL, 602, NULL) != NULL;
    case 12:
        return dmheap_ctx_calloc(ctx, 6, 100, "app") != NULL;
    case 13:
        return dmheap_ctx_aligned_realloc(ctx, scene.block, 256, 100, NULL) != NULL;
    case 14:
        return dmheap_ctx_malloc_for(ctx, 600, scene.module) != NULL;
    case 15:
        return dmheap_ctx_aligned_alloc_for(ctx, 64, 600, scene.module) != NULL;
    case 16:
        return dmheap_ctx_retag(ctx, scene.block, "new");
    case 17:
        return dmheap_ctx_rename_module(ctx, "app", scene.long_name);
    case 18:
        return dmheap_ctx_register_module(ctx, "new");
    default:
        return dmheap_ctx_open_module(ctx, "new", &module);
    }
}

static const struct expectation expectations[REQUESTS] = {
    {600, 8, "app"},  {600, 64, ""}, {601, 8, "app"}, {602, 8, "new"},   {0, 8, "new"},
    {0, 8, "new"},    {0, 8, "app"}, {600, 8, ""},    {600, 8, "new"},   {600, 64, "app"},
    {601, 8, "app"},  {602, 8, ""},  {600, 8, "app"}, {100, 256, "app"}, {600, 8, "app"},
    {600, 64, "app"}, {0, 8, "new"}, {0, 8, "app"},   {0, 8, "new"},     {0, 8, "new"},
};

static bool is_registration(unsigned n)
{
    return n == 4 || n == 18;
}

static void expect_told(unsigned n)
{
    const struct dmheap_failure* failure = &told.failure[0];
    assert_int_equal(told.calls, 1);
    assert_ptr_equal(failure->ctx, scene.ctx);
    assert_int_equal(failure->reason, DMHEAP_REASON_NO_MEMORY);
    assert_int_equal(failure->size, expectations[n].size);
    assert_int_equal(failure->alignment, expectations[n].alignment);
    assert_string_equal(told.name[0], expectations[n].name);
    assert_int_equal(failure->calls, 1);
    told.calls = 0;
}

/* By NULL and by its context; false: whatever it did, true: without having done anything. */
static void a_request_that_no_hook_helps_fails_with_one_line(void** state)
{
    (void)state;
    for (unsigned n = 0; n < REQUESTS; n++) {
        for (unsigned round = 0; round < 4; round++) {
            struct dmheap_ctx* ctx = open_heap(4 * KIB);
            set_scene(ctx, round % 2 == 0 ? NULL : ctx);
            told.answer = round >= 2;
            assert_false(request_somehow(n));
            expect_error();
            expect_told(n);
            verify(ctx);
            assert_true(is_filled(scene.block, 100, 1));
            assert_string_equal(heap_owner_name(scene.block), "app");
            assert_int_equal(modules(), 1);
            release_heaps();
        }
    }
}

static void a_request_that_a_hook_helps_is_served(void** state)
{
    (void)state;
    for (unsigned n = 0; n < REQUESTS; n++) {
        for (unsigned round = 0; round < 4; round++) {
            struct dmheap_ctx* ctx = open_heap(4 * KIB);
            set_scene(ctx, round % 2 == 0 ? NULL : ctx);
            told.answer = round < 2;
            told.act = release_ballast;
            assert_int_equal(request_somehow(n), told.answer);
            expect_lines(!told.answer, 0, told.answer && is_registration(n));
            expect_told(n);
            verify(ctx);
            release_heaps();
        }
    }
}

static void a_request_that_is_served_asks_nobody(void** state)
{
    (void)state;
    for (unsigned n = 0; n < REQUESTS; n++) {
        struct dmheap_ctx* ctx = open_heap(4 * KIB);
        set_scene(ctx, NULL);
        release_ballast();
        assert_true(request_somehow(n));
        assert_int_equal(told.calls, 0);
        test_port_forget_lines();
        release_heaps();
    }
}

static void a_registration_that_another_heap_serves_asks_nobody(void** state)
{
    (void)state;
    struct dmheap_module module;
    struct dmheap_ctx* first = make_default(4 * KIB);
    fill_up(first);
    assert_true(dmheap_ctx_set_failure_hook(first, note_failure, &told));
    (void)make_default(4 * KIB);
    assert_true(dmheap_register_module("new"));
    expect_info();
    assert_true(dmheap_ctx_open_module(NULL, "newer", &module));
    expect_silence();
    assert_int_equal(told.calls, 0);
}

static void what_is_asked_wrongly_asks_nobody(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    const char* const too_long = long_name(64, 'x');
    struct dmheap_module module = {3, 1};
    set_scene(ctx, ctx);
    told.answer = true;
    char* const bad = (char*)scene.block + 8;
    assert_null(dmheap_malloc(100, too_long));
    expect_error();
    assert_null(dmheap_ctx_calloc(ctx, 1, 100, too_long));
    expect_error();
    assert_null(dmheap_ctx_calloc(ctx, SIZE_MAX / 2, 3, NULL));
    expect_error();
    assert_null(dmheap_aligned_alloc(3, 100, NULL));
    expect_error();
    assert_null(dmheap_ctx_aligned_realloc(ctx, scene.block, 3, 100, NULL));
    expect_error();
    assert_null(dmheap_realloc(bad, 1000, NULL));
    expect_error();
    assert_false(dmheap_ctx_retag(ctx, bad, "new"));
    expect_error();
    assert_false(dmheap_ctx_retag(ctx, scene.block, too_long));
    expect_error();
    assert_false(dmheap_register_module(too_long));
    expect_error();
    assert_false(dmheap_register_module(""));
    expect_error();
    assert_false(dmheap_ctx_open_module(ctx, too_long, &module));
    expect_error();
    assert_null(dmheap_ctx_malloc_for(ctx, 1000, module));
    expect_error();
    assert_false(dmheap_ctx_rename_module(ctx, "app", too_long));
    expect_error();
    assert_false(dmheap_ctx_rename_module(ctx, "unknown", "new"));
    expect_error();
    dmheap_free(bad, false);
    expect_error();
    assert_true(dmheap_ctx_deinit(ctx));
    assert_null(dmheap_ctx_malloc(ctx, 10, NULL));
    expect_error();
    assert_int_equal(told.calls, 0);
}

static void want_of_ids_asks_nobody(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(MIB);
    assert_true(dmheap_ctx_set_failure_hook(ctx, note_failure, &told));
    unsigned count = 0;
    while (dmheap_register_module(numbered_name(count))) {
        count++;
    }
    assert_int_equal(count, DMHEAP_HEADER_BYTES == 4 ? 252 : 4092);
    assert_int_equal(test_port_lines_of(TEST_ERROR), 1);
    assert_int_equal(told.calls, 0);
    test_port_forget_lines();
}

static void release_second(void)
{
    dmheap_free(told.ptr, false);
    told.answer = true;
}

static void hooks_are_asked_in_order_until_one_helps(void** state)
{
    (void)state;
    struct dmheap_ctx* heap[4];
    for (unsigned i = 0; i < 4; i++) {
        heap[i] = make_default(2 * KIB);
        void* ptr = dmheap_ctx_malloc(heap[i], 1000, NULL);
        told.ptr = i == 3 ? ptr : NULL;
        fill_up(heap[i]);
        if (i != 1) { /* the second has no hook */
            assert_true(dmheap_ctx_set_failure_hook(heap[i], note_failure, &told));
        }
    }
    assert_null(dmheap_malloc(500, "app"));
    expect_error();
    assert_int_equal(told.calls, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_ptr_equal(told.failure[i].ctx, heap[i == 0 ? 0 : i + 1]);
        assert_int_equal(told.failure[i].calls, 1);
    }
    /* The first one helps, though what it frees is in the last heap: the whole request is retried. */
    told.calls = 0;
    told.act = release_second;
    const void* const ptr = dmheap_malloc(500, "app");
    assert_true(is_in(ptr, heap[3]));
    assert_int_equal(told.calls, 1);
    expect_silence();
    /* It says so again, wrongly: nobody else is asked. */
    assert_null(dmheap_malloc(800, "app"));
    assert_int_equal(told.calls, 2);
    expect_error();
    /* A heap that is named is asked alone. */
    assert_null(dmheap_ctx_malloc(heap[2], 500, "app"));
    assert_int_equal(told.calls, 3);
    assert_ptr_equal(told.failure[2].ctx, heap[2]);
    expect_error();
}

static void free_block(void)
{
    dmheap_free(scene.block, false);
}

static void unregister_app(void)
{
    dmheap_unregister_module("app");
    test_port_forget_lines();
}

static void a_block_that_went_meanwhile_is_a_bad_pointer(void** state)
{
    (void)state;
    static const unsigned requests[] = {2, 5, 10, 13, 16};
    for (unsigned i = 0; i < 2 * COUNT_OF(requests); i++) {
        struct dmheap_ctx* ctx = open_heap(4 * KIB);
        set_scene(ctx, NULL);
        told.answer = true;
        told.act = i % 2 == 0 ? free_block : unregister_app;
        assert_false(request_somehow(requests[i / 2]));
        assert_non_null(strstr(test_port_text(0), "no live block"));
        expect_error();
        assert_int_equal(told.calls, 1);
        verify(ctx);
        release_heaps();
    }
}

static void the_module_may_go_meanwhile(void** state)
{
    (void)state;
    for (unsigned n = 0; n < REQUESTS; n++) {
        struct dmheap_ctx* ctx = open_heap(4 * KIB);
        set_scene(ctx, NULL);
        assert_true(dmheap_ctx_retag(ctx, scene.ballast, "app")); /* so that there is room then */
        told.answer = true;
        told.act = unregister_app;
        const bool needs_it = expectations[n].size == 601 || expectations[n].alignment == 256 ||
                              n == 5 || n == 6 || (n >= 14 && n <= 17);
        assert_int_equal(request_somehow(n), !needs_it);
        expect_lines(needs_it, 0, is_registration(n));
        verify(ctx);
        release_heaps();
    }
}

static void the_heap_may_go_meanwhile(void** state)
{
    (void)state;
    for (unsigned n = 0; n < REQUESTS; n++) {
        struct dmheap_ctx* ctx = open_heap(4 * KIB);
        set_scene(ctx, n % 2 == 0 ? NULL : ctx);
        told.ctx = ctx;
        told.answer = true;
        told.act = tear_down;
        assert_false(request_somehow(n));
        expect_error();
        assert_int_equal(told.calls, 1);
        told.calls = 0;
        release_heaps();
    }
}

/* The text stood in the ballast. */
static void the_text_of_a_name_may_go_meanwhile(void** state)
{
    (void)state;
    for (unsigned call = 0; call < 6; call++) {
        struct dmheap_ctx* ctx = open_heap(4 * KIB);
        set_scene(ctx, NULL);
        char* const text = scene.ballast;
        char* const other = text + 200;
        strcpy(text, call == 4 ? "app" : "named in the heap");
        strcpy(other, scene.long_name);
        told.answer = true;
        told.act = release_ballast;
        struct dmheap_module module;
        bool is_served;
        switch (call) {
        case 0:
            is_served = dmheap_malloc(1800, text) != NULL;
            break;
        case 1:
            is_served = dmheap_ctx_calloc(NULL, 1, 1800, text) != NULL;
            break;
        case 2:
            is_served = dmheap_register_module(text);
            assert_non_null(strstr(test_port_text(0), "named in the heap"));
            break;
        case 3:
            is_served = dmheap_ctx_retag(NULL, scene.block, text);
            break;
        case 4:
            is_served = dmheap_ctx_rename_module(NULL, text, other);
            break;
        default:
            is_served = dmheap_ctx_open_module(NULL, text, &module);
            break;
        }
        assert_true(is_served);
        test_port_forget_lines();
        assert_true(dmheap_register_module(call == 4 ? scene.long_name : "named in the heap"));
        expect_warning();
        verify(ctx);
        release_heaps();
    }
}

/* Requests from inside a hook. */
static unsigned deepest;

static bool ask_again(const struct dmheap_failure* failure, void* context)
{
    unsigned* depth = context;
    ++*depth;
    assert_int_equal(failure->calls, *depth);
    deepest = *depth > deepest ? *depth : deepest;
    assert_null(dmheap_malloc(64 * KIB, "hook"));
    assert_null(dmheap_malloc(64 * KIB, NULL));
    --*depth;
    return true;
}

static bool ask_no_more(const struct dmheap_failure* failure, void* context)
{
    ++*(unsigned*)context;
    if (failure->calls > 1) {
        return false;
    }
    assert_null(dmheap_malloc(64 * KIB, "hook"));
    assert_null(dmheap_realloc(scene.block, 64 * KIB, "hook"));
    return false;
}

static void a_hook_in_a_hook_ends(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    scene.block = dmheap_malloc(10, NULL);
    for (unsigned round = 0; round < 2; round++) { /* and all is counted back */
        unsigned depth = 0;
        deepest = 0;
        assert_true(dmheap_ctx_set_failure_hook(ctx, ask_again, &depth));
        assert_null(dmheap_malloc(64 * KIB, "app"));
        assert_int_equal(deepest, DMHEAP_FAILURE_CALLS_MAX);
        assert_int_equal(depth, 0);
        test_port_forget_lines();
    }
    unsigned calls = 0;
    assert_true(dmheap_ctx_set_failure_hook(ctx, ask_no_more, &calls));
    assert_null(dmheap_malloc(64 * KIB, "app"));
    assert_int_equal(calls, 3);
    assert_int_equal(test_port_lines_of(TEST_ERROR), 3);
    test_port_forget_lines();
}

/* The entry of the heap that goes is another one's when the hook returns. */
static void replace_heap(void)
{
    unsigned char* const buffer = (unsigned char*)told.ctx;
    assert_true(dmheap_ctx_deinit(told.ctx));
    assert_ptr_equal(dmheap_ctx_init(buffer, 4 * KIB, 8), told.ctx);
    assert_true(dmheap_ctx_set_failure_hook(told.ctx, note_failure, &told));
    assert_null(dmheap_ctx_malloc(told.ctx, 64 * KIB, NULL));
    test_port_forget_lines();
}

static void calls_are_counted_right_though_the_heap_goes(void** state)
{
    (void)state;
    told.ctx = make(4 * KIB);
    assert_true(dmheap_ctx_set_failure_hook(told.ctx, note_failure, &told));
    told.act = replace_heap;
    assert_null(dmheap_ctx_malloc(told.ctx, 64 * KIB, NULL));
    expect_error();
    assert_int_equal(told.calls, 2);
    assert_int_equal(told.failure[0].calls, 1);
    assert_int_equal(told.failure[1].calls, 1);
    assert_null(dmheap_ctx_malloc(told.ctx, 64 * KIB, NULL));
    expect_error();
    assert_int_equal(told.failure[2].calls, 1);
}

static void a_hook_may_be_taken_away_inside_it(void** state)
{
    (void)state;
    told.ctx = open_heap(4 * KIB);
    assert_true(dmheap_ctx_set_failure_hook(NULL, note_failure, &told));
    told.act = hook_away;
    told.answer = true;
    for (unsigned i = 0; i < 2; i++) {
        assert_null(dmheap_malloc(64 * KIB, NULL));
        expect_error();
    }
    assert_int_equal(told.calls, 1);
    assert_true(dmheap_ctx_set_failure_hook(NULL, note_failure, &told));
    assert_null(dmheap_malloc(64 * KIB, NULL));
    expect_error();
    assert_int_equal(told.failure[1].calls, 1); /* that call was counted back */
}

static void a_hook_that_is_taken_away_in_time_is_not_called(void** state)
{
    (void)state;
    told.ctx = open_heap(4 * KIB);
    assert_true(dmheap_ctx_set_failure_hook(NULL, note_failure, &told));
    at_hold(1, hook_away); /* after the attempt, before the call */
    assert_null(dmheap_malloc(64 * KIB, NULL));
    assert_null(told.act);
    expect_error();
    assert_int_equal(told.calls, 0);
}

static void a_hook_that_is_taken_away_in_time_keeps_nobody_from_being_asked(void** state)
{
    (void)state;
    told.ctx = make_default(4 * KIB);
    struct dmheap_ctx* second = make_default(4 * KIB);
    assert_true(dmheap_ctx_set_failure_hook(told.ctx, note_failure, &told));
    assert_true(dmheap_ctx_set_failure_hook(second, note_failure, &told));
    at_hold(1, hook_away);
    assert_null(dmheap_malloc(64 * KIB, NULL));
    expect_error();
    assert_int_equal(told.calls, 1);
    assert_ptr_equal(told.failure[0].ctx, second);
}

static void register_new(void)
{
    release_ballast();
    assert_true(dmheap_register_module("new"));
    expect_info();
}

static void a_module_that_the_hook_made_known_is_known(void** state)
{
    (void)state;
    static const unsigned requests[] = {4, 18, 19};
    for (unsigned i = 0; i < COUNT_OF(requests); i++) {
        struct dmheap_ctx* ctx = open_heap(4 * KIB);
        set_scene(ctx, NULL);
        told.answer = true;
        told.act = register_new;
        assert_true(request_somehow(requests[i]));
        expect_lines(0, is_registration(requests[i]), 0);
        verify(ctx);
        release_heaps();
    }
}

/* What the request before was told of is not told again. */
static void the_owner_of_a_block_that_was_written_over_is_not_told(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    set_scene(ctx, NULL);
    assert_null(dmheap_ctx_aligned_realloc(ctx, scene.block, 256, SIZE_MAX, NULL));
    heap_overrun(block_of(scene.block));
    assert_null(dmheap_ctx_aligned_realloc(ctx, scene.block, 256, SIZE_MAX, NULL));
    heap_overrun(block_of(scene.block));
    expect_lines(2, 0, 0);
    assert_int_equal(told.calls, 2);
    assert_string_equal(told.name[0], "app");
    assert_string_equal(told.name[1], "");
    verify(ctx);
}

/* Damage that the first attempt met is told, though the second one served. */
static void damage_is_told_though_a_hook_helped(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(8 * KIB);
    char* hole = dmheap_malloc(1000, NULL);
    set_scene(ctx, NULL);
    dmheap_free(hole, false);
    block_of(hole)->header += DMHEAP_WORD_BYTES;
    told.answer = true;
    told.act = release_ballast;
    assert_non_null(dmheap_malloc(700, NULL));
    assert_non_null(strstr(test_port_text(0), "written over"));
    expect_error();
    assert_int_equal(told.calls, 1);
}

/* ---- the walk over modules ----------------------------------------------------------------- */

struct seen {
    unsigned count;
    unsigned most; /* then the visitor ends the walk */
    uint32_t last_id;
    size_t blocks;
};

static bool see_module(const struct dmheap_module_info* info, void* context)
{
    struct seen* seen = context;
    char name[DMHEAP_NAME_BYTES];
    assert_false(test_port_is_held());
    assert_true(info->module.id > seen->last_id);
    seen->last_id = info->module.id;
    seen->count++;
    seen->blocks += info->blocks;
    /* The handle is that module's, in that heap. */
    void* ptr = dmheap_ctx_malloc_for(info->ctx, 10, info->module);
    assert_true(dmheap_ctx_owner_of(info->ctx, ptr, name));
    assert_string_equal(name, info->module_name);
    dmheap_ctx_free(info->ctx, ptr, false);
    return seen->count != seen->most;
}

static bool count_module(const struct dmheap_module_info* info, void* context)
{
    (void)info;
    ++*(unsigned*)context;
    return true;
}

static void all_modules_are_visited(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(64 * KIB);
    struct seen seen = {0, 0, 0, 0};
    assert_true(dmheap_ctx_walk_modules(ctx, see_module, &seen));
    assert_int_equal(seen.count, 0);
    for (unsigned i = 0; i < 200; i++) {
        assert_true(dmheap_register_module(numbered_name(i)));
        assert_non_null(dmheap_malloc(10, i % 3 == 0 ? numbered_name(i) : NULL));
    }
    for (unsigned i = 0; i < 200; i += 2) {
        dmheap_unregister_module(numbered_name(i));
    }
    test_port_forget_lines();
    assert_true(dmheap_ctx_walk_modules(NULL, see_module, &seen));
    assert_int_equal(seen.count, 100);
    assert_int_equal(seen.blocks, 33);
    for (unsigned most = 1; most < 5; most++) {
        const struct seen none = {0, most, 0, 0};
        seen = none;
        assert_false(dmheap_ctx_walk_modules(ctx, see_module, &seen));
        assert_int_equal(seen.count, most);
    }
    expect_silence();
}

/* A group of ids goes with the last of its modules; those of the groups behind it stay. */
static void modules_behind_a_group_that_went_are_visited(void** state)
{
    (void)state;
    (void)open_heap(64 * KIB);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(dmheap_register_module(numbered_name(i)));
    }
    for (unsigned i = 0; i < 15; i++) {
        dmheap_unregister_module(numbered_name(i));
    }
    test_port_forget_lines();
    struct seen seen = {0, 0, 0, 0};
    assert_true(dmheap_ctx_walk_modules(NULL, see_module, &seen));
    assert_int_equal(seen.count, 5);
}

static void modules_of_several_heaps_are_visited_in_each(void** state)
{
    (void)state;
    struct dmheap_ctx* heap[2] = {make_default(4 * KIB), make_default(4 * KIB)};
    const char* const names[] = {"app", "web", "app"};
    for (unsigned i = 0; i < 3; i++) {
        assert_non_null(dmheap_ctx_malloc(heap[i / 2], 10, names[i]));
    }
    struct seen seen = {0, 0, 0, 0};
    assert_true(dmheap_ctx_walk_modules(heap[0], see_module, &seen));
    assert_int_equal(seen.count, 2);
    seen.last_id = 0;
    assert_true(dmheap_ctx_walk_modules(heap[1], see_module, &seen));
    assert_int_equal(seen.count, 3);
    unsigned count = 0;
    assert_true(dmheap_ctx_walk_modules(NULL, count_module, &count));
    assert_int_equal(count, 3);
}

static bool end_heap(const struct dmheap_module_info* info, void* context)
{
    ++*(unsigned*)context;
    assert_true(dmheap_ctx_deinit(info->ctx));
    return true;
}

static void a_walk_over_modules_ends_with_its_heap(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    unsigned count = 0;
    assert_true(dmheap_register_module("app") && dmheap_register_module("web"));
    test_port_forget_lines();
    assert_false(dmheap_ctx_walk_modules(NULL, end_heap, &count));
    assert_int_equal(count, 1);
    expect_silence();
    assert_false(dmheap_ctx_walk_modules(NULL, end_heap, &count));
    expect_error();
    assert_false(dmheap_ctx_walk_modules(ctx, end_heap, &count));
    expect_error();
}

/* Modules come, go and are renamed between the steps: those that stay are visited once. */
static bool see_those_that_stay(const struct dmheap_module_info* info, void* context)
{
    *(unsigned*)context += strncmp(info->module_name, "stays", 5) == 0;
    for (unsigned i = 0; i < 4; i++) {
        const char* name = numbered_name(dice(40));
        if (dice(2) == 0) {
            dmheap_unregister_module(name);
        } else {
            (void)dmheap_malloc(dice(50), name);
        }
    }
    char old_name[16];
    char new_name[16];
    const unsigned number = dice(20);
    (void)snprintf(old_name, sizeof(old_name), "stays%u", number);
    (void)snprintf(new_name, sizeof(new_name), "stays%u.", number);
    (void)(dmheap_ctx_rename_module(NULL, old_name, new_name) ||
           dmheap_ctx_rename_module(NULL, new_name, old_name));
    test_port_forget_lines();
    return true;
}

static void modules_that_stay_are_visited_once(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 20; round++) {
        struct dmheap_ctx* ctx = open_heap(32 * KIB);
        for (unsigned i = 0; i < 20; i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "stays%u", i);
            (void)dmheap_malloc(10, numbered_name(dice(40)));
            assert_true(dmheap_register_module(name));
        }
        test_port_forget_lines();
        unsigned count = 0;
        assert_true(dmheap_ctx_walk_modules(NULL, see_those_that_stay, &count));
        assert_int_equal(count, 20);
        verify(ctx);
        release_heaps();
    }
}

static unsigned named;

static void count_while_it_goes(void)
{
    assert_true(dmheap_ctx_walk_modules(NULL, count_module, &named));
}

static void one_that_is_being_unregistered_is_not_visited(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(4 * KIB);
    (void)spread(ctx, 4);
    at_hold(1, count_while_it_goes);
    dmheap_unregister_module("app");
    assert_null(told.act);
    assert_int_equal(named, 1); /* the other one */
}

/* Ids in use by the last modules of many only; and memory that was written to before. */
static void a_step_over_modules_is_short(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = open_heap(MIB);
    const unsigned most = DMHEAP_HEADER_BYTES == 4 ? 252 : 4092;
    for (unsigned i = 0; i < most; i++) {
        assert_true(dmheap_register_module(numbered_name(i)));
    }
    for (unsigned i = 0; i + 1 < most; i++) {
        dmheap_unregister_module(numbered_name(i));
    }
    (void)test_port_reset();
    unsigned count = 0;
    assert_true(dmheap_ctx_walk_modules(ctx, count_module, &count));
    assert_int_equal(count, 1);
    assert_true(test_port_holds() >= most * 3 / 4 / 32); /* the last group, with its free slots */
    assert_true(test_port_longest_hold() <= 32 * 8);
}

/* ---- random calls ----------------------------------------------------------------------------- */

#define HEAPS  3U
#define BLOCKS 60U

static struct {
    struct dmheap_ctx* heap[HEAPS];
    unsigned char* buffer[HEAPS];
    void* block[BLOCKS];
    unsigned depth;
} wild;

static const char* wild_name(void)
{
    static const char* const names[] = {NULL, "app", "web", "a rather long name of a module"};
    return names[dice(COUNT_OF(names))];
}

static void wild_step(void);

/* What a hook does: anything. */
static void run_wild(void)
{
    if (wild.depth < 3) {
        wild.depth++;
        for (unsigned i = dice(3); i != 0; i--) {
            wild_step();
        }
        wild.depth--;
    }
}

static bool wild_failure(const struct dmheap_failure* failure, void* context)
{
    (void)context;
    assert_false(test_port_is_held());
    assert_true(failure->calls >= 1 && failure->calls <= DMHEAP_FAILURE_CALLS_MAX);
    assert_true(strlen(failure->module_name) < DMHEAP_NAME_BYTES);
    run_wild();
    return dice(3) != 0;
}

static void wild_death(const struct dmheap_death* death, void* context)
{
    (void)context;
    assert_false(test_port_is_held());
    assert_true((death->bytes == 0) == (death->blocks == 0));
    run_wild();
}

static bool is_there(unsigned h)
{
    return wild.heap[h] != NULL && dmheap_ctx_is_initialized(wild.heap[h]);
}

static void wild_replace(unsigned h)
{
    if (is_there(h)) {
        assert_true(dmheap_ctx_deinit(wild.heap[h]));
        return;
    }
    wild.heap[h] = dmheap_ctx_init(wild.buffer[h], 2 * KIB, 8);
    assert_true(dmheap_ctx_add_default(wild.heap[h]));
}

/* Blocks go with their module or heap, or by a hook: what is not live any more is refused. */
static void wild_step(void)
{
    struct dmheap_ctx* ctx = dice(3) != 0 ? NULL : wild.heap[dice(HEAPS)];
    void** const block = &wild.block[dice(BLOCKS)];
    struct dmheap_module module;
    unsigned count = 0;
    switch (dice(60)) {
    case 0:
        if (wild.depth != 0 || dice(4) == 0) {
            wild_replace(dice(HEAPS));
        }
        break;
    case 1:
        (void)dmheap_ctx_set_leak_policy(ctx, (enum dmheap_leak_policy)dice(4));
        break;
    case 2:
        (void)dmheap_ctx_set_death_hook(ctx, dice(4) != 0 ? wild_death : NULL, NULL);
        break;
    case 3:
    case 4:
        (void)dmheap_ctx_set_failure_hook(ctx, dice(4) != 0 ? wild_failure : NULL, NULL);
        break;
    case 5:
        dmheap_ctx_unregister_module(ctx, wild_name());
        break;
    case 6:
        (void)dmheap_ctx_walk_modules(ctx, count_module, &count);
        break;
    case 7:
        (void)dmheap_ctx_rename_module(ctx, wild_name(), wild_name());
        break;
    case 8:
        (void)dmheap_ctx_retag(ctx, *block, wild_name());
        break;
    case 9:
        if (dmheap_ctx_open_module(ctx, wild_name(), &module)) {
            *block = dmheap_ctx_malloc_for(ctx, dice(300), module);
        }
        break;
    case 10:
        *block = dmheap_ctx_calloc(ctx, 1, dice(300), wild_name());
        break;
    default:
        if (*block == NULL) {
            *block = dice(2) != 0 ? dmheap_malloc(dice(300), wild_name())
                                  : dmheap_ctx_aligned_alloc(ctx, 64, dice(300), wild_name());
        } else if (dice(3) != 0) {
            void* const moved = dice(2) != 0
                                    ? dmheap_realloc(*block, dice(400), NULL)
                                    : dmheap_ctx_aligned_realloc(ctx, *block, 32, dice(400), NULL);
            *block = moved != NULL ? moved : *block;
        } else {
            dmheap_free(*block, false);
            *block = NULL;
        }
        break;
    }
}

static void hooks_may_do_anything(void** state)
{
    (void)state;
    random_begin();
    memset(&wild, 0, sizeof(wild));
    for (unsigned h = 0; h < HEAPS; h++) {
        wild.buffer[h] = arena_make(2 * KIB, 0);
        wild_replace(h);
    }
    for (unsigned step = 0; step < 30000; step++) {
        wild_step();
        assert_true(test_port_lines_of(TEST_ERROR) <= test_port_lines());
        test_port_forget_lines();
        for (unsigned h = 0; h < HEAPS; h++) {
            if (is_there(h)) {
                verify(wild.heap[h]);
            }
        }
    }
}

int main(int argc, char** argv)
{
    random_choose(argc, argv);
    const struct CMUnitTest first[] = {
        policy_case(something_may_be_set_before_any_heap_serves_by_default),
    };
    const struct CMUnitTest cases[] = {
        policy_case(hooks_may_do_anything),
        policy_case(modules_that_stay_are_visited_once),
        policy_case(what_cannot_be_set_is_refused),
        policy_case(null_is_the_first_heap_by_default),
        policy_case(what_is_set_goes_with_its_heap),
        policy_case(each_heap_has_its_own),
        policy_case(nothing_is_told_where_nothing_was_set),
        policy_case(a_summary_is_one_line),
        policy_case(each_block_is_a_line),
        policy_case(a_module_that_holds_nothing_is_no_line),
        policy_case(a_module_that_holds_memory_is_kept),
        policy_case(a_module_goes_in_all_heaps_or_in_none),
        policy_case(what_is_being_moved_is_held_but_not_told),
        policy_case(a_new_module_of_that_name_is_not_told_of),
        policy_case(what_is_freed_meanwhile_is_told_or_not),
        policy_case(telling_ends_with_its_heap),
        policy_case(telling_holds_the_lock_for_short),
        policy_case(the_hook_is_called_when_the_module_is_gone_from_all_heaps),
        policy_case(a_death_hook_may_call_anything),
        policy_case(a_hook_counts_from_the_moment_the_name_goes),
        policy_case(a_request_that_no_hook_helps_fails_with_one_line),
        policy_case(a_request_that_a_hook_helps_is_served),
        policy_case(a_request_that_is_served_asks_nobody),
        policy_case(a_registration_that_another_heap_serves_asks_nobody),
        policy_case(what_is_asked_wrongly_asks_nobody),
        policy_case(want_of_ids_asks_nobody),
        policy_case(hooks_are_asked_in_order_until_one_helps),
        policy_case(a_block_that_went_meanwhile_is_a_bad_pointer),
        policy_case(the_module_may_go_meanwhile),
        policy_case(the_heap_may_go_meanwhile),
        policy_case(the_text_of_a_name_may_go_meanwhile),
        policy_case(a_hook_in_a_hook_ends),
        policy_case(calls_are_counted_right_though_the_heap_goes),
        policy_case(a_hook_may_be_taken_away_inside_it),
        policy_case(a_hook_that_is_taken_away_in_time_is_not_called),
        policy_case(a_hook_that_is_taken_away_in_time_keeps_nobody_from_being_asked),
        policy_case(a_module_that_the_hook_made_known_is_known),
        policy_case(the_owner_of_a_block_that_was_written_over_is_not_told),
        policy_case(damage_is_told_though_a_hook_helped),
        policy_case(all_modules_are_visited),
        policy_case(modules_behind_a_group_that_went_are_visited),
        policy_case(modules_of_several_heaps_are_visited_in_each),
        policy_case(a_walk_over_modules_ends_with_its_heap),
        policy_case(one_that_is_being_unregistered_is_not_visited),
        policy_case(a_step_over_modules_is_short),
    };
    const struct CMUnitTest random[] = {cases[0], cases[1]};
    return argc > 1 ? cmocka_run_group_tests(random, NULL, NULL)
                    : cmocka_run_group_tests(first, NULL, NULL) +
                          cmocka_run_group_tests(cases, NULL, NULL);
}
