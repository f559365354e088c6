/* SPDX-License-Identifier: MIT */
/*
 * Corruption: each bit of what a heap keeps for itself is flipped, one at a time, in heaps of
 * several shapes; and clients write behind, in front of and into blocks. After each, clients go on
 * and ask for everything there is: whatever was written, each call comes back, and nothing outside
 * of the buffer is read or written. On a 64-bit POSIX host the buffer lies where no offset or size of
 * four bytes leads to memory that may be touched; the rest of its last page is poisoned. Elsewhere
 * its margins are.
 *
 * A context is trusted without DMHEAP_GUARD (docs/TESTING.md tells why). What that comes to is
 * found in processes of their own, each of which goes on until a flip is fatal: on a POSIX host only.
 *
 *     test_corruption        every STRIDE-th flip and write
 *     test_corruption all    all of them
 *
 * It prints how many of the flips the check finds - some of them only by blocks that seem to be moving
 * where nothing is -, how many a call tells of by itself, and how many neither; docs/TESTING.md explains
 * these, and tests/corruption.expected has them for each build.
 */
#define _DEFAULT_SOURCE
#include "heap_test.h"
#include "dmod_api.h"

#ifdef __unix__
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#define HAS_PROCESSES 1
#else
#define HAS_PROCESSES 0
#endif

#define HAS_SEA (HAS_PROCESSES && UINTPTR_MAX > UINT32_MAX)

#define HELD   64U
#define STRIDE 41U

/* ---- where the heap is ------------------------------------------------------------------- */

#if HAS_SEA
#define SEA    ((size_t)1 << 32) /* on either side */
#define ISLAND ((size_t)64 * KIB)
#define PAGE   ((size_t)4096)

/* The rest of the island's last page, of which nobody knows. */
static unsigned char* shore;
static size_t shore_bytes;

