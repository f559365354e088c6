/* SPDX-License-Identifier: MIT */
/* Reading: from an image to an inspection, as far as the image can be read. */
#include "inspect.h"

#include "dmheap_check.h"

#include <stdlib.h>

#if DMHEAP_HEADER_BYTES != 8
#error "Build it with DMHEAP_HEADER_BYTES=8: only so it reads all formats."
#endif

DMHEAP_STATIC_ASSERT(INSPECT_REASONS == CTX_REASONS, reasons_are_as_many);

/* ---- finding heaps ---------------------------------------------------------------- */

/* Has any block its canary? Then there are some, for they would not come about by chance. */
static bool has_canaries(const struct image* image)
{
    const image_word limit = image_index(image, image->plan[IMAGE_TOP]);
    for (image_word index = image_next_live(image, 0, limit); index < limit;
         index = image_next_live(image, index + 1, limit)) {
        const struct image_block block = image_block(image, image_offset(image, index));
        if (image_is_size(image, &block) && image_is_sealed(image, &block)) {
            return true;
        }
    }
    return false;
}

/*
 * How well a format fits what begins somewhere: by its context's fields, by its canaries - of
 * canaries and numbers the context tells only how many there are -, and by the check.
 */
static unsigned fitness(const struct check* check, unsigned agreeing)
{
    const struct image* image = &check->image;
    const unsigned canaries = !image->format.has_canaries ? 1U : has_canaries(image) ? 2U : 0U;
    return agreeing * 6 + canaries * 2 + (check->fault == DMHEAP_FAULT_NONE);
}

/* Check the heap that begins at byte `start`, of the best format of a shape. 0: none begins there. */
static unsigned check_shape(const unsigned char* bytes, size_t size, size_t start, unsigned shape,
                            uint64_t address, struct check* best)
{
    unsigned most = 0;
    for (unsigned number = shape; number < IMAGE_FORMATS; number += IMAGE_SHAPES) {
        struct check check;
        memset(&check, 0, sizeof(check));
        check.image = check_image_at(bytes, size, start, image_format_of(number), address);
        const unsigned agreeing = check_try(&check.image);
        if (agreeing == 0) {
            continue;
        }
        (void)check_image(&check);
        const unsigned fits = fitness(&check, agreeing);
        if (fits > most) {
            most = fits;
            *best = check;
        }
    }
    return most;
}

/* Find the first heap from byte *start on, of any format, and check it. */
static bool find_heap(const unsigned char* bytes, size_t size, size_t* start, uint64_t address,
                      struct check* best)
{
    for (*start = check_place(*start, address); *start < size; *start += check_step(address)) {
        unsigned most = 0;
        for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
            struct check check;
            const struct image image =
                check_image_at(bytes, size, *start, image_format_of(shape), address);
            const unsigned fits = image_may_begin(&image)
                                      ? check_shape(bytes, size, *start, shape, address, &check)
                                      : 0;
            if (fits > most) {
                most = fits;
                *best = check;
            }
        }
        if (most != 0) {
            return true;
        }
    }
    return false;
}

/* ---- accounts --------------------------------------------------------------------- */

/* A number of bytes, of which the largest that a word can tell stands for more than any. */
static uint64_t read_bytes(const struct image* image, image_word holding, enum image_holding field)
{
    const uint64_t bytes = image_holding(image, holding, field);
    return bytes == (image->format.word == 4 ? UINT32_MAX : UINT64_MAX) ? INSPECT_ANY : bytes;
}

static struct inspect_account read_account(const struct image* image, image_word holding)
{
    const struct inspect_account account = {
        image_holding(image, holding, IMAGE_BYTES),
        image_holding(image, holding, IMAGE_BLOCKS),
        image_holding(image, holding, IMAGE_PEAK),
        read_bytes(image, holding, IMAGE_LIMIT),
        image_holding(image, holding, IMAGE_RESERVE),
        image_holding(image, holding, IMAGE_ALLOCATIONS),
        image_holding(image, holding, IMAGE_FAILURES),
        read_bytes(image, holding, IMAGE_LARGEST_FAILURE),
        image_holding(image, holding, IMAGE_LAST_FAILURE),
    };
    return account;
}

static void read_totals(const struct image* image, struct inspection* inspection)
{
    const uint64_t peak = image_total(image, IMAGE_USED_PEAK);
    inspection->min_free = peak < inspection->size ? inspection->size - peak : 0;
    inspection->reserved = image_total(image, IMAGE_UNMET);
    for (unsigned i = 0; i < INSPECT_REASONS; i++) {
        inspection->failures[i] = image_total(image, IMAGE_REFUSED + i);
    }
}

