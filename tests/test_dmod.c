/* SPDX-License-Identifier: MIT */
/*
 * DMOD on this heap: its memory interface, the sequences in which its loader, its modules and
 * dmod-boot really call an allocator, and each mistake that an earlier allocator there made.
 */
#include "heap_test.h"
#include "dmod_api.h"

/* ---- the memory interface ---------------------------------------------------------- */

static void before_init_the_interface_does_nothing(void** state)
{
    (void)state;
    assert_null(Dmod_MallocEx(10, NULL));
    expect_error();
    assert_null(Dmod_ReallocEx(NULL, 10, "app"));
    expect_error();
    assert_null(Dmod_AlignedMallocEx(10, 16, "app"));
    expect_error();
    Dmod_FreeEx(NULL, false);
    Dmod_FreeModule("Invalid");
    Dmod_FreeModule(NULL);
    expect_silence();
    assert_false(Dmod_RetagEx(NULL, "app"));
    expect_error();
    assert_false(Dmod_RenameTag("app", "new"));
    expect_error();
}

static void malloc_ex_and_realloc_ex_are_the_heaps(void** state)
{
    (void)state;
    heap_open(4 * KIB, 16);
    void* ptr = Dmod_MallocEx(100, "app");
    assert_true(is_aligned(ptr, 16));
    assert_string_equal(heap_owner_name(ptr), "app");
    assert_ptr_equal(Dmod_ReallocEx(ptr, 50, "app"), ptr);
    assert_non_null(Dmod_ReallocEx(NULL, 50, NULL));
    Dmod_FreeEx(ptr, false);
    expect_silence();
    Dmod_FreeEx(ptr, true);
    expect_error();
    assert_int_equal(heap_client_blocks(), 1);
}

static void aligned_malloc_ex_takes_the_size_first(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    unsigned char* ptr = Dmod_AlignedMallocEx(2000, 64, "app");
    assert_true(is_aligned(ptr, 64));
    assert_true(heap_capacity(ptr) >= 2000 && heap_capacity(ptr) < 2100);
    assert_null(Dmod_AlignedMallocEx(64, 2000, "app"));
    expect_error();
}

static void free_module_is_unregister(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    (void)Dmod_MallocEx(100, "app");
    (void)Dmod_AlignedMallocEx(100, 32, "app");
    Dmod_FreeModule("app");
    expect_info_of("dmheap: Module app unregistered successfully.\n");
    assert_true(heap_is_empty());
}

static void retag_hands_a_block_to_another_module(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    unsigned char* ptr = Dmod_MallocEx(100, "loader");
    fill(ptr, 100, 1);
    assert_true(Dmod_RetagEx(ptr, "app"));
    expect_silence();
    assert_string_equal(heap_owner_name(ptr), "app");
    Dmod_FreeModule("loader");
    assert_true(live_is(test_heap.ctx, ptr) && is_filled(ptr, 100, 1));
    (void)heap_verify();
    Dmod_FreeModule("app");
    assert_true(heap_is_empty());
}

static void retag_to_and_from_nobody(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* ptr = Dmod_MallocEx(100, NULL);
    assert_true(Dmod_RetagEx(ptr, "app"));
    assert_string_equal(heap_owner_name(ptr), "app");
    assert_true(Dmod_RetagEx(ptr, "app"));
    assert_true(Dmod_RetagEx(ptr, NULL));
    assert_string_equal(heap_owner_name(ptr), "");
    assert_true(Dmod_RetagEx(ptr, "app"));
    assert_true(Dmod_RetagEx(ptr, ""));
    expect_silence();
    (void)heap_verify();
    Dmod_FreeModule("app");
    assert_int_equal(heap_client_blocks(), 1);
    Dmod_FreeEx(ptr, true);
    assert_true(heap_is_empty());
}

static void retag_that_fails_leaves_the_block_as_it_was(void** state)
{
    (void)state;
    heap_open(2 * KIB, 8);
    void* ptr = Dmod_MallocEx(100, "loader");
    assert_false(Dmod_RetagEx(ptr, long_name(64, 'x')));
    expect_error();
    (void)heap_fill(NULL);
    assert_false(Dmod_RetagEx(ptr, "a new module without room for a record"));
    expect_error();
    assert_string_equal(heap_owner_name(ptr), "loader");
    (void)heap_verify();
}