/* A heap in a new buffer with the sea around. */
static void heap_open_at_sea(size_t size, size_t alignment)
{
    static unsigned char* sea;
    if (sea == NULL) {
        void* mapped = mmap(NULL, SEA + ISLAND + SEA, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_true(mapped != MAP_FAILED);
        sea = mapped;
    }
    unsigned char* buffer = sea + SEA;
    const size_t pages = (size_t)bits_round_up(size, PAGE);
    assert_true(pages <= ISLAND && sysconf(_SC_PAGESIZE) == (long)PAGE);
    assert_int_equal(mprotect(buffer, ISLAND, PROT_NONE), 0);
    assert_int_equal(mprotect(buffer, pages, PROT_READ | PROT_WRITE), 0);
    UNPOISON(buffer, ISLAND);
    shore = buffer + size;
    shore_bytes = pages - size;
    memset(shore, CANARY, shore_bytes);
    POISON(shore, shore_bytes);
    assert_true(heap_start(buffer, size, alignment));
    expect_info();
}

/* Did nobody write outside of the buffer? */
static bool is_all_inside(void)
{
    UNPOISON(shore, shore_bytes);
    const bool is_intact = arena_is_canary(shore, shore_bytes);
    POISON(shore, shore_bytes);
    return is_intact;
}
#else
static void heap_open_at_sea(size_t size, size_t alignment)
{
    heap_open(size, alignment);
}

static bool is_all_inside(void)
{
    return arenas_are_intact();
}
#endif

/* ---- shapes of heaps ---------------------------------------------------------------------- */

struct shape {
    const char* name;
    size_t size;
    size_t alignment;
    unsigned modules;
    unsigned steps;    /* random operations that make it */
    bool is_filled_up; /* nothing is free */
};

static const struct shape shapes[] = {
    {"almost empty", 1500, 8, 1, 2, false},
    {"of one owner", 3000, 8, 0, 100, false},
    {"mixed", 5000, 8, 4, 300, false},
    {"full", 4000, 8, 3, 200, true},
    {"of many modules", 8000, 8, 20, 400, false},
    {"aligned to 64", 6000, 64, 3, 200, false},
};

static const size_t word_factor = HAS_NARROW_WORDS && !DMHEAP_ACCOUNTING ? 1 : 2;

struct held {
    unsigned char* ptr;
    size_t size;
};

static struct held held[HELD];

#define NAMES      24U
#define NAME_NEW   (NAMES - 1)
#define NAME_OTHER (NAMES - 2)
#define NAME_GONE  (NAMES - 3)

/* NULL for 0. */
static const char* module_name(unsigned number)
{
    static const char* names[NAMES];
    if (number != 0 && names[number] == NULL) {
        char text[16];
        (void)snprintf(text, sizeof(text), "m%u", number);
        names[number] = hinted_name(number % DMHEAP_HINTS, text);
    }
    return names[number];
}

static const char* any_name(unsigned modules)
{
    return module_name(dice(modules + 1));
}

static void hold(struct held* slot, void* ptr, size_t size)
{
    slot->ptr = ptr;
    slot->size = ptr != NULL ? size : 0;
}

static void any_step(unsigned modules)
{
    struct held* slot = &held[dice(HELD)];
    const size_t size = dice(5) == 0 ? dice(500) : dice(90);
    if (slot->ptr != NULL) {
        dmheap_free(slot->ptr, false);
        hold(slot, NULL, 0);
    } else if (dice(4) == 0) {
        hold(slot, dmheap_aligned_alloc((size_t)16 << dice(4), size, any_name(modules)), size);
    } else {
        hold(slot, dmheap_malloc(size, any_name(modules)), size);
    }
}

/* ---- clients go on ----------------------------------------------------------------------------- */

static unsigned told;

/* Count the errors that are told, but for those of memory that ran out. */
static void listen(void)
{
    for (size_t i = 0; i < test_port_lines(); i++) {
        told += test_port_level(i) == TEST_ERROR && strstr(test_port_text(i), "of memory") == NULL;
    }
    test_port_forget_lines();
}

static void go_on_with(struct held* block, unsigned number, unsigned modules)
{
    if (block->ptr == NULL) {
        block->ptr = dmheap_malloc(8 + (size_t)number * 5, module_name(number % (modules + 1)));
    } else if (number % 3 == 0) {
        unsigned char* moved = dmheap_realloc(block->ptr, block->size / 2 + number * 3, NULL);
        block->ptr = moved != NULL ? moved : block->ptr;
    } else if (number % 3 == 1) {
        dmheap_free(block->ptr, number % 2 != 0);
        block->ptr = NULL;
    } else if (number % 7 == 0) {
        (void)Dmod_RetagEx(block->ptr, module_name(2));
    }
    listen();
}

static bool pass_by(const struct dmheap_block_info* block, void* context)
{
    (void)block;
    (void)context;
    return true;
}

/* All figures: they look at each block, which takes as long as all that clients do otherwise. */
static bool with_figures;

static void ask(void)
{
    struct dmheap_stats stats;
    if (with_figures) {
        (void)dmheap_ctx_get_stats(NULL, &stats);
        (void)dmheap_ctx_walk(NULL, pass_by, NULL);
        listen();
    }
}

/* What does the check find? */
enum found { FOUND_NOTHING, FOUND_MOVING, FOUND_FAULT };

static enum found look(void)
{
    struct image_census census;
    if (heap_fault(test_heap.ctx, &census) != DMHEAP_FAULT_NONE) {
        return FOUND_FAULT;
    }
    return census.moving != 0 ? FOUND_MOVING : FOUND_NOTHING;
}

/* All that clients may ask for, modules that go, again, and the check; how many errors are told? */
static unsigned go_on(const struct shape* shape)
{
    struct held mine[HELD];
    told = 0;
    memcpy(mine, held, sizeof(held));
    ask();
    for (unsigned i = 0; i < HELD; i++) {
        go_on_with(&mine[i], i, shape->modules);
    }
    (void)dmheap_aligned_alloc(64, 100, module_name(NAME_NEW));
    (void)Dmod_RenameTag(module_name(1), module_name(NAME_OTHER));
    listen();
    for (unsigned i = 1; i <= shape->modules; i++) {
        dmheap_unregister_module(module_name(i));
    }
    listen();
    for (unsigned i = 0; i < HELD; i++) {
        dmheap_free(mine[i].ptr, true);
        listen();
    }
    (void)heap_fill(module_name(NAME_NEW));
    dmheap_unregister_module(module_name(NAME_NEW));
    (void)look();
    test_port_forget_lines();
    return told;
}

/* ---- what is flipped ----------------------------------------------------------------------------- */

enum kind {
    KIND_CONTEXT,
    KIND_CLASSES,
    KIND_HINT,
    KIND_ACCOUNT,
    KIND_BIN,
    KIND_MAP,
    KIND_NOBODYS,
    KIND_MODULES,
    KIND_OWN,
    KIND_FREE,
    KIND_LINK,
    KIND_FOOTER,
    KIND_RECORD,
    KIND_GROUP,
    KIND_DEAD,
    KIND_TRAILER,
    KIND_NUMBER,
    KINDS
};

static const char* const kind_text[KINDS] = {
    "context: fields", "context: classes", "context: hints",  "context: accounts",
    "context: bins",   "live map",         "nobody's header", "modules' headers",
    "own headers",     "free headers",     "links",           "footers",
    "records",         "groups",           "dead modules",    "behind payloads",
    "numbers"};

struct tally {
    unsigned long tries;
    unsigned long found;  /* by the check ... */
    unsigned long moving; /* ... as nothing but a block that is moving */
    unsigned long told;   /* by a call */
    unsigned long neither;
    unsigned long fatal; /* the process did not end well */
};

static const size_t lengths[] = {1, 4, 8, 32, KIB};

enum place { PLACE_BEHIND, PLACE_IN_FRONT, PLACE_CONTEXT, PLACES };

/* What processes of their own write, too: what came of the tries, and which one goes on now. */
static struct ledger {
    struct tally flips[KINDS];
    struct tally overruns[PLACES][COUNT_OF(lengths)];
    struct tally after_free;
    struct tally trial;
    struct tally* tally; /* that the try belongs to */
    enum found found;
    unsigned long settled; /* tries that are over, since the first of these processes began */
} * ledger;

static bool is_context(enum kind kind)
{
    return kind <= KIND_BIN;
}

/*
 * Has each bit only one value that is right? Then the check finds all of them. A canary seals a live
 * header and the byte of its alignment, and has one right value itself.
 */
static bool is_determined(enum kind kind)
{
    return (DMHEAP_CANARY &&
            (kind == KIND_NOBODYS || kind == KIND_MODULES || kind == KIND_TRAILER)) ||
           kind == KIND_CLASSES || kind == KIND_BIN || kind == KIND_MAP || kind == KIND_OWN ||
           kind == KIND_FREE || kind == KIND_LINK || kind == KIND_FOOTER;
}

/* Without DMHEAP_GUARD the heap's own data is followed as it is. */
static bool is_trusted(enum kind kind)
{
    return !DMHEAP_GUARD && is_context(kind);
}

enum outcome { OUTCOME_NOT_TOLD, OUTCOME_TOLD, OUTCOME_FATAL };

static bool with_all;
static unsigned usual; /* errors that are told while clients go on with the sound heap */

static void put_back(void)
{
    memcpy(test_heap.buffer, snapshot, test_heap.size);
    test_port_forget_lines();
}

/* Lay the shape out, always the same, and take a snapshot. */
static void lay(const struct shape* shape)
{
    memset(held, 0, sizeof(held));
    random_state = 2463534242U;
    heap_open_at_sea(shape->size * word_factor, shape->alignment);
    for (unsigned step = 0; step < shape->steps; step++) {
        any_step(shape->modules);
    }
    if (DMHEAP_ACCOUNTING && shape->modules > 3) {
        assert_true(dmheap_ctx_keep_dead(test_heap.ctx, 2));
        assert_non_null(dmheap_malloc(40, module_name(NAME_GONE)));
        dmheap_unregister_module(module_name(NAME_GONE));
    }
    if (shape->is_filled_up) {
        (void)heap_fill(NULL);
    }
    test_port_forget_lines();
    (void)heap_verify();
    snapshot_take();
    usual = go_on(shape);
    put_back();
}

static enum outcome outcome_of(unsigned lines)
{
    return lines > usual ? OUTCOME_TOLD : OUTCOME_NOT_TOLD;
}

/* The try that goes on is over. Nothing that the check calls sound may be fatal. */
static void settle(enum outcome outcome)
{
    struct tally* tally = ledger->tally;
    tally->tries++;
    tally->found += ledger->found != FOUND_NOTHING;
    tally->moving += ledger->found == FOUND_MOVING;
    tally->told += outcome == OUTCOME_TOLD;
    tally->neither += ledger->found == FOUND_NOTHING && outcome == OUTCOME_NOT_TOLD;
    tally->fatal += outcome == OUTCOME_FATAL;
    ledger->settled++;
    ledger->tally = NULL;
    assert_true(ledger->found != FOUND_NOTHING || outcome != OUTCOME_FATAL);
}

static bool is_apart;        /* is this a process of its own? */
static unsigned long turns;  /* in this process */
static unsigned long chosen; /* of these */

/* Has no process before this one tried it? */
static bool is_untried(void)
{
    return chosen++ >= ledger->settled;
}

/* Whether to try what needs a process of its own, or does not, in this one. */
static bool is_turn(bool needs_one)
{
    return needs_one == is_apart && (turns++ % STRIDE == 0 || with_all) &&
           (!is_apart || is_untried());
}

#if HAS_PROCESSES
/* What hangs for so many seconds is killed. */
#define PATIENCE 10U

static void watch(void)
{
    (void)alarm(PATIENCE);
}

static void unwatch(void)
{
    (void)alarm(0);
}

/* All is tried, or only one try more: no sanitizer and no library ends a process in such a way. */
#define STATUS_ALL  40
#define STATUS_MORE 41

#ifdef TEST_WITH_ASAN
void __asan_on_error(void);

/* Nobody reads the report of a process of its own, which takes longer than all else in it. */
void __asan_on_error(void)
{
    if (is_apart) {
        _exit(EXIT_FAILURE);
    }
}
#endif

/* In a process of its own, from the first try that is not over. */
static void go_on_apart(void (*tries)(const struct shape* shape), const struct shape* shape)
{
    const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}; /* which cmocka would catch */
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
    for (unsigned i = 0; i < COUNT_OF(fatal); i++) {
        (void)signal(fatal[i], SIG_DFL);
    }
    (void)close(STDERR_FILENO);
    is_apart = true;
    turns = (unsigned long)(shape - shapes); /* so that each shape has other bits flipped */
    with_figures = true;
    tries(shape);
    _exit(STATUS_ALL);
}