/* ---- owners ----------------------------------------------------------------------- */

/* How many modules that are gone a ring has, as far as they are in the image. */
static image_word count_dead(const struct image* image, image_word ring)
{
    const image_word start = image_dead_entry(image, ring, 0);
    const image_word there =
        start < image->size ? (image->size - start) / IMAGE_DEAD_BYTES(image->format.word) : 0;
    const image_word room = image_dead_room(image, ring);
    const image_word count = image_read_word(image, ring);
    const image_word most = room < there ? room : there;
    return count < most ? count : most;
}

/* The last of them first; as many as can be told, if the ring was written over. False: no memory. */
static bool read_dead(const struct image* image, struct inspection* inspection)
{
    const unsigned word = image->format.word;
    const image_word ring = image_total(image, IMAGE_DEAD);
    if (!image_is_own(image, ring, IMAGE_DEAD_ENTRY(word) + IMAGE_DEAD_BYTES(word))) {
        return true;
    }
    const image_word room = image_dead_room(image, ring);
    const image_word next = image_read(image, ring + IMAGE_DEAD_NEXT(word), 4);
    const size_t count = (size_t)count_dead(image, ring);
    inspection->dead = calloc(count + 1, sizeof(*inspection->dead));
    if (inspection->dead == NULL) {
        return false;
    }
    for (; inspection->dead_count < count; inspection->dead_count++) {
        const image_word number = (next % room + room - 1 - inspection->dead_count) % room;
        const image_word entry = image_dead_entry(image, ring, number);
        struct inspect_dead* dead = &inspection->dead[inspection->dead_count];
        char text[DMHEAP_NAME_BYTES];
        (void)image_read_text(image, entry + IMAGE_DEAD_NAME(word), DMHEAP_NAME_BYTES, text);
        (void)snprintf(dead->name, INSPECT_NAME_BYTES, "%s", text);
        dead->account = read_account(image, entry);
    }
    return true;
}

static void read_owners(const struct image* image, struct inspection* inspection)
{
    struct inspect_owner* owners = inspection->owners;
    for (unsigned id = OWNER_MODULES; id < INSPECT_OWNERS; id++) {
        char text[DMHEAP_NAME_BYTES];
        image_name_of(image, id, text);
        (void)snprintf(owners[id].name, INSPECT_NAME_BYTES, "%s", text);
        owners[id].is_module = image_record_of(image, id) != 0;
        owners[id].is_gone = text[0] == '\0';
        if (owners[id].is_module && image->format.has_accounts) {
            owners[id].account = read_account(image, image_holding_of(image, id));
        }
        if (owners[id].is_gone) {
            (void)snprintf(owners[id].name, INSPECT_NAME_BYTES, "(%s, id %u)",
                           owners[id].is_module ? "unregistered" : "unknown module", id);
        }
    }
    (void)snprintf(owners[OWNER_FREE].name, INSPECT_NAME_BYTES, "(no owner)"); /* of a live block */
    (void)snprintf(owners[OWNER_HEAP].name, INSPECT_NAME_BYTES, "(the heap's own)");
    (void)snprintf(owners[OWNER_NOBODY].name, INSPECT_NAME_BYTES, "(nobody)");
    if (image->format.has_accounts) {
        owners[OWNER_NOBODY].account = read_account(image, image_holding_of(image, OWNER_NOBODY));
        read_totals(image, inspection);
    }
}

/* ---- blocks ----------------------------------------------------------------------- */

static void add_size(uint64_t bins[INSPECT_BINS], uint64_t size)
{
    bins[bits_highest((dmheap_word)size)]++;
}

static void count_block(struct inspection* inspection, const struct inspect_block* block)
{
    struct inspect_owner* owner = &inspection->owners[block->owner];
    switch (block->kind) {
    case INSPECT_FREE:
    case INSPECT_UNTOUCHED:
        inspection->free += block->size;
        inspection->free_blocks++;
        add_size(inspection->free_sizes, block->size);
        if (block->size > inspection->largest_free) {
            inspection->largest_free = block->size;
        }
        return;
    case INSPECT_LOST:
        inspection->lost += block->size;
        return;
    case INSPECT_OWN:
        inspection->own += block->size;
        break;
    case INSPECT_LIVE:
        inspection->live_blocks++;
        add_size(inspection->live_sizes, block->size);
        break;
    }
    inspection->used += block->size;
    owner->blocks++;
    owner->bytes += block->size;
    owner->largest = block->size > owner->largest ? block->size : owner->largest;
}

