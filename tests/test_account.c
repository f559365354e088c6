/* SPDX-License-Identifier: MIT */
/*
 * Accounts, limits, reserves and dead modules, sentence by sentence of dmheap_ctx.h: through the
 * nine functions, the family, handles and DMOD's names. Only where DMHEAP_ACCOUNTING is 1.
 */
#include "dmod_api.h"
#include "record_test.h"

#include <limits.h>

/* Leave no heap that serves by default, and then no memory. */
static void close_heaps(void)
{
    while (dmheap_ctx_deinit(NULL)) {
    }
    test_port_forget_lines();
    arenas_release();
}

static int account_case_end(void** state)
{
    close_heaps();
    return heap_case_end(state);
}

#define account_case(function) \
    cmocka_unit_test_setup_teardown(function, heap_case_begin, account_case_end)

/* ---- figures ------------------------------------------------------------------------ */

static size_t bytes_of(const void* ptr)
{
    return (size_t)block_size(block_of(ptr));
}

/* In the heap that a case looks at. */
static struct dmheap_account figures_of(const char* module_name)
{
    struct dmheap_account account;
    assert_true(dmheap_ctx_get_account(test_heap.ctx, module_name, &account));
    return account;
}

static struct dmheap_heap_account heap_figures(void)
{
    struct dmheap_heap_account account;
    assert_true(dmheap_ctx_get_heap_account(test_heap.ctx, &account));
    return account;
}

static size_t all_bytes(void)
{
    return (size_t)(test_heap.ctx->end - test_heap.ctx->first);
}

static void expect_account(const struct dmheap_account* now, const struct dmheap_account* wanted)
{
    assert_int_equal(now->bytes, wanted->bytes);
    assert_int_equal(now->blocks, wanted->blocks);
    assert_int_equal(now->peak, wanted->peak);
    assert_int_equal(now->allocations, wanted->allocations);
    assert_int_equal(now->failures, wanted->failures);
    assert_int_equal(now->largest_failure, wanted->largest_failure);
    assert_int_equal(now->last_reason, wanted->last_reason);
    assert_int_equal(now->limit, wanted->limit);
    assert_int_equal(now->reserve, wanted->reserve);
}

static void expect_heap_account(const struct dmheap_heap_account* now,
                                const struct dmheap_heap_account* wanted)
{
    assert_int_equal(now->used, wanted->used);
    assert_int_equal(now->free, wanted->free);
    assert_int_equal(now->min_free, wanted->min_free);
    assert_int_equal(now->reserved, wanted->reserved);
    for (unsigned i = 0; i < DMHEAP_REASONS; i++) {
        assert_int_equal(now->failures[i], wanted->failures[i]);
    }
}

static const struct dmheap_account no_account;
static const struct dmheap_heap_account no_heap_account;

/* Make a module known, so that its first block is not one of its records' neighbours. */
static void know(const char* module_name)
{
    assert_true(dmheap_ctx_register_module(test_heap.ctx, module_name));
    test_port_forget_lines();
}

/* ---- what a refused request leaves --------------------------------------------------- */

/* The heap and one module's figures; of one that is not known there are none. */
struct picture {
    const char* module_name;
    bool is_known;
    struct heap_state state;
    struct dmheap_heap_account heap;
    struct dmheap_account module;
};

static struct picture picture_of(const char* module_name)
{
    struct picture picture;
    memset(&picture, 0, sizeof(picture));
    picture.module_name = module_name;
    picture.is_known =
        record_is_nobody(module_name) || record_find(test_heap.ctx, module_name) != NULL;
    picture.state = state_now();
    picture.heap = heap_figures();
    if (picture.is_known) {
        picture.module = figures_of(module_name);
    }
    return picture;
}

static void expect_picture(const struct picture* before)
{
    const struct picture now = picture_of(before->module_name);
    expect_state(&before->state);
    assert_int_equal(now.is_known, before->is_known);
    expect_account(&now.module, &before->module);
    expect_heap_account(&now.heap, &before->heap);
}

/* All is as before, but for one more request of `size` bytes that was refused for that reason. */
static void expect_refused(const struct picture* before, size_t size, enum dmheap_reason reason)
{
    struct picture wanted = *before;
    wanted.heap.failures[reason]++;
    if (wanted.is_known) {
        wanted.module.failures++;
        wanted.module.last_reason = reason;
        if (size > wanted.module.largest_failure) { /* SIZE_MAX: more than a header can tell */
            wanted.module.largest_failure = account_size(account_word(size));
        }
    }
    expect_picture(&wanted);
}

static const char* const reason_words[DMHEAP_REASONS] = {
    "out of memory",
    "out of memory in one piece",
    "its limit is reached",
    "what is free is reserved for others",
};

static void expect_error_of(const char* text)
{
    check_log(1, 0, 0, text, __FILE__, __LINE__);
}

static void expect_request_line(size_t size, const char* shown, enum dmheap_reason reason)
{
    char text[160];
    (void)snprintf(text, sizeof(text), "dmheap: %u bytes for module %s: %s.\n",
                   size < UINT_MAX ? (unsigned)size : UINT_MAX, shown, reason_words[reason]);
    expect_error_of(text);
}

static void expect_pointer_line(const char* request, const void* ptr, enum dmheap_reason reason)
{
    char text[160];
    (void)snprintf(text, sizeof(text), "dmheap: %s of %p: %s.\n", request, ptr,
                   reason_words[reason]);
    expect_error_of(text);
}

static void expect_module_line(const char* request, const char* shown, const char* words)
{
    char text[160];
    (void)snprintf(text, sizeof(text), "dmheap: %s of module %s: %s.\n", request, shown, words);
    expect_error_of(text);
}

/* ---- ways to a block ------------------------------------------------------------------ */

static void* by_malloc(size_t size, const char* name)
{
    return dmheap_malloc(size, name);
}

static void* by_aligned(size_t size, const char* name)
{
    return dmheap_aligned_alloc(64, size, name);
}

static void* by_realloc(size_t size, const char* name)
{
    return dmheap_realloc(NULL, size, name);
}

static void* by_ctx_malloc(size_t size, const char* name)
{
    return dmheap_ctx_malloc(test_heap.ctx, size, name);
}

static void* by_ctx_aligned(size_t size, const char* name)
{
    return dmheap_ctx_aligned_alloc(test_heap.ctx, 64, size, name);
}

static void* by_ctx_realloc(size_t size, const char* name)
{
    return dmheap_ctx_realloc(NULL, NULL, size, name);
}

static void* by_aligned_realloc(size_t size, const char* name)
{
    return dmheap_ctx_aligned_realloc(NULL, NULL, 64, size, name);
}

static void* by_calloc(size_t size, const char* name)
{
    return dmheap_ctx_calloc(NULL, 1, size, name);
}

static void* by_dmod(size_t size, const char* name)
{
    return Dmod_MallocEx(size, name);
}

static void* by_dmod_aligned(size_t size, const char* name)
{
    return Dmod_AlignedMallocEx(size, 64, name);
}

static void* by_dmod_realloc(size_t size, const char* name)
{
    return Dmod_ReallocEx(NULL, size, name);
}

static struct dmheap_module handle_of(const char* name)
{
    struct dmheap_module module;
    assert_true(dmheap_ctx_open_module(test_heap.ctx, name, &module));
    return module;
}

static void* by_handle(size_t size, const char* name)
{
    return dmheap_ctx_malloc_for(NULL, size, handle_of(name));
}

static void* by_aligned_handle(size_t size, const char* name)
{
    return dmheap_ctx_aligned_alloc_for(test_heap.ctx, 64, size, handle_of(name));
}

static const struct way {
    void* (*alloc)(size_t size, const char* name);
    bool has_handle;
} ways[] = {
    {by_malloc, false},        {by_aligned, false},         {by_realloc, false},
    {by_ctx_malloc, false},    {by_ctx_aligned, false},     {by_ctx_realloc, false},
    {by_calloc, false},        {by_aligned_realloc, false}, {by_dmod, false},
    {by_dmod_aligned, false},  {by_dmod_realloc, false},    {by_handle, true},
    {by_aligned_handle, true},
};

/* A request by that way is refused, and all is as before. */
static void expect_way_refused(const struct way* way, size_t size, const char* name,
                               enum dmheap_reason reason)
{
    const struct picture before = picture_of(name);
    assert_null(way->alloc(size, name));
    expect_request_line(size,
                        way->has_handle ? "(handle)"
                        : name != NULL  ? name
                                        : "(none)",
                        reason);
    expect_refused(&before, size, reason);
}

/* ---- what is held --------------------------------------------------------------------- */

static void an_account_counts_bytes_blocks_and_allocations(void** state)
{
    (void)state;
    for (const struct way* way = ways; way < ways + COUNT_OF(ways); way++) {
        heap_open(16 * KIB, 8);
        size_t bytes = 0;
        for (size_t blocks = 1; blocks <= 9; blocks++) {
            const void* ptr = way->alloc(blocks * 37, "sensor");
            assert_non_null(ptr);
            bytes += bytes_of(ptr);
            const struct dmheap_account wanted = {bytes, blocks, bytes,    blocks, 0,
                                                  0,     0,      SIZE_MAX, 0};
            const struct dmheap_account now = figures_of("sensor");
            expect_account(&now, &wanted);
            (void)heap_verify();
        }
        expect_silence();
        close_heaps();
    }
}

static void nobodys_account_is_that_of_null_and_of_the_empty_text(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    const struct dmheap_account fresh = {0, 0, 0, 0, 0, 0, 0, SIZE_MAX, 0};
    struct dmheap_account now = figures_of(NULL);
    expect_account(&now, &fresh);
    void* first = dmheap_malloc(100, NULL);
    void* second = dmheap_aligned_alloc(128, 100, "");
    const size_t bytes = bytes_of(first) + bytes_of(second);
    const struct dmheap_account both = {bytes, 2, bytes, 2, 0, 0, 0, SIZE_MAX, 0};
    now = figures_of("");
    expect_account(&now, &both);
    now = figures_of(NULL);
    expect_account(&now, &both);
    dmheap_free(first, false);
    dmheap_free(second, false);
    now = figures_of(NULL);
    assert_int_equal(now.bytes, 0);
    assert_int_equal(now.blocks, 0);
    assert_int_equal(now.peak, bytes);
    assert_int_equal(now.allocations, 2);
    expect_silence();
}

