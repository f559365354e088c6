/* SPDX-License-Identifier: MIT */
/*
 * Bad pointers are refused for every pointer value, and overruns do no more harm than they did.
 *
 * First half: a pointer that is no live block goes to every call that takes one; each must
 * log one ERROR and leave the whole buffer as it was, byte by byte. Second half: the bytes
 * behind a block are written over, and then every call that could stumble over it is made.
 */
#include "heap_test.h"
#include "dmod_api.h"

/* ---- refusal ---------------------------------------------------------------------- */

#define REFUSALS 7U

/* Give `ptr` to every call that takes a block. */
static void offer(void* ptr)
{
    dmheap_free(ptr, false);
    dmheap_free(ptr, true);
    assert_null(dmheap_realloc(ptr, 0, NULL));
    assert_null(dmheap_realloc(ptr, 24, "sensor"));
    assert_null(dmheap_realloc(ptr, 700, "unknown"));
    assert_false(Dmod_RetagEx(ptr, "sensor"));
    assert_false(Dmod_RetagEx(ptr, "unknown"));
}

static void expect_refused_at(void* ptr, int line)
{
    snapshot_take();
    offer(ptr);
    if (!snapshot_is_same() || test_port_lines_of(TEST_ERROR) != REFUSALS) {
        print_error("pointer at %p, heap at %p\n", ptr, (void*)test_heap.buffer);
    }
    _assert_true(snapshot_is_same(), "the buffer is as it was", __FILE__, line);
    check_log(REFUSALS, 0, 0, NULL, __FILE__, line);
}

#define expect_refused(ptr) expect_refused_at(ptr, __LINE__)

/* A small heap with modules, live blocks of several kinds, and holes between them. */
struct scene {
    unsigned char* block[12];
    size_t size[12];
};

static void scene_open(struct scene* scene, size_t alignment)
{
    static const char* const names[] = {"sensor", NULL, "network", "a/name/of/more/letters"};
    heap_open(4 * KIB, alignment);
    for (unsigned i = 0; i < 12; i++) {
        scene->size[i] = 10 + 13 * i;
        scene->block[i] = i % 5 == 4 ? dmheap_aligned_alloc(32, scene->size[i], names[i % 4])
                                     : dmheap_malloc(scene->size[i], names[i % 4]);
        assert_non_null(scene->block[i]);
        fill(scene->block[i], scene->size[i], i);
    }
    for (unsigned i = 2; i < 12; i += 4) {
        dmheap_free(scene->block[i], true);
        scene->block[i] = NULL;
    }
    expect_silence();
    (void)heap_verify();
}

static bool scene_has(const struct scene* scene, const void* ptr)
{
    for (unsigned i = 0; i < 12; i++) {
        if (scene->block[i] == ptr) {
            return true;
        }
    }
    return false;
}

static void every_address_of_the_buffer_but_live_blocks(void** state)
{
    (void)state;
    static const size_t alignments[] = {4, 8, 16, 64};
    for (size_t i = 0; i < COUNT_OF(alignments); i++) {
        struct scene scene;
        scene_open(&scene, alignments[i]);
        for (size_t at = 0; at < test_heap.size; at++) {
            unsigned char* ptr = test_heap.buffer + at;
            if (!scene_has(&scene, ptr)) {
                expect_refused(ptr);
            }
        }
        (void)heap_verify();
        arenas_release();
    }
}

static void addresses_outside_the_buffer(void** state)
{
    (void)state;
    static uint64_t statics[8];
    uint64_t automatic[8] = {0};
    struct scene scene;
    scene_open(&scene, 8);
    for (size_t i = 0; i < 8; i++) {
        expect_refused(&statics[i]);
        expect_refused(&automatic[i]);
    }
    for (uintptr_t i = 1; i < 300; i++) {
        expect_refused((void*)i);
        expect_refused((void*)(UINTPTR_MAX - i + 1));
        expect_refused((void*)((uintptr_t)test_heap.buffer - i));
        expect_refused((void*)((uintptr_t)test_heap.buffer + test_heap.size + i - 1));
    }
    for (unsigned bit = 4; bit < sizeof(uintptr_t) * 8; bit++) {
        expect_refused((void*)((uintptr_t)scene.block[0] ^ ((uintptr_t)1 << bit ^ 1)));
        expect_refused((void*)((uintptr_t)1 << bit));
    }
}

