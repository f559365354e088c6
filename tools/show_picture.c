/* SPDX-License-Identifier: MIT */
/* Showing as a picture: the memory in rows, coloured by owner, with a legend; SVG, or a page of HTML. */
#include "inspect.h"

#include <inttypes.h>

#define ROWS       48U
#define WIDTH      1000U
#define ROW_HEIGHT 14U
#define MARGIN     20U
#define TOP        64U
#define LABEL      160U /* room for an address of 64 bits */
#define LINE       18U

static void show_escaped(FILE* out, const char* text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            (void)fputs("&lt;", out);
            break;
        case '>':
            (void)fputs("&gt;", out);
            break;
        case '&':
            (void)fputs("&amp;", out);
            break;
        case '"':
            (void)fputs("&quot;", out);
            break;
        default:
            (void)fputc(inspect_sign(*text), out);
            break;
        }
    }
}

/* Hues one golden angle apart: neighbours in the list of owners are as different as can be. */
static void show_colour(FILE* out, unsigned place, enum inspect_kind kind)
{
    static const char* const plain[] = {"#ffffff", "#f0f0f0", NULL, "#808080", "#000000"};
    if (plain[kind] != NULL) {
        (void)fputs(plain[kind], out);
    } else {
        (void)fprintf(out, "hsl(%u,%u%%,%u%%)", place * 137U % 360U, 65 - place / 8 % 3 * 15,
                      50 + place / 24 % 3 * 12);
    }
}

static const char* name_of(const struct inspection* inspection, const struct inspect_block* block)
{
    switch (block->kind) {
    case INSPECT_FREE:
        return "free";
    case INSPECT_UNTOUCHED:
        return "untouched end";
    case INSPECT_LOST:
        return "not readable";
    case INSPECT_LIVE:
    case INSPECT_OWN:
        break;
    }
    return inspection->owners[block->owner].name;
}

/* One block: a rectangle in each row that it has a part of. */
static void show_block(FILE* out, const struct inspection* inspection,
                       const struct inspect_block* block, unsigned place, uint64_t row_bytes)
{
    (void)fputs("<g fill=\"", out);
    show_colour(out, place, block->kind);
    (void)fputs("\"><title>", out);
    show_escaped(out, name_of(inspection, block));
    (void)fprintf(out, ": %" PRIu64 " bytes at 0x%" PRIx64 "%s", block->size, block->address,
                  block->is_damaged ? ", size damaged" : "");
    if (block->number != 0) {
        (void)fprintf(out, ", number %" PRIu32, block->number);
    }
    (void)fputs("</title>", out);
    const uint64_t end = block->start + block->size;
    for (uint64_t at = block->start; at < end;) {
        const uint64_t row = at / row_bytes;
        const uint64_t stop = (row + 1) * row_bytes < end ? (row + 1) * row_bytes : end;
        const double scale = (double)WIDTH / (double)row_bytes;
        (void)fprintf(out, "<rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%u\"/>",
                      (double)LABEL + (double)(at - row * row_bytes) * scale,
                      TOP + (unsigned)row * ROW_HEIGHT, (double)(stop - at) * scale,
                      ROW_HEIGHT - 2);
        at = stop;
    }
    (void)fputs("</g>\n", out);
}

/* The measures of one heap's picture. */
struct picture {
    unsigned owners; /* in the legend */
    uint64_t row_bytes;
    unsigned rows;
    unsigned legend; /* where it begins */
    unsigned height;
};

/* The figures come first: a name may be long, and what the column has no room for is cut off. */
static void show_legend(FILE* out, const struct inspection* inspection, const unsigned* sorted,
                        const struct picture* picture)
{
    for (unsigned i = 0; i < picture->owners; i++) {
        const struct inspect_owner* owner = &inspection->owners[sorted[i]];
        const unsigned left = LABEL + i % 2 * (WIDTH / 2);
        const unsigned row = picture->legend + i / 2 * LINE;
        (void)fprintf(out, "<rect x=\"%u\" y=\"%u\" width=\"12\" height=\"12\" fill=\"", left, row);
        show_colour(out, i, sorted[i] == 1 ? INSPECT_OWN : INSPECT_LIVE);
        (void)fprintf(out,
                      "\"/><svg x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\"><text y=\"11\">"
                      "%" PRIu64 " bytes, %" PRIu64 " blocks: ",
                      left + 18, row, WIDTH / 2 - 24, LINE, owner->bytes, owner->blocks);
        show_escaped(out, owner->name);
        (void)fputs("</text></svg>\n", out);
    }
}

static void show_head(FILE* out, const struct inspection* inspection)
{
    const unsigned used = inspect_share(inspection, inspection->used);
    (void)fprintf(out,
                  "<text x=\"%u\" y=\"24\" font-size=\"16\">Heap at 0x%" PRIx64 ": %" PRIu64
                  " bytes, %u.%u %% used, largest free piece %" PRIu64 "</text>\n",
                  MARGIN, inspection->base, inspection->size, used / 10, used % 10,
                  inspection->largest_free);
    (void)fprintf(out, "<text x=\"%u\" y=\"46\" fill=\"%s\">%s", MARGIN,
                  inspection->is_sound ? "#207020" : "#c00000",
                  inspection->is_sound ? "Sound: " : "Broken: ");
    show_escaped(out, inspection->fault);
    if (!inspection->is_sound) {
        (void)fprintf(out, ", at 0x%" PRIx64, inspection->base + inspection->fault_offset);
    }
    (void)fputs("</text>\n", out);
}

