/* SPDX-License-Identifier: MIT */
/*
 * The public header as a list of tests: a case for each sentence of include/dmheap.h, in its
 * order and named after it. The cases before init come first, for only they need a process
 * in which no heap ever was.
 */
#include "heap_test.h"
#include "dmod_api.h"

/* ---- common: before init ---------------------------------------------------------- */

static void before_init_there_is_no_heap(void** state)
{
    (void)state;
    assert_false(dmheap_is_initialized());
    expect_silence();
}

static void before_init_register_gives_false(void** state)
{
    (void)state;
    assert_false(dmheap_register_module("sensor"));
    expect_error();
    assert_false(dmheap_register_module(long_name(64, 'a')));
    expect_error();
}

static void before_init_allocations_give_null(void** state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, SIZE_MAX};
    static const char* const names[] = {NULL, "", "sensor"};
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        for (size_t n = 0; n < COUNT_OF(names); n++) {
            assert_null(dmheap_malloc(sizes[s], names[n]));
            expect_error();
            assert_null(dmheap_aligned_alloc(64, sizes[s], names[n]));
            expect_error();
            assert_null(dmheap_realloc(NULL, sizes[s], names[n]));
            expect_error();
        }
    }
}

static void before_init_pointers_are_refused(void** state)
{
    (void)state;
    static uint64_t somewhere[4];
    void* const pointers[] = {&somewhere[1], (void*)(uintptr_t)8, (void*)UINTPTR_MAX};
    for (size_t i = 0; i < COUNT_OF(pointers); i++) {
        dmheap_free(pointers[i], true);
        expect_error();
        assert_null(dmheap_realloc(pointers[i], 10, "sensor"));
        expect_error();
        assert_false(Dmod_RetagEx(pointers[i], "sensor"));
        expect_error();
    }
}

static void before_init_the_rest_does_nothing(void** state)
{
    (void)state;
    dmheap_free(NULL, true);
    dmheap_free(NULL, false);
    dmheap_unregister_module(NULL);
    dmheap_unregister_module("");
    dmheap_unregister_module("sensor");
    dmheap_concatenate_free_blocks();
    expect_silence();
    assert_false(Dmod_RenameTag("sensor", "other"));
    expect_error();
}

static void before_init_a_failed_init_leaves_no_heap(void** state)
{
    (void)state;
    assert_false(dmheap_init(NULL, 1024, 8));
    expect_error();
    assert_false(dmheap_is_initialized());
    assert_null(dmheap_malloc(1, NULL));
    expect_error();
}

/* ---- common ----------------------------------------------------------------------- */

/* How often the lock was taken since the last question. */
static unsigned holds_since(void)
{
    static unsigned before;
    const unsigned holds = test_port_holds() - before;
    before = test_port_holds();
    return holds;
}

/* The port itself sees to it that each hold ends before the next one and before a log line. */
static void a_constant_call_takes_the_lock_once(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    (void)holds_since();
    (void)dmheap_register_module("sensor");
    assert_int_equal(holds_since(), 1);
    void* ptr = dmheap_malloc(100, "sensor");
    assert_int_equal(holds_since(), 1);
    assert_null(dmheap_malloc(10 * KIB, "sensor"));
    assert_int_equal(holds_since(), 1);
    (void)dmheap_aligned_alloc(64, 100, "sensor");
    assert_int_equal(holds_since(), 1);
    assert_ptr_equal(dmheap_realloc(ptr, 90, "sensor"), ptr);
    assert_int_equal(holds_since(), 1);
    dmheap_free(ptr, true);
    assert_int_equal(holds_since(), 1 + DMHEAP_POISON);
    dmheap_free(ptr, true);
    assert_int_equal(holds_since(), 1);
    dmheap_free(NULL, true);
    assert_int_equal(holds_since(), 1);
}

static void allocate_one(void* context)
{
    void** ptr = context;
    *ptr = dmheap_malloc(50, "printer");
}

static void a_log_line_may_itself_allocate(void** state)
{
    (void)state;
    void* printed = NULL;
    heap_open(8 * KIB, 8);
    test_port_on_log(allocate_one, &printed);
    assert_true(dmheap_register_module("sensor"));
    assert_non_null(printed);
    assert_null(dmheap_malloc(SIZE_MAX, "sensor"));
    (void)dmheap_malloc(50, "sensor");
    dmheap_unregister_module("sensor");
    test_port_on_log(NULL, NULL);
    check_log(1, 0, 2, NULL, __FILE__, __LINE__);
    assert_int_equal(heap_client_blocks(), 3);
    dmheap_unregister_module("printer");
    assert_true(heap_is_empty());
}

/* A heap with one free block of `size` bytes whose links its former owner wrote over. */
static void open_damaged(size_t size)
{
    heap_open(8 * KIB, 8);
    void* stale = dmheap_malloc(size, NULL);
    assert_non_null(dmheap_malloc(20, NULL));
    dmheap_free(stale, true);
    expect_silence();
    memset(stale, 0xEE, 2 * WORD);
}

/* The call is served from elsewhere, the next one no longer meets the damage. */
static void a_call_that_meets_overwritten_free_memory_logs_one_error(void** state)
{
    (void)state;
    open_damaged(100);
    assert_non_null(dmheap_malloc(100, NULL));
    expect_error();
    assert_non_null(dmheap_malloc(100, NULL));
    expect_silence();
    arenas_release();

    open_damaged(100);
    assert_non_null(dmheap_aligned_alloc(16, 90, "app"));
    expect_error();
    arenas_release();

    open_damaged(1000);
    assert_true(dmheap_register_module("app"));
    check_log(1, 0, 1, NULL, __FILE__, __LINE__);
    arenas_release();

    open_damaged(1000);
    assert_non_null(dmheap_aligned_alloc(16, 980, NULL));
    expect_error();
    assert_int_equal(test_heap.ctx->suspect, 0);
    assert_non_null(dmheap_malloc(20, NULL));
    expect_silence();
}

static void free_blocks_that_were_overwritten_are_lost_until_init(void** state)
{
    (void)state;
    open_damaged(100);
    assert_non_null(dmheap_malloc(100, NULL));
    expect_error();
    unsigned char* buffer = test_heap.buffer;
    assert_true(heap_start(buffer, 8 * KIB, 8));
    expect_info();
    assert_true(heap_is_empty());
}

static void a_name_is_text_of_1_to_63_characters(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    for (size_t length = 1; length <= 63; length++) {
        const char* name = long_name(length, 'x');
        assert_true(dmheap_register_module(name));
        expect_info();
        assert_non_null(dmheap_malloc(1, name));
    }
    expect_silence();
    (void)heap_verify();
    for (size_t length = 1; length <= 63; length++) {
        dmheap_unregister_module(long_name(length, 'x'));
        expect_info();
    }
    assert_true(heap_is_empty());
}

/* Two names that differ in the last of `length` characters only. */
static void expect_two_modules(size_t length)
{
    const char* one = long_name(length, 'a');
    const char* other = long_name(length, 'b');
    void* ours = dmheap_malloc(40, one);
    void* theirs = dmheap_malloc(40, other);
    fill(theirs, 40, 3);
    assert_string_equal(heap_owner_name(ours), one);
    assert_string_equal(heap_owner_name(theirs), other);
    dmheap_unregister_module(one);
    expect_info();
    assert_int_equal(heap_client_blocks(), 1);
    assert_true(is_filled(theirs, 40, 3));
    dmheap_unregister_module(other);
    expect_info();
    assert_true(heap_is_empty());
}