/* Try all of it in processes of their own: one that does not end well ends with a fatal try. */
static void do_apart(void (*tries)(const struct shape* shape), const struct shape* shape)
{
    int status = 0;
    bool is_over = false;
    ledger->settled = 0;
    while (!is_over) {
        (void)fflush(NULL);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            go_on_apart(tries, shape);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        const int outcome = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
        is_over = outcome == STATUS_ALL;
        if (!is_over && outcome != STATUS_MORE) {
            assert_non_null(ledger->tally);
            settle(OUTCOME_FATAL);
        }
    }
}

/* What went well may have written over what the next tries need. */
static void leave(void)
{
    _exit(STATUS_MORE);
}

static void open_ledger(void)
{
    void* shared =
        mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    ledger = shared;
}
#else
static void watch(void)
{
}

static void unwatch(void)
{
}

static void do_apart(void (*tries)(const struct shape* shape), const struct shape* shape)
{
    (void)tries;
    (void)shape;
}

static void leave(void)
{
}

static void open_ledger(void)
{
    static struct ledger mine;
    ledger = &mine;
}
#endif

/* Something was written: see what becomes of it, and put all back. */
static void try_out(const struct shape* shape, struct tally* tally,
                    unsigned (*what)(const struct shape* shape))
{
    ledger->found = FOUND_NOTHING;
    ledger->tally = tally;
    watch();
    ledger->found = look();
    const enum outcome outcome = outcome_of(what(shape));
    if (is_apart && !is_all_inside()) {
        abort();
    }
    unwatch();
    settle(outcome);
    put_back();
    if (is_apart && !HAS_SEA) {
        leave();
    }
}