static void retag_of_null(void** state)
{
    (void)state;
    heap_open(2 * KIB, 8);
    assert_false(Dmod_RetagEx(NULL, "sensor"));
    expect_error();
    assert_true(heap_is_empty());
}

static void a_block_freed_before_at_once(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, 8);
    for (unsigned i = 0; i < 12; i++) {
        if (scene.block[i] != NULL) {
            dmheap_free(scene.block[i], i % 2 != 0);
            expect_silence();
            expect_refused(scene.block[i]);
        }
    }
}

static void a_block_freed_before_after_its_memory_was_reused(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    (void)dmheap_malloc(10, "sensor");
    unsigned char* left = dmheap_malloc(104, NULL);
    unsigned char* middle = dmheap_malloc(104, NULL);
    unsigned char* right = dmheap_malloc(104, NULL);
    (void)dmheap_malloc(10, NULL);
    dmheap_free(middle, true);
    dmheap_free(left, true);
    dmheap_free(right, true);
    unsigned char* over_all = dmheap_malloc(300, NULL);
    assert_ptr_equal(over_all, left);
    memset(over_all, 0xFF, 300);
    expect_refused(middle);
    expect_refused(right);
    dmheap_free(over_all, true);
    expect_refused(over_all);
    expect_refused(middle);
    expect_silence();
    (void)heap_verify();
}

static void a_block_of_an_unregistered_module(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    (void)dmheap_malloc(10, "sensor");
    void* first = dmheap_malloc(100, "motor");
    void* second = dmheap_aligned_alloc(64, 100, "motor");
    dmheap_unregister_module("motor");
    expect_info();
    expect_refused(first);
    expect_refused(second);
}

static void a_block_that_moved(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    (void)dmheap_malloc(10, "sensor");
    void* old = dmheap_malloc(100, NULL);
    (void)dmheap_malloc(100, NULL);
    void* moved = dmheap_realloc(old, 500, NULL);
    assert_ptr_not_equal(moved, old);
    expect_refused(old);
    dmheap_free(moved, true);
    expect_refused(moved);
}

static void a_block_of_a_former_heap_in_the_same_buffer(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, 8);
    assert_true(heap_start(test_heap.buffer, test_heap.size, 8));
    expect_info();
    (void)dmheap_malloc(0, "sensor");
    for (unsigned i = 1; i < 12; i++) {
        if (scene.block[i] != NULL && !live_is(test_heap.ctx, scene.block[i])) {
            expect_refused(scene.block[i]);
        }
    }
}

static void a_block_of_a_former_heap_in_another_buffer(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, 8);
    heap_open(3 * KIB, 8);
    for (unsigned i = 0; i < 12; i++) {
        if (scene.block[i] != NULL) {
            expect_refused(scene.block[i]);
            assert_true(is_filled(scene.block[i], scene.size[i], i));
        }
    }
}

/* Inside a live block, build what looks like blocks in every way a client can. */
static void forged_tags_inside_a_live_block(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    const size_t granule = (size_t)ctx_granule(test_heap.ctx);
    (void)dmheap_malloc(10, "sensor");
    unsigned char* host = dmheap_malloc(512, NULL);
    void* wall = dmheap_malloc(10, NULL);
    assert_non_null(wall);
    const dmheap_word owners[] = {OWNER_FREE, OWNER_NOBODY, OWNER_MODULES, OWNER_HEAP};
    for (size_t o = 0; o < COUNT_OF(owners); o++) {
        for (unsigned flags = 0; flags < 4; flags++) {
            memset(host, 0, 512);
            for (size_t at = granule; at + 8 * granule <= 512; at += 8 * granule) {
                struct dmheap_block* fake = block_of(host + at);
                block_tag_free(fake, (uintptr_t)(8 * granule));
                fake->next =
                    (dmheap_word)ctx_offset(test_heap.ctx, fake) + (dmheap_word)(8 * granule);
                fake->prev =
                    (dmheap_word)ctx_offset(test_heap.ctx, fake) - (dmheap_word)(8 * granule);
                fake->header |= owners[o] << BLOCK_OWNER_SHIFT | flags;
            }
            for (size_t at = 1; at < 512; at++) {
                if (at % granule == 0) {
                    expect_refused(host + at);
                }
            }
        }
    }
    /* The real thing, copied: a live block's own header in front of a granule of its payload. */
    for (size_t at = granule; at < 512; at += granule) {
        block_of(host + at)->header = block_of(host)->header;
        expect_refused(host + at);
    }
    (void)heap_verify();
    dmheap_free(host, true);
    expect_silence();
}

