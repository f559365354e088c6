/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of operations on tiny heaps, up to a length.
 *
 * A search by breadth: in each state that was found every operation is tried, and what comes out is
 * proven as a whole and compared with a naive model: blocks, content, owners, and whether a refusal
 * was right. A state that was found before is not gone on from. States are the same if no later
 * operation could tell them apart: what stands in free memory, in payloads and in serials is left
 * out of the comparison (see reduce), which is one of 64-bit hashes.
 *
 * Each state is tried out once, when it is found, those after the last operation too: a pointer to
 * each word of the buffer, and to some behind it, is refused unless a block has it - by free, every
 * fourth one by realloc and retag, too, others in each state; in the first states one to each byte -;
 * merging changes nothing, nor does an init that fails; and an init of the heap as it is there gives
 * the first state again.
 *
 *     test_exhaustive                sequences of DEPTH operations
 *     test_exhaustive LENGTH         of so many, 2 at least
 *     test_exhaustive LENGTH CASES   only in cases of such names, as *apart
 *
 * With a size of each class they are one operation shorter.
 *
 * It prints, for sequences up to each length, how many states are found, the first one counted, and
 * in how many steps: one for each operation in each state that is gone on from. At the end it prints
 * how many sequences of exactly so many operations these steps make, refused ones among them, and how
 * many pointers were refused. A failure prints the operations that led to it.
 */
#include "heap_test.h"
#include "dmod_api.h"

#include <inttypes.h>
#include <signal.h>

#define DEPTH      3U
#define UNIT       (2 * WORD)
#define ACCOUNTS   ((DMHEAP_ACCOUNTING ? 20 : 0) * UNIT) /* what records have of them */
#define HEAP_MAX   ((size_t)4096)                        /* bytes of its buffer */
#define BLOCKS_MAX 32U                                   /* more than there are operations */
#define SIZES_MAX  80U
#define NAMES      3U /* nobody and two modules */
#define OPS_MAX    2048U
#define NO_STATE   UINT32_MAX
#define NO_OP      OPS_MAX
#define EACH_BYTE  10000U /* states, those found first */

/* ---- the model --------------------------------------------------------------------------- */

/* A client's block, in the order of addresses. It is filled, each byte by its own offset. */
struct shadow_block {
    uint16_t offset; /* of the payload, from the buffer */
    uint16_t size;   /* bytes that its client may use */
    uint16_t alignment;
    uint8_t name;
};

struct shadow {
    unsigned blocks;
    struct shadow_block block[BLOCKS_MAX];
    bool known[NAMES];
};

/* A state to go on from: what the model says and what the buffer holds. */
struct state {
    uint32_t node;
    struct shadow shadow;
    unsigned char bytes[]; /* test_heap.size */
};

/* How a state was found first, and what comes after it. */
struct node {
    uint64_t hash;
    uint64_t edges; /* the first of its successors in search.edge; one for each operation */
    uint32_t parent;
    uint16_t op;
    uint16_t ops; /* 0: not gone on from */
};

/*
 * A heap, and what may be asked of it: the last size is never served. Of as many as `aligned`, from
 * the second one on, it is also asked for aligned blocks.
 */
struct scale {
    size_t bytes; /* for blocks */
    unsigned sizes;
    unsigned aligned;
    size_t size[SIZES_MAX];
};

/* Each size has a list of its own (with accounts, large ones share some); or two sizes share theirs. */
static const struct scale small = {
    30 * UNIT + ACCOUNTS, 5, 2, {0, 3 * UNIT, 6 * UNIT, 13 * UNIT, 30 * UNIT + ACCOUNTS}};
static const struct scale large = {
    110 * UNIT + ACCOUNTS, 5, 2, {0, 33 * UNIT, 35 * UNIT, 70 * UNIT, 110 * UNIT + ACCOUNTS}};

static struct {
    const struct scale* scale;
    struct shadow shadow;     /* of the heap as it is now */
    const struct state* here; /* the state that is gone on from, or tried out */
    struct state* last;       /* found last, of those that are not gone on from */
    unsigned op;              /* how; NO_OP while a state is tried out */

    struct node* node;
    uint32_t nodes;
    uint32_t* slot; /* of a hash table: nodes, NO_STATE where there is none */
    uint32_t slots; /* a power of two */
    uint32_t* edge;
    uint64_t edges;
    uint64_t edge_room;

    uint64_t refusals;
    uint64_t declined; /* of these: another order, or another block, would have served */
    uint64_t tried;    /* states in which all of try_state was done */
    uint64_t pointers; /* that were refused there */
} search;

static const char* names[NAMES];

/* ---- operations -------------------------------------------------------------------------- */

enum op_kind {
    OP_MALLOC,
    OP_ALIGNED,
    OP_REALLOC,
    OP_FREE,
    OP_RETAG,
    OP_REGISTER,
    OP_UNREGISTER,
    OP_RENAME
};

static const char* const op_text[] = {"malloc", "aligned",  "realloc",    "free",
                                      "retag",  "register", "unregister", "rename"};