static void rename_gives_all_blocks_the_new_name(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* first = Dmod_MallocEx(10, "app");
    void* second = Dmod_MallocEx(10, "app");
    assert_true(Dmod_RenameTag("app", "app#1"));
    expect_silence();
    assert_string_equal(heap_owner_name(first), "app#1");
    assert_string_equal(heap_owner_name(second), "app#1");
    Dmod_FreeModule("app");
    expect_silence();
    assert_int_equal(heap_client_blocks(), 2);
    Dmod_FreeModule("app#1");
    expect_info();
    assert_true(heap_is_empty());
}

static void rename_and_a_new_module_of_the_old_name(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* old = Dmod_MallocEx(10, "app");
    assert_true(Dmod_RenameTag("app", long_name(55, '1')));
    void* new = Dmod_MallocEx(10, "app");
    assert_string_equal(heap_owner_name(old), long_name(55, '1'));
    Dmod_FreeModule("app");
    assert_true(live_is(test_heap.ctx, old));
    assert_false(live_is(test_heap.ctx, new));
    (void)heap_verify();
}

static void rename_that_fails_changes_nothing(void** state)
{
    (void)state;
    heap_open(2 * KIB, 8);
    void* ptr = Dmod_MallocEx(10, "app");
    (void)Dmod_MallocEx(10, "taken");
    static const char* const pairs[][2] = {{"unknown", "new"}, {NULL, "new"}, {"", "new"},
                                           {"app", NULL},      {"app", ""},   {"app", "taken"}};
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        assert_false(Dmod_RenameTag(pairs[i][0], pairs[i][1]));
        expect_error();
        assert_string_equal(heap_owner_name(ptr), "app");
    }
    assert_false(Dmod_RenameTag("app", long_name(64, 'x')));
    expect_error();
    assert_true(Dmod_RenameTag("app", "app"));
    expect_silence();
    (void)heap_fill(NULL);
    assert_false(Dmod_RenameTag("app", long_name(63, 'x')));
    expect_error();
    assert_string_equal(heap_owner_name(ptr), "app");
    (void)heap_verify();
}

/* ---- how DMOD calls it --------------------------------------------------------------- */

/* What the loader holds for one module. */
struct loaded {
    unsigned char* image;
    void* context;
    void* header;
    void* node[12];
    char* text[12];
    unsigned nodes;
};

static void load(struct loaded* module, size_t file_size, unsigned nodes)
{
    module->image = Dmod_AlignedMallocEx(file_size, 16, NULL);
    module->context = Dmod_MallocEx(600, NULL);
    module->header = Dmod_MallocEx(40, NULL);
    assert_true(is_aligned(module->image, 16));
    module->nodes = nodes;
    for (unsigned i = 0; i < nodes; i++) {
        module->node[i] = Dmod_MallocEx(16, NULL);
        module->text[i] = Dmod_MallocEx(5 + 3 * i + 1, NULL);
        memset(module->text[i], 't', 5 + 3 * i + 1);
    }
}

static void loader_tidies(struct loaded* module)
{
    for (unsigned i = module->nodes; i-- != 0;) {
        Dmod_FreeEx(module->text[i], false);
        Dmod_FreeEx(module->node[i], false);
    }
    module->nodes = 0;
}

static void unload(struct loaded* module, const char* name)
{
    Dmod_FreeEx(module->header, false);
    Dmod_FreeEx(module->context, false);
    Dmod_FreeEx(module->image, false);
    Dmod_FreeEx(NULL, false);
    Dmod_FreeModule(name);
}

static void loading_goes_by_blocks_of_nobody(void** state)
{
    (void)state;
    struct loaded module;
    heap_open(64 * KIB, sizeof(void*));
    load(&module, 9000, 12);
    assert_int_equal(heap_verify().own_blocks, 0);
    loader_tidies(&module);
    unload(&module, "Invalid");
    expect_silence();
    assert_true(heap_is_empty());
}

