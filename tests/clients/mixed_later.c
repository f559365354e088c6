/* SPDX-License-Identifier: MIT */
/* The file of the later generation, and the program. */
#include "mixed.h"
#include "dmheap.h"

#include "report.h"

#include <string.h>

static char memory[8192];
static dmheap_context_t* ctx;

static void note_owner(void* address, size_t size, const char* owner_name, void* user_data)
{
    void** wanted = (void**)user_data;
    if (address == wanted[0] && size >= 100 && owner_name != NULL &&
        strcmp(owner_name, "app") == 0) {
        wanted[1] = address;
    }
}

static void both_share_the_heaps(void)
{
    CHECK_THAT(!first_is_initialized());
    ctx = dmheap_init(memory, sizeof memory, 8);
    CHECK_THAT(ctx != NULL && first_is_initialized());
    void* wanted[2] = {first_allocate(100, "app"), NULL};
    CHECK_THAT((uintptr_t)wanted[0] - (uintptr_t)memory < sizeof memory);
    dmheap_for_each_used_block(ctx, note_owner, wanted);
    CHECK_THAT(wanted[1] == wanted[0]);
    dmheap_free(NULL, wanted[0], true);
    void* const other = dmheap_malloc(ctx, 100, "app");
    CHECK_THAT(other == wanted[0]);
    first_free(other);
    dmheap_unregister_module(NULL, "app");
    CHECK_THAT(first_allocate(7000, NULL) != NULL);
}

/* dmheap_init of the first generation forgets all heaps. */
static void the_first_may_start_afresh(void)
{
    CHECK_THAT(first_starts_afresh());
    CHECK_THAT(!dmheap_is_initialized(ctx));
    CHECK_THAT(dmheap_get_default_context_count() == 1);
    CHECK_THAT(dmheap_malloc(ctx, 10, "app") == NULL);
    CHECK_THAT(dmheap_malloc(NULL, 10, "app") != NULL);
}

int main(void)
{
    report_topic("both share the heaps", both_share_the_heaps);
    report_topic("the first may start afresh", the_first_may_start_afresh);
    return report_end();
}