static void a_peak_stays_until_it_is_reset(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* kept = dmheap_malloc(100, "sensor");
    void* gone = dmheap_malloc(500, "sensor");
    const size_t peak = bytes_of(kept) + bytes_of(gone);
    dmheap_free(gone, false);
    assert_int_equal(figures_of("sensor").peak, peak);
    assert_int_equal(figures_of("sensor").bytes, bytes_of(kept));
    (void)dmheap_malloc(300, "network"); /* another one's */
    assert_int_equal(figures_of("sensor").peak, peak);
    assert_true(dmheap_ctx_reset_peak(test_heap.ctx, "sensor"));
    assert_int_equal(figures_of("sensor").peak, bytes_of(kept));
    gone = dmheap_malloc(200, "sensor");
    assert_int_equal(figures_of("sensor").peak, bytes_of(kept) + bytes_of(gone));
    void* nobodys = dmheap_malloc(100, NULL);
    dmheap_free(nobodys, false);
    assert_true(figures_of(NULL).peak != 0);
    assert_true(dmheap_ctx_reset_peak(NULL, NULL));
    assert_int_equal(figures_of(NULL).peak, 0);
    expect_silence();
    (void)heap_verify();
}

static void a_block_resized_in_place_is_no_new_one(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    know("sensor");
    void* ptr = dmheap_malloc(100, "sensor");
    void* hole = dmheap_malloc(400, NULL);
    assert_non_null(dmheap_malloc(100, NULL));
    dmheap_free(hole, false);
    static const size_t sizes[] = {200, 300, 504, 90, 0, 400};
    size_t peak = bytes_of(ptr);
    for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
        assert_ptr_equal(dmheap_realloc(ptr, sizes[i], NULL), ptr);
        peak = bytes_of(ptr) > peak ? bytes_of(ptr) : peak;
        const struct dmheap_account wanted = {bytes_of(ptr), 1, peak, 1, 0, 0, 0, SIZE_MAX, 0};
        const struct dmheap_account now = figures_of("sensor");
        expect_account(&now, &wanted);
        (void)heap_verify();
    }
    expect_silence();
}

/* What a hook found while the lock was released. */
static struct dmheap_account seen;
static unsigned seen_times;

static void look(void* context)
{
    const char* module_name = context;
    assert_true(dmheap_ctx_get_account(test_heap.ctx, module_name, &seen));
    seen_times++;
}

static void a_block_counts_in_both_places_while_realloc_copies_it(void** state)
{
    (void)state;
    static char sensor[] = "sensor";
    static char nobody[] = "";
    char* const names[] = {sensor, nobody};
    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        heap_open(16 * KIB, 8);
        void* ptr = dmheap_malloc(100, names[i]);
        assert_non_null(dmheap_malloc(100, "wall"));
        const size_t before = bytes_of(ptr);
        seen_times = 0;
        test_port_on_unlock(look, names[i]);
        ptr = dmheap_realloc(ptr, 300, NULL);
        test_port_on_unlock(NULL, NULL);
        assert_int_equal(seen_times, 2);
        const size_t after = bytes_of(ptr);
        struct dmheap_account wanted = {after, 1, before + after, 2, 0, 0, 0, SIZE_MAX, 0};
        expect_account(&seen, &wanted); /* after the copy */
        const struct dmheap_account now = figures_of(names[i]);
        expect_account(&now, &wanted);
        expect_silence();
        (void)heap_verify();
        close_heaps();
    }
}

/* The figures at the first release of the lock. */
static void look_once(void* context)
{
    if (seen_times == 0) {
        look(context);
    }
}

static void while_realloc_copies_both_blocks_count(void** state)
{
    (void)state;
    static char sensor[] = "sensor";
    heap_open(16 * KIB, 8);
    void* ptr = dmheap_malloc(100, sensor);
    assert_non_null(dmheap_malloc(100, "wall"));
    const size_t before = bytes_of(ptr);
    seen_times = 0;
    test_port_on_unlock(look_once, sensor);
    ptr = dmheap_realloc(ptr, 300, NULL);
    test_port_on_unlock(NULL, NULL);
    assert_int_equal(seen.blocks, 2);
    assert_int_equal(seen.bytes, before + bytes_of(ptr));
}

static void a_block_that_is_being_cleared_counts(void** state)
{
    (void)state;
    static char sensor[] = "sensor";
    heap_open(16 * KIB, 8);
    seen_times = 0;
    assert_true(dmheap_ctx_register_module(NULL, sensor));
    test_port_forget_lines();
    test_port_on_unlock(look_once, sensor);
    void* ptr = dmheap_ctx_calloc(NULL, 10, 30, sensor);
    test_port_on_unlock(NULL, NULL);
    assert_int_equal(seen.blocks, 1);
    assert_int_equal(seen.bytes, bytes_of(ptr));
    assert_int_equal(figures_of(sensor).blocks, 1);
    (void)heap_verify();
}

/* ---- a module that goes in the middle of something -------------------------------------- */

static void unregister(void* context)
{
    if (seen_times++ == 0) {
        dmheap_unregister_module(context);
    }
}

static void what_a_module_moved_when_it_went_leaves_no_sum(void** state)
{
    (void)state;
    static char sensor[] = "sensor";
    heap_open(16 * KIB, 8);
    assert_non_null(dmheap_malloc(100, "wall"));
    const size_t used = heap_figures().used;
    void* ptr = dmheap_malloc(100, sensor);
    void* wall = dmheap_malloc(100, "wall");
    assert_non_null(wall);
    seen_times = 0;
    test_port_on_unlock(unregister, sensor);
    assert_null(dmheap_realloc(ptr, 300, NULL));
    test_port_on_unlock(NULL, NULL);
    assert_int_equal(heap_figures().used, used + bytes_of(wall));
    assert_int_equal(modules(), 1);
    seen_times = 0;
    test_port_on_unlock(unregister, sensor);
    assert_null(dmheap_ctx_calloc(NULL, 1, 300, sensor));
    test_port_on_unlock(NULL, NULL);
    assert_int_equal(heap_figures().used, used + bytes_of(wall));
    (void)heap_verify();
}

static void a_module_renamed_while_its_block_moves_keeps_its_account(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* ptr = dmheap_malloc(100, "sensor");
    assert_non_null(dmheap_malloc(100, "wall"));
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", 900));
    assert_true(Dmod_RenameTag("sensor", "probe"));
    const size_t before = bytes_of(ptr);
    ptr = dmheap_realloc(ptr, 300, NULL);
    const struct dmheap_account now = figures_of("probe");
    const struct dmheap_account wanted = {bytes_of(ptr), 1, before + bytes_of(ptr), 2, 0, 0, 0,
                                          900,           0};
    expect_account(&now, &wanted);
    expect_silence();
    (void)heap_verify();
}

static unsigned slices;

/* Between two slices: what the heap uses never grows, and a new module of the name has nothing. */
static void watch_slice(void* context)
{
    size_t* used = context;
    struct dmheap_account account;
    struct image_census census;
    assert_int_equal(heap_fault(test_heap.ctx, &census), DMHEAP_FAULT_NONE);
    assert_true(heap_figures().used <= *used);
    *used = heap_figures().used;
    slices++;
    if (slices == 2) {
        assert_false(dmheap_ctx_get_account(NULL, "sensor", &account));
        expect_account(&account, &no_account);
        expect_module_line("account", "sensor", "no module has that name");
        test_port_forget_lines();
        assert_non_null(dmheap_malloc(100, "sensor"));
        *used = heap_figures().used;
    }
}

static void a_module_that_goes_in_slices_takes_its_bytes_along(void** state)
{
    (void)state;
    heap_open(64 * KIB, 8);
    assert_true(dmheap_ctx_keep_dead(NULL, 2));
    for (unsigned i = 0; i < 300; i++) {
        assert_non_null(dmheap_malloc(20 + i % 60, "sensor"));
        if (i % 3 == 0) {
            assert_non_null(dmheap_malloc(20, NULL));
        }
    }
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", 50 * KIB));
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 40 * KIB));
    const struct dmheap_account before = figures_of("sensor");
    size_t used = heap_figures().used;
    slices = 0;
    test_port_on_unlock(watch_slice, &used);
    dmheap_unregister_module("sensor");
    test_port_on_unlock(NULL, NULL);
    assert_true(slices > 3);
    test_port_forget_lines();
    const struct dmheap_account now = figures_of("sensor"); /* the new one */
    assert_int_equal(now.blocks, 1);
    assert_int_equal(now.limit, SIZE_MAX);
    assert_int_equal(now.reserve, 0);
    assert_int_equal(heap_figures().reserved, 0);
    struct dmheap_account dead;
    char name[DMHEAP_NAME_BYTES];
    assert_true(dmheap_ctx_get_dead(NULL, 0, name, &dead));
    assert_string_equal(name, "sensor");
    expect_account(&dead, &before);
    (void)heap_verify();
}

/* ---- what is refused about an account ----------------------------------------------------- */

static void without_a_heap_every_function_is_refused(void** state)
{
    (void)state;
    static unsigned char forged[256];
    struct dmheap_ctx* const contexts[] = {NULL, (struct dmheap_ctx*)(void*)forged};
    for (unsigned i = 0; i < COUNT_OF(contexts); i++) {
        struct dmheap_ctx* ctx = contexts[i];
        struct dmheap_account account;
        struct dmheap_heap_account heap;
        char name[DMHEAP_NAME_BYTES] = "x";
        memset(&account, 1, sizeof(account));
        memset(&heap, 1, sizeof(heap));
        assert_false(dmheap_ctx_get_account(ctx, NULL, &account));
        expect_module_line("account", "(none)", NO_HEAP_TEXT);
        expect_account(&account, &no_account);
        assert_false(dmheap_ctx_get_account(ctx, "sensor", &account));
        expect_module_line("account", "sensor", NO_HEAP_TEXT);
        assert_false(dmheap_ctx_reset_peak(ctx, "sensor"));
        expect_module_line("peak", "sensor", NO_HEAP_TEXT);
        assert_false(dmheap_ctx_set_limit(ctx, "sensor", 1000));
        expect_module_line("limit", "sensor", NO_HEAP_TEXT);
        assert_false(dmheap_ctx_set_reserve(ctx, "", 1000));
        expect_module_line("reserve", "(none)", NO_HEAP_TEXT);
        assert_false(dmheap_ctx_get_heap_account(ctx, &heap));
        expect_error();
        expect_heap_account(&heap, &no_heap_account);
        assert_false(dmheap_ctx_reset_min_free(ctx));
        expect_error();
        assert_false(dmheap_ctx_keep_dead(ctx, 3));
        expect_error();
        memset(&account, 1, sizeof(account));
        assert_false(dmheap_ctx_get_dead(ctx, 0, name, &account));
        expect_silence();
        assert_string_equal(name, "");
        expect_account(&account, &no_account);
        assert_null(dmheap_ctx_malloc(ctx, 10, "sensor"));
        expect_error_of("dmheap: 10 bytes for module sensor: " NO_HEAP_TEXT ".\n");
        assert_null(dmheap_ctx_malloc(ctx, SIZE_MAX, NULL));
        test_port_forget_lines();
    }
}