static void loading_a_compressed_file_shrinks_the_image(void** state)
{
    (void)state;
    heap_open(64 * KIB, sizeof(void*));
    unsigned char* image = Dmod_AlignedMallocEx(32000, 16, NULL);
    fill(image, 7000, 3);
    assert_ptr_equal(Dmod_ReallocEx(image, 7000, NULL), image);
    assert_true(is_filled(image, 7000, 3));
    assert_non_null(Dmod_MallocEx(48000, NULL));
    (void)heap_verify();
}

static void a_modules_name_lies_in_its_image_in_the_heap(void** state)
{
    (void)state;
    struct loaded module;
    heap_open(64 * KIB, sizeof(void*));
    load(&module, 9000, 3);
    char* name = strcpy((char*)module.image + 100, "example_app");
    void* ptr = Dmod_MallocEx(128, name);
    assert_string_equal(heap_owner_name(ptr), "example_app");
    assert_true(Dmod_RetagEx(module.image, name));
    loader_tidies(&module);
    Dmod_FreeEx(module.header, true);
    Dmod_FreeEx(module.context, true);
    expect_silence();
    Dmod_FreeModule(name);
    expect_info_of("dmheap: Module example_app unregistered successfully.\n");
    assert_true(heap_is_empty());
}

static void the_image_goes_before_the_module_is_freed(void** state)
{
    (void)state;
    struct loaded module;
    heap_open(64 * KIB, sizeof(void*));
    load(&module, 9000, 3);
    char* name = strcpy((char*)module.image + 100, "example_app");
    (void)Dmod_MallocEx(128, name);
    loader_tidies(&module);
    unload(&module, "example_app");
    expect_info();
    assert_true(heap_is_empty());
}

static void a_broken_file_frees_an_unknown_module(void** state)
{
    (void)state;
    struct loaded module;
    heap_open(64 * KIB, sizeof(void*));
    (void)Dmod_MallocEx(10, "resident");
    const size_t before = heap_largest_free();
    load(&module, 5000, 0);
    unload(&module, "Unknown");
    expect_silence();
    assert_int_equal(heap_largest_free(), before);
}

static void instances_with_long_names_are_kept_apart(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    char first[64] = "a_module_whose_name_has_thirty_two_characters_or_more#1";
    char second[64] = "a_module_whose_name_has_thirty_two_characters_or_more#2";
    assert_int_equal(strlen(first), 55);
    (void)Dmod_MallocEx(100, first);
    unsigned char* kept = Dmod_MallocEx(100, second);
    fill(kept, 100, 1);
    Dmod_FreeModule(first);
    expect_info();
    assert_true(live_is(test_heap.ctx, kept) && is_filled(kept, 100, 1));
    Dmod_FreeModule(second);
    assert_true(heap_is_empty());
}

static void an_image_is_retagged_after_load(void** state)
{
    (void)state;
    heap_open(64 * KIB, 8);
    for (unsigned i = 0; i < 10; i++) {
        unsigned char* image = Dmod_AlignedMallocEx(3000, 16, NULL);
        assert_true(Dmod_RetagEx(image, numbered_name(i)));
        (void)Dmod_MallocEx(200, numbered_name(i));
    }
    for (unsigned i = 0; i < 10; i++) {
        Dmod_FreeModule(numbered_name(i));
    }
    assert_true(heap_is_empty());
}

static void the_boot_heap_is_aligned_to_4_and_images_ask_for_16(void** state)
{
    (void)state;
    for (size_t offset = 0; offset < 64; offset += 4) {
        unsigned char* buffer = arena_make(40000, offset);
        assert_true(heap_start(buffer, 40000, sizeof(void*)));
        struct loaded module;
        load(&module, 8000, 12);
        (void)heap_verify();
        loader_tidies(&module);
        unload(&module, "Invalid");
        assert_true(heap_is_empty());
        arenas_release();
    }
}

static void arguments_are_freed_again_after_their_module(void** state)
{
    (void)state;
    void* argument[5];
    heap_open(8 * KIB, 8);
    for (unsigned i = 0; i < 5; i++) {
        argument[i] = Dmod_MallocEx(20, "app");
    }
    Dmod_FreeModule("app");
    expect_info();
    for (unsigned i = 0; i < 5; i++) {
        Dmod_FreeEx(argument[i], false);
        expect_error();
    }
    assert_true(heap_is_empty());
}

