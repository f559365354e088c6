/* SPDX-License-Identifier: MIT */
/*
 * Misuse: what programs do to a heap by mistake or on purpose, each in a process of its own. Each
 * wrong call is refused with one line, or does no harm; none crashes and none hangs. Where nothing
 * was written over, the heap is proven sound at the end; where the heap's own data was, the check
 * tells before a call goes on. A new init serves after each.
 *
 *     test_misuse          all of them
 *     test_misuse NAME     one, in this process
 */
#include "heap_test.h"
#include "dmod_api.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE    (4 * MIB) /* so that a megabyte behind a block is still the heap's */
#define SECONDS 20U

static unsigned char memory[SIZE] __attribute__((aligned(64)));
static unsigned char other_memory[64 * KIB] __attribute__((aligned(64)));
static bool is_damaged;
static unsigned char* a;
static unsigned char* b;
static unsigned char* c;

#define must(condition) ((condition) ? (void)0 : stop(#condition, __LINE__))

__attribute__((noreturn)) static void stop(const char* what, int line)
{
    (void)printf("line %d: not so: %s\n", line, what);
    for (size_t i = 0; i < test_port_lines(); i++) {
        (void)printf("logged: %s", test_port_text(i));
    }
    (void)fflush(stdout);
    _exit(1);
}

/* Exactly so many errors were told since the last of these. */
static void refused(size_t times)
{
    must(test_port_lines_of(TEST_ERROR) == times);
    test_port_forget_lines();
}

static size_t used(void)
{
    struct dmheap_stats stats;
    must(dmheap_ctx_get_stats(NULL, &stats));
    return stats.used;
}

/* ---- freeing twice ------------------------------------------------------------------------- */

static void free_twice(void)
{
    dmheap_free(a, true);
    dmheap_free(a, true);
    refused(1);
}

static void free_twice_with_another_between(void)
{
    dmheap_free(a, true);
    dmheap_free(b, true);
    dmheap_free(a, true);
    refused(1);
}

static void free_twice_after_the_memory_merged(void)
{
    dmheap_free(b, true);
    dmheap_free(a, true);
    dmheap_free(b, true);
    refused(1);
}

/* The place is somebody else's by then: the one double free that is a right one. */
static void free_twice_after_the_place_was_given_anew(void)
{
    dmheap_free(b, true);
    unsigned char* again = dmheap_malloc(100, "other");
    must(again == b);
    dmheap_free(b, true);
    refused(0);
    dmheap_free(again, true);
    refused(1);
}

static void free_twice_as_true_and_false(void)
{
    dmheap_free(c, false);
    dmheap_free(c, true);
    dmheap_free(c, false);
    refused(2);
}

static void free_large_blocks_twice(void)
{
    void* one = dmheap_malloc(MIB, NULL);
    void* other = dmheap_malloc(MIB, "app");
    must(one != NULL && other != NULL);
    dmheap_free(one, true);
    dmheap_free(other, true);
    dmheap_free(one, true);
    dmheap_free(other, false);
    refused(2);
}

static void free_what_realloc_moved(void)
{
    unsigned char* moved = dmheap_realloc(a, 5000, NULL);
    must(moved != NULL && moved != a);
    dmheap_free(a, true);
    refused(1);
    dmheap_free(moved, true);
    refused(0);
}

static void free_many_twice(void)
{
    void* many[500];
    for (unsigned i = 0; i < COUNT_OF(many); i++) {
        many[i] = dmheap_malloc(i, "many");
    }
    for (unsigned i = 0; i < 2 * COUNT_OF(many); i++) {
        dmheap_free(many[i * 7 % COUNT_OF(many)], i % 2 != 0);
    }
    refused(COUNT_OF(many));
}

/* ---- freeing what is none ------------------------------------------------------------------- */

/* By all that takes a pointer. */
static void refuse_address(uintptr_t address)
{
    void* ptr = (void*)address;
    char name[DMHEAP_NAME_BYTES];
    const size_t before = used();
    dmheap_free(ptr, true);
    must(dmheap_realloc(ptr, 10, "x") == NULL);
    must(!Dmod_RetagEx(ptr, "x"));
    must(dmheap_ctx_usable_size(NULL, ptr) == 0);
    must(!dmheap_ctx_owner_of(NULL, ptr, name) && name[0] == '\0');
    must(dmheap_ctx_aligned_realloc(NULL, ptr, 64, 10, "x") == NULL);
    refused(6);
    must(used() == before);
}

