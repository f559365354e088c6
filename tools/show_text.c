/* SPDX-License-Identifier: MIT */
/* Showing as text, for a terminal: 100 columns, unless a name needs more. */
#include "inspect.h"

#include <inttypes.h>
#include <string.h>

#define MAP_COLUMNS 64U
#define MAP_CELLS   (MAP_COLUMNS * 16U)
#define BAR         40U

static void show_share(FILE* out, const struct inspection* inspection, uint64_t part)
{
    const unsigned share = inspect_share(inspection, part);
    (void)fprintf(out, "%12" PRIu64 " bytes  %3u.%u %%", part, share / 10, share % 10);
}

static void show_name(FILE* out, const char* name)
{
    for (; *name != '\0'; name++) {
        (void)fputc(inspect_sign(*name), out);
    }
}

static void show_beside(FILE* out, const char* where, const struct inspect_beside* beside)
{
    if (beside->is_there) {
        (void)fprintf(out, "  %-14s ", where);
        show_name(out, beside->name);
        (void)fprintf(out, ", 0x%" PRIx64 "\n", beside->address);
    }
}

static void show_check(FILE* out, const struct inspection* inspection)
{
    (void)fprintf(out, "Check: %s%s\n", inspection->is_sound ? "" : "BROKEN: ", inspection->fault);
    if (!inspection->is_sound) {
        (void)fprintf(out, "  at             0x%" PRIx64 ", byte %" PRIu64 " of the heap\n",
                      inspection->base + inspection->fault_offset, inspection->fault_offset);
        show_beside(out, "in a block of", &inspection->in);
        show_beside(out, "in front", &inspection->before);
        show_beside(out, "behind", &inspection->after);
    } else if (inspection->moving != 0) {
        (void)fprintf(out,
                      "  %" PRIu64 " blocks are neither records nor groups of the heap: a realloc "
                      "or calloc was at work,\n  or an owner was written over\n",
                      inspection->moving);
    }
}

static void show_summary(FILE* out, const struct inspection* inspection)
{
    (void)fprintf(out, "\nSummary\n  size      ");
    show_share(out, inspection, inspection->size);
    (void)fprintf(out, "\n  used      ");
    show_share(out, inspection, inspection->used);
    (void)fprintf(out, "  %" PRIu64 " blocks, %" PRIu64 " the heap's own\n  free      ",
                  inspection->live_blocks, inspection->own);
    show_share(out, inspection, inspection->free);
    (void)fprintf(out, "  %" PRIu64 " pieces\n  largest   ", inspection->free_blocks);
    show_share(out, inspection, inspection->largest_free);
    (void)fprintf(out, "  of what is free\n  scattered ");
    show_share(out, inspection, inspect_scattered(inspection));
    (void)fprintf(out, "  free, but elsewhere\n");
    if (inspection->lost != 0) {
        (void)fprintf(out, "  lost      ");
        show_share(out, inspection, inspection->lost);
        (void)fprintf(out, "  not readable\n");
    }
}

/* ---- modules ---------------------------------------------------------------------- */

/* The letters of the map, for those who own most; the others share one. */
static char letter_of(unsigned place)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return (char)(place < sizeof(letters) - 1 ? letters[place] : '*');
}

static void show_owners(FILE* out, const struct inspection* inspection, const unsigned* sorted,
                        unsigned count)
{
    (void)fprintf(out, "\nModules\n        bytes          blocks     largest  name\n");
    for (unsigned i = 0; i < count; i++) {
        const struct inspect_owner* owner = &inspection->owners[sorted[i]];
        const unsigned share = inspect_share(inspection, owner->bytes);
        (void)fprintf(out, "  %c %10" PRIu64 " %3u.%u %% %7" PRIu64 "  %10" PRIu64 "  ",
                      letter_of(i), owner->bytes, share / 10, share % 10, owner->blocks,
                      owner->largest);
        show_name(out, owner->name);
        (void)fputc('\n', out);
    }
}

/* ---- accounts --------------------------------------------------------------------- */