static void the_heaps_own_records(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    for (unsigned i = 0; i < 30; i++) {
        assert_non_null(dmheap_malloc(10, numbered_name(i)));
    }
    size_t own = 0;
    for (const struct dmheap_block* block = heap_first_block(); block != NULL;
         block = heap_next_block(block)) {
        if (block_owner(block) == OWNER_HEAP) {
            expect_refused(block_payload(block));
            own++;
        }
    }
    assert_true(own > 30);
    (void)heap_verify();
}

static void a_heap_that_refused_much_goes_on_working(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, 8);
    for (size_t at = 0; at < test_heap.size; at += 3) {
        if (!scene_has(&scene, test_heap.buffer + at)) {
            offer(test_heap.buffer + at);
        }
    }
    test_port_forget_lines();
    for (unsigned i = 0; i < 12; i++) {
        if (scene.block[i] != NULL) {
            assert_true(is_filled(scene.block[i], scene.size[i], i));
            dmheap_free(scene.block[i], false);
        }
    }
    expect_silence();
    dmheap_unregister_module("sensor");
    dmheap_unregister_module("network");
    dmheap_unregister_module("a/name/of/more/letters");
    assert_true(heap_is_empty());
}

/* ---- overruns: no crash, no write outside, nobody else's content ---------------------- */

/*
 *   [ witness ][ before ][ writer ][ victim ][ after ][ witness ] [ more of the writer's ]
 *
 * The writer writes behind its end, onto the victim: a live block, a free one, or a record of
 * the heap. The witnesses must keep their content whatever is called then.
 */
enum victim { VICTIM_LIVE, VICTIM_FREE, VICTIM_RECORD, VICTIMS };

#define BLOCK 120U

struct street {
    unsigned char* witness[2];
    unsigned char* before;
    unsigned char* writer;
    unsigned char* victim; /* of no use where it is a record */
    unsigned char* after;
    struct dmheap_block* victim_block;
};

static void street_open(struct street* street, enum victim kind)
{
    heap_open(8 * KIB, 8);
    assert_true(dmheap_register_module("writer"));
    assert_true(dmheap_register_module("witness"));
    street->witness[0] = dmheap_malloc(BLOCK, "witness");
    street->before = dmheap_malloc(BLOCK, "writer");
    street->writer = dmheap_malloc(BLOCK, "writer");
    if (kind == VICTIM_RECORD) {
        assert_true(dmheap_register_module("victim"));
        street->victim = street->writer + 8;
    } else {
        street->victim = dmheap_malloc(BLOCK, "writer");
    }
    street->after = dmheap_malloc(BLOCK, "other");
    street->witness[1] = dmheap_malloc(BLOCK, "witness");
    for (unsigned i = 0; i < 10; i++) {
        (void)dmheap_malloc(16 + 8 * i, i % 2 != 0 ? "writer" : "victim");
    }
    fill(street->witness[0], BLOCK, 1);
    fill(street->witness[1], BLOCK, 2);
    fill(street->writer, BLOCK, 77);
    street->victim_block = block_next(block_of(street->writer));
    if (kind == VICTIM_FREE) {
        dmheap_free(street->victim, true);
    }
    test_port_forget_lines();
    (void)heap_verify();
}

static void street_verify_at(const struct street* street, int line)
{
    arenas_verify();
    for (unsigned i = 0; i < 2; i++) {
        _assert_true(is_filled(street->witness[i], BLOCK, i + 1), "a witness's content", __FILE__,
                     line);
    }
}

