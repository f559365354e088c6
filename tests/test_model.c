/* SPDX-License-Identifier: MIT */
/*
 * Random operations against a naive model.
 *
 * The model is a table of what each block should be: address, size, alignment, owner, content.
 * After every operation the heap is proven as a whole and compared with the table. Where
 * DMHEAP_ACCOUNTING is 1, modules have accounts in the table as well, with limits and reserves.
 * Each run prints its seed; `test_model SEED [STEPS]` replays it.
 */
#include "heap_test.h"
#include "dmod_api.h"

#define SLOTS      160U
#define NAMES      12U
#define ARENA_SIZE (96 * KIB)
#define DEAD_MAX   5U

struct slot {
    unsigned char* ptr; /* NULL: unused */
    size_t size;
    size_t alignment;
    unsigned name; /* 0: nobody */
    unsigned content;
};

/* What is to be in a module's account beside what its slots tell. */
struct shadow {
    size_t bytes; /* after the last operation: it may be above a limit that was lowered */
    size_t peak;
    size_t allocations;
    size_t failures;
    size_t limit;
    size_t reserve;
};

/* A module that was unregistered. */
struct shadow_dead {
    char name[64];
    struct shadow shadow;
};

static struct {
    struct slot slot[SLOTS];
    char name[NAMES][64]; /* name 0 is nobody's */
    bool known[NAMES];
    struct shadow shadow[NAMES];
    size_t failures;                   /* that the heap has counted */
    struct shadow_dead dead[DEAD_MAX]; /* the last one first */
    size_t dead_count;
    size_t dead_kept; /* at most */
    unsigned char* buffer;
    size_t alignment; /* the heap's default */
    bool has_quotas;  /* limits and such are set: then the nine go the way of several heaps */
    size_t live;
    unsigned long step;
} model;

static const char* name_of(unsigned name)
{
    return name == 0 ? (dice(2) != 0 ? NULL : "") : model.name[name];
}

/* Mostly small, sometimes large, now and then of a block that is just free. */
static size_t random_size(void)
{
    switch (dice(8)) {
    case 0:
        return dice(4000);
    case 1:
        return 0;
    case 2:
        return dice(700);
    default:
        return dice(120);
    }
}

/* ---- comparison ------------------------------------------------------------------------ */

static void compare_slot(const struct slot* slot)
{
    assert_true(live_is(test_heap.ctx, slot->ptr));
    assert_true(is_aligned(slot->ptr, slot->alignment));
    assert_true(heap_capacity(slot->ptr) >= slot->size);
    assert_string_equal(heap_owner_name(slot->ptr), slot->name == 0 ? "" : model.name[slot->name]);
    assert_true(is_filled(slot->ptr, slot->size, slot->content));
}

static size_t known_modules(void)
{
    size_t count = 0;
    for (unsigned i = 1; i < NAMES; i++) {
        count += model.known[i];
    }
    return count;
}

static struct dmheap_holding* holding_of(unsigned name)
{
    struct record* record = name != 0 ? record_find(test_heap.ctx, model.name[name]) : NULL;
    assert_int_equal(record == NULL, name == 0);
    return record_holding(test_heap.ctx, record);
}

/* A module's account is what the table tells, and not above the limit by what was given since. */
static void compare_account(unsigned name)
{
    struct shadow* shadow = &model.shadow[name];
    const struct dmheap_holding* holding = holding_of(name);
    size_t bytes = 0;
    size_t blocks = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct slot* slot = &model.slot[i];
        if (slot->ptr != NULL && slot->name == name) {
            bytes += (size_t)block_size(block_of(slot->ptr));
            blocks++;
        }
    }
    assert_true(bytes <= shadow->limit || bytes <= shadow->bytes);
    shadow->bytes = bytes;
    shadow->peak = bytes > shadow->peak ? bytes : shadow->peak;
    assert_int_equal(holding->bytes, bytes);
    assert_int_equal(holding->blocks, blocks);
    assert_int_equal(holding->peak, shadow->peak);
    assert_int_equal(holding->allocations, shadow->allocations);
    assert_int_equal(holding->failures, shadow->failures);
    assert_int_equal(account_size(holding->limit), shadow->limit);
    assert_int_equal(holding->reserve, shadow->reserve);
}

