/* SPDX-License-Identifier: MIT */
/*
 * The image: a heap read as bytes - in its place or as a copy, of this target or of another one.
 *
 * Knows: the formats that a heap can have, by how it was built and for what, and where in each of
 * them everything is. Does not know: pointers into a heap, locks, what is right.
 * Always holds: nothing outside of the bytes is read, whatever they say: there 0 is read instead.
 * Where blocks begin and end is told by a plan, which is laid out as heap_lay_out does and compared
 * with the context: so the rest can be read where a field or two of it were written over.
 * Cost: some ten instructions a word, for it is put together of bytes.
 *
 * It shares no function with the layers below: another caller would change how the nine functions
 * are compiled.
 *
 * A heap that is to be found in an image needs no mark: of nine fields of its context six follow
 * from the other three.
 */
#ifndef DMHEAP_IMAGE_H
#define DMHEAP_IMAGE_H

#include "dmheap_index.h"

#include "dmheap_ctx.h"

/* ---- formats ------------------------------------------------------------------- */

/*
 * An offset or a size in an image, and an address on its target. Formats with 8-byte headers can be
 * read by builds with such headers, and by those for 64 bits.
 */
#if DMHEAP_HEADER_BYTES == 8 || UINTPTR_MAX > 0xFFFFFFFFU
typedef uint64_t image_word;
#else
typedef uint32_t image_word;
#endif

struct image_format {
    unsigned word;      /* bytes of a header, a link, an offset: DMHEAP_HEADER_BYTES */
    unsigned address;   /* bytes of an address, and of a word of the live map */
    bool is_big_endian; /* the order of bytes */
    bool has_long_map;  /* DMHEAP_AVOID_BRANCHES */
    bool has_accounts;  /* DMHEAP_ACCOUNTING */
    bool has_numbers;   /* DMHEAP_SEQUENCE */
    bool has_canaries;  /* DMHEAP_CANARY */
};

#define IMAGE_FORMATS 128U /* a bit for each setting; those of the two lowest come with each ... */
#define IMAGE_SHAPES  4U   /* ... set of the others */

static inline struct image_format image_format_of(unsigned number)
{
    const struct image_format format = {(number & 1) != 0 ? 8U : 4U, (number & 4) != 0 ? 8U : 4U,
                                        (number & 2) != 0,           (number & 8) != 0,
                                        (number & 16) != 0,          (number & 32) != 0,
                                        (number & 64) != 0};
    return format;
}

/* That of the heaps of this build. */
static inline struct image_format image_native_format(void)
{
    const uint16_t one = 1;
    const struct image_format format = {(unsigned)sizeof(dmheap_word),
                                        (unsigned)sizeof(uintptr_t),
                                        *(const uint8_t*)&one == 0,
                                        DMHEAP_AVOID_BRANCHES != 0,
                                        DMHEAP_ACCOUNTING != 0,
                                        DMHEAP_SEQUENCE != 0,
                                        DMHEAP_CANARY != 0};
    return format;
}

/* The fields that the context begins with, a word each. */
enum image_field {
    IMAGE_SIZE_MASK,
    IMAGE_REQUEST_LIMIT,
    IMAGE_SEAL,
    IMAGE_ROUND,
    IMAGE_GRANULE_SHIFT,
    IMAGE_GRANULES,
    IMAGE_LIVE,
    IMAGE_FIRST,
    IMAGE_TOP,
    IMAGE_END,
    IMAGE_ALIGNMENT,
    IMAGE_GROUP
};

/* What a granule may be: log2 of bytes. */
#define IMAGE_SHIFT_MIN 2U
#define IMAGE_SHIFT_MAX 4U