struct op {
    enum op_kind kind;
    unsigned block; /* of search.here; for OP_RENAME the old name */
    size_t size;
    size_t alignment;
    unsigned name;
};

static unsigned add_op(struct op* op, unsigned count, enum op_kind kind, unsigned block,
                       size_t size, size_t alignment, unsigned name)
{
    const struct op added = {kind, block, size, alignment, name};
    assert_true(count < OPS_MAX);
    op[count] = added;
    return count + 1;
}

/* All that may be asked for in a state. */
static unsigned list_ops(const struct shadow* shadow, struct op* op)
{
    const struct scale* scale = search.scale;
    unsigned n = 0;
    for (unsigned name = 0; name < NAMES; name++) {
        for (unsigned i = 0; i < scale->sizes; i++) {
            n = add_op(op, n, OP_MALLOC, 0, scale->size[i], 1, name);
        }
    }
    for (unsigned name = 0; name < NAMES - 1; name++) {
        for (unsigned i = 1; i <= scale->aligned; i++) {
            n = add_op(op, n, OP_ALIGNED, 0, scale->size[i], (i % 2 == 1 ? 4 : 8) * UNIT, name);
        }
    }
    for (unsigned block = 0; block < shadow->blocks; block++) {
        n = add_op(op, n, OP_FREE, block, 0, 1, 0);
        for (unsigned i = 0; i < scale->sizes; i++) {
            n = add_op(op, n, OP_REALLOC, block, scale->size[i], 1, 0);
        }
        for (unsigned name = 0; name < NAMES; name++) {
            n = add_op(op, n, OP_RETAG, block, 0, 1, name);
        }
    }
    for (unsigned name = 1; name < NAMES; name++) {
        n = add_op(op, n, OP_REGISTER, 0, 0, 1, name);
        n = add_op(op, n, OP_UNREGISTER, 0, 0, 1, name);
        n = add_op(op, n, OP_RENAME, name, 0, 1, NAMES - name);
    }
    return n;
}

static void show_op(const struct op* op)
{
    printf("  %s, block %u, %u bytes, alignment %u, name %u\n", op_text[op->kind], op->block,
           (unsigned)op->size, (unsigned)op->alignment, op->name);
}

/* ---- failure: how it came to that --------------------------------------------------------- */

static void open_heap(void);
static void apply(const struct op* op);
static struct state* state_make(void);
static void save(struct state* state, uint32_t node);

static bool is_showing;

/* Do again what led to the operation that went wrong, and say it. */
static void show_way(void)
{
    unsigned way[256];
    unsigned length = 0;
    struct op op[OPS_MAX];
    const bool in_state = search.op == NO_OP;
    if (is_showing || search.here == NULL) {
        return;
    }
    is_showing = true;
    if (!in_state) {
        way[length++] = search.op;
    }
    for (uint32_t at = search.here->node; at != 0 && length < COUNT_OF(way);) {
        way[length++] = search.node[at].op;
        at = search.node[at].parent;
    }
    struct state* state = state_make();
    search.here = state;
    open_heap();
    printf("after init:\n");
    while (length != 0) {
        length--;
        (void)list_ops(&search.shadow, op);
        show_op(&op[way[length]]);
        (void)fflush(stdout);
        if (length != 0) {
            save(state, 0);
            apply(&op[way[length]]);
        }
    }
    if (in_state) {
        printf("  and in that state a pointer that no block has, merging, or an init\n");
    }
    free(state);
}

static void on_abort(int number)
{
    (void)number;
    show_way();
}

static void check_that(bool is_so, const char* what, int line)
{
    if (!is_so) {
        show_way();
        print_error("not so: %s\n", what);
    }
    _assert_true(is_so, what, __FILE__, line);
}

#define must(condition) check_that((condition), #condition, __LINE__)

/* ---- looking ------------------------------------------------------------------------------ */

static unsigned char pattern(size_t offset)
{
    return (unsigned char)(offset * 7U + 13U);
}

static void fill_block(const struct shadow_block* block)
{
    for (size_t i = 0; i < block->size; i++) {
        test_heap.buffer[block->offset + i] = pattern(block->offset + i);
    }
}

static bool has_content(const struct shadow_block* block, size_t from, size_t size)
{
    size_t i = 0;
    while (i < size && test_heap.buffer[block->offset + i] == pattern(from + i)) {
        i++;
    }
    return i == size;
}

static void* payload_of(const struct shadow_block* block)
{
    return test_heap.buffer + block->offset;
}

static size_t granule(void)
{
    return (size_t)ctx_granule(test_heap.ctx);
}

/* Without a trace in the hints. */
static bool is_known(const char* name)
{
    const struct record_name measured = record_measure(name);
    record_id* link;
    return record_find_measured(test_heap.ctx, &measured, &link) != NULL;
}

/* By the model. */
static unsigned known_modules(void)
{
    unsigned known = 0;
    for (unsigned name = 1; name < NAMES; name++) {
        known += search.shadow.known[name];
    }
    return known;
}

