/* SPDX-License-Identifier: MIT */
/*
 * The check: the proof of a whole heap, in an image.
 *
 * Knows: every invariant of the layers below. Does not know: pointers, locks, what clients wrote.
 * What it cannot prove: that a block's owner is the one who asked for it, what payloads hold, what
 * may be any number - limits, counts of calls, blocks' own numbers, modules' serials -, and of the
 * context the addresses of names, the serial but for its form and the canaries, and `prev` of offset 0.
 * Always holds: whatever stands in the image, it comes to an end: each loop goes forward through
 * memory, or along links of which no two lead to one place. What is right while no call is under
 * way is right, too, while one has released the lock: between two slices of an unregistration a
 * module has no name, and what a realloc or calloc works on is a block of the heap's own.
 * Cost: proportional to the heap's size; all blocks are looked at once more for CHECK_BATCH modules
 * each.
 */
#ifndef DMHEAP_CHECK_H
#define DMHEAP_CHECK_H

#include "dmheap_image.h"

#include <string.h>

/* Modules whose blocks are counted at a time: twice as many words of the stack. */
#define CHECK_BATCH 32U

/* What there is, counted on the way. */
struct image_census {
    size_t live_blocks;
    size_t live_bytes;    /* headers included */
    size_t own_blocks;    /* of those: the heap's own */
    size_t module_blocks; /* of those: modules' */
    size_t free_blocks;
    size_t free_bytes; /* the untouched end not included */
    size_t groups;
    size_t modules;   /* records */
    size_t named;     /* of those: not unregistered */
    size_t own_bytes; /* the heap's own, headers included */
    size_t kept;      /* of those, with accounts: of groups, records and the ring of the dead */
    size_t moving;    /* of the heap's own blocks: none of these */
};

struct check {
    struct image image;
    struct image_census census;
    enum dmheap_fault fault; /* what is wrong, ... */
    image_word offset;       /* ... where, ... */
    image_word block;        /* ... in the block whose header is there; 0: none */
};

#define CHECK_TEXT_BYTES 56U

/*
 * Arrays, not pointers to texts: those would stand beside the ones that the nine functions log, and
 * no linker could leave them out.
 */
static inline const char* check_text(enum dmheap_fault fault)
{
    static const char text[][CHECK_TEXT_BYTES] = {
        [DMHEAP_FAULT_NONE] = "all is as it should be",
        [DMHEAP_FAULT_NO_HEAP] = "there is no heap",
        [DMHEAP_FAULT_TRUNCATED] = "the image ends before the heap does",
        [DMHEAP_FAULT_CONTEXT] = "a field of the context contradicts the others",
        [DMHEAP_FAULT_UNUSED] = "memory beside the live map was written to",
        [DMHEAP_FAULT_SIZE] = "a block's size leads to where no block ends",
        [DMHEAP_FAULT_TAGS] = "a block's header contradicts the memory in front of it",
        [DMHEAP_FAULT_FOOTER] = "a free block's first and last word differ",
        [DMHEAP_FAULT_UNMERGED] = "two pieces of free memory lie side by side",
        [DMHEAP_FAULT_MAP] = "the live map and a header contradict each other",
        [DMHEAP_FAULT_ALIGNMENT] = "a block is not aligned as it should be",
        [DMHEAP_FAULT_OWNER] = "no module is a block's owner",
        [DMHEAP_FAULT_CLASS] = "the bits of the size classes contradict their lists",
        [DMHEAP_FAULT_LINK] = "a link leads to no free block of that class",
        [DMHEAP_FAULT_UNLISTED] = "a free block is in no list",
        [DMHEAP_FAULT_GROUP] = "a group of modules contradicts itself",
        [DMHEAP_FAULT_RECORD] = "a module's record is not one",
        [DMHEAP_FAULT_NAME] = "a module is not found by its name",
        [DMHEAP_FAULT_REFERENCES] = "a module's references are not its blocks and its name",
        [DMHEAP_FAULT_HINT] = "a hint leads to no such module",
        [DMHEAP_FAULT_CANARY] = "a block was written to outside what its client may use",
        [DMHEAP_FAULT_ACCOUNT] = "an owner's account is not that of its blocks",
        [DMHEAP_FAULT_TOTALS] = "the heap's account is not the sum of its owners'",
        [DMHEAP_FAULT_DEAD] = "the accounts of modules that are gone are none",
    };
    return text[fault];
}

/* Note what is wrong. False, so that it ends the check. */
static inline bool check_fail(struct check* check, enum dmheap_fault fault, image_word offset,
                              image_word block)
{
    check->fault = fault;
    check->offset = offset;
    check->block = block;
    return false;
}

/* ---- the context ----------------------------------------------------------------- */

static inline bool check_is_0(const struct image* image, image_word* offset, image_word end)
{
    while (*offset < end && image_read(image, *offset, 1) == 0) {
        *offset += 1;
    }
    return *offset >= end;
}