static void a_heap_that_was_torn_down_has_no_accounts(void** state)
{
    (void)state;
    without_a_heap_every_function_is_refused(state);
    struct dmheap_ctx* ctx = dmheap_ctx_init(arena_make(8 * KIB, 0), 8 * KIB, 8);
    assert_true(dmheap_ctx_set_limit(ctx, "sensor", 100));
    assert_true(dmheap_ctx_deinit(ctx));
    test_port_forget_lines();
    struct dmheap_account account;
    struct dmheap_heap_account heap;
    assert_false(dmheap_ctx_get_account(ctx, "sensor", &account));
    expect_error();
    assert_false(dmheap_ctx_set_limit(ctx, "sensor", 1000));
    expect_error();
    assert_false(dmheap_ctx_get_heap_account(ctx, &heap));
    expect_error();
    assert_false(dmheap_ctx_keep_dead(ctx, 1));
    expect_error();
}

static void a_module_that_is_not_known_has_no_account(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    struct dmheap_account account;
    memset(&account, 1, sizeof(account));
    assert_false(dmheap_ctx_get_account(NULL, "sensor", &account));
    expect_module_line("account", "sensor", "no module has that name");
    expect_account(&account, &no_account);
    assert_false(dmheap_ctx_reset_peak(NULL, "sensor"));
    expect_module_line("peak", "sensor", "no module has that name");
    assert_false(dmheap_ctx_get_account(NULL, long_name(64, 'x'), &account));
    expect_error();
    assert_true(heap_is_empty());
    assert_int_equal(heap_figures().failures[DMHEAP_REASON_NO_MEMORY], 0);
}

static void a_name_too_long_gets_no_limit_and_no_reserve(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    assert_false(dmheap_ctx_set_limit(NULL, long_name(64, 'x'), 100));
    expect_module_line("limit", "?", "the name is empty or too long");
    assert_false(dmheap_ctx_set_reserve(NULL, long_name(64, 'x'), 100));
    expect_module_line("reserve", "?", "the name is empty or too long");
    assert_true(heap_is_empty());
    assert_true(dmheap_ctx_set_limit(NULL, long_name(63, 'x'), 100));
    assert_true(dmheap_ctx_set_reserve(NULL, long_name(63, 'x'), 100));
    expect_silence();
    assert_int_equal(modules(), 1);
}

/* ---- limits --------------------------------------------------------------------------- */

static void no_way_leads_beyond_a_limit(void** state)
{
    (void)state;
    for (const struct way* way = ways; way < ways + COUNT_OF(ways); way++) {
        heap_open(16 * KIB, 8);
        assert_true(dmheap_ctx_set_limit(NULL, "sensor", 16 * KIB));
        void* ptr = way->alloc(100, "sensor");
        assert_non_null(ptr);
        const size_t bytes = bytes_of(ptr);
        assert_true(dmheap_ctx_set_limit(NULL, "sensor", 3 * bytes - 1));
        assert_non_null(way->alloc(100, "sensor"));
        expect_silence();
        expect_way_refused(way, 100, "sensor", DMHEAP_REASON_LIMIT);
        expect_way_refused(way, 4000, "sensor", DMHEAP_REASON_LIMIT);
        expect_way_refused(way, 40000, "sensor", DMHEAP_REASON_LIMIT);
        expect_way_refused(way, 101, "sensor", DMHEAP_REASON_LIMIT);
        assert_int_equal(figures_of("sensor").largest_failure, 40000);
        assert_true(dmheap_ctx_set_limit(NULL, "sensor", 3 * bytes));
        assert_non_null(way->alloc(100, "sensor")); /* exactly that */
        expect_silence();
        expect_way_refused(way, 0, "sensor", DMHEAP_REASON_LIMIT);
        assert_non_null(dmheap_malloc(1000, "network"));
        assert_non_null(dmheap_malloc(1000, NULL));
        expect_silence();
        close_heaps();
    }
}

static void nobody_may_have_a_limit(void** state)
{
    (void)state;
    for (const struct way* way = ways; way < ways + COUNT_OF(ways) && !way->has_handle; way++) {
        heap_open(16 * KIB, 8);
        assert_true(dmheap_ctx_set_limit(NULL, NULL, 0));
        expect_way_refused(way, 0, NULL, DMHEAP_REASON_LIMIT);
        expect_way_refused(way, 500, NULL, DMHEAP_REASON_LIMIT);
        assert_non_null(way->alloc(500, "sensor"));
        assert_true(dmheap_ctx_set_limit(NULL, "", SIZE_MAX));
        assert_non_null(way->alloc(500, NULL));
        expect_silence();
        close_heaps();
    }
}

static void a_limit_is_shown_lifted_and_forgotten(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", 0)); /* makes it known */
    assert_int_equal(modules(), 1);
    expect_silence();
    assert_int_equal(figures_of("sensor").limit, 0);
    expect_way_refused(&ways[0], 0, "sensor", DMHEAP_REASON_LIMIT);
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", SIZE_MAX));
    assert_int_equal(figures_of("sensor").limit, SIZE_MAX);
    assert_non_null(dmheap_malloc(1000, "sensor"));
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", SIZE_MAX - 1));
    assert_true(figures_of("sensor").limit >= SIZE_MAX - 1);
    assert_non_null(dmheap_malloc(1000, "sensor"));
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", 10));
    dmheap_unregister_module("sensor");
    test_port_forget_lines();
    assert_non_null(dmheap_malloc(1000, "sensor"));
    assert_int_equal(figures_of("sensor").limit, SIZE_MAX);
    expect_silence();
    (void)heap_verify();
}

static void what_a_module_holds_above_a_new_limit_stays(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* ptr = dmheap_malloc(500, "sensor");
    fill(ptr, 500, 7);
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", 100));
    assert_int_equal(figures_of("sensor").bytes, bytes_of(ptr));
    assert_true(is_filled(ptr, 500, 7));
    expect_way_refused(&ways[0], 0, "sensor", DMHEAP_REASON_LIMIT);
    expect_way_refused(&ways[0], 40000, "sensor", DMHEAP_REASON_LIMIT); /* rather than no memory */
    assert_ptr_equal(dmheap_realloc(ptr, 500, NULL), ptr);              /* no more than before */
    assert_ptr_equal(dmheap_realloc(ptr, 300, NULL), ptr); /* less, if still too much */
    expect_silence();
    const struct picture before = picture_of("sensor");
    assert_null(dmheap_realloc(ptr, 400, NULL));
    expect_pointer_line("realloc", ptr, DMHEAP_REASON_LIMIT);
    expect_refused(&before, 400, DMHEAP_REASON_LIMIT);
    assert_true(is_filled(ptr, 300, 7));
    dmheap_free(ptr, false);
    assert_non_null(dmheap_malloc(20, "sensor"));
    expect_silence();
}

/* ---- limits and realloc ----------------------------------------------------------------- */

/* What lies behind a block that is to grow. */
enum behind { UNTOUCHED, HOLE, JUST_ENOUGH, REST_GOES_ALONG, BEHINDS };

#define HOLE_BYTES ((size_t)512)

/* A block of `sensor` with that behind it, at an alignment. */
static void* block_with(enum behind behind, size_t alignment)
{
    know("sensor");
    void* ptr = dmheap_aligned_alloc(alignment, 100, "sensor");
    assert_non_null(ptr);
    fill(ptr, 100, 3);
    if (behind != UNTOUCHED) {
        void* hole = dmheap_malloc(HOLE_BYTES - OVERHEAD, NULL);
        assert_non_null(dmheap_malloc(256, NULL)); /* too large for a gap in front of `ptr` */
        assert_int_equal(bytes_of(hole), HOLE_BYTES);
        dmheap_free(hole, false);
    }
    return ptr;
}

/* What to ask for so that the block grows; *grown is what it would have then. */
static size_t more_for(const void* ptr, enum behind behind, bool is_aligned_more, size_t* grown)
{
    const size_t granule = (size_t)ctx_granule(test_heap.ctx);
    const size_t more = behind == UNTOUCHED || behind == HOLE ? 10 * granule
                        : behind == JUST_ENOUGH               ? HOLE_BYTES
                                                              : HOLE_BYTES - granule;
    *grown = bytes_of(ptr) + (behind == REST_GOES_ALONG ? HOLE_BYTES : more);
    return bytes_of(ptr) + more - OVERHEAD - is_aligned_more;
}

typedef void* (*resize)(void* ptr, size_t size);

static void* resize_by_nine(void* ptr, size_t size)
{
    return dmheap_realloc(ptr, size, NULL);
}

static void* resize_by_ctx(void* ptr, size_t size)
{
    return dmheap_ctx_realloc(test_heap.ctx, ptr, size, "another");
}

static void* resize_by_alignment(void* ptr, size_t size)
{
    return dmheap_ctx_aligned_realloc(NULL, ptr, 8, size, NULL);
}

static void* resize_by_dmod(void* ptr, size_t size)
{
    return Dmod_ReallocEx(ptr, size, NULL);
}

static const resize resizes[] = {resize_by_nine, resize_by_ctx, resize_by_alignment,
                                 resize_by_dmod};

/* With one byte less than it takes a block stays as it is, with so much it grows in place. */
static void expect_growth_to_limit(enum behind behind, size_t alignment, resize resize_to)
{
    heap_open(16 * KIB, 8);
    size_t grown;
    void* ptr = block_with(behind, alignment);
    const size_t size = more_for(ptr, behind, alignment > 8, &grown);
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", grown - 1));
    const struct picture before = picture_of("sensor");
    assert_null(resize_to(ptr, size));
    expect_pointer_line("realloc", ptr, DMHEAP_REASON_LIMIT);
    expect_refused(&before, size, DMHEAP_REASON_LIMIT);
    assert_true(is_filled(ptr, 100, 3));
    assert_int_equal(heap_alignment(test_heap.ctx, block_of(ptr)), alignment);
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", grown));
    assert_ptr_equal(resize_to(ptr, size), ptr);
    assert_int_equal(bytes_of(ptr), grown);
    assert_int_equal(figures_of("sensor").bytes, grown);
    expect_silence();
    (void)heap_verify();
    close_heaps();
}

static void a_block_grows_in_place_up_to_the_limit(void** state)
{
    (void)state;
    for (unsigned behind = 0; behind < BEHINDS; behind++) {
        for (size_t alignment = 8; alignment <= 256; alignment *= 8) {
            for (unsigned i = 0; i < COUNT_OF(resizes); i++) {
                expect_growth_to_limit((enum behind)behind, alignment, resizes[i]);
            }
        }
    }
}

/* At the untouched end nothing is written before the answer is known, but for trailers. */
static void a_refused_growth_at_the_end_leaves_every_byte(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* ptr = block_with(UNTOUCHED, 8);
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", 300));
    snapshot_take();
    assert_null(dmheap_realloc(ptr, 400, NULL));
    expect_error();
    assert_true(snapshot_is_same());
    assert_null(dmheap_realloc(ptr, 400000, NULL));
    expect_error();
    assert_true(snapshot_is_same());
}

