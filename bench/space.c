/* SPDX-License-Identifier: MIT */
/*
 * See space.h. dmheap is here in the ways it is called, as for the other benchmarks, and where
 * pointers have 4 bytes also with the default alignment of 4 that DMOD asks for there.
 */
#define _POSIX_C_SOURCE 200809L
#include "space.h"

#include "dmheap.h"
#include "plugin.h"
#include "variants.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HAS_SMALL_POINTERS (sizeof(void*) == 4)

static const char* const target = HAS_SMALL_POINTERS ? "32-bit" : "64-bit";

void space_fail(const struct space* space, const char* what, const char* name)
{
    fprintf(stderr, "%s: %s: %s\n", space->program, name, what);
    exit(EXIT_FAILURE);
}

/* ---- heaps ---------------------------------------------------------------------------- */

static bool init_align_4(void* arena, size_t size)
{
    return dmheap_init(arena, size, 4);
}

static void add_heap(struct space* space, const struct bench_allocator* heap)
{
    if (space->count == SPACE_MOST) {
        space_fail(space, "too many allocators", heap->name);
    }
    if (heap->owns_memory) {
        space_fail(space, "uses memory of its own, so its space is not comparable", heap->name);
    }
    space->heap[space->count++] = *heap;
}

static void add_dmheap(struct space* space, unsigned ways)
{
    for (unsigned i = 0; i < ways && i < bench_dmheap_count; i++) {
        add_heap(space, &bench_dmheap[i]);
    }
    if (HAS_SMALL_POINTERS && DMHEAP_HEADER_BYTES == 4) {
        struct bench_allocator narrow = bench_dmheap[0];
        narrow.name = "dmheap align 4";
        narrow.init = init_align_4;
        add_heap(space, &narrow);
    }
}

size_t space_alignment(const struct bench_allocator* heap)
{
    if (heap->init == init_align_4) {
        return 4;
    }
    return heap->init == bench_dmheap[0].init ? 8 : 0;
}

static void add_plugin(struct space* space, const char* path)
{
    const char* why = NULL;
    const char* const slash = strrchr(path, '/');
    const struct bench_allocator* heap = plugin_open(path, &why);
    if (heap == NULL) {
        space_fail(space, why, path);
    }
    add_heap(space, heap);
    space->plugin[space->count - 1] = slash == NULL ? path : slash + 1;
}

bool space_begin(const struct space* space, const struct bench_allocator* heap, size_t size)
{
    memset(space->arena, 0, size);
    return heap->init(space->arena, size);
}

/* ---- the command line ------------------------------------------------------------------- */

static FILE* open_file(const struct space* space, const char* name)
{
    FILE* file = fopen(name, "w");
    if (file == NULL) {
        space_fail(space, "cannot be written", name);
    }
    return file;
}

static unsigned read_number(const struct space* space, const char* text)
{
    char* end;
    const unsigned long number = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || number == 0 || number > 1000) {
        space_fail(space, "is no number from 1 to 1000", text);
    }
    return (unsigned)number;
}

static void take_option(struct space* space, int letter, const char* help)
{
    switch (letter) {
    case 'p':
        add_plugin(space, optarg);
        break;
    case 's':
        space->seeds = read_number(space, optarg);
        break;
    case 'j':
        space->json = open_file(space, optarg);
        break;
    case 'v':
        space->values = open_file(space, optarg);
        break;
    case 'h':
        fputs(help, stdout);
        exit(EXIT_SUCCESS);
    default:
        fputs("Try --help.\n", stderr);
        exit(EXIT_FAILURE);
    }
}

static void write_origin(const struct space* space)
{
    char date[32];
    const time_t now = time(NULL);
    strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&now));
    fprintf(space->json, "{\"target\":\"%s\",\"compiler\":\"%s\",\"date\":\"%s\"}\n", target,
            __VERSION__, date);
    for (unsigned i = 0; i < space->count; i++) {
        if (space->plugin[i] != NULL) {
            fprintf(space->json, "{\"target\":\"%s\",\"allocator\":\"%s\",\"plugin\":\"%s\"}\n",
                    target, space->heap[i].name, space->plugin[i]);
        }
    }
}

struct space space_open(int argc, char** argv, const char* help, unsigned ways, unsigned seeds)
{
    static const struct option with_seeds[] = {
        {"seeds", required_argument, NULL, 's'}, {"plugin", required_argument, NULL, 'p'},
        {"json", required_argument, NULL, 'j'},  {"values", required_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0}};
    const struct option* known = seeds != 0 ? with_seeds : with_seeds + 1;
    struct space space;
    void* arena = NULL;
    int letter;
    memset(&space, 0, sizeof(space));
    space.program = argv[0];
    space.seeds = seeds;
    if (posix_memalign(&arena, 64, SPACE_ARENA_MOST) != 0) {
        space_fail(&space, "out of memory", "arena");
    }
    space.arena = arena;
    add_dmheap(&space, ways);
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        take_option(&space, letter, help);
    }
    if (optind != argc) {
        space_fail(&space, "is no option", argv[optind]);
    }
    if (space.json != NULL) {
        write_origin(&space);
    }
    return space;
}

/* ---- figures ---------------------------------------------------------------------------- */

static void write_value(const struct space* space, const struct bench_allocator* heap,
                        const char* figure, double value)
{
    if (space->values == NULL) {
        return;
    }
    fprintf(space->values, "%s.", target);
    for (const char* c = heap->name; *c != '\0'; c++) {
        fputc(*c == ' ' ? '-' : *c, space->values);
    }
    fprintf(space->values, ".%s %.3f\n", figure, value);
}

static void write_json(const struct space* space, const struct bench_allocator* heap,
                       const char* figure, double value, const char* more, const char* unit)
{
    if (space->json != NULL) {
        fprintf(space->json,
                "{\"target\":\"%s\",\"allocator\":\"%s\",\"figure\":\"%s\",\"value\":%.3f,%s"
                "\"unit\":\"%s\"}\n",
                target, heap->name, figure, value, more, unit);
    }
}

void space_write(const struct space* space, const struct bench_allocator* heap, const char* figure,
                 double value, const char* unit)
{
    write_value(space, heap, figure, value);
    write_json(space, heap, figure, value, "", unit);
}

double space_write_mean(const struct space* space, const struct bench_allocator* heap,
                        const char* figure, const double* list, unsigned count, const char* unit)
{
    char more[96];
    double sum = 0;
    double least = list[0];
    double most = list[0];
    for (unsigned i = 0; i < count; i++) {
        sum += list[i];
        least = list[i] < least ? list[i] : least;
        most = list[i] > most ? list[i] : most;
    }
    snprintf(more, sizeof(more), "\"least\":%.3f,\"most\":%.3f,\"seeds\":%u,", least, most, count);
    write_value(space, heap, figure, sum / count);
    write_json(space, heap, figure, sum / count, more, unit);
    return sum / count;
}

static bool close_file(FILE* file)
{
    if (file == NULL) {
        return true;
    }
    const bool is_sound = ferror(file) == 0;
    return fclose(file) == 0 && is_sound;
}

int space_close(struct space* space)
{
    const bool json = close_file(space->json);
    const bool values = close_file(space->values);
    free(space->arena);
    if (!json || !values) {
        fprintf(stderr, "%s: the figures could not be written\n", space->program);
    }
    return json && values ? EXIT_SUCCESS : EXIT_FAILURE;
}