/* The heap's blocks are the model's and its own. */
static void compare(void)
{
    struct image_census census;
    const struct shadow* shadow = &search.shadow;
    unsigned found = 0;
    const enum dmheap_fault fault = heap_fault(test_heap.ctx, &census);
    if (fault != DMHEAP_FAULT_NONE) {
        print_error("%s\n", check_text(fault));
    }
    must(fault == DMHEAP_FAULT_NONE);
    must(census.moving == 0);
    for (const struct dmheap_block* at = heap_first_block(); at != NULL; at = heap_next_block(at)) {
        if (block_owner(at) > OWNER_HEAP) {
            const struct shadow_block* block = &shadow->block[found];
            must(found < shadow->blocks && block_payload(at) == payload_of(block));
            must(is_aligned(block_payload(at), block->alignment));
            must((size_t)heap_usable(test_heap.ctx, at) == block->size);
            must(strcmp(heap_owner_name(block_payload(at)),
                        block->name == 0 ? "" : names[block->name]) == 0);
            must(has_content(block, block->offset, block->size));
            found++;
        }
    }
    must(found == shadow->blocks);
    for (unsigned name = 1; name < NAMES; name++) {
        must(is_known(names[name]) == shadow->known[name]);
    }
    must(known_modules() == modules());
    must(arenas_are_intact());
}

/* ---- was a refusal right? ------------------------------------------------------------------- */

/* Bytes of a block for such a request: what it holds, a byte for an alignment, whole granules. */
static size_t needed(size_t size, size_t alignment)
{
    const size_t bytes = size + OVERHEAD + (alignment > granule());
    const size_t whole = (bytes + granule() - 1) / granule() * granule();
    return whole < BLOCK_MIN_BYTES ? BLOCK_MIN_BYTES : whole;
}

/* Can it stand in the `room` bytes at `start`, behind nothing or a free block? */
static bool has_place(uintptr_t start, size_t room, size_t need, size_t alignment)
{
    for (size_t gap = 0; gap + need <= room; gap += granule()) {
        if ((gap == 0 || gap >= BLOCK_MIN_BYTES) && ((start + gap + WORD) & (alignment - 1)) == 0) {
            return true;
        }
    }
    return false;
}

static bool block_has_place(const struct dmheap_block* block, size_t need, size_t alignment)
{
    return has_place((uintptr_t)block, (size_t)block_size(block), need, alignment);
}

static bool top_has_place(size_t need, size_t alignment)
{
    const struct dmheap_ctx* ctx = test_heap.ctx;
    return has_place((uintptr_t)ctx + (uintptr_t)ctx->top, (size_t)(ctx->end - ctx->top), need,
                     alignment);
}

/* Is there a free block with a place for it? */
static bool any_block_has_place(size_t need, size_t alignment)
{
    for (const struct dmheap_block* at = heap_first_block(); at != NULL; at = heap_next_block(at)) {
        if (block_is_free(at) && block_has_place(at, need, alignment)) {
            return true;
        }
    }
    return false;
}

/* ... among the first three of a class? */
static bool class_has_place(uintptr_t size_class, size_t need, size_t alignment)
{
    dmheap_word offset = test_heap.ctx->bin[size_class];
    for (unsigned looks = 0; looks < 3 && offset != 0; looks++) {
        const struct dmheap_block* block = ctx_block(test_heap.ctx, (uintptr_t)offset);
        if (block_has_place(block, need, alignment)) {
            return true;
        }
        offset = block->next;
    }
    return false;
}

/*
 * ... where the manual says that is looked? Blocks of further classes serve wherever they lie if
 * they have room for the largest gap.
 */
static bool manual_has_place(size_t need, size_t alignment)
{
    const bool has_gap = alignment > granule();
    const size_t sure = need + (has_gap ? alignment + BLOCK_MIN_BYTES - granule() : 0);
    if (need > search.scale->bytes) {
        return false;
    }
    const uintptr_t own = index_class(test_heap.ctx, (uintptr_t)need);
    const uintptr_t last = index_class(test_heap.ctx, (uintptr_t)search.scale->bytes);
    uintptr_t next = own + 1;
    while (next < last && test_heap.ctx->bin[next] == 0) {
        next++;
    }
    for (uintptr_t wide = index_class(test_heap.ctx, (uintptr_t)sure) + 1; wide <= last; wide++) {
        if (test_heap.ctx->bin[wide] != 0) {
            return true;
        }
    }
    return class_has_place(own, need, alignment) || class_has_place(next, need, alignment) ||
           top_has_place(need, alignment);
}

/* For nobody, or a module that is known. */
static void expect_no_place(size_t size, size_t alignment)
{
    const size_t need = needed(size, alignment);
    must(!manual_has_place(need, alignment));
    search.declined += any_block_has_place(need, alignment);
}

static void restore(const struct state* state)
{
    memcpy(test_heap.buffer, state->bytes, test_heap.size);
    search.shadow = state->shadow;
}