static void names_are_compared_exactly(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    expect_two_modules(1);
    expect_two_modules(31);
    expect_two_modules(32);
    expect_two_modules(55);
    expect_two_modules(63);
    void* upper = dmheap_malloc(8, "Sensor");
    assert_non_null(upper);
    dmheap_unregister_module("sensor");
    dmheap_unregister_module("Senso");
    dmheap_unregister_module("Sensor2");
    expect_silence();
    assert_int_equal(heap_client_blocks(), 1);
}

static void a_name_is_copied(void** state)
{
    (void)state;
    char text[] = "sensor";
    heap_open(4 * KIB, 8);
    assert_non_null(dmheap_malloc(10, text));
    memcpy(text, "xxxxxx", 6);
    assert_true(dmheap_register_module("sensor"));
    expect_warning();
    dmheap_unregister_module("sensor");
    expect_info();
    assert_true(heap_is_empty());
}

static void the_same_pointer_may_hold_a_new_name(void** state)
{
    (void)state;
    char text[] = "sensor";
    heap_open(4 * KIB, 8);
    void* first = dmheap_malloc(10, text);
    memcpy(text, "motor", 6);
    void* second = dmheap_malloc(10, text);
    assert_string_equal(heap_owner_name(first), "sensor");
    assert_string_equal(heap_owner_name(second), "motor");
    dmheap_unregister_module(text);
    expect_info();
    assert_int_equal(heap_client_blocks(), 1);
    memcpy(text, "sensor", 7);
    dmheap_unregister_module(text);
    assert_true(heap_is_empty());
}

static void null_and_the_empty_text_name_nobody(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* first = dmheap_malloc(10, NULL);
    void* second = dmheap_malloc(10, "");
    void* third = dmheap_aligned_alloc(32, 10, "");
    void* fourth = dmheap_realloc(NULL, 10, "");
    dmheap_unregister_module("");
    dmheap_unregister_module(NULL);
    expect_silence();
    assert_int_equal(heap_client_blocks(), 4);
    assert_int_equal(heap_verify().own_blocks, 0);
    dmheap_free(first, true);
    dmheap_free(second, true);
    dmheap_free(third, true);
    dmheap_free(fourth, true);
    assert_true(heap_is_empty());
}

static void a_longer_name_is_refused_never_cut(void** state)
{
    (void)state;
    char whole[64];
    memcpy(whole, long_name(63, 'n'), sizeof(whole));
    heap_open(4 * KIB, 8);
    assert_non_null(dmheap_malloc(10, whole));
    for (size_t length = 64; length < 128; length++) {
        const char* name = long_name(length, 'n');
        assert_false(dmheap_register_module(name));
        expect_error();
        assert_null(dmheap_malloc(10, name));
        expect_error();
        assert_null(dmheap_aligned_alloc(64, 10, name));
        expect_error();
        assert_null(dmheap_realloc(NULL, 10, name));
        expect_error();
        dmheap_unregister_module(name);
        expect_silence();
    }
    assert_int_equal(heap_client_blocks(), 1);
    dmheap_unregister_module(whole);
    assert_true(heap_is_empty());
}

/* ---- dmheap_init ------------------------------------------------------------------ */

static void init_logs_buffer_and_size_as_given(void** state)
{
    (void)state;
    char text[128];
    unsigned char* buffer = arena_make(65540, 3);
    assert_true(heap_start(buffer, 65536, 8));
    (void)snprintf(text, sizeof(text), "dmheap: Initialized with buffer %p of size 65536.\n",
                   (void*)buffer);
    expect_info_of(text);
}

/* After an init: the modules are unknown, the old pointer is bad, all memory is free. */
static void expect_afresh(void* old_pointer)
{
    assert_true(heap_is_empty());
    dmheap_free(old_pointer, true);
    expect_error();
    dmheap_unregister_module("sensor");
    expect_silence();
    assert_true(dmheap_register_module("sensor"));
    expect_info();
}

static void init_again_in_the_same_buffer_starts_afresh(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    (void)dmheap_malloc(10, "sensor");
    (void)dmheap_malloc(10, "other");
    void* old = dmheap_malloc(10, "sensor");
    assert_true(heap_start(test_heap.buffer, 8 * KIB, 8));
    expect_info();
    expect_afresh(old);
}

static void init_again_in_another_buffer_starts_afresh(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    void* old = dmheap_malloc(10, "sensor");
    fill(old, 10, 1);
    heap_open(4 * KIB, 16);
    expect_afresh(old);
    assert_true(is_filled(old, 10, 1));
}

static void init_again_with_other_settings_starts_afresh(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* old = dmheap_malloc(100, "sensor");
    assert_true(heap_start(test_heap.buffer + 1, 5000, 64));
    expect_info();
    expect_afresh(old);
    assert_true(is_aligned(dmheap_malloc(1, "sensor"), 64));
}

static void init_that_fails_leaves_the_former_heap(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* other = arena_make(8 * KIB, 0);
    void* kept = dmheap_malloc(100, "sensor");
    fill(kept, 100, 9);
    const struct {
        void* buffer;
        size_t size;
        size_t alignment;
    } bad[] = {
        {NULL, 8 * KIB, 8},
        {other, 0, 8},
        {other, 8 * KIB, 0},
        {other, 8 * KIB, 3},
        {other, 8 * KIB, 12},
        {other, 8 * KIB, SIZE_MAX},
        {other, 8 * KIB, SIZE_MAX / 2 + 1},
        {other, 16, 8},
        {other, 8 * KIB, 8 * KIB},
        {other, SIZE_MAX, 8},
        {test_heap.buffer, SIZE_MAX, 8},
        {test_heap.buffer, 0, 8},
        {test_heap.buffer, 8 * KIB, 7},
        {test_heap.buffer, 20, 8},
    };
    snapshot_take();
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(dmheap_init(bad[i].buffer, bad[i].size, bad[i].alignment));
        expect_error();
        assert_true(dmheap_is_initialized());
        assert_true(snapshot_is_same());
        assert_true(arena_is_canary(other, 8 * KIB));
    }
    assert_true(is_filled(kept, 100, 9));
    dmheap_unregister_module("sensor");
    assert_true(heap_is_empty());
}

