/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the lower layers share: cmocka, a repeatable random number, and a context
 * that is laid out by hand in memory whose ends the address sanitizer watches.
 */
#ifndef DMHEAP_LAYER_TEST_H
#define DMHEAP_LAYER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dmheap_live.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A case about what not every setting has: elsewhere it is left out of the list. */
#define layer_case_if(condition, function)                               \
    {                                                                    \
        .name = #function, .test_func = (condition) ? (function) : NULL, \
    }

static inline uint32_t layer_random(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(state >> 32);
}

/* All bins of a context, and behind them the live map, whose words are as wide as an address. */
#define LAYER_CLASSES (DMHEAP_INDEX_ROWS * 32U)
#define LAYER_BINS    (offsetof(struct dmheap_ctx, bin) + LAYER_CLASSES * sizeof(dmheap_word))
#define LAYER_LIVE    ((LAYER_BINS + sizeof(uintptr_t) - 1) & ~(sizeof(uintptr_t) - 1))

/*
 * A context of `granules` granules that begins and ends with its memory. Where blocks would be
 * there is only zeroed memory from ctx->first on, a multiple of a word.
 */
static inline struct dmheap_ctx* layer_ctx_make(unsigned granule_shift, size_t granules)
{
    const size_t bytes = granules << granule_shift;
    const size_t map_bytes = (size_t)live_map_bytes((dmheap_word)granules);
    struct dmheap_ctx* ctx = calloc(1, bytes);
    assert_non_null(ctx);
    assert_true(bytes > LAYER_LIVE + map_bytes + 64);
    ctx->granule_shift = granule_shift;
    ctx->granules = (dmheap_word)granules;
    ctx->live = (dmheap_word)LAYER_LIVE;
    ctx->first = (dmheap_word)bits_round_up(LAYER_LIVE + map_bytes, sizeof(dmheap_word));
    ctx->end = (dmheap_word)(bytes - sizeof(dmheap_word));
    ctx->top = ctx->end;
    return ctx;
}

#endif