/* The others: bytes from the context, by the bytes of a word. */
#define IMAGE_GROUPS(word)      ((word) == 4 ? 3U : 5U)
#define IMAGE_INDEX_ROWS(word)  ((word) == 4 ? 6U : 14U)
#define IMAGE_HINTS             4U
#define IMAGE_HINT_MODULE(word) ((word) * ((unsigned)IMAGE_GROUP + IMAGE_GROUPS(word)))
#define IMAGE_HINT_ID(word)     (IMAGE_HINT_MODULE(word) + (word))
#define IMAGE_SERIAL(word)      (IMAGE_HINT_MODULE(word) + 2 * (word))
#define IMAGE_SUSPECT(word)     (IMAGE_HINT_MODULE(word) + 3 * (word))
#define IMAGE_ROWS(word)        (IMAGE_SUSPECT(word) + 4) /* `damage` is in between */
#define IMAGE_ROW(word)         (IMAGE_ROWS(word) + 4)
#define IMAGE_HINT(word)        (IMAGE_ROW(word) + 4 * IMAGE_INDEX_ROWS(word))
#define IMAGE_HINT_BYTES(word)  ((word) + 8) /* a module, an id, a name */
#define IMAGE_TOTALS(word)      (IMAGE_HINT(word) + IMAGE_HINTS * IMAGE_HINT_BYTES(word))
#define IMAGE_BIN(word, has_accounts) \
    (IMAGE_TOTALS(word) + ((has_accounts) ? (word) * (IMAGE_NOBODY + IMAGE_HOLDING_FIELDS) : 0))

/* What an owner holds, a word each. */
enum image_holding {
    IMAGE_BYTES,
    IMAGE_BLOCKS,
    IMAGE_PEAK,
    IMAGE_LIMIT,
    IMAGE_RESERVE,
    IMAGE_ALLOCATIONS,
    IMAGE_FAILURES,
    IMAGE_LARGEST_FAILURE,
    IMAGE_LAST_FAILURE,
    IMAGE_HOLDING_FIELDS
};

/* The same of the heap; last what nobody holds. */
enum image_totals {
    IMAGE_USED,
    IMAGE_USED_PEAK,
    IMAGE_UNMET,
    IMAGE_REFUSED,
    IMAGE_DEAD = IMAGE_REFUSED + CTX_REASONS,
    IMAGE_NOBODY
};

