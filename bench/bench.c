/* SPDX-License-Identifier: MIT */
/*
 * The benchmark: the same calls for every allocator, their time or their instructions.
 *
 * Knows: the command line, and which allocators and workloads there are. What is measured and how
 * stands in timing.h and count.h.
 */
#define _GNU_SOURCE
#include "count.h"
#include "figure.h"
#include "installed.h"
#include "plugin.h"
#include "results.h"
#include "timing.h"
#include "variants.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: bench [options]\n"
    "Time of allocators at the same work, or with --count their instructions, as ratios to one.\n"
    "\n"
    "  --plugin FILE      an allocator in a shared object, see bench/allocator.h; repeatable\n"
    "  --no-installed     leave out what the host has: glibc, mimalloc, jemalloc\n"
    "  --allocator NAME   only this one; repeatable\n"
    "  --workload NAME    only this one, or at one number of live blocks as in small:1000;\n"
    "                     repeatable\n"
    "  --reference NAME   what is 1.00; default: the first plug-in, else glibc\n"
    "  --count            instructions of each call, exactly; runs itself under valgrind\n"
    "  --measured N       calls or pairs that are measured; default: 100000, counted 5000\n"
    "  --runs N           of which the fastest counts; default: 9\n"
    "  --json FILE        the figures as JSON, one object a line\n"
    "  --values FILE      the figures as `name value` lines, for bench/ceilings.sh\n"
    "  --figure FILE.svg  a picture of the first workload's cost against its live blocks\n"
    "  --help             this text\n";

/* ---- what is asked for ------------------------------------------------------------------ */

#define MOST 64U

struct names {
    const char* name[MOST];
    unsigned count;
};

struct options {
    struct names plugins, allocators, workloads;
    const char* reference;
    const char* json;
    const char* values;
    const char* figure;
    uint32_t measured; /* 0: the usual number */
    unsigned runs;
    bool installed, count, inside;
};

static void fail(const char* what, const char* name)
{
    fprintf(stderr, "bench: %s: %s\n", name, what);
    exit(EXIT_FAILURE);
}

static void append(struct names* names, const char* name)
{
    if (names->count == MOST) {
        fail("too many of these", name);
    }
    names->name[names->count++] = name;
}