static struct picture measure(const struct inspection* inspection, unsigned count)
{
    const uint64_t least = (inspection->size + ROWS - 1) / ROWS;
    struct picture picture;
    picture.owners = count;
    picture.row_bytes = (least + 63) / 64 * 64;
    picture.rows = (unsigned)((inspection->size + picture.row_bytes - 1) / picture.row_bytes);
    picture.legend = TOP + picture.rows * ROW_HEIGHT + MARGIN;
    picture.height = picture.legend + (picture.owners + 1) / 2 * LINE + MARGIN;
    return picture;
}

/* One heap, that far down. How high it is. */
static unsigned show_heap(FILE* out, const struct inspection* inspection, unsigned top)
{
    unsigned sorted[INSPECT_OWNERS];
    unsigned places[INSPECT_OWNERS] = {0};
    const unsigned count = inspect_sort_owners(inspection, sorted);
    const struct picture picture = measure(inspection, count);
    for (unsigned i = 0; i < count; i++) {
        places[sorted[i]] = i;
    }
    (void)fprintf(out, "<g transform=\"translate(0,%u)\">\n", top);
    show_head(out, inspection);
    for (unsigned row = 0; row < picture.rows; row++) {
        (void)fprintf(out,
                      "<text x=\"%u\" y=\"%u\" font-family=\"monospace\" text-anchor=\"end\">"
                      "0x%08" PRIx64 "</text>\n",
                      LABEL - 8, TOP + row * ROW_HEIGHT + ROW_HEIGHT - 3,
                      inspection->base + inspection->first + row * picture.row_bytes);
    }
    for (size_t i = 0; i < inspection->block_count; i++) {
        const struct inspect_block* block = &inspection->blocks[i];
        show_block(out, inspection, block, places[block->owner], picture.row_bytes);
    }
    show_legend(out, inspection, sorted, &picture);
    (void)fputs("</g>\n", out);
    return picture.height;
}

void show_svg(FILE* out, const struct inspections* all)
{
    unsigned height = 0;
    for (size_t i = 0; i < all->count; i++) {
        unsigned sorted[INSPECT_OWNERS];
        height += measure(all->heap[i], inspect_sort_owners(all->heap[i], sorted)).height;
    }
    (void)fprintf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
                  "font-family=\"sans-serif\" font-size=\"12\">\n"
                  "<rect width=\"100%%\" height=\"100%%\" fill=\"#d8d8d8\"/>\n",
                  LABEL + WIDTH + MARGIN, height);
    unsigned top = 0;
    for (size_t i = 0; i < all->count; i++) {
        top += show_heap(out, all->heap[i], top);
    }
    (void)fputs("</svg>\n", out);
}

/* ---- the page --------------------------------------------------------------------- */

static void show_cell(FILE* out, uint64_t value)
{
    if (value == INSPECT_ANY) {
        (void)fputs("<td>-</td>", out);
    } else {
        (void)fprintf(out, "<td>%" PRIu64 "</td>", value);
    }
}

static void show_account_cells(FILE* out, const struct inspect_account* account)
{
    show_cell(out, account->peak);
    show_cell(out, account->limit);
    show_cell(out, account->reserve);
    show_cell(out, account->allocations);
    show_cell(out, account->failures);
    (void)fprintf(out, "<td>%s</td>", inspect_reason(account));
}

static void show_owner_rows(FILE* out, const struct inspection* inspection)
{
    unsigned sorted[INSPECT_OWNERS];
    const unsigned count = inspect_sort_owners(inspection, sorted);
    (void)fprintf(out,
                  "<h2>Modules</h2>\n<table><tr><th>name</th><th>bytes</th><th>blocks</th>"
                  "<th>largest</th>%s</tr>\n",
                  inspection->has_accounts
                      ? "<th>peak</th><th>limit</th><th>reserve</th><th>allocations</th>"
                        "<th>refused</th><th>last for</th>"
                      : "");
    for (unsigned i = 0; i < count; i++) {
        const struct inspect_owner* owner = &inspection->owners[sorted[i]];
        (void)fputs("<tr><td>", out);
        show_escaped(out, owner->name);
        (void)fputs("</td>", out);
        show_cell(out, owner->bytes);
        show_cell(out, owner->blocks);
        show_cell(out, owner->largest);
        if (inspect_has_account(inspection, sorted[i])) {
            show_account_cells(out, &owner->account);
        }
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</table>\n", out);
}

static void show_listed_rows(FILE* out, const struct inspection* inspection,
                             const char* module_name)
{
    (void)fputs("<h2>Blocks of ", out);
    show_escaped(out, module_name != NULL ? module_name : "modules that are gone");
    (void)fputs("</h2>\n<table><tr><th>owner</th><th>address</th><th>bytes</th></tr>\n", out);
    for (size_t i = 0; i < inspection->block_count; i++) {
        const struct inspect_block* block = &inspection->blocks[i];
        if (inspect_is_listed(inspection, block, module_name)) {
            (void)fputs("<tr><td>", out);
            show_escaped(out, inspection->owners[block->owner].name);
            (void)fprintf(out, "</td><td>0x%" PRIx64 "</td><td>%" PRIu64 "</td></tr>\n",
                          block->address, block->size);
        }
    }
    (void)fputs("</table>\n", out);
}

void show_html(FILE* out, const struct inspections* all, const char* module_name)
{
    (void)fputs("<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\"><head>"
                "<meta charset=\"utf-8\"/><title>dmheap</title>\n"
                "<style>body { font-family: sans-serif; } td, th { padding: 2px 12px; "
                "text-align: right; } td:first-child, th:first-child { text-align: left; }"
                "</style></head><body>\n",
                out);
    for (size_t i = 0; i < all->count; i++) {
        const struct inspections one = {&all->heap[i], 1};
        show_svg(out, &one);
        show_owner_rows(out, all->heap[i]);
        show_listed_rows(out, all->heap[i], module_name);
    }
    (void)fputs("</body></html>\n", out);
}