static void the_same_memory_is_initialized_again(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    for (unsigned i = 0; i < 20; i++) {
        (void)Dmod_MallocEx(100 + i, numbered_name(i));
    }
    assert_true(heap_start(test_heap.buffer, 16 * KIB, 8));
    expect_info();
    assert_true(heap_is_empty());
    Dmod_FreeModule(numbered_name(3));
    expect_silence();
}

static void a_client_grows_by_doubling_and_frees_on_failure(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    const size_t before = heap_largest_free();
    unsigned char* data = NULL;
    size_t capacity = 16;
    for (;;) {
        unsigned char* grown = Dmod_ReallocEx(data, capacity, NULL);
        if (grown == NULL) {
            break;
        }
        assert_true(is_filled(grown, data != NULL ? capacity / 2 : 0, 5));
        data = grown;
        fill(data, capacity, 5);
        capacity *= 2;
    }
    expect_error();
    assert_true(capacity >= 4 * KIB);
    assert_true(is_filled(data, capacity / 2, 5));
    Dmod_FreeEx(data, false);
    expect_silence();
    assert_int_equal(heap_largest_free(), before);
}

/* One life of a module among residents, as DMOD goes about it. */
static void live_once(unsigned life, bool concatenate)
{
    struct loaded module;
    char name[32];
    void* inner[8];
    (void)snprintf(name, sizeof(name), "app#%u", life);
    load(&module, 4000 + 700 * (life % 5), life % 12);
    if (life % 3 == 0) {
        assert_true(Dmod_RetagEx(module.image, name));
    }
    for (unsigned i = 0; i < 8; i++) {
        inner[i] = Dmod_MallocEx(30 * i + life % 17, name);
    }
    inner[3] = Dmod_ReallocEx(inner[3], 900, name);
    for (unsigned i = 0; i < 8; i += 2) {
        Dmod_FreeEx(inner[i], concatenate);
    }
    loader_tidies(&module);
    unload(&module, name);
    test_port_forget_lines();
}

static void after_every_load_and_unload_the_largest_block_is_what_it_was(void** state)
{
    (void)state;
    struct loaded resident[3];
    heap_open(64 * KIB, sizeof(void*));
    (void)Dmod_MallocEx(100, "shell");
    load(&resident[0], 6000, 5);
    load(&resident[1], 3000, 7);
    load(&resident[2], 5000, 2);
    /* A hole between residents, larger than some images and smaller than others. */
    loader_tidies(&resident[1]);
    unload(&resident[1], "Invalid");
    const struct heap_state before = state_now();
    for (unsigned life = 0; life < 300; life++) {
        live_once(life, life % 2 != 0);
        const struct heap_state after = state_now();
        assert_int_equal(after.largest, before.largest);
        assert_int_equal(after.census.free_bytes, before.census.free_bytes);
        assert_int_equal(after.census.free_blocks, before.census.free_blocks);
    }
}

/* ---- mistakes that were made once ------------------------------------------------------ */

static void a_new_heap_kept_the_old_module_list(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    (void)Dmod_MallocEx(10, "app");
    heap_open(8 * KIB, 8);
    memset(arenas[0].buffer, 0xFF, 8 * KIB);
    assert_true(dmheap_register_module("app"));
    expect_info();
    assert_non_null(Dmod_MallocEx(10, "app"));
    Dmod_FreeModule("app");
    assert_true(heap_is_empty());
}

static void a_split_block_stayed_in_the_list(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    void* hole = Dmod_MallocEx(2000, NULL);
    (void)Dmod_MallocEx(10, NULL);
    Dmod_FreeEx(hole, true);
    void* parts[40];
    size_t count = 0;
    while (count < 40 && (parts[count] = Dmod_MallocEx(40, NULL)) != NULL) {
        (void)heap_verify();
        count++;
    }
    assert_int_equal(count, 40);
    for (size_t i = 0; i < count; i++) {
        Dmod_FreeEx(parts[i], false);
        (void)heap_verify();
    }
}