static void free_the_stack(void)
{
    unsigned char local[64];
    refuse_address((uintptr_t)local);
}

static void free_static_memory(void)
{
    refuse_address((uintptr_t)other_memory);
}

static void free_code(void)
{
    refuse_address((uintptr_t)free_code);
}

static void free_small_numbers(void)
{
    for (uintptr_t number = 1; number < 100; number++) {
        refuse_address(number);
    }
}

static void free_the_last_addresses(void)
{
    for (uintptr_t number = 1; number < 100; number++) {
        refuse_address(0 - number);
    }
}

static void free_the_middle_of_a_block(void)
{
    for (size_t offset = 1; offset < 100; offset++) {
        refuse_address((uintptr_t)(a + offset));
    }
}

static void free_the_middle_of_a_large_block(void)
{
    const unsigned char* large = dmheap_malloc(MIB, NULL);
    must(large != NULL);
    for (size_t offset = 8; offset < MIB; offset += 4088) {
        refuse_address((uintptr_t)(large + offset));
    }
}

static void free_in_front_of_a_block(void)
{
    for (size_t offset = 1; offset <= 16; offset++) {
        refuse_address((uintptr_t)(b - offset));
    }
}

static void free_the_buffer(void)
{
    refuse_address((uintptr_t)memory);
    refuse_address((uintptr_t)memory + SIZE);
    refuse_address((uintptr_t)memory + SIZE - 8);
    refuse_address((uintptr_t)memory - 8);
}

static void free_the_heaps_own(void)
{
    for (size_t offset = 0; offset < 4096; offset += 8) {
        if (memory + offset != a && memory + offset != b && memory + offset != c) {
            refuse_address((uintptr_t)memory + offset);
        }
    }
}

static void free_what_another_allocator_gave(void)
{
    void* foreign = malloc(100);
    refuse_address((uintptr_t)foreign);
    free(foreign);
}

static void free_into_another_heap(void)
{
    struct dmheap_ctx* other = dmheap_ctx_init(other_memory, sizeof(other_memory), 8);
    void* there = dmheap_ctx_malloc(other, 100, NULL);
    must(there != NULL);
    refuse_address((uintptr_t)there);
    dmheap_ctx_free(other, a, true);
    refused(1);
    dmheap_ctx_free(other, there, true);
    refused(0);
}

static void free_of_a_former_heap(void)
{
    must(dmheap_init(memory, SIZE, 8));
    refuse_address((uintptr_t)a);
    refuse_address((uintptr_t)c);
    a = b = c = NULL;
}

static void free_of_a_module_that_is_gone(void)
{
    dmheap_unregister_module("app");
    refuse_address((uintptr_t)a);
    a = NULL;
}

/* A block that looks as one, header and all, inside another. */
static void free_a_forged_block(void)
{
    memcpy(c + 32, b - 16, 64);
    memcpy(c, b - 16, 64);
    for (size_t offset = 8; offset < 64; offset += 8) {
        refuse_address((uintptr_t)(c + offset));
    }
}

/* ---- writing beyond --------------------------------------------------------------------------- */

/* The errors that were told since the last of these. */
static size_t told(void)
{
    const size_t errors = test_port_lines_of(TEST_ERROR);
    test_port_forget_lines();
    return errors;
}

/* A request says in one line that it fails, and in one at most that it met what was written over. */
static bool is_told_once(const void* given)
{
    const size_t errors = told();
    return errors == 1 || (errors == 0 && given != NULL);
}

/* The heap's own data was hit: the check finds it, and is not fooled into reading elsewhere. */
static void find_damage(void)
{
    struct dmheap_finding finding;
    is_damaged = true;
    must(!dmheap_ctx_check(NULL, &finding));
    must(finding.fault != DMHEAP_FAULT_NONE && told() == 1);
}

/* Calls go on, each with one line at most. */
static void go_on_damaged(void)
{
    struct dmheap_finding finding;
    dmheap_free(b, true);
    must(told() <= 1);
    void* moved = dmheap_realloc(a, 3000, NULL);
    must(is_told_once(moved));
    must(is_told_once(dmheap_malloc(100, "app")));
    dmheap_free(moved != NULL ? moved : a, true);
    must(told() <= 1);
    dmheap_free(c, true);
    must(told() <= 1);
    dmheap_unregister_module("app");
    must(told() <= 1);
    must(is_told_once(dmheap_malloc(100, "app")));
    (void)dmheap_ctx_check(NULL, &finding);
    must(told() == (finding.fault != DMHEAP_FAULT_NONE));
}