static size_t heap_failures(void)
{
    size_t failures = 0;
    for (unsigned i = 0; i < CTX_REASONS; i++) {
        failures += (size_t)ctx_totals(test_heap.ctx)->failures[i];
    }
    return failures;
}

static void compare_accounts(void)
{
    for (unsigned name = 0; name < NAMES; name++) {
        if (model.known[name]) {
            compare_account(name);
        }
    }
    assert_int_equal(heap_failures(), model.failures);
    for (size_t i = 0; i <= model.dead_count; i++) {
        const struct dead* dead = dead_at(test_heap.ctx, i);
        assert_int_equal(dead != NULL, i < model.dead_count);
        if (dead != NULL) {
            assert_string_equal(dead->name, model.dead[i].name);
            assert_int_equal(dead->holding.bytes, model.dead[i].shadow.bytes);
            assert_int_equal(dead->holding.peak, model.dead[i].shadow.peak);
            assert_int_equal(dead->holding.failures, model.dead[i].shadow.failures);
            assert_int_equal(dead->holding.reserve, model.dead[i].shadow.reserve);
        }
    }
}

/* As many blocks as the table has, so that together with compare_slot the owners agree too. */
static struct image_census compare(void)
{
    const struct image_census census = heap_verify();
    assert_int_equal(census.live_blocks - census.own_blocks, model.live);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (model.slot[i].ptr != NULL) {
            compare_slot(&model.slot[i]);
        }
    }
    assert_int_equal(modules(), known_modules());
    if (DMHEAP_ACCOUNTING) {
        compare_accounts();
    }
    return census;
}

/* ---- operations ------------------------------------------------------------------------ */

/* A request of a module was refused, known or not; it logged one line. */
static void refuse(unsigned name)
{
    model.failures++;
    model.shadow[name].failures += model.known[name];
}

static bool is_told(const char* words)
{
    return strstr(test_port_text(0), words) != NULL;
}

/*
 * Was that for a limit or a reserve, as it should? Beside what was asked for there is a header,
 * rounding, and a rest that may go along.
 */
static bool is_quota_refusal(size_t size, unsigned name)
{
    const struct shadow* shadow = &model.shadow[name];
    const size_t most = size + 3 * (size_t)BLOCK_MIN_BYTES;
    if (!DMHEAP_ACCOUNTING) {
        return false;
    }
    if (is_told("its limit is reached")) {
        assert_true(model.known[name]);
        assert_true(shadow->bytes > shadow->limit || most > shadow->limit - shadow->bytes);
        return true;
    }
    const size_t own = shadow->reserve > shadow->bytes ? shadow->reserve - shadow->bytes : 0;
    const size_t unmet = (size_t)ctx_totals(test_heap.ctx)->unmet - own;
    const size_t records = model.known[name] ? 0 : 2 * KIB;
    const size_t left = (size_t)account_free(test_heap.ctx);
    if (is_told("what is free is reserved")) {
        assert_true(unmet != 0 && most + records + unmet > left);
        return true;
    }
    return false;
}

/* A failure is right if no free block was large enough for the size in the next larger class. */
static void expect_full(size_t size, size_t alignment, unsigned name, size_t largest)
{
    const bool is_quota = is_quota_refusal(size, name);
    expect_error();
    refuse(name);
    if (is_quota) {
        return;
    }
    size_t need = size + WORD + 2 * (size_t)ctx_granule(test_heap.ctx) + (size_t)BLOCK_MIN_BYTES;
    alignment = alignment < model.alignment ? model.alignment : alignment;
    if (alignment > (size_t)ctx_granule(test_heap.ctx)) {
        need += alignment + (size_t)BLOCK_MIN_BYTES + 1;
    }
    if (model.known[name]) {
        assert_true(largest < need + need / 4);
    } else {
        /* The records come on top: a group of ids, the name. */
        assert_true(largest < need + need / 4 + 2 * KIB);
    }
}