static inline bool check_fields(struct check* check)
{
    const struct image* image = &check->image;
    for (unsigned i = 0; i < IMAGE_GROUP; i++) {
        if (i != IMAGE_SEAL && image_field(image, (enum image_field)i) != image->plan[i]) {
            return check_fail(check, DMHEAP_FAULT_CONTEXT, (image_word)i * image->format.word, 0);
        }
    }
    const image_word serial = IMAGE_SERIAL(image->format.word);
    const image_word suspect = IMAGE_SUSPECT(image->format.word);
    if ((image_read_word(image, serial) & 1) == 0 ||
        image_read_word(image, serial) > (uint32_t)~0U) {
        return check_fail(check, DMHEAP_FAULT_CONTEXT, serial, 0);
    }
    return image_read(image, suspect, 4) == 0 ||
           check_fail(check, DMHEAP_FAULT_CONTEXT, suspect, 0);
}

/* What lies between the bins, the live map and the first block. */
static inline bool check_gaps(struct check* check)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    image_word bins_end = image_bins(&image->format) + image_classes(image) * word;
    image_word map_end =
        image->plan[IMAGE_LIVE] + image_map_bytes(&image->format, image->plan[IMAGE_GRANULES]);
    if (!check_is_0(image, &bins_end, image->plan[IMAGE_LIVE])) {
        return check_fail(check, DMHEAP_FAULT_UNUSED, bins_end, 0);
    }
    return check_is_0(image, &map_end, image->plan[IMAGE_FIRST]) ||
           check_fail(check, DMHEAP_FAULT_UNUSED, map_end, 0);
}

/*
 * A field that seems wrong is missing, if it is not in the image as a whole, nor one of those that all
 * others follow from.
 */
static inline bool check_context(struct check* check)
{
    const struct image* image = &check->image;
    const bool is_right = check_fields(check);
    const image_word fields = (image_word)image->format.word * (IMAGE_GROUP - 1);
    const image_word wrong = check->offset > fields ? check->offset : fields;
    const image_word last = is_right ? image->plan[IMAGE_END] : wrong;
    if (image->size < last + image->format.word) {
        return check_fail(check, DMHEAP_FAULT_TRUNCATED, (image_word)image->size, 0);
    }
    return is_right && check_gaps(check);
}

/* ---- blocks ---------------------------------------------------------------------- */

/* Bits of a header beside its owner, its size, A and P. */
static inline bool check_has_odd_bits(const struct image* image, const struct image_block* block)
{
    const image_word tags = BLOCK_PREV_FREE | BLOCK_ALIGNED;
    const image_word owner = block->owner << image_owner_shift(&image->format);
    return (block->header & ~tags & ~owner) != block->size;
}

/*
 * Does a block begin at `offset`: a live one; or one that ends where the next live one begins, by
 * its first word or its last; or a free one? Else the size that led there is wrong.
 */
static inline bool check_is_begin(const struct image* image, image_word offset)
{
    const image_word index = image_index(image, offset);
    const image_word limit = image_index(image, image->plan[IMAGE_TOP]);
    const image_word live = image_next_live(image, index, limit);
    const image_word end = image_offset(image, live);
    const struct image_block block = image_block(image, offset);
    return offset == image->plan[IMAGE_TOP] || live == index || image_is_free(image, &block) ||
           block.size == end - offset ||
           image_read_word(image, end - image->format.word) == end - offset;
}

/* Is a block's size one by itself, by what is behind the block, and by the live map up to there? */
static inline bool check_size(struct check* check, const struct image_block* block)
{
    const struct image* image = &check->image;
    const image_word end = block->offset + block->size;
    if (!image_is_size(image, block) || check_has_odd_bits(image, block) ||
        !check_is_begin(image, end)) {
        return check_fail(check, DMHEAP_FAULT_SIZE, block->offset, block->offset);
    }
    const image_word index = image_index(image, block->offset) + 1;
    const image_word live = image_next_live(image, index, image_index(image, end));
    return live == image_index(image, end) ||
           check_fail(check, DMHEAP_FAULT_MAP, image->plan[IMAGE_LIVE] + live / 8, block->offset);
}

static inline bool check_free(struct check* check, const struct image_block* block, bool prev_free)
{
    const struct image* image = &check->image;
    const image_word footer = block->offset + block->size - image->format.word;
    if (prev_free || block->offset + block->size == image->plan[IMAGE_TOP]) {
        return check_fail(check, DMHEAP_FAULT_UNMERGED, block->offset, block->offset);
    }
    if (block->header != block->size) {
        return check_fail(check, DMHEAP_FAULT_TAGS, block->offset, block->offset);
    }
    if (image_read_word(image, footer) != block->size) {
        return check_fail(check, DMHEAP_FAULT_FOOTER, footer, block->offset);
    }
    check->census.free_blocks++;
    check->census.free_bytes += (size_t)block->size;
    return true;
}

/* Is an address aligned, as far as it is known? The first that is asked about tells more of it. */
static inline bool check_learn_alignment(struct image* image, image_word payload,
                                         image_word alignment)
{
    const image_word mask = alignment - 1;
    if (((image->address + payload) & mask & image->known) != 0) {
        return false;
    }
    image->address = (image->address & image->known) | ((0 - payload) & mask & ~image->known);
    image->known |= mask;
    return true;
}

