/* SPDX-License-Identifier: MIT */
/*
 * What was measured, see results.h. A list that is short enough to be searched from its begin.
 */
#define _POSIX_C_SOURCE 200809L
#include "results.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the list --------------------------------------------------------------------------- */

void results_add(struct results* results, struct result result)
{
    if (results->count == results->capacity) {
        results->capacity = 2 * results->capacity + 64;
        results->list = realloc(results->list, results->capacity * sizeof(result));
        if (results->list == NULL) {
            fputs("bench: out of memory\n", stderr);
            exit(EXIT_FAILURE);
        }
    }
    results->list[results->count++] = result;
}

void results_close(struct results* results)
{
    for (size_t i = 0; i < results->count; i++) {
        free(results->list[i].singles);
    }
    free(results->list);
    results->list = NULL;
    results->count = results->capacity = 0;
}

const char* results_overall(const struct workload* workload)
{
    return workload_is_pairs(workload) ? RESULTS_PAIR : RESULTS_CALL;
}

static bool same_point(struct point one, struct point other)
{
    return one.workload == other.workload && one.live == other.live;
}

static bool is_overall(const struct result* result)
{
    return strcmp(result->call, results_overall(result->point.workload)) == 0;
}

const struct result* results_find(const struct results* results, const char* allocator,
                                  struct point point, const char* call)
{
    for (size_t i = 0; i < results->count; i++) {
        const struct result* result = &results->list[i];
        if (result->note == NULL && same_point(result->point, point) &&
            strcmp(result->allocator, allocator) == 0 && strcmp(result->call, call) == 0) {
            return result;
        }
    }
    return NULL;
}

double results_ratio(const struct results* results, const struct result* result)
{
    const struct result* reference =
        results_find(results, results->reference, result->point, result->call);
    return reference == NULL || reference->mean <= 0 ? -1 : result->mean / reference->mean;
}

/* ---- the table -------------------------------------------------------------------------- */

static void print_singles(const struct result* result)
{
    for (uint32_t i = 0; i < result->single_count; i++) {
        printf("%s%u", i == 0 ? "  call by call: " : ", ", (unsigned)result->singles[i]);
    }
    if (result->single_count != 0) {
        printf("\n");
    }
}

static void print_row(const struct results* results, const struct result* overall)
{
    const double ratio = results_ratio(results, overall);
    printf("  %-15s %17.1f ", overall->allocator, overall->mean);
    if (ratio >= 0) {
        printf("%7.2f", ratio);
    } else {
        printf("%7s", "-");
    }
    for (size_t i = 0; i < results->count; i++) {
        const struct result* result = &results->list[i];
        if (result->note == NULL && same_point(result->point, overall->point) &&
            strcmp(result->allocator, overall->allocator) == 0 && !is_overall(result)) {
            printf("  %s %.1f", result->call, result->mean);
            if (result->worst >= 0) {
                printf(", worst %.0f;", result->worst);
            }
        }
    }
    printf("\n");
    print_singles(overall);
}

void results_print(const struct results* results, struct point point)
{
    char unit[32];
    printf("%s, %u live: %s\n", point.workload->name, (unsigned)point.live, point.workload->about);
    snprintf(unit, sizeof(unit), "%s/%s", results->unit, results_overall(point.workload));
    printf("  %-15s %17s   ratio\n", "", unit);
    for (size_t i = 0; i < results->count; i++) {
        const struct result* result = &results->list[i];
        if (!same_point(result->point, point) || !is_overall(result)) {
            continue;
        }
        if (result->note != NULL) {
            printf("  %-15s left out: %s\n", result->allocator, result->note);
        } else {
            print_row(results, result);
        }
    }
    fflush(stdout);
}

/* ---- JSON ------------------------------------------------------------------------------- */

/* The names and notes here need no more than this. */
static void write_text(FILE* file, const char* text)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', file);
        }
        fputc(*text, file);
    }
    fputc('"', file);
}

static void write_field(FILE* file, const char* name, const char* text)
{
    fprintf(file, "\"%s\":", name);
    write_text(file, text);
    fputc(',', file);
}

