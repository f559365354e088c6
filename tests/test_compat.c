/* SPDX-License-Identifier: MIT */
/*
 * dmheap_compat.h, sentence by sentence. What it takes over from dmheap_ctx.h has its tests there;
 * that whole clients of either generation compile and run is for tests/clients.
 */
#define DMHEAP_COMPAT
#include "dmheap.h"

#include "port/test_port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define HEAPS      18
#define HEAP_BYTES ((size_t)4096)

static unsigned char memory[HEAPS][HEAP_BYTES];
static dmheap_context_t* made[HEAPS];

static int case_begin(void** state)
{
    (void)state;
    memset(made, 0, sizeof(made));
    (void)test_port_reset();
    return 0;
}

static int case_end(void** state)
{
    (void)state;
    for (unsigned i = 0; i < HEAPS; i++) {
        if (made[i] != NULL && dmheap_is_initialized(made[i])) {
            (void)dmheap_ctx_deinit(made[i]);
        }
    }
    return test_port_reset() ? 0 : -1;
}

#define compat_case(function) cmocka_unit_test_setup_teardown(function, case_begin, case_end)

static void check_lines(size_t errors, size_t all, int line)
{
    const bool is_as_expected =
        test_port_lines_of(TEST_ERROR) == errors && test_port_lines() == all;
    if (!is_as_expected) {
        print_error("logged: %u lines, the first one: \"%s\"\n", (unsigned)test_port_lines(),
                    test_port_text(0));
    }
    test_port_forget_lines();
    _assert_true(is_as_expected, "as many lines as expected", __FILE__, line);
}

#define expect_silence() check_lines(0, 0, __LINE__)
#define expect_error()   check_lines(1, 1, __LINE__)

/* Make heap number `i`. */
static dmheap_context_t* make(unsigned i)
{
    made[i] = dmheap_init(memory[i], HEAP_BYTES, 8);
    assert_non_null(made[i]);
    test_port_forget_lines();
    return made[i];
}

static bool is_in(const void* ptr, unsigned i)
{
    return (uintptr_t)ptr - (uintptr_t)memory[i] < HEAP_BYTES;
}

/* A value that is no heap. */
static dmheap_context_t* no_heap(void)
{
    return (dmheap_context_t*)(void*)memory[HEAPS - 1];
}

/* ---- heaps ----------------------------------------------------------------------------- */

static void the_first_heap_serves_by_default(void** state)
{
    (void)state;
    assert_false(dmheap_is_initialized(NULL));
    assert_null(dmheap_get_default_context());
    assert_null(dmheap_init(NULL, HEAP_BYTES, 8));
    expect_error();
    assert_null(dmheap_init(memory[0], HEAP_BYTES, 3));
    expect_error();
    dmheap_context_t* const first = make(0);
    dmheap_context_t* const second = make(1);
    assert_true(dmheap_is_initialized(NULL));
    assert_true(dmheap_is_initialized(first) && dmheap_is_initialized(second));
    assert_false(dmheap_is_initialized(no_heap()));
    assert_ptr_equal(dmheap_get_default_context(), first);
    assert_int_equal(dmheap_get_default_context_count(), 1);
    expect_silence();
}

static void a_heap_made_anew_serves_as_the_former_did(void** state)
{
    (void)state;
    dmheap_context_t* const first = make(0);
    dmheap_context_t* const second = make(1);
    assert_true(dmheap_add_default_context(second));
    (void)make(2);
    void* const ptr = dmheap_malloc(first, 10, "app");
    assert_ptr_equal(make(0), first);
    assert_ptr_equal(make(2), made[2]);
    assert_int_equal(dmheap_get_default_context_count(), 2);
    assert_ptr_equal(dmheap_get_default_context_at(0), second);
    assert_ptr_equal(dmheap_get_default_context_at(1), first);
    dmheap_free(NULL, ptr, false); /* of the former heap */
    expect_error();
}