/* A number of bytes, or a dash for any. */
static void show_bytes(FILE* out, uint64_t bytes)
{
    if (bytes == INSPECT_ANY) {
        (void)fprintf(out, " %10s", "-");
    } else {
        (void)fprintf(out, " %10" PRIu64, bytes);
    }
}

static void show_account(FILE* out, char letter, const struct inspect_account* account,
                         const char* name)
{
    (void)fprintf(out, "  %c", letter);
    show_bytes(out, account->peak);
    show_bytes(out, account->limit);
    show_bytes(out, account->reserve);
    show_bytes(out, account->allocations);
    (void)fprintf(out, " %8" PRIu64, account->failures);
    show_bytes(out, account->largest_failure);
    (void)fprintf(out, "  %-8s  ", inspect_reason(account));
    show_name(out, name);
    (void)fputc('\n', out);
}

static void show_accounts(FILE* out, const struct inspection* inspection, const unsigned* sorted,
                          unsigned count)
{
    static const char columns[] =
        "          peak      limit    reserve    allocs  refused      up to  last for  name\n";
    (void)fprintf(out, "\nAccounts\n");
    (void)fprintf(out, "  least free %10" PRIu64 " bytes\n  reserved   %10" PRIu64 " bytes\n",
                  inspection->min_free, inspection->reserved);
    (void)fprintf(out, "  refused for");
    for (unsigned i = 0; i < INSPECT_REASONS; i++) {
        (void)fprintf(out, "%s%s %" PRIu64, i == 0 ? "  " : ", ", inspect_reasons[i],
                      inspection->failures[i]);
    }
    (void)fputc('\n', out);
    (void)fputs(columns, out);
    for (unsigned i = 0; i < count; i++) {
        const struct inspect_owner* owner = &inspection->owners[sorted[i]];
        if (inspect_has_account(inspection, sorted[i])) {
            show_account(out, letter_of(i), &owner->account, owner->name);
        }
    }
    for (size_t i = 0; i < inspection->dead_count; i++) {
        if (i == 0) {
            (void)fprintf(out, "\nModules that are gone, the last one first\n%s", columns);
        }
        show_account(out, ' ', &inspection->dead[i].account, inspection->dead[i].name);
    }
}

/* ---- the map ---------------------------------------------------------------------- */

static char sign_of(const struct inspect_block* block, const char* letters)
{
    switch (block->kind) {
    case INSPECT_FREE:
        return '.';
    case INSPECT_UNTOUCHED:
        return '_';
    case INSPECT_LOST:
        return '?';
    case INSPECT_LIVE:
    case INSPECT_OWN:
        break;
    }
    return letters[block->owner];
}

/* Each cell shows the block that has most of it. */
static void show_map(FILE* out, const struct inspection* inspection, const char* letters)
{
    const uint64_t step = (inspection->size + MAP_CELLS - 1) / MAP_CELLS;
    const uint64_t cell = step < 16 ? 16 : step;
    size_t first = 0;
    (void)fprintf(out, "\nMap, %" PRIu64 " bytes a sign; . free  _ untouched  ? not readable\n",
                  cell);
    for (uint64_t at = 0; at < inspection->size; at += cell) {
        const struct inspect_block* blocks = inspection->blocks;
        uint64_t most = 0;
        char sign = '?';
        while (first + 1 < inspection->block_count && blocks[first + 1].start <= at) {
            first++;
        }
        for (size_t i = first; i < inspection->block_count && blocks[i].start < at + cell; i++) {
            const uint64_t start = blocks[i].start > at ? blocks[i].start : at;
            const uint64_t stop = blocks[i].start + blocks[i].size;
            const uint64_t part = (stop < at + cell ? stop : at + cell) - start;
            if (part > most) {
                most = part;
                sign = sign_of(&blocks[i], letters);
            }
        }
        if (at / cell % MAP_COLUMNS == 0) {
            (void)fprintf(out, "%s  0x%08" PRIx64 " ", at == 0 ? "" : "\n",
                          inspection->base + inspection->first + at);
        }
        (void)fputc(sign, out);
    }
    (void)fputc('\n', out);
}

