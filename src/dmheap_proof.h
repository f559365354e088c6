/* SPDX-License-Identifier: MIT */
/*
 * The proof: the functions of dmheap_ctx.h that check a heap of this build, or a copy of one.
 *
 * Knows: what a finding is to a caller. Does not know: what is right in a heap.
 * Always holds: a heap is read as an image of bytes, of which none outside of it is touched.
 * Its functions are cold, and so is all that only they call: else it would use up what the compiler
 * inlines elsewhere.
 */
#ifndef DMHEAP_PROOF_H
#define DMHEAP_PROOF_H

#include "dmheap_check.h"
#include "dmheap_several.h"

#define IMAGE_IS_IN(macro, type, field)                                              \
    DMHEAP_STATIC_ASSERT(macro(sizeof(dmheap_word)) == offsetof(struct type, field), \
                         image_has_##type##_##field)

IMAGE_IS_IN(IMAGE_RECORD_SERIAL, record, serial);
IMAGE_IS_IN(IMAGE_RECORD_ID, record, id);
IMAGE_IS_IN(IMAGE_RECORD_NEXT, record, next);
DMHEAP_STATIC_ASSERT(IMAGE_RECORD_NAME(sizeof(dmheap_word), DMHEAP_ACCOUNTING) ==
                         offsetof(struct record, name),
                     image_has_record_name);
IMAGE_IS_IN(IMAGE_GROUP_SPARE, record_group, spare);
IMAGE_IS_IN(IMAGE_GROUP_GIVEN, record_group, given);
IMAGE_IS_IN(IMAGE_GROUP_SLOT, record_group, slot);
DMHEAP_STATIC_ASSERT(offsetof(struct record, references) == 0 &&
                         offsetof(struct record_group, used) == 0 &&
                         IMAGE_ID_BYTES(DMHEAP_HEADER_BYTES) == sizeof(record_id),
                     images_have_records);

/* ... and accounts of it. */
#define IMAGE_IS_NUMBER(number, type, field)                                                       \
    DMHEAP_STATIC_ASSERT((unsigned)(number) * sizeof(dmheap_word) == offsetof(struct type, field), \
                         image_has_##type##_##field)

IMAGE_IS_NUMBER(IMAGE_BYTES, dmheap_holding, bytes);
IMAGE_IS_NUMBER(IMAGE_BLOCKS, dmheap_holding, blocks);
IMAGE_IS_NUMBER(IMAGE_PEAK, dmheap_holding, peak);
IMAGE_IS_NUMBER(IMAGE_LIMIT, dmheap_holding, limit);
IMAGE_IS_NUMBER(IMAGE_RESERVE, dmheap_holding, reserve);
IMAGE_IS_NUMBER(IMAGE_ALLOCATIONS, dmheap_holding, allocations);
IMAGE_IS_NUMBER(IMAGE_FAILURES, dmheap_holding, failures);
IMAGE_IS_NUMBER(IMAGE_LARGEST_FAILURE, dmheap_holding, largest_failure);
IMAGE_IS_NUMBER(IMAGE_LAST_FAILURE, dmheap_holding, last_failure);
IMAGE_IS_NUMBER(IMAGE_USED, dmheap_totals, used);
IMAGE_IS_NUMBER(IMAGE_USED_PEAK, dmheap_totals, peak);
IMAGE_IS_NUMBER(IMAGE_UNMET, dmheap_totals, unmet);
IMAGE_IS_NUMBER(IMAGE_REFUSED, dmheap_totals, failures);
IMAGE_IS_NUMBER(IMAGE_DEAD, dmheap_totals, dead);
IMAGE_IS_NUMBER(IMAGE_NOBODY, dmheap_totals, nobody);
IMAGE_IS_IN(IMAGE_DEAD_NEXT, dead_ring, next);
IMAGE_IS_IN(IMAGE_DEAD_NO_ID, dead_ring, no_id);
IMAGE_IS_IN(IMAGE_DEAD_ENTRY, dead_ring, entry);
IMAGE_IS_IN(IMAGE_DEAD_NAME, dead, name);
DMHEAP_STATIC_ASSERT(IMAGE_DEAD_BYTES(sizeof(dmheap_word)) == sizeof(struct dead),
                     images_have_the_dead);

/* What a caller is told of a block. */
static struct dmheap_beside tell_block(const struct image* image, const struct image_block* block)
{
    struct dmheap_beside told;
    told.address = (uintptr_t)(image->address + block->offset + image->format.word);
    told.kind = block->owner == OWNER_FREE   ? DMHEAP_BLOCK_FREE
                : block->owner == OWNER_HEAP ? DMHEAP_BLOCK_OWN
                                             : DMHEAP_BLOCK_LIVE;
    image_name_of(image, block->owner, told.module_name);
    return told;
}

/*
 * What a caller is told of all. As far as a context's address is not known, the check has put
 * something in its place: `address` is the right one.
 */
static void tell(struct check* check, uintptr_t address, struct dmheap_finding* finding)
{
    struct image_block block;
    memset(finding, 0, sizeof(*finding));
    finding->fault = check->fault;
    finding->text = check_text(check->fault);
    finding->moving = check->census.moving;
    if (check->fault == DMHEAP_FAULT_NONE || check->fault == DMHEAP_FAULT_NO_HEAP) {
        return;
    }
    check->image.address = address;
    finding->address = address + (uintptr_t)check->offset;
    finding->offset = (size_t)check->offset;
    if (check->block != 0) {
        block = image_block(&check->image, check->block);
        finding->block = tell_block(&check->image, &block);
    }
    if (check_block_before(check, &block)) {
        finding->before = tell_block(&check->image, &block);
    }
    if (check_block_after(check, &block)) {
        finding->after = tell_block(&check->image, &block);
    }
}

DMHEAP_COLD bool dmheap_ctx_check(struct dmheap_ctx* ctx, struct dmheap_finding* finding)
{
    struct check check;
    memset(&check, 0, sizeof(check));
    dmheap_port_lock();
    const struct registry_entry* entry = find_entry(ctx);
    const struct dmheap_ctx* heap = entry != NULL ? entry->ctx : REGISTRY_NONE;
    if (entry == NULL) {
        (void)check_fail(&check, DMHEAP_FAULT_NO_HEAP, 0, 0);
    } else {
        (void)check_heap(&check, heap, entry->end);
    }
    tell(&check, (uintptr_t)heap, finding);
    dmheap_port_unlock();
    if (finding->fault == DMHEAP_FAULT_NO_HEAP) {
        DMHEAP_PORT_LOG_ERROR("dmheap: check of %p: %s.\n", (const void*)ctx, finding->text);
    } else if (finding->fault != DMHEAP_FAULT_NONE) {
        DMHEAP_PORT_LOG_ERROR("dmheap: check of %p: %s, at %p.\n", (const void*)heap, finding->text,
                              (const void*)finding->address);
    }
    return finding->fault == DMHEAP_FAULT_NONE;
}

DMHEAP_COLD bool dmheap_ctx_check_image(const void* image, size_t size, uintptr_t address,
                                        struct dmheap_finding* finding)
{
    struct check check;
    size_t start = 0;
    memset(&check, 0, sizeof(check));
    if (image == NULL || !check_find(image, size, &start, image_native_format(),
                                     (image_word)address, &check.image)) {
        (void)check_fail(&check, DMHEAP_FAULT_NO_HEAP, 0, 0);
    } else {
        (void)check_image(&check);
    }
    tell(&check, address + start, finding);
    return check.fault == DMHEAP_FAULT_NONE;
}

#endif