static void save(struct state* state, uint32_t node)
{
    memcpy(state->bytes, test_heap.buffer, test_heap.size);
    state->shadow = search.shadow;
    state->node = node;
}

static size_t state_bytes(void)
{
    const size_t bytes = offsetof(struct state, bytes) + test_heap.size;
    return (bytes + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1);
}

static struct state* state_make(void)
{
    struct state* state = malloc(state_bytes());
    assert_non_null(state);
    return state;
}

/* Was it placed, for nobody? If not, there has to be no place for it. */
static bool stands(const void* ptr, size_t size, size_t alignment)
{
    must(ptr != NULL || !manual_has_place(needed(size, alignment), alignment));
    return ptr != NULL;
}

static bool place(size_t size, size_t alignment)
{
    return stands(dmheap_aligned_alloc(alignment, size, NULL), size, alignment);
}

/* The heap's own blocks are placed as the manual says of dmheap_aligned_alloc, at a granule. */
static bool place_own(size_t size)
{
    return stands(heap_alloc_aligned(test_heap.ctx, granule(), size, OWNER_NOBODY), size,
                  granule());
}

static bool place_record(unsigned name)
{
    return place_own(offsetof(struct record, name) + strlen(names[name]) + 1);
}

/*
 * All that makes a module known: its record, and then a group, if no module has one already. That one
 * has room for all modules here.
 */
static bool place_module(unsigned name)
{
    return place_record(name) && (known_modules() != 0 || place_own(record_group_bytes(0)));
}

static void undo_places(void)
{
    test_port_forget_lines();
    restore(search.here);
}

/*
 * For a new module: the block has no place, or once it stands, the record or its group has none. The
 * manual says that the block comes first: where only the other order would have served, it is declined.
 */
static void expect_no_place_for_new(const struct op* op)
{
    if (place(op->size, op->alignment)) {
        must(!place_module(op->name));
        restore(search.here);
        search.declined += place_module(op->name) && place(op->size, op->alignment);
    }
    undo_places();
}

/* A module that is not known cannot be made known. */
static void expect_no_place_for_module(unsigned name)
{
    must(!place_module(name));
    undo_places();
}

/* A module cannot have another name: beside its record there is no place for the one of that name. */
static void expect_no_place_for_name(unsigned name)
{
    must(!place_record(name));
    undo_places();
}

static uint64_t hash_as_seen(const unsigned char* bytes);

/* ---- one operation ------------------------------------------------------------------------- */

static void expect_lines(size_t errors, size_t warnings, size_t infos)
{
    must(test_port_lines_of(TEST_ERROR) == errors && test_port_lines_of(TEST_WARN) == warnings &&
         test_port_lines_of(TEST_INFO) == infos);
    test_port_forget_lines();
}

/*
 * It was refused: one line, and nothing has changed that a client could see. Hints are a cache; and
 * a block that was taken for a module without room for its record goes back to the front of its list.
 */
static void expect_refusal(void)
{
    expect_lines(1, 0, 0);
    compare();
    must(hash_as_seen(test_heap.buffer) == hash_as_seen(search.here->bytes));
    search.refusals++;
}

static void shadow_remove(unsigned number)
{
    struct shadow* shadow = &search.shadow;
    shadow->blocks--;
    memmove(&shadow->block[number], &shadow->block[number + 1],
            (shadow->blocks - number) * sizeof(shadow->block[0]));
}

static void shadow_insert(const void* ptr, size_t size, size_t alignment, unsigned name)
{
    struct shadow* shadow = &search.shadow;
    const size_t offset = (size_t)((uintptr_t)ptr - (uintptr_t)test_heap.buffer);
    const size_t usable = (size_t)heap_usable(test_heap.ctx, block_of(ptr));
    const struct shadow_block block = {(uint16_t)offset, (uint16_t)usable, (uint16_t)alignment,
                                       (uint8_t)name};
    const size_t most = needed(size, alignment) + BLOCK_MIN_BYTES - granule();
    unsigned number = shadow->blocks;
    must((size_t)block_size(block_of(ptr)) <= most); /* no free block could be made of the rest */
    must(offset < test_heap.size && offset + usable <= test_heap.size && usable >= size);
    must(shadow->blocks < BLOCKS_MAX);
    while (number != 0 && shadow->block[number - 1].offset > offset) {
        shadow->block[number] = shadow->block[number - 1];
        number--;
    }
    shadow->block[number] = block;
    shadow->blocks++;
    shadow->known[name] = true;
    fill_block(&block);
}

static void apply_request(const struct op* op)
{
    void* ptr = op->kind == OP_ALIGNED
                    ? dmheap_aligned_alloc(op->alignment, op->size, names[op->name])
                    : dmheap_malloc(op->size, names[op->name]);
    if (ptr != NULL) {
        expect_lines(0, 0, 0);
        shadow_insert(ptr, op->size, op->alignment < granule() ? granule() : op->alignment,
                      op->name);
        return;
    }
    expect_refusal();
    if (search.shadow.known[op->name]) {
        expect_no_place(op->size, op->alignment);
    } else {
        expect_no_place_for_new(op);
    }
}

