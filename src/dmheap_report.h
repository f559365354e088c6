/* SPDX-License-Identifier: MIT */
/*
 * The report: what there is to see of a heap, printed.
 *
 * Knows: which heaps it is about, and in which form. Does not know: words, keys, figures. Always
 * holds: nothing is printed under the lock, and no memory is needed but the stack's. It is cold, and
 * so is all that only it calls: else it would use up what the compiler inlines elsewhere.
 */
#ifndef DMHEAP_REPORT_H
#define DMHEAP_REPORT_H

#include "dmheap_json.h"
#include "dmheap_text.h"

/* All of `parts` but what is the form. */
#define REPORT_PARTS (DMHEAP_REPORT_ALL | DMHEAP_REPORT_JSON)

static void page_open(struct page* page, char* text, size_t room)
{
    page->line.text = text;
    page->line.room = room;
    line_clear(&page->line);
}

/* One heap after the other, an empty line between them. */
static DMHEAP_OWN_FRAME bool report_text(struct page* page, unsigned parts,
                                         const dmheap_word* serials, unsigned count)
{
    char text[TEXT_LINE_BYTES];
    page_open(page, text, sizeof(text));
    for (unsigned i = 0; i < count; i++) {
        if ((i != 0 && !page_print(page)) || !page_turn(page, serials[i]) ||
            !text_page(page, parts)) {
            return false;
        }
    }
    return true;
}

/* An object with a list of them. */
static DMHEAP_OWN_FRAME bool report_json(struct page* page, unsigned parts,
                                         const dmheap_word* serials, unsigned count)
{
    char text[JSON_LINE_BYTES];
    page_open(page, text, sizeof(text));
    if (!json_begin_list(page, "{\"heaps\": [")) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!page_turn(page, serials[i]) || !json_page(page, parts)) {
            return false;
        }
    }
    const bool goes_on = json_flush(page);
    json_end(page, "]}");
    return goes_on && json_flush(page);
}

DMHEAP_COLD bool dmheap_ctx_report(struct dmheap_ctx* ctx, unsigned parts, dmheap_printer print,
                                   void* context)
{
    dmheap_word serials[DMHEAP_DEFAULTS_MAX];
    struct page page;
    if ((parts & ~(unsigned)REPORT_PARTS) != 0) {
        DMHEAP_PORT_LOG_ERROR("dmheap: report of %p: there is no part %u.\n", (void*)ctx,
                              parts & ~(unsigned)REPORT_PARTS);
        return false;
    }
    const unsigned count = list_serials(ctx, serials);
    if (count == 0) {
        report_pointer(VERDICT_NO_HEAP, "report", ctx);
        return false;
    }
    memset(&page, 0, sizeof(page));
    page.print = print;
    page.context = context;
    return (parts & DMHEAP_REPORT_JSON) != 0 ? report_json(&page, parts, serials, count)
                                             : report_text(&page, parts, serials, count);
}

#endif