static void a_block_that_moves_needs_both_places_below_the_limit(void** state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(resizes); i++) {
        heap_open(16 * KIB, 8);
        void* ptr = dmheap_malloc(100, "sensor");
        assert_non_null(dmheap_malloc(100, NULL));
        fill(ptr, 100, 9);
        const size_t old = bytes_of(ptr);
        const size_t new = (size_t)heap_need(test_heap.ctx, 300);
        assert_true(dmheap_ctx_set_limit(NULL, "sensor", old + new - 1));
        const struct picture before = picture_of("sensor");
        assert_null(resizes[i](ptr, 300));
        expect_pointer_line("realloc", ptr, DMHEAP_REASON_LIMIT);
        expect_refused(&before, 300, DMHEAP_REASON_LIMIT);
        assert_true(is_filled(ptr, 100, 9));
        assert_true(dmheap_ctx_set_limit(NULL, "sensor", old + new));
        void* moved = resizes[i](ptr, 300);
        assert_non_null(moved);
        assert_ptr_not_equal(moved, ptr);
        assert_true(is_filled(moved, 100, 9));
        assert_int_equal(figures_of("sensor").bytes, new);
        assert_int_equal(figures_of("sensor").peak, old + new);
        assert_int_equal(figures_of("sensor").allocations, 2);
        expect_silence();
        (void)heap_verify();
        close_heaps();
    }
}

static void a_block_realigned_needs_both_places_below_the_limit(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* ptr = dmheap_malloc(100, "sensor");
    fill(ptr, 100, 9);
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", bytes_of(ptr) + 20));
    const struct picture before = picture_of("sensor");
    assert_null(dmheap_ctx_aligned_realloc(NULL, ptr, 256, 50, NULL));
    expect_pointer_line("realloc", ptr, DMHEAP_REASON_LIMIT);
    expect_refused(&before, 50, DMHEAP_REASON_LIMIT);
    const struct picture again = picture_of("sensor");
    assert_null(dmheap_ctx_aligned_realloc(NULL, ptr, 256, SIZE_MAX, NULL));
    expect_error();
    expect_refused(&again, SIZE_MAX, DMHEAP_REASON_LIMIT);
    assert_true(is_filled(ptr, 100, 9));
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", SIZE_MAX));
    assert_non_null(dmheap_ctx_aligned_realloc(NULL, ptr, 256, 50, NULL));
    expect_silence();
    (void)heap_verify();
}

static void a_realloc_without_memory_counts_for_the_owner(void** state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(resizes); i++) {
        heap_open(8 * KIB, 8);
        void* ptr = dmheap_malloc(100, "sensor");
        assert_non_null(dmheap_malloc(100, NULL));
        const size_t sizes[] = {all_bytes() - OVERHEAD, all_bytes(), 1000000, SIZE_MAX};
        for (unsigned j = 0; j < COUNT_OF(sizes); j++) {
            const struct picture before = picture_of("sensor");
            assert_null(resizes[i](ptr, sizes[j]));
            expect_pointer_line("realloc", ptr, DMHEAP_REASON_NO_MEMORY);
            expect_refused(&before, sizes[j], DMHEAP_REASON_NO_MEMORY);
        }
        close_heaps();
    }
}

/* ---- retag ------------------------------------------------------------------------------ */

static bool retag_by_ctx(void* ptr, const char* name)
{
    return dmheap_ctx_retag(NULL, ptr, name);
}

static bool (*const retags[])(void* ptr, const char* name) = {retag_by_ctx, Dmod_RetagEx};

static void a_block_handed_over_changes_both_accounts(void** state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(retags); i++) {
        heap_open(16 * KIB, 8);
        void* ptr = dmheap_malloc(100, "sensor");
        const size_t bytes = bytes_of(ptr);
        const struct dmheap_account had = {bytes, 1, bytes, 1, 0, 0, 0, SIZE_MAX, 0};
        const struct dmheap_account gave = {0, 0, bytes, 1, 0, 0, 0, SIZE_MAX, 0};
        static const char* const names[] = {"network", NULL, "sensor", "sensor", ""};
        const char* owner = "sensor";
        for (unsigned j = 0; j < 2; j++) {
            assert_true(retags[i](ptr, names[j]));
            struct dmheap_account now = figures_of(owner);
            expect_account(&now, &gave);
            now = figures_of(names[j]);
            expect_account(&now, &had);
            owner = names[j];
            (void)heap_verify();
        }
        for (unsigned j = 2; j < COUNT_OF(names); j++) {
            assert_true(retags[i](ptr, names[j]));
            (void)heap_verify();
        }
        assert_int_equal(figures_of("sensor").allocations, 2); /* to itself it was none */
        assert_int_equal(figures_of(NULL).allocations, 2);
        expect_silence();
        close_heaps();
    }
}

static void a_block_is_not_handed_to_a_module_at_its_limit(void** state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(retags); i++) {
        heap_open(16 * KIB, 8);
        void* ptr = dmheap_malloc(100, "sensor");
        fill(ptr, 100, 1);
        const size_t bytes = bytes_of(ptr);
        static const char* const names[] = {"network", NULL};
        for (unsigned j = 0; j < COUNT_OF(names); j++) {
            assert_true(dmheap_ctx_set_limit(NULL, names[j], bytes - 1));
            const struct picture before = picture_of(names[j]);
            const struct dmheap_account own = figures_of("sensor");
            assert_false(retags[i](ptr, names[j]));
            expect_pointer_line("retag", ptr, DMHEAP_REASON_LIMIT);
            expect_refused(&before, (size_t)heap_usable(test_heap.ctx, block_of(ptr)),
                           DMHEAP_REASON_LIMIT);
            const struct dmheap_account now = figures_of("sensor");
            expect_account(&now, &own);
            assert_string_equal(heap_owner_name(ptr), "sensor");
            assert_true(is_filled(ptr, 100, 1));
            assert_true(dmheap_ctx_set_limit(NULL, names[j], bytes));
            assert_true(retags[i](ptr, names[j]));
            assert_true(retags[i](ptr, "sensor"));
            expect_silence();
        }
        close_heaps();
    }
}

/* What a module gives away it may claim again: others must not have it, unless there is enough. */
static void a_block_of_a_reserve_is_not_handed_over(void** state)
{
    (void)state;
    static const char* const names[] = {"network", "newcomer", NULL};
    for (unsigned i = 0; i < COUNT_OF(retags) * COUNT_OF(names); i++) {
        heap_open(16 * KIB, 8);
        const char* name = names[i % COUNT_OF(names)];
        assert_true(dmheap_ctx_keep_dead(NULL, 2));
        void* hole = dmheap_malloc(300, "network"); /* for the newcomer's record */
        assert_non_null(dmheap_malloc(0, "network"));
        void* ptr = dmheap_malloc(1000, "sensor");
        dmheap_free(hole, true);
        assert_true(
            dmheap_ctx_set_reserve(NULL, "sensor", bytes_of(ptr) + heap_figures().free - 500));
        const struct picture before = picture_of(name);
        const struct dmheap_account own = figures_of("sensor");
        assert_false(retags[i / COUNT_OF(names)](ptr, name));
        expect_pointer_line("retag", ptr, DMHEAP_REASON_RESERVE);
        expect_refused(&before, (size_t)heap_usable(test_heap.ctx, block_of(ptr)),
                       DMHEAP_REASON_RESERVE);
        const struct dmheap_account now = figures_of("sensor");
        expect_account(&now, &own);
        assert_string_equal(heap_owner_name(ptr), "sensor");
        struct dmheap_account account;
        char text[DMHEAP_NAME_BYTES];
        assert_false(dmheap_ctx_get_dead(NULL, 0, text, &account)); /* nobody died */
        assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 2000));
        assert_true(retags[i / COUNT_OF(names)](ptr, name));
        expect_silence();
        (void)heap_verify();
        close_heaps();
    }
}

/* ---- reserves ---------------------------------------------------------------------------- */

static void what_is_reserved_serves_its_module_only(void** state)
{
    (void)state;
    for (const struct way* way = ways; way < ways + COUNT_OF(ways); way++) {
        heap_open(16 * KIB, 8);
        assert_non_null(way->alloc(100, "network"));
        assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 6 * KIB));
        assert_true(dmheap_ctx_set_reserve(NULL, NULL, KIB));
        assert_int_equal(figures_of("sensor").reserve, 6 * KIB);
        assert_int_equal(heap_figures().reserved, 7 * KIB);
        const size_t room = heap_figures().free - heap_figures().reserved;
        expect_way_refused(way, room, "network", DMHEAP_REASON_RESERVE);
        expect_way_refused(way, heap_figures().free, "network", DMHEAP_REASON_NO_MEMORY);
        assert_non_null(way->alloc(room - 60, "network"));
        expect_silence();
        expect_way_refused(way, 3000, "network", DMHEAP_REASON_RESERVE);
        if (!way->has_handle) {
            expect_way_refused(way, 10, "newcomer", DMHEAP_REASON_RESERVE);
            expect_way_refused(way, 3000, "newcomer", DMHEAP_REASON_RESERVE);
            expect_way_refused(way, 2000, NULL, DMHEAP_REASON_RESERVE);
            assert_non_null(way->alloc(900, NULL));
        }
        assert_non_null(way->alloc(2000, "sensor")); /* a part of it ... */
        assert_non_null(way->alloc(3800, "sensor")); /* ... and nearly all */
        expect_silence();
        expect_way_refused(way, 200, "network", DMHEAP_REASON_RESERVE);
        (void)heap_verify();
        close_heaps();
    }
}

static void what_a_module_holds_counts_for_its_reserve(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* ptr = dmheap_malloc(1000, "sensor");
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 5000));
    assert_int_equal(heap_figures().reserved, 5000 - bytes_of(ptr));
    void* more = dmheap_malloc(4500, "sensor");
    assert_int_equal(heap_figures().reserved, 0);
    dmheap_free(ptr, false);
    assert_int_equal(heap_figures().reserved, 5000 - bytes_of(more));
    more = dmheap_realloc(more, 300, NULL);
    assert_int_equal(heap_figures().reserved, 5000 - bytes_of(more));
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 100));
    assert_int_equal(heap_figures().reserved, 0);
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 0));
    assert_int_equal(figures_of("sensor").reserve, 0);
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 4000));
    dmheap_unregister_module("sensor");
    assert_int_equal(heap_figures().reserved, 0);
    test_port_forget_lines();
    assert_true(heap_is_empty());
}