static inline bool check_alignment(struct check* check, const struct image_block* block)
{
    struct image* image = &check->image;
    const image_word payload = block->offset + image->format.word;
    image_word alignment = image->plan[IMAGE_ALIGNMENT];
    image_word place = block->offset;
    if ((block->header & BLOCK_ALIGNED) != 0) {
        place = image_alignment_byte(image, block);
        const unsigned exponent = (unsigned)image_read(image, place, 1);
        alignment = exponent < 8 * sizeof(alignment) ? (image_word)1 << exponent : 0;
        if (alignment <= image->plan[IMAGE_ALIGNMENT] || alignment >= image->plan[IMAGE_END]) {
            return check_fail(check, DMHEAP_FAULT_ALIGNMENT, place, block->offset);
        }
    } else if (block->owner == OWNER_HEAP) {
        return true; /* records have a granule's, whatever the default is */
    }
    return check_learn_alignment(image, payload, alignment) ||
           check_fail(check, DMHEAP_FAULT_ALIGNMENT, place, block->offset);
}

/* Is no canary right, of two at least? Then it is the serial that was written over. */
static inline bool check_is_serial_wrong(const struct image* image)
{
    const image_word limit = image_index(image, image->plan[IMAGE_TOP]);
    unsigned seen = 0;
    for (image_word index = image_next_live(image, 0, limit); index < limit;
         index = image_next_live(image, index + 1, limit)) {
        const struct image_block block = image_block(image, image_offset(image, index));
        if (image_is_size(image, &block) && image_is_sealed(image, &block)) {
            return false;
        }
        seen++;
    }
    return seen > 1;
}

static inline bool check_canary(struct check* check, const struct image_block* block)
{
    const struct image* image = &check->image;
    if (image_is_sealed(image, block)) {
        return true;
    }
    return check_is_serial_wrong(image)
               ? check_fail(check, DMHEAP_FAULT_CONTEXT, IMAGE_SERIAL(image->format.word), 0)
               : check_fail(check, DMHEAP_FAULT_CANARY, image_payload_end(image, block),
                            block->offset);
}

static inline bool check_live(struct check* check, const struct image_block* block)
{
    check->census.live_blocks++;
    check->census.live_bytes += (size_t)block->size;
    check->census.module_blocks += block->owner >= OWNER_MODULES;
    if (block->owner == OWNER_HEAP) {
        check->census.own_blocks++;
        check->census.own_bytes += (size_t)block->size;
    }
    return check_alignment(check, block) && check_canary(check, block);
}

/* One block: is it what its header says, what the one in front says, what the live map says? */
static inline bool check_block(struct check* check, const struct image_block* block, bool prev_free)
{
    const struct image* image = &check->image;
    const image_word index = image_index(image, block->offset);
    const bool is_live = image_next_live(image, index, index + 1) == index;
    const bool is_free = block->owner == OWNER_FREE;
    if (is_live == is_free) {
        return check_fail(check, DMHEAP_FAULT_MAP, block->offset, block->offset);
    }
    if (!check_size(check, block)) {
        return false;
    }
    if (is_free) {
        return check_free(check, block, prev_free);
    }
    if (((block->header & BLOCK_PREV_FREE) != 0) != prev_free) {
        return check_fail(check, DMHEAP_FAULT_TAGS, block->offset, block->offset);
    }
    return check_live(check, block);
}

/* All blocks, and the live map in front of the first and behind the last. */
static inline bool check_blocks(struct check* check)
{
    const struct image* image = &check->image;
    const image_word top = image->plan[IMAGE_TOP];
    const image_word first = image_index(image, image->plan[IMAGE_FIRST]);
    const image_word last = image_index(image, top);
    const image_word bits = image_map_bytes(&image->format, image->plan[IMAGE_GRANULES]) * 8;
    const image_word early = image_next_live(image, 0, first);
    const image_word late = image_next_live(image, last, bits);
    if (early != first || late != bits) {
        const image_word wrong = early != first ? early : late;
        return check_fail(check, DMHEAP_FAULT_MAP, image->plan[IMAGE_LIVE] + wrong / 8, 0);
    }
    bool prev_free = false;
    for (image_word offset = image->plan[IMAGE_FIRST]; offset < top;) {
        const struct image_block block = image_block(image, offset);
        if (!check_block(check, &block, prev_free)) {
            return false;
        }
        prev_free = block.owner == OWNER_FREE;
        offset += block.size;
    }
    return true;
}

/* ---- the index ------------------------------------------------------------------- */

/* `next` of a bin, seen as a block. */
static inline image_word check_bin(const struct image* image, image_word size_class)
{
    return image_bins(&image->format) + size_class * image->format.word;
}

static inline bool check_rows(struct check* check)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    const image_word classes = image_classes(image);
    uint32_t rows = 0;
    for (unsigned row = 0; row < IMAGE_INDEX_ROWS(word); row++) {
        const image_word place = IMAGE_ROW(word) + 4 * row;
        const uint32_t bits = (uint32_t)image_read(image, place, 4);
        rows |= (uint32_t)(row != 0 && bits != 0) << row;
        for (unsigned i = 0; i < 32; i++) {
            const image_word size_class = row * 32 + i;
            const bool has_block =
                size_class < classes && image_read_word(image, check_bin(image, size_class)) != 0;
            if (((bits >> i & 1) != 0) != has_block) {
                return check_fail(check, DMHEAP_FAULT_CLASS, place, 0);
            }
        }
    }
    return image_read(image, IMAGE_ROWS(word), 4) == rows ||
           check_fail(check, DMHEAP_FAULT_CLASS, IMAGE_ROWS(word), 0);
}