static void init_tells_why_it_refuses(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(8 * KIB, 0);
    const struct {
        void* buffer;
        size_t size;
        size_t alignment;
        const char* why;
    } bad[] = {
        {NULL, 8 * KIB, 8, "no buffer"},
        {buffer, 0, 8, "no buffer"},
        {(void*)UINTPTR_MAX, 2, 8, "no buffer"},
        {buffer, 1, 8, "too small"},
        {buffer, 64, 8, "too small"},
        {buffer, 8 * KIB, 0, "power of two"},
        {buffer, 8 * KIB, 3, "power of two"},
        {buffer, 8 * KIB, 8 * KIB, "too small"},
        {buffer, 8 * KIB, 4 * KIB * 4, "too small"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(dmheap_init(bad[i].buffer, bad[i].size, bad[i].alignment));
        assert_non_null(strstr(test_port_text(0), bad[i].why));
        expect_error();
    }
}

static void init_takes_any_address(void** state)
{
    (void)state;
    static const size_t alignments[] = {1, 2, 4, 8, 16, 32, 64, 128};
    for (size_t offset = 0; offset < 64; offset++) {
        for (size_t i = 0; i < COUNT_OF(alignments); i++) {
            unsigned char* buffer = arena_make(1500, offset);
            assert_true(heap_start(buffer, 1500, alignments[i]));
            expect_info();
            unsigned char* ptr = dmheap_malloc(100, "sensor");
            assert_true(ptr >= buffer && ptr + 100 <= buffer + 1500);
            assert_true(is_aligned(ptr, alignments[i]));
            (void)heap_fill(NULL);
            (void)heap_verify();
            arenas_release();
        }
    }
}

/* Either a heap that serves, or no heap and one line that says so. */
static void expect_served_or_refused(size_t offset, size_t size, size_t alignment)
{
    unsigned char* buffer = arena_make(size, offset);
    if (heap_start(buffer, size, alignment)) {
        expect_info();
        unsigned char* ptr = dmheap_malloc(1, NULL);
        if (ptr == NULL) {
            print_error("offset %u, size %u, alignment %u\n", (unsigned)offset, (unsigned)size,
                        (unsigned)alignment);
        }
        assert_non_null(ptr);
        assert_true(ptr >= buffer && ptr < buffer + size && is_aligned(ptr, alignment));
        *ptr = 1;
        assert_int_equal(heap_client_blocks(), 1);
        dmheap_free(ptr, true);
        assert_true(heap_is_empty());
    } else {
        expect_error();
        assert_true(arena_is_canary(buffer, size));
    }
    arenas_verify();
    arenas_release();
}

static void init_takes_any_size(void** state)
{
    (void)state;
    static const size_t offsets[] = {0, 1, 4, 8, 15, 60};
    static const size_t alignments[] = {1, 4, 8, 16, 64, 512};
    for (size_t size = 0; size <= 4096; size += size < 1400 ? 1 : 37) {
        const size_t offset = offsets[size % COUNT_OF(offsets)];
        for (size_t i = 0; i < COUNT_OF(alignments); i++) {
            expect_served_or_refused(offset, size, alignments[i]);
        }
    }
}

/*
 * What a buffer of 1024 bytes serves at least; 8-byte headers double the heap's own tables, and
 * accounts take their part.
 */
static size_t least_of_1024(const char* module_name)
{
    if (DMHEAP_ACCOUNTING) {
        return HAS_NARROW_WORDS ? 304 : 16;
    }
    if (HAS_NARROW_WORDS) {
        return 512;
    }
    return module_name == NULL ? 304 : 144 - 4 * (size_t)BLOCK_TRAILER_BYTES;
}

static void init_of_1024_bytes_serves_nobody(void** state)
{
    (void)state;
    for (size_t offset = 0; offset < 16; offset++) {
        unsigned char* buffer = arena_make(1024, offset);
        assert_true(heap_start(buffer, 1024, 8));
        assert_non_null(dmheap_malloc(least_of_1024(NULL), NULL));
        (void)heap_verify();
        arenas_release();
    }
}

static void init_of_1024_bytes_serves_a_module(void** state)
{
    (void)state;
    /* With accounts and 8-byte headers a group, a record and a block are more than that. */
    heap_open(DMHEAP_ACCOUNTING && !HAS_NARROW_WORDS ? 1536 : 1024, 8);
    assert_non_null(dmheap_malloc(least_of_1024("sensor"), "sensor"));
    expect_silence();
    dmheap_unregister_module("sensor");
    assert_true(heap_is_empty());
}

static void init_of_16_mib_serves(void** state)
{
    (void)state;
    heap_open(16 * MIB, 8);
    unsigned char* ptr = dmheap_malloc(15 * MIB, "sensor");
    assert_non_null(ptr);
    ptr[15 * MIB - 1] = 1;
    void* small = dmheap_malloc(100, "sensor");
    assert_non_null(small);
    dmheap_free(ptr, true);
    assert_ptr_equal(dmheap_malloc(15 * MIB, NULL), ptr);
    (void)heap_verify();
}

static void expect_no_size_near_16_mib(size_t heap_bytes, size_t alignment)
{
    heap_open(heap_bytes, alignment);
    void* ptr = dmheap_malloc(100, NULL);
    const size_t capacity = heap_capacity(ptr);
    for (size_t size = 16 * MIB - 64; size <= 16 * MIB + 64; size++) {
        assert_null(dmheap_malloc(size, NULL));
        expect_error();
        assert_null(dmheap_aligned_alloc(256, size, NULL));
        expect_error();
        assert_null(dmheap_realloc(ptr, size, NULL));
        expect_error();
        assert_int_equal(heap_capacity(ptr), capacity);
    }
    (void)heap_verify();
    arenas_release();
}

/* The sizes where a size and what is added to it pass the end of a 4-byte header's field. */
static void no_size_wraps_around_what_a_header_can_tell(void** state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= 64; alignment *= 2) {
        expect_no_size_near_16_mib(16 * MIB, alignment);
        expect_no_size_near_16_mib(16 * MIB + 110 * KIB, alignment);
    }
}

static void init_of_more_is_refused_with_4_byte_headers_and_serves_with_8(void** state)
{
    (void)state;
    const size_t size = 64 * MIB;
    unsigned char* buffer = arena_make(size, 0);
    if (HAS_NARROW_WORDS) {
        assert_false(dmheap_init(buffer, size, 8));
        assert_non_null(strstr(test_port_text(0), "too large"));
        expect_error();
        assert_false(dmheap_init(buffer, 17 * MIB, 4));
        assert_non_null(strstr(test_port_text(0), "too large"));
        expect_error();
        assert_true(arena_is_canary(buffer, KIB));
    } else {
        assert_true(heap_start(buffer, size, 8));
        assert_non_null(dmheap_malloc(60 * MIB, "sensor"));
        (void)heap_verify();
    }
}

static void init_refuses_sizes_beyond_every_header_unwritten(void** state)
{
    (void)state;
    unsigned char* buffer = arena_make(KIB, 0);
    const size_t most = UINTPTR_MAX - (uintptr_t)buffer;
    const size_t sizes[] = {most, most - 1, most - 4096, most + 1, SIZE_MAX, SIZE_MAX - 8};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        /* On a 32-bit target with 8-byte headers the whole address space can be a heap. */
        if (sizeof(size_t) == 4 && !HAS_NARROW_WORDS && sizes[i] <= most) {
            continue;
        }
        assert_false(dmheap_init(buffer, sizes[i], 8));
        expect_error();
    }
    assert_true(arena_is_canary(buffer, KIB));
    arenas_verify();
}

static void init_refuses_a_buffer_at_the_end_of_the_address_space(void** state)
{
    (void)state;
    for (uintptr_t back = 1; back <= 64; back++) {
        assert_false(dmheap_init((void*)(UINTPTR_MAX - back + 1), 4096, 16));
        expect_error();
        assert_false(dmheap_init((void*)(UINTPTR_MAX - back + 1), (size_t)back, 16));
        expect_error();
    }
}

