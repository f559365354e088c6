/* SPDX-License-Identifier: MIT */
/*
 * A page of text, for a terminal or a log.
 *
 * Knows: words and columns. Does not know: how figures come about. Always holds: words and columns
 * are those in which dmheap-inspect shows a dump on a host. Lines have at most TEXT_COLUMNS signs,
 * but for the first one, those of accounts, and where addresses have more than 32 bits.
 */
#ifndef DMHEAP_TEXT_H
#define DMHEAP_TEXT_H

#include "dmheap_page.h"

#define TEXT_COLUMNS        80
#define TEXT_WIDE_COLUMNS   100 /* of the table of accounts ... */
#define TEXT_REASON_COLUMNS 8   /* of it, for why a request failed */
#define TEXT_NAME_COLUMNS   16  /* for a name at least, however wide what is in front of it */
#define TEXT_LINE_BYTES     192 /* the first line has the most: six numbers, an address and a name */
#define TEXT_BAR            40
#define TEXT_MAP_COLUMNS    64
#define TEXT_MAP_SIGNS      (TEXT_MAP_COLUMNS * 16)
#define TEXT_MAP_LEAST      16 /* bytes of the heap that a sign stands for */

/* A number with its words. */
static void text_add(struct page* page, const char* before, size_t number, const char* after)
{
    line_add_text(&page->line, before);
    line_add_number(&page->line, number, 0);
    line_add_text(&page->line, after);
}

static bool text_print(struct page* page, const char* text)
{
    line_add_text(&page->line, text);
    return page_print(page);
}

/* A name up to that column. */
static void text_add_name(struct page* page, const char* name, size_t column)
{
    const size_t length = page->line.length;
    const bool is_wide = length + TEXT_NAME_COLUMNS > column;
    line_add_name(&page->line, name, is_wide ? TEXT_NAME_COLUMNS : column - length);
}

static bool text_heading(struct page* page, const char* heading)
{
    return text_print(page, "") && text_print(page, heading);
}

/* ---- the heap ----------------------------------------------------------------------- */

static DMHEAP_OWN_FRAME bool text_first(struct page* page, const struct dmheap_stats* stats)
{
    char name[DMHEAP_CTX_NAME_BYTES];
    if (!page_get_name(page, name)) {
        return false;
    }
    line_add_text(&page->line, "Heap at ");
    line_add_address(&page->line, (uintptr_t)page->ctx);
    if (name[0] != '\0') {
        line_add(&page->line, ' ');
        line_add_name(&page->line, name, sizeof(name));
    }
    text_add(page, ": ", stats->size, " bytes, ");
    text_add(page, "", stats->used, " used, ");
    text_add(page, "", stats->free, " free, largest ");
    text_add(page, "", stats->largest_free, ", scattered ");
    text_add(page, "", stats->fragmentation, " %, ");
    text_add(page, "", stats->live_blocks, " blocks");
    return page_print(page);
}

/* Begin a line of the summary. */
static void text_add_bytes(struct page* page, const char* label, size_t bytes)
{
    struct line* line = &page->line;
    line_add_text(line, "  ");
    line_add_text(line, label);
    line_pad(line, 12);
    line_add_number(line, bytes, 12);
    line_add_text(line, " bytes  ");
    line_add_share(line, bytes, page->size);
}

static bool text_bytes(struct page* page, const char* label, size_t bytes, const char* remark)
{
    text_add_bytes(page, label, bytes);
    return text_print(page, remark);
}

static bool text_used(struct page* page, const struct dmheap_stats* stats)
{
    text_add_bytes(page, "used", stats->used);
    text_add(page, "  ", stats->live_blocks, " blocks");
    text_add(page, ", ", stats->own, " the heap's own");
    return page_print(page);
}

static bool text_free(struct page* page, const struct dmheap_stats* stats)
{
    text_add_bytes(page, "free", stats->free);
    text_add(page, "  ", stats->free_blocks, " pieces");
    return page_print(page);
}