static void apply_realloc(const struct op* op)
{
    const struct shadow_block before = search.shadow.block[op->block];
    const struct dmheap_block* old = block_of(payload_of(&before));
    const struct dmheap_block* next = heap_next_block(old);
    const size_t need = needed(op->size, before.alignment);
    size_t here = (size_t)block_size(old);
    if (next == NULL) {
        here += (size_t)(test_heap.ctx->end - test_heap.ctx->top);
    } else if (block_is_free(next)) {
        here += (size_t)block_size(next);
    }
    void* ptr = dmheap_realloc(payload_of(&before), op->size, names[NAMES - 1]);
    if (ptr == NULL) {
        expect_refusal();
        must(op->size > before.size && here < need);
        expect_no_place(op->size, before.alignment);
        return;
    }
    expect_lines(0, 0, 0);
    must(here < need || ptr == payload_of(&before));
    shadow_remove(op->block);
    const struct shadow_block after = {(uint16_t)((unsigned char*)ptr - test_heap.buffer), 0, 0, 0};
    must(has_content(&after, before.offset, op->size < before.size ? op->size : before.size));
    shadow_insert(ptr, op->size, before.alignment, before.name);
}

/* As true and as false; what comes out is the same. */
static void apply_free(const struct op* op)
{
    static unsigned char other[HEAP_MAX];
    void* ptr = payload_of(&search.shadow.block[op->block]);
    dmheap_free(ptr, true);
    memcpy(other, test_heap.buffer, test_heap.size);
    memcpy(test_heap.buffer, search.here->bytes, test_heap.size);
    dmheap_free(ptr, false);
    expect_lines(0, 0, 0);
    must(memcmp(other, test_heap.buffer, test_heap.size) == 0);
    shadow_remove(op->block);
}

static void apply_retag(const struct op* op)
{
    struct shadow_block* block = &search.shadow.block[op->block];
    if (Dmod_RetagEx(payload_of(block), names[op->name])) {
        expect_lines(0, 0, 0);
        block->name = (uint8_t)op->name;
        search.shadow.known[op->name] = true;
        return;
    }
    expect_refusal();
    must(!search.shadow.known[op->name]);
    expect_no_place_for_module(op->name);
}

static void apply_register(const struct op* op)
{
    if (dmheap_register_module(names[op->name])) {
        expect_lines(0, search.shadow.known[op->name], !search.shadow.known[op->name]);
        search.shadow.known[op->name] = true;
        return;
    }
    expect_refusal();
    must(!search.shadow.known[op->name]);
    expect_no_place_for_module(op->name);
}

static void apply_unregister(const struct op* op)
{
    struct shadow* shadow = &search.shadow;
    dmheap_unregister_module(names[op->name]);
    expect_lines(0, 0, shadow->known[op->name]);
    shadow->known[op->name] = false;
    for (unsigned i = shadow->blocks; i != 0; i--) {
        if (shadow->block[i - 1].name == op->name) {
            shadow_remove(i - 1);
        }
    }
}

static void apply_rename(const struct op* op)
{
    struct shadow* shadow = &search.shadow;
    const bool is_possible = shadow->known[op->block] && !shadow->known[op->name];
    if (!Dmod_RenameTag(names[op->block], names[op->name])) {
        expect_refusal();
        if (is_possible) {
            expect_no_place_for_name(op->name);
        }
        return;
    }
    expect_lines(0, 0, 0);
    must(is_possible);
    shadow->known[op->block] = false;
    shadow->known[op->name] = true;
    for (unsigned i = 0; i < shadow->blocks; i++) {
        if (shadow->block[i].name == op->block) {
            shadow->block[i].name = (uint8_t)op->name;
        }
    }
}

static void apply(const struct op* op)
{
    switch (op->kind) {
    case OP_MALLOC:
    case OP_ALIGNED:
        apply_request(op);
        break;
    case OP_REALLOC:
        apply_realloc(op);
        break;
    case OP_FREE:
        apply_free(op);
        break;
    case OP_RETAG:
        apply_retag(op);
        break;
    case OP_REGISTER:
        apply_register(op);
        break;
    case OP_UNREGISTER:
        apply_unregister(op);
        break;
    case OP_RENAME:
        apply_rename(op);
        break;
    }
}

/* ---- states --------------------------------------------------------------------------------- */

static void reduce_holding(struct dmheap_holding* holding)
{
    holding->peak = 0;
    holding->allocations = 0;
    forget_failures(holding);
}

static void reduce_account(struct dmheap_ctx* ctx, struct record* record)
{
    if (DMHEAP_ACCOUNTING) {
        reduce_holding(record_holding(ctx, record));
    }
}

/* A record's serial, and what stands behind its name. */
static void reduce_record(struct dmheap_ctx* ctx, struct record* record, size_t size)
{
    const size_t used = offsetof(struct record, name) + strlen(record->name) + 1;
    record->serial = 0;
    reduce_account(ctx, record);
    memset((unsigned char*)record + used, 0, size - used);
}

