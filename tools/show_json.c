/* SPDX-License-Identifier: MIT */
/* Showing as JSON: an object for each heap, with all that is known. Addresses are numbers. */
#include "inspect.h"

#include <inttypes.h>

/* A byte that is no printable ASCII counts as the code point of that number. */
static void show_string(FILE* out, const char* text)
{
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            (void)fprintf(out, "\\%c", *text);
        } else if (inspect_sign(*text) == *text) {
            (void)fputc(*text, out);
        } else {
            (void)fprintf(out, "\\u%04x", (unsigned)(unsigned char)*text);
        }
    }
    (void)fputc('"', out);
}

static void show_number(FILE* out, const char* key, uint64_t value)
{
    (void)fprintf(out, "\"%s\": %" PRIu64 ", ", key, value);
}

static void show_beside(FILE* out, const char* key, const struct inspect_beside* beside)
{
    (void)fprintf(out, ", \"%s\": ", key);
    if (!beside->is_there) {
        (void)fprintf(out, "null");
        return;
    }
    (void)fprintf(out, "{\"address\": %" PRIu64 ", \"owner\": ", beside->address);
    show_string(out, beside->name);
    (void)fprintf(out, "}");
}

static void show_check(FILE* out, const struct inspection* inspection)
{
    (void)fprintf(
        out, "  \"check\": {\"sound\": %s, \"text\": ", inspection->is_sound ? "true" : "false");
    show_string(out, inspection->fault);
    (void)fprintf(out, ", \"moving\": %" PRIu64, inspection->moving);
    if (!inspection->is_sound) {
        (void)fprintf(out, ", \"address\": %" PRIu64 ", \"offset\": %" PRIu64,
                      inspection->base + inspection->fault_offset, inspection->fault_offset);
        show_beside(out, "block", &inspection->in);
        show_beside(out, "before", &inspection->before);
        show_beside(out, "after", &inspection->after);
    }
    (void)fprintf(out, "},\n");
}

/* A number of bytes; null: any. */
static void show_bytes(FILE* out, const char* key, uint64_t value)
{
    if (value == INSPECT_ANY) {
        (void)fprintf(out, "\"%s\": null, ", key);
    } else {
        show_number(out, key, value);
    }
}

static void show_account(FILE* out, const struct inspect_account* account)
{
    (void)fprintf(out, ", \"account\": {");
    show_number(out, "bytes", account->bytes);
    show_number(out, "blocks", account->blocks);
    show_number(out, "peak", account->peak);
    show_bytes(out, "limit", account->limit);
    show_number(out, "reserve", account->reserve);
    show_number(out, "allocations", account->allocations);
    show_number(out, "failures", account->failures);
    show_bytes(out, "largest_failure", account->largest_failure);
    (void)fprintf(out, "\"last_reason\": \"%s\"}", inspect_reason(account));
}

static void show_totals(FILE* out, const struct inspection* inspection)
{
    (void)fprintf(out, "  \"account\": {");
    show_number(out, "min_free", inspection->min_free);
    show_number(out, "reserved", inspection->reserved);
    (void)fprintf(out, "\"failures\": [");
    for (unsigned i = 0; i < INSPECT_REASONS; i++) {
        (void)fprintf(out, "%s%" PRIu64, i == 0 ? "" : ", ", inspection->failures[i]);
    }
    (void)fprintf(out, "], \"dead\": [");
    for (size_t i = 0; i < inspection->dead_count; i++) {
        (void)fprintf(out, "%s\n    {\"name\": ", i == 0 ? "" : ",");
        show_string(out, inspection->dead[i].name);
        show_account(out, &inspection->dead[i].account);
        (void)fprintf(out, "}");
    }
    (void)fprintf(out, "]},\n");
}