static void the_tail_of_a_shrunken_block_was_reachable_twice(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* ptr = Dmod_MallocEx(1000, NULL);
    (void)Dmod_MallocEx(10, NULL);
    assert_ptr_equal(Dmod_ReallocEx(ptr, 100, NULL), ptr);
    (void)heap_verify();
    unsigned char* first = Dmod_MallocEx(400, NULL);
    unsigned char* second = Dmod_MallocEx(400, NULL);
    fill(first, 400, 1);
    fill(second, 400, 2);
    assert_true(is_filled(first, 400, 1));
    Dmod_FreeEx(ptr, false);
    (void)heap_verify();
    assert_true(is_filled(first, 400, 1) && is_filled(second, 400, 2));
}

static void an_aligned_pointer_was_the_headers_address(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    for (size_t alignment = 8; alignment <= 512; alignment *= 2) {
        unsigned char* ptr = Dmod_AlignedMallocEx(40, alignment, NULL);
        memset(ptr, 0xFF, 40);
        (void)heap_verify();
        Dmod_FreeEx(ptr, false);
        expect_silence();
    }
    assert_true(heap_is_empty());
}

/* Every distance between a free block's start and the next aligned address. */
static void padding_smaller_than_a_header_underflowed(void** state)
{
    (void)state;
    for (size_t shift = 0; shift < 160; shift += 4) {
        for (size_t alignment = 16; alignment <= 128; alignment *= 2) {
            heap_open(8 * KIB, sizeof(void*));
            void* before = Dmod_MallocEx(shift, NULL);
            unsigned char* ptr = Dmod_AlignedMallocEx(100, alignment, NULL);
            assert_true(is_aligned(ptr, alignment));
            memset(ptr, 0xFF, 100);
            (void)heap_verify();
            Dmod_FreeEx(before, false);
            Dmod_FreeEx(ptr, false);
            assert_true(heap_is_empty());
            arenas_release();
        }
    }
}

static void a_recycled_block_kept_its_owner(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    assert_true(dmheap_register_module("dead"));
    void* ptr = Dmod_MallocEx(100, "dead");
    (void)Dmod_MallocEx(10, NULL);
    Dmod_FreeEx(ptr, false);
    unsigned char* kept = Dmod_MallocEx(100, NULL);
    assert_ptr_equal(kept, ptr);
    assert_true(dmheap_register_module("alive"));
    Dmod_FreeModule("dead");
    assert_true(live_is(test_heap.ctx, kept));
    test_port_forget_lines();
    assert_true(dmheap_register_module("alive"));
    expect_warning();
    (void)heap_verify();
}

static void adjacent_blocks_were_never_merged(void** state)
{
    (void)state;
    void* block[10];
    heap_open(8 * KIB, 8);
    for (unsigned i = 0; i < 10; i++) {
        block[i] = Dmod_MallocEx(100, NULL);
    }
    (void)Dmod_MallocEx(10, NULL);
    for (unsigned i = 0; i < 10; i++) {
        Dmod_FreeEx(block[i], false);
    }
    dmheap_concatenate_free_blocks();
    assert_int_equal(heap_verify().free_blocks, 1);
    assert_ptr_equal(Dmod_MallocEx(1000, NULL), block[0]);
}

static void it_failed_without_merging_first(void** state)
{
    (void)state;
    void* block[64];
    unsigned count = 0;
    heap_open(4 * KIB, 8);
    while (count < 64 && (block[count] = Dmod_MallocEx(56, NULL)) != NULL) {
        count++;
    }
    test_port_forget_lines();
    for (unsigned i = 0; i < count; i++) {
        Dmod_FreeEx(block[(i * 3) % count], false);
        Dmod_FreeEx(block[(i * 3) % count], false);
    }
    for (unsigned i = 0; i < count; i++) {
        Dmod_FreeEx(block[i], false);
    }
    test_port_forget_lines();
    assert_non_null(Dmod_MallocEx((size_t)(count - 1) * 56, NULL));
    expect_silence();
}