static void heaps_are_added_and_removed(void** state)
{
    (void)state;
    for (unsigned i = 0; i <= DMHEAP_DEFAULTS_MAX; i++) {
        assert_true(dmheap_add_default_context(make(i)) == (i < DMHEAP_DEFAULTS_MAX));
    }
    expect_error();
    assert_int_equal(dmheap_get_default_context_count(), DMHEAP_DEFAULTS_MAX);
    assert_true(dmheap_add_default_context(made[3]));
    assert_int_equal(dmheap_get_default_context_count(), DMHEAP_DEFAULTS_MAX);
    assert_true(dmheap_remove_default_context(made[0]));
    assert_false(dmheap_remove_default_context(made[0]));
    assert_false(dmheap_remove_default_context(no_heap()));
    assert_false(dmheap_remove_default_context(NULL));
    expect_silence();
    assert_true(dmheap_is_initialized(made[0]));
    assert_ptr_equal(dmheap_get_default_context(), made[1]);
    assert_false(dmheap_add_default_context(NULL));
    expect_error();
    assert_false(dmheap_add_default_context(no_heap()));
    expect_error();
}

static void the_list_is_told_by_index(void** state)
{
    (void)state;
    (void)make(0);
    assert_true(dmheap_add_default_context(make(1)));
    assert_int_equal(dmheap_get_default_context_count(), 2);
    assert_ptr_equal(dmheap_get_default_context_at(0), made[0]);
    assert_ptr_equal(dmheap_get_default_context_at(1), made[1]);
    assert_null(dmheap_get_default_context_at(2));
    assert_null(dmheap_get_default_context_at(SIZE_MAX));
    assert_null(dmheap_get_default_context_at(SIZE_MAX / 2 + 1)); /* 0 where it is cut */
    expect_silence();
}

static void one_heap_takes_the_place_of_all(void** state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(dmheap_add_default_context(make(i)));
    }
    (void)make(3);
    dmheap_set_default_context(made[1]);
    assert_int_equal(dmheap_get_default_context_count(), 1);
    assert_ptr_equal(dmheap_get_default_context(), made[1]);
    dmheap_set_default_context(made[3]);
    assert_int_equal(dmheap_get_default_context_count(), 1);
    assert_ptr_equal(dmheap_get_default_context(), made[3]);
    dmheap_set_default_context(NULL);
    assert_int_equal(dmheap_get_default_context_count(), 0);
    assert_false(dmheap_is_initialized(NULL));
    assert_true(dmheap_is_initialized(made[0]));
    expect_silence();
}

static void one_heap_takes_the_place_of_as_many_as_there_may_be(void** state)
{
    (void)state;
    for (unsigned i = 0; i < DMHEAP_DEFAULTS_MAX; i++) {
        assert_true(dmheap_add_default_context(make(i)));
    }
    dmheap_set_default_context(no_heap());
    expect_error();
    assert_int_equal(dmheap_get_default_context_count(), DMHEAP_DEFAULTS_MAX);
    dmheap_set_default_context(make(DMHEAP_DEFAULTS_MAX));
    assert_int_equal(dmheap_get_default_context_count(), 1);
    assert_ptr_equal(dmheap_get_default_context(), made[DMHEAP_DEFAULTS_MAX]);
    expect_silence();
}

/* In a release of the lock: another thread's view while the list is replaced. */
static void count_the_list(void* context)
{
    unsigned* least = context;
    const unsigned count = (unsigned)dmheap_get_default_context_count();
    *least = count < *least ? count : *least;
}

static void one_heap_serves_before_the_others_cease_to(void** state)
{
    (void)state;
    unsigned least = HEAPS;
    (void)make(0);
    (void)make(1);
    test_port_on_unlock(count_the_list, &least);
    dmheap_set_default_context(made[1]);
    test_port_on_unlock(NULL, NULL);
    assert_int_equal(least, 1);
}

