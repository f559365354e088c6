/* SPDX-License-Identifier: MIT */
/* A library that test_preload.c loads, and that the report has to name: it keeps what it allocates. */
#include <stdlib.h>

#define BLOCKS 3

void* plugin_block[BLOCKS];

int plugin_allocate(void);

/* All that it is asked for at once; 0: not served. */
int plugin_allocate(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        plugin_block[i] = malloc(1000);
        if (plugin_block[i] == NULL) {
            return 0;
        }
    }
    return 1;
}