/*
 * Is there one of the free blocks that check_blocks found? By its tags it might also lie inside a
 * payload; then no live block behind it has a P. Behind the last block nothing is live, as check_blocks
 * has proven.
 */
static inline bool check_is_free(const struct image* image, image_word offset)
{
    if (!image_is_place(image, offset)) {
        return false;
    }
    const struct image_block block = image_block(image, offset);
    if (!image_is_free(image, &block)) {
        return false;
    }
    const image_word end = offset + block.size;
    return image_is_live(image, end + image->format.word) &&
           (image_read_word(image, end) & BLOCK_PREV_FREE) != 0;
}

/* One class. Each block names the one before, so no list leads to a block that was in one. */
static inline bool check_list(struct check* check, image_word size_class, image_word* listed)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    const unsigned shift = (unsigned)image->plan[IMAGE_GRANULE_SHIFT];
    image_word link = check_bin(image, size_class); /* where an offset stands, ... */
    image_word block = 0;                           /* ... in which block */
    image_word prev = link - word;
    for (image_word offset = image_read_word(image, link); offset != 0;
         offset = image_read_word(image, link)) {
        const image_word size = image_block(image, offset).size;
        if (!check_is_free(image, offset) || image_class(size >> shift) != size_class) {
            return check_fail(check, DMHEAP_FAULT_LINK, link, block);
        }
        if (image_read_word(image, offset + 2 * word) != prev) {
            return check_fail(check, DMHEAP_FAULT_LINK, offset + 2 * word, offset);
        }
        *listed += 1;
        link = offset + word;
        block = offset;
        prev = offset;
    }
    return true;
}

/*
 * The first free block that what it names as the previous one does not name as the next; the heap's
 * first block where there is none.
 */
static inline bool check_find_unlisted(struct check* check)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    image_word found = image->plan[IMAGE_FIRST];
    for (image_word offset = found; offset < image->plan[IMAGE_TOP];) {
        const struct image_block block = image_block(image, offset);
        const image_word prev = image_read_word(image, offset + 2 * word);
        if (block.owner == OWNER_FREE && image_read_word(image, prev + word) != offset) {
            found = offset;
            break;
        }
        offset += block.size;
    }
    return check_fail(check, DMHEAP_FAULT_UNLISTED, found, found);
}

/* Every class: its bits, its list, and no free block missing. */
static inline bool check_index(struct check* check)
{
    const image_word classes = image_classes(&check->image);
    image_word listed = 0;
    if (!check_rows(check)) {
        return false;
    }
    for (image_word i = 0; i < classes; i++) {
        if (!check_list(check, i, &listed)) {
            return false;
        }
    }
    return listed == check->census.free_blocks || check_find_unlisted(check);
}

/* ---- modules --------------------------------------------------------------------- */

/* Behind the ids of the last group that there is. */
static inline image_word check_id_end(const struct image* image)
{
    unsigned groups = IMAGE_GROUPS(image->format.word);
    while (groups != 0 && image_group(image, groups - 1) == 0) {
        groups--;
    }
    return image_group_first(groups);
}

/* Is that the payload of one of the groups? */
static inline bool check_is_group(const struct image* image, image_word payload)
{
    bool is_group = false;
    for (unsigned number = 0; number < IMAGE_GROUPS(image->format.word); number++) {
        is_group = is_group || image_group(image, number) == payload;
    }
    return is_group;
}

/* One record: whole, with its id, and with a name that ends. */
static inline bool check_record(struct check* check, image_word record, image_word id)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    char name[DMHEAP_NAME_BYTES];
    if (image_record_id(image, record) != id) {
        return check_fail(check, DMHEAP_FAULT_RECORD, record + IMAGE_RECORD_ID(word),
                          record - word);
    }
    if (!image_read_name(image, record, name)) {
        return check_fail(check, DMHEAP_FAULT_RECORD, record + image_record_name(image),
                          record - word);
    }
    check->census.modules++;
    check->census.named += name[0] != '\0';
    return true;
}

/* Count a block that the heap keeps for itself. */
static inline void check_keep(struct check* check, image_word payload)
{
    const struct image* image = &check->image;
    check->census.kept += (size_t)image_block(image, payload - image->format.word).size;
}

/* The slots of one group: its records, and how many slots are free. */
static inline bool check_slots(struct check* check, unsigned number, image_word* free_slots)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    const image_word group = image_group(image, number);
    for (unsigned index = 0; index < image->given[number]; index++) {
        const image_word record = image_slot(image, number, index);
        if ((record & 1) != 0) {
            *free_slots += 1;
            continue;
        }
        if (!image_is_own(image, record, image_record_name(image) + 1) ||
            check_is_group(image, record)) {
            return check_fail(check, DMHEAP_FAULT_GROUP,
                              group + IMAGE_GROUP_SLOT(word) + (image_word)index * word,
                              group - word);
        }
        if (!check_record(check, record, image_group_first(number) + index)) {
            return false;
        }
        check_keep(check, record);
    }
    return true;
}