/* Whoever frees leaves at least as much as others may claim. */
static void a_reserve_is_there_whatever_others_do(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    const size_t granule = (size_t)ctx_granule(test_heap.ctx);
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 4 * KIB));
    (void)heap_fill("network");
    assert_true(heap_figures().free >= 4 * KIB);
    assert_true(heap_figures().free < 4 * KIB + 2 * (size_t)BLOCK_MIN_BYTES);
    assert_non_null(dmheap_malloc(4 * KIB - granule - OVERHEAD, "sensor"));
    expect_silence();
    (void)heap_verify();
}

static void records_do_not_take_what_is_reserved(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", KIB));
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", heap_figures().free - 16));
    struct picture before = picture_of("network");
    assert_false(dmheap_register_module("network"));
    expect_module_line("registration", "network", reason_words[DMHEAP_REASON_RESERVE]);
    expect_refused(&before, 0, DMHEAP_REASON_RESERVE);
    before = picture_of("network");
    struct dmheap_module module;
    assert_false(dmheap_ctx_open_module(NULL, "network", &module));
    expect_module_line("opening", "network", reason_words[DMHEAP_REASON_RESERVE]);
    expect_refused(&before, 0, DMHEAP_REASON_RESERVE);
    before = picture_of("network");
    assert_false(dmheap_ctx_set_limit(NULL, "network", 5));
    expect_module_line("limit", "network", reason_words[DMHEAP_REASON_RESERVE]);
    expect_refused(&before, 0, DMHEAP_REASON_RESERVE);
    before = picture_of("network");
    assert_false(dmheap_ctx_set_reserve(NULL, "network", 0));
    expect_module_line("reserve", "network", reason_words[DMHEAP_REASON_RESERVE]);
    expect_refused(&before, 0, DMHEAP_REASON_RESERVE);
    before = picture_of("network");
    assert_false(dmheap_ctx_rename_module(NULL, "sensor", "network"));
    expect_module_line("renaming", "sensor", reason_words[DMHEAP_REASON_RESERVE]);
    expect_refused(&before, 0, DMHEAP_REASON_RESERVE);
    before = picture_of("network");
    assert_false(dmheap_ctx_keep_dead(NULL, 1));
    expect_error();
    expect_refused(&before, 0, DMHEAP_REASON_RESERVE);
}

static void a_reserve_beyond_what_is_free_is_refused(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* ptr = dmheap_malloc(1000, "sensor");
    assert_true(dmheap_ctx_set_reserve(NULL, "network", 3000));
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 2000));
    const size_t most = heap_figures().free - 3000 + bytes_of(ptr);
    const size_t beyond[] = {most + 1, all_bytes(), all_bytes() + 1, SIZE_MAX - 1, SIZE_MAX};
    for (unsigned i = 0; i < COUNT_OF(beyond); i++) {
        const struct picture before = picture_of("sensor");
        assert_false(dmheap_ctx_set_reserve(NULL, "sensor", beyond[i]));
        expect_module_line("reserve", "sensor", reason_words[DMHEAP_REASON_NO_MEMORY]);
        expect_picture(&before);
    }
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", most));
    assert_int_equal(heap_figures().reserved, heap_figures().free);
    expect_silence();
    (void)heap_verify();
}

static void a_reserve_may_be_a_byte_or_all_there_is(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    assert_false(dmheap_ctx_set_reserve(NULL, NULL, all_bytes() + 1));
    expect_error();
    assert_true(dmheap_ctx_set_reserve(NULL, NULL, all_bytes()));
    assert_int_equal(heap_figures().reserved, all_bytes());
    assert_true(dmheap_ctx_set_reserve(NULL, NULL, 0));
    assert_true(dmheap_ctx_set_reserve(NULL, NULL, 1));
    assert_int_equal(figures_of(NULL).reserve, 1);
    assert_int_equal(heap_figures().reserved, 1);
    expect_silence();
}

static void a_reserve_refused_makes_no_module_known(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    assert_true(dmheap_ctx_keep_dead(NULL, 2));
    const struct picture before = picture_of("sensor");
    assert_false(dmheap_ctx_set_reserve(NULL, "sensor", SIZE_MAX));
    expect_module_line("reserve", "sensor", reason_words[DMHEAP_REASON_NO_MEMORY]);
    expect_picture(&before);
    struct dmheap_account account;
    char name[DMHEAP_NAME_BYTES];
    assert_false(dmheap_ctx_get_dead(NULL, 0, name, &account));
}

/* ---- reasons ----------------------------------------------------------------------------- */

/* Blocks of that many bytes with as large holes between them, and nothing else free. */
static void open_in_pieces(size_t bytes)
{
    enum { MOST = 500 };
    void* ptr[MOST];
    unsigned count = 0;
    heap_open(16 * KIB, 8);
    assert_true(dmheap_register_module("sensor"));
    while (count < MOST && (ptr[count] = dmheap_malloc(bytes - OVERHEAD, NULL)) != NULL) {
        count++;
    }
    assert_true(count < MOST);
    while (dmheap_malloc(0, NULL) != NULL) {
    }
    for (unsigned i = 0; i + 1 < count; i += 2) {
        dmheap_free(ptr[i], false);
    }
    test_port_forget_lines();
}

static void why_a_request_failed_is_told(void** state)
{
    (void)state;
    for (const struct way* way = ways; way < ways + COUNT_OF(ways); way++) {
        open_in_pieces(256);
        const size_t free_bytes = heap_figures().free;
        static const char* const names[] = {"sensor", "newcomer", NULL};
        for (unsigned i = 0; i < (way->has_handle ? 1U : COUNT_OF(names)); i++) {
            expect_way_refused(way, 400, names[i], DMHEAP_REASON_FRAGMENTED);
            expect_way_refused(way, free_bytes - OVERHEAD, names[i], DMHEAP_REASON_FRAGMENTED);
            expect_way_refused(way, free_bytes - OVERHEAD + 1, names[i], DMHEAP_REASON_NO_MEMORY);
            expect_way_refused(way, 20000, names[i], DMHEAP_REASON_NO_MEMORY);
            expect_way_refused(way, SIZE_MAX - 1, names[i], DMHEAP_REASON_NO_MEMORY);
            expect_way_refused(way, SIZE_MAX, names[i], DMHEAP_REASON_NO_MEMORY);
        }
        close_heaps();
    }
}

/* Holes as large as half of the block, more free than one, and a limit or a reserve on the edge. */
static void why_a_request_failed_is_told_to_the_byte(void** state)
{
    (void)state;
    const size_t block = 24 * WORD;
    const size_t size = block - OVERHEAD;
    open_in_pieces(12 * WORD);
    const size_t free_bytes = heap_figures().free;
    const size_t held = figures_of("sensor").bytes;
    static const char* const names[] = {"newcomer", NULL, "sensor"};
    for (unsigned i = 0; i < 2 * COUNT_OF(names); i++) {
        const char* name = names[i / 2];
        const bool is_beyond = i % 2 != 0;
        const bool is_others = name == NULL || strcmp(name, "sensor") != 0;
        assert_true(dmheap_ctx_set_reserve(NULL, "sensor", held + free_bytes - block + is_beyond));
        assert_null(dmheap_malloc(size, name));
        expect_request_line(size, name != NULL ? name : "(none)",
                            is_beyond && is_others ? DMHEAP_REASON_RESERVE
                                                   : DMHEAP_REASON_FRAGMENTED);
    }
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", held + block));
    assert_null(dmheap_malloc(size, "sensor"));
    expect_request_line(size, "sensor", DMHEAP_REASON_FRAGMENTED);
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", held + block - 1));
    assert_null(dmheap_malloc(size, "sensor"));
    expect_request_line(size, "sensor", DMHEAP_REASON_LIMIT);
}

static void memory_that_is_not_aligned_so_is_in_pieces(void** state)
{
    (void)state;
    open_in_pieces(256);
    const struct picture before = picture_of("sensor");
    assert_null(dmheap_aligned_alloc(4096, 200, "sensor"));
    expect_request_line(200, "sensor", DMHEAP_REASON_FRAGMENTED);
    expect_refused(&before, 200, DMHEAP_REASON_FRAGMENTED);
}

/* A heap that is empty has as much as its largest block, only not aligned so; it has not one byte more. */
static void all_of_an_empty_heap_is_not_aligned_otherwise(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_null(dmheap_aligned_alloc(1024, all_bytes() - OVERHEAD, NULL));
    expect_error();
    assert_int_equal(figures_of(NULL).last_reason, DMHEAP_REASON_FRAGMENTED);
    assert_null(dmheap_aligned_alloc(1024, all_bytes() - OVERHEAD + 1, NULL));
    expect_error();
    assert_int_equal(figures_of(NULL).last_reason, DMHEAP_REASON_NO_MEMORY);
}

static void a_product_beyond_any_size_is_no_memory(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    assert_true(dmheap_register_module("sensor"));
    test_port_forget_lines();
    const struct picture before = picture_of("sensor");
    assert_null(dmheap_ctx_calloc(NULL, SIZE_MAX / 2, 3, "sensor"));
    expect_error();
    expect_refused(&before, SIZE_MAX, DMHEAP_REASON_NO_MEMORY);
}

/* The holes serve its block, but no record: what is free then is less than what is reserved. */
static void a_newcomer_that_meets_a_reserve_in_pieces_is_told_so(void** state)
{
    (void)state;
    open_in_pieces(12 * WORD);
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", heap_figures().free - 8));
    const struct picture before = picture_of("newcomer");
    assert_null(dmheap_malloc(11 * WORD, "newcomer"));
    expect_request_line(11 * WORD, "newcomer", DMHEAP_REASON_RESERVE);
    expect_refused(&before, 11 * WORD, DMHEAP_REASON_RESERVE);
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 0));
    assert_true(dmheap_ctx_set_limit(NULL, NULL, 0));
    const struct picture nobody = picture_of(NULL);
    assert_null(dmheap_malloc(11 * WORD, NULL));
    expect_request_line(11 * WORD, "(none)", DMHEAP_REASON_LIMIT);
    expect_refused(&nobody, 11 * WORD, DMHEAP_REASON_LIMIT);
}

static void why_a_module_can_have_no_record_is_told(void** state)
{
    (void)state;
    open_in_pieces(8 * WORD);
    assert_false(dmheap_register_module("newcomer"));
    expect_module_line("registration", "newcomer", reason_words[DMHEAP_REASON_FRAGMENTED]);
}

static void a_request_that_was_wrong_in_itself_is_no_failure(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* ptr = dmheap_malloc(100, "sensor");
    const struct picture before = picture_of("sensor");
    assert_null(dmheap_malloc(100, long_name(64, 'x')));
    assert_null(dmheap_aligned_alloc(3, 100, "sensor"));
    assert_null(dmheap_realloc((char*)ptr + 1, 100, "sensor"));
    assert_false(dmheap_ctx_retag(NULL, (char*)ptr + 1, "sensor"));
    assert_false(dmheap_ctx_rename_module(NULL, "sensor", ""));
    assert_false(dmheap_register_module(""));
    dmheap_free((char*)ptr + 1, false);
    test_port_forget_lines();
    expect_picture(&before);
    (void)heap_fill(NULL);
    const struct picture full = picture_of("sensor");
    assert_null(dmheap_malloc(100, long_name(64, 'x')));
    expect_error_of("dmheap: 100 bytes for module ?: the name is empty or too long.\n");
    expect_picture(&full);
}