static void flip(const struct shape* shape, enum kind kind, size_t byte, unsigned bit)
{
    unsigned char* at = (unsigned char*)test_heap.ctx + byte;
    if (is_turn(is_context(kind))) {
        *at = (unsigned char)(*at ^ 1U << bit);
        try_out(shape, &ledger->flips[kind], go_on);
    }
}

static void flip_all(const struct shape* shape, enum kind kind, size_t start, size_t bytes)
{
    for (size_t byte = start; byte < start + bytes; byte++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            flip(shape, kind, byte, bit);
        }
    }
}

static enum kind kind_of_own(const struct dmheap_block* block)
{
    for (unsigned number = 0; number < RECORD_GROUPS; number++) {
        if ((const void*)record_group(test_heap.ctx, number) == block_payload(block)) {
            return KIND_GROUP;
        }
    }
    return DMHEAP_ACCOUNTING && block_payload(block) == (void*)dead_ring(test_heap.ctx)
               ? KIND_DEAD
               : KIND_RECORD;
}

static void flip_block(const struct shape* shape, const struct dmheap_block* block)
{
    const size_t offset = (size_t)ctx_offset(test_heap.ctx, block);
    const size_t size = (size_t)block_size(block);
    const dmheap_word owner = block_owner(block);
    const size_t usable = (size_t)heap_usable(test_heap.ctx, block);
    if (owner == OWNER_FREE) {
        flip_all(shape, KIND_FREE, offset, WORD);
        flip_all(shape, KIND_LINK, offset + WORD, 2 * WORD);
        flip_all(shape, KIND_FOOTER, offset + size - WORD, WORD);
        return;
    }
    flip_all(shape,
             owner == OWNER_HEAP     ? KIND_OWN
             : owner == OWNER_NOBODY ? KIND_NOBODYS
                                     : KIND_MODULES,
             offset, WORD);
    if (owner == OWNER_HEAP) {
        flip_all(shape, kind_of_own(block), offset + WORD, usable);
    }
    const size_t number = DMHEAP_SEQUENCE ? sizeof(trailer_word) : 0;
    flip_all(shape, KIND_TRAILER, offset + WORD + usable, size - number - WORD - usable);
    flip_all(shape, KIND_NUMBER, offset + size - number, number);
}

