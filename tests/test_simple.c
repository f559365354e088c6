/* SPDX-License-Identifier: MIT */
/* The shortest use of the heap: start it, take memory, write to it, give it back. */
#include "dmheap.h"

#include <stdio.h>
#include <string.h>

static unsigned char buffer[65536];

static int failures;

static void show(const char* step, bool passed)
{
    printf("%s: %s\n", step, passed ? "PASS" : "FAIL");
    failures += !passed;
}

int main(void)
{
    printf("=== Simple DMHEAP Test ===\n");
    show("Init", dmheap_init(buffer, sizeof(buffer), 8));
    show("Is Initialized", dmheap_is_initialized());

    char* text = dmheap_malloc(100, NULL);
    show("Malloc", text != NULL);
    if (text == NULL) {
        return 1;
    }
    (void)strcpy(text, "Hello, heap!");
    show("Write", strcmp(text, "Hello, heap!") == 0);

    /* Free means free: the next block of that size is the same memory. */
    dmheap_free(text, true);
    show("Free", dmheap_malloc(100, NULL) == text);

    if (failures != 0) {
        printf("\n%d steps failed\n", failures);
        return 1;
    }
    printf("\nAll simple tests completed!\n");
    return 0;
}