static void show_owners(FILE* out, const struct inspection* inspection)
{
    unsigned sorted[INSPECT_OWNERS];
    const unsigned count = inspect_sort_owners(inspection, sorted);
    (void)fprintf(out, "  \"modules\": [");
    for (unsigned i = 0; i < count; i++) {
        const struct inspect_owner* owner = &inspection->owners[sorted[i]];
        (void)fprintf(out, "%s\n    {\"owner\": %u, \"name\": ", i == 0 ? "" : ",", sorted[i]);
        show_string(out, owner->name);
        (void)fprintf(out,
                      ", \"module\": %s, \"gone\": %s, \"bytes\": %" PRIu64 ", \"blocks\": %" PRIu64
                      ", \"largest\": %" PRIu64,
                      owner->is_module ? "true" : "false", owner->is_gone ? "true" : "false",
                      owner->bytes, owner->blocks, owner->largest);
        if (inspect_has_account(inspection, sorted[i])) {
            show_account(out, &owner->account);
        }
        (void)fprintf(out, "}");
    }
    (void)fprintf(out, "\n  ],\n");
}

/* A block is listed as a leak, or as that module's. */
static void show_blocks(FILE* out, const struct inspection* inspection, const char* module_name)
{
    static const char* const kinds[] = {"free", "untouched", "live", "own", "lost"};
    (void)fprintf(out, "  \"blocks\": [");
    for (size_t i = 0; i < inspection->block_count; i++) {
        const struct inspect_block* block = &inspection->blocks[i];
        (void)fprintf(out,
                      "%s\n    {\"address\": %" PRIu64 ", \"size\": %" PRIu64
                      ", \"kind\": \"%s\", \"owner\": %u, \"sequence\": %" PRIu32
                      ", \"listed\": %s, \"damaged\": %s}",
                      i == 0 ? "" : ",", block->address, block->size, kinds[block->kind],
                      block->owner, block->number,
                      inspect_is_listed(inspection, block, module_name) ? "true" : "false",
                      block->is_damaged ? "true" : "false");
    }
    (void)fprintf(out, "\n  ]\n");
}

static void show_heap(FILE* out, const struct inspection* inspection, const char* module_name)
{
    (void)fprintf(out, "{\n  \"heap\": {");
    show_number(out, "address", inspection->base);
    show_number(out, "image_offset", inspection->place);
    show_number(out, "header_bytes", inspection->header_bytes);
    show_number(out, "alignment", inspection->alignment);
    (void)fprintf(out, "\"accounts\": %s, \"sequence\": %s, \"canaries\": %s, ",
                  inspection->has_accounts ? "true" : "false",
                  inspection->has_numbers ? "true" : "false",
                  inspection->has_canaries ? "true" : "false");
    (void)fprintf(out, "\"byte_order\": \"%s\"},\n", inspection->is_big_endian ? "big" : "little");
    show_check(out, inspection);
    (void)fprintf(out, "  \"stats\": {");
    show_number(out, "size", inspection->size);
    show_number(out, "used", inspection->used);
    show_number(out, "free", inspection->free);
    show_number(out, "own", inspection->own);
    show_number(out, "lost", inspection->lost);
    show_number(out, "live_blocks", inspection->live_blocks);
    show_number(out, "free_blocks", inspection->free_blocks);
    show_number(out, "largest_free", inspection->largest_free);
    (void)fprintf(out, "\"scattered\": %" PRIu64 "},\n", inspect_scattered(inspection));
    if (inspection->has_accounts) {
        show_totals(out, inspection);
    }
    show_owners(out, inspection);
    show_blocks(out, inspection, module_name);
    (void)fprintf(out, "}");
}

void show_json(FILE* out, const struct inspections* all, const char* module_name)
{
    (void)fprintf(out, "{\"heaps\": [");
    for (size_t i = 0; i < all->count; i++) {
        (void)fprintf(out, i == 0 ? "\n" : ",\n");
        show_heap(out, all->heap[i], module_name);
    }
    (void)fprintf(out, "\n]}\n");
}