/* The list of a group's free slots: all of them, each once. */
static inline bool check_spares(struct check* check, unsigned number, image_word free_slots)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    const image_word group = image_group(image, number);
    const unsigned given = image->given[number];
    image_word place = group + IMAGE_GROUP_SPARE(word);
    image_word spare = image_read_id(image, place);
    while (spare < given) {
        const image_word slot = image_slot(image, number, (unsigned)spare);
        if (free_slots == 0 || (slot & 1) == 0) {
            return check_fail(check, DMHEAP_FAULT_GROUP, place, group - word);
        }
        place = group + IMAGE_GROUP_SLOT(word) + spare * word;
        spare = slot >> 1;
        free_slots--;
    }
    return (spare == given && free_slots == 0) ||
           check_fail(check, DMHEAP_FAULT_GROUP, place, group - word);
}

static inline bool check_group(struct check* check, unsigned number)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    const image_word group = image_group(image, number);
    image_word free_slots = 0;
    if (!image_is_own(image, group, image_group_bytes(image, number))) {
        return check_fail(check, DMHEAP_FAULT_GROUP,
                          (image_word)word * ((unsigned)IMAGE_GROUP + number), 0);
    }
    const unsigned given = image->given[number];
    const image_word place = group + IMAGE_GROUP_GIVEN(word);
    if (image_read_id(image, place) != given) {
        return check_fail(check, DMHEAP_FAULT_GROUP, place, group - word);
    }
    if (!check_slots(check, number, &free_slots) || !check_spares(check, number, free_slots)) {
        return false;
    }
    check->census.groups++;
    check_keep(check, group);
    const image_word used = given - free_slots;
    return (used != 0 && image_read_id(image, group) == used) ||
           check_fail(check, DMHEAP_FAULT_GROUP, group, group - word);
}

/* The record in the bucket for that name in that group; 0: none. Chains are sound already. */
static inline image_word check_find_name(const struct image* image, unsigned number,
                                         const char* name)
{
    image_word link = image_bucket(image, number, image_bucket_of(number, name));
    image_word record = image_record_of(image, image_read_id(image, link));
    while (record != 0) {
        char other[DMHEAP_NAME_BYTES];
        (void)image_read_name(image, record, other);
        if (strcmp(other, name) == 0) {
            return record;
        }
        record = image_record_of(image, image_record_next(image, record));
    }
    return 0;
}

/*
 * One bucket's chain: records of the group, each with a name that belongs there; *left counts them
 * down. As many as have names in all, none twice: so each is in its own.
 */
static inline bool check_chain(struct check* check, unsigned number, unsigned bucket,
                               image_word* left)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    image_word place = image_bucket(image, number, bucket);
    image_word block = image_group(image, number) - word;
    for (image_word id = image_read_id(image, place); id != 0; id = image_read_id(image, place)) {
        char name[DMHEAP_NAME_BYTES];
        image_name_of(image, id, name);
        if (name[0] == '\0' || *left == 0 || image_group_of(id) != number ||
            image_bucket_of(number, name) != bucket) {
            return check_fail(check, DMHEAP_FAULT_NAME, place, block);
        }
        const image_word record = image_record_of(image, id);
        *left -= 1;
        place = record + IMAGE_RECORD_NEXT(word);
        block = record - word;
    }
    return true;
}

static inline bool check_chains(struct check* check, image_word* left)
{
    for (unsigned number = 0; number < IMAGE_GROUPS(check->image.format.word); number++) {
        const bool is_there = image_group(&check->image, number) != 0;
        for (unsigned i = 0; is_there && i < image_group_buckets(number); i++) {
            if (!check_chain(check, number, i, left)) {
                return false;
            }
        }
    }
    return true;
}

/* Each name leads to its own record, in the first group that has one of that name. */
static inline bool check_names(struct check* check)
{
    const struct image* image = &check->image;
    const image_word end = check_id_end(image);
    for (image_word id = OWNER_MODULES; id < end; id++) {
        const image_word record = image_record_of(image, id);
        char name[DMHEAP_NAME_BYTES];
        image_word found = 0;
        image_name_of(image, id, name);
        for (unsigned number = 0; found == 0 && number <= image_group_of(id); number++) {
            found = image_group(image, number) != 0 ? check_find_name(image, number, name) : 0;
        }
        if (name[0] != '\0' && found != record) {
            return check_fail(check, DMHEAP_FAULT_NAME, record + image_record_name(image),
                              record - image->format.word);
        }
    }
    return true;
}

/* ---- owners ------------------------------------------------------------------------- */

/* Counted for the modules from one id on. */
struct check_tally {
    image_word blocks[CHECK_BATCH];
    image_word bytes[CHECK_BATCH];
    image_word spare; /* blocks that are moved or cleared, and have no reference accounted yet */
    image_word spare_blocks; /* the same in accounts, ... */
    image_word spare_bytes;  /* ... and their bytes */
    image_word unmet;        /* of the reserves so far */
    size_t counted;          /* modules' blocks in all batches */
};

/*
 * One module: a reference for each block, and one for its name, or for the sweep that took it. A
 * block that is being moved or cleared is the heap's meanwhile, but keeps its reference.
 */
static inline bool check_references(struct check* check, image_word record, image_word blocks,
                                    image_word* spare)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    const image_word references = image_read_word(image, record);
    const bool has_name = image_read(image, record + image_record_name(image), 1) != 0;
    image_word more = references - blocks;
    more -= more != 0 || has_name; /* wraps around where a block or a name has none */
    if (references == 0 || more > *spare) {
        return check_fail(check, DMHEAP_FAULT_REFERENCES, record, record - word);
    }
    *spare -= more;
    return true;
}

