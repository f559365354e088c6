/* SPDX-License-Identifier: MIT */
/*
 * A page: the heap that a report is about, and where its lines go.
 *
 * Knows: the printer, the log, and whether the heap is still there. Does not know: what is printed.
 * Always holds: a line is printed without the lock, and none any more once the printer gave false. The
 * heap is found anew by its serial at each hold: one that stands in its place by now is another one.
 */
#ifndef DMHEAP_PAGE_H
#define DMHEAP_PAGE_H

#include "dmheap_line.h"
#include "dmheap_owners.h"

struct page {
    struct line line;     /* the next one */
    dmheap_printer print; /* NULL: the port's log */
    void* context;
    bool is_over;       /* the printer wants no more */
    dmheap_word serial; /* of the heap */
    struct dmheap_ctx* ctx;
    uintptr_t first; /* address of its first block */
    size_t size;     /* of all of them */
    size_t alignment;
};

/* Print the line. False: that was the last one. */
static bool page_print(struct page* page)
{
    if (!page->is_over && page->print != NULL) {
        page->is_over = !page->print(page->line.text, page->context);
    } else if (!page->is_over) {
        DMHEAP_PORT_LOG_INFO("%s\n", page->line.text);
    }
    line_clear(&page->line);
    return !page->is_over;
}

/* Turn to the heap of that serial. False: it is gone. */
static bool page_turn(struct page* page, dmheap_word serial)
{
    dmheap_port_lock();
    struct dmheap_ctx* heap = registry_of_serial(serial);
    if (heap != NULL) {
        page->serial = serial;
        page->ctx = heap;
        page->first = (uintptr_t)heap + (uintptr_t)heap->first;
        page->size = (size_t)(heap->end - heap->first);
        page->alignment = (size_t)heap->alignment;
    }
    dmheap_port_unlock();
    return heap != NULL;
}

/* Is the heap still there, and is more to be printed? */
static bool page_goes_on(const struct page* page)
{
    dmheap_port_lock();
    const bool is_there = registry_of_serial(page->serial) != NULL;
    dmheap_port_unlock();
    return is_there && !page->is_over;
}

/* Measure the heap. False: it is gone. */
static bool page_get_stats(const struct page* page, struct dmheap_stats* stats)
{
    struct measure measure;
    measure_clear(&measure, stats);
    dmheap_port_lock();
    struct dmheap_ctx* heap = registry_of_serial(page->serial);
    if (heap != NULL) {
        measure_begin(&measure, heap);
    }
    dmheap_port_unlock();
    return heap != NULL && measure_blocks(&measure, page->serial);
}

/* The heap's own name, which may be empty. False: it is gone. */
static bool page_get_name(const struct page* page, char name[DMHEAP_CTX_NAME_BYTES])
{
    dmheap_port_lock();
    const struct dmheap_ctx* heap = registry_of_serial(page->serial);
    const struct registry_entry* entry = heap != NULL ? registry_entry_of(heap) : NULL;
    if (entry != NULL) {
        memcpy(name, entry->name, sizeof(entry->name));
    }
    dmheap_port_unlock();
    return entry != NULL;
}

/* Bytes from the heap's first block to that one. */
static inline uintptr_t page_offset(const struct page* page, const struct dmheap_block_info* block)
{
    return (uintptr_t)block->ptr - (uintptr_t)DMHEAP_WORD_BYTES - page->first;
}

/* Is that the end of the heap that is untouched yet? A free block there would be a part of it. */
static inline bool page_is_untouched(const struct page* page, const struct dmheap_block_info* block)
{
    return block->kind == DMHEAP_BLOCK_FREE && page_offset(page, block) + block->size == page->size;
}

/* What is free, but elsewhere than in the largest piece. */
static inline size_t page_scattered(const struct dmheap_stats* stats)
{
    return stats->free > stats->largest_free ? stats->free - stats->largest_free : 0;
}

/* ---- figures of sizes --------------------------------------------------------------- */

#define PAGE_SIZES ((unsigned)sizeof(size_t) * CHAR_BIT)

/* How many blocks have 2^i to 2^(i + 1) - 1 bytes. */
struct page_sizes {
    unsigned live[PAGE_SIZES];
    unsigned free[PAGE_SIZES];
};

static bool page_count_size(const struct dmheap_block_info* block, void* context)
{
    struct page_sizes* sizes = context;
    const unsigned bin = block->size != 0 ? bits_highest((dmheap_word)block->size) : 0;
    sizes->live[bin] += block->kind == DMHEAP_BLOCK_LIVE;
    sizes->free[bin] += block->kind == DMHEAP_BLOCK_FREE;
    return true;
}

static bool page_count_sizes(const struct page* page, struct page_sizes* sizes)
{
    memset(sizes, 0, sizeof(*sizes));
    return walk_heap(page->serial, page_count_size, sizes);
}

/* ---- accounts ----------------------------------------------------------------------- */

#if DMHEAP_ACCOUNTING
/* Why a request failed, in a word. */
static const char* const page_reasons[DMHEAP_REASONS] = {"memory", "pieces", "limit", "reserve"};

/* Why the last one failed; empty if none did. The record may be damaged. */
static const char* page_reason(const struct dmheap_account* account)
{
    const unsigned reason = (unsigned)account->last_reason;
    if (account->failures == 0) {
        return "";
    }
    return reason < DMHEAP_REASONS ? page_reasons[reason] : "?";
}

/* The account of an owner of the heap. False: it has none, or is gone by now. */
static bool page_get_account(const struct page* page, uint32_t id, struct dmheap_account* account)
{
    bool is_there = id == OWNER_NOBODY;
    if (id < OWNER_NOBODY) {
        return false;
    }
    dmheap_port_lock();
    struct dmheap_ctx* heap = registry_of_serial(page->serial);
    struct record* record = heap != NULL && !is_there ? record_of(heap, id) : NULL;
    is_there = heap != NULL && (is_there || record != NULL);
    if (is_there) {
        show_holding(record_holding(heap, record), account);
    }
    dmheap_port_unlock();
    return is_there;
}

/* What the heap has and refused. False: it is gone. */
static bool page_get_totals(const struct page* page, struct dmheap_heap_account* account)
{
    dmheap_port_lock();
    struct dmheap_ctx* heap = registry_of_serial(page->serial);
    if (heap != NULL) {
        show_totals(heap, account);
    }
    dmheap_port_unlock();
    return heap != NULL;
}

/* The account of a module that is gone, latest first. False: that was the last one, or the heap is. */
static bool page_get_dead(const struct page* page, size_t index, char name[DMHEAP_NAME_BYTES],
                          struct dmheap_account* account)
{
    dmheap_port_lock();
    struct dmheap_ctx* heap = registry_of_serial(page->serial);
    const bool is_there = heap != NULL && show_dead(heap, index, name, account);
    dmheap_port_unlock();
    return is_there;
}
#endif

#endif