static bool contains(const struct names* names, const char* name)
{
    for (unsigned i = 0; i < names->count; i++) {
        if (strcmp(names->name[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static uint32_t read_number(const char* text)
{
    char* end;
    const unsigned long number = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || number == 0 || number >= WORKLOAD_SLOTS) {
        fail("is no number from 1 to 16777215", text);
    }
    return (uint32_t)number;
}

static void take_option(struct options* options, int letter)
{
    switch (letter) {
    case 'p':
        append(&options->plugins, optarg);
        break;
    case 'n':
        options->installed = false;
        break;
    case 'a':
        append(&options->allocators, optarg);
        break;
    case 'w':
        append(&options->workloads, optarg);
        break;
    case 'r':
        options->reference = optarg;
        break;
    case 'c':
        options->count = true;
        break;
    case 'i':
        options->inside = true;
        break;
    case 'm':
        options->measured = read_number(optarg);
        break;
    case 'u':
        options->runs = read_number(optarg);
        break;
    case 'j':
        options->json = optarg;
        break;
    case 'v':
        options->values = optarg;
        break;
    case 'f':
        options->figure = optarg;
        break;
    case 'h':
        fputs(help, stdout);
        exit(EXIT_SUCCESS);
    default:
        fputs("Try --help.\n", stderr);
        exit(EXIT_FAILURE);
    }
}

static struct options read_options(int argc, char** argv)
{
    static const struct option known[] = {{"plugin", required_argument, NULL, 'p'},
                                          {"no-installed", no_argument, NULL, 'n'},
                                          {"allocator", required_argument, NULL, 'a'},
                                          {"workload", required_argument, NULL, 'w'},
                                          {"reference", required_argument, NULL, 'r'},
                                          {"count", no_argument, NULL, 'c'},
                                          {"inside", no_argument, NULL, 'i'}, /* for --count */
                                          {"measured", required_argument, NULL, 'm'},
                                          {"runs", required_argument, NULL, 'u'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"values", required_argument, NULL, 'v'},
                                          {"figure", required_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options options;
    int letter;
    memset(&options, 0, sizeof(options));
    options.installed = true;
    options.runs = 9;
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        take_option(&options, letter);
    }
    if (optind != argc) {
        fail("is no option", argv[optind]);
    }
    if (options.measured == 0) {
        options.measured = options.count ? 5000 : 100000;
    }
    return options;
}

/* ---- allocators ------------------------------------------------------------------------- */

struct subjects {
    const struct bench_allocator* list[MOST];
    unsigned count;
};

static void add_subject(struct subjects* subjects, const struct options* options,
                        const struct bench_allocator* allocator)
{
    if (options->allocators.count != 0 && !contains(&options->allocators, allocator->name)) {
        return;
    }
    if (subjects->count == MOST) {
        fail("too many allocators", allocator->name);
    }
    subjects->list[subjects->count++] = allocator;
}

static const struct bench_allocator* open_plugin(const char* path)
{
    const char* why = NULL;
    const struct bench_allocator* allocator = plugin_open(path, &why);
    if (allocator == NULL) {
        fail(why, path);
    }
    return allocator;
}

static struct subjects find_subjects(struct options* options)
{
    struct subjects subjects = {{NULL}, 0};
    for (unsigned i = 0; i < bench_dmheap_count; i++) {
        add_subject(&subjects, options, &bench_dmheap[i]);
    }
    for (unsigned i = 0; i < options->plugins.count; i++) {
        const struct bench_allocator* allocator = open_plugin(options->plugins.name[i]);
        if (options->reference == NULL) {
            options->reference = allocator->name;
        }
        add_subject(&subjects, options, allocator);
    }
    for (unsigned i = 0; options->installed && i < INSTALLED_COUNT; i++) {
        const struct bench_allocator* allocator = installed_open(i);
        if (allocator != NULL) {
            add_subject(&subjects, options, allocator);
        }
    }
    if (options->reference == NULL) {
        options->reference = "glibc";
    }
    if (subjects.count == 0) {
        fail("there is no such allocator", options->allocators.name[0]);
    }
    return subjects;
}

/* ---- workloads -------------------------------------------------------------------------- */

struct points {
    struct point list[MOST];
    unsigned count;
};

/* A sequence tells so many modules apart, and replaces the last blocks of at least so many. */
static void check_live(const struct workload* workload, uint32_t live)
{
    char why[64];
    if (workload->pattern == WORKLOAD_LOAD && live > WORKLOAD_MODULES) {
        snprintf(why, sizeof(why), "has at most %u modules, not %u", (unsigned)WORKLOAD_MODULES,
                 (unsigned)live);
        fail(why, workload->name);
    }
    if (live < workload->worked) {
        snprintf(why, sizeof(why), "has at least %u blocks, not %u", (unsigned)workload->worked,
                 (unsigned)live);
        fail(why, workload->name);
    }
}

static void add_point(struct points* points, const struct workload* workload, uint32_t live)
{
    check_live(workload, live);
    if (points->count < MOST) {
        const struct point point = {workload, live};
        points->list[points->count++] = point;
    }
}

static void add_usual_points(struct points* points, const struct workload* workload)
{
    for (unsigned i = 0; i < 4 && workload->usual[i] != 0; i++) {
        add_point(points, workload, workload->usual[i]);
    }
}

/* NAME or NAME:LIVE */
static void add_named_points(struct points* points, const char* text)
{
    char name[32];
    const char* colon = strchrnul(text, ':');
    snprintf(name, sizeof(name), "%.*s", (int)(colon - text), text);
    const struct workload* workload = workload_find(name);
    if (workload == NULL) {
        fail("there is no such workload", name);
    } else if (*colon == '\0') {
        add_usual_points(points, workload);
    } else {
        add_point(points, workload, read_number(colon + 1));
    }
}

/* Those that compare few with many blocks, call by call, say something of counts only. */
static bool is_usual(const struct workload* workload, const struct options* options)
{
    return options->count || (workload->pattern != WORKLOAD_SCENE && workload->worked == 0);
}

static struct points find_points(const struct options* options)
{
    struct points points = {{{NULL, 0}}, 0};
    for (unsigned i = 0; i < options->workloads.count; i++) {
        add_named_points(&points, options->workloads.name[i]);
    }
    for (unsigned i = 0; options->workloads.count == 0 && i < workload_count; i++) {
        if (is_usual(&workloads[i], options)) {
            add_usual_points(&points, &workloads[i]);
        }
    }
    return points;
}

static bool has_point(const struct points* points, struct point point)
{
    for (unsigned i = 0; i < points->count; i++) {
        if (points->list[i].workload == point.workload && points->list[i].live == point.live) {
            return true;
        }
    }
    return false;
}

/* The picture needs more numbers of live blocks than the tables. */
static void add_figure_points(struct points* points)
{
    const struct workload* workload = points->list[0].workload;
    for (const uint32_t* live = figure_live; *live != 0; live++) {
        const struct point point = {workload, *live};
        if (!has_point(points, point)) {
            add_point(points, workload, *live);
        }
    }
}

/* ---- measuring -------------------------------------------------------------------------- */

/* This program again, for one allocator and one point, as --count has it run under valgrind. */
static void count_one(struct results* results, const struct options* options, struct point point,
                      const struct bench_allocator* allocator)
{
    char self[4096];
    char workload[64];
    char measured[16];
    const char* command[2 * MOST + 16] = {self,         "--inside", "--measured",  measured,
                                          "--workload", workload,   "--allocator", allocator->name};
    unsigned count = 8;
    const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[length < 0 ? 0 : length] = '\0';
    snprintf(workload, sizeof(workload), "%s:%u", point.workload->name, (unsigned)point.live);
    snprintf(measured, sizeof(measured), "%u", (unsigned)options->measured);
    for (unsigned i = 0; i < options->plugins.count; i++) {
        command[count++] = "--plugin";
        command[count++] = options->plugins.name[i];
    }
    command[count] = NULL;
    count_point(results, point, options->measured, allocator, command);
}

static void measure(struct results* results, const struct options* options,
                    const struct subjects* subjects, struct point point)
{
    if (!options->count) {
        timing_point(results, point, options->measured, options->runs, subjects->list,
                     subjects->count);
    }
    for (unsigned i = 0; options->count && i < subjects->count; i++) {
        count_one(results, options, point, subjects->list[i]);
    }
    results_print(results, point);
}

static void write_file(const struct results* results, const char* path,
                       void (*write)(const struct results*, FILE*))
{
    FILE* file = path == NULL ? NULL : fopen(path, "w");
    if (path == NULL) {
        return;
    }
    if (file == NULL) {
        fail("cannot be written", path);
    }
    write(results, file);
    if (fclose(file) != 0) {
        fail("cannot be written", path);
    }
}

#if defined(__x86_64__)
#define TARGET "x86-64"
#elif defined(__i386__)
#define TARGET "x86-32"
#else
#define TARGET "host"
#endif

int main(int argc, char** argv)
{
    struct options options = read_options(argc, argv);
    const struct subjects subjects = find_subjects(&options);
    struct points points = find_points(&options);
    struct results results = {
        TARGET, options.count ? "instructions" : "ns", options.reference, NULL, 0, 0};
    if (options.inside) {
        return count_inside(points.list[0], options.measured, subjects.list[0]);
    }
    if (options.figure != NULL) {
        add_figure_points(&points);
    }
    for (unsigned i = 0; i < points.count; i++) {
        measure(&results, &options, &subjects, points.list[i]);
    }
    write_file(&results, options.json, results_write_json);
    write_file(&results, options.values, results_write_values);
    const bool drawn =
        options.figure == NULL || figure_draw(&results, points.list[0].workload, subjects.list,
                                              subjects.count, options.figure);
    results_close(&results);
    return drawn ? EXIT_SUCCESS : EXIT_FAILURE;
}