/* The block that stands in the way of most, if one does. */
static bool text_hole(struct page* page, const struct dmheap_stats* stats)
{
    const char* owner = stats->splitter_owner[0] != '\0' ? stats->splitter_owner : "(nobody)";
    if (stats->splitter == NULL) {
        return true;
    }
    text_add_bytes(page, "hole", stats->largest_hole);
    line_add_text(&page->line, "  without ");
    line_add_address(&page->line, (uintptr_t)stats->splitter);
    line_add_text(&page->line, " of ");
    text_add_name(page, owner, TEXT_COLUMNS);
    return page_print(page);
}

static DMHEAP_OWN_FRAME bool text_heap(struct page* page, unsigned parts)
{
    struct dmheap_stats stats;
    if (!page_get_stats(page, &stats) || !text_first(page, &stats)) {
        return false;
    }
    if ((parts & DMHEAP_REPORT_STATS) == 0) {
        return true;
    }
    return text_heading(page, "Summary") && text_bytes(page, "size", stats.size, "") &&
           text_used(page, &stats) && text_free(page, &stats) &&
           text_bytes(page, "largest", stats.largest_free, "  of what is free") &&
           text_bytes(page, "scattered", page_scattered(&stats), "  free, but elsewhere") &&
           text_bytes(page, "malloc", stats.largest_alloc, "  at most, now") &&
           text_hole(page, &stats);
}

/* ---- modules ------------------------------------------------------------------------ */

/* A line for an owner. */
typedef bool (*text_owner_line)(struct page* page, const struct owner* owner, char letter);

static DMHEAP_OWN_FRAME bool text_print_name(struct page* page, uint32_t id)
{
    char name[DMHEAP_NAME_BYTES];
    (void)owner_show_name(page->serial, id, name);
    line_add_text(&page->line, "  ");
    text_add_name(page, name, TEXT_COLUMNS);
    return page_print(page);
}

static void text_add_letter(struct page* page, char letter)
{
    line_add_text(&page->line, "  ");
    line_add(&page->line, letter);
    line_add(&page->line, ' ');
}

static bool text_owner(struct page* page, const struct owner* owner, char letter)
{
    struct line* line = &page->line;
    text_add_letter(page, letter);
    line_add_number(line, owner->bytes, 10);
    line_add(line, ' ');
    line_add_share(line, owner->bytes, page->size);
    line_add(line, ' ');
    line_add_number(line, owner->blocks, 7);
    line_add_text(line, "  ");
    line_add_number(line, owner->largest, 10);
    return text_print_name(page, owner->id);
}

/* Those without a rank, in the order of their ids. */
static DMHEAP_OWN_FRAME bool text_rest(struct page* page, const struct ranks* ranks,
                                       text_owner_line print)
{
    struct owners owners;
    owners_begin(&owners);
    while (owners_next(page->serial, &owners)) {
        for (unsigned i = 0; i < owners.count; i++) {
            const struct owner* owner = &owners.owner[i];
            if (owner_is_shown(page->serial, owner) &&
                ranks_place(ranks, owner->id) == OWNERS_RANKED &&
                !print(page, owner, ranks_letter(OWNERS_RANKED))) {
                return false;
            }
        }
    }
    return page_goes_on(page);
}

static bool text_owners(struct page* page, const struct ranks* ranks, text_owner_line print)
{
    for (unsigned place = 0; place < ranks->count; place++) {
        if (!print(page, &ranks->owner[place], ranks_letter(place))) {
            return false;
        }
    }
    return !ranks->is_cut || text_rest(page, ranks, print);
}

/* ---- accounts ----------------------------------------------------------------------- */

#if DMHEAP_ACCOUNTING
static void text_add_quota(struct page* page, size_t bytes)
{
    line_add(&page->line, ' ');
    if (bytes == SIZE_MAX) {
        line_add_text(&page->line, "         -");
    } else {
        line_add_number(&page->line, bytes, 10);
    }
}