/* A number that is wrong in an account, which is in that block or in the context, 0. */
static inline bool check_fail_account(struct check* check, enum dmheap_fault fault,
                                      image_word holding, enum image_holding field,
                                      image_word block)
{
    return check_fail(check, fault, holding + (image_word)check->image.format.word * field, block);
}

/* What must be so of every account, those of the dead included. */
static inline bool check_figures(struct check* check, enum dmheap_fault fault, image_word holding,
                                 image_word block)
{
    const struct image* image = &check->image;
    const image_word room = image->plan[IMAGE_END] - image->plan[IMAGE_FIRST];
    if (image_holding(image, holding, IMAGE_PEAK) < image_holding(image, holding, IMAGE_BYTES)) {
        return check_fail_account(check, fault, holding, IMAGE_PEAK, block);
    }
    if (image_holding(image, holding, IMAGE_RESERVE) > room) {
        return check_fail_account(check, fault, holding, IMAGE_RESERVE, block);
    }
    return image_holding(image, holding, IMAGE_LAST_FAILURE) < CTX_REASONS ||
           check_fail_account(check, fault, holding, IMAGE_LAST_FAILURE, block);
}

/*
 * One owner: its account is that of its blocks; those that are being moved or cleared are counted
 * there, too.
 */
static inline bool check_account(struct check* check, image_word owner, image_word blocks,
                                 image_word bytes, struct check_tally* tally)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    const image_word holding = image_holding_of(image, owner);
    const image_word block = owner == OWNER_NOBODY ? 0 : image_record_of(image, owner) - word;
    const image_word more_blocks = image_holding(image, holding, IMAGE_BLOCKS) - blocks;
    const image_word more_bytes = image_holding(image, holding, IMAGE_BYTES) - bytes;
    if (more_blocks > tally->spare_blocks) { /* as is less than there are, wrapped around */
        return check_fail_account(check, DMHEAP_FAULT_ACCOUNT, holding, IMAGE_BLOCKS, block);
    }
    if (more_bytes > tally->spare_bytes || (more_blocks == 0) != (more_bytes == 0)) {
        return check_fail_account(check, DMHEAP_FAULT_ACCOUNT, holding, IMAGE_BYTES, block);
    }
    tally->spare_blocks -= more_blocks;
    tally->spare_bytes -= more_bytes;
    tally->unmet += image_unmet(image, holding);
    return check_figures(check, DMHEAP_FAULT_ACCOUNT, holding, block);
}

static inline void check_count(const struct image* image, image_word base,
                               struct check_tally* tally)
{
    memset(tally->blocks, 0, sizeof(tally->blocks));
    memset(tally->bytes, 0, sizeof(tally->bytes));
    for (image_word offset = image->plan[IMAGE_FIRST]; offset < image->plan[IMAGE_TOP];) {
        const struct image_block block = image_block(image, offset);
        if (block.owner >= base && block.owner - base < CHECK_BATCH) {
            tally->blocks[block.owner - base]++;
            tally->bytes[block.owner - base] += block.size;
        }
        offset += block.size;
    }
}

static inline bool check_batch(struct check* check, image_word base, struct check_tally* tally)
{
    check_count(&check->image, base, tally);
    for (unsigned i = 0; i < CHECK_BATCH; i++) {
        const image_word record = image_record_of(&check->image, base + i);
        if (record == 0) {
            continue;
        }
        tally->counted += (size_t)tally->blocks[i];
        if (!check_references(check, record, tally->blocks[i], &tally->spare)) {
            return false;
        }
        if (check->image.format.has_accounts &&
            !check_account(check, base + i, tally->blocks[i], tally->bytes[i], tally)) {
            return false;
        }
    }
    return true;
}

static inline bool check_has_records(const struct image* image, image_word base)
{
    image_word id = base;
    while (id < base + CHECK_BATCH && image_record_of(image, id) == 0) {
        id++;
    }
    return id < base + CHECK_BATCH;
}

static inline bool check_batches(struct check* check, struct check_tally* tally)
{
    const image_word end = check_id_end(&check->image);
    for (image_word base = OWNER_MODULES; base < end; base += CHECK_BATCH) {
        if (check_has_records(&check->image, base) && !check_batch(check, base, tally)) {
            return false;
        }
    }
    return tally->counted == check->census.module_blocks;
}

/* Is there a block whose owner does not exist? It is what is missing elsewhere. */
static inline void check_find_ownerless(struct check* check)
{
    const struct image* image = &check->image;
    for (image_word offset = image->plan[IMAGE_FIRST]; offset < image->plan[IMAGE_TOP];) {
        const struct image_block block = image_block(image, offset);
        if (block.owner >= OWNER_MODULES && image_record_of(image, block.owner) == 0) {
            (void)check_fail(check, DMHEAP_FAULT_OWNER, offset, offset);
            return;
        }
        offset += block.size;
    }
}

/* One number of the heap's account: is it between these two? */
static inline bool check_total(struct check* check, unsigned field, image_word least,
                               image_word most)
{
    const unsigned word = check->image.format.word;
    const image_word value = image_total(&check->image, field);
    return (value >= least && value <= most) ||
           check_fail(check, DMHEAP_FAULT_TOTALS, IMAGE_TOTALS(word) + (image_word)word * field, 0);
}

