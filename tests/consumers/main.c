/* SPDX-License-Identifier: MIT */
/* What every consumer here builds: both headers, one block. */
#include "dmheap.h"
#include "dmod.h"

static char memory[16384];

int main(void)
{
    if (!dmheap_init(memory, sizeof memory, 8)) {
        return 1;
    }
    void* block = dmheap_malloc(100, "consumer");
    dmheap_free(block, true);
    DMOD_LOG_INFO("consumer: %s\n", block != NULL ? "served" : "not served");
    return block != NULL ? 0 : 1;
}