static bool text_account_of(struct page* page, const struct dmheap_account* account, char letter,
                            const char* name)
{
    struct line* line = &page->line;
    line_add_text(line, "  ");
    line_add(line, letter);
    text_add_quota(page, account->peak);
    text_add_quota(page, account->limit);
    text_add_quota(page, account->reserve);
    text_add_quota(page, account->allocations);
    line_add(line, ' ');
    line_add_number(line, account->failures, 8);
    text_add_quota(page, account->largest_failure);
    line_add_text(line, "  ");
    const size_t behind = line->length + TEXT_REASON_COLUMNS;
    line_add_text(line, page_reason(account));
    line_pad(line, behind);
    line_add_text(line, "  ");
    text_add_name(page, name, TEXT_WIDE_COLUMNS);
    return page_print(page);
}

static DMHEAP_OWN_FRAME bool text_account(struct page* page, const struct owner* owner, char letter)
{
    struct dmheap_account account;
    char name[DMHEAP_NAME_BYTES];
    if (!page_get_account(page, owner->id, &account)) {
        return true;
    }
    (void)owner_show_name(page->serial, owner->id, name);
    return text_account_of(page, &account, letter, name);
}

/* What of the free memory is spoken for, and what the heap refused. */
static bool text_totals(struct page* page)
{
    struct dmheap_heap_account account;
    if (!page_get_totals(page, &account)) {
        return false;
    }
    line_add_text(&page->line, "  least free ");
    line_add_number(&page->line, account.min_free, 10);
    if (!text_print(page, " bytes")) {
        return false;
    }
    line_add_text(&page->line, "  reserved   ");
    line_add_number(&page->line, account.reserved, 10);
    if (!text_print(page, " bytes")) {
        return false;
    }
    line_add_text(&page->line, "  refused for");
    for (unsigned i = 0; i < DMHEAP_REASONS; i++) {
        line_add_text(&page->line, i == 0 ? "  " : ", ");
        line_add_text(&page->line, page_reasons[i]);
        text_add(page, " ", account.failures[i], "");
    }
    return page_print(page);
}

static const char text_account_heading[] =
    "          peak      limit    reserve    allocs  refused      up to  last for  name";

static DMHEAP_OWN_FRAME bool text_dead(struct page* page)
{
    char name[DMHEAP_NAME_BYTES];
    struct dmheap_account account;
    for (size_t i = 0; page_get_dead(page, i, name, &account); i++) {
        if (i == 0 && (!text_heading(page, "Modules that are gone, the last one first") ||
                       !text_print(page, text_account_heading))) {
            return false;
        }
        if (!text_account_of(page, &account, ' ', name) || !page_goes_on(page)) {
            return false;
        }
    }
    return page_goes_on(page);
}

static bool text_accounts(struct page* page, const struct ranks* ranks)
{
    return text_heading(page, "Accounts") && text_totals(page) &&
           text_print(page, text_account_heading) && text_owners(page, ranks, text_account) &&
           text_dead(page);
}
#else
static inline bool text_accounts(struct page* page, const struct ranks* ranks)
{
    (void)page;
    (void)ranks;
    return true;
}
#endif

/* ---- the map ------------------------------------------------------------------------ */

/* Each sign is that of the block that has most of its part of the heap. */
struct text_map {
    struct page* page;
    const struct ranks* ranks;
    uintptr_t step; /* bytes a sign */
    uintptr_t at;   /* so far, from the first block */
    uintptr_t most; /* of the current sign's part */
    char sign;
};

static char text_sign(const struct text_map* map, const struct dmheap_block_info* block)
{
    if (page_is_untouched(map->page, block)) {
        return '_';
    }
    if (block->kind == DMHEAP_BLOCK_FREE) {
        return '.';
    }
    return ranks_letter(ranks_place(map->ranks, owner_of(block)));
}

static bool text_map_sign(struct text_map* map)
{
    struct line* line = &map->page->line;
    const uintptr_t number = (map->at - 1) / map->step;
    if (line->length == 0) {
        line_add_text(line, "  ");
        line_add_address(line, map->page->first + number * map->step);
        line_add(line, ' ');
    }
    line_add(line, map->sign);
    map->most = 0;
    return number % TEXT_MAP_COLUMNS != TEXT_MAP_COLUMNS - 1 || page_print(map->page);
}