/* ---- names ------------------------------------------------------------------------------- */

static void heaps_have_names(void** state)
{
    (void)state;
    assert_string_equal(dmheap_get_context_name(NULL), "");
    dmheap_context_t* const first = make(0);
    dmheap_context_t* const second = make(1);
    assert_string_equal(dmheap_get_context_name(first), "");
    assert_true(dmheap_set_context_name(first, "kernel"));
    assert_true(dmheap_set_context_name(second, "dma"));
    assert_string_equal(dmheap_get_context_name(first), "kernel");
    assert_string_equal(dmheap_get_context_name(second), "dma");
    assert_string_equal(dmheap_get_context_name(NULL), "kernel");
    assert_ptr_equal(dmheap_get_context_by_name("kernel"), first);
    assert_ptr_equal(dmheap_get_context_by_name("dma"), second); /* does not serve by default */
    assert_null(dmheap_get_context_by_name("sdram"));
    assert_null(dmheap_get_context_by_name(NULL));
    assert_true(dmheap_set_context_name(second, NULL));
    assert_string_equal(dmheap_get_context_name(second), "");
    assert_null(dmheap_get_context_by_name("dma"));
    assert_string_equal(dmheap_get_context_name(no_heap()), "");
    expect_silence();
}

static void names_that_are_refused_leave_the_former(void** state)
{
    (void)state;
    (void)make(0);
    assert_true(dmheap_set_context_name(make(1), "fifteen letters"));
    assert_true(dmheap_set_context_name(made[0], "kernel"));
    assert_false(dmheap_set_context_name(made[0], "sixteen letters!"));
    expect_error();
    assert_false(dmheap_set_context_name(made[0], "fifteen letters"));
    expect_error();
    assert_false(dmheap_set_context_name(NULL, "main"));
    expect_error();
    assert_false(dmheap_set_context_name(no_heap(), "main"));
    expect_error();
    assert_string_equal(dmheap_get_context_name(made[0]), "kernel");
    assert_null(dmheap_get_context_by_name("main"));
}

/* As many heaps as there may be, and two in the place of two that are gone. */
static void a_name_stays_where_it_is_as_long_as_the_heap(void** state)
{
    (void)state;
    const char* name[HEAPS];
    char text[] = "heap a";
    for (unsigned i = 0; i < HEAPS; i++) {
        if (i >= DMHEAP_CTX_MAX) {
            assert_true(dmheap_ctx_deinit(made[i - 2]));
        }
        text[5] = (char)('a' + i);
        assert_true(dmheap_set_context_name(make(i), text));
        name[i] = dmheap_get_context_name(made[i]);
    }
    for (unsigned i = 0; i < HEAPS; i++) {
        text[5] = (char)('a' + i);
        if (dmheap_is_initialized(made[i])) {
            assert_string_equal(name[i], text);
            assert_ptr_equal(dmheap_get_context_name(made[i]), name[i]);
        }
    }
    assert_true(dmheap_set_context_name(made[9], "other"));
    assert_ptr_equal(dmheap_get_context_name(made[9]), name[9]);
    assert_string_equal(name[9], "other");
}

/* ---- modules and memory -------------------------------------------------------------------- */

static void memory_comes_from_the_heap_that_is_named(void** state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        dmheap_context_t* const ctx = make(i);
        assert_true(dmheap_register_module(ctx, "app"));
        test_port_forget_lines();
        unsigned char* ptr = dmheap_malloc(ctx, 100, "app");
        void* const aligned = dmheap_aligned_alloc(ctx, 256, 100, "app");
        assert_true(is_in(ptr, i) && is_in(aligned, i) && (uintptr_t)aligned % 256 == 0);
        memset(ptr, 7, 100);
        ptr = dmheap_realloc(ctx, ptr, 1000, "app");
        assert_true(is_in(ptr, i) && ptr[99] == 7);
        dmheap_concatenate_free_blocks(ctx);
        dmheap_free(ctx, aligned, true);
        expect_silence();
        dmheap_free(ctx, aligned, true);
        expect_error();
        assert_true(dmheap_retag(ctx, ptr, "web"));
        dmheap_unregister_module(ctx, "app");
        test_port_forget_lines();
        dmheap_free(ctx, ptr, false); /* it was not app's */
        expect_silence();
    }
}

