/* SPDX-License-Identifier: MIT */
#include "figure.h"

#include <stdio.h>

void figure_print_hundredths(struct figure figure, uint32_t mean, uint32_t worst)
{
    printf("{\"target\":\"" TARGET_NAME "\",\"allocator\":\"%s\",\"workload\":\"%s\","
           "\"live\":%u,\"call\":\"%s\",\"mean\":%u.%02u,\"worst\":%u.%02u,"
           "\"unit\":\"instructions\"}\n",
           figure.allocator, figure.workload, (unsigned)figure.live, figure.call,
           (unsigned)(mean / 100), (unsigned)(mean % 100), (unsigned)(worst / 100),
           (unsigned)(worst % 100));
}

void figure_print(struct figure figure, const struct tally* tally)
{
    if (tally->calls != 0) {
        const uint64_t mean = (tally->sum * 100 + tally->calls / 2) / tally->calls;
        figure_print_hundredths(figure, (uint32_t)mean, tally->most * 100);
    }
}