/* Before any function of the family was called, the nine go another way. */
static void a_registration_refused_counts_on_either_way(void** state)
{
    (void)state;
    unsigned char* buffer = arena_make(8 * KIB, 0);
    assert_true(heap_start(buffer, 8 * KIB, 8));
    assert_true(heap_start(buffer, 8 * KIB, 8)); /* forgets that one was called */
    (void)heap_fill(NULL);
    const struct dmheap_totals before = *ctx_totals(test_heap.ctx);
    assert_false(dmheap_register_module("sensor"));
    expect_module_line("registration", "sensor", reason_words[DMHEAP_REASON_NO_MEMORY]);
    assert_int_equal(heap_figures().failures[0], before.failures[0] + 1);
    assert_false(dmheap_register_module("sensor"));
    test_port_forget_lines();
    assert_int_equal(heap_figures().failures[0], before.failures[0] + 2);
}

/* ---- several heaps ------------------------------------------------------------------------ */

static struct dmheap_ctx* second_heap(size_t size)
{
    struct dmheap_ctx* ctx = dmheap_ctx_init(arena_make(size, 0), size, 8);
    assert_non_null(ctx);
    assert_true(dmheap_ctx_add_default(ctx));
    test_port_forget_lines();
    return ctx;
}

/* One heap has the memory for the new name, the other one has not. */
static void a_renaming_that_one_heap_refuses_leaves_the_figures_of_the_other(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    know("sensor");
    struct dmheap_ctx* full = second_heap(8 * KIB);
    assert_true(dmheap_ctx_register_module(full, "sensor"));
    while (dmheap_ctx_malloc(full, 0, NULL) != NULL) {
    }
    test_port_forget_lines();
    const struct picture before = picture_of("sensor");
    assert_false(dmheap_ctx_rename_module(NULL, "sensor", long_name(63, 'x')));
    expect_module_line("renaming", "sensor", reason_words[DMHEAP_REASON_NO_MEMORY]);
    expect_picture(&before);
}

static struct dmheap_account account_in(struct dmheap_ctx* ctx, const char* module_name)
{
    struct dmheap_account account;
    assert_true(dmheap_ctx_get_account(ctx, module_name, &account));
    return account;
}

static void each_heap_has_its_accounts_and_counts_its_refusals(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    struct dmheap_ctx* first = test_heap.ctx;
    struct dmheap_ctx* second = second_heap(32 * KIB);
    assert_true(dmheap_ctx_set_limit(first, "sensor", 1000));
    void* ptr = dmheap_malloc(2000, "sensor");
    assert_int_equal(account_in(first, "sensor").failures, 1);
    assert_int_equal(account_in(first, "sensor").last_reason, DMHEAP_REASON_LIMIT);
    assert_int_equal(account_in(second, "sensor").failures, 0);
    assert_int_equal(account_in(second, "sensor").bytes, bytes_of(ptr));
    assert_int_equal(account_in(NULL, "sensor").bytes, 0); /* of the first that knows it */
    expect_silence();
    assert_null(dmheap_malloc(40000, "sensor"));
    expect_request_line(40000, "sensor", DMHEAP_REASON_NO_MEMORY); /* as the last one said */
    assert_int_equal(account_in(first, "sensor").failures, 2);
    assert_int_equal(account_in(second, "sensor").failures, 1);
    struct dmheap_module module;
    assert_true(dmheap_ctx_open_module(second, "sensor", &module));
    assert_non_null(dmheap_ctx_malloc_for(NULL, 2000, module));
    assert_int_equal(account_in(second, "sensor").blocks, 2);
    assert_int_equal(account_in(first, "sensor").failures, 2);
    test_heap.ctx = second;
    (void)heap_verify();
    assert_int_equal(account_in(second, NULL).bytes, 0);
    assert_true(dmheap_ctx_deinit(second));
    test_heap.ctx = first;
    (void)heap_verify();
}

static void null_is_the_first_heap_that_knows_the_module(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    struct dmheap_ctx* first = test_heap.ctx;
    struct dmheap_ctx* second = second_heap(32 * KIB);
    const void* ptr = dmheap_ctx_malloc(second, 100, "sensor");
    assert_int_equal(account_in(NULL, "sensor").bytes, bytes_of(ptr));
    assert_true(dmheap_ctx_set_limit(NULL, "sensor", 1000));
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 500));
    assert_int_equal(account_in(second, "sensor").limit, 1000);
    assert_int_equal(account_in(second, "sensor").reserve, 500);
    assert_null(record_find(first, "sensor"));
    assert_true(dmheap_ctx_reset_peak(NULL, "sensor"));
    assert_true(dmheap_ctx_set_limit(NULL, "newcomer", 7)); /* the first with room */
    assert_int_equal(account_in(first, "newcomer").limit, 7);
    assert_null(record_find(second, "newcomer"));
    assert_true(dmheap_ctx_set_limit(NULL, NULL, 0)); /* nobody: the first */
    assert_int_equal(account_in(first, "").limit, 0);
    assert_int_equal(account_in(second, "").limit, SIZE_MAX);
    while (dmheap_ctx_malloc(first, 0, "newcomer2") != NULL) {
    }
    test_port_forget_lines();
    assert_true(dmheap_ctx_set_limit(NULL, "third", 9));
    assert_int_equal(account_in(second, "third").limit, 9);
    assert_null(record_find(first, "third"));
    struct dmheap_account account;
    assert_false(dmheap_ctx_get_account(first, "third", &account));
    expect_error();
    struct dmheap_heap_account heap;
    assert_true(dmheap_ctx_get_heap_account(NULL, &heap));
    assert_int_equal(heap.used + heap.free, (size_t)(first->end - first->first));
    assert_true(dmheap_ctx_deinit(second));
}

static void a_heap_in_a_block_of_another_is_one_block_there(void** state)
{
    (void)state;
    heap_open(32 * KIB, 8);
    struct dmheap_ctx* outer = test_heap.ctx;
    void* buffer = dmheap_malloc(8 * KIB, "sensor");
    struct dmheap_ctx* inner = dmheap_ctx_init(buffer, 8 * KIB, 8);
    assert_non_null(inner);
    assert_true(dmheap_ctx_set_limit(inner, "sensor", 200));
    const struct dmheap_account before = account_in(outer, "sensor");
    assert_non_null(dmheap_ctx_malloc(inner, 100, "sensor"));
    assert_null(dmheap_ctx_malloc(inner, 100, "sensor"));
    const struct dmheap_account after = account_in(outer, "sensor");
    expect_account(&after, &before);
    assert_int_equal(account_in(inner, "sensor").failures, 1);
    assert_int_equal(account_in(inner, "sensor").blocks, 1);
    assert_true(dmheap_ctx_deinit(inner));
    dmheap_free(buffer, false);
    test_port_forget_lines();
    assert_int_equal(account_in(outer, "sensor").bytes, 0);
    (void)heap_verify();
}

/* ---- a heap's account ---------------------------------------------------------------------- */

static void a_heap_account_tells_used_free_and_the_least_free(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    struct dmheap_heap_account now = heap_figures();
    const struct dmheap_heap_account fresh = {0, all_bytes(), all_bytes(), 0, {0, 0, 0, 0}};
    expect_heap_account(&now, &fresh);
    void* ptr = dmheap_malloc(1000, "sensor");
    now = heap_figures();
    struct dmheap_stats stats;
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_int_equal(now.used, stats.used);
    assert_int_equal(now.free, stats.free);
    assert_int_equal(now.used, bytes_of(ptr) + stats.own);
    assert_int_equal(now.min_free, now.free);
    const size_t least = now.free;
    const size_t freed = bytes_of(ptr);
    dmheap_free(ptr, false);
    assert_int_equal(heap_figures().min_free, least);
    assert_int_equal(heap_figures().free, least + freed);
    assert_true(dmheap_ctx_reset_min_free(NULL));
    assert_int_equal(heap_figures().min_free, heap_figures().free);
    expect_silence();
}

static void what_is_refused_was_never_used(void** state)
{
    (void)state;
    for (size_t left = 0; left < 600; left += 8) {
        heap_open(16 * KIB, 8);
        void* ptr = dmheap_malloc(heap_figures().free - left - OVERHEAD, NULL);
        assert_non_null(ptr);
        struct picture before = picture_of("sensor");
        const bool is_known = dmheap_register_module("sensor");
        before.heap.failures[0] = heap_figures().failures[0]; /* or [1] */
        before.heap.failures[1] = heap_figures().failures[1];
        if (!is_known) {
            expect_picture(&before);
            assert_null(dmheap_malloc(0, "sensor"));
            before.heap.failures[0] = heap_figures().failures[0];
            before.heap.failures[1] = heap_figures().failures[1];
            expect_picture(&before);
        }
        test_port_forget_lines();
        close_heaps();
    }
}

static void overhead_is_all_that_serves_no_client(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    assert_true(dmheap_ctx_keep_dead(NULL, 3));
    struct dmheap_stats stats;
    size_t payload = 0;
    for (unsigned i = 0; i < 20; i++) {
        void* ptr = dmheap_malloc(40 + i * 16, i % 2 != 0 ? "sensor" : NULL);
        payload += heap_capacity(ptr);
        assert_true(dmheap_ctx_get_stats(NULL, &stats));
        assert_int_equal(stats.overhead + payload + stats.free, test_heap.size);
        assert_int_equal(stats.used, heap_figures().used);
    }
    expect_silence();
}

static void a_heap_nearly_full_is_not_called_fragmented(void** state)
{
    (void)state;
    struct dmheap_stats stats;
    heap_open(16 * KIB, 8);
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_int_equal(stats.fragmentation, 0);
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 10 * KIB)); /* makes no difference */
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_int_equal(stats.fragmentation, 0);
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 0));
    open_in_pieces(256);
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_in_range(stats.fragmentation, 40, 50);
    (void)heap_fill(NULL);
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_true(stats.fragmentation < 2);
}

/* ---- the largest block ----------------------------------------------------------------------- */

/* Whatever is reserved, nobody gets exactly what is told. */
static void expect_largest(void)
{
    struct dmheap_stats stats;
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    if (stats.largest_alloc != 0) {
        void* ptr = dmheap_malloc(stats.largest_alloc, NULL);
        assert_non_null(ptr);
        dmheap_free(ptr, false);
    }
    expect_silence();
}