static void flip_context(const struct shape* shape)
{
    const struct dmheap_ctx* ctx = test_heap.ctx;
    const size_t classes = offsetof(struct dmheap_ctx, rows);
    const size_t hints = offsetof(struct dmheap_ctx, hint);
    const size_t accounts = hints + sizeof(ctx->hint);
    const size_t bins = offsetof(struct dmheap_ctx, bin);
    const size_t map = (size_t)ctx->live;
    flip_all(shape, KIND_CONTEXT, 0, classes);
    flip_all(shape, KIND_CLASSES, classes, hints - classes);
    flip_all(shape, KIND_HINT, hints, accounts - hints);
    flip_all(shape, KIND_ACCOUNT, accounts, bins - accounts);
    flip_all(shape, KIND_BIN, bins, map - bins);
}

static void show(const char* what, const struct tally* tally)
{
    if (tally->tries != 0) {
        printf(
            "%-24s %7lu tries, found %7lu (%lu by moving), told %7lu, neither %7lu, fatal %4lu\n",
            what, tally->tries, tally->found, tally->moving, tally->told, tally->neither,
            tally->fatal);
    }
}

static void end_shape(void)
{
    assert_true(is_all_inside());
    arenas_release();
}

#if HAS_PROCESSES
/* ---- a test of the test ----------------------------------------------------------------------- */