static void reduce_hints(struct dmheap_ctx* ctx)
{
    for (unsigned i = 0; i < DMHEAP_HINTS; i++) {
        for (unsigned name = 0; name < NAMES; name++) {
            if (ctx->hint[i].name == (uint32_t)(uintptr_t)names[name]) {
                ctx->hint[i].name = name;
            }
        }
    }
}

/* Hints, and the order of lists. */
static void reduce_orders(struct dmheap_ctx* ctx)
{
    const size_t bins = offsetof(struct dmheap_ctx, bin);
    memset(ctx->hint, 0, sizeof(ctx->hint));
    ctx->hint_module = 0;
    ctx->hint_id = 0;
    memset((unsigned char*)ctx + bins, 0, (size_t)ctx->live - bins);
    for (uintptr_t offset = (uintptr_t)ctx->first; offset < (uintptr_t)ctx->top;) {
        struct dmheap_block* block = ctx_block(ctx, offset);
        if (block_is_free(block)) {
            block->next = 0;
            block->prev = 0;
        }
        offset += block_size(block);
    }
}

static void reduce_block(const struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    unsigned char* payload = block_payload(block);
    const dmheap_word owner = block_owner(block);
    if (owner == OWNER_FREE) {
        memset(payload + 2 * WORD, 0, (size_t)block_size(block) - 4 * WORD);
    } else {
        memset(payload + block_capacity(block), 0, BLOCK_TRAILER_BYTES);
    }
    if (owner > OWNER_HEAP) {
        memset(payload, 0, (size_t)heap_usable(ctx, block));
    }
}

/* All of a heap, in a copy of it, that no later operation can tell or that only counts. */
static void reduce(struct dmheap_ctx* ctx)
{
    ctx->seal = 0;
    ctx->serial = 0;
    if (DMHEAP_ACCOUNTING) {
        memset(ctx_totals(ctx)->failures, 0, sizeof(ctx_totals(ctx)->failures));
        ctx_totals(ctx)->peak = 0;
    }
    reduce_account(ctx, NULL);
    for (uintptr_t offset = (uintptr_t)ctx->first; offset < (uintptr_t)ctx->top;) {
        const struct dmheap_block* block = ctx_block(ctx, offset);
        reduce_block(ctx, block);
        offset += block_size(block);
    }
    memset((unsigned char*)ctx + ctx->top, 0, (size_t)(ctx->end - ctx->top));
    for (dmheap_word id = OWNER_MODULES; id < OWNER_MODULES + NAMES; id++) {
        struct record* record = record_of(ctx, id);
        if (record != NULL) {
            reduce_record(ctx, record, (size_t)block_capacity(block_of(record)));
        }
    }
}

static uint64_t hash_of(const unsigned char* bytes, void (*reduce_more)(struct dmheap_ctx* ctx))
{
    static uint64_t copy[HEAP_MAX / sizeof(uint64_t)];
    struct dmheap_ctx* ctx = (struct dmheap_ctx*)(void*)copy;
    uint64_t hash = 0;
    memcpy(copy, bytes, test_heap.size);
    reduce(ctx);
    reduce_more(ctx);
    for (size_t i = 0; i < test_heap.size / sizeof(uint64_t); i++) {
        hash = (hash ^ copy[i]) * 0x9E3779B97F4A7C15U;
        hash ^= hash >> 29;
    }
    return hash;
}

static uint64_t hash_of_heap(void)
{
    return hash_of(test_heap.buffer, reduce_hints);
}

static uint64_t hash_as_seen(const unsigned char* bytes)
{
    return hash_of(bytes, reduce_orders);
}

static void* grow(void* memory, uint64_t bytes)
{
    void* grown = realloc(memory, (size_t)bytes);
    assert_non_null(grown);
    return grown;
}

static void hash_table_make(uint32_t slots)
{
    search.slots = slots;
    search.slot = grow(search.slot, (uint64_t)slots * sizeof(uint32_t));
    search.node = grow(search.node, (uint64_t)slots / 2 * sizeof(struct node));
    for (uint32_t i = 0; i < slots; i++) {
        search.slot[i] = NO_STATE;
    }
    for (uint32_t i = 0; i < search.nodes; i++) {
        uint32_t at = (uint32_t)(search.node[i].hash >> 20) & (slots - 1);
        while (search.slot[at] != NO_STATE) {
            at = (at + 1) & (slots - 1);
        }
        search.slot[at] = i;
    }
}

/* The node of a state, which is new if it was not found before. */
static uint32_t node_of(uint64_t hash, bool* is_new)
{
    if (search.nodes == search.slots / 2) {
        hash_table_make(search.slots * 2);
    }
    uint32_t at = (uint32_t)(hash >> 20) & (search.slots - 1);
    while (search.slot[at] != NO_STATE && search.node[search.slot[at]].hash != hash) {
        at = (at + 1) & (search.slots - 1);
    }
    *is_new = search.slot[at] == NO_STATE;
    if (*is_new) {
        const uint32_t parent = search.here != NULL ? search.here->node : 0;
        const struct node node = {hash, 0, parent, (uint16_t)search.op, 0};
        search.slot[at] = search.nodes;
        search.node[search.nodes++] = node;
    }
    return search.slot[at];
}