#define street_verify(street) street_verify_at(street, __LINE__)

/* One call each; it may log several lines, but one ERROR at most. */
static void free_writer(struct street* street)
{
    dmheap_free(street->writer, true);
}

static void free_victim(struct street* street)
{
    dmheap_free(street->victim, true);
}

static void free_before(struct street* street)
{
    dmheap_free(street->before, true);
}

static void free_after(struct street* street)
{
    dmheap_free(street->after, true);
}

static void shrink_writer(struct street* street)
{
    (void)dmheap_realloc(street->writer, 8, "writer");
}

static void grow_writer_a_little(struct street* street)
{
    (void)dmheap_realloc(street->writer, BLOCK + 40, "writer");
}

static void grow_writer(struct street* street)
{
    (void)dmheap_realloc(street->writer, 3 * BLOCK, "writer");
}

static void shrink_victim(struct street* street)
{
    (void)dmheap_realloc(street->victim, 8, "writer");
}

static void grow_victim(struct street* street)
{
    (void)dmheap_realloc(street->victim, 3 * BLOCK, "writer");
}

static void retag_writer(struct street* street)
{
    (void)Dmod_RetagEx(street->writer, "new");
}

static void retag_victim(struct street* street)
{
    (void)Dmod_RetagEx(street->victim, "other");
}

static void rename_victim(struct street* street)
{
    (void)street;
    (void)Dmod_RenameTag("victim", "new name");
}

static void register_more(struct street* street)
{
    (void)street;
    (void)dmheap_register_module("new");
}

static void unregister_writer(struct street* street)
{
    (void)street;
    dmheap_unregister_module("writer");
}

static void unregister_victim(struct street* street)
{
    (void)street;
    dmheap_unregister_module("victim");
}

static void unregister_other(struct street* street)
{
    (void)street;
    dmheap_unregister_module("other");
}

static void malloc_exactly(struct street* street)
{
    (void)street;
    (void)dmheap_malloc(BLOCK, "writer");
}

static void malloc_smaller(struct street* street)
{
    (void)street;
    (void)dmheap_malloc(BLOCK / 2, NULL);
}

static void malloc_aligned(struct street* street)
{
    (void)street;
    (void)dmheap_aligned_alloc(32, BLOCK / 4, "victim");
}

static void (*const deeds[])(struct street*) = {
    free_writer,    free_victim,    free_before,       free_after,           shrink_writer,
    grow_writer,    shrink_victim,  grow_victim,       retag_writer,         retag_victim,
    rename_victim,  register_more,  unregister_writer, unregister_victim,    unregister_other,
    malloc_exactly, malloc_smaller, malloc_aligned,    grow_writer_a_little,
};

static void street_do(struct street* street, size_t deed)
{
    test_port_forget_lines();
    deeds[deed](street);
    assert_true(test_port_lines_of(TEST_ERROR) <= 1);
    street_verify(street);
}

/* Every pair of calls after an overrun of `size` bytes of `value`. */
static void overrun_and_do(enum victim kind, size_t size, int value)
{
    for (size_t first = 0; first < COUNT_OF(deeds); first++) {
        struct street street;
        street_open(&street, kind);
        memset(street.victim_block, value, size);
        street_do(&street, first);
        /* From here on anything goes, as long as nobody is hurt. */
        for (size_t next = 0; next < COUNT_OF(deeds); next++) {
            street_do(&street, (first + 7 * next) % COUNT_OF(deeds));
        }
        test_port_forget_lines();
        arenas_release();
    }
}

static void overrun_by(enum victim kind, size_t size)
{
    static const int values[] = {0x00, 0x01, 0x02, 0x04, 0x08, 0x10, 0x55, 0x80, 0xAA, 0xFE, 0xFF};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        overrun_and_do(kind, size, values[i]);
    }
}

#define OVERRUN_CASES(kind, name)                             \
    static void overrun_by_1_byte_onto_##name(void** state)   \
    {                                                         \
        (void)state;                                          \
        overrun_by(kind, 1);                                  \
    }                                                         \
    static void overrun_by_4_bytes_onto_##name(void** state)  \
    {                                                         \
        (void)state;                                          \
        overrun_by(kind, 4);                                  \
    }                                                         \
    static void overrun_by_8_bytes_onto_##name(void** state)  \
    {                                                         \
        (void)state;                                          \
        overrun_by(kind, 8);                                  \
    }                                                         \
    static void overrun_by_32_bytes_onto_##name(void** state) \
    {                                                         \
        (void)state;                                          \
        overrun_by(kind, 32);                                 \
    }