static unsigned say_nothing(const struct shape* shape)
{
    (void)shape;
    return 0;
}

static unsigned say_more(const struct shape* shape)
{
    (void)shape;
    return usual + 1;
}

/* What the heap must never do. */
static unsigned write_behind(const struct shape* shape)
{
    (void)shape;
    *(volatile unsigned char*)(test_heap.buffer + test_heap.size) = 0;
    return 0;
}

static unsigned write_behind_unseen(const struct shape* shape)
{
    UNPOISON(test_heap.buffer + test_heap.size, 1);
    return write_behind(shape);
}

static unsigned give_up(const struct shape* shape)
{
    (void)shape;
    abort();
}

static unsigned hang(const struct shape* shape)
{
    volatile bool for_ever = true;
    (void)shape;
    (void)alarm(1);
    while (for_ever) {
    }
    return 0;
}

#if HAS_SEA
static unsigned read_from_the_sea(const struct shape* shape)
{
    (void)shape;
    return *(const volatile unsigned char*)(test_heap.buffer + SEA - 1);
}
#endif

/* What comes of each is seen while the heap is wrong in a way that the check finds. */
static void try_all_that_may_happen(const struct shape* shape)
{
    static unsigned (*const what[])(const struct shape* shape) = {
        say_nothing,
        write_behind,
        write_behind_unseen,
        say_more,
        give_up,
        hang,
#if HAS_SEA
        read_from_the_sea,
#endif
        say_nothing,
    };
    for (unsigned i = 0; i < COUNT_OF(what); i++) {
        if (is_untried()) {
            test_heap.buffer[test_heap.ctx->live] ^= 1;
            try_out(shape, &ledger->trial, what[i]);
        }
    }
}

static void what_leaves_the_buffer_is_fatal(void** state)
{
    const struct tally* trial = &ledger->trial;
    (void)state;
    lay(&shapes[0]);
    do_apart(try_all_that_may_happen, &shapes[0]);
    assert_int_equal(trial->tries, 7 + HAS_SEA);
    assert_int_equal(trial->found, trial->tries);
    assert_int_equal(trial->told, 1);
    assert_int_equal(trial->neither, 0);
    assert_int_equal(trial->fatal, 4 + HAS_SEA);
    end_shape();
}
#endif

static void each_bit_flipped(void** state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(shapes); i++) {
        lay(&shapes[i]);
        const struct dmheap_ctx* ctx = test_heap.ctx;
        const dmheap_word top = ctx->top;
        do_apart(flip_context, &shapes[i]);
        flip_all(&shapes[i], KIND_MAP, (size_t)ctx->live, (size_t)live_map_bytes(ctx->granules));
        for (uintptr_t offset = (uintptr_t)ctx->first; offset < (uintptr_t)top;) {
            const struct dmheap_block* block = ctx_block(ctx, offset);
            flip_block(&shapes[i], block);
            offset += block_size(block);
        }
        end_shape();
    }
    for (unsigned kind = 0; kind < KINDS; kind++) {
        const struct tally* tally = &ledger->flips[kind];
        show(kind_text[kind], tally);
        assert_true(is_trusted((enum kind)kind) || tally->fatal == 0);
        assert_true(!is_determined((enum kind)kind) || tally->found == tally->tries);
        assert_true(!is_determined((enum kind)kind) || tally->moving == 0);
    }
}

/* ---- what clients write where they may not --------------------------------------------------- */

static const unsigned char patterns[] = {0x00, 0x41, 0xFF};