static void init_needs_a_power_of_two(void** state)
{
    (void)state;
    unsigned char* buffer = arena_make(4 * KIB, 0);
    for (size_t alignment = 0; alignment < 300; alignment++) {
        const bool right = alignment != 0 && (alignment & (alignment - 1)) == 0;
        assert_int_equal(heap_start(buffer, 4 * KIB, alignment), right);
        check_log(!right, 0, right, NULL, __FILE__, __LINE__);
    }
}

static void init_alignment_below_a_pointers_size_counts_as_that(void** state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= sizeof(void*); alignment *= 2) {
        heap_open(4 * KIB, alignment);
        for (size_t size = 0; size < 40; size++) {
            assert_true(is_aligned(dmheap_malloc(size, NULL), sizeof(void*)));
        }
        (void)heap_verify();
        arenas_release();
    }
}

static void init_alignment_is_that_of_every_allocation(void** state)
{
    (void)state;
    for (size_t alignment = 4; alignment <= 1024; alignment *= 2) {
        heap_open(32 * KIB, alignment);
        void* wall = NULL;
        for (size_t size = 1; size < 20; size++) {
            void* ptr = dmheap_malloc(size * 17, "sensor");
            assert_true(is_aligned(ptr, alignment));
            wall = dmheap_realloc(wall, size * 9, NULL);
            assert_true(is_aligned(wall, alignment));
        }
        (void)heap_verify();
        arenas_release();
    }
}

static void init_alignment_up_to_16_is_the_step_of_blocks(void** state)
{
    (void)state;
    for (size_t alignment = sizeof(void*); alignment <= 16; alignment *= 2) {
        /* 8-byte headers ask for steps of 8, on 32-bit targets as well. */
        const size_t step = alignment < WORD ? WORD : alignment;
        heap_open(8 * KIB, alignment);
        for (size_t size = 0; size < 64; size++) {
            const void* ptr = dmheap_malloc(size, NULL);
            assert_non_null(ptr);
            assert_int_equal((heap_capacity(ptr) + OVERHEAD) % step, 0);
            assert_true(heap_capacity(ptr) + OVERHEAD < size + OVERHEAD + step + 4 * OVERHEAD);
        }
        arenas_release();
    }
}

struct inner_init {
    unsigned char* buffer;
    bool tried;
    bool result;
    bool initialized;
};

static void init_inside(void* context)
{
    struct inner_init* inner = context;
    if (!inner->tried) {
        inner->tried = true;
        inner->initialized = dmheap_is_initialized();
        inner->result = dmheap_init(inner->buffer, 4 * KIB, 8);
    }
}

static void init_fails_while_another_one_is_under_way(void** state)
{
    (void)state;
    struct inner_init inner = {arena_make(4 * KIB, 0), false, true, true};
    unsigned char* buffer = arena_make(4 * KIB, 0);
    test_port_on_unlock(init_inside, &inner);
    assert_true(heap_start(buffer, 4 * KIB, 8));
    test_port_on_unlock(NULL, NULL);
    assert_true(inner.tried);
    assert_false(inner.result);
    assert_false(inner.initialized);
    check_log(1, 0, 1, NULL, __FILE__, __LINE__);
    assert_true(arena_is_canary(inner.buffer, 4 * KIB));
    assert_true(heap_is_empty());
}

/* ---- dmheap_is_initialized --------------------------------------------------------- */

static void is_initialized_after_an_init_that_succeeded(void** state)
{
    (void)state;
    heap_open(1024, 8);
    assert_true(dmheap_is_initialized());
    assert_false(dmheap_init(NULL, 0, 0));
    assert_true(dmheap_is_initialized());
}

/* ---- dmheap_register_module --------------------------------------------------------- */

static void register_a_new_module_logs_one_info(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_true(dmheap_register_module("sensor"));
    expect_info_of("dmheap: Module sensor registered successfully.\n");
    (void)heap_verify();
}

static void register_a_known_module_logs_one_warning(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_true(dmheap_register_module("sensor"));
    expect_info();
    const struct heap_state before = state_now();
    assert_true(dmheap_register_module("sensor"));
    expect_warning();
    expect_state(&before);
}

static void register_happens_silently_on_first_use(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_non_null(dmheap_malloc(1, "first"));
    assert_non_null(dmheap_aligned_alloc(32, 1, "second"));
    assert_non_null(dmheap_realloc(NULL, 1, "third"));
    expect_silence();
    assert_true(dmheap_register_module("first"));
    expect_warning();
    assert_true(dmheap_register_module("second"));
    expect_warning();
    assert_true(dmheap_register_module("third"));
    expect_warning();
}

static void register_nobody_gives_false(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_false(dmheap_register_module(NULL));
    expect_error();
    assert_false(dmheap_register_module(""));
    expect_error();
    assert_true(heap_is_empty());
}

static void register_without_memory_gives_false(void** state)
{
    (void)state;
    heap_open(2 * KIB, 8);
    (void)heap_fill(NULL);
    const struct heap_state before = state_now();
    assert_false(dmheap_register_module("sensor"));
    expect_error();
    expect_state(&before);
    dmheap_unregister_module("sensor");
    expect_silence();
}

static unsigned modules_max(void)
{
    return HAS_NARROW_WORDS ? 252 : 4092;
}

static void register_as_many_modules_as_ids(void** state)
{
    (void)state;
    heap_open(MIB, 8);
    for (unsigned i = 0; i < modules_max(); i++) {
        assert_true(dmheap_register_module(numbered_name(i)));
        expect_info();
    }
    assert_false(dmheap_register_module("one more"));
    expect_error();
    assert_null(dmheap_malloc(10, "one more"));
    expect_error();
    assert_non_null(dmheap_malloc(10, numbered_name(7)));
    expect_silence();
    (void)heap_verify();

    /* An id that is given back serves the next module. */
    dmheap_unregister_module(numbered_name(100));
    expect_info();
    assert_non_null(dmheap_malloc(10, "one more"));
    assert_false(dmheap_register_module("yet another one"));
    expect_error();
    (void)heap_verify();

    dmheap_unregister_module("one more");
    for (unsigned i = 0; i < modules_max(); i++) {
        dmheap_unregister_module(numbered_name(i));
    }
    assert_true(heap_is_empty());
}

static void register_252_modules_that_all_hold_memory(void** state)
{
    (void)state;
    enum { MODULES = 252 };
    static unsigned char* block[MODULES];
    heap_open(128 * KIB, 8);
    for (unsigned i = 0; i < MODULES; i++) {
        block[i] = dmheap_malloc(60, numbered_name(i));
        assert_non_null(block[i]);
        fill(block[i], 60, i);
    }
    for (unsigned i = 0; i < MODULES; i++) {
        assert_string_equal(heap_owner_name(block[i]), numbered_name(i));
    }
    for (unsigned i = 0; i < MODULES; i++) {
        const unsigned gone = (i * 67) % MODULES;
        assert_true(is_filled(block[gone], 60, gone));
        dmheap_unregister_module(numbered_name(gone));
        assert_int_equal(heap_client_blocks(), MODULES - 1 - i);
    }
    assert_true(heap_is_empty());
}

static void register_reuses_ids_without_end(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_non_null(dmheap_malloc(10, "resident"));
    const size_t before = heap_largest_free();
    for (unsigned i = 0; i < 3000; i++) {
        assert_non_null(dmheap_malloc(10, numbered_name(i)));
        dmheap_unregister_module(numbered_name(i));
    }
    assert_int_equal(heap_largest_free(), before);
    assert_int_equal(heap_client_blocks(), 1);
}