static void null_is_all_heaps_that_serve_by_default(void** state)
{
    (void)state;
    (void)make(0);
    assert_true(dmheap_add_default_context(make(1)));
    void* const first = dmheap_malloc(NULL, 2500, "app");
    void* const second = dmheap_malloc(NULL, 2500, "app");
    assert_true(is_in(first, 0) && is_in(second, 1));
    assert_true(dmheap_retag(NULL, second, NULL));
    dmheap_unregister_module(NULL, "app");
    test_port_forget_lines();
    dmheap_free(NULL, second, false);
    expect_silence();
    assert_true(is_in(dmheap_aligned_alloc(NULL, 64, 2500, NULL), 0));
    assert_true(is_in(dmheap_realloc(NULL, NULL, 2500, NULL), 1));
    expect_silence();
}

/* Inline functions as they are, they have addresses. */
static void functions_may_be_called_by_pointers(void** state)
{
    (void)state;
    void* (*const allocate)(dmheap_context_t*, size_t, const char*) = dmheap_malloc;
    void (*const release)(dmheap_context_t*, void*, bool) = &dmheap_free;
    (void)make(0);
    release(NULL, allocate(NULL, 10, "app"), false);
    expect_silence();
}

/* ---- insight --------------------------------------------------------------------------------- */

struct sums {
    size_t blocks;
    size_t bytes;
    size_t largest;
    size_t smallest;
    const void* wanted; /* one block, of which ... */
    size_t size;
    char owner[DMHEAP_NAME_BYTES]; /* "-": NULL */
};

static void add_block(void* address, size_t size, const char* owner_name, void* user_data)
{
    struct sums* const sums = user_data;
    assert_false(test_port_is_held());
    sums->blocks++;
    sums->bytes += size;
    sums->largest = size > sums->largest ? size : sums->largest;
    sums->smallest = size < sums->smallest ? size : sums->smallest;
    if (address == sums->wanted) {
        sums->size = size;
        strcpy(sums->owner, owner_name != NULL ? owner_name : "-");
    }
}

static void begin_sums(struct sums* sums, const void* wanted)
{
    memset(sums, 0, sizeof(*sums));
    sums->smallest = SIZE_MAX;
    sums->wanted = wanted;
}

static void used_blocks_are_visited_with_size_and_owner(void** state)
{
    (void)state;
    struct sums sums;
    dmheap_context_t* const ctx = make(0);
    void* const owned = dmheap_malloc(ctx, 100, "app");
    void* const free_one = dmheap_malloc(ctx, 64, NULL);
    unsigned char* const nobodys = dmheap_aligned_alloc(ctx, 64, 50, NULL);
    dmheap_free(ctx, free_one, false);
    begin_sums(&sums, owned);
    dmheap_for_each_used_block(ctx, add_block, &sums);
    assert_string_equal(sums.owner, "app");
    assert_int_equal(sums.size, dmheap_ctx_usable_size(ctx, owned));
    assert_true(sums.blocks > 2); /* and the heap's own: app's record */
    begin_sums(&sums, nobodys);
    dmheap_for_each_used_block(ctx, add_block, &sums);
    assert_string_equal(sums.owner, "-");
    memset(nobodys, 1, sums.size); /* all of it is the client's */
    dmheap_free(ctx, nobodys, false);
    expect_silence();
    begin_sums(&sums, nobodys);
    dmheap_for_each_used_block(ctx, add_block, &sums);
    assert_int_equal(sums.size, 0);
    dmheap_for_each_used_block(ctx, NULL, &sums);
    expect_silence();
    dmheap_for_each_used_block(no_heap(), add_block, &sums);
    expect_error();
}

