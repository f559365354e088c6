/* SPDX-License-Identifier: MIT */
/*
 * Writes an image of a heap to standard output, for dmheap-inspect to read: the heap's buffer, with
 * 64 bytes of other memory in front.
 *
 *     dump           a sound heap
 *     dump overrun   with a header that the client in front wrote over
 *     dump owner     with a block of a module that there is not
 *     dump canary    with a byte behind what a client may use written over
 *     dump gone      a sound heap that keeps the accounts of 80 modules that are gone, and no more
 *     dump report    a sound heap; its report goes to standard error, as text and then as JSON
 */
#include "dmheap.h"
#include "dmheap_ctx.h"

#include <stdio.h>
#include <string.h>

#define OWNER_UNKNOWN 0xC8 /* the upper bits of it in a header */

#define FRONT 64
#define SIZE  8192

#define CONFIG "conf <&\"> \\\t\xE9" /* to be escaped, in whatever format */

static union {
    unsigned char bytes[FRONT + SIZE];
    uint64_t align;
} memory __attribute__((aligned(64)));

/* Limits, reserves, a module that is gone, and what was refused. */
static bool keep_accounts(void)
{
#if DMHEAP_ACCOUNTING
    return dmheap_ctx_keep_dead(NULL, 3) && dmheap_malloc(200, "former") != NULL &&
           dmheap_ctx_set_limit(NULL, "former", 300) && dmheap_malloc(200, "former") == NULL &&
           dmheap_ctx_set_limit(NULL, "driver", 1000) &&
           dmheap_ctx_set_reserve(NULL, "network", 900);
#else
    return true;
#endif
}

/* More than are kept. The heap is a larger one. */
static bool dump_gone(void)
{
#if DMHEAP_ACCOUNTING
    static uint64_t room[4096];
    bool is_done = dmheap_init(room, sizeof(room), 8) && dmheap_ctx_keep_dead(NULL, 80);
    for (int i = 0; is_done && i < 90; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "gone#%d", i);
        is_done = dmheap_register_module(name);
        dmheap_unregister_module(name);
    }
    return is_done && fwrite(room, sizeof(room), 1, stdout) == 1;
#else
    return false;
#endif
}

static bool print_line(const char* line, void* context)
{
    return fprintf(context, "%s\n", line) > 0;
}

int main(int argc, char** argv)
{
    const char* what = argc > 1 ? argv[1] : "sound";
    char name[24];
    if (strcmp(what, "gone") == 0) {
        return dump_gone() ? 0 : 1;
    }
    memset(memory.bytes, 0x5A, FRONT);
    /* Their records come first, so that an overrun of the one hits the other. */
    if (!dmheap_init(memory.bytes + FRONT, SIZE, 8) || !dmheap_register_module(CONFIG) ||
        !dmheap_register_module("driver") || !keep_accounts()) {
        return 1;
    }
    dmheap_unregister_module("former");
    char* config = dmheap_malloc(100, CONFIG);
    char* driver = dmheap_malloc(300, "driver");
    char* hole = dmheap_malloc(500, NULL);
    char* frame = dmheap_aligned_alloc(64, 400, "network");
    for (int i = 0; i < 14; i++) {
        (void)snprintf(name, sizeof(name), "module#%d", i);
        if (dmheap_malloc(40, name) == NULL) {
            return 1;
        }
    }
    if (config == NULL || driver == NULL || hole == NULL || frame == NULL) {
        return 1;
    }
    dmheap_free(hole, false);
    if (strcmp(what, "overrun") == 0) {
        memset(config, 'x', 112);
    }
    if (strcmp(what, "owner") == 0) {
        ((unsigned char*)driver)[-1] = OWNER_UNKNOWN;
    }
    if (strcmp(what, "canary") == 0) {
        frame[dmheap_ctx_usable_size(NULL, frame) + 1] = 'x'; /* one that tells its alignment */
    }
    if (strcmp(what, "report") == 0 &&
        (!dmheap_ctx_report(NULL, DMHEAP_REPORT_ALL, print_line, stderr) ||
         !dmheap_ctx_report(NULL, DMHEAP_REPORT_ALL | DMHEAP_REPORT_JSON, print_line, stderr))) {
        return 1;
    }
    return fwrite(memory.bytes, sizeof(memory.bytes), 1, stdout) == 1 ? 0 : 1;
}