static void largest_alloc_is_served_beside_reserves(void** state)
{
    (void)state;
    static const size_t alignments[] = {4, 8, 16, 64};
    for (unsigned i = 0; i < COUNT_OF(alignments); i++) {
        heap_open(8 * KIB, alignments[i]);
        expect_largest();
        for (size_t bytes = 1; dmheap_ctx_set_reserve(NULL, "sensor", bytes); bytes += 5) {
            expect_largest();
        }
        test_port_forget_lines();
        assert_int_equal(figures_of(NULL).bytes, 0);
        close_heaps();
    }
}

static void largest_alloc_in_pieces_is_no_larger_than_the_largest(void** state)
{
    (void)state;
    for (size_t bytes = 64; bytes <= 512; bytes += 56) {
        open_in_pieces(bytes);
        for (size_t spare = 0; spare < 1200; spare += 4) {
            assert_true(dmheap_ctx_set_reserve(NULL, "sensor", heap_figures().free - spare));
            expect_largest();
        }
        for (size_t reserve = 0; reserve < 100; reserve += 3) {
            assert_true(dmheap_ctx_set_reserve(NULL, "sensor", reserve));
            expect_largest();
        }
        close_heaps();
    }
}

/* However little is asked for: it is a block, and what is left of its piece goes along. */
static void largest_alloc_is_a_block_with_its_rest(void** state)
{
    (void)state;
    static const size_t alignments[] = {4, 8, 16};
    for (unsigned i = 0; i < COUNT_OF(alignments); i++) {
        heap_open(2 * KIB, alignments[i]);
        const size_t granule = (size_t)ctx_granule(test_heap.ctx);
        assert_true(dmheap_register_module("sensor"));
        void* piece = dmheap_malloc(2 * BLOCK_MIN_BYTES - granule - OVERHEAD, NULL);
        (void)heap_fill("sensor");
        dmheap_free(piece, false);
        const size_t held = figures_of("sensor").bytes;
        for (size_t reserve = 0; dmheap_ctx_set_reserve(NULL, "sensor", held + reserve);
             reserve++) {
            test_port_forget_lines();
            expect_largest();
        }
        close_heaps();
    }
}

static void largest_alloc_is_a_smallest_block_where_reserves_leave_two(void** state)
{
    (void)state;
    struct dmheap_stats stats;
    heap_open(2 * KIB, 8);
    assert_true(dmheap_register_module("sensor"));
    const size_t most = heap_figures().free - 2 * BLOCK_MIN_BYTES;
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", most));
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_int_equal(stats.largest_alloc, BLOCK_MIN_BYTES - OVERHEAD);
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", most + 1));
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_int_equal(stats.largest_alloc, 0);
}

static void largest_alloc_is_all_of_the_piece_where_enough_is_free(void** state)
{
    (void)state;
    open_in_pieces(256);
    assert_true(dmheap_ctx_set_reserve(NULL, "sensor", 500));
    struct dmheap_stats stats;
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_int_equal(stats.largest_alloc, 256 - OVERHEAD);
}

/* ---- dead modules ------------------------------------------------------------------------- */

static void live_and_die(const char* name, size_t size)
{
    assert_non_null(dmheap_malloc(size, name));
    dmheap_unregister_module(name);
    test_port_forget_lines();
}

static void expect_dead(size_t index, const char* name, size_t bytes)
{
    struct dmheap_account account;
    char text[DMHEAP_NAME_BYTES];
    assert_true(dmheap_ctx_get_dead(NULL, index, text, &account));
    assert_string_equal(text, name);
    const struct dmheap_account wanted = {bytes, 1, bytes, 1, 0, 0, 0, SIZE_MAX, 0};
    expect_account(&account, &wanted);
}

static void expect_no_dead(size_t index)
{
    struct dmheap_account account;
    char text[DMHEAP_NAME_BYTES] = "x";
    memset(&account, 1, sizeof(account));
    assert_false(dmheap_ctx_get_dead(NULL, index, text, &account));
    assert_string_equal(text, "");
    expect_account(&account, &no_account);
    expect_silence();
}

static void the_latest_dead_are_kept(void** state)
{
    (void)state;
    for (size_t count = 1; count <= 5; count++) {
        heap_open(16 * KIB, 8);
        live_and_die("early", 100); /* not kept: nothing is, unless asked for */
        expect_no_dead(0);
        assert_true(dmheap_ctx_keep_dead(NULL, count));
        expect_no_dead(0);
        char name[DMHEAP_NAME_BYTES];
        for (unsigned i = 0; i < 12; i++) {
            (void)snprintf(name, sizeof(name), "m%u", i);
            live_and_die(name, 20 + 40 * i);
            for (unsigned j = 0; j < count && j <= i; j++) {
                (void)snprintf(name, sizeof(name), "m%u", i - j);
                expect_dead(j, name, (size_t)heap_need(test_heap.ctx, 20 + 40 * (i - j)));
            }
            expect_no_dead(i + 1 < count ? i + 1 : count);
            expect_no_dead(SIZE_MAX);
            (void)heap_verify();
        }
        close_heaps();
    }
}

/* Whatever an entry's size is, one of these counts makes a product that wraps around. */
static void more_dead_than_any_size_has_room_for_are_refused(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    for (size_t entry = 1; entry < 300; entry++) {
        assert_false(dmheap_ctx_keep_dead(NULL, SIZE_MAX / entry));
        assert_false(dmheap_ctx_keep_dead(NULL, SIZE_MAX / entry + (entry > 1)));
    }
    test_port_forget_lines();
    expect_no_dead(0);
    assert_int_equal(heap_verify().own_blocks, 0);
}

static void the_dead_take_a_block_of_the_heaps_own(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    assert_true(dmheap_ctx_keep_dead(NULL, 10));
    struct dmheap_stats stats;
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_int_equal(stats.own, stats.used);
    assert_in_range(stats.own, 10 * 80, 10 * 140);
    live_and_die(long_name(63, 'x'), 100);
    expect_dead(0, long_name(63, 'x'), (size_t)heap_need(test_heap.ctx, 100));
    assert_true(dmheap_ctx_keep_dead(NULL, 4)); /* those kept before are forgotten */
    expect_no_dead(0);
    (void)heap_verify();
    live_and_die("sensor", 100);
    assert_true(dmheap_ctx_keep_dead(test_heap.ctx, 0));
    expect_no_dead(0);
    assert_true(heap_is_empty());
    live_and_die("sensor", 100);
    expect_no_dead(0);
    assert_true(dmheap_ctx_keep_dead(test_heap.ctx, 0));
    expect_silence();
}

static void the_dead_that_cannot_be_kept_change_nothing(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    assert_true(dmheap_ctx_keep_dead(NULL, 2));
    live_and_die("sensor", 100);
    static const size_t counts[] = {1000, SIZE_MAX / 200, SIZE_MAX / 100, SIZE_MAX / 2, SIZE_MAX};
    for (unsigned i = 0; i < COUNT_OF(counts); i++) {
        const struct picture before = picture_of(NULL);
        assert_false(dmheap_ctx_keep_dead(NULL, counts[i]));
        expect_error();
        struct picture wanted = before;
        wanted.heap.failures[DMHEAP_REASON_NO_MEMORY]++;
        expect_picture(&wanted);
        expect_dead(0, "sensor", (size_t)heap_need(test_heap.ctx, 100));
    }
}

/* Whatever stands in the kept figures: no call leaves the heap, and the name ends. */
static void what_was_written_over_the_dead_leads_nowhere(void** state)
{
    (void)state;
    for (unsigned pattern = 0; pattern < 300; pattern++) {
        struct image_census census;
        heap_open(8 * KIB, 8);
        assert_true(dmheap_ctx_keep_dead(NULL, 3));
        live_and_die("a", 10);
        live_and_die("b", 20);
        struct dead_ring* ring = dead_ring(test_heap.ctx);
        assert_non_null(ring);
        const size_t size = (size_t)heap_usable(test_heap.ctx, block_of(ring));
        if (pattern < 256) {
            memset(ring, (int)pattern, size);
        } else {
            ring->count = pattern % 7 * 1000;
            ring->next = pattern % 11;
        }
        for (size_t index = 0; index < 6; index++) {
            struct dmheap_account account;
            char name[DMHEAP_NAME_BYTES];
            if (dmheap_ctx_get_dead(NULL, index, name, &account)) {
                assert_true(index < 3 && ring->next < 3);
            }
            assert_non_null(memchr(name, '\0', sizeof(name)));
        }
        live_and_die("c", 30);
        const enum dmheap_fault fault = heap_fault(test_heap.ctx, &census);
        assert_true(fault == DMHEAP_FAULT_NONE || fault == DMHEAP_FAULT_DEAD);
        arenas_verify();
        assert_true(dmheap_ctx_keep_dead(NULL, 1));
        (void)heap_verify();
        live_and_die("d", 40);
        expect_dead(0, "d", (size_t)heap_need(test_heap.ctx, 40));
        close_heaps();
    }
}

static void each_heap_keeps_its_own_dead(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    struct dmheap_ctx* second = second_heap(8 * KIB);
    assert_true(dmheap_ctx_keep_dead(second, 2));
    assert_non_null(dmheap_ctx_malloc(second, 50, "sensor"));
    assert_non_null(dmheap_malloc(70, "sensor"));
    dmheap_unregister_module("sensor");
    test_port_forget_lines();
    expect_no_dead(0); /* of the first heap */
    struct dmheap_account account;
    char name[DMHEAP_NAME_BYTES];
    assert_true(dmheap_ctx_get_dead(second, 0, name, &account));
    assert_string_equal(name, "sensor");
    assert_int_equal(account.bytes, (size_t)heap_need(second, 50));
    assert_true(dmheap_ctx_deinit(second));
    assert_false(dmheap_ctx_get_dead(second, 0, name, &account));
}

/* ---- damage -------------------------------------------------------------------------------- */

/* A hole of that size whose links were written over; behind it nothing, or all that was free. */
static void open_with_broken_hole(size_t payload, bool is_full)
{
    heap_open(16 * KIB, 8);
    know("wall");
    void* ptr = dmheap_malloc(payload, NULL);
    assert_non_null(dmheap_malloc(0, NULL));
    if (is_full) {
        (void)heap_fill(NULL);
    }
    dmheap_free(ptr, false);
    expect_silence();
    memset(ptr, 0x7f, 2 * WORD);
}