/* ---- dmheap_unregister_module ------------------------------------------------------- */

static void unregister_frees_all_memory_of_the_module(void** state)
{
    (void)state;
    heap_open(64 * KIB, 8);
    for (size_t i = 0; i < 100; i++) {
        assert_non_null(dmheap_malloc(i * 3, "sensor"));
        assert_non_null(dmheap_aligned_alloc(64, i, "sensor"));
    }
    dmheap_unregister_module("sensor");
    expect_info_of("dmheap: Module sensor unregistered successfully.\n");
    assert_true(heap_is_empty());
}

static void unregister_leaves_all_other_memory(void** state)
{
    (void)state;
    enum { ROUNDS = 60 };
    static const char* const names[] = {"sensor", "other", NULL};
    unsigned char* block[ROUNDS][3];
    heap_open(64 * KIB, 8);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned n = 0; n < 3; n++) {
            block[i][n] = dmheap_malloc(100, names[n]);
            fill(block[i][n], 100, i + n);
        }
    }
    dmheap_unregister_module("sensor");
    assert_int_equal(heap_client_blocks(), 2 * ROUNDS);
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_true(is_filled(block[i][1], 100, i + 1));
        assert_true(is_filled(block[i][2], 100, i + 2));
        dmheap_free(block[i][2], false);
    }
    dmheap_unregister_module("other");
    assert_true(heap_is_empty());
}

static void unregister_leaves_the_name_for_a_new_module(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    (void)dmheap_malloc(100, "sensor");
    dmheap_unregister_module("sensor");
    expect_info();
    assert_true(dmheap_register_module("sensor"));
    expect_info();
    assert_int_equal(heap_client_blocks(), 0);
}

static void unregister_name_may_stand_in_memory_that_is_freed(void** state)
{
    (void)state;
    static const size_t lengths[] = {1, 6, 31, 63};
    heap_open(8 * KIB, 8);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        const char* name = long_name(lengths[i], 'z');
        char text[160];
        char* image = dmheap_malloc(300, name);
        char* inside = strcpy(image + 8 * i, name);
        (void)dmheap_malloc(20, inside);
        (void)dmheap_malloc(20, NULL);
        (void)dmheap_malloc(20, inside);
        (void)snprintf(text, sizeof(text), "dmheap: Module %s unregistered successfully.\n", name);
        dmheap_unregister_module(inside);
        expect_info_of(text);
        assert_int_equal(heap_client_blocks(), i + 1);
        assert_int_equal(heap_verify().own_blocks, 0);
    }
}

static void unregister_of_nobody_and_the_unknown_is_silent(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    (void)dmheap_malloc(100, "sensor");
    (void)dmheap_malloc(100, NULL);
    snapshot_take();
    static const char* const names[] = {NULL, "", "unknown", "senso", "sensors", "Invalid"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        dmheap_unregister_module(names[i]);
        expect_silence();
        assert_true(snapshot_is_same());
    }
    dmheap_unregister_module("sensor");
    expect_info();
    dmheap_unregister_module("sensor");
    expect_silence();
}

static void unregister_stops_at_the_modules_last_block(void** state)
{
    (void)state;
    heap_open(256 * KIB, 8);
    (void)dmheap_malloc(10, "sensor");
    for (unsigned i = 0; i < 2000; i++) {
        assert_non_null(dmheap_malloc(10, NULL));
    }
    const unsigned before = test_port_holds();
    dmheap_unregister_module("sensor");
    assert_true(test_port_holds() - before <= 3 + 2 * DMHEAP_POISON);
}

/* ---- dmheap_malloc ------------------------------------------------------------------ */

static void malloc_gives_memory_of_its_own(void** state)
{
    (void)state;
    enum { BLOCKS = 200 };
    static unsigned char* block[BLOCKS];
    heap_open(64 * KIB, 8);
    for (unsigned i = 0; i < BLOCKS; i++) {
        block[i] = dmheap_malloc(i, "sensor");
        assert_true(is_aligned(block[i], 8));
        fill(block[i], i, i);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_true(is_filled(block[i], i, i));
    }
    assert_int_equal(heap_client_blocks(), BLOCKS);
    expect_silence();
}

static void malloc_of_0_gives_a_pointer_of_its_own(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* first = dmheap_malloc(0, NULL);
    void* second = dmheap_malloc(0, NULL);
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    dmheap_free(first, true);
    dmheap_free(second, true);
    expect_silence();
    assert_true(heap_is_empty());
}

static void malloc_of_0_gives_null_when_nothing_is_left(void** state)
{
    (void)state;
    heap_open(1024, 8);
    (void)heap_fill(NULL);
    assert_null(dmheap_malloc(0, NULL));
    expect_error();
    (void)heap_verify();
}

/* Every allocating call with a size that no heap has: NULL, one ERROR, nothing changed. */
static void expect_too_large(size_t size)
{
    const struct heap_state before = state_now();
    assert_null(dmheap_malloc(size, NULL));
    expect_error();
    assert_null(dmheap_malloc(size, "known"));
    expect_error();
    assert_null(dmheap_malloc(size, "unknown"));
    expect_error();
    for (size_t alignment = 1; alignment != 0; alignment *= 2) {
        assert_null(dmheap_aligned_alloc(alignment, size, "known"));
        expect_error();
    }
    assert_null(dmheap_realloc(NULL, size, "unknown"));
    expect_error();
    expect_state(&before);
}

static void malloc_of_sizes_near_the_largest_gives_null(void** state)
{
    (void)state;
    static const size_t alignments[] = {4, 8, 16, 256};
    for (size_t i = 0; i < COUNT_OF(alignments); i++) {
        heap_open(8 * KIB, alignments[i]);
        (void)dmheap_malloc(1, "known");
        for (size_t below = 0; below < 40; below++) {
            expect_too_large(SIZE_MAX - below);
            expect_too_large(SIZE_MAX / 2 + 20 - below);
            expect_too_large(SIZE_MAX / 4 + 20 - below);
            expect_too_large((size_t)UINT32_MAX - below);
            expect_too_large((size_t)(UINT32_MAX / 256) + 20 - below);
        }
        expect_too_large(8 * KIB);
        arenas_release();
    }
}

static void malloc_serves_the_untouched_end_to_the_last_byte(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    const size_t most = heap_largest_free() - OVERHEAD;
    assert_null(dmheap_malloc(most + 1, NULL));
    expect_error();
    unsigned char* ptr = dmheap_malloc(most, NULL);
    assert_non_null(ptr);
    memset(ptr, 0xFF, most);
    (void)heap_verify();
    dmheap_free(ptr, true);
    assert_true(heap_is_empty());
}

static void malloc_serves_the_same_size_again(void** state)
{
    (void)state;
    for (size_t size = 0; size < 2000; size += 13) {
        heap_open(16 * KIB, 8);
        void* before = dmheap_malloc(10, NULL);
        void* ptr = dmheap_malloc(size, NULL);
        assert_non_null(before);
        (void)heap_fill(NULL);
        dmheap_free(ptr, false);
        assert_ptr_equal(dmheap_malloc(size, NULL), ptr);
        expect_silence();
        arenas_release();
    }
}