static void merging_dropped_the_blocks_in_between(void** state)
{
    (void)state;
    unsigned char* block[9];
    heap_open(4 * KIB, 8);
    for (unsigned i = 0; i < 9; i++) {
        block[i] = Dmod_MallocEx(100, NULL);
        fill(block[i], 100, i);
    }
    const size_t free_before = heap_verify().free_bytes;
    Dmod_FreeEx(block[1], true);
    Dmod_FreeEx(block[5], true);
    Dmod_FreeEx(block[3], true);
    Dmod_FreeEx(block[4], true);
    dmheap_concatenate_free_blocks();
    const struct image_census census = heap_verify();
    assert_int_equal(census.free_blocks, 2);
    assert_int_equal(census.free_bytes, free_before + 4 * (heap_capacity(block[0]) + OVERHEAD));
    static const unsigned kept[] = {0, 2, 6, 7, 8};
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        assert_true(is_filled(block[kept[i]], 100, kept[i]));
    }
}

static void one_failed_request_logged_several_errors(void** state)
{
    (void)state;
    heap_open(2 * KIB, 8);
    void* ptr = Dmod_MallocEx(100, "app");
    (void)Dmod_MallocEx(10, "app");
    assert_null(Dmod_MallocEx(4000, "app"));
    expect_error();
    assert_null(Dmod_MallocEx(4000, "new"));
    expect_error();
    assert_null(Dmod_AlignedMallocEx(4000, 16, "new"));
    expect_error();
    assert_null(Dmod_ReallocEx(ptr, 4000, "app"));
    expect_error();
    assert_null(Dmod_ReallocEx(NULL, 4000, "app"));
    expect_error();
}

static void a_shrinking_heap_of_names_leaked_records(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    (void)Dmod_MallocEx(10, long_name(55, 'x'));
    const size_t before = heap_verify().live_bytes;
    for (unsigned i = 0; i < 500; i++) {
        void* ptr = Dmod_MallocEx(10, long_name(55, 'x'));
        assert_non_null(ptr);
        Dmod_FreeEx(ptr, false);
    }
    assert_int_equal(heap_verify().live_bytes, before);
}

int main(void)
{
    const struct CMUnitTest interface[] = {
        heap_case(before_init_the_interface_does_nothing),
        heap_case(malloc_ex_and_realloc_ex_are_the_heaps),
        heap_case(aligned_malloc_ex_takes_the_size_first),
        heap_case(free_module_is_unregister),
        heap_case(retag_hands_a_block_to_another_module),
        heap_case(retag_to_and_from_nobody),
        heap_case(retag_that_fails_leaves_the_block_as_it_was),
        heap_case(rename_gives_all_blocks_the_new_name),
        heap_case(rename_and_a_new_module_of_the_old_name),
        heap_case(rename_that_fails_changes_nothing),
    };
    const struct CMUnitTest patterns[] = {
        heap_case(loading_goes_by_blocks_of_nobody),
        heap_case(loading_a_compressed_file_shrinks_the_image),
        heap_case(a_modules_name_lies_in_its_image_in_the_heap),
        heap_case(the_image_goes_before_the_module_is_freed),
        heap_case(a_broken_file_frees_an_unknown_module),
        heap_case(instances_with_long_names_are_kept_apart),
        heap_case(an_image_is_retagged_after_load),
        heap_case(the_boot_heap_is_aligned_to_4_and_images_ask_for_16),
        heap_case(arguments_are_freed_again_after_their_module),
        heap_case(the_same_memory_is_initialized_again),
        heap_case(a_client_grows_by_doubling_and_frees_on_failure),
        heap_case(after_every_load_and_unload_the_largest_block_is_what_it_was),
    };
    const struct CMUnitTest mistakes[] = {
        heap_case(a_new_heap_kept_the_old_module_list),
        heap_case(a_split_block_stayed_in_the_list),
        heap_case(the_tail_of_a_shrunken_block_was_reachable_twice),
        heap_case(an_aligned_pointer_was_the_headers_address),
        heap_case(padding_smaller_than_a_header_underflowed),
        heap_case(a_recycled_block_kept_its_owner),
        heap_case(adjacent_blocks_were_never_merged),
        heap_case(it_failed_without_merging_first),
        heap_case(merging_dropped_the_blocks_in_between),
        heap_case(one_failed_request_logged_several_errors),
        heap_case(a_shrinking_heap_of_names_leaked_records),
    };
    return cmocka_run_group_tests(interface, NULL, NULL) +
           cmocka_run_group_tests(patterns, NULL, NULL) +
           cmocka_run_group_tests(mistakes, NULL, NULL);
}