OVERRUN_CASES(VICTIM_LIVE, a_live_block)
OVERRUN_CASES(VICTIM_FREE, a_free_block)
OVERRUN_CASES(VICTIM_RECORD, a_modules_record)

static void overrun_by_every_value_of_the_first_byte(void** state)
{
    (void)state;
    for (int value = 0; value < 256; value++) {
        overrun_and_do(VICTIM_LIVE, 1, value);
        overrun_and_do(VICTIM_FREE, 1, value);
    }
}

/* ---- overruns: reported where the header says ------------------------------------------- */

/* What a refusal must leave alone in a damaged heap; the order of a free list may differ. */
struct state {
    size_t live;
    dmheap_word top;
    struct dmheap_block victim;
};

static struct state state_of(const struct street* street)
{
    struct state state = {0, test_heap.ctx->top, *street->victim_block};
    for (uintptr_t i = 0; i < test_heap.ctx->granules; i++) {
        state.live += live_test(test_heap.ctx, i);
    }
    return state;
}

/* One ERROR, and no block came or went: the call `deed` on a street damaged like this. */
static void expect_street_refusal(struct street* street, void (*deed)(struct street*))
{
    const struct state before = state_of(street);
    deed(street);
    expect_error();
    const struct state after = state_of(street);
    assert_int_equal(after.live, before.live);
    assert_int_equal(after.top, before.top);
    assert_int_equal(after.victim.header, before.victim.header);
    street_verify(street);
}

static void a_block_whose_header_was_written_over_is_refused(void** state)
{
    (void)state;
    static const int values[] = {0x00, 0x55, 0xAA, 0xFF};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        struct street street;
        street_open(&street, VICTIM_LIVE);
        memset(street.victim_block, values[i], WORD);
        expect_street_refusal(&street, free_victim);
        expect_street_refusal(&street, shrink_victim);
        expect_street_refusal(&street, grow_victim);
        expect_street_refusal(&street, retag_victim);
        arenas_release();
    }
}

static void a_block_whose_size_was_changed_is_refused(void** state)
{
    (void)state;
    struct street street;
    street_open(&street, VICTIM_LIVE);
    const dmheap_word header = street.victim_block->header;
    const dmheap_word own_size = (dmheap_word)block_size(street.victim_block);
    for (dmheap_word size = 0; size < 8192; size += DMHEAP_WORD_BYTES) {
        /* What is no whole granule, free does not look at. */
        const dmheap_word seen = size & test_heap.ctx->size_mask;
        const struct dmheap_block* next = block_at(street.victim_block, (uintptr_t)seen);
        /* A size that ends where another live block or the end begins: tags cannot tell. */
        const bool plausible = (dmheap_word)ctx_offset(test_heap.ctx, next) == test_heap.ctx->top ||
                               live_is(test_heap.ctx, block_payload(next));
        if (seen != own_size && (seen < BLOCK_MIN_BYTES || !plausible)) {
            street.victim_block->header = (header & ~BLOCK_SIZE_MASK) | size;
            expect_street_refusal(&street, free_victim);
        }
    }
    street.victim_block->header = header;
    (void)heap_verify();
}

/* A live neighbour's header that says "free". */
static void a_block_whose_live_neighbour_was_written_over_is_refused(void** state)
{
    (void)state;
    struct street street;
    street_open(&street, VICTIM_LIVE);
    memset(street.victim_block, 0, WORD);
    expect_street_refusal(&street, free_writer);
    expect_street_refusal(&street, grow_writer);
}

