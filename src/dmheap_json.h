/* SPDX-License-Identifier: MIT */
/*
 * A page of JSON: one object a heap.
 *
 * Knows: keys. Does not know: how figures come about. Always holds: what
 * dmheap-inspect tells of a dump as well has the same key there. What may be followed by another value is kept in
 * the line until that comes, for a comma is between them.
 */
#ifndef DMHEAP_JSON_H
#define DMHEAP_JSON_H

#include "dmheap_page.h"

/* A name of signs that all have to be escaped, and what is around it. */
#define JSON_LINE_BYTES (6 * DMHEAP_NAME_BYTES + 64)

/* ---- syntax ------------------------------------------------------------------------- */

/* Print what is kept in the line, if anything. */
static bool json_flush(struct page* page)
{
    return page->line.length == 0 || page_print(page);
}

/* Another value follows the one that is kept in the line. */
static bool json_next(struct page* page)
{
    if (page->line.length == 0) {
        return true;
    }
    line_add(&page->line, ',');
    return page_print(page);
}

static void json_add_key(struct page* page, const char* key)
{
    const char last = page->line.text[page->line.length - 1];
    line_add_text(&page->line, last == '{' || last == ' ' ? "\"" : ", \"");
    line_add_text(&page->line, key);
    line_add_text(&page->line, "\": ");
}

static void json_add_number_or_null(struct page* page, const char* key, uintptr_t value,
                                    bool is_null)
{
    json_add_key(page, key);
    if (is_null) {
        line_add_text(&page->line, "null");
    } else {
        line_add_number(&page->line, value, 0);
    }
}

static void json_add_number(struct page* page, const char* key, uintptr_t value)
{
    json_add_number_or_null(page, key, value, false);
}

static void json_add_text(struct page* page, const char* key, const char* text)
{
    json_add_key(page, key);
    line_add_string(&page->line, text);
}

static void json_add_truth(struct page* page, const char* key, bool truth)
{
    json_add_key(page, key);
    line_add_text(&page->line, truth ? "true" : "false");
}

/* Begin an object that is a value of a page, or of a list in one. */
static bool json_begin_object(struct page* page, const char* begin)
{
    const bool goes_on = json_next(page);
    line_add_text(&page->line, begin);
    return goes_on;
}

/* Its line is full, but it goes on. */
static bool json_break_object(struct page* page)
{
    const bool goes_on = json_next(page);
    line_add_text(&page->line, "     ");
    return goes_on;
}

static void json_end(struct page* page, const char* end)
{
    line_add_text(&page->line, end);
}

/* Begin a list; what is kept in the line is its first value, then. */
static bool json_begin_list(struct page* page, const char* begin)
{
    const bool goes_on = json_next(page);
    line_add_text(&page->line, begin);
    return goes_on && page_print(page);
}

static bool json_end_list(struct page* page)
{
    const bool goes_on = json_flush(page);
    json_end(page, "  ]");
    return goes_on;
}

/* ---- the heap ----------------------------------------------------------------------- */

static DMHEAP_OWN_FRAME bool json_heap(struct page* page)
{
    static const uint16_t order = 1;
    char name[DMHEAP_CTX_NAME_BYTES];
    if (!page_get_name(page, name) || !json_begin_object(page, "  \"heap\": {")) {
        return false;
    }
    json_add_number(page, "address", (uintptr_t)page->ctx);
    json_add_text(page, "name", name);
    json_add_number(page, "header_bytes", DMHEAP_WORD_BYTES);
    json_add_number(page, "alignment", page->alignment);
    json_add_truth(page, "accounts", DMHEAP_ACCOUNTING);
    json_add_truth(page, "sequence", DMHEAP_SEQUENCE);
    json_add_truth(page, "canaries", DMHEAP_CANARY);
    json_add_text(page, "byte_order", *(const unsigned char*)&order == 1 ? "little" : "big");
    json_end(page, "}");
    return true;
}