/* ---- sizes and leaks -------------------------------------------------------------- */

static void show_sizes(FILE* out, const struct inspection* inspection)
{
    uint64_t most = 1;
    for (unsigned i = 0; i < INSPECT_BINS; i++) {
        const uint64_t all = inspection->live_sizes[i] + inspection->free_sizes[i];
        most = all > most ? all : most;
    }
    (void)fprintf(out, "\nSizes, of blocks (#) and of free pieces (.)\n");
    for (unsigned i = 0; i < INSPECT_BINS; i++) {
        const uint64_t live = inspection->live_sizes[i];
        const uint64_t gaps = inspection->free_sizes[i];
        if (live + gaps == 0) {
            continue;
        }
        (void)fprintf(out, "  from %10" PRIu64 " %7" PRIu64 " %7" PRIu64 "  ", (uint64_t)1 << i,
                      live, gaps);
        for (uint64_t k = 0; k < (live * BAR + most - 1) / most; k++) {
            (void)fputc('#', out);
        }
        for (uint64_t k = 0; k < (gaps * BAR + most - 1) / most; k++) {
            (void)fputc('.', out);
        }
        (void)fputc('\n', out);
    }
}

static void show_listed(FILE* out, const struct inspection* inspection, const char* module_name)
{
    uint64_t blocks = 0;
    (void)fputs(module_name != NULL ? "\nBlocks of " : "\nLeaks: blocks of modules that are gone",
                out);
    show_name(out, module_name != NULL ? module_name : "");
    (void)fputc('\n', out);
    for (size_t i = 0; i < inspection->block_count; i++) {
        const struct inspect_block* block = &inspection->blocks[i];
        if (inspect_is_listed(inspection, block, module_name)) {
            (void)fprintf(out, "  0x%" PRIx64 "  %10" PRIu64 " bytes  ", block->address,
                          block->size);
            if (inspection->has_numbers) {
                (void)fprintf(out, "number %-8" PRIu32 "  ", block->number);
            }
            show_name(out, inspection->owners[block->owner].name);
            (void)fputs(block->is_damaged ? ", its size is damaged\n" : "\n", out);
            blocks++;
        }
    }
    if (blocks == 0) {
        (void)fprintf(out, "  none\n");
    }
}

static void show_heap(FILE* out, const struct inspection* inspection, const char* module_name)
{
    unsigned sorted[INSPECT_OWNERS];
    char letters[INSPECT_OWNERS];
    const unsigned count = inspect_sort_owners(inspection, sorted);
    memset(letters, '?', sizeof(letters));
    for (unsigned i = 0; i < count; i++) {
        letters[sorted[i]] = letter_of(i);
    }
    (void)fprintf(out,
                  "Heap at 0x%" PRIx64 ", byte %" PRIu64
                  " of the image: %u-byte headers, %s endian, alignment %" PRIu64 "\n",
                  inspection->base, inspection->place, inspection->header_bytes,
                  inspection->is_big_endian ? "big" : "little", inspection->alignment);
    if (inspection->has_accounts || inspection->has_numbers || inspection->has_canaries) {
        (void)fprintf(out, "Built with:%s%s%s\n", inspection->has_accounts ? " accounts" : "",
                      inspection->has_numbers ? " numbers" : "",
                      inspection->has_canaries ? " canaries" : "");
    }
    show_check(out, inspection);
    show_summary(out, inspection);
    show_owners(out, inspection, sorted, count);
    if (inspection->has_accounts) {
        show_accounts(out, inspection, sorted, count);
    }
    show_map(out, inspection, letters);
    show_sizes(out, inspection);
    show_listed(out, inspection, module_name);
}

void show_text(FILE* out, const struct inspections* all, const char* module_name)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->count > 1) {
            (void)fprintf(out, "%s==== %zu of %zu heaps ====\n", i == 0 ? "" : "\n", i + 1,
                          all->count);
        }
        show_heap(out, all->heap[i], module_name);
    }
}