static void a_block_whose_free_neighbour_was_written_over_is_refused(void** state)
{
    (void)state;
    struct street street;
    street_open(&street, VICTIM_FREE);
    const struct dmheap_block whole = *street.victim_block;
    street.victim_block->header ^= 8;
    expect_street_refusal(&street, free_writer);
    expect_street_refusal(&street, free_after);
    expect_street_refusal(&street, grow_writer);
    *street.victim_block = whole;
    street.victim_block->next = ~whole.next;
    expect_street_refusal(&street, free_writer);
    expect_street_refusal(&street, free_after);
    *street.victim_block = whole;
    street.victim_block->prev = ~whole.prev;
    expect_street_refusal(&street, free_writer);
    expect_street_refusal(&street, free_after);
    *street.victim_block = whole;
    dmheap_free(street.writer, true);
    expect_silence();
    (void)heap_verify();
}

/* Such a block may still move away; its content comes along. */
static void a_block_whose_neighbours_links_were_written_over_moves(void** state)
{
    (void)state;
    struct street street;
    street_open(&street, VICTIM_FREE);
    street.victim_block->next = ~street.victim_block->next;
    unsigned char* moved = dmheap_realloc(street.writer, 3 * BLOCK, NULL);
    if (moved == NULL) {
        expect_error();
        moved = street.writer;
    }
    assert_true(is_filled(moved, BLOCK, 77));
    street_verify(&street);
}

static void a_block_whose_owner_is_no_module_is_refused(void** state)
{
    (void)state;
    struct street street;
    street_open(&street, VICTIM_LIVE);
    block_set_owner(street.victim_block, OWNER_COUNT - 1);
    expect_street_refusal(&street, free_victim);
}

/* The owner of a live block becomes another module that exists: tags cannot tell. No crash. */
static void a_block_that_changed_hands_by_an_overrun_does_no_harm(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    assert_true(dmheap_register_module("robbed"));
    void* writer = dmheap_malloc(BLOCK, "writer");
    void* first = dmheap_malloc(BLOCK, "writer");
    void* second = dmheap_malloc(BLOCK, "writer");
    void* mark = dmheap_malloc(BLOCK, "robbed");
    const dmheap_word robbed = block_owner(block_of(mark));
    block_set_owner(block_of(first), robbed);
    block_set_owner(block_of(second), robbed);
    dmheap_free(first, true);
    dmheap_free(second, true);
    dmheap_free(mark, true);
    /* The name is still known, or it is not; either way every call with it comes back. */
    (void)dmheap_register_module("robbed");
    (void)dmheap_malloc(10, "robbed");
    (void)dmheap_malloc(10, "fresh");
    dmheap_unregister_module("robbed");
    dmheap_unregister_module("writer");
    dmheap_unregister_module("fresh");
    dmheap_free(writer, true);
    arenas_verify();
}

/* Words behind the buffer that read like a list's links to `self`; put right again after. */
static void margin_write(dmheap_word self)
{
    const struct arena* arena = &arenas[0];
    arena_unguard(arena);
    for (size_t at = 0; at < 4 * WORD; at += WORD) {
        memcpy(arena->buffer + arena->size + at, &self, WORD);
    }
    arena_guard(arena);
}

static bool margin_holds(dmheap_word self)
{
    const struct arena* arena = &arenas[0];
    bool same = true;
    arena_unguard(arena);
    for (size_t at = 0; at < 4 * WORD; at += WORD) {
        same = same && memcmp(arena->buffer + arena->size + at, &self, WORD) == 0;
    }
    memset(arena->buffer + arena->size, CANARY, 4 * WORD);
    arena_guard(arena);
    return same;
}

/* A free block's links lead to the heap's last words: nothing behind them is read or written. */
static void links_to_the_end_of_the_buffer_are_not_followed_beyond(void** state)
{
    (void)state;
    for (unsigned variant = 0; variant < 16; variant++) {
        struct street street;
        street_open(&street, VICTIM_FREE);
        const dmheap_word self = (dmheap_word)ctx_offset(test_heap.ctx, street.victim_block);
        const dmheap_word target = test_heap.ctx->end - variant / 2 * DMHEAP_WORD_BYTES;
        margin_write(self);
        if (variant % 2 != 0) {
            street.victim_block->next = target;
        } else {
            street.victim_block->prev = target;
        }
        dmheap_free(street.writer, true);
        assert_true(margin_holds(self));
        expect_error();
        street_verify(&street);
        arenas_release();
    }
}

