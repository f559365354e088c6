/* SPDX-License-Identifier: MIT */
/*
 * A system of the later generation in a DMOD tree: prints what of dmheap DMOD's loader would find,
 * and allocates through a function that it finds there, as a module does.
 */
#include "dmod.h"
#include "dmheap.h"

#include <stdio.h>
#include <string.h>

extern const Dmod_ApiRegistration_t __dmod_inputs_start[];
extern const Dmod_ApiRegistration_t __dmod_inputs_end[];

typedef void* (*ctx_malloc)(dmheap_context_t* ctx, size_t size, const char* module_name);

static char memory[65536];

int main(void)
{
    void* block = NULL;
    dmheap_context_t* ctx = dmheap_init(memory, sizeof memory, sizeof(void*));
    for (const Dmod_ApiRegistration_t* at = __dmod_inputs_start; at < __dmod_inputs_end; at++) {
        if (strstr(at->Signature, "@dmheap:") != NULL) {
            printf("record %s\n", at->Signature + 6);
        }
        if (strcmp(at->Signature, "\021DMBI\022_ctx_malloc@dmheap:1.0") == 0) {
            block = ((ctx_malloc)at->Function)(ctx, 100, "module");
        }
    }
    return (uintptr_t)block - (uintptr_t)memory < sizeof memory ? 0 : 1;
}
