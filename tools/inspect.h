/* SPDX-License-Identifier: MIT */
/*
 * What dmheap-inspect knows of a heap: read once from an image, then shown in several ways.
 *
 * Knows: blocks and modules, as numbers and text of the host. Does not know: formats of heaps,
 * which only inspect_image.c knows, and how anything is shown, which only the others know.
 * Always holds: a piece of memory for every byte between the first block and the heap's end, in
 * their order; whatever the image says.
 */
#ifndef DMHEAP_INSPECT_H
#define DMHEAP_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define INSPECT_OWNERS     4096U /* as many as headers can tell */
#define INSPECT_NAME_BYTES 80U   /* for a module's name, of any bytes, or words for none */
#define INSPECT_BINS       64U   /* of the histogram, one a power of two */
#define INSPECT_REASONS    4U    /* to refuse a request, in the order of enum dmheap_reason */

#define INSPECT_ANY UINT64_MAX /* bytes without a limit, or more than can be told */

enum inspect_kind {
    INSPECT_FREE,
    INSPECT_UNTOUCHED, /* the end of the heap that was never used, or is not any more */
    INSPECT_LIVE,
    INSPECT_OWN, /* the heap's */
    INSPECT_LOST /* not readable: tags contradict the live map, or the image is too short */
};

/* A piece of the heap's memory. */
struct inspect_block {
    uint64_t address; /* of what malloc gave */
    uint64_t start;   /* bytes from the first block to the header */
    uint64_t size;    /* the header included */
    enum inspect_kind kind;
    unsigned owner;
    uint32_t number; /* how many allocations there were until it came; 0: nobody counted */
    bool is_damaged; /* live, but its size is a guess */
};

/* What an owner held, might hold and was refused, in a heap that keeps accounts. */
struct inspect_account {
    uint64_t bytes;
    uint64_t blocks;
    uint64_t peak;
    uint64_t limit;
    uint64_t reserve;
    uint64_t allocations;
    uint64_t failures;
    uint64_t largest_failure;
    uint64_t last_reason; /* an index, unless it was written over */
};

/* A module that is gone. */
struct inspect_dead {
    char name[INSPECT_NAME_BYTES];
    struct inspect_account account;
};

/* Those who own memory, by their number in a header. */
struct inspect_owner {
    char name[INSPECT_NAME_BYTES];
    bool is_module; /* it has a record */
    bool is_gone;   /* a module that was unregistered, or that has no record */
    uint64_t bytes;
    uint64_t blocks;
    uint64_t largest;
    struct inspect_account account;
};

struct inspect_beside {
    bool is_there;
    uint64_t address;
    char name[INSPECT_NAME_BYTES];
};

struct inspection {
    /* the heap */
    uint64_t base;  /* what addresses count from: the context's */
    uint64_t place; /* of the context in the image */
    unsigned header_bytes;
    bool is_big_endian;
    bool has_accounts;
    bool has_numbers;
    bool has_canaries;
    uint64_t alignment;
    uint64_t size; /* of all blocks */
    uint64_t first;
    /* the check */
    bool is_sound;
    const char* fault;
    uint64_t fault_offset; /* from the context */
    uint64_t moving;
    struct inspect_beside in, before, after;
    /* what there is */
    struct inspect_block* blocks;
    size_t block_count;
    struct inspect_owner owners[INSPECT_OWNERS];
    uint64_t used;
    uint64_t free;
    uint64_t own;
    uint64_t lost;
    uint64_t live_blocks;
    uint64_t free_blocks;
    uint64_t largest_free;
    uint64_t live_sizes[INSPECT_BINS]; /* blocks of 2^n to 2^(n + 1) - 1 bytes */
    uint64_t free_sizes[INSPECT_BINS];
    /* with accounts */
    uint64_t min_free;
    uint64_t reserved;
    uint64_t failures[INSPECT_REASONS];
    struct inspect_dead* dead; /* the last that went is the first */
    size_t dead_count;
};

/* All heaps of an image, in their order. */
struct inspections {
    struct inspection** heap;
    size_t count;
};

/*
 * Read the first heap from byte *from on, which becomes where to look for another. False: there is
 * none. NULL of blocks: out of memory.
 */
bool inspect_image(const unsigned char* bytes, size_t size, size_t* from, uint64_t address,
                   struct inspection* inspection);
void inspect_release(struct inspection* inspection);

/*
 * A share of the heap, in tenths of a percent: all of it only if nothing is missing, and none only of
 * nothing.
 */
unsigned inspect_share(const struct inspection* inspection, uint64_t part);

/* What is free but elsewhere than in the largest piece. */
uint64_t inspect_scattered(const struct inspection* inspection);

/* Does the block count as a leak: a module's that is gone? With a name: is it that module's? */
bool inspect_is_listed(const struct inspection* inspection, const struct inspect_block* block,
                       const char* module_name);

/* A byte of a name where only printable ASCII can be shown. */
char inspect_sign(char byte);

/* Is an account of that owner kept? */
bool inspect_has_account(const struct inspection* inspection, unsigned owner);

/* Why something is refused, in a word. */
extern const char* const inspect_reasons[INSPECT_REASONS];

/* The reason of an account's last failure, in a word, or `?'; empty: nothing was refused. */
const char* inspect_reason(const struct inspect_account* account);

/* Owners that have blocks, a record or an account, most bytes first: how many. */
unsigned inspect_sort_owners(const struct inspection* inspection, unsigned sorted[INSPECT_OWNERS]);

void show_text(FILE* out, const struct inspections* all, const char* module_name);
void show_json(FILE* out, const struct inspections* all, const char* module_name);
void show_svg(FILE* out, const struct inspections* all);
void show_html(FILE* out, const struct inspections* all, const char* module_name);

#endif