static void take(struct slot* slot, void* ptr, size_t size, size_t alignment, unsigned name)
{
    slot->ptr = ptr;
    slot->size = size;
    slot->alignment = alignment < model.alignment ? model.alignment : alignment;
    slot->name = name;
    slot->content = dice(1000);
    fill(ptr, size, slot->content);
    model.known[name] = true;
    model.shadow[name].allocations++;
    model.live++;
}

static void do_malloc(struct slot* slot)
{
    const size_t size = random_size();
    const unsigned name = dice(NAMES);
    const size_t alignment = dice(3) == 0 ? (size_t)1 << dice(11) : 1;
    const size_t largest = heap_largest_free();
    void* ptr;
    if (alignment != 1) {
        ptr = dmheap_aligned_alloc(alignment, size, name_of(name));
    } else if (dice(4) == 0) {
        ptr = dmheap_realloc(NULL, size, name_of(name));
    } else {
        ptr = dmheap_malloc(size, name_of(name));
    }
    if (ptr == NULL) {
        expect_full(size, alignment, name, largest);
    } else {
        expect_silence();
        take(slot, ptr, size, alignment, name);
    }
}

static void do_free(struct slot* slot)
{
    dmheap_free(slot->ptr, dice(2) != 0);
    expect_silence();
    slot->ptr = NULL;
    model.live--;
}

static void do_realloc(struct slot* slot)
{
    const size_t size = random_size();
    const size_t largest = heap_largest_free();
    const size_t before = (size_t)block_size(block_of(slot->ptr));
    unsigned char* ptr = dmheap_realloc(slot->ptr, size, name_of(dice(NAMES)));
    if (ptr == NULL) {
        expect_full(size, slot->alignment, slot->name, largest);
        assert_true(size > slot->size);
        return;
    }
    expect_silence();
    if (ptr != slot->ptr) {
        struct shadow* shadow = &model.shadow[slot->name];
        const size_t both = shadow->bytes + (size_t)block_size(block_of(ptr));
        assert_true(both >= before && both <= shadow->limit);
        shadow->peak = both > shadow->peak ? both : shadow->peak;
        shadow->allocations++;
    }
    assert_true(size > slot->size || ptr == slot->ptr);
    assert_true(is_filled(ptr, size < slot->size ? size : slot->size, slot->content));
    slot->ptr = ptr;
    slot->size = size;
    fill(ptr, size, slot->content);
}

static bool is_live(const void* ptr)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (model.slot[i].ptr == ptr) {
            return true;
        }
    }
    return false;
}

/* As snapshots do. */
static void forget_failures_of_all(void)
{
    model.failures = 0;
    for (unsigned i = 0; i < NAMES; i++) {
        model.shadow[i].failures = 0;
    }
}

static void do_bad_pointer(const struct slot* slot)
{
    unsigned char* ptr = test_heap.buffer + dice((uint32_t)test_heap.size);
    if (slot->ptr != NULL) {
        ptr = slot->ptr + dice((uint32_t)heap_capacity(slot->ptr) + 8);
    }
    if (is_live(ptr)) {
        return;
    }
    snapshot_take();
    switch (dice(3)) {
    case 0:
        dmheap_free(ptr, dice(2) != 0);
        break;
    case 1:
        assert_null(dmheap_realloc(ptr, random_size(), NULL));
        break;
    default:
        assert_false(Dmod_RetagEx(ptr, name_of(dice(NAMES))));
        break;
    }
    expect_error();
    assert_true(snapshot_is_same());
    if (DMHEAP_ACCOUNTING) {
        forget_failures_of_all();
    }
}

static void do_register(void)
{
    const unsigned name = 1 + dice(NAMES - 1);
    const bool registered = dmheap_register_module(model.name[name]);
    if (model.known[name]) {
        assert_true(registered);
        expect_warning();
    } else if (registered) {
        expect_info();
        model.known[name] = true;
    } else {
        expect_error();
        refuse(name);
    }
}

static void forget_shadow(unsigned name)
{
    const struct shadow nothing = {0, 0, 0, 0, SIZE_MAX, 0};
    model.shadow[name] = nothing;
}