static void free_blocks_are_visited_with_what_they_serve(void** state)
{
    (void)state;
    struct sums sums;
    dmheap_context_t* const ctx = make(0);
    void* const hole = dmheap_malloc(ctx, 200, NULL);
    void* const behind = dmheap_malloc(ctx, 10, NULL);
    const size_t size = dmheap_ctx_usable_size(ctx, hole);
    dmheap_free(ctx, hole, false);
    begin_sums(&sums, hole);
    dmheap_for_each_free_block(ctx, add_block, &sums);
    assert_int_equal(sums.blocks, 2); /* and the untouched end */
    assert_int_equal(sums.size, size);
    assert_string_equal(sums.owner, "-");
    assert_non_null(dmheap_malloc(ctx, sums.largest, NULL));
    assert_ptr_equal(dmheap_malloc(ctx, sums.smallest, NULL), hole);
    begin_sums(&sums, behind);
    dmheap_for_each_free_block(ctx, add_block, &sums);
    assert_int_equal(sums.blocks, 0);
    dmheap_for_each_free_block(ctx, NULL, &sums);
    expect_silence();
}

static void free_what_is_owned(void* address, size_t size, const char* owner_name, void* user_data)
{
    (void)size;
    if (owner_name != NULL) {
        dmheap_free((dmheap_context_t*)user_data, address, false);
    }
}

static void visitors_may_call_any_function(void** state)
{
    (void)state;
    dmheap_context_t* const ctx = make(0);
    for (unsigned i = 0; i < 10; i++) {
        assert_non_null(dmheap_malloc(ctx, 20, "app"));
    }
    dmheap_for_each_used_block(ctx, free_what_is_owned, ctx);
    expect_silence();
    struct dmheap_module_stats held;
    assert_true(dmheap_ctx_get_module_stats(ctx, "app", &held));
    assert_int_equal(held.blocks, 0);
}

static void stats_are_the_sums_of_the_visits(void** state)
{
    (void)state;
    dmheap_stats_t stats;
    struct sums used;
    struct sums free_ones;
    void* ptr[20];
    (void)make(0);
    assert_true(dmheap_add_default_context(make(1)));
    for (unsigned i = 0; i < 20; i++) {
        ptr[i] = dmheap_malloc(made[i % 2], 10 * (20 - i), i % 3 == 0 ? NULL : "app");
    }
    for (unsigned i = 0; i < 20; i += 3) {
        dmheap_free(NULL, ptr[i], false);
    }
    for (unsigned i = 0; i < 3; i++) {
        dmheap_context_t* const ctx = i < 2 ? made[i] : NULL;
        begin_sums(&used, NULL);
        begin_sums(&free_ones, NULL);
        dmheap_for_each_used_block(ctx, add_block, &used);
        dmheap_for_each_free_block(ctx, add_block, &free_ones);
        assert_true(dmheap_get_stats(ctx, &stats));
        assert_int_equal(stats.used_bytes, used.bytes);
        assert_int_equal(stats.used_block_count, used.blocks);
        assert_int_equal(stats.free_bytes, free_ones.bytes);
        assert_int_equal(stats.free_block_count, free_ones.blocks);
        assert_int_equal(stats.largest_free_block, free_ones.largest);
        assert_int_equal(stats.smallest_free_block, free_ones.smallest);
        assert_true(free_ones.blocks > 2 && free_ones.smallest < free_ones.largest);
    }
    size_t sizes = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct dmheap_stats heap;
        assert_true(dmheap_ctx_get_stats(made[i], &heap));
        sizes += heap.size;
    }
    assert_int_equal(stats.heap_size, sizes); /* of NULL, the last one */
    expect_silence();
}