#define IMAGE_IS_FIELD(number, field)                                \
    DMHEAP_STATIC_ASSERT((unsigned)(number) * sizeof(dmheap_word) == \
                             offsetof(struct dmheap_ctx, field),     \
                         image_has_##field)
#define IMAGE_IS_AT(macro, field)                                                          \
    DMHEAP_STATIC_ASSERT(macro(sizeof(dmheap_word)) == offsetof(struct dmheap_ctx, field), \
                         image_has_##field)

IMAGE_IS_FIELD(IMAGE_SIZE_MASK, size_mask);
IMAGE_IS_FIELD(IMAGE_REQUEST_LIMIT, request_limit);
IMAGE_IS_FIELD(IMAGE_SEAL, seal);
IMAGE_IS_FIELD(IMAGE_ROUND, round);
IMAGE_IS_FIELD(IMAGE_GRANULE_SHIFT, granule_shift);
IMAGE_IS_FIELD(IMAGE_GRANULES, granules);
IMAGE_IS_FIELD(IMAGE_LIVE, live);
IMAGE_IS_FIELD(IMAGE_FIRST, first);
IMAGE_IS_FIELD(IMAGE_TOP, top);
IMAGE_IS_FIELD(IMAGE_END, end);
IMAGE_IS_FIELD(IMAGE_ALIGNMENT, alignment);
IMAGE_IS_FIELD(IMAGE_GROUP, group);
IMAGE_IS_AT(IMAGE_HINT_MODULE, hint_module);
IMAGE_IS_AT(IMAGE_HINT_ID, hint_id);
IMAGE_IS_AT(IMAGE_SERIAL, serial);
IMAGE_IS_AT(IMAGE_SUSPECT, suspect);
IMAGE_IS_AT(IMAGE_ROWS, rows);
IMAGE_IS_AT(IMAGE_ROW, row);
IMAGE_IS_AT(IMAGE_HINT, hint);
DMHEAP_STATIC_ASSERT(IMAGE_BIN(sizeof(dmheap_word), DMHEAP_ACCOUNTING) ==
                         offsetof(struct dmheap_ctx, bin),
                     image_has_bin);
DMHEAP_STATIC_ASSERT(IMAGE_GROUPS(DMHEAP_HEADER_BYTES) == DMHEAP_MODULE_GROUPS &&
                         IMAGE_INDEX_ROWS(DMHEAP_HEADER_BYTES) == DMHEAP_INDEX_ROWS &&
                         IMAGE_HINTS == DMHEAP_HINTS &&
                         IMAGE_HINT_BYTES(sizeof(dmheap_word)) == sizeof(struct dmheap_hint),
                     an_image_has_as_many_of_each);

/* A module's record, and a group of them: bytes from the payload. dmheap_proof.h asserts them. */
#define IMAGE_ID_BYTES(word)      ((word) / 4)
#define IMAGE_RECORD_SERIAL(word) (word)
#define IMAGE_RECORD_ID(word)     ((word) + 4)
#define IMAGE_RECORD_NEXT(word)   (IMAGE_RECORD_ID(word) + IMAGE_ID_BYTES(word))
#define IMAGE_RECORD_END(word)    (IMAGE_RECORD_NEXT(word) + IMAGE_ID_BYTES(word))
#define IMAGE_GROUP_SPARE(word)   IMAGE_ID_BYTES(word)
#define IMAGE_GROUP_GIVEN(word)   (2 * IMAGE_ID_BYTES(word))
#define IMAGE_GROUP_SLOT(word)    (word)

/* Behind that a record has what its module holds, with accounts: from a word on; then the name. */
#define IMAGE_RECORD_HOLDING(word) ((IMAGE_RECORD_END(word) + (word)-1) / (word) * (word))
#define IMAGE_RECORD_NAME(word, has_accounts)                                              \
    ((has_accounts) ? IMAGE_RECORD_HOLDING(word) + (word) * (unsigned)IMAGE_HOLDING_FIELDS \
                    : IMAGE_RECORD_END(word))

/* The ring of modules that are gone, and each of them: what it held, then its name. */
#define IMAGE_DEAD_NEXT(word)  (word)
#define IMAGE_DEAD_NO_ID(word) IMAGE_RECORD_ID(word)
#define IMAGE_DEAD_ENTRY(word) \
    ((IMAGE_DEAD_NO_ID(word) + IMAGE_ID_BYTES(word) + (word)-1) / (word) * (word))
#define IMAGE_DEAD_NAME(word)  ((word) * (unsigned)IMAGE_HOLDING_FIELDS)
#define IMAGE_DEAD_BYTES(word) (IMAGE_DEAD_NAME(word) + DMHEAP_NAME_BYTES)

/* ---- bytes --------------------------------------------------------------------- */

struct image {
    const uint8_t* bytes; /* the first is the context's */
    size_t size;
    struct image_format format;
    image_word address;              /* of the context on the target, as far as ... */
    image_word known;                /* ... the bits of it are known that are set here */
    image_word plan[IMAGE_GROUP];    /* the context as it has to be, but for the seal */
    unsigned given[IMAGE_GROUPS(8)]; /* in each group: the slots that were ever in use */
};

static inline image_word image_read(const struct image* image, image_word offset, unsigned bytes)
{
    image_word value = 0;
    if (offset > image->size || bytes > image->size - offset) {
        return 0;
    }
    const uint8_t* at = &image->bytes[offset];
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | at[image->format.is_big_endian ? i : bytes - 1 - i];
    }
    return value;
}

static inline image_word image_read_word(const struct image* image, image_word offset)
{
    return image_read(image, offset, image->format.word);
}

static inline image_word image_field(const struct image* image, enum image_field field)
{
    return image_read_word(image, (image_word)image->format.word * (unsigned)field);
}

/* As ctx_seal. */
static inline image_word image_seal(const struct image* image)
{
    const unsigned word = image->format.word;
    image_word seal = CTX_SEAL_OF_NOTHING ^ image_read_word(image, IMAGE_SERIAL(word));
    for (unsigned i = 0; i < (unsigned)IMAGE_GROUP + IMAGE_GROUPS(word); i++) {
        seal ^= i != IMAGE_SEAL ? image_field(image, (enum image_field)i) : 0;
    }
    return seal;
}

/* Where the bins are. */
static inline image_word image_bins(const struct image_format* format)
{
    return IMAGE_BIN(format->word, format->has_accounts);
}

/* What a live block has beside its payload, in front and behind. */
static inline unsigned image_trailer(const struct image_format* format)
{
    return (format->has_canaries ? 4U : 0U) + (format->has_numbers ? 4U : 0U);
}

static inline image_word image_overhead(const struct image_format* format)
{
    return format->word + image_trailer(format);
}

/* ---- the plan ------------------------------------------------------------------ */

static inline image_word image_round_up(image_word value, image_word step)
{
    return (value + (step - 1)) & ~(step - 1);
}

static inline image_word image_granule(const struct image* image)
{
    return (image_word)1 << (unsigned)image->plan[IMAGE_GRANULE_SHIFT];
}

static inline image_word image_min_bytes(const struct image* image)
{
    return (image_word)image->format.word * 4;
}

static inline unsigned image_owner_shift(const struct image_format* format)
{
    return format->word == 4 ? 24 : 52;
}

/* As BLOCK_SIZE_MASK: the bits of a header that may be a size. */
static inline image_word image_size_mask(const struct image_format* format)
{
    const unsigned owner_shift = image_owner_shift(format);
    const unsigned address_bits = format->address * 8 - 1;
    const unsigned bits = owner_shift < address_bits ? owner_shift : address_bits;
    return (((image_word)1 << bits) - 1) & ~(image_word)(format->word - 1);
}

/* As live_map_bytes. */
static inline image_word image_map_bytes(const struct image_format* format, image_word granules)
{
    const image_word bits = (image_word)format->address * 8;
    const image_word further = format->has_long_map ? bits - 1 : 0;
    return ((granules + further) / bits + 1) * format->address;
}

/* As index_class, for so many granules, at least one. */
static inline image_word image_class(image_word granules)
{
    unsigned doublings = 0;
    if (granules < INDEX_EXACT) {
        return granules;
    }
    while (granules >> doublings >= 2 * INDEX_STEPS) {
        doublings++;
    }
    return (granules >> doublings) +
           (image_word)(doublings + INDEX_STEPS_LOG2 - INDEX_EXACT_LOG2) * INDEX_STEPS +
           INDEX_EXACT - INDEX_STEPS;
}

static inline image_word image_classes(const struct image* image)
{
    return image_class(image->plan[IMAGE_GRANULES]) + 1;
}

/* Is there such a heap at all? Beyond that, sums would leave the range of a word. */
static inline bool image_may_be(const struct image_format* format, unsigned shift,
                                image_word granules, image_word alignment)
{
    const image_word granule = (image_word)1 << shift;
    const image_word most = image_size_mask(format) * 2;
    const bool is_power = alignment != 0 && (alignment & (alignment - 1)) == 0;
    return granule >= format->word && granule >= format->address && granule <= DMHEAP_GRANULE_MAX &&
           granules != 0 && granules <= most >> shift && is_power &&
           (alignment == granule || (alignment > granule && granule == 16));
}

/* As heap_lay_out, by what all follows from. False: no heap can be so. */
static inline bool image_lay_out(struct image* image, unsigned shift, image_word granules,
                                 image_word alignment)
{
    const struct image_format* format = &image->format;
    if (!image_may_be(format, shift, granules, alignment)) {
        return false;
    }
    image_word* plan = image->plan;
    const image_word granule = (image_word)1 << shift;
    plan[IMAGE_GRANULE_SHIFT] = shift;
    plan[IMAGE_GRANULES] = granules;
    plan[IMAGE_ALIGNMENT] = alignment;
    plan[IMAGE_SIZE_MASK] = image_size_mask(format) & (0 - granule);
    plan[IMAGE_ROUND] = image_overhead(format) + granule - 1;
    plan[IMAGE_END] = (granules << shift) - format->word;
    plan[IMAGE_LIVE] =
        image_round_up(image_bins(format) + image_classes(image) * format->word, format->address);
    plan[IMAGE_FIRST] =
        image_round_up(plan[IMAGE_LIVE] + image_map_bytes(format, granules) + format->word,
                       granule) -
        format->word;
    const image_word room = plan[IMAGE_END] - plan[IMAGE_FIRST];
    plan[IMAGE_REQUEST_LIMIT] = alignment == granule ? room - image_overhead(format) + 1 : 0;
    return plan[IMAGE_FIRST] < plan[IMAGE_END] && room >= image_min_bytes(image) &&
           room <= image_size_mask(format) && alignment < plan[IMAGE_END];
}

/* Does that field follow from the plan? */
static inline bool image_is_planned(enum image_field field)
{
    return field != IMAGE_SEAL && field != IMAGE_TOP;
}

#define IMAGE_PLANNED 9U /* so many do ... */
#define IMAGE_ENOUGH  7U /* ... and so many of them tell a heap from anything else */

/* How many fields of the context are as planned. */
static inline unsigned image_agreement(const struct image* image)
{
    unsigned agreeing = 0;
    for (unsigned i = 0; i < IMAGE_GROUP; i++) {
        const enum image_field field = (enum image_field)i;
        agreeing += image_is_planned(field) && image_field(image, field) == image->plan[field];
    }
    return agreeing;
}

/* Where the untouched end begins, or the heap's end where that is not right. */
static inline image_word image_find_top(const struct image* image)
{
    const image_word top = image_field(image, IMAGE_TOP);
    const bool is_right = top >= image->plan[IMAGE_FIRST] && top <= image->plan[IMAGE_END] &&
                          (top + image->format.word) % image_granule(image) == 0;
    return is_right ? top : image->plan[IMAGE_END];
}

/*
 * Lay the plan out by what the context says, or might have said: its granules are also told by its
 * end, and its alignment mostly by its granule. The best agreement, with its plan; 0: none.
 */
static inline unsigned image_open(struct image* image)
{
    struct image best = *image;
    unsigned most = 0;
    const image_word end = image_field(image, IMAGE_END) + image->format.word;
    for (unsigned guess = 0; guess < 4 && most < IMAGE_PLANNED; guess++) {
        for (unsigned shift = IMAGE_SHIFT_MIN; shift <= IMAGE_SHIFT_MAX; shift++) {
            const image_word granules =
                (guess & 1U) == 0 ? image_field(image, IMAGE_GRANULES) : end >> shift;
            const image_word alignment =
                (guess & 2U) == 0 ? image_field(image, IMAGE_ALIGNMENT) : (image_word)1 << shift;
            const unsigned agreeing =
                image_lay_out(image, shift, granules, alignment) ? image_agreement(image) : 0;
            if (agreeing > most) {
                most = agreeing;
                best = *image;
            }
        }
    }
    *image = best;
    image->plan[IMAGE_TOP] = image_find_top(image);
    image->known |= image_granule(image) - 1;
    return most;
}

/*
 * How many of five signs of a context are there, at best? They are alike in all formats of a shape:
 * of one width of words and one order of bytes.
 */
static inline unsigned image_signs(const struct image* image)
{
    const image_word word = image->format.word;
    const image_word alignment = image_field(image, IMAGE_ALIGNMENT);
    const image_word round = image_field(image, IMAGE_ROUND) - word + 1;
    const image_word masks = image_field(image, IMAGE_SIZE_MASK);
    const image_word end = image_field(image, IMAGE_END) + word;
    const image_word granules = image_field(image, IMAGE_GRANULES);
    const image_word granule_shift = image_field(image, IMAGE_GRANULE_SHIFT);
    unsigned most = 0;
    for (unsigned shift = IMAGE_SHIFT_MIN; shift <= IMAGE_SHIFT_MAX; shift++) {
        const image_word granule = (image_word)1 << shift;
        const bool is_coarse = granule == 16 && (alignment & (alignment - 1)) == 0;
        const unsigned signs =
            (granule_shift == shift ? 1U : 0U) +
            (round == granule || round == granule + 4 || round == granule + 8 ? 1U : 0U) +
            (masks != 0 && (masks & (granule - 1)) == 0 && (masks & granule) != 0 ? 1U : 0U) +
            (end != 0 && end == granules << shift ? 1U : 0U) +
            (alignment == granule || (is_coarse && alignment > granule) ? 1U : 0U);
        most = signs > most ? signs : most;
    }
    return most;
}

/* Might a context begin there, in which enough fields agree? One of them can be in two signs. */
static inline bool image_may_begin(const struct image* image)
{
    return image_signs(image) >= 5 - (IMAGE_PLANNED - IMAGE_ENOUGH);
}

/* ---- the live map -------------------------------------------------------------- */

/* Eight bits of the map, the first of them for granule 8 * number. */
static inline unsigned image_map_byte(const struct image* image, image_word number)
{
    const image_word within = image->format.is_big_endian ? image->format.address - 1 : 0;
    return (unsigned)image_read(image, image->plan[IMAGE_LIVE] + (number ^ within), 1);
}

/* How many granules have their bits inside the bytes, the live map's end disregarded. */
static inline image_word image_mapped(const struct image* image)
{
    const image_word live = image->plan[IMAGE_LIVE];
    return image->size > live ? (image_word)(image->size - live) * 8 : 0;
}

/* The first live payload from granule `index` on and before `limit`; `limit`: none. */
static inline image_word image_next_live(const struct image* image, image_word index,
                                         image_word limit)
{
    const image_word end = image_mapped(image) < limit ? image_mapped(image) : limit;
    while (index < end) {
        const unsigned bits = image_map_byte(image, index / 8) >> (index % 8);
        if ((bits & 1) != 0) {
            return index;
        }
        index = bits != 0 ? index + 1 : (index | 7) + 1;
    }
    return limit;
}

/* The granule behind the last live payload before granule `index`; 0: none. */
static inline image_word image_after_last_live(const struct image* image, image_word index)
{
    index = index < image_mapped(image) ? index : image_mapped(image);
    while (index != 0 && (image_map_byte(image, (index - 1) / 8) >> ((index - 1) % 8) & 1) == 0) {
        index--;
    }
    return index;
}

static inline bool image_is_live(const struct image* image, image_word payload)
{
    const image_word index = payload >> (unsigned)image->plan[IMAGE_GRANULE_SHIFT];
    return payload % image_granule(image) == 0 && index < image->plan[IMAGE_GRANULES] &&
           image_next_live(image, index, index + 1) == index;
}

/* ---- blocks -------------------------------------------------------------------- */

struct image_block {
    image_word offset; /* of the header */
    image_word header;
    image_word size; /* by the header, whatever it says */
    image_word owner;
};

static inline struct image_block image_block(const struct image* image, image_word offset)
{
    const image_word header = image_read_word(image, offset);
    const struct image_block block = {offset, header, header & image_size_mask(&image->format),
                                      header >> image_owner_shift(&image->format)};
    return block;
}

/* Granule of the payload of a block. */
static inline image_word image_index(const struct image* image, image_word offset)
{
    return (offset + image->format.word) >> (unsigned)image->plan[IMAGE_GRANULE_SHIFT];
}

/* The header's offset of the block whose payload is at that granule. */
static inline image_word image_offset(const struct image* image, image_word index)
{
    return (index << (unsigned)image->plan[IMAGE_GRANULE_SHIFT]) - image->format.word;
}

/* Can that be an offset of a block? */
static inline bool image_is_place(const struct image* image, image_word offset)
{
    return offset >= image->plan[IMAGE_FIRST] && offset < image->plan[IMAGE_TOP] &&
           (offset + image->format.word) % image_granule(image) == 0;
}

/* Can a block at such a place be that large? */
static inline bool image_is_size(const struct image* image, const struct image_block* block)
{
    return block->size >= image_min_bytes(image) && block->size % image_granule(image) == 0 &&
           block->size <= image->plan[IMAGE_TOP] - block->offset;
}

/* Is there a free block at such a place, as header and footer tell? */
static inline bool image_is_free(const struct image* image, const struct image_block* block)
{
    return block->header == block->size && image_is_size(image, block) &&
           image_read_word(image, block->offset + block->size - image->format.word) == block->size;
}

/* Where a live block's payload ends: there is its canary, and behind that its number. */
static inline image_word image_payload_end(const struct image* image,
                                           const struct image_block* block)
{
    return block->offset + block->size - image_trailer(&image->format);
}

/* Where the byte is that holds log2 of an over-aligned block's alignment. */
static inline image_word image_alignment_byte(const struct image* image,
                                              const struct image_block* block)
{
    return image_payload_end(image, block) - 1;
}

/* As trailer_canary. */
static inline uint32_t image_canary(const struct image* image, const struct image_block* block)
{
    const uint32_t serial = (uint32_t)image_read_word(image, IMAGE_SERIAL(image->format.word));
    const bool is_aligned = (block->header & BLOCK_ALIGNED) != 0;
    const uint32_t alignment =
        is_aligned ? (uint32_t)image_read(image, image_alignment_byte(image, block), 1) : 0;
    return trailer_mix((uint32_t)block->offset,
                       trailer_fold(block->header, image_owner_shift(&image->format)), serial,
                       (uint32_t)block->owner, alignment);
}

/* Is the canary of a live block right, whose size is? */
static inline bool image_is_sealed(const struct image* image, const struct image_block* block)
{
    return !image->format.has_canaries ||
           image_read(image, image_payload_end(image, block), 4) == image_canary(image, block);
}

/* The number of a live block whose size is right; 0: there are none. */
static inline uint32_t image_number(const struct image* image, const struct image_block* block)
{
    return image->format.has_numbers
               ? (uint32_t)image_read(image, block->offset + block->size - 4, 4)
               : 0;
}

/* ---- modules ------------------------------------------------------------------- */

/* As record_group_first and so on: group g has the ids from 4^(g + 1) - 1 to 4^(g + 2) - 2. */
static inline image_word image_group_first(unsigned number)
{
    return ((image_word)4 << 2 * number) - 1;
}

static inline unsigned image_group_of(image_word id)
{
    unsigned number = 0;
    while (id >= image_group_first(number + 1)) {
        number++;
    }
    return number;
}

static inline unsigned image_group_size(unsigned number)
{
    return 12U << 2 * number;
}

static inline unsigned image_group_buckets(unsigned number)
{
    return 8U << 2 * number;
}

/* The first id that no module has. */
static inline image_word image_id_end(const struct image_format* format)
{
    return image_group_first(IMAGE_GROUPS(format->word));
}

/* Is there a block of the heap's own with room for `bytes` at that payload, which may be any? */
static inline bool image_is_own(const struct image* image, image_word payload, image_word bytes)
{
    if (!image_is_live(image, payload) || payload < image->format.word) {
        return false;
    }
    const struct image_block block = image_block(image, payload - image->format.word);
    return block.owner == OWNER_HEAP && (block.header & BLOCK_ALIGNED) == 0 &&
           block.size >= bytes + image_overhead(&image->format);
}

static inline image_word image_group(const struct image* image, unsigned number)
{
    return image_field(image, (enum image_field)((unsigned)IMAGE_GROUP + number));
}

static inline image_word image_slot(const struct image* image, unsigned number, unsigned index)
{
    const unsigned word = image->format.word;
    return image_read_word(image, image_group(image, number) + IMAGE_GROUP_SLOT(word) +
                                      (image_word)index * word);
}

static inline image_word image_bucket(const struct image* image, unsigned number, unsigned index)
{
    const unsigned word = image->format.word;
    return image_group(image, number) + IMAGE_GROUP_SLOT(word) +
           (image_word)image_group_size(number) * word + (image_word)index * IMAGE_ID_BYTES(word);
}

/* Bytes of a group's payload. */
static inline image_word image_group_bytes(const struct image* image, unsigned number)
{
    return image_bucket(image, number, image_group_buckets(number)) - image_group(image, number);
}

static inline image_word image_read_id(const struct image* image, image_word offset)
{
    return image_read(image, offset, IMAGE_ID_BYTES(image->format.word));
}

static inline image_word image_record_id(const struct image* image, image_word record)
{
    return image_read_id(image, record + IMAGE_RECORD_ID(image->format.word));
}

static inline image_word image_record_next(const struct image* image, image_word record)
{
    return image_read_id(image, record + IMAGE_RECORD_NEXT(image->format.word));
}

/* Where a record's name begins, from the record. */
static inline image_word image_record_name(const struct image* image)
{
    return IMAGE_RECORD_NAME(image->format.word, image->format.has_accounts);
}

/*
 * Note how many slots of each group were ever in use, before a record is asked for. What stands
 * behind those may be anything, and might lead to a block that looks like a record.
 */
static inline void image_find_given(struct image* image)
{
    const unsigned word = image->format.word;
    for (unsigned number = 0; number < IMAGE_GROUPS(word); number++) {
        const image_word group = image_group(image, number);
        const image_word given = image_read_id(image, group + IMAGE_GROUP_GIVEN(word));
        const unsigned size = image_group_size(number);
        image->given[number] = group == 0 ? 0 : given < size ? (unsigned)given : size;
    }
}

/* The record of an owner, a payload's offset; 0: no module has it. */
static inline image_word image_record_of(const struct image* image, image_word id)
{
    if (id < OWNER_MODULES || id >= image_id_end(&image->format)) {
        return 0;
    }
    const unsigned number = image_group_of(id);
    const unsigned index = (unsigned)(id - image_group_first(number));
    if (index >= image->given[number]) {
        return 0;
    }
    const image_word record = image_slot(image, number, index);
    return image_is_own(image, record, image_record_name(image) + 1) &&
                   image_record_id(image, record) == id
               ? record
               : 0;
}

/* Copy a text of `room` bytes at most. False: it does not end where it should; then it is cut. */
static inline bool image_read_text(const struct image* image, image_word offset, image_word room,
                                   char text[DMHEAP_NAME_BYTES])
{
    unsigned length = 0;
    while (length < room && length < DMHEAP_NAME_BYTES) {
        text[length] = (char)image_read(image, offset + length, 1);
        if (text[length] == '\0') {
            return true;
        }
        length++;
    }
    text[length < DMHEAP_NAME_BYTES ? length : DMHEAP_NAME_BYTES - 1] = '\0';
    return false;
}

/* Copy the name in a record. Its block's size is not trusted beyond the image. */
static inline bool image_read_name(const struct image* image, image_word record,
                                   char name[DMHEAP_NAME_BYTES])
{
    const image_word front = image_record_name(image);
    const struct image_block block = image_block(image, record - image->format.word);
    return image_read_text(image, record + front,
                           block.size - image_overhead(&image->format) - front, name);
}

/* The name of an owner; empty: nobody, the heap, a module without a name or without a record. */
static inline void image_name_of(const struct image* image, image_word owner,
                                 char name[DMHEAP_NAME_BYTES])
{
    const image_word record = image_record_of(image, owner);
    name[0] = '\0';
    if (record != 0) {
        (void)image_read_name(image, record, name);
    }
}

/* ---- accounts ------------------------------------------------------------------ */

/* Of the heap's account. */
static inline image_word image_total(const struct image* image, unsigned field)
{
    const unsigned word = image->format.word;
    return image_read_word(image, IMAGE_TOTALS(word) + (image_word)word * field);
}

/* What an owner holds, an offset: nobody, or a module that has a record. */
static inline image_word image_holding_of(const struct image* image, image_word owner)
{
    const unsigned word = image->format.word;
    return owner == OWNER_NOBODY ? IMAGE_TOTALS(word) + (image_word)word * IMAGE_NOBODY
                                 : image_record_of(image, owner) + IMAGE_RECORD_HOLDING(word);
}

static inline image_word image_holding(const struct image* image, image_word holding,
                                       enum image_holding field)
{
    return image_read_word(image, holding + (image_word)image->format.word * (unsigned)field);
}

/* Bytes of its reserve that an owner may still claim. */
static inline image_word image_unmet(const struct image* image, image_word holding)
{
    const image_word bytes = image_holding(image, holding, IMAGE_BYTES);
    const image_word reserve = image_holding(image, holding, IMAGE_RESERVE);
    return reserve > bytes ? reserve - bytes : 0;
}

/* How many modules the ring of those that are gone has room for; it is one. */
static inline image_word image_dead_room(const struct image* image, image_word ring)
{
    const unsigned word = image->format.word;
    const struct image_block block = image_block(image, ring - word);
    return (block.size - image_overhead(&image->format) - IMAGE_DEAD_ENTRY(word)) /
           IMAGE_DEAD_BYTES(word);
}

/* One of them, an offset: what it held, and behind that its name. */
static inline image_word image_dead_entry(const struct image* image, image_word ring,
                                          image_word number)
{
    const unsigned word = image->format.word;
    return ring + IMAGE_DEAD_ENTRY(word) + number * IMAGE_DEAD_BYTES(word);
}

/* ---- names --------------------------------------------------------------------- */

/* The hash of a name, as record_measure has it. */
static inline uint32_t image_hash(const char* name)
{
    uint32_t hash = BITS_HASH_OF_NOTHING;
    for (; *name != '\0'; name++) {
        hash = bits_hash(hash, (uint8_t)*name);
    }
    return hash;
}

/* The number of the bucket in a group that a name belongs in. */
static inline unsigned image_bucket_of(unsigned number, const char* name)
{
    return image_hash(name) >> (29 - 2 * number);
}

#endif