/* Where a block has its number there, nothing can tell, and nothing is harmed: the heap stays sound. */
static void write_a_byte_behind(void)
{
    unsigned char* behind = b + dmheap_ctx_usable_size(NULL, b);
    *behind = (unsigned char)(*behind ^ 'x');
    if (!DMHEAP_SEQUENCE || DMHEAP_CANARY) {
        find_damage();
    }
    go_on_damaged();
}

static void write_32_bytes_behind(void)
{
    memset(b + 100, 'x', 32);
    find_damage();
    go_on_damaged();
}

static void write_a_megabyte_behind(void)
{
    memset(b + 100, 'x', MIB);
    find_damage();
    go_on_damaged();
}

static void write_a_byte_in_front(void)
{
    b[-1] = (unsigned char)(b[-1] + 1);
    find_damage();
    go_on_damaged();
}

static void write_32_bytes_in_front(void)
{
    memset(b - 32, 'x', 32);
    find_damage();
    go_on_damaged();
}

/* Over the blocks that a megabyte in front of the last one has, headers and all. */
static void write_a_megabyte_in_front(void)
{
    for (unsigned i = 0; i < 80; i++) {
        must(dmheap_malloc(MIB / 64, NULL) != NULL);
    }
    b = dmheap_malloc(100, NULL);
    must(b != NULL && b - c > (ptrdiff_t)MIB);
    memset(b - MIB, 'x', MIB);
    find_damage();
    go_on_damaged();
}

static void write_32_bytes_in_front_of_the_first(void)
{
    memset(a - 32, 'x', 32);
    find_damage();
    go_on_damaged();
}

/*
 * All that is in front of the first block, where the heap has its own data. A library that trusts it
 * is told by the check; calls may do anything.
 */
static void write_over_the_heap_in_front_of_the_first(void)
{
    memset(memory, 'x', (size_t)(a - memory));
    find_damage();
    if (DMHEAP_GUARD) {
        go_on_damaged();
    }
}

static void write_behind_a_large_block(void)
{
    b = dmheap_malloc(MIB, NULL);
    must(b != NULL && dmheap_malloc(100, NULL) != NULL);
    memset(b + MIB, 'x', MIB / 4);
    find_damage();
    go_on_damaged();
}

static void write_in_front_of_a_large_block(void)
{
    b = dmheap_malloc(MIB, NULL);
    must(b != NULL);
    memset(b - 200, 'x', 200);
    find_damage();
    go_on_damaged();
}

static void write_zeros_behind(void)
{
    memset(b + 100, 0, 200);
    find_damage();
    go_on_damaged();
}

static void write_after_free(void)
{
    dmheap_free(b, true);
    memset(b, 'x', 100);
    b = NULL;
    find_damage();
    go_on_damaged();
}

static void write_after_free_of_a_large_block(void)
{
    b = dmheap_malloc(MIB, NULL);
    must(b != NULL && dmheap_malloc(100, NULL) != NULL);
    dmheap_free(b, true);
    memset(b, 'x', MIB);
    b = NULL;
    find_damage();
    go_on_damaged();
}

/* Into what is somebody else's by then: of the heap's own nothing is hit. */
static void write_after_the_place_was_given_anew(void)
{
    dmheap_free(b, true);
    unsigned char* again = dmheap_malloc(100, "other");
    must(again == b);
    memset(b, 'x', 100);
    dmheap_free(again, true);
    refused(0);
}

/* The links of a free block lead where the attacker wants memory, for the next but one to get. */
static void forge_links_of_a_free_block(void)
{
    static uintptr_t target[16];
    dmheap_free(b, true);
    const uintptr_t lead = (uintptr_t)target - (uintptr_t)memory;
    memcpy(b, &lead, sizeof(lead));
    memcpy(b + sizeof(lead), &lead, sizeof(lead));
    find_damage();
    for (unsigned i = 0; i < 10; i++) {
        const unsigned char* given = dmheap_malloc(100, NULL);
        must(given == NULL || (given >= memory && given < memory + SIZE));
        must(is_told_once(given));
    }
    for (unsigned i = 0; i < COUNT_OF(target); i++) {
        must(target[i] == 0);
    }
    b = NULL;
    go_on_damaged();
}

/* ---- sizes and alignments ----------------------------------------------------------------------- */