/* Damage is told by the call that meets it, which serves all the same if there is other memory. */
static void damage_on_the_way_is_told_at_once(void** state)
{
    (void)state;
    static const size_t ring = sizeof(struct dead_ring) + sizeof(struct dead);
    static const size_t record = offsetof(struct record, name) + sizeof("sensor");
    for (unsigned i = 0; i < 2; i++) {
        const bool is_full = i != 0;
        open_with_broken_hole(ring, is_full);
        assert_int_equal(dmheap_ctx_keep_dead(NULL, 1), !is_full);
        expect_error();
        assert_int_equal(test_heap.ctx->damage, 0);
        close_heaps();
        open_with_broken_hole(record, is_full);
        assert_int_equal(dmheap_ctx_set_limit(NULL, "sensor", 1000), !is_full);
        expect_module_line("limit", "sensor", "tags or links beside it were written over");
        assert_int_equal(test_heap.ctx->damage, 0);
        assert_int_equal(dmheap_ctx_set_limit(NULL, "sensor", 1000), !is_full);
        test_port_forget_lines();
        close_heaps();
    }
}

static void a_size_that_cannot_be_right_is_on_no_account(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* ptr = dmheap_malloc(100, "sensor");
    assert_non_null(dmheap_malloc(100, "network"));
    const dmheap_word header = block_of(ptr)->header;
    const struct dmheap_account sensor = figures_of("sensor");
    const struct dmheap_account network = figures_of("network");
    block_of(ptr)->header |= BLOCK_SIZE_MASK;
    assert_false(dmheap_ctx_retag(NULL, ptr, "network"));
    expect_error();
    struct dmheap_account now = figures_of("sensor");
    expect_account(&now, &sensor);
    now = figures_of("network");
    expect_account(&now, &network);
    block_of(ptr)->header = header;
    (void)heap_verify();
}

/* A block whose owner was written over is freed on another module's account, which ends at 0. */
static void an_owner_written_over_wraps_no_figure(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* ptr = dmheap_malloc(1000, "sensor");
    void* other = dmheap_malloc(10, "network");
    assert_true(dmheap_ctx_set_reserve(NULL, "network", 2000));
    block_set_owner(block_of(ptr), block_owner(block_of(other)));
    dmheap_free(ptr, false);
    dmheap_free(other, false);
    test_port_forget_lines();
    const struct dmheap_account now = figures_of("network");
    assert_int_equal(now.bytes, 0);
    assert_int_equal(now.blocks, 0);
    assert_true(heap_figures().reserved <= 2000);
    struct dmheap_stats stats;
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_true(stats.largest_alloc <= stats.free);
}

/* ---- locks --------------------------------------------------------------------------------- */

#define expect_holds(count, call)                              \
    do {                                                       \
        const unsigned before = test_port_holds();             \
        (void)(call);                                          \
        assert_int_equal(test_port_holds() - before, (count)); \
    } while (0)

static void each_takes_the_lock_once(void** state)
{
    (void)state;
    struct dmheap_account account;
    struct dmheap_heap_account heap;
    char name[DMHEAP_NAME_BYTES];
    heap_open(16 * KIB, 8);
    expect_holds(1, dmheap_ctx_set_limit(NULL, "sensor", 1000));
    expect_holds(1, dmheap_ctx_set_reserve(NULL, "sensor", 1000));
    expect_holds(1, dmheap_ctx_set_reserve(NULL, "network", SIZE_MAX));
    expect_holds(1, dmheap_ctx_get_account(NULL, "sensor", &account));
    expect_holds(1, dmheap_ctx_get_account(NULL, "nobody knows", &account));
    expect_holds(1, dmheap_ctx_reset_peak(NULL, "sensor"));
    expect_holds(1, dmheap_ctx_get_heap_account(NULL, &heap));
    expect_holds(1, dmheap_ctx_reset_min_free(NULL));
    expect_holds(1, dmheap_ctx_keep_dead(NULL, 3));
    expect_holds(1, dmheap_ctx_get_dead(NULL, 0, name, &account));
    expect_holds(1, dmheap_malloc(2000, "sensor")); /* refused */
}

/* The free memory that there is may be less than reserves claim: where an owner was written over. */
static void nothing_is_to_be_had_beside_reserves_that_nothing_covers(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_true(dmheap_ctx_set_reserve(NULL, "app", 1000));
    struct dmheap_ctx* ctx = test_heap.ctx;
    const dmheap_word unmet = ctx_totals(ctx)->unmet;
    test_port_forget_lines();
    assert_true(account_bound(ctx, 2000) > 0);
    ctx_totals(ctx)->unmet = account_free(ctx) + 1;
    assert_int_equal(account_bound(ctx, 2000), 0);
    ctx_totals(ctx)->unmet = unmet;
    (void)heap_verify();
}

static void a_ring_whose_size_was_written_over_has_no_dead(void** state)
{
    (void)state;
    char name[DMHEAP_NAME_BYTES];
    struct dmheap_account account;
    heap_open(8 * KIB, 8);
    assert_true(dmheap_ctx_keep_dead(NULL, 3));
    live_and_die("a", 10);
    struct dmheap_block* block = block_of(dead_ring(test_heap.ctx));
    const dmheap_word header = block->header;
    block->header |= BLOCK_SIZE_MASK & ~(BLOCK_SIZE_MASK >> 1);
    assert_int_equal(dead_room(test_heap.ctx, dead_ring(test_heap.ctx)), 0);
    assert_false(dmheap_ctx_get_dead(NULL, 0, name, &account));
    block->header = header;
    assert_true(dmheap_ctx_get_dead(NULL, 0, name, &account));
    (void)heap_verify();
}

static void* ballast;

static bool free_ballast(const struct dmheap_failure* failure, void* context)
{
    (void)context;
    assert_int_equal(failure->size, 0);
    assert_string_equal(failure->module_name, "web");
    dmheap_free(ballast, false);
    return true;
}

/* A module that is made known for its limit or reserve is a request for memory like others. */
static void a_quota_that_a_failure_hook_helps_is_set(void** state)
{
    (void)state;
    for (unsigned is_reserve = 0; is_reserve < 2; is_reserve++) {
        heap_open(4 * KIB, 8);
        ballast = dmheap_malloc(1000, NULL);
        assert_non_null(ballast);
        (void)heap_fill(NULL);
        assert_true(dmheap_ctx_set_failure_hook(NULL, free_ballast, NULL));
        assert_true(is_reserve != 0 ? dmheap_ctx_set_reserve(NULL, "web", 300)
                                    : dmheap_ctx_set_limit(NULL, "web", 300));
        expect_silence();
        const struct dmheap_account account = figures_of("web");
        assert_int_equal(is_reserve != 0 ? account.reserve : account.limit, 300);
        (void)heap_verify();
        close_heaps();
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        account_case(a_heap_that_was_torn_down_has_no_accounts),
        account_case(an_account_counts_bytes_blocks_and_allocations),
        account_case(nobodys_account_is_that_of_null_and_of_the_empty_text),
        account_case(a_peak_stays_until_it_is_reset),
        account_case(a_block_resized_in_place_is_no_new_one),
        account_case(a_block_counts_in_both_places_while_realloc_copies_it),
        account_case(while_realloc_copies_both_blocks_count),
        account_case(a_block_that_is_being_cleared_counts),
        account_case(what_a_module_moved_when_it_went_leaves_no_sum),
        account_case(a_module_renamed_while_its_block_moves_keeps_its_account),
        account_case(a_module_that_goes_in_slices_takes_its_bytes_along),
        account_case(a_module_that_is_not_known_has_no_account),
        account_case(a_name_too_long_gets_no_limit_and_no_reserve),
        account_case(no_way_leads_beyond_a_limit),
        account_case(nobody_may_have_a_limit),
        account_case(a_limit_is_shown_lifted_and_forgotten),
        account_case(what_a_module_holds_above_a_new_limit_stays),
        account_case(a_block_grows_in_place_up_to_the_limit),
        case_if(OVERHEAD == WORD, a_refused_growth_at_the_end_leaves_every_byte, heap_case_begin,
                account_case_end),
        account_case(a_block_that_moves_needs_both_places_below_the_limit),
        account_case(a_block_realigned_needs_both_places_below_the_limit),
        account_case(a_realloc_without_memory_counts_for_the_owner),
        account_case(a_block_handed_over_changes_both_accounts),
        account_case(a_block_is_not_handed_to_a_module_at_its_limit),
        account_case(a_block_of_a_reserve_is_not_handed_over),
        account_case(what_is_reserved_serves_its_module_only),
        account_case(what_a_module_holds_counts_for_its_reserve),
        account_case(a_reserve_is_there_whatever_others_do),
        account_case(records_do_not_take_what_is_reserved),
        account_case(a_reserve_beyond_what_is_free_is_refused),
        account_case(a_reserve_may_be_a_byte_or_all_there_is),
        account_case(a_reserve_refused_makes_no_module_known),
        account_case(why_a_request_failed_is_told),
        account_case(why_a_request_failed_is_told_to_the_byte),
        account_case(memory_that_is_not_aligned_so_is_in_pieces),
        account_case(all_of_an_empty_heap_is_not_aligned_otherwise),
        account_case(a_product_beyond_any_size_is_no_memory),
        account_case(a_newcomer_that_meets_a_reserve_in_pieces_is_told_so),
        account_case(why_a_module_can_have_no_record_is_told),
        account_case(a_request_that_was_wrong_in_itself_is_no_failure),
        account_case(a_renaming_that_one_heap_refuses_leaves_the_figures_of_the_other),
        account_case(a_registration_refused_counts_on_either_way),
        account_case(each_heap_has_its_accounts_and_counts_its_refusals),
        account_case(null_is_the_first_heap_that_knows_the_module),
        account_case(a_heap_in_a_block_of_another_is_one_block_there),
        account_case(a_heap_account_tells_used_free_and_the_least_free),
        account_case(what_is_refused_was_never_used),
        account_case(overhead_is_all_that_serves_no_client),
        account_case(a_heap_nearly_full_is_not_called_fragmented),
        account_case(largest_alloc_is_served_beside_reserves),
        account_case(largest_alloc_in_pieces_is_no_larger_than_the_largest),
        account_case(largest_alloc_is_a_block_with_its_rest),
        account_case(largest_alloc_is_a_smallest_block_where_reserves_leave_two),
        account_case(largest_alloc_is_all_of_the_piece_where_enough_is_free),
        account_case(the_latest_dead_are_kept),
        account_case(more_dead_than_any_size_has_room_for_are_refused),
        account_case(the_dead_take_a_block_of_the_heaps_own),
        account_case(the_dead_that_cannot_be_kept_change_nothing),
        account_case(what_was_written_over_the_dead_leads_nowhere),
        account_case(each_heap_keeps_its_own_dead),
        account_case(damage_on_the_way_is_told_at_once),
        account_case(a_size_that_cannot_be_right_is_on_no_account),
        account_case(an_owner_written_over_wraps_no_figure),
        account_case(nothing_is_to_be_had_beside_reserves_that_nothing_covers),
        account_case(a_ring_whose_size_was_written_over_has_no_dead),
        account_case(a_quota_that_a_failure_hook_helps_is_set),
        account_case(each_takes_the_lock_once),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
