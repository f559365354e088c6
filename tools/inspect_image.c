/* SPDX-License-Identifier: MIT */
/* Reading: from an image to an inspection, as far as the image can be read. */
#include "inspect.h"

#include "dmheap_check.h"

#include <stdlib.h>

#if DMHEAP_HEADER_BYTES != 8
#error "Build it with DMHEAP_HEADER_BYTES=8: only so it reads all formats."
#endif

/* Two heaps that begin at one place are of two formats that fit: the sound one is meant. */
static bool is_better(const struct check* check, size_t start, const struct check* best,
                      size_t best_start)
{
    return start < best_start || (start == best_start && best->fault != DMHEAP_FAULT_NONE &&
                                  check->fault == DMHEAP_FAULT_NONE);
}

/* The first heap of any format with so many fields that agree, checked. */
static bool find_heap(const unsigned char* bytes, size_t size, size_t from, uint64_t address,
                      unsigned least, struct check* best, size_t* best_start)
{
    *best_start = SIZE_MAX;
    for (unsigned number = 0; number < IMAGE_FORMATS; number++) {
        struct check check;
        size_t start = from;
        memset(&check, 0, sizeof(check));
        if (check_find(bytes, size, &start, image_format_of(number), address, least,
                       &check.image)) {
            (void)check_image(&check);
            if (is_better(&check, start, best, *best_start)) {
                *best = check;
                *best_start = start;
            }
        }
    }
    return *best_start != SIZE_MAX;
}

/* ---- owners ----------------------------------------------------------------------- */

static void copy_printable(char name[INSPECT_NAME_BYTES], const char* text)
{
    unsigned length = 0;
    for (; text[length] != '\0'; length++) {
        const unsigned char c = (unsigned char)text[length];
        name[length] = c >= 0x20 && c < 0x7F ? (char)c : '?';
    }
    name[length] = '\0';
}

static void read_owners(const struct image* image, struct inspection* inspection)
{
    struct inspect_owner* owners = inspection->owners;
    for (unsigned id = OWNER_MODULES; id < INSPECT_OWNERS; id++) {
        char text[DMHEAP_NAME_BYTES];
        image_name_of(image, id, text);
        copy_printable(owners[id].name, text);
        owners[id].is_module = image_record_of(image, id) != 0;
        owners[id].is_gone = text[0] == '\0';
        if (owners[id].is_gone) {
            (void)snprintf(owners[id].name, INSPECT_NAME_BYTES, "(%s, id %u)",
                           owners[id].is_module ? "unregistered" : "unknown module", id);
        }
    }
    (void)snprintf(owners[OWNER_FREE].name, INSPECT_NAME_BYTES, "(free)");
    (void)snprintf(owners[OWNER_HEAP].name, INSPECT_NAME_BYTES, "(the heap's own)");
    (void)snprintf(owners[OWNER_NOBODY].name, INSPECT_NAME_BYTES, "(nobody)");
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
    struct inspect_block read = {0, offset, 0, INSPECT_LOST, OWNER_FREE, false};
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
                                       false};
    const struct inspect_block rest = {inspection->base + top + image->format.word,
                                       top - first,
                                       end - top,
                                       INSPECT_UNTOUCHED,
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

bool inspect_image(const unsigned char* bytes, size_t size, size_t from, uint64_t address,
                   struct inspection* inspection)
{
    struct check check;
    size_t start;
    memset(inspection, 0, sizeof(*inspection));
    memset(&check, 0, sizeof(check));
    if (!find_heap(bytes, size, from, address, IMAGE_PLANNED, &check, &start) &&
        !find_heap(bytes, size, from, address, IMAGE_ENOUGH, &check, &start)) {
        return false;
    }
    const struct image* image = &check.image;
    inspection->place = start;
    inspection->base = address + start;
    inspection->header_bytes = image->format.word;
    inspection->is_big_endian = image->format.is_big_endian;
    inspection->alignment = image->plan[IMAGE_ALIGNMENT];
    inspection->first = image->plan[IMAGE_FIRST];
    inspection->size = image->plan[IMAGE_END] - image->plan[IMAGE_FIRST];
    read_owners(image, inspection);
    read_check(&check, inspection);
    if (!read_blocks(image, inspection)) {
        inspect_release(inspection);
    }
    return true;
}

void inspect_release(struct inspection* inspection)
{
    free(inspection->blocks);
    inspection->blocks = NULL;
    inspection->block_count = 0;
}

/* ---- what follows ----------------------------------------------------------------- */

unsigned inspect_share(const struct inspection* inspection, uint64_t part)
{
    return (unsigned)((double)part * 1000.0 / (double)inspection->size + 0.5);
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

unsigned inspect_sort_owners(const struct inspection* inspection, unsigned sorted[INSPECT_OWNERS])
{
    const struct inspect_owner* owners = inspection->owners;
    unsigned count = 0;
    for (unsigned id = 0; id < INSPECT_OWNERS; id++) {
        if (owners[id].blocks != 0 || owners[id].is_module) {
            unsigned place = count++;
            for (; place != 0 && owners[sorted[place - 1]].bytes < owners[id].bytes; place--) {
                sorted[place] = sorted[place - 1];
            }
            sorted[place] = id;
        }
    }
    return count;
}