static void ask_for_nothing(void)
{
    unsigned char* none = dmheap_malloc(0, NULL);
    unsigned char* another = dmheap_malloc(0, NULL);
    must(none != NULL && another != NULL && none != another);
    must(dmheap_realloc(a, 0, NULL) == a);
    dmheap_free(none, true);
    dmheap_free(another, true);
    refused(0);
}

/* A block for nothing has some bytes all the same, which are its own. */
static void write_to_nothing(void)
{
    unsigned char* none = dmheap_malloc(0, NULL);
    unsigned char* another = dmheap_malloc(0, NULL);
    must(none != NULL && another != NULL);
    memset(none, 'x', dmheap_ctx_usable_size(NULL, none));
    dmheap_free(none, true);
    dmheap_free(another, true);
    refused(0);
}

static void write_behind_nothing(void)
{
    b = dmheap_malloc(0, NULL);
    must(b != NULL && dmheap_malloc(0, NULL) != NULL);
    memset(b + dmheap_ctx_usable_size(NULL, b), 'x', 32);
    find_damage();
    go_on_damaged();
}

static void ask_for_the_impossible(void)
{
    const size_t sizes[] = {SIZE_MAX,     SIZE_MAX - 1,     SIZE_MAX - 8,     SIZE_MAX - 64,
                            SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 2, SIZE,
                            SIZE - 100,   SIZE * 2};
    for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
        must(dmheap_malloc(sizes[i], "app") == NULL);
        must(dmheap_malloc(sizes[i], "new") == NULL);
        must(dmheap_aligned_alloc(64, sizes[i], NULL) == NULL);
        must(dmheap_realloc(a, sizes[i], NULL) == NULL);
        must(dmheap_realloc(NULL, sizes[i], NULL) == NULL);
        must(dmheap_ctx_calloc(NULL, sizes[i], 1, NULL) == NULL);
        must(dmheap_ctx_calloc(NULL, 2, sizes[i] / 2 + 1, NULL) == NULL);
        must(dmheap_ctx_aligned_realloc(NULL, a, 128, sizes[i], NULL) == NULL);
        refused(8);
    }
    must(dmheap_ctx_calloc(NULL, SIZE_MAX / 4 + 2, 4, NULL) == NULL); /* 4, without the carry */
    refused(1);
}

static void ask_for_odd_alignments(void)
{
    const size_t wrong[] = {0, 3, 6, 100, SIZE_MAX, SIZE_MAX - 1};
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        must(dmheap_aligned_alloc(wrong[i], 8, NULL) == NULL);
        must(dmheap_ctx_aligned_realloc(NULL, a, wrong[i], 8, NULL) == NULL);
        refused(2);
    }
    must(dmheap_aligned_alloc(SIZE_MAX / 2 + 1, 8, NULL) == NULL);
    must(dmheap_aligned_alloc((size_t)SIZE * 2, 8, NULL) == NULL);
    refused(2);
}

/* ---- modules --------------------------------------------------------------------------------------- */

static void name_a_module_too_long(void)
{
    static char name[10001];
    memset(name, 'n', sizeof(name) - 1);
    must(!dmheap_register_module(name));
    must(dmheap_malloc(10, name) == NULL);
    must(!Dmod_RetagEx(a, name));
    must(!Dmod_RenameTag("app", name));
    refused(4);
    dmheap_unregister_module(name);
    refused(0);
}

static void unregister_by_a_name_in_its_own_memory(void)
{
    memcpy(a, "app", 4);
    dmheap_unregister_module((const char*)a);
    refused(0);
    dmheap_unregister_module("app");
    refused(0);
    a = NULL;
}

static void unregister_nobody(void)
{
    dmheap_unregister_module(NULL);
    dmheap_unregister_module("");
    dmheap_unregister_module("%s%n");
    refused(0);
    must(dmheap_ctx_usable_size(NULL, b) >= 100);
}

static void register_more_than_there_may_be(void)
{
    unsigned count = 0;
    while (dmheap_register_module(numbered_name(count))) {
        count++;
    }
    refused(1);
    must(count == (HAS_NARROW_WORDS ? 251 : 4091)); /* and "app" */
    for (unsigned i = 0; i < count; i++) {
        dmheap_unregister_module(numbered_name(i));
    }
    refused(0);
}