/* False: out of memory. */
static bool add_block(struct inspection* inspection, const struct inspect_block* block)
{
    const size_t count = inspection->block_count;
    if (count == 0 || (count & (count - 1)) == 0) {
        struct inspect_block* grown =
            realloc(inspection->blocks, (count == 0 ? 1 : 2 * count) * sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        inspection->blocks = grown;
    }
    inspection->blocks[inspection->block_count++] = *block;
    count_block(inspection, block);
    return true;
}

/*
 * What is at `offset`, where a block should begin: as its header says, if the live map says the
 * same; else up to the next live block a live one of a size that nobody knows, or nothing readable.
 */
static struct inspect_block read_block(const struct image* image, image_word offset,
                                       image_word limit)
{
    struct inspect_block read = {0, offset, 0, INSPECT_LOST, OWNER_FREE, 0, false};
    const struct image_block block = image_block(image, offset);
    const image_word index = image_index(image, offset);
    const image_word top = image_index(image, image->plan[IMAGE_TOP]);
    const bool is_live = image_next_live(image, index, index + 1) == index;
    const image_word next = image_offset(image, image_next_live(image, index + 1, top));
    const image_word most = (next < limit ? next : limit) - offset;
    read.size = most;
    if (is_live) {
        read.kind = block.owner == OWNER_HEAP ? INSPECT_OWN : INSPECT_LIVE;
        read.owner = (unsigned)block.owner;
        read.is_damaged =
            !image_is_size(image, &block) || block.size > most || block.owner == OWNER_FREE;
        read.size = read.is_damaged ? most : block.size;
        read.number = read.is_damaged ? 0 : image_number(image, &block);
    } else if (image_is_free(image, &block) && block.size <= most) {
        read.kind = INSPECT_FREE;
        read.size = block.size;
    }
    return read;
}

static bool read_blocks(const struct image* image, struct inspection* inspection)
{
    const image_word first = image->plan[IMAGE_FIRST];
    const image_word top = image->plan[IMAGE_TOP];
    const image_word end = image->plan[IMAGE_END];
    const image_word limit = top < image->size ? top : (image_word)image->size;
    image_word offset = first;
    while (offset < limit) {
        struct inspect_block block = read_block(image, offset, limit);
        offset += block.size;
        block.address = inspection->base + block.start + image->format.word;
        block.start -= first;
        if (!add_block(inspection, &block)) {
            return false;
        }
    }
    const struct inspect_block lost = {inspection->base + offset + image->format.word,
                                       offset - first,
                                       top - offset,
                                       INSPECT_LOST,
                                       0,
                                       0,
                                       false};
    const struct inspect_block rest = {inspection->base + top + image->format.word,
                                       top - first,
                                       end - top,
                                       INSPECT_UNTOUCHED,
                                       0,
                                       0,
                                       false};
    return (offset >= top || add_block(inspection, &lost)) &&
           (top == end || add_block(inspection, &rest));
}

/* ---- the whole -------------------------------------------------------------------- */

static void read_beside(const struct inspection* inspection, const struct image* image,
                        const struct image_block* block, struct inspect_beside* beside)
{
    beside->is_there = true;
    beside->address = inspection->base + block->offset + image->format.word;
    (void)snprintf(beside->name, INSPECT_NAME_BYTES, "%s",
                   inspection->owners[block->owner % INSPECT_OWNERS].name);
}

static void read_check(const struct check* check, struct inspection* inspection)
{
    struct image_block block;
    inspection->is_sound = check->fault == DMHEAP_FAULT_NONE;
    inspection->fault = check_text(check->fault);
    inspection->fault_offset = check->offset;
    inspection->moving = check->census.moving;
    if (inspection->is_sound) {
        return;
    }
    if (check->block != 0) {
        block = image_block(&check->image, check->block);
        read_beside(inspection, &check->image, &block, &inspection->in);
    }
    if (check_block_before(check, &block)) {
        read_beside(inspection, &check->image, &block, &inspection->before);
    }
    if (check_block_after(check, &block)) {
        read_beside(inspection, &check->image, &block, &inspection->after);
    }
}

/* Behind a heap that is sound; of another one nobody knows where it ends, so behind its context. */
static size_t look_on_at(const struct check* check, size_t start)
{
    const struct image* image = &check->image;
    const bool is_sound = check->fault == DMHEAP_FAULT_NONE;
    return start + (size_t)(is_sound ? image->plan[IMAGE_END] : image_bins(&image->format));
}

bool inspect_image(const unsigned char* bytes, size_t size, size_t* from, uint64_t address,
                   struct inspection* inspection)
{
    struct check check;
    size_t start = *from;
    memset(inspection, 0, sizeof(*inspection));
    if (!find_heap(bytes, size, &start, address, &check)) {
        return false;
    }
    const struct image* image = &check.image;
    *from = look_on_at(&check, start);
    inspection->place = start;
    inspection->base = address + start;
    inspection->header_bytes = image->format.word;
    inspection->is_big_endian = image->format.is_big_endian;
    inspection->has_accounts = image->format.has_accounts;
    inspection->has_numbers = image->format.has_numbers;
    inspection->has_canaries = image->format.has_canaries;
    inspection->alignment = image->plan[IMAGE_ALIGNMENT];
    inspection->first = image->plan[IMAGE_FIRST];
    inspection->size = image->plan[IMAGE_END] - image->plan[IMAGE_FIRST];
    read_owners(image, inspection);
    read_check(&check, inspection);
    if (!read_blocks(image, inspection) ||
        (inspection->has_accounts && !read_dead(image, inspection))) {
        inspect_release(inspection);
    }
    return true;
}

void inspect_release(struct inspection* inspection)
{
    free(inspection->blocks);
    free(inspection->dead);
    inspection->blocks = NULL;
    inspection->dead = NULL;
    inspection->block_count = 0;
}

/* ---- what follows ----------------------------------------------------------------- */

unsigned inspect_share(const struct inspection* inspection, uint64_t part)
{
    const uint64_t whole = inspection->size; /* of 52 bits at most */
    const uint64_t share = (part * 1000 + whole / 2) / whole;
    if (share == 0) {
        return part != 0;
    }
    return share == 1000 && part < whole ? 999 : (unsigned)share;
}

uint64_t inspect_scattered(const struct inspection* inspection)
{
    return inspection->free - inspection->largest_free;
}

bool inspect_is_listed(const struct inspection* inspection, const struct inspect_block* block,
                       const char* module_name)
{
    const struct inspect_owner* owner = &inspection->owners[block->owner];
    if (block->kind != INSPECT_LIVE) {
        return false;
    }
    return module_name != NULL ? strcmp(owner->name, module_name) == 0
                               : block->owner >= OWNER_MODULES && owner->is_gone;
}

char inspect_sign(char byte)
{
    return (char)(byte >= 0x20 && byte < 0x7F ? byte : '?');
}

bool inspect_has_account(const struct inspection* inspection, unsigned owner)
{
    return inspection->has_accounts &&
           (owner == OWNER_NOBODY || inspection->owners[owner].is_module);
}

const char* const inspect_reasons[INSPECT_REASONS] = {"memory", "pieces", "limit", "reserve"};

const char* inspect_reason(const struct inspect_account* account)
{
    if (account->failures == 0) {
        return "";
    }
    return account->last_reason < INSPECT_REASONS ? inspect_reasons[account->last_reason] : "?";
}

/* Was anything asked for or kept for that owner? */
static bool counts(const struct inspect_account* account)
{
    return (account->peak | account->allocations | account->failures | account->reserve) != 0 ||
           account->limit != INSPECT_ANY;
}

/* Modules are shown even if they have nothing, and nobody with an account that tells something. */
static bool is_shown(const struct inspection* inspection, unsigned id)
{
    const struct inspect_owner* owner = &inspection->owners[id];
    return owner->blocks != 0 || owner->is_module ||
           (inspect_has_account(inspection, id) && counts(&owner->account));
}

unsigned inspect_sort_owners(const struct inspection* inspection, unsigned sorted[INSPECT_OWNERS])
{
    const struct inspect_owner* owners = inspection->owners;
    unsigned count = 0;
    for (unsigned id = 0; id < INSPECT_OWNERS; id++) {
        if (is_shown(inspection, id)) {
            unsigned place = count++;
            for (; place != 0 && owners[sorted[place - 1]].bytes < owners[id].bytes; place--) {
                sorted[place] = sorted[place - 1];
            }
            sorted[place] = id;
        }
    }
    return count;
}
