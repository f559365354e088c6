/* SPDX-License-Identifier: MIT */
/*
 * The picture, see figure.h. gnuplot reads commands and data from a pipe; nothing else is written.
 */
#define _POSIX_C_SOURCE 200809L
#include "figure.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LIMIT 2.0 /* times the reference's highest: lines above leave the picture */

const uint32_t figure_live[] = {100, 300, 1000, 3000, 10000, 30000, 100000, 0};

static bool has_any(const struct results* results, const struct workload* workload,
                    const char* allocator)
{
    for (const uint32_t* live = figure_live; *live != 0; live++) {
        const struct point point = {workload, *live};
        if (results_find(results, allocator, point, results_overall(workload)) != NULL) {
            return true;
        }
    }
    return false;
}

/* What takes several times as long as the reference would press all others to the ground. */
static void limit_cost(FILE* gnuplot, const struct results* results,
                       const struct workload* workload)
{
    double most = 0;
    for (const uint32_t* live = figure_live; *live != 0; live++) {
        const struct point point = {workload, *live};
        const struct result* result =
            results_find(results, results->reference, point, results_overall(workload));
        if (result != NULL && result->mean > most) {
            most = result->mean;
        }
    }
    if (most > 0) {
        fprintf(gnuplot, "set yrange [0:%.3f]\n", LIMIT * most);
    } else {
        fprintf(gnuplot, "set yrange [0:*]\n");
    }
}

static void write_axes(FILE* gnuplot, const struct results* results,
                       const struct workload* workload, const char* path)
{
    fprintf(gnuplot,
            "set terminal svg size 800,500 background rgb 'white'\n"
            "set output '%s'\n"
            "set title \"%s: %s\"\n"
            "set xlabel 'live blocks'\n"
            "set ylabel '%s per %s'\n"
            "set logscale x\nset grid\nset key outside right\n",
            path, workload->name, workload->about, results->unit, results_overall(workload));
    limit_cost(gnuplot, results, workload);
}

static void write_line(FILE* gnuplot, const struct results* results,
                       const struct workload* workload, const char* allocator)
{
    for (const uint32_t* live = figure_live; *live != 0; live++) {
        const struct point point = {workload, *live};
        const struct result* result =
            results_find(results, allocator, point, results_overall(workload));
        if (result != NULL && result->mean > 0) {
            fprintf(gnuplot, "%u %.3f\n", (unsigned)*live, result->mean);
        }
    }
    fprintf(gnuplot, "e\n");
}

bool figure_draw(const struct results* results, const struct workload* workload,
                 const struct bench_allocator* const* subjects, unsigned count, const char* path)
{
    const char* separator = "plot";
    signal(SIGPIPE, SIG_IGN); /* where there is no gnuplot, pclose tells */
    FILE* gnuplot = popen("gnuplot", "w");
    if (gnuplot == NULL) {
        perror("gnuplot");
        return false;
    }
    write_axes(gnuplot, results, workload, path);
    for (unsigned i = 0; i < count; i++) {
        if (has_any(results, workload, subjects[i]->name)) {
            fprintf(gnuplot, "%s '-' with linespoints linewidth %d title '%s' noenhanced",
                    separator, strncmp(subjects[i]->name, "dmheap", 6) == 0 ? 3 : 1,
                    subjects[i]->name);
            separator = ",";
        }
    }
    fprintf(gnuplot, "\n");
    for (unsigned i = 0; i < count; i++) {
        if (has_any(results, workload, subjects[i]->name)) {
            write_line(gnuplot, results, workload, subjects[i]->name);
        }
    }
    if (pclose(gnuplot) != 0) {
        fputs("bench: gnuplot drew no picture\n", stderr);
        return false;
    }
    return true;
}
