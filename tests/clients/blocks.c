/* SPDX-License-Identifier: MIT */
/*
 * A client that looks into the heap: how full each of the heaps is, what each module holds, how
 * the free memory is split - as a command of a shell prints it.
 */
#include <dmod.h>
#include <dmheap.h>

#include "report.h"

#include <string.h>

#define MAX_ROWS 16

static char memory[2][16 * 1024];

typedef struct row_t {
    char name[32];
    bool is_null;
    size_t blocks;
    size_t bytes;
} row_t;

typedef struct table_t {
    row_t rows[MAX_ROWS];
    size_t count;
} table_t;

static void module_visitor(void* address, size_t size, const char* owner_name, void* user_data)
{
    (void)address;
    table_t* table = (table_t*)user_data;
    row_t* row = table->rows;
    const char* name = owner_name != NULL ? owner_name : "";
    while (row < table->rows + table->count &&
           (strcmp(row->name, name) != 0 || row->is_null != (owner_name == NULL))) {
        row++;
    }
    if (row == table->rows + table->count) {
        table->count++;
        strncpy(row->name, name, sizeof(row->name) - 1);
        row->is_null = owner_name == NULL;
    }
    row->blocks++;
    row->bytes += size;
}

static void print_modules(void)
{
    table_t* table = dmheap_malloc(NULL, sizeof(*table), "memory");
    CHECK_THAT(table != NULL);
    memset(table, 0, sizeof(*table));
    dmheap_for_each_used_block(NULL, module_visitor, table);
    const row_t* found[2] = {NULL, NULL};
    for (size_t i = 0; i < table->count; i++) {
        const row_t* row = &table->rows[i];
        printf("  %-16s %6u %8u\n", row->is_null ? "(null)" : row->name, (unsigned)row->blocks,
               (unsigned)row->bytes);
        if (strcmp(row->name, "network") == 0) {
            found[0] = row;
        } else if (strcmp(row->name, "sensor") == 0) {
            found[1] = row;
        }
    }
    CHECK_THAT(table->count == 4); /* and the command's own, and what no module has */
    CHECK_THAT(found[0] != NULL && found[0]->blocks == 10 && found[0]->bytes >= 15000);
    CHECK_THAT(found[1] != NULL && found[1]->blocks == 1 && found[1]->bytes >= 500);
    dmheap_free(NULL, table, false);
}

static void fragmentation_visitor(void* address, size_t size, const char* owner_name,
                                  void* user_data)
{
    size_t* sizes = (size_t*)user_data;
    CHECK_THAT(address != NULL && owner_name == NULL);
    CHECK_THAT(sizes[0] < MAX_ROWS);
    sizes[++sizes[0]] = size;
}

static void print_fragmentation(void)
{
    size_t sizes[MAX_ROWS + 1] = {0};
    size_t sum = 0;
    dmheap_stats_t stats;
    dmheap_for_each_free_block(NULL, fragmentation_visitor, sizes);
    CHECK_THAT(dmheap_get_stats(NULL, &stats));
    CHECK_THAT(sizes[0] == stats.free_block_count);
    for (size_t i = 1; i <= sizes[0]; i++) {
        printf("  %8u B\n", (unsigned)sizes[i]);
        CHECK_THAT(sizes[i] >= stats.smallest_free_block && sizes[i] <= stats.largest_free_block);
        sum += sizes[i];
    }
    CHECK_THAT(sum == stats.free_bytes);
}

static const char* label(dmheap_context_t* ctx)
{
    const char* name = dmheap_get_context_name(ctx);
    return name[0] != '\0' ? name : "Heap";
}

static void print_stats(void)
{
    dmheap_stats_t total;
    size_t sums[5] = {0};
    const size_t count = dmheap_get_default_context_count();
    CHECK_THAT(count == 2);
    for (size_t i = 0; i < count; i++) {
        dmheap_stats_t stats;
        dmheap_context_t* ctx = dmheap_get_default_context_at(i);
        CHECK_THAT(dmheap_get_stats(ctx, &stats));
        CHECK_THAT(stats.heap_size > 14 * 1024 && stats.heap_size <= sizeof memory[0]);
        CHECK_THAT(stats.used_bytes + stats.free_bytes < stats.heap_size);
        printf("  %-8s %5u of %5u used, %2u and %2u blocks, %s beside it\n", label(ctx),
               (unsigned)stats.used_bytes, (unsigned)stats.heap_size,
               (unsigned)stats.used_block_count, (unsigned)stats.free_block_count,
               label(dmheap_get_default_context_at(1 - i)));
        sums[0] += stats.heap_size;
        sums[1] += stats.free_bytes;
        sums[2] += stats.used_bytes;
        sums[3] += stats.free_block_count;
        sums[4] += stats.used_block_count;
    }
    CHECK_THAT(dmheap_get_stats(NULL, &total));
    CHECK_THAT(sums[0] == total.heap_size && sums[1] == total.free_bytes);
    CHECK_THAT(sums[2] == total.used_bytes && sums[3] == total.free_block_count);
    CHECK_THAT(sums[4] == total.used_block_count);
}

static void start(void)
{
    void* block[10];
    dmheap_context_t* ctx = dmheap_init(memory[0], sizeof memory[0], 8);
    CHECK_THAT(ctx != NULL && dmheap_set_context_name(ctx, "ram"));
    CHECK_THAT(dmheap_add_default_context(dmheap_init(memory[1], sizeof memory[1], 8)));
    CHECK_THAT(dmheap_malloc(NULL, 500, "sensor") != NULL);
    void* const hole = dmheap_malloc(NULL, 300, NULL);
    for (size_t i = 0; i < 10; i++) {
        block[i] = dmheap_malloc(NULL, 1500, "network");
        CHECK_THAT(block[i] != NULL);
    }
    dmheap_free(NULL, hole, false);
}

int main(void)
{
    report_topic("start", start);
    report_topic("memory --stats", print_stats);
    report_topic("memory --modules", print_modules);
    report_topic("memory --fragmentation", print_fragmentation);
    return report_end();
}