/* Up to `stop`, all is of that sign. */
static bool text_map_fill(struct text_map* map, uintptr_t stop, char sign)
{
    const uintptr_t end = stop < map->page->size ? stop : map->page->size;
    while (map->at < end) {
        const uintptr_t next = map->at - map->at % map->step + map->step;
        const uintptr_t part = (end < next ? end : next) - map->at;
        if (part > map->most) {
            map->most = part;
            map->sign = sign;
        }
        map->at += part;
        if ((map->at == next || map->at == map->page->size) && !text_map_sign(map)) {
            return false;
        }
    }
    return true;
}

/* What is in front of the block and was not visited changed meanwhile, or is damaged. */
static bool text_map_block(const struct dmheap_block_info* block, void* context)
{
    struct text_map* map = context;
    const uintptr_t start = page_offset(map->page, block);
    return text_map_fill(map, start, '?') &&
           text_map_fill(map, start + block->size, text_sign(map, block));
}

static DMHEAP_OWN_FRAME bool text_map(struct page* page, const struct ranks* ranks)
{
    struct text_map map = {page, ranks, TEXT_MAP_LEAST, 0, 0, '?'};
    const uintptr_t step = (page->size + TEXT_MAP_SIGNS - 1) / TEXT_MAP_SIGNS;
    map.step = step > TEXT_MAP_LEAST ? step : TEXT_MAP_LEAST;
    if (!text_print(page, "")) {
        return false;
    }
    text_add(page, "Map, ", map.step, " bytes a sign; . free  _ untouched  ? not readable");
    return page_print(page) && walk_heap(page->serial, text_map_block, &map) &&
           text_map_fill(&map, page->size, '?') && (page->line.length == 0 || page_print(page));
}

static DMHEAP_OWN_FRAME bool text_modules(struct page* page, unsigned parts)
{
    struct ranks ranks;
    ranks_make(&ranks, page->serial);
    return page_goes_on(page) && text_heading(page, "Modules") &&
           text_print(page, "        bytes          blocks     largest  name") &&
           text_owners(page, &ranks, text_owner) && text_accounts(page, &ranks) &&
           ((parts & DMHEAP_REPORT_MAP) == 0 || text_map(page, &ranks));
}

/* ---- sizes -------------------------------------------------------------------------- */

static void text_add_bar(struct page* page, char sign, size_t part, size_t whole)
{
    for (size_t length = (part * TEXT_BAR + whole - 1) / whole; length != 0; length--) {
        line_add(&page->line, sign);
    }
}

static bool text_size(struct page* page, const struct page_sizes* sizes, unsigned bin, size_t most)
{
    struct line* line = &page->line;
    line_add_text(line, "  from ");
    line_add_number(line, (uintptr_t)1 << bin, 10);
    line_add(line, ' ');
    line_add_number(line, sizes->live[bin], 7);
    line_add(line, ' ');
    line_add_number(line, sizes->free[bin], 7);
    line_add_text(line, "  ");
    text_add_bar(page, '#', sizes->live[bin], most);
    text_add_bar(page, '.', sizes->free[bin], most);
    return page_print(page);
}

static DMHEAP_OWN_FRAME bool text_sizes(struct page* page)
{
    struct page_sizes sizes;
    size_t most = 1;
    if (!page_count_sizes(page, &sizes) ||
        !text_heading(page, "Sizes, of blocks (#) and of free pieces (.)")) {
        return false;
    }
    for (unsigned bin = 0; bin < PAGE_SIZES; bin++) {
        const size_t all = (size_t)sizes.live[bin] + sizes.free[bin];
        most = all > most ? all : most;
    }
    for (unsigned bin = 0; bin < PAGE_SIZES; bin++) {
        if ((sizes.live[bin] | sizes.free[bin]) != 0 && !text_size(page, &sizes, bin, most)) {
            return false;
        }
    }
    return true;
}

/* ---- the whole ---------------------------------------------------------------------- */

/* False: it was ended, or the heap is gone. */
static bool text_page(struct page* page, unsigned parts)
{
    return text_heap(page, parts) &&
           ((parts & (DMHEAP_REPORT_MODULES | DMHEAP_REPORT_MAP)) == 0 ||
            text_modules(page, parts)) &&
           ((parts & DMHEAP_REPORT_SIZES) == 0 || text_sizes(page));
}

#endif