static void stats_of_a_full_heap_have_no_free_block(void** state)
{
    (void)state;
    dmheap_stats_t stats;
    dmheap_context_t* const ctx = make(0);
    assert_true(dmheap_get_stats(ctx, &stats));
    assert_int_equal(stats.used_block_count + stats.used_bytes, 0);
    assert_int_equal(stats.free_block_count, 1);
    assert_int_equal(stats.largest_free_block, stats.free_bytes);
    assert_int_equal(stats.smallest_free_block, stats.free_bytes);
    assert_non_null(dmheap_malloc(ctx, stats.largest_free_block, NULL));
    assert_true(dmheap_get_stats(ctx, &stats));
    assert_int_equal(stats.used_block_count, 1);
    assert_int_equal(stats.free_block_count + stats.free_bytes, 0);
    assert_int_equal(stats.largest_free_block + stats.smallest_free_block, 0);
    expect_silence();
}

static void stats_that_cannot_be_had_are_zero(void** state)
{
    (void)state;
    dmheap_stats_t stats;
    dmheap_stats_t zero;
    memset(&zero, 0, sizeof(zero));
    memset(&stats, 1, sizeof(stats));
    assert_false(dmheap_get_stats(NULL, &stats)); /* none serves by default */
    expect_error();
    assert_memory_equal(&stats, &zero, sizeof(zero));
    (void)make(0);
    assert_false(dmheap_get_stats(no_heap(), &stats));
    expect_error();
    assert_memory_equal(&stats, &zero, sizeof(zero));
    assert_false(dmheap_get_stats(NULL, NULL));
    expect_silence();
}

/* In the release of the lock that `context` counts down to: as another thread does. */
static void end_heap_after(void* context)
{
    unsigned* left = context;
    if (*left != 0 && --*left == 0) {
        assert_true(dmheap_ctx_deinit(made[0]));
    }
}

static void stats_that_could_not_be_finished_are_zero(void** state)
{
    (void)state;
    dmheap_stats_t stats;
    dmheap_stats_t zero;
    memset(&zero, 0, sizeof(zero));
    for (unsigned after = 1; after <= 3; after++) {
        unsigned left = after;
        (void)make(0);
        assert_non_null(dmheap_malloc(NULL, 10, NULL));
        assert_non_null(dmheap_malloc(NULL, 10, NULL));
        test_port_on_unlock(end_heap_after, &left);
        assert_false(dmheap_get_stats(made[0], &stats));
        test_port_on_unlock(NULL, NULL);
        expect_silence();
        assert_memory_equal(&stats, &zero, sizeof(zero));
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        compat_case(the_first_heap_serves_by_default),
        compat_case(a_heap_made_anew_serves_as_the_former_did),
        compat_case(heaps_are_added_and_removed),
        compat_case(the_list_is_told_by_index),
        compat_case(one_heap_takes_the_place_of_all),
        compat_case(one_heap_takes_the_place_of_as_many_as_there_may_be),
        compat_case(one_heap_serves_before_the_others_cease_to),
        compat_case(heaps_have_names),
        compat_case(names_that_are_refused_leave_the_former),
        compat_case(a_name_stays_where_it_is_as_long_as_the_heap),
        compat_case(memory_comes_from_the_heap_that_is_named),
        compat_case(null_is_all_heaps_that_serve_by_default),
        compat_case(functions_may_be_called_by_pointers),
        compat_case(used_blocks_are_visited_with_size_and_owner),
        compat_case(free_blocks_are_visited_with_what_they_serve),
        compat_case(visitors_may_call_any_function),
        compat_case(stats_are_the_sums_of_the_visits),
        compat_case(stats_of_a_full_heap_have_no_free_block),
        compat_case(stats_that_cannot_be_had_are_zero),
        compat_case(stats_that_could_not_be_finished_are_zero),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