/* After all modules: what nobody holds, and the sums. */
static inline bool check_totals(struct check* check, struct check_tally* tally)
{
    const struct image* image = &check->image;
    const struct image_census* census = &check->census;
    const image_word room = image->plan[IMAGE_END] - image->plan[IMAGE_FIRST];
    const image_word used = (image_word)census->live_bytes;
    check_count(image, OWNER_NOBODY, tally);
    return check_account(check, OWNER_NOBODY, tally->blocks[0], tally->bytes[0], tally) &&
           check_total(check, IMAGE_USED, used + tally->spare_bytes, used) &&
           check_total(check, IMAGE_USED_PEAK, used, room) &&
           check_total(check, IMAGE_UNMET, tally->unmet, tally->unmet) &&
           check_total(check, IMAGE_UNMET, 0, room - used);
}

/* Every module's references and account, and a module for every block of one. */
static inline bool check_owners(struct check* check)
{
    const struct image_census* census = &check->census;
    struct check_tally tally = {0};
    tally.spare = (image_word)census->moving;
    tally.spare_blocks = (image_word)census->moving;
    tally.spare_bytes = (image_word)(census->own_bytes - census->kept);
    if (!check_batches(check, &tally)) {
        check_find_ownerless(check);
        return false;
    }
    return !check->image.format.has_accounts || check_totals(check, &tally);
}

/* ---- the dead ------------------------------------------------------------------------ */

/* One module that is gone: its name and its figures. */
static inline bool check_dead(struct check* check, image_word ring, image_word number)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    const image_word dead = image_dead_entry(image, ring, number);
    const image_word name = dead + IMAGE_DEAD_NAME(word);
    char text[DMHEAP_NAME_BYTES];
    if (!image_read_text(image, name, DMHEAP_NAME_BYTES, text) || text[0] == '\0') {
        return check_fail(check, DMHEAP_FAULT_DEAD, name, ring - word);
    }
    return check_figures(check, DMHEAP_FAULT_DEAD, dead, ring - word);
}

/* The ring of modules that are gone: a block of the heap's own, written to from its start on. */
static inline bool check_ring(struct check* check)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    const image_word ring = image_total(image, IMAGE_DEAD);
    if (!image_is_own(image, ring, IMAGE_DEAD_ENTRY(word) + IMAGE_DEAD_BYTES(word)) ||
        check_is_group(image, ring) || image_read_id(image, ring + IMAGE_DEAD_NO_ID(word)) != 0) {
        return check_fail(check, DMHEAP_FAULT_DEAD,
                          IMAGE_TOTALS(word) + (image_word)word * IMAGE_DEAD, 0);
    }
    const image_word count = image_read_word(image, ring);
    const image_word next = image_read(image, ring + IMAGE_DEAD_NEXT(word), 4);
    const image_word room = image_dead_room(image, ring);
    if (count > room) {
        return check_fail(check, DMHEAP_FAULT_DEAD, ring, ring - word);
    }
    if (next >= room || (count < room && next != count)) {
        return check_fail(check, DMHEAP_FAULT_DEAD, ring + IMAGE_DEAD_NEXT(word), ring - word);
    }
    for (image_word i = 0; i < count; i++) {
        if (!check_dead(check, ring, i)) {
            return false;
        }
    }
    check_keep(check, ring);
    return true;
}

/* ---- hints ------------------------------------------------------------------------- */

static inline bool check_hints(struct check* check)
{
    const struct image* image = &check->image;
    const unsigned word = image->format.word;
    const image_word module = image_read_word(image, IMAGE_HINT_MODULE(word));
    const image_word id = image_read_word(image, IMAGE_HINT_ID(word));
    if (module != 0 ? image_record_of(image, id) != module : id != OWNER_NOBODY) {
        return check_fail(check, DMHEAP_FAULT_HINT, IMAGE_HINT_MODULE(word), 0);
    }
    for (unsigned i = 0; i < IMAGE_HINTS; i++) {
        const image_word hint = IMAGE_HINT(word) + i * IMAGE_HINT_BYTES(word);
        const image_word hinted = image_read_word(image, hint);
        const image_word its_id = image_read(image, hint + word, 4);
        char name[DMHEAP_NAME_BYTES];
        image_name_of(image, its_id, name);
        if (hinted != 0 ? image_record_of(image, its_id) != hinted || name[0] == '\0'
                        : its_id != 0 || image_read(image, hint + word + 4, 4) != 0) {
            return check_fail(check, DMHEAP_FAULT_HINT, hint, 0);
        }
    }
    return true;
}

/* Every group with its modules, the ring of those that are gone, and what of the rest is moving. */
static inline bool check_own(struct check* check)
{
    const struct image* image = &check->image;
    const bool has_ring = image->format.has_accounts && image_total(image, IMAGE_DEAD) != 0;
    for (unsigned number = 0; number < IMAGE_GROUPS(image->format.word); number++) {
        if (image_group(image, number) != 0 && !check_group(check, number)) {
            return false;
        }
    }
    if (has_ring && !check_ring(check)) {
        return false;
    }
    struct image_census* const census = &check->census;
    census->moving = census->own_blocks - census->groups - census->modules - has_ring;
    return true;
}

