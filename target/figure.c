/* SPDX-License-Identifier: MIT */
/*
 * Figures as lines of JSON, see figure.h: one line each, on the firmware's output.
 *
 * Knows: the keys of a line, and the board's name by TARGET_NAME. Does not know: who counted.
 * Fractions are printed as hundredths in two integers, for a board's printf may know no others.
 */
#include "figure.h"

#include <stdio.h>

static void print_begin(struct figure figure)
{
    printf("{\"target\":\"" TARGET_NAME "\",\"allocator\":\"%s\",\"workload\":\"%s\","
           "\"live\":%u,\"call\":\"%s\",",
           figure.allocator, figure.workload, (unsigned)figure.live, figure.call);
}

void figure_print(struct figure figure, const struct tally* tally, uint32_t worst)
{
    if (tally->calls != 0) {
        print_begin(figure);
        printf("\"calls\":%u,\"sum\":%u,\"worst\":%u}\n", (unsigned)tally->calls,
               (unsigned)tally->sum, (unsigned)worst);
    }
}

void figure_print_mean(struct figure figure, uint32_t mean, uint32_t worst)
{
    print_begin(figure);
    printf("\"mean\":%u.%02u,\"worst\":%u.%02u}\n", (unsigned)(mean / 100), (unsigned)(mean % 100),
           (unsigned)(worst / 100), (unsigned)(worst % 100));
}

void figure_print_left_out(struct figure figure, const char* why)
{
    print_begin(figure);
    printf("\"left_out\":\"%s\"}\n", why);
}

void figure_print_worst(struct figure figure, uint32_t worst)
{
    print_begin(figure);
    printf("\"worst\":%u}\n", (unsigned)worst);
}