/* Write `length` bytes from `at` on, as far as they are in the buffer. */
static void write_over(unsigned char* at, size_t length, unsigned char pattern)
{
    const unsigned char* end = test_heap.buffer + test_heap.size;
    memset(at, pattern, (size_t)(end - at) < length ? (size_t)(end - at) : length);
}

/* Behind a block and in front of it; or, in a process of its own, in front as far as the context. */
static void overrun(const struct shape* shape, const struct held* slot, unsigned number)
{
    const size_t length = lengths[number];
    const size_t room = (size_t)(slot->ptr - test_heap.buffer);
    unsigned char* from = length < room ? slot->ptr - length : test_heap.buffer;
    const unsigned char* bounds = (unsigned char*)ctx_at(test_heap.ctx, test_heap.ctx->first);
    for (unsigned i = 0; i < COUNT_OF(patterns); i++) {
        if (is_turn(false)) {
            write_over(slot->ptr + slot->size, length, patterns[i]);
            try_out(shape, &ledger->overruns[PLACE_BEHIND][number], go_on);
        }
        if (is_turn(from < bounds)) {
            const enum place place = from < bounds ? PLACE_CONTEXT : PLACE_IN_FRONT;
            write_over(from, (size_t)(slot->ptr - from), patterns[i]);
            try_out(shape, &ledger->overruns[place][number], go_on);
        }
    }
}

static void overrun_all(const struct shape* shape)
{
    for (unsigned number = 0; number < HELD * COUNT_OF(lengths); number++) {
        const struct held* slot = &held[number / COUNT_OF(lengths)];
        if (slot->ptr != NULL) {
            overrun(shape, slot, number % COUNT_OF(lengths));
        }
    }
}

static void show_overruns(enum place place, const char* text)
{
    for (unsigned number = 0; number < COUNT_OF(lengths); number++) {
        const struct tally* tally = &ledger->overruns[place][number];
        char line[40];
        (void)snprintf(line, sizeof(line), "%s: %u", text, (unsigned)lengths[number]);
        show(line, tally);
        assert_true((place == PLACE_CONTEXT && !DMHEAP_GUARD) || tally->fatal == 0);
    }
}

static void blocks_overrun_behind_and_in_front(void** state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(shapes); i++) {
        lay(&shapes[i]);
        overrun_all(&shapes[i]);
        do_apart(overrun_all, &shapes[i]);
        end_shape();
    }
    show_overruns(PLACE_BEHIND, "bytes behind");
    show_overruns(PLACE_IN_FRONT, "bytes in front");
    show_overruns(PLACE_CONTEXT, "as far as context");
}

/* Clients know that it is free. What is told all the same, since others serve now, is as usual. */
static void write_after_free(const struct shape* shape, struct held* slot, unsigned char pattern)
{
    const struct held freed = *slot;
    hold(slot, NULL, 0);
    dmheap_free(freed.ptr, true);
    usual = go_on(shape);
    put_back();
    dmheap_free(freed.ptr, true);
    write_over(freed.ptr, freed.size, pattern);
    try_out(shape, &ledger->after_free, go_on);
    *slot = freed;
}

static void blocks_written_to_after_they_were_freed(void** state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(shapes); i++) {
        lay(&shapes[i]);
        for (unsigned number = 0; number < HELD * COUNT_OF(patterns); number++) {
            struct held* slot = &held[number / COUNT_OF(patterns)];
            if (slot->ptr != NULL && is_turn(false)) {
                write_after_free(&shapes[i], slot, patterns[number % COUNT_OF(patterns)]);
            }
        }
        end_shape();
    }
    show("after free", &ledger->after_free);
}

int main(int argc, char** argv)
{
    with_all = argc > 1 && strcmp(argv[1], "all") == 0;
    with_figures = with_all;
    open_ledger();
    const struct CMUnitTest cases[] = {
#if HAS_PROCESSES
        heap_case(what_leaves_the_buffer_is_fatal),
#endif
        heap_case(each_bit_flipped),
        heap_case(blocks_overrun_behind_and_in_front),
        heap_case(blocks_written_to_after_they_were_freed),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
