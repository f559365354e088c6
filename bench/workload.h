/* SPDX-License-Identifier: MIT */
/*
 * Workloads: what the benchmark asks allocators to do, as sequences of operations that are
 * generated before anything is measured and are the same for every allocator and machine.
 *
 * Knows: sizes, orders and numbers of calls. Does not know: allocators, clocks, output.
 * Freestanding C99 without any library, so the same file serves firmware; memory comes from
 * the caller. The same plan gives the same operations everywhere.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- one operation: 8 bytes ----------------------------------------------------------- */

enum workload_kind {
    WORKLOAD_ALLOCATE,     /* slot = malloc(size) */
    WORKLOAD_RELEASE,      /* free(slot) */
    WORKLOAD_RESIZE,       /* slot = realloc(slot, size) */
    WORKLOAD_ALIGNED,      /* slot = aligned_alloc(1 << tag, size) */
    WORKLOAD_ALLOCATE_FOR, /* slot = malloc(size) for module `tag` */
    WORKLOAD_UNLOAD,       /* free all blocks of module `tag` */
    WORKLOAD_KINDS
};

#define WORKLOAD_SLOTS   (1U << 24) /* so many blocks can be told apart */
#define WORKLOAD_MODULES 32U        /* so many modules, by the tag */

struct workload_op {
    uint32_t what; /* slot: 24 bits | kind: 3 | tag: 5 */
    uint32_t size;
};

static inline struct workload_op workload_make(enum workload_kind kind, uint32_t slot, uint32_t tag,
                                               uint32_t size)
{
    const struct workload_op op = {slot | (uint32_t)kind << 24 | tag << 27, size};
    return op;
}

static inline uint32_t workload_slot(struct workload_op op)
{
    return op.what & (WORKLOAD_SLOTS - 1U);
}

static inline enum workload_kind workload_kind(struct workload_op op)
{
    return (enum workload_kind)(op.what >> 24 & 7U);
}

static inline unsigned workload_tag(struct workload_op op)
{
    return op.what >> 27;
}

/* What each kind is called in tables and in names of figures. */
extern const char* const workload_call[WORKLOAD_KINDS];

/* ---- the workloads -------------------------------------------------------------------- */

enum workload_pattern {
    WORKLOAD_REPLACE, /* free a random one of the blocks, allocate one of a fresh size */
    WORKLOAD_STACK,   /* allocate `live` blocks, free them in reverse */
    WORKLOAD_REGROW,  /* resize a random one of the blocks to a fresh size */
    WORKLOAD_LOAD,    /* unload a random one of `live` modules, load it again */
    WORKLOAD_SCENE    /* a few calls that take every path once, behind `live` blocks */
};

struct workload {
    const char* name; /* in tables and in names of figures: one word */
    const char* about;
    enum workload_pattern pattern;
    uint32_t least, most; /* sizes in bytes */
    bool octaves;         /* log-uniform: each doubling as likely as another; else uniform */
    uint8_t alignment;    /* log2 of what is asked for; 0: malloc */
    bool owned;           /* blocks belong to modules, and go with them */
    uint32_t worked;      /* replace only the last so many blocks; 0: any */
    uint32_t usual[4];    /* numbers of live blocks it is usually measured at, up to a 0 */
};

extern const struct workload workloads[];
extern const unsigned workload_count;

/* NULL: there is none of that name. */
const struct workload* workload_find(const char* name);

/* Is a malloc paired with every free, so that the pair is what is worth a figure? */
bool workload_is_pairs(const struct workload* workload);

/* Has it operations of that kind? */
bool workload_uses(const struct workload* workload, enum workload_kind kind);

/* ---- sequences ------------------------------------------------------------------------ */

struct workload_plan {
    const struct workload* workload;
    uint32_t live;     /* blocks, no fewer than `worked`; of a load, at most WORKLOAD_MODULES */
    uint32_t settle;   /* units of work that come before the measured ones */
    uint32_t measured; /* units of work: replacements, rounds of a stack, resizes, loads, scenes */
    uint32_t seed;     /* any */
};

/* On a PC: 2 * live + 20000 calls or pairs to settle, then `measured` of them, about. */
struct workload_plan workload_usual_plan(const struct workload* workload, uint32_t live,
                                         uint32_t measured);

struct workload_sequence {
    const struct workload_op* op;
    uint32_t unmeasured; /* the operations in front fill the heap and let it settle */
    uint32_t count;      /* all operations, whether there was room for them or not */
    uint32_t slots;      /* blocks that the operations tell apart, all NULL at first */
};

/*
 * Write the operations of `plan` to `op`, as many as fit into `capacity`. With a capacity of 0,
 * `op` may be NULL: that is how to ask for the count. A sequence is complete if its count is not
 * above the capacity.
 */
struct workload_sequence workload_generate(const struct workload_plan* plan, struct workload_op* op,
                                           uint32_t capacity);

/* The largest heap that blocks with 4-byte headers can fill. */
#define WORKLOAD_ARENA ((size_t)16 << 20)

/*
 * Bytes of a heap that serves the plan at ease: more than twice of what is live on average; but
 * WORKLOAD_ARENA where that much suffices and twice would be more. Workloads that compare the same
 * calls behind few and behind many blocks always get WORKLOAD_ARENA.
 */
size_t workload_arena(const struct workload_plan* plan);

#endif