#if defined(__clang__)
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* As Linux tells it. */
static void read_processor(char* name, size_t size)
{
    char line[256];
    FILE* file = fopen("/proc/cpuinfo", "r");
    snprintf(name, size, "unknown");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char* colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(name, size, "%s", colon + 2);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void write_machine(const struct results* results, FILE* file)
{
    char processor[128];
    char date[32];
    const time_t now = time(NULL);
    read_processor(processor, sizeof(processor));
    strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&now));
    fputc('{', file);
    write_field(file, "target", results->target);
    write_field(file, "machine", processor);
    write_field(file, "compiler", COMPILER);
    fprintf(file, "\"date\":\"%s\"}\n", date);
}

static void write_result(const struct results* results, const struct result* result, FILE* file)
{
    fputc('{', file);
    write_field(file, "target", results->target);
    write_field(file, "allocator", result->allocator);
    write_field(file, "workload", result->point.workload->name);
    fprintf(file, "\"live\":%u,", (unsigned)result->point.live);
    write_field(file, "call", result->call);
    if (result->note != NULL) {
        write_field(file, "left_out", result->note);
    } else {
        const double ratio = results_ratio(results, result);
        fprintf(file, "\"mean\":%.3f,", result->mean);
        if (result->worst >= 0) {
            fprintf(file, "\"worst\":%.0f,", result->worst);
        }
        if (ratio >= 0) {
            write_field(file, "reference", results->reference);
            fprintf(file, "\"ratio\":%.4f,", ratio);
        }
    }
    fprintf(file, "\"unit\":\"%s\"}\n", results->unit);
}

void results_write_json(const struct results* results, FILE* file)
{
    write_machine(results, file);
    for (size_t i = 0; i < results->count; i++) {
        write_result(results, &results->list[i], file);
    }
}

/* ---- values for the ceilings -------------------------------------------------------------- */

static void write_name(const struct results* results, const struct result* result, FILE* file)
{
    fprintf(file, "%s.", results->target);
    for (const char* letter = result->allocator; *letter != '\0'; letter++) {
        fputc(*letter == ' ' ? '-' : *letter, file);
    }
    fprintf(file, ".%s.", result->point.workload->name);
}

static void write_value(const struct results* results, const struct result* result,
                        const char* figure, double value, FILE* file)
{
    write_name(results, result, file);
    fprintf(file, "%u.%s.%s %.3f\n", (unsigned)result->point.live, result->call, figure, value);
}

/* Of the same workload with the fewest live blocks; NULL: this is it. */
static const struct result* with_fewest(const struct results* results, const struct result* result)
{
    const struct point fewest = {result->point.workload, result->point.workload->usual[0]};
    return result->point.live == fewest.live
               ? NULL
               : results_find(results, result->allocator, fewest, result->call);
}

static bool has_most(const struct result* result)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < 4 && result->point.workload->usual[i] != 0; i++) {
        most = result->point.workload->usual[i];
    }
    return result->point.live == most;
}

static unsigned count_differences(const struct result* few, const struct result* many)
{
    unsigned differences = 0;
    if (few->single_count != many->single_count) {
        return many->single_count;
    }
    for (uint32_t i = 0; i < few->single_count; i++) {
        differences += few->singles[i] != many->singles[i];
    }
    return differences;
}

static void write_growth(const struct results* results, const struct result* result, FILE* file)
{
    const struct result* fewest = with_fewest(results, result);
    if (fewest == NULL || !has_most(result) || !is_overall(result)) {
        return;
    }
    write_name(results, result, file);
    fprintf(file, "growth %.4f\n", result->mean / fewest->mean);
    if (result->singles != NULL) {
        write_name(results, result, file);
        fprintf(file, "differences %u\n", count_differences(fewest, result));
    }
}

void results_write_values(const struct results* results, FILE* file)
{
    for (size_t i = 0; i < results->count; i++) {
        const struct result* result = &results->list[i];
        if (result->note != NULL) {
            continue;
        }
        write_value(results, result, "mean", result->mean, file);
        if (result->worst >= 0) {
            write_value(results, result, "worst", result->worst, file);
        }
        write_growth(results, result, file);
    }
}