static void keep_shadow(unsigned name)
{
    if (model.dead_kept == 0) {
        return;
    }
    memmove(&model.dead[1], &model.dead[0], sizeof(model.dead) - sizeof(model.dead[0]));
    memcpy(model.dead[0].name, model.name[name], sizeof(model.dead[0].name));
    model.dead[0].shadow = model.shadow[name];
    model.dead_count += model.dead_count < model.dead_kept;
}

static void do_unregister(unsigned name)
{
    dmheap_unregister_module(name_of(name));
    check_log(0, 0, name != 0 && model.known[name], NULL, __FILE__, __LINE__);
    if (name == 0) {
        return;
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (model.slot[i].ptr != NULL && model.slot[i].name == name) {
            model.slot[i].ptr = NULL;
            model.live--;
        }
    }
    if (model.known[name]) {
        keep_shadow(name);
    }
    forget_shadow(name);
    model.known[name] = false;
}

static void do_retag(struct slot* slot)
{
    const unsigned name = dice(NAMES);
    const unsigned old = slot->name;
    const size_t bytes = (size_t)block_size(block_of(slot->ptr));
    if (Dmod_RetagEx(slot->ptr, name_of(name))) {
        expect_silence();
        model.shadow[name].allocations += name != old;
        slot->name = name;
        model.known[name] = true;
    } else {
        const bool is_limit = is_told("its limit is reached");
        const bool is_reserve = is_told("what is free is reserved");
        expect_error();
        assert_true(!model.known[name] || (DMHEAP_ACCOUNTING && (is_limit || is_reserve)));
        assert_true(!is_limit || model.shadow[name].bytes + bytes > model.shadow[name].limit);
        refuse(name);
    }
}

static void do_rename(void)
{
    const unsigned old = dice(NAMES);
    const unsigned new = dice(NAMES);
    const bool renamed = Dmod_RenameTag(name_of(old), name_of(new));
    const bool possible =
        old != 0 && new != 0 && model.known[old] && (old == new || !model.known[new]);
    assert_true(possible || !renamed);
    assert_true(renamed || !possible || old != new);
    check_log(!renamed, 0, 0, NULL, __FILE__, __LINE__);
    model.failures += possible && !renamed;
    if (renamed && old != new) {
        model.shadow[new] = model.shadow[old];
        forget_shadow(old);
        model.known[old] = false;
        model.known[new] = true;
        for (unsigned i = 0; i < SLOTS; i++) {
            if (model.slot[i].name == old) {
                model.slot[i].name = new;
            }
        }
    }
}

#if DMHEAP_ACCOUNTING
static void do_limit(unsigned name)
{
    const size_t above = model.shadow[name].bytes + dice(dice(2) != 0 ? 100 : 5000);
    const size_t limit = dice(3) == 0 ? SIZE_MAX : dice(4) == 0 ? dice(3000) : above;
    if (dmheap_ctx_set_limit(NULL, name_of(name), limit)) {
        expect_silence();
        model.known[name] = true;
        model.shadow[name].limit = limit;
    } else {
        assert_false(model.known[name]);
        expect_error();
        refuse(name);
    }
}

static void do_reserve(unsigned name)
{
    const size_t reserve = dice(3) == 0 ? 0 : dice(dice(2) != 0 ? 2000 : (uint32_t)ARENA_SIZE);
    const size_t before = heap_failures();
    const size_t room = (size_t)(account_free(test_heap.ctx) - ctx_totals(test_heap.ctx)->unmet);
    const struct shadow* shadow = &model.shadow[name];
    const size_t held = shadow->reserve > shadow->bytes ? shadow->reserve : shadow->bytes;
    if (dmheap_ctx_set_reserve(NULL, name_of(name), reserve)) {
        expect_silence();
        assert_true(reserve <= held + room);
        model.known[name] = true;
        model.shadow[name].reserve = reserve;
    } else {
        expect_error();
        assert_true(!model.known[name] || reserve > held + room);
        assert_true(heap_failures() <= before + !model.known[name]);
        model.failures = heap_failures(); /* counted is what a record would have taken */
    }
}