/* ---- in each state -------------------------------------------------------------------------- */

static bool is_held(const void* ptr)
{
    for (unsigned i = 0; i < search.shadow.blocks; i++) {
        if (payload_of(&search.shadow.block[i]) == ptr) {
            return true;
        }
    }
    return false;
}

/* How many refusals that is. */
static size_t refuse_pointer(void* ptr, size_t number)
{
    dmheap_free(ptr, number % 2 != 0);
    if ((number + search.here->node) % 4 != 0) {
        return 1;
    }
    must(dmheap_realloc(ptr, UNIT, names[1]) == NULL);
    must(!Dmod_RetagEx(ptr, names[1]));
    return 3;
}

/* What no block has is refused: freed before, inside of one, the heap's own, free, outside. */
static void refuse_pointers(void)
{
    size_t number = 0;
    size_t refused = 0;
    unsigned char* end = test_heap.buffer + test_heap.size + 4 * WORD;
    const size_t step = search.here->node < EACH_BYTE ? 1 : WORD;
    test_port_only_count(true);
    for (unsigned char* ptr = test_heap.buffer; ptr < end; ptr += step) {
        if (!is_held(ptr)) {
            refused += refuse_pointer(ptr, number++);
        }
    }
    test_port_only_count(false);
    expect_lines(refused, 0, 0);
    search.pointers += number;
    must(memcmp(test_heap.buffer, search.here->bytes, test_heap.size) == 0);
}

/* To merge, and to make a heap where there is no room for one. */
static void change_nothing(void)
{
    dmheap_concatenate_free_blocks();
    expect_lines(0, 0, 0);
    must(!dmheap_init(test_heap.buffer, WORD, 1));
    expect_lines(1, 0, 0);
    must(memcmp(test_heap.buffer, search.here->bytes, test_heap.size) == 0);
}

static void start_again(void)
{
    open_heap();
    must(hash_of_heap() == search.node[0].hash);
    compare();
}

/* The heap is in this state, and in the first one then. */
static void try_state(const struct state* state)
{
    search.here = state;
    search.op = NO_OP;
    refuse_pointers();
    change_nothing();
    start_again();
    search.tried++;
}

/* ---- the search ------------------------------------------------------------------------------ */

static void open_heap(void)
{
    assert_true(heap_start(test_heap.buffer, test_heap.size, 1));
    memset(&search.shadow, 0, sizeof(search.shadow));
    search.shadow.known[0] = true;
    test_port_forget_lines();
}

/* A heap in the smallest buffer that leaves so much for blocks, with nothing behind it. */
static void make_heap(void)
{
    size_t size = 64;
    while (!heap_start(arena_make(size, 0), size, 1) ||
           test_heap.ctx->end - test_heap.ctx->first < (dmheap_word)search.scale->bytes) {
        arenas_release();
        size += sizeof(uint64_t);
        assert_true(size <= HEAP_MAX);
    }
    assert_ptr_equal(test_heap.ctx, test_heap.buffer);
    open_heap();
}

/* Names whose addresses share a hint, or do not. */
static void choose_names(bool share_a_hint)
{
    names[0] = NULL;
    names[1] = hinted_name(0, "a");
    names[2] = hinted_name(share_a_hint ? 0 : 1, "b");
}

static void add_edge(uint32_t node)
{
    if (search.edges == search.edge_room) {
        search.edge_room = search.edge_room == 0 ? 4096 : search.edge_room * 2;
        search.edge = grow(search.edge, search.edge_room * sizeof(uint32_t));
    }
    search.edge[search.edges++] = node;
}

/* States to go on from, one behind the other. */
struct front {
    unsigned char* states;
    size_t count;
    size_t room;
};

static struct state* front_at(const struct front* front, size_t number)
{
    return (struct state*)(void*)(front->states + number * state_bytes());
}

static struct state* front_add(struct front* front)
{
    if (front->count == front->room) {
        front->room = front->room == 0 ? 64 : front->room * 2;
        front->states = grow(front->states, (uint64_t)front->room * state_bytes());
    }
    return front_at(front, front->count++);
}

/* The heap is in a new state: keep it in `next`, or for a moment where that is NULL, and try it out. */
static void find(uint32_t node, struct front* next)
{
    struct state* state = next != NULL ? front_add(next) : search.last;
    save(state, node);
    try_state(state);
}

/* Do every operation in a state; new ones go to `next`, unless that is NULL. */
static void expand(const struct state* state, struct front* next)
{
    struct op op[OPS_MAX];
    const unsigned ops = list_ops(&state->shadow, op);
    search.node[state->node].edges = search.edges;
    search.node[state->node].ops = (uint16_t)ops;
    for (unsigned i = 0; i < ops; i++) {
        bool is_new;
        search.here = state;
        search.op = i;
        restore(state);
        apply(&op[i]);
        compare();
        const uint32_t node = node_of(hash_of_heap(), &is_new);
        add_edge(node);
        if (is_new) {
            find(node, next);
        }
    }
}