static void unregister_reports_damaged_blocks_and_leaves_them_alone(void** state)
{
    (void)state;
    struct street street;
    street_open(&street, VICTIM_LIVE);
    const dmheap_word owner = street.victim_block->header & ~BLOCK_SIZE_MASK;
    street.victim_block->header = owner | 4;
    fill(street.victim, BLOCK, 5);
    dmheap_unregister_module("writer");
    check_log(1, 0, 1, NULL, __FILE__, __LINE__);
    assert_true(is_filled(street.victim, BLOCK, 5));
    assert_true(live_is(test_heap.ctx, street.victim));
    assert_false(live_is(test_heap.ctx, street.before));
    street_verify(&street);
    assert_true(dmheap_register_module("writer"));
    expect_info();
}

/* Is there a live block with this owner id? */
static size_t count_owner(dmheap_word owner)
{
    size_t count = 0;
    for (uintptr_t i = 0; i < test_heap.ctx->granules; i++) {
        if (live_test(test_heap.ctx, i)) {
            count += block_owner(block_of(live_address(test_heap.ctx, i))) == owner;
        }
    }
    return count;
}

/*
 * A neighbour's damaged header must not hide sound blocks from the sweep: whatever size it
 * claims, all blocks of the module are freed that are not damaged themselves.
 */
static void unregister_finds_sound_blocks_behind_a_damaged_one(void** state)
{
    (void)state;
    for (dmheap_word size = 0; size < 2048; size += 4) {
        heap_open(8 * KIB, 8);
        assert_true(dmheap_register_module("motor"));
        assert_true(dmheap_register_module("other"));
        void* damaged = dmheap_malloc(40, "other");
        for (unsigned i = 0; i < 40; i++) {
            (void)dmheap_malloc(24, i % 2 != 0 ? "other" : "motor");
        }
        void* last = dmheap_malloc(24, "motor");
        (void)dmheap_malloc(24, "other");
        const dmheap_word motor = block_owner(block_of(last));
        struct dmheap_block* block = block_of(damaged);
        block->header = (block->header & ~BLOCK_SIZE_MASK) | size;
        dmheap_unregister_module("motor");
        const size_t left = count_owner(motor);
        if (left != 0) {
            print_error("size %u in place of 48: %u blocks left\n", (unsigned)size, (unsigned)left);
        }
        assert_int_equal(left, 0);
        test_port_forget_lines();
        arenas_release();
    }
}

static void malloc_from_a_damaged_list_is_served_elsewhere(void** state)
{
    (void)state;
    for (unsigned part = 0; part < 3; part++) {
        struct street street;
        street_open(&street, VICTIM_FREE);
        memset((unsigned char*)street.victim_block + part * WORD, 0xEE, WORD);
        unsigned char* ptr = dmheap_malloc(BLOCK, "writer");
        assert_true(test_port_lines_of(TEST_ERROR) <= 1);
        assert_non_null(ptr);
        memset(ptr, 0xDD, BLOCK);
        unsigned char* next = dmheap_malloc(BLOCK, "writer");
        assert_non_null(next);
        assert_true(next >= ptr + BLOCK || ptr >= next + BLOCK);
        assert_true(test_port_lines_of(TEST_ERROR) <= 1);
        test_port_forget_lines();
        street_verify(&street);
        arenas_release();
    }
}

/* Where it suffices, nothing is given back to the damaged memory; else the block moves. */
static void realloc_in_front_of_damaged_links_serves(void** state)
{
    (void)state;
    static const size_t sizes[] = {10, 100, 150, 200, 1000};
    for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
        heap_open(8 * KIB, 8);
        unsigned char* ptr = dmheap_malloc(100, NULL);
        void* hole = dmheap_malloc(200, NULL);
        assert_non_null(dmheap_malloc(10, NULL));
        dmheap_free(hole, true);
        fill(ptr, 100, i);
        block_of(hole)->prev = WORD;
        const unsigned char* now = dmheap_realloc(ptr, sizes[i], NULL);
        assert_true(test_port_lines_of(TEST_ERROR) <= (sizes[i] > 100)); /* or that is its place */
        test_port_forget_lines();
        assert_non_null(now);
        assert_int_equal(now == ptr, sizes[i] <= 100);
        assert_true(is_filled(now, sizes[i] < 100 ? sizes[i] : 100, i));
        arenas_release();
    }
}