static void do_keep_dead(void)
{
    const size_t kept = dice(DEAD_MAX + 1);
    if (dmheap_ctx_keep_dead(NULL, kept)) {
        expect_silence();
        model.dead_kept = kept;
        model.dead_count = 0;
    } else {
        expect_error();
        model.failures++;
    }
}

static void do_reset_peak(unsigned name)
{
    if (dmheap_ctx_reset_peak(NULL, name_of(name))) {
        expect_silence();
        model.shadow[name].peak = model.shadow[name].bytes;
    } else {
        expect_error();
        assert_false(model.known[name]);
    }
}

static void do_quota(void)
{
    const unsigned name = dice(NAMES);
    switch (dice(6)) {
    case 0:
        do_keep_dead();
        break;
    case 1:
        do_reset_peak(name);
        break;
    case 2:
        assert_true(dmheap_ctx_reset_min_free(NULL));
        break;
    case 3:
        do_reserve(name);
        break;
    default:
        do_limit(name);
        break;
    }
}

static void keep_no_dead(void)
{
    assert_true(dmheap_ctx_keep_dead(NULL, 0));
    model.dead_kept = 0;
    model.dead_count = 0;
}
#else
static void do_quota(void)
{
}

static void keep_no_dead(void)
{
}
#endif

/* Another heap, of another size, alignment and place in the same memory. */
static void do_init(void)
{
    const size_t offset = dice(70);
    const size_t size = 600 + dice(dice(2) != 0 ? 5000 : (uint32_t)(ARENA_SIZE - 700));
    const size_t alignment = (size_t)1 << dice(8);
    if (!heap_start(model.buffer + offset, size, alignment)) {
        /* Too small for one block of that alignment; the former heap goes on. */
        expect_error();
        assert_true(alignment > 16 || size < 1024);
        return;
    }
    expect_info();
    memset(model.slot, 0, sizeof(model.slot));
    memset(model.known, 0, sizeof(model.known));
    for (unsigned i = 0; i < NAMES; i++) {
        forget_shadow(i);
    }
    model.failures = 0;
    model.dead_count = 0;
    model.dead_kept = 0;
    model.known[0] = true;
    model.live = 0;
    model.has_quotas = DMHEAP_ACCOUNTING && dice(4) != 0;
    model.alignment = alignment < sizeof(void*) ? sizeof(void*) : alignment;
}

static void do_something(void)
{
    struct slot* slot = &model.slot[dice(SLOTS)];
    const unsigned choice = dice(1000);
    if (choice < 2) {
        do_init();
    } else if (choice < 12) {
        do_unregister(dice(NAMES));
    } else if (choice < 32) {
        do_register();
    } else if (choice < 42) {
        do_rename();
    } else if (choice < 120) {
        do_bad_pointer(slot);
    } else if (choice < 170 && model.has_quotas) {
        do_quota();
    } else if (slot->ptr == NULL) {
        do_malloc(slot);
    } else if (choice < 200) {
        do_retag(slot);
    } else if (choice < 600) {
        do_realloc(slot);
    } else {
        do_free(slot);
    }
}

/* ---- a run ------------------------------------------------------------------------------ */

static void give_everything_back(void)
{
    if (model.has_quotas) {
        keep_no_dead();
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (model.slot[i].ptr != NULL && dice(2) != 0) {
            do_free(&model.slot[i]);
        }
    }
    for (unsigned i = 1; i < NAMES; i++) {
        do_unregister(i);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (model.slot[i].ptr != NULL) {
            do_free(&model.slot[i]);
        }
    }
    assert_int_equal(model.live, 0);
    assert_true(heap_is_empty());
}

static void model_begin(uint32_t seed)
{
    memset(&model, 0, sizeof(model));
    random_start(seed);
    for (unsigned i = 1; i < NAMES; i++) {
        /* From 1 to 63 characters, alike but for the last ones. */
        (void)snprintf(model.name[i], sizeof(model.name[i]), "%.*s%x", (int)(i * i / 2),
                       "a_name_of_sixty_characters_or_more_that_all_of_them_begin_with", i);
    }
    model.buffer = arena_make(ARENA_SIZE, 0);
    while (test_heap.buffer == NULL || model.alignment == 0) {
        do_init();
    }
}