/* How many sequences of `depth` operations there are, each counted. */
static uint64_t count_sequences(unsigned depth)
{
    uint64_t* now = calloc(search.nodes, sizeof(uint64_t));
    uint64_t* next = calloc(search.nodes, sizeof(uint64_t));
    uint64_t sum = 0;
    assert_true(now != NULL && next != NULL);
    now[0] = 1;
    for (; depth != 0; depth--) {
        memset(next, 0, search.nodes * sizeof(uint64_t));
        for (uint32_t i = 0; i < search.nodes; i++) {
            const struct node* node = &search.node[i];
            for (unsigned op = 0; now[i] != 0 && op < node->ops; op++) {
                next[search.edge[node->edges + op]] += now[i];
            }
        }
        uint64_t* swap = now;
        now = next;
        next = swap;
    }
    for (uint32_t i = 0; i < search.nodes; i++) {
        sum += now[i];
    }
    free(now);
    free(next);
    return sum;
}

static unsigned depth_asked = DEPTH;
static unsigned searches;

static void search_all(const struct scale* scale, bool share_a_hint, unsigned depth)
{
    struct front front = {NULL, 0, 0};
    bool is_new;
    memset(&search, 0, sizeof(search));
    search.scale = scale;
    is_showing = false;
    make_heap();
    choose_names(share_a_hint);
    hash_table_make(1024);
    search.last = state_make();
    find(node_of(hash_of_heap(), &is_new), &front);
    for (unsigned length = 1; length <= depth; length++) {
        struct front next = {NULL, 0, 0};
        for (size_t i = 0; i < front.count; i++) {
            expand(front_at(&front, i), length < depth ? &next : NULL);
        }
        printf("up to %u operations: %" PRIu32 " states, %" PRIu64 " steps\n", length, search.nodes,
               search.edges);
        (void)fflush(stdout);
        free(front.states);
        front = next;
    }
    printf("%u-byte headers: %" PRIu64 " sequences of %u operations; of the steps %" PRIu64
           " were refused, %" PRIu64 " of them where another block or order would have served\n",
           (unsigned)WORD, count_sequences(depth), depth, search.refusals, search.declined);
    assert_int_equal(search.tried, search.nodes);
    searches++;
    printf("in each of the %" PRIu64
           " states merging, an init that fails and a new init, and %" PRIu64
           " pointers in all that no block has\n",
           search.tried, search.pointers);
    search.here = NULL;
    free(search.last);
    free(search.node);
    free(search.slot);
    free(search.edge);
}

static void with_the_hints_of_names_apart(void** state)
{
    (void)state;
    search_all(&small, false, depth_asked);
}

static void with_one_hint_for_two_names(void** state)
{
    (void)state;
    search_all(&small, true, depth_asked);
}

static void with_several_sizes_in_a_class(void** state)
{
    (void)state;
    search_all(&large, false, depth_asked);
}

/*
 * The smallest payload of each class, and one more that is never served: some 150 operations in the
 * first state, some 35 more for each block. With 8-byte headers a 64-bit host's heap is 44 granules
 * long, so its last classes have several sizes.
 */
static void with_a_size_of_each_class(void** state)
{
    static struct scale each;
    uintptr_t last = 0;
    (void)state;
    each.bytes = (WORD == 8 ? 22 : 30) * UNIT + ACCOUNTS;
    each.sizes = 0;
    search.scale = &each;
    make_heap();
    for (size_t bytes = BLOCK_MIN_BYTES; bytes <= each.bytes; bytes += granule()) {
        const uintptr_t size_class = index_class(test_heap.ctx, (uintptr_t)bytes);
        if (size_class != last) {
            assert_true(each.sizes < SIZES_MAX - 1);
            each.size[each.sizes++] = bytes - OVERHEAD;
            last = size_class;
        }
    }
    each.aligned = each.sizes - 1;
    each.size[each.sizes++] = each.bytes;
    search_all(&each, false, depth_asked - 1);
}

int main(int argc, char** argv)
{
    if (argc > 1) {
        depth_asked = (unsigned)strtoul(argv[1], NULL, 10);
    }
    if (depth_asked < 2) {
        printf("sequences have 2 operations at least\n");
        return EXIT_FAILURE;
    }
    if (argc > 2) {
        cmocka_set_test_filter(argv[2]);
    }
    (void)signal(SIGABRT, on_abort);
    const struct CMUnitTest cases[] = {
        heap_case(with_the_hints_of_names_apart),
        heap_case(with_one_hint_for_two_names),
        heap_case(with_several_sizes_in_a_class),
        heap_case(with_a_size_of_each_class),
    };
    const int failed = cmocka_run_group_tests(cases, NULL, NULL);
    return failed == 0 && searches != 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