static void use_a_handle_of_a_module_that_is_gone(void)
{
    struct dmheap_module module;
    must(dmheap_ctx_open_module(NULL, "app", &module));
    dmheap_unregister_module("app");
    must(dmheap_register_module("next"));
    must(dmheap_ctx_malloc_for(NULL, 10, module) == NULL);
    module.id ^= 0xFFFF;
    must(dmheap_ctx_malloc_for(NULL, 10, module) == NULL);
    refused(2);
    a = NULL;
}

/* ---- heaps ------------------------------------------------------------------------------------------- */

static void make_a_heap_of_nothing(void)
{
    must(!dmheap_init(NULL, 1000, 8));
    must(!dmheap_init(other_memory, 0, 8));
    must(!dmheap_init(other_memory, 40, 8));
    must(!dmheap_init(other_memory, 1000, 0));
    must(!dmheap_init(other_memory, 1000, 24));
    must(!dmheap_init(other_memory, 1000, 2048));
    must(!dmheap_init(other_memory, SIZE_MAX, 8));
    must(!dmheap_init((void*)(UINTPTR_MAX - 100), 1000, 8));
    refused(8);
    must(dmheap_ctx_usable_size(NULL, a) >= 100); /* the former one goes on */
}

static void use_a_context_that_is_none(void)
{
    struct dmheap_ctx* wrong[] = {(struct dmheap_ctx*)8, (struct dmheap_ctx*)(void*)other_memory,
                                  (struct dmheap_ctx*)(void*)a,
                                  (struct dmheap_ctx*)(uintptr_t)(UINTPTR_MAX - 7)};
    struct dmheap_finding finding;
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        must(dmheap_ctx_malloc(wrong[i], 10, NULL) == NULL);
        dmheap_ctx_free(wrong[i], a, true);
        must(!dmheap_ctx_deinit(wrong[i]));
        must(!dmheap_ctx_check(wrong[i], &finding));
        refused(4);
    }
}

static void use_a_heap_that_was_torn_down(void)
{
    struct dmheap_ctx* other = dmheap_ctx_init(other_memory, sizeof(other_memory), 8);
    void* there = dmheap_ctx_malloc(other, 10, NULL);
    must(there != NULL && dmheap_ctx_deinit(other));
    memset(other_memory, 0x5A, sizeof(other_memory));
    must(dmheap_ctx_malloc(other, 10, NULL) == NULL);
    dmheap_ctx_free(other, there, true);
    dmheap_free(there, true);
    must(!dmheap_ctx_deinit(other));
    refused(4);
}

/* ---- calls from within calls ------------------------------------------------------------------------- */

static bool free_what_is_visited(const struct dmheap_block_info* block, void* context)
{
    (void)context;
    if (block->kind == DMHEAP_BLOCK_LIVE) {
        dmheap_free((void*)(uintptr_t)block->ptr, true);
    }
    return dmheap_malloc(8, "visitor") != NULL;
}

static void free_all_while_walking(void)
{
    (void)dmheap_ctx_walk(NULL, free_what_is_visited, NULL);
    dmheap_unregister_module("visitor");
    test_port_forget_lines();
    a = b = c = NULL;
}

static bool fail_again(const struct dmheap_failure* failure, void* context)
{
    (void)context;
    return failure->size == 0 || dmheap_malloc(SIZE_MAX, "hook") == NULL;
}

static void allocate_in_the_failure_hook(void)
{
    must(dmheap_ctx_set_failure_hook(NULL, fail_again, NULL));
    must(dmheap_malloc(SIZE_MAX, NULL) == NULL);
    test_port_forget_lines();
    must(dmheap_ctx_set_failure_hook(NULL, NULL, NULL));
}

static bool tear_down(const char* line, void* context)
{
    (void)context;
    dmheap_unregister_module("app");
    return line != NULL && dmheap_init(memory, SIZE, 16);
}

static void make_the_heap_anew_while_it_is_reported(void)
{
    (void)dmheap_ctx_report(NULL, 0xFFFF, tear_down, NULL);
    test_port_forget_lines();
    a = b = c = NULL;
}

/* ---- before there is a heap: the one case that begins without ------------------------------------------ */

static void call_before_init(void)
{
    struct dmheap_stats stats;
    must(!dmheap_is_initialized());
    must(dmheap_malloc(10, "app") == NULL);
    must(dmheap_realloc(NULL, 10, "app") == NULL);
    must(dmheap_aligned_alloc(8, 8, NULL) == NULL);
    must(!dmheap_register_module("app"));
    dmheap_free(memory + 64, true);
    must(!dmheap_ctx_get_stats(NULL, &stats));
    refused(6);
    dmheap_free(NULL, true);
    dmheap_unregister_module("app");
    dmheap_concatenate_free_blocks();
    refused(0);
}