/* The manual tells how many are looked at: the fitting one may be any of them. */
static void malloc_looks_at_a_few_blocks_of_the_sizes_own_class(void** state)
{
    (void)state;
    for (size_t place = 0; place < INDEX_LOOKS; place++) {
        void* hole[INDEX_LOOKS];
        heap_open(64 * KIB, 8);
        for (size_t i = 0; i < INDEX_LOOKS; i++) {
            hole[i] = dmheap_malloc(i == place ? 2168 : 2060, NULL);
            (void)dmheap_malloc(1, NULL);
        }
        (void)heap_fill(NULL);
        for (size_t i = 0; i < INDEX_LOOKS; i++) {
            dmheap_free(hole[i], true);
        }
        assert_ptr_equal(dmheap_malloc(2160, NULL), hole[place]);
        (void)heap_verify();
        arenas_release();
    }
}

static void malloc_takes_the_next_larger_class_that_has_any(void** state)
{
    (void)state;
    heap_open(64 * KIB, 8);
    void* hole = dmheap_malloc(9000, NULL);
    (void)heap_fill(NULL);
    dmheap_free(hole, true);
    for (size_t size = 0; size < 8000; size += 321) {
        void* ptr = dmheap_malloc(size, NULL);
        assert_ptr_equal(ptr, hole);
        dmheap_free(ptr, true);
    }
    expect_silence();
    (void)heap_verify();
}

static void malloc_without_memory_for_the_record_fails_as_a_whole(void** state)
{
    (void)state;
    /* Room for the block, and at every size of the rest a bit more for the record. */
    for (size_t rest = 0; rest < 400; rest += 4) {
        heap_open(2 * KIB, 8);
        assert_non_null(dmheap_malloc(heap_largest_free() - 300 - rest, NULL));
        const struct heap_state before = state_now();
        void* ptr = dmheap_malloc(280, "sensor");
        if (ptr != NULL) {
            expect_silence();
            assert_string_equal(heap_owner_name(ptr), "sensor");
            dmheap_unregister_module("sensor");
            expect_info();
        } else {
            expect_error();
            dmheap_unregister_module("sensor");
            expect_silence();
        }
        expect_state(&before);
        arenas_release();
    }
}

static void malloc_that_fails_leaks_no_record(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    for (unsigned i = 0; i < 500; i++) {
        assert_null(dmheap_malloc(5000, numbered_name(i)));
        expect_error();
        assert_null(dmheap_aligned_alloc(2048, 4000, numbered_name(i)));
        expect_error();
        assert_null(dmheap_malloc(1, long_name(64 + i % 8, 'x')));
        expect_error();
    }
    assert_true(heap_is_empty());
}

/* ---- dmheap_aligned_alloc ------------------------------------------------------------ */

static void aligned_alloc_gives_any_power_of_two(void** state)
{
    (void)state;
    static const size_t defaults[] = {4, 8, 16, 64};
    for (size_t i = 0; i < COUNT_OF(defaults); i++) {
        heap_open(256 * KIB, defaults[i]);
        for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
            for (size_t size = 0; size < 50; size += 7) {
                unsigned char* ptr = dmheap_aligned_alloc(alignment, size, "sensor");
                assert_non_null(ptr);
                assert_true(is_aligned(ptr, alignment) && is_aligned(ptr, defaults[i]));
                memset(ptr, 0xFF, size);
            }
        }
        expect_silence();
        (void)heap_verify();
        dmheap_unregister_module("sensor");
        expect_info();
        assert_true(heap_is_empty());
        arenas_release();
    }
}

static void aligned_alloc_refuses_what_is_no_power_of_two(void** state)
{
    (void)state;
    static const size_t bad[] = {0, 3, 5, 6, 12, 24, 100, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2};
    heap_open(4 * KIB, 8);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_null(dmheap_aligned_alloc(bad[i], 16, "sensor"));
        expect_error();
        assert_null(dmheap_aligned_alloc(bad[i], 16, NULL));
        expect_error();
    }
    assert_true(heap_is_empty());
}

static void aligned_alloc_larger_than_the_heap_gives_null(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    for (size_t alignment = 16 * KIB; alignment != 0; alignment *= 2) {
        assert_null(dmheap_aligned_alloc(alignment, 1, "sensor"));
        expect_error();
    }
    assert_true(heap_is_empty());
}

static void aligned_alloc_serves_the_one_address_that_is_right(void** state)
{
    (void)state;
    const size_t front = 3 * KIB / 2;
    unsigned char* buffer = arena_make(6 * KIB, ARENA_STEP - front);
    assert_true(heap_start(buffer, 6 * KIB, 8));
    expect_info();
    unsigned char* ptr = dmheap_aligned_alloc(ARENA_STEP, 4 * KIB, NULL);
    assert_ptr_equal(ptr, buffer + front);
    assert_null(dmheap_aligned_alloc(ARENA_STEP, 16, NULL));
    expect_error();
    dmheap_free(ptr, true);
    assert_true(heap_is_empty());
}

static void aligned_alloc_padding_is_not_lost(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    for (unsigned round = 0; round < 200; round++) {
        void* odd = dmheap_malloc(8 + 8 * (round % 50), NULL);
        void* ptr = dmheap_aligned_alloc((size_t)16 << round % 7, round, NULL);
        assert_non_null(ptr);
        dmheap_free(round % 2 != 0 ? odd : ptr, false);
        dmheap_free(round % 2 != 0 ? ptr : odd, false);
        assert_true(heap_is_empty());
    }
}

/* ---- dmheap_realloc ------------------------------------------------------------------ */

static void realloc_of_null_is_malloc(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* ptr = dmheap_realloc(NULL, 100, "sensor");
    assert_true(is_aligned(ptr, 8));
    assert_string_equal(heap_owner_name(ptr), "sensor");
    assert_non_null(dmheap_realloc(NULL, 0, NULL));
    expect_silence();
}

static void realloc_to_a_smaller_size_stays_in_place(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* ptr = dmheap_malloc(2000, "sensor");
    (void)dmheap_malloc(10, "sensor");
    fill(ptr, 2000, 4);
    for (size_t size = 2000; size != (size_t)0 - 50; size -= 50) {
        assert_ptr_equal(dmheap_realloc(ptr, size, "sensor"), ptr);
        assert_true(is_filled(ptr, size, 4));
        (void)heap_verify();
    }
    expect_silence();
}

static void realloc_to_a_smaller_size_gives_the_tail_back_once(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* ptr = dmheap_malloc(2000, NULL);
    void* wall = dmheap_malloc(10, NULL);
    const size_t free_before = heap_verify().free_bytes;
    assert_ptr_equal(dmheap_realloc(ptr, 1000, NULL), ptr);
    assert_int_equal(heap_verify().free_bytes, free_before + 1000);
    unsigned char* tail = dmheap_malloc(1000 - OVERHEAD, NULL);
    assert_ptr_equal(tail, ptr + heap_capacity(ptr) + OVERHEAD);
    assert_ptr_not_equal(dmheap_malloc(1000 - OVERHEAD, NULL), tail);
    assert_non_null(wall);
}