static void an_alignment_byte_written_over_is_reported_by_realloc(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* ptr = dmheap_aligned_alloc(64, 100, NULL);
    (void)dmheap_malloc(10, NULL);
    uint8_t* exponent = heap_alignment_byte(test_heap.ctx, block_of(ptr));
    const uint8_t written = *exponent;
    for (unsigned value = 0; value < 256; value++) {
        /* Another alignment that the block has by chance is beyond what can be told. */
        if (value < 4 || value > 20 || !is_aligned(ptr, (size_t)1 << value)) {
            *exponent = (uint8_t)value;
            snapshot_take();
            assert_null(dmheap_realloc(ptr, 1000, NULL));
            expect_error();
            assert_null(dmheap_realloc(ptr, 10, NULL));
            expect_error();
            assert_true(snapshot_is_same());
        }
    }
    *exponent = written;
    dmheap_free(ptr, true);
    expect_silence();
}

int main(void)
{
    const struct CMUnitTest refusal[] = {
        heap_case(every_address_of_the_buffer_but_live_blocks),
        heap_case(addresses_outside_the_buffer),
        heap_case(retag_of_null),
        heap_case(a_block_freed_before_at_once),
        heap_case(a_block_freed_before_after_its_memory_was_reused),
        heap_case(a_block_of_an_unregistered_module),
        heap_case(a_block_that_moved),
        heap_case(a_block_of_a_former_heap_in_the_same_buffer),
        heap_case(a_block_of_a_former_heap_in_another_buffer),
        heap_case(forged_tags_inside_a_live_block),
        heap_case(the_heaps_own_records),
        heap_case(a_heap_that_refused_much_goes_on_working),
    };
    const struct CMUnitTest report[] = {
        heap_case(a_block_whose_header_was_written_over_is_refused),
        heap_case(a_block_whose_size_was_changed_is_refused),
        heap_case(a_block_whose_live_neighbour_was_written_over_is_refused),
        heap_case(a_block_whose_free_neighbour_was_written_over_is_refused),
        heap_case(a_block_whose_neighbours_links_were_written_over_moves),
        heap_case(a_block_whose_owner_is_no_module_is_refused),
        heap_case(a_block_that_changed_hands_by_an_overrun_does_no_harm),
        heap_case(links_to_the_end_of_the_buffer_are_not_followed_beyond),
        heap_case(unregister_reports_damaged_blocks_and_leaves_them_alone),
        heap_case(unregister_finds_sound_blocks_behind_a_damaged_one),
        heap_case(malloc_from_a_damaged_list_is_served_elsewhere),
        heap_case(realloc_in_front_of_damaged_links_serves),
        heap_case(an_alignment_byte_written_over_is_reported_by_realloc),
    };
    const struct CMUnitTest overrun[] = {
        heap_case(overrun_by_1_byte_onto_a_live_block),
        heap_case(overrun_by_4_bytes_onto_a_live_block),
        heap_case(overrun_by_8_bytes_onto_a_live_block),
        heap_case(overrun_by_32_bytes_onto_a_live_block),
        heap_case(overrun_by_1_byte_onto_a_free_block),
        heap_case(overrun_by_4_bytes_onto_a_free_block),
        heap_case(overrun_by_8_bytes_onto_a_free_block),
        heap_case(overrun_by_32_bytes_onto_a_free_block),
        heap_case(overrun_by_1_byte_onto_a_modules_record),
        heap_case(overrun_by_4_bytes_onto_a_modules_record),
        heap_case(overrun_by_8_bytes_onto_a_modules_record),
        heap_case(overrun_by_32_bytes_onto_a_modules_record),
        heap_case(overrun_by_every_value_of_the_first_byte),
    };
    return cmocka_run_group_tests(refusal, NULL, NULL) +
           cmocka_run_group_tests(report, NULL, NULL) + cmocka_run_group_tests(overrun, NULL, NULL);
}