/* ---- all of them -------------------------------------------------------------------------------------------- */

#define CASE(function)      \
    {                       \
#function, function \
    }

static const struct misuse {
    const char* name;
    void (*run)(void);
} misuses[] = {
    CASE(free_twice),
    CASE(free_twice_with_another_between),
    CASE(free_twice_after_the_memory_merged),
    CASE(free_twice_after_the_place_was_given_anew),
    CASE(free_twice_as_true_and_false),
    CASE(free_large_blocks_twice),
    CASE(free_what_realloc_moved),
    CASE(free_many_twice),
    CASE(free_the_stack),
    CASE(free_static_memory),
    CASE(free_code),
    CASE(free_small_numbers),
    CASE(free_the_last_addresses),
    CASE(free_the_middle_of_a_block),
    CASE(free_the_middle_of_a_large_block),
    CASE(free_in_front_of_a_block),
    CASE(free_the_buffer),
    CASE(free_the_heaps_own),
    CASE(free_what_another_allocator_gave),
    CASE(free_into_another_heap),
    CASE(free_of_a_former_heap),
    CASE(free_of_a_module_that_is_gone),
    CASE(free_a_forged_block),
    CASE(write_a_byte_behind),
    CASE(write_32_bytes_behind),
    CASE(write_a_megabyte_behind),
    CASE(write_a_byte_in_front),
    CASE(write_32_bytes_in_front),
    CASE(write_a_megabyte_in_front),
    CASE(write_32_bytes_in_front_of_the_first),
    CASE(write_over_the_heap_in_front_of_the_first),
    CASE(write_behind_a_large_block),
    CASE(write_in_front_of_a_large_block),
    CASE(write_zeros_behind),
    CASE(write_after_free),
    CASE(write_after_free_of_a_large_block),
    CASE(write_after_the_place_was_given_anew),
    CASE(forge_links_of_a_free_block),
    CASE(ask_for_nothing),
    CASE(write_to_nothing),
    CASE(write_behind_nothing),
    CASE(ask_for_the_impossible),
    CASE(ask_for_odd_alignments),
    CASE(name_a_module_too_long),
    CASE(unregister_by_a_name_in_its_own_memory),
    CASE(unregister_nobody),
    CASE(register_more_than_there_may_be),
    CASE(use_a_handle_of_a_module_that_is_gone),
    CASE(make_a_heap_of_nothing),
    CASE(use_a_context_that_is_none),
    CASE(use_a_heap_that_was_torn_down),
    CASE(free_all_while_walking),
    CASE(allocate_in_the_failure_hook),
    CASE(make_the_heap_anew_while_it_is_reported),
    CASE(call_before_init),
};

/* A heap with neighbours, the misuse, and what must be so behind it. */
static void run(const struct misuse* misuse)
{
    (void)alarm(SECONDS);
    if (misuse->run == call_before_init) {
        misuse->run();
        return;
    }
    must(dmheap_init(memory, SIZE, 8));
    a = dmheap_malloc(100, "app");
    b = dmheap_malloc(100, NULL);
    c = dmheap_malloc(100, NULL);
    must(a != NULL && b != NULL && c != NULL);
    test_port_forget_lines();
    misuse->run();
    if (!is_damaged) {
        struct dmheap_finding finding;
        must(dmheap_ctx_check(NULL, &finding));
        must(finding.moving == 0);
    }
    must(dmheap_init(memory, SIZE, 8) && dmheap_malloc(1000, "app") != NULL);
    must(!test_port_is_held());
}

static bool is_harmless(const struct misuse* misuse)
{
    int status = 0;
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        run(misuse);
        _exit(0);
    }
    const bool is_well = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    printf("%s %s\n", is_well ? "ok  " : "FAIL", misuse->name);
    return is_well;
}

int main(int argc, char** argv)
{
    unsigned wrong = 0;
    unsigned count = 0;
    for (unsigned i = 0; i < COUNT_OF(misuses); i++) {
        if (argc > 1 && strcmp(argv[1], misuses[i].name) == 0) {
            run(&misuses[i]);
            return 0;
        }
        count += argc == 1;
        wrong += argc == 1 && !is_harmless(&misuses[i]);
    }
    printf("%u programs, %u wrong\n", count, wrong);
    return count != 0 && wrong == 0 ? 0 : 1;
}