static void realloc_to_a_larger_size_grows_in_place(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* ptr = dmheap_malloc(100, NULL);
    unsigned char* behind = dmheap_malloc(1000, NULL);
    void* wall = dmheap_malloc(10, NULL);
    fill(ptr, 100, 6);
    dmheap_free(behind, true);
    const size_t most = heap_capacity(ptr) + 1000 + OVERHEAD;
    assert_ptr_equal(dmheap_realloc(ptr, 600, NULL), ptr);
    assert_ptr_equal(dmheap_realloc(ptr, most & ~(size_t)7, NULL), ptr);
    assert_true(is_filled(ptr, 100, 6));
    (void)heap_verify();
    /* The last block grows into the untouched end. */
    assert_ptr_equal(dmheap_realloc(wall, 3000, NULL), wall);
    expect_silence();
    (void)heap_verify();
}

static void realloc_that_cannot_grow_moves_with_its_content(void** state)
{
    (void)state;
    for (size_t size = 0; size < 600; size += 11) {
        heap_open(8 * KIB, 8);
        unsigned char* ptr = dmheap_malloc(size, "sensor");
        (void)dmheap_malloc(10, "sensor");
        fill(ptr, size, 8);
        unsigned char* moved = dmheap_realloc(ptr, 2 * size + 100, "sensor");
        assert_non_null(moved);
        assert_ptr_not_equal(moved, ptr);
        assert_true(is_filled(moved, size, 8));
        assert_int_equal(heap_client_blocks(), 2);
        dmheap_free(ptr, true);
        expect_error();
        arenas_release();
    }
}

static void realloc_keeps_the_owner(void** state)
{
    (void)state;
    static const char* const owners[] = {"sensor", NULL};
    for (size_t i = 0; i < COUNT_OF(owners); i++) {
        heap_open(8 * KIB, 8);
        void* ptr = dmheap_malloc(100, owners[i]);
        const char* name = owners[i] != NULL ? owners[i] : "";
        (void)dmheap_malloc(10, "wall");
        ptr = dmheap_realloc(ptr, 50, "other");
        assert_string_equal(heap_owner_name(ptr), name);
        ptr = dmheap_realloc(ptr, 1000, "other");
        assert_string_equal(heap_owner_name(ptr), name);
        ptr = dmheap_realloc(ptr, 2000, NULL);
        assert_string_equal(heap_owner_name(ptr), name);
        ptr = dmheap_realloc(ptr, 2100, long_name(100, 'x'));
        assert_string_equal(heap_owner_name(ptr), name);
        dmheap_unregister_module("other");
        expect_silence();
        arenas_release();
    }
}

static void realloc_keeps_the_alignment(void** state)
{
    (void)state;
    for (size_t alignment = 4; alignment <= 1024; alignment *= 2) {
        heap_open(64 * KIB, 8);
        unsigned char* ptr = dmheap_aligned_alloc(alignment, 100, "sensor");
        fill(ptr, 100, 2);
        for (size_t size = 101; size < 3000; size = size * 3 / 2) {
            (void)dmheap_malloc(10, "wall");
            ptr = dmheap_realloc(ptr, size, "sensor");
            assert_non_null(ptr);
            assert_true(is_aligned(ptr, alignment) && is_filled(ptr, 100, 2));
            memset(ptr + 100, 0xFF, size - 100);
            (void)heap_verify();
            ptr = dmheap_realloc(ptr, 100, "sensor");
            assert_true(is_filled(ptr, 100, 2));
        }
        arenas_release();
    }
}

static void realloc_to_0_shrinks_and_frees_nothing(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* ptr = dmheap_malloc(1000, "sensor");
    assert_ptr_equal(dmheap_realloc(ptr, 0, "sensor"), ptr);
    assert_int_equal(heap_client_blocks(), 1);
    assert_true(heap_capacity(ptr) < 4 * OVERHEAD + 16);
    dmheap_free(ptr, true);
    expect_silence();
}

static void realloc_without_memory_leaves_the_block(void** state)
{
    (void)state;
    static const size_t sizes[] = {8 * KIB, 5000, SIZE_MAX, SIZE_MAX - 7, SIZE_MAX / 2 + 1};
    heap_open(8 * KIB, 8);
    unsigned char* ptr = dmheap_malloc(3000, "sensor");
    unsigned char* aligned = dmheap_aligned_alloc(64, 1000, "sensor");
    (void)dmheap_malloc(1000, NULL);
    fill(ptr, 3000, 1);
    fill(aligned, 1000, 2);
    snapshot_take();
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_null(dmheap_realloc(ptr, sizes[i], "sensor"));
        expect_error();
        assert_null(dmheap_realloc(aligned, sizes[i], "sensor"));
        expect_error();
        assert_true(snapshot_is_same());
    }
    (void)heap_verify();
    dmheap_free(ptr, true);
    dmheap_free(aligned, true);
    expect_silence();
}

/* Two holds and nothing else: the copy lies between them, with the lock free. */
static void realloc_copies_without_the_lock(void** state)
{
    (void)state;
    heap_open(64 * KIB, 8);
    void* small = dmheap_malloc(10, NULL);
    void* large = dmheap_malloc(20000, NULL);
    (void)dmheap_malloc(10, NULL);
    unsigned before = test_port_holds();
    assert_ptr_not_equal(dmheap_realloc(small, 100, NULL), small);
    assert_int_equal(test_port_holds() - before, 2);
    before = test_port_holds();
    assert_ptr_not_equal(dmheap_realloc(large, 30000, NULL), large);
    assert_int_equal(test_port_holds() - before, 2);
}

/* ---- dmheap_free ---------------------------------------------------------------------- */

static void free_of_null_does_nothing(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    (void)dmheap_malloc(10, "sensor");
    snapshot_take();
    dmheap_free(NULL, true);
    dmheap_free(NULL, false);
    expect_silence();
    assert_true(snapshot_is_same());
}

static void free_refuses_what_is_no_block_with_one_error(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    unsigned char* ptr = dmheap_malloc(10, "sensor");
    dmheap_free(ptr + 1, true);
    expect_error();
    dmheap_free(ptr, true);
    expect_silence();
    dmheap_free(ptr, true);
    expect_error();
    (void)heap_verify();
}

static void free_refuses_a_block_whose_size_was_written_over(void** state)
{
    (void)state;
    static const char* const owners[] = {NULL, "sensor"};
    heap_open(4 * KIB, 8);
    for (size_t i = 0; i < 2 * COUNT_OF(owners); i++) {
        if (i >= COUNT_OF(owners)) { /* a module is known by its id from its last free on */
            dmheap_free(dmheap_malloc(10, owners[i - COUNT_OF(owners)]), true);
        }
        void* ptr = dmheap_malloc(10, owners[i % COUNT_OF(owners)]);
        (void)dmheap_malloc(10, NULL);
        block_of(ptr)->header += (dmheap_word)ctx_granule(test_heap.ctx);
        snapshot_take();
        dmheap_free(ptr, true);
        expect_error();
        assert_true(snapshot_is_same());
        block_of(ptr)->header -= (dmheap_word)ctx_granule(test_heap.ctx);
        dmheap_free(ptr, true);
        expect_silence();
        (void)heap_verify();
    }
}