static DMHEAP_OWN_FRAME bool json_stats(struct page* page)
{
    struct dmheap_stats stats;
    if (!page_get_stats(page, &stats) || !json_begin_object(page, "  \"stats\": {")) {
        return false;
    }
    json_add_number(page, "size", stats.size);
    json_add_number(page, "used", stats.used);
    json_add_number(page, "free", stats.free);
    json_add_number(page, "own", stats.own);
    json_add_number(page, "overhead", stats.overhead);
    json_add_number(page, "live_blocks", stats.live_blocks);
    json_add_number(page, "free_blocks", stats.free_blocks);
    json_add_number(page, "largest_free", stats.largest_free);
    json_add_number(page, "scattered", page_scattered(&stats));
    json_add_number(page, "fragmentation", stats.fragmentation);
    if (!json_break_object(page)) {
        return false;
    }
    json_add_number(page, "largest_alloc", stats.largest_alloc);
    json_add_number(page, "largest_hole", stats.largest_hole);
    json_add_number_or_null(page, "splitter", (uintptr_t)stats.splitter, stats.splitter == NULL);
    if (!json_break_object(page)) {
        return false;
    }
    json_add_text(page, "splitter_owner", stats.splitter_owner);
    json_end(page, "}");
    return true;
}

/* ---- accounts ----------------------------------------------------------------------- */

#if DMHEAP_ACCOUNTING
static bool json_account_of(struct page* page, const struct dmheap_account* account)
{
    const bool goes_on = json_break_object(page);
    line_add_text(&page->line, "\"account\": {");
    json_add_number(page, "bytes", account->bytes);
    json_add_number(page, "blocks", account->blocks);
    json_add_number(page, "peak", account->peak);
    json_add_number_or_null(page, "limit", account->limit, account->limit == SIZE_MAX);
    json_add_number(page, "reserve", account->reserve);
    json_add_number(page, "allocations", account->allocations);
    json_add_number(page, "failures", account->failures);
    json_add_number_or_null(page, "largest_failure", account->largest_failure,
                            account->largest_failure == SIZE_MAX);
    json_add_text(page, "last_reason", page_reason(account));
    json_end(page, "}");
    return goes_on;
}

static DMHEAP_OWN_FRAME bool json_account(struct page* page, uint32_t id)
{
    struct dmheap_account account;
    return !page_get_account(page, id, &account) || json_account_of(page, &account);
}

/* A value of a list that stands in another object. */
static bool json_dead(struct page* page, const struct dmheap_account* account, const char* name)
{
    const bool goes_on = json_begin_object(page, "    {");
    json_add_text(page, "name", name);
    if (!goes_on || !json_account_of(page, account)) {
        return false;
    }
    json_end(page, "}");
    return true;
}

static DMHEAP_OWN_FRAME bool json_all_dead(struct page* page)
{
    char name[DMHEAP_NAME_BYTES];
    struct dmheap_account account;
    json_add_key(page, "dead");
    line_add(&page->line, '[');
    if (!page_print(page)) {
        return false;
    }
    for (size_t i = 0; page_get_dead(page, i, name, &account); i++) {
        if (!json_dead(page, &account, name) || !page_goes_on(page)) {
            return false;
        }
    }
    return page_goes_on(page) && json_end_list(page);
}

static bool json_totals(struct page* page)
{
    struct dmheap_heap_account account;
    if (!page_get_totals(page, &account) || !json_begin_object(page, "  \"account\": {")) {
        return false;
    }
    json_add_number(page, "min_free", account.min_free);
    json_add_number(page, "reserved", account.reserved);
    json_add_key(page, "failures");
    for (unsigned i = 0; i < DMHEAP_REASONS; i++) {
        line_add_text(&page->line, i == 0 ? "[" : ", ");
        line_add_number(&page->line, account.failures[i], 0);
    }
    json_end(page, "]");
    if (!json_all_dead(page)) {
        return false;
    }
    json_end(page, "}");
    return true;
}
#else
static inline bool json_account(struct page* page, uint32_t id)
{
    (void)page;
    (void)id;
    return true;
}

static inline bool json_totals(struct page* page)
{
    (void)page;
    return true;
}
#endif