/* Every module: in its group, in its bucket, where a hint leads, with its references and account. */
static inline bool check_modules(struct check* check)
{
    if (!check_own(check)) {
        return false;
    }
    image_word left = (image_word)check->census.named;
    return check_chains(check, &left) && check_names(check) && check_hints(check) &&
           check_owners(check);
}

/* ---- the whole ----------------------------------------------------------------------- */

/* The last, for it does not tell which field is wrong. Other builds do not keep it. */
static inline bool check_seal(struct check* check)
{
    const struct image* image = &check->image;
    return !DMHEAP_GUARD || image_field(image, IMAGE_SEAL) == image_seal(image) ||
           check_fail(check, DMHEAP_FAULT_CONTEXT, (image_word)image->format.word * IMAGE_SEAL, 0);
}

/* All of the heap that image_open opened, in a check that else is all 0: false if anything is wrong. */
static inline bool check_image(struct check* check)
{
    image_find_given(&check->image);
    return check_context(check) && check_blocks(check) && check_index(check) &&
           check_modules(check) && check_seal(check);
}

/* Whose bytes, and of what format, begin at `start`; `address` of the first, 0: unknown. */
static inline struct image check_image_at(const void* bytes, size_t size, size_t start,
                                          struct image_format format, image_word address)
{
    struct image image = {0};
    image.bytes = (const uint8_t*)bytes + start;
    image.size = size - start;
    image.format = format;
    image.address = address != 0 ? address + (image_word)start : 0;
    image.known = address != 0 ? ~(image_word)0 : 0;
    return image;
}

/*
 * Prove the heap of this build whose context is at `ctx`, and of which all is there. `end`: where it is
 * known to end, for the context may be another heap's by now; 0: it is not known.
 */
static inline bool check_heap(struct check* check, const struct dmheap_ctx* ctx, dmheap_word end)
{
    memset(check, 0, sizeof(*check));
    check->image = check_image_at(ctx, offsetof(struct dmheap_ctx, bin), 0, image_native_format(),
                                  (image_word)(uintptr_t)ctx);
    if (image_open(&check->image) < IMAGE_ENOUGH) {
        check->image.size = 0; /* where what lies is anybody's guess */
        return check_fail(check, DMHEAP_FAULT_CONTEXT, 0, 0);
    }
    if (end != 0 && check->image.plan[IMAGE_END] != end) {
        check->image.size = 0;
        return check_fail(check, DMHEAP_FAULT_CONTEXT, (image_word)sizeof(dmheap_word) * IMAGE_END,
                          0);
    }
    check->image.size = (size_t)check->image.plan[IMAGE_END] + sizeof(dmheap_word);
    return check_image(check);
}

/* How many fields agree in the context that begins there? 0: none begins. */
static inline unsigned check_try(struct image* image)
{
    const unsigned agreeing = image_may_begin(image) ? image_open(image) : 0;
    const bool is_aligned = (image->address & (image_granule(image) - 1)) == 0;
    return agreeing >= IMAGE_ENOUGH && is_aligned ? agreeing : 0;
}

/*
 * From one place for a context to the next: contexts are aligned to 4 at least on their target, so
 * where the address is not known, each byte is one.
 */
static inline size_t check_step(image_word address)
{
    return address != 0 ? 4 : 1;
}

/* The first place for one from byte `start` on. */
static inline size_t check_place(size_t start, image_word address)
{
    return start + (size_t)(0 - ((size_t)address + start)) % check_step(address);
}

/* Find the first heap of a format from byte *start on, which becomes the context's. */
static inline bool check_find(const void* bytes, size_t size, size_t* start,
                              struct image_format format, image_word address, struct image* image)
{
    for (*start = check_place(*start, address); *start < size; *start += check_step(address)) {
        *image = check_image_at(bytes, size, *start, format, address);
        if (check_try(image) != 0) {
            return true;
        }
    }
    return false;
}

/* ---- whose blocks lie beside ----------------------------------------------------------- */

/* The nearest live blocks in front of a finding's block and behind it, as the live map tells. */
static inline bool check_block_before(const struct check* check, struct image_block* before)
{
    const struct image* image = &check->image;
    const image_word at = check->block != 0 ? check->block : check->offset;
    const image_word index = at >= image->plan[IMAGE_FIRST] ? image_index(image, at) : 0;
    const image_word behind = image_after_last_live(image, index);
    const image_word first = image_index(image, image->plan[IMAGE_FIRST]);
    if (behind <= first) {
        return false;
    }
    *before = image_block(image, image_offset(image, behind - 1));
    return true;
}

/* Where to look on: behind the block, if its size is not what is wrong. */
static inline image_word check_behind(const struct check* check)
{
    const struct image* image = &check->image;
    if (check->block < image->plan[IMAGE_FIRST]) {
        return image->plan[IMAGE_FIRST];
    }
    const struct image_block block = image_block(image, check->block);
    return check->block + (check->fault != DMHEAP_FAULT_SIZE && image_is_size(image, &block)
                               ? block.size
                               : image_granule(image));
}

static inline bool check_block_after(const struct check* check, struct image_block* after)
{
    const struct image* image = &check->image;
    const image_word limit = image_index(image, image->plan[IMAGE_TOP]);
    const image_word index = image_next_live(image, image_index(image, check_behind(check)), limit);
    if (index >= limit) {
        return false;
    }
    *after = image_block(image, image_offset(image, index));
    return true;
}

#endif