/* All six orders in which three neighbours can go, between two walls and at the end. */
static void free_merges_at_once_in_both_cases(void** state)
{
    (void)state;
    static const unsigned order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (unsigned variant = 0; variant < 24; variant++) {
        const bool concatenate = (variant & 1) != 0;
        const bool at_end = (variant & 2) != 0;
        void* block[3];
        heap_open(8 * KIB, 8);
        assert_true(dmheap_register_module("sensor"));
        expect_info();
        for (unsigned i = 0; i < 3; i++) {
            block[i] = dmheap_malloc(500, "sensor");
        }
        if (!at_end) {
            (void)dmheap_malloc(10, NULL);
        }
        for (unsigned i = 0; i < 3; i++) {
            dmheap_free(block[order[variant / 4][i]], concatenate);
            (void)heap_verify();
        }
        assert_true(heap_verify().free_blocks <= (at_end ? 1U : 2U));
        assert_ptr_equal(dmheap_malloc(1500, NULL), block[0]);
        arenas_release();
    }
}

/* ---- dmheap_concatenate_free_blocks ------------------------------------------------------ */

static void concatenate_has_nothing_left_to_do(void** state)
{
    (void)state;
    void* block[20];
    heap_open(8 * KIB, 8);
    for (unsigned i = 0; i < 20; i++) {
        block[i] = dmheap_malloc(100, "sensor");
    }
    for (unsigned i = 0; i < 20; i++) {
        dmheap_free(block[(i * 7) % 20], false);
        snapshot_take();
        dmheap_concatenate_free_blocks();
        expect_silence();
        assert_true(snapshot_is_same());
    }
}

int main(void)
{
    const struct CMUnitTest before_init[] = {
        heap_case(before_init_there_is_no_heap),
        heap_case(before_init_register_gives_false),
        heap_case(before_init_allocations_give_null),
        heap_case(before_init_pointers_are_refused),
        heap_case(before_init_the_rest_does_nothing),
        heap_case(before_init_a_failed_init_leaves_no_heap),
    };
    const struct CMUnitTest common[] = {
        heap_case(a_constant_call_takes_the_lock_once),
        heap_case(a_log_line_may_itself_allocate),
        heap_case(a_call_that_meets_overwritten_free_memory_logs_one_error),
        heap_case(free_blocks_that_were_overwritten_are_lost_until_init),
        heap_case(a_name_is_text_of_1_to_63_characters),
        heap_case(names_are_compared_exactly),
        heap_case(a_name_is_copied),
        heap_case(the_same_pointer_may_hold_a_new_name),
        heap_case(null_and_the_empty_text_name_nobody),
        heap_case(a_longer_name_is_refused_never_cut),
    };
    const struct CMUnitTest init[] = {
        heap_case(init_logs_buffer_and_size_as_given),
        heap_case(init_again_in_the_same_buffer_starts_afresh),
        heap_case(init_again_in_another_buffer_starts_afresh),
        heap_case(init_again_with_other_settings_starts_afresh),
        heap_case(init_that_fails_leaves_the_former_heap),
        heap_case(init_tells_why_it_refuses),
        heap_case(init_takes_any_address),
        heap_case(init_takes_any_size),
        heap_case(init_of_1024_bytes_serves_nobody),
        heap_case(init_of_1024_bytes_serves_a_module),
        heap_case_if(TEST_MIB_MAX >= 17, init_of_16_mib_serves),
        heap_case_if(TEST_MIB_MAX >= 17, no_size_wraps_around_what_a_header_can_tell),
        heap_case_if(TEST_MIB_MAX >= 65,
                     init_of_more_is_refused_with_4_byte_headers_and_serves_with_8),
        heap_case(init_refuses_sizes_beyond_every_header_unwritten),
        heap_case(init_refuses_a_buffer_at_the_end_of_the_address_space),
        heap_case(init_needs_a_power_of_two),
        heap_case(init_alignment_below_a_pointers_size_counts_as_that),
        heap_case(init_alignment_is_that_of_every_allocation),
        heap_case(init_alignment_up_to_16_is_the_step_of_blocks),
        heap_case(init_fails_while_another_one_is_under_way),
        heap_case(is_initialized_after_an_init_that_succeeded),
    };
    const struct CMUnitTest modules[] = {
        heap_case(register_a_new_module_logs_one_info),
        heap_case(register_a_known_module_logs_one_warning),
        heap_case(register_happens_silently_on_first_use),
        heap_case(register_nobody_gives_false),
        heap_case(register_without_memory_gives_false),
        heap_case(register_as_many_modules_as_ids),
        heap_case(register_252_modules_that_all_hold_memory),
        heap_case(register_reuses_ids_without_end),
        heap_case(unregister_frees_all_memory_of_the_module),
        heap_case(unregister_leaves_all_other_memory),
        heap_case(unregister_leaves_the_name_for_a_new_module),
        heap_case(unregister_name_may_stand_in_memory_that_is_freed),
        heap_case(unregister_of_nobody_and_the_unknown_is_silent),
        heap_case(unregister_stops_at_the_modules_last_block),
    };
    const struct CMUnitTest allocation[] = {
        heap_case(malloc_gives_memory_of_its_own),
        heap_case(malloc_of_0_gives_a_pointer_of_its_own),
        heap_case(malloc_of_0_gives_null_when_nothing_is_left),
        heap_case(malloc_of_sizes_near_the_largest_gives_null),
        heap_case(malloc_serves_the_untouched_end_to_the_last_byte),
        heap_case(malloc_serves_the_same_size_again),
        heap_case(malloc_looks_at_a_few_blocks_of_the_sizes_own_class),
        heap_case(malloc_takes_the_next_larger_class_that_has_any),
        heap_case(malloc_without_memory_for_the_record_fails_as_a_whole),
        heap_case(malloc_that_fails_leaks_no_record),
        heap_case(aligned_alloc_gives_any_power_of_two),
        heap_case(aligned_alloc_refuses_what_is_no_power_of_two),
        heap_case(aligned_alloc_larger_than_the_heap_gives_null),
        heap_case(aligned_alloc_serves_the_one_address_that_is_right),
        heap_case(aligned_alloc_padding_is_not_lost),
    };
    const struct CMUnitTest resize_and_free[] = {
        heap_case(realloc_of_null_is_malloc),
        heap_case(realloc_to_a_smaller_size_stays_in_place),
        heap_case(realloc_to_a_smaller_size_gives_the_tail_back_once),
        heap_case(realloc_to_a_larger_size_grows_in_place),
        heap_case(realloc_that_cannot_grow_moves_with_its_content),
        heap_case(realloc_keeps_the_owner),
        heap_case(realloc_keeps_the_alignment),
        heap_case(realloc_to_0_shrinks_and_frees_nothing),
        heap_case(realloc_without_memory_leaves_the_block),
        heap_case(realloc_copies_without_the_lock),
        heap_case(free_of_null_does_nothing),
        heap_case(free_refuses_what_is_no_block_with_one_error),
        heap_case(free_refuses_a_block_whose_size_was_written_over),
        heap_case(free_merges_at_once_in_both_cases),
        heap_case(concatenate_has_nothing_left_to_do),
    };
    return cmocka_run_group_tests(before_init, NULL, NULL) +
           cmocka_run_group_tests(common, NULL, NULL) + cmocka_run_group_tests(init, NULL, NULL) +
           cmocka_run_group_tests(modules, NULL, NULL) +
           cmocka_run_group_tests(allocation, NULL, NULL) +
           cmocka_run_group_tests(resize_and_free, NULL, NULL);
}