/* ---- modules ------------------------------------------------------------------------ */

static DMHEAP_OWN_FRAME bool json_owner(struct page* page, const struct owner* owner)
{
    char name[DMHEAP_NAME_BYTES];
    const bool is_gone = !owner_show_name(page->serial, owner->id, name);
    if (!json_begin_object(page, "    {")) {
        return false;
    }
    json_add_number(page, "owner", owner->id);
    json_add_text(page, "name", name);
    if (!json_break_object(page)) {
        return false;
    }
    json_add_truth(page, "module", owner->id >= OWNER_MODULES);
    json_add_truth(page, "gone", is_gone);
    json_add_number(page, "bytes", owner->bytes);
    json_add_number(page, "blocks", owner->blocks);
    json_add_number(page, "largest", owner->largest);
    if (!json_account(page, owner->id)) {
        return false;
    }
    json_end(page, "}");
    return true;
}

static DMHEAP_OWN_FRAME bool json_modules(struct page* page)
{
    struct owners owners;
    if (!json_totals(page) || !json_begin_list(page, "  \"modules\": [")) {
        return false;
    }
    owners_begin(&owners);
    while (owners_next(page->serial, &owners)) {
        for (unsigned i = 0; i < owners.count; i++) {
            if (owner_is_shown(page->serial, &owners.owner[i]) &&
                !json_owner(page, &owners.owner[i])) {
                return false;
            }
        }
    }
    return page_goes_on(page) && json_end_list(page);
}

/* ---- blocks and sizes --------------------------------------------------------------- */

static bool json_block(const struct dmheap_block_info* block, void* context)
{
    static const char* const kinds[] = {
        [DMHEAP_BLOCK_FREE] = "free", [DMHEAP_BLOCK_LIVE] = "live", [DMHEAP_BLOCK_OWN] = "own"};
    struct page* page = context;
    if (!json_begin_object(page, "    {")) {
        return false;
    }
    json_add_number(page, "address", (uintptr_t)block->ptr);
    json_add_number(page, "size", block->size);
    json_add_text(page, "kind", page_is_untouched(page, block) ? "untouched" : kinds[block->kind]);
    json_add_number(page, "owner", owner_of(block));
    json_add_number(page, "sequence", block->sequence);
    json_end(page, "}");
    return true;
}

static bool json_blocks(struct page* page)
{
    return json_begin_list(page, "  \"blocks\": [") && walk_heap(page->serial, json_block, page) &&
           json_end_list(page);
}

static DMHEAP_OWN_FRAME bool json_sizes(struct page* page)
{
    struct page_sizes sizes;
    if (!page_count_sizes(page, &sizes) || !json_begin_list(page, "  \"sizes\": [")) {
        return false;
    }
    for (unsigned bin = 0; bin < PAGE_SIZES; bin++) {
        if ((sizes.live[bin] | sizes.free[bin]) != 0) {
            if (!json_begin_object(page, "    {")) {
                return false;
            }
            json_add_number(page, "from", (uintptr_t)1 << bin);
            json_add_number(page, "live", sizes.live[bin]);
            json_add_number(page, "free", sizes.free[bin]);
            json_end(page, "}");
        }
    }
    return json_end_list(page);
}

/* ---- the whole ---------------------------------------------------------------------- */

/* False: it was ended, or the heap is gone. What is kept in the line at the end is the object's. */
static bool json_page(struct page* page, unsigned parts)
{
    const bool is_whole =
        json_begin_list(page, "{") && json_heap(page) &&
        ((parts & DMHEAP_REPORT_STATS) == 0 || json_stats(page)) &&
        ((parts & (DMHEAP_REPORT_MODULES | DMHEAP_REPORT_MAP)) == 0 || json_modules(page)) &&
        ((parts & DMHEAP_REPORT_MAP) == 0 || json_blocks(page)) &&
        ((parts & DMHEAP_REPORT_SIZES) == 0 || json_sizes(page)) && json_flush(page);
    if (is_whole) {
        json_end(page, "}");
    }
    return is_whole;
}

#endif