static void run(uint32_t seed, unsigned long steps)
{
    model_begin(seed);
    for (model.step = 0; model.step < steps; model.step++) {
        do_something();
        (void)compare();
    }
    give_everything_back();
}

/* ---- cases ------------------------------------------------------------------------------ */

static unsigned long given_steps = 4000;

static int model_case_end(void** state)
{
    if (model.step != 0) {
        print_message("ended at step %lu\n", model.step);
    }
    return heap_case_end(state);
}

static void fixed_seeds(void** state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 6; seed++) {
        run(seed, 1500);
        arenas_release();
    }
}

static void the_seed_given_or_a_fresh_one(void** state)
{
    (void)state;
    run(random_seed, given_steps);
}

/* Two heaps with the same history differ in these. */
static void forget_numbers(void)
{
    test_heap.ctx->serial = 0;
    test_heap.ctx->seal = 0;
    for (dmheap_word id = OWNER_MODULES; id < RECORD_ID_END; id++) {
        struct record* record = record_of(test_heap.ctx, id);
        if (record != NULL) {
            record->serial = 0;
        }
    }
}

/* So do trailers, and what is left of them in any memory: then what blocks hold is not compared. */
static void forget_trailers(void)
{
    unsigned char* const top = (unsigned char*)test_heap.ctx + test_heap.ctx->top;
    for (struct dmheap_block* block = heap_first_block(); block != NULL;
         block = heap_next_block(block)) {
        const bool is_free = block_is_free(block);
        unsigned char* const from = is_free ? (unsigned char*)(block + 1) : block_payload(block);
        unsigned char* const end = (unsigned char*)block_next(block) - (is_free ? WORD : 0);
        memset(from, 0, (size_t)(end - from));
    }
    memset(top, 0, (size_t)(test_heap.ctx->end - test_heap.ctx->top));
}

/* The same operations with one flag for every free; the heap's image afterwards. */
static void run_with_flag(unsigned char* buffer, unsigned char* image, bool concatenate)
{
    enum { BLOCKS = 100 };
    void* block[BLOCKS] = {NULL};
    static const char* const names[] = {NULL, "sensor", "network"};
    memset(buffer, 0, 16 * KIB);
    assert_true(heap_start(buffer, 16 * KIB, 8));
    random_start(99);
    for (unsigned i = 0; i < 5000; i++) {
        void** at = &block[dice(BLOCKS)];
        if (*at == NULL) {
            *at = dmheap_malloc(dice(300), names[dice(3)]);
        } else if (dice(4) == 0) {
            void* moved = dmheap_realloc(*at, dice(600), NULL);
            *at = moved != NULL ? moved : *at;
        } else {
            dmheap_free(*at, concatenate);
            *at = NULL;
        }
    }
    (void)heap_verify();
    forget_numbers();
    if (BLOCK_TRAILER_BYTES != 0) {
        forget_trailers();
    }
    memcpy(image, buffer, 16 * KIB);
}

static void free_true_and_free_false_give_the_same_heap(void** state)
{
    (void)state;
    unsigned char* buffer = arena_make(16 * KIB, 0);
    unsigned char* with = arena_make(16 * KIB, 0);
    unsigned char* without = arena_make(16 * KIB, 0);
    run_with_flag(buffer, with, true);
    run_with_flag(buffer, without, false);
    assert_memory_equal(with, without, 16 * KIB);
}

int main(int count, char** arguments)
{
    const struct CMUnitTest given[] = {
        cmocka_unit_test_setup_teardown(the_seed_given_or_a_fresh_one, heap_case_begin,
                                        model_case_end),
    };
    const struct CMUnitTest fixed[] = {
        cmocka_unit_test_setup_teardown(fixed_seeds, heap_case_begin, model_case_end),
        heap_case(free_true_and_free_false_give_the_same_heap),
    };
    random_choose(count, arguments);
    if (count > 1) {
        given_steps = count > 2 ? strtoul(arguments[2], NULL, 0) : given_steps;
        return cmocka_run_group_tests(given, NULL, NULL);
    }
    return cmocka_run_group_tests(fixed, NULL, NULL) + cmocka_run_group_tests(given, NULL, NULL);
}
