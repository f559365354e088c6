/* SPDX-License-Identifier: MIT */
/**
 * @file dmheap_ctx.h
 * @brief Several heaps side by side, module handles, and what else one asks of a heap.
 *
 * Each function of dmheap.h has a twin here with the heap's context as first argument:
 * dmheap_x(...) is dmheap_ctx_x(NULL, ...), for all but dmheap_init. A firmware pays for what it
 * calls: one that calls nothing else of this has nothing else of it in its flash; the first call of
 * any but these eight, retag and rename_module brings a list of heaps, some 650 bytes of RAM on a
 * 32-bit target (1000 with 8-byte headers).
 *
 * Common to all functions, besides what dmheap.h says of its own:
 * - `ctx` is what dmheap_ctx_init gave. NULL stands for the heaps that serve by default: they are
 *   tried in their order until one serves, and a pointer finds its heap by its address. Where a
 *   function is about a heap itself, NULL is the first of them. So look at what dmheap_ctx_init gave
 *   before it is used: with NULL, another heap would be named, listed or torn down.
 * - A module has a record of its own in each heap that it has memory in: an allocation by its name
 *   makes it known in the heap that serves, even if a later one knows it already.
 * - Each heap has a default alignment of its own.
 * - A context that is none, or whose heap was torn down, is refused as a call without a heap is: it
 *   is looked for in a list, never read. So any value whatever may be given. (A heap that is made
 *   in the same place later has the same context: then an old value means the new heap.)
 * - dmheap_init forgets all heaps if one serves by default, though it may be written over; else only the one that it made before
 *   and those whose own data lies in its buffer. With a heap go those that stand in blocks of it.
 * - Pointers to results, as `module` and `name`, are not NULL.
 * - With DMHEAP_GUARD, a heap whose own data was written over is refused, and with NULL the next one
 *   serves; but it keeps its name and its place in the list, for what is about these: deinit,
 *   add_default, remove_default, get_default, set_name, get_name, find, and for the check.
 * - "Constant" does not count the heaps: finding one takes a few instructions for each that there
 *   is.
 * - The lock is one for all heaps. Who may call what is the same as in dmheap.h; dmheap_ctx_init is
 *   as dmheap_init: no other call may use its buffer meanwhile.
 */
#ifndef DMHEAP_CTX_H
#define DMHEAP_CTX_H

#include "dmod_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A heap. It lives in its own buffer. */
struct dmheap_ctx;

/** How many heaps there may be at a time, that of dmheap_init not counted. */
#define DMHEAP_CTX_MAX 16

/** How many of all heaps may serve by default. */
#define DMHEAP_DEFAULTS_MAX 8

/** Bytes of a heap's name, the terminator included. */
#define DMHEAP_CTX_NAME_BYTES 16

/** Bytes of a module's name, the terminator included. */
#define DMHEAP_NAME_BYTES 64

/**
 * @brief A handle: a module of one heap, found once, passed by value.
 *
 * It is refused once its module is unregistered or its heap gone, whatever took the name or the id
 * since. A module that is renamed keeps it. All zero is none. (Serials begin again after 2^31
 * modules and heaps.)
 */
struct dmheap_module {
    uint32_t id;
    uint32_t serial;
};

/* In the argument of a macro it takes `struct x*` for a product. */
/* clang-format off */

/* ---- heaps -------------------------------------------------------------------- */

/**
 * @brief Take `size` bytes at `buffer` as a heap of its own.
 *
 * It serves whoever names it; the nine functions only after dmheap_ctx_add_default. Any heap whose
 * own data - its context, the first bytes of its buffer - lies in this buffer is forgotten first. A
 * block of another heap may be the buffer. Before the memory goes, or serves otherwise - that block
 * is freed or moved, its owner unregistered - the heap is to be torn down by dmheap_ctx_deinit:
 * as long as it is listed, calls about other heaps may look at its context, too.
 *
 * @param buffer    As for dmheap_init.
 * @param size      Bytes, as for dmheap_init.
 * @param alignment Default alignment in bytes, as for dmheap_init.
 * @return The heap's context, and one line of level INFO. NULL for the reasons of dmheap_init, and
 *         if there are DMHEAP_CTX_MAX heaps already beside those it would forget.
 *
 * Cost: as dmheap_init.
 */
DMOD_BUILTIN_API(dmheap, 1.0, struct dmheap_ctx*, _ctx_init,
                 (void* buffer, size_t size, size_t alignment));

/**
 * @brief Tear a heap down, whatever it holds.
 *
 * Its context and all pointers into it are bad from then on, and so are heaps that stand in blocks
 * of it. Its buffer is the caller's again, but for what a realloc or calloc of another thread is
 * copying or clearing there at this moment: let those end before the memory serves otherwise. They
 * end with NULL, and an unregistration without doing more. (With DMHEAP_POISON, a free and an
 * unregistration fill a block there, too; so let them end.)
 *
 * @param ctx NULL: the first heap that serves by default.
 * @return true; false, and one line of level ERROR, if there is no such heap. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_deinit, (struct dmheap_ctx* ctx));

/** @brief Is that a heap? NULL: does any heap serve by default? Cost: constant. */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_is_initialized, (struct dmheap_ctx* ctx));

/**
 * @brief Let a heap serve by default, after those that do already.
 *
 * @return true, also if it does already; then its place stays. false, and one line of level ERROR,
 *         if there is no such heap, DMHEAP_DEFAULTS_MAX serve by default, or an initialization is
 *         under way. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_add_default, (struct dmheap_ctx* ctx));

/**
 * @brief Let a heap serve only those that name it.
 *
 * Its blocks stay; the nine functions do not know their pointers any more.
 *
 * @return true, also if it does so already. false, and one line of level ERROR, if there is no such
 *         heap, or an initialization is under way. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_remove_default, (struct dmheap_ctx* ctx));

/**
 * @brief The heaps that serve by default, in their order.
 *
 * @param index From 0 on.
 * @return The context; NULL behind the last one. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, struct dmheap_ctx*, _ctx_get_default, (unsigned index));

/**
 * @brief Name a heap, or take its name away.
 *
 * @param name Text of 1 to 15 characters that no other heap has, copied. NULL or empty: no name.
 * @return true. false, and one line of level ERROR, if there is no such heap, the name is longer or
 *         another heap's. Cost: the name's length for each heap.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_set_name, (struct dmheap_ctx* ctx, const char* name));

/**
 * @brief The name of a heap.
 *
 * @param name Gets the text; empty if the heap has no name, or on failure.
 * @return true. false if there is no such heap; nothing is logged. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_get_name,
                 (struct dmheap_ctx* ctx, char name[DMHEAP_CTX_NAME_BYTES]));

/**
 * @brief The heap of a name.
 *
 * @return Its context; NULL if none has it, or for NULL and the empty text; nothing is logged.
 *         Cost: the name's length for each heap.
 */
DMOD_BUILTIN_API(dmheap, 1.0, struct dmheap_ctx*, _ctx_find, (const char* name));

/* ---- the twins ---------------------------------------------------------------- */

/**
 * @brief dmheap_register_module in one heap; NULL: if none of those that serve by default knows the
 *        module, in the first of them that has room for it.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_register_module,
                 (struct dmheap_ctx* ctx, const char* module_name));

/** @brief dmheap_unregister_module in one heap; NULL: in all that serve by default. */
DMOD_BUILTIN_API(dmheap, 1.0, void, _ctx_unregister_module,
                 (struct dmheap_ctx* ctx, const char* module_name));

/** @brief dmheap_malloc from one heap; NULL: from the first that serves it. */
DMOD_BUILTIN_API(dmheap, 1.0, void*, _ctx_malloc,
                 (struct dmheap_ctx* ctx, size_t size, const char* module_name));

/** @brief dmheap_aligned_alloc from one heap; NULL: from the first that serves it. */
DMOD_BUILTIN_API(dmheap, 1.0, void*, _ctx_aligned_alloc,
                 (struct dmheap_ctx* ctx, size_t alignment, size_t size, const char* module_name));

/**
 * @brief dmheap_realloc. A block never leaves its heap, whose memory may be of a kind of its own.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void*, _ctx_realloc,
                 (struct dmheap_ctx* ctx, void* ptr, size_t size, const char* module_name));

/**
 * @brief dmheap_free. A pointer into another heap is a bad one; with NULL, into one that does not
 *        serve by default.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void, _ctx_free,
                 (struct dmheap_ctx* ctx, void* ptr, bool concatenate));

/** @brief dmheap_concatenate_free_blocks: nothing is left to do. */
DMOD_BUILTIN_API(dmheap, 1.0, void, _ctx_concatenate_free_blocks, (struct dmheap_ctx* ctx));

/* ---- module handles ----------------------------------------------------------- */

/**
 * @brief Find a module once, to allocate for it without looking its name up.
 *
 * @param module_name The name; made known, without a line in the log, if it is not.
 * @param module      Gets the handle; all zero on failure.
 * @return true. false, and one line of level ERROR, for the reasons of dmheap_register_module.
 *         NULL for `ctx`: in the first heap that knows the module, else the first that has room for
 *         it, and the handle serves for that heap. Cost: as a name costs.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_open_module,
                 (struct dmheap_ctx* ctx, const char* module_name, struct dmheap_module* module));

/**
 * @brief dmheap_ctx_malloc for a module by its handle.
 *
 * @return As dmheap_malloc; NULL, and one line of level ERROR, also if the module or its heap is
 *         gone, or the handle is another heap's. NULL for `ctx`: from the handle's heap, if that
 *         serves by default; never from another one. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void*, _ctx_malloc_for,
                 (struct dmheap_ctx* ctx, size_t size, struct dmheap_module module));

/** @brief dmheap_ctx_aligned_alloc for a module by its handle, with the refusals of both. */
DMOD_BUILTIN_API(dmheap, 1.0, void*, _ctx_aligned_alloc_for,
                 (struct dmheap_ctx* ctx, size_t alignment, size_t size,
                  struct dmheap_module module));

/* ---- companions --------------------------------------------------------------- */

/**
 * @brief Allocate `count` times `size` bytes, all zero, at the default alignment.
 *
 * They are cleared without the lock. Until then nobody can free the block; if the owner is
 * unregistered or the heap torn down meanwhile, by another thread, the result is NULL.
 *
 * @return As dmheap_malloc; NULL also if the product exceeds what a size can tell. Cost: constant,
 *         and the clearing.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void*, _ctx_calloc,
                 (struct dmheap_ctx* ctx, size_t count, size_t size, const char* module_name));

/**
 * @brief dmheap_realloc to an alignment of one's own.
 *
 * A block that was asked for with that alignment or a larger one, or has it by default, is resized
 * as by dmheap_realloc and keeps its own. Any other one moves, even if it becomes smaller or its
 * address happens to be aligned, and has that alignment from then on.
 *
 * @param alignment   Bytes, a power of two.
 * @param size        Bytes.
 * @param module_name The owner if `ptr` is NULL, which is as dmheap_aligned_alloc; otherwise
 *                    ignored.
 * @return As dmheap_realloc; NULL also if `alignment` is 0 or not a power of two. Cost: as that.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void*, _ctx_aligned_realloc,
                 (struct dmheap_ctx* ctx, void* ptr, size_t alignment, size_t size,
                  const char* module_name));

/**
 * @brief How many bytes of a block may be written: at least what was asked for.
 *
 * @param ptr A block. NULL: 0, and nothing is logged.
 * @return Bytes. 0, and one line of level ERROR, if `ptr` is no live block of the heap, or its
 *         owner or its size cannot be right. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, size_t, _ctx_usable_size, (struct dmheap_ctx* ctx, const void* ptr));

/**
 * @brief Whose is a block?
 *
 * @param ptr         A block.
 * @param module_name Gets the module's name; empty if the block is nobody's, if its module is just
 *                    being unregistered, or on failure.
 * @return true. false, and one line of level ERROR, as dmheap_ctx_usable_size; for NULL as well.
 *         Cost: the name's length.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_owner_of,
                 (struct dmheap_ctx* ctx, const void* ptr, char module_name[DMHEAP_NAME_BYTES]));

/**
 * @brief Hand a block to another module.
 *
 * @param ptr         A block.
 * @param module_name The module, made known if it is not. NULL or empty: nobody.
 * @return true. false, the block as it was, and one line of level ERROR, if `ptr` is no live block
 *         of the heap or its owner cannot be right, if its canary is wrong in a library that has
 *         them, if its owner is being unregistered in one with DMHEAP_POISON, or if a new module can
 *         have no record. Cost: as a name costs.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_retag,
                 (struct dmheap_ctx* ctx, void* ptr, const char* module_name));

/**
 * @brief Give a module another name; its blocks and handles stay its own.
 *
 * @param old_name The module. NULL for `ctx`: it is renamed in each heap that serves by default and
 *                 has it, or in none.
 * @param new_name A name of 1 to 63 characters that no other module there has.
 * @return true, also where the two are the same. false, everything as it was, and one line of level
 *         ERROR: no module has the old name, another one has the new name, it is empty or longer,
 *         or there is no memory for its record. Cost: as two names cost.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_rename_module,
                 (struct dmheap_ctx* ctx, const char* old_name, const char* new_name));

/* ---- insight -------------------------------------------------------------------- */

/** What a block is, to a visitor. */
enum dmheap_block_kind {
    DMHEAP_BLOCK_FREE, /* free memory: a free block, or the end of the heap that is untouched yet */
    DMHEAP_BLOCK_LIVE, /* a client's */
    DMHEAP_BLOCK_OWN   /* the heap's: a module's record, or what a realloc or calloc works on */
};

/** A block, to a visitor. */
struct dmheap_block_info {
    struct dmheap_ctx* ctx; /* its heap */
    enum dmheap_block_kind kind;
    const void* ptr;         /* what malloc gave; of free memory, what it would give about here */
    size_t size;             /* bytes that it takes up, its header included */
    size_t usable;           /* bytes of it from `ptr` on that are a client's, or would be; 0 of
                                free memory that is too small for a block */
    const char* module_name; /* a live block's owner, as by dmheap_ctx_owner_of; valid here */
    struct dmheap_module module; /* the handle of that; all zero where the name is empty */
    uint32_t sequence; /* of what is not free: its number, see dmheap_ctx_mark; 0 without those */
};

/** Called for each block, without the lock; it may call any function. false ends the walk. */
typedef bool (*dmheap_visitor)(const struct dmheap_block_info* block, void* context);

/**
 * @brief Visit all blocks, in the order of their addresses.
 *
 * Other threads go on meanwhile. A block that is there all the while is visited once; one that
 * comes, goes or changes is visited as it was at some moment, or not; by the time of the visit it
 * may be gone. Where nothing changes and nothing is damaged, the sizes are all of the heap, and no
 * two free blocks of it follow each other.
 *
 * @param ctx     NULL: one after the other, the heaps that serve by default when this is called.
 * @param visitor Not NULL.
 * @param context Handed to it.
 * @return true: all was visited. false if the visitor ended the walk or a heap was torn down before
 *         its last block was visited, or sometimes during that; and, with one line of level ERROR, if
 *         there is no heap.
 *
 * Cost: proportional to the heap's size and blocks; the lock is held for at most 64 words of
 * the heap's map and 2 blocks.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_walk,
                 (struct dmheap_ctx* ctx, dmheap_visitor visitor, void* context));

/** How full a heap is. All sizes are bytes and include headers, but for largest_alloc. */
struct dmheap_stats {
    size_t size;          /* of all blocks together, free ones included */
    size_t used;          /* of live blocks, the heap's own included */
    size_t free;          /* the rest */
    size_t own;           /* of the heap's own blocks, DMHEAP_BLOCK_OWN */
    size_t overhead;      /* of the context and all blocks: what serves no client, free
                             memory apart; what alignments take counts as theirs */
    size_t live_blocks;   /* clients' */
    size_t free_blocks;   /* pieces that the free memory is in */
    size_t largest_free;  /* the largest of them */
    size_t fragmentation; /* percent of `size`: free, but not in that piece */
    size_t largest_alloc; /* what this heap would serve now at most, to a known module, or nobody,
                             without a limit and a reserve */
    size_t largest_hole;  /* free memory in one piece, if just the one block below were freed */
    const void* splitter; /* that block, a client's; NULL: freeing one joins nothing larger */
    char splitter_owner[DMHEAP_NAME_BYTES]; /* its module; empty: nobody's */
};

/**
 * @brief Measure a heap.
 *
 * Whether it is short of memory or fragmented: `free` tells the one, `fragmentation` the other. That
 * is a share of the whole heap, so a heap that is nearly full is not called fragmented for the little
 * that is left. If one block stands in the way of most, it is `splitter`.
 *
 * With a default alignment above 16, and beside reserves, `largest_alloc` is what is sure to be
 * served; more may be.
 *
 * @param ctx   NULL: the first heap that serves by default.
 * @param stats Gets the figures; all zero on failure. What other threads change meanwhile may be
 *              counted as it was before or after, or twice or not at all where it moved.
 * @return true. false, and one line of level ERROR, if there is no such heap; without that line if
 *         it was torn down meanwhile. Cost: as dmheap_ctx_walk.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_get_stats,
                 (struct dmheap_ctx* ctx, struct dmheap_stats* stats));

/** What a module holds in a heap. */
struct dmheap_module_stats {
    size_t bytes;  /* headers included */
    size_t blocks;
};

/**
 * @brief What does a module hold?
 *
 * @param ctx         NULL: in all heaps that serve by default, together.
 * @param module_name The module; NULL or empty: nobody.
 * @param stats       Gets the figures, as dmheap_ctx_get_stats does; all zero for a name that no
 *                    module has. What a realloc or calloc is at work on is not counted; nobody's
 *                    are also the blocks of a module that is just being unregistered.
 * @return As dmheap_ctx_walk. Cost: as that.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_get_module_stats,
                 (struct dmheap_ctx* ctx, const char* module_name,
                  struct dmheap_module_stats* stats));

/** A module, to a visitor. */
struct dmheap_module_info {
    struct dmheap_ctx* ctx;      /* its heap */
    const char* module_name;     /* valid here */
    struct dmheap_module module; /* its handle */
    size_t blocks;               /* that it has, what a realloc or calloc works on included */
};

/** Called for each module, without the lock; it may call any function. false ends the walk. */
typedef bool (*dmheap_module_visitor)(const struct dmheap_module_info* info, void* context);

/**
 * @brief Visit all modules, in the order of their ids.
 *
 * Other threads go on meanwhile. A module that is there all the while is visited once, under the
 * name that it has then; one that comes or goes is visited as it was at some moment, or not; by the
 * time of the visit it may be gone. One that is being unregistered has no name any more, and is not
 * visited.
 *
 * @param ctx     NULL: one after the other, the heaps that serve by default when this is called. A
 *                module is visited in each of them that it has a record in.
 * @param visitor Not NULL.
 * @param context Handed to it.
 * @return As dmheap_ctx_walk.
 *
 * Cost: proportional to the number of ids that were in use at a time; the lock is held for at most
 * 32 of them and one name.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_walk_modules,
                 (struct dmheap_ctx* ctx, dmheap_module_visitor visitor, void* context));

/* ---- a report --------------------------------------------------------------------- */

/** What of a heap to report, and in which form: joined by `|`. */
enum dmheap_report {
    DMHEAP_REPORT_LINE = 0,    /* one line: what a text begins with in any case */
    DMHEAP_REPORT_STATS = 1,   /* what dmheap_ctx_get_stats tells */
    DMHEAP_REPORT_MODULES = 2, /* who holds how much, in how many blocks; accounts, if there are */
    DMHEAP_REPORT_MAP = 4,     /* that, and a map of the heap; as JSON, each block */
    DMHEAP_REPORT_SIZES = 8,   /* how many blocks and free pieces there are of each size */
    DMHEAP_REPORT_ALL = 15,
    DMHEAP_REPORT_JSON = 16 /* as JSON instead of text */
};

/**
 * Called for each line, which has no line feed at its end and is valid here, without the lock; it
 * may call any function. false ends the report.
 */
typedef bool (*dmheap_printer)(const char* line, void* context);

/**
 * @brief Print what there is to see of a heap.
 *
 * Text looks as dmheap-inspect shows a dump on a host. Its first line has all that fits a log; the
 * others are of at most 80 signs where addresses have 32 bits, and those of accounts of 100. Owners
 * stand in the order of what they hold, but beyond the 26 largest in that of their ids. A sign of the
 * map is that of the block which has most of its part of the heap: a letter from the table of owners,
 * `*` for those beyond, or what the heading says. Of a name, what is no printable ASCII is a `?`, and
 * of a long one the end is shown.
 *
 * JSON is one object with a list of heaps, in lines of less than 448 bytes. What dmheap-inspect tells
 * as well has the same keys there; only here are the heap's name, overhead, fragmentation, what malloc
 * serves, the splitter and the sizes. It is ASCII; another byte of a name is the code point of its
 * number.
 *
 * What other threads change meanwhile may be told of as it was before or after, so parts of a report
 * may differ then.
 *
 * @param ctx     NULL: one after the other, the heaps that serve by default when this is called.
 * @param parts   Of enum dmheap_report, joined by `|`.
 * @param print   NULL: lines go to the port's log, with level INFO.
 * @param context Handed to it.
 * @return true: all was printed. false if the printer ended it, or a heap was torn down before all of
 *         it was read; and, with one line of level ERROR, if there is no heap or no such part.
 *
 * Cost: a dmheap_ctx_walk for each part; for modules one for each 16 of them, and as many again
 * beyond 26, twice with accounts. On Cortex-M3 1.6 KiB of stack, besides what the printer needs.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_report,
                 (struct dmheap_ctx* ctx, unsigned parts, dmheap_printer print, void* context));

/* ---- proof ---------------------------------------------------------------------- */

/** What a check finds wrong. */
enum dmheap_fault {
    DMHEAP_FAULT_NONE,       /* nothing */
    DMHEAP_FAULT_NO_HEAP,    /* there is no heap, or the image has none */
    DMHEAP_FAULT_TRUNCATED,  /* the image ends before the heap does */
    DMHEAP_FAULT_CONTEXT,    /* a field of the context contradicts the others */
    DMHEAP_FAULT_UNUSED,     /* memory beside the live map, which nothing uses, was written to */
    DMHEAP_FAULT_SIZE,       /* a block's size leads to where no block ends */
    DMHEAP_FAULT_TAGS,       /* a block's header contradicts the memory in front of it */
    DMHEAP_FAULT_FOOTER,     /* a free block's first and last word differ */
    DMHEAP_FAULT_UNMERGED,   /* two pieces of free memory lie side by side */
    DMHEAP_FAULT_MAP,        /* the live map and a header contradict each other */
    DMHEAP_FAULT_ALIGNMENT,  /* a block is not aligned as it should be, or as its last byte says */
    DMHEAP_FAULT_OWNER,      /* no module is a block's owner */
    DMHEAP_FAULT_CLASS,      /* the bits of the size classes contradict their lists */
    DMHEAP_FAULT_LINK,       /* a link leads to no free block of that class, or does not lead back */
    DMHEAP_FAULT_UNLISTED,   /* a free block is in no list: one was given up, and logged then */
    DMHEAP_FAULT_GROUP,      /* a group of modules contradicts itself or its records */
    DMHEAP_FAULT_RECORD,     /* a module's record has another id, or a name that does not end */
    DMHEAP_FAULT_NAME,       /* a module is not found by its name, or two have it */
    DMHEAP_FAULT_REFERENCES, /* a module's references are not its blocks and its name */
    DMHEAP_FAULT_HINT,       /* a hint leads to no such module */
    DMHEAP_FAULT_CANARY,     /* a block was written to outside what its client may use */
    DMHEAP_FAULT_ACCOUNT,    /* an owner's account is not that of its blocks, or none at all */
    DMHEAP_FAULT_TOTALS,     /* the heap's account is not the sum of its owners', or none at all */
    DMHEAP_FAULT_DEAD        /* the accounts of modules that are gone are none */
};

/** A block in or beside which something is wrong. */
struct dmheap_beside {
    uintptr_t address; /* of what malloc gave; 0: there is none */
    enum dmheap_block_kind kind;
    char module_name[DMHEAP_NAME_BYTES]; /* its owner; empty: nobody, or none that can be told */
};

/** What a check found: the first thing that is wrong. */
struct dmheap_finding {
    enum dmheap_fault fault;
    const char* text;            /* the fault in words, for a log */
    uintptr_t address;           /* where it is */
    size_t offset;               /* bytes from the heap's context to there */
    struct dmheap_beside block;  /* the block that it is in, live or free */
    struct dmheap_beside before; /* the nearest live blocks in front of that one, or of the ... */
    struct dmheap_beside after;  /* ... place, and behind: who may have written over their end */
    size_t moving;               /* blocks that a call works on without the lock; if sound */
};

/**
 * @brief Prove a whole heap: every block, list and module, and that nothing is lost.
 *
 * It reads only inside the heap, whatever stands there, as long as a context that is another heap's as
 * a whole was not there before the first function of this file was called; and changes nothing. Calls that other
 * threads have under way are no fault. A block that a realloc moves, a calloc clears or, with
 * DMHEAP_POISON, a free fills is the heap's own meanwhile: if no such call is under way but `moving`
 * is not 0, an owner was written over. Accounts and canaries are proven where the library has them.
 * What cannot be proven: that a block's owner, if it exists, is the one who asked for it
 * and got it at that alignment, if it has that; content; a name that leads to its record all the
 * same; a limit, a count of calls, a block's number; a serial, by which handles tell modules and heaps
 * apart; and a context that was written over as a whole by one without contradictions.
 *
 * @param ctx     NULL: the first heap that serves by default.
 * @param finding Gets what is wrong, where, and whose blocks lie beside it; else all zero but for
 *                `text` and `moving`.
 * @return true: all is proven. false, and one line of level ERROR, if something is wrong, or if
 *         there is no such heap.
 *
 * Cost: proportional to the heap's size, and its blocks once more for 32 modules each. The lock is
 * held all the while: this is for a test, an idle hour, or a heap under suspicion. Some 800 bytes
 * of stack on a 32-bit target.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_check,
                 (struct dmheap_ctx* ctx, struct dmheap_finding* finding));

/**
 * @brief dmheap_ctx_check for a copy of a heap, wherever that lies: a dump that was stored before
 *        a reset, say.
 *
 * The image has the heap's context, so it begins where the heap's buffer did or before; the first
 * heap in it is proven. It has to be of a target with this word size, byte order and build
 * settings; the program dmheap-inspect reads those of any other. No lock is taken, and no heap is
 * needed.
 *
 * @param image   The copy.
 * @param size    Bytes of it.
 * @param address Where its first byte was on the target. 0: unknown; then the addresses of a
 *                finding are bytes from the image's start, and alignments are proven among each
 *                other only.
 * @param finding As for dmheap_ctx_check; addresses are those of the target.
 * @return As dmheap_ctx_check; nothing is logged. Cost: as that, and proportional to the image.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_check_image,
                 (const void* image, size_t size, uintptr_t address,
                  struct dmheap_finding* finding));

/* ---- when a module dies ----------------------------------------------------------- */

/*
 * What the functions below set is a heap's own, and goes with it: one that is torn down, or made
 * anew, has none of it. A firmware that calls any of them has a list of all that, some 500 bytes of
 * RAM on a 32-bit target.
 *
 * A hook is called by the thread, or in the interrupt, whose call it is about, without the lock, and
 * may call any function. Where a hook is set anew or taken away while another thread is about to
 * call it, or in it, the former one may be called once more, with its own context: what that points
 * to has to outlast this.
 */

/** What becomes of the blocks that a module has when it is unregistered. */
enum dmheap_leak_policy {
    DMHEAP_LEAK_SILENT,  /* they are freed; so it is where nothing else was set */
    DMHEAP_LEAK_SUMMARY, /* they are freed, and one line of level WARN tells how many */
    DMHEAP_LEAK_BLOCKS,  /* as that, with a line of level WARN for each of them before */
    DMHEAP_LEAK_KEEP     /* nothing is freed, and the module stays */
};

/**
 * @brief What to do with what a module still holds when it is unregistered from a heap.
 *
 * A module that holds nothing is unregistered without a further line, by any policy. One that holds
 * a block in a heap that keeps is not unregistered: one line of level ERROR, and everything is as it
 * was. With several heaps that serve by default and NULL for their context, as the nine functions
 * do it, it is unregistered in all of them or in none; each heap tells of its own blocks.
 *
 * The lines give bytes with headers included, the summary a heap's name if it has one. Not told is what a
 * realloc or calloc of another thread works on; it does count as held. What counts is the policy at
 * the moment when the name is taken away.
 *
 * @param ctx    NULL: the first heap that serves by default.
 * @param policy One of enum dmheap_leak_policy.
 * @return true. false, and one line of level ERROR, if there is no such heap or no such policy.
 *         Cost: constant. An unregistration that tells of blocks also costs a dmheap_ctx_walk.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_set_leak_policy,
                 (struct dmheap_ctx* ctx, enum dmheap_leak_policy policy));

/** The death of a module in a heap, to a hook. */
struct dmheap_death {
    struct dmheap_ctx* ctx;
    const char* module_name; /* valid here */
    size_t bytes;            /* that it held, headers included ... */
    size_t blocks;           /* ... and in how many blocks */
};

/** Called for each module that died. */
typedef void (*dmheap_death_hook)(const struct dmheap_death* death, void* context);

/**
 * @brief Have a function called for each module that was unregistered from a heap.
 *
 * By then the module is gone from all heaps it was unregistered from, and the lines of the log are
 * written. Its name may be another module's already, which the figures have nothing of. Nothing is
 * called for modules that go with their heap, nor if the heap is torn down meanwhile, or had no such
 * hook when the name was taken away. The blocks are counted right before they are freed; not counted
 * is what a realloc or calloc of another thread works on.
 *
 * @param ctx     NULL: the first heap that serves by default.
 * @param hook    NULL: none any more.
 * @param context Handed to it.
 * @return true. false, and one line of level ERROR, if there is no such heap. Cost: constant. With a
 *         hook, an unregistration also costs a dmheap_ctx_walk.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_set_death_hook,
                 (struct dmheap_ctx* ctx, dmheap_death_hook hook, void* context));

/* ---- when a request fails --------------------------------------------------------- */

/** Why a request fails. */
enum dmheap_reason {
    DMHEAP_REASON_NO_MEMORY,  /* no free memory serves it; without accounting, always this one */
    DMHEAP_REASON_FRAGMENTED, /* enough is free, but not in one piece, or not aligned so */
    DMHEAP_REASON_LIMIT,      /* its module may have no more */
    DMHEAP_REASON_RESERVE     /* what is free is kept for other modules */
};

/** How many reasons there are. */
#define DMHEAP_REASONS 4

/** A request that is about to fail, to a hook. */
struct dmheap_failure {
    struct dmheap_ctx* ctx;  /* the heap that refused it */
    enum dmheap_reason reason;
    size_t size;             /* bytes asked for; 0: registration, renaming, retag */
    size_t alignment;        /* of the block, in bytes */
    const char* module_name; /* the owner; empty: nobody. Valid here */
    unsigned calls;          /* of this heap's hook that are under way, this one included */
};

/** How many calls of a heap's failure hook may be under way at a time. */
#define DMHEAP_FAILURE_CALLS_MAX 4

/** Called before a request fails. true: memory was released, try once more. */
typedef bool (*dmheap_failure_hook)(const struct dmheap_failure* failure, void* context);

/**
 * @brief Have a function called when a request is about to fail for want of memory in a heap.
 *
 * That is any request of dmheap.h or of this file that needs memory: for a block, or for the record
 * of a module that it makes known or renames. Not one that fails for what it was given, nor for want
 * of ids; nor dmheap_ctx_keep_dead, or the reserve of a module that is known. Where several heaps
 * refused it, their hooks are called in that order, until one gives true: then the whole request is
 * done once more, as if it were made then. Only if that fails as well, or no hook gave true, it fails,
 * with its line of level ERROR.
 *
 * The block of a realloc is as it was; it is looked for again, so one that was freed meanwhile is a
 * bad pointer. (Or another block that has its place by now: what is being resized is not to be freed
 * by others.) The text of a module's name may go: it was copied.
 *
 * A request that fails inside a hook calls the hook again, as one of another thread does: the two
 * cannot be told apart. `calls` says how many there are; while they are DMHEAP_FAILURE_CALLS_MAX, a
 * further request fails without one. So a hook that makes requests that may fail should give false
 * at once where `calls` is above 1, if it needs no calls by several threads; else its depth on the
 * stack is that many calls.
 *
 * @param ctx     NULL: the first heap that serves by default.
 * @param hook    NULL: none any more.
 * @param context Handed to it.
 * @return true. false, and one line of level ERROR, if there is no such heap. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _ctx_set_failure_hook,
                 (struct dmheap_ctx* ctx, dmheap_failure_hook hook, void* context));

/* ---- accounts --------------------------------------------------------------------- */

/*
 * These are there only in a library that was built with DMHEAP_ACCOUNTING=1: else they do not link.
 * So they are not registered with DMOD, either. Every heap keeps these figures then in malloc and
 * free, and all of these functions have a constant cost besides that of a name. "Bytes" are those of
 * blocks, their headers included, unless it says otherwise. With NULL for `ctx` they are about the
 * first heap by default that knows the module; if none does, the first with room for it. NULL or the
 * empty text for `module_name` means nobody's blocks.
 *
 * A limit and a reserve are two more reasons for malloc, realloc, retag and all their kind to fail,
 * with everything as it was; and retag refuses a block whose size cannot be right as well.
 */

/**
 * What a module holds in a heap, and what it may hold there. Counts begin again after 2^32, with
 * 8-byte headers as a size_t does.
 */
struct dmheap_account {
    size_t bytes;           /* now */
    size_t blocks;          /* now; while realloc copies one, both places count */
    size_t peak;            /* most bytes at a time, since the module is known or that was reset */
    size_t allocations;     /* blocks it was given so far, also by retag and a realloc that moved */
    size_t failures;        /* times that this heap refused it a request; another one may have
                               served it, or a second try that a failure hook asked for */
    size_t largest_failure; /* bytes asked for in the largest; SIZE_MAX: more than a header tells */
    enum dmheap_reason last_reason; /* of the last one, if there is one */
    size_t limit;                   /* SIZE_MAX: none */
    size_t reserve;
};

/**
 * @brief What a module holds, held at most, and was refused.
 *
 * @param account Gets the figures; all zero on failure.
 * @return true. false, and one line of level ERROR, if there is no such heap, or no module of that
 *         name in it.
 */
bool dmheap_ctx_get_account(struct dmheap_ctx* ctx, const char* module_name,
                            struct dmheap_account* account);

/** @brief Let a module's peak be what it holds now. @return As dmheap_ctx_get_account. */
bool dmheap_ctx_reset_peak(struct dmheap_ctx* ctx, const char* module_name);

/**
 * @brief Limit what a module may hold.
 *
 * A request that would take it beyond is refused, even if it is only for a moment, as when realloc
 * moves a block, or for a rest of a free block that would go along. Another heap by default may
 * serve it then. What the module holds already stays. A limit goes when the module is unregistered.
 *
 * @param module_name The module, made known if it is not.
 * @param bytes       SIZE_MAX: no limit any more. 0: nothing more at all.
 * @return true. false, and one line of level ERROR, if there is no such heap, or for the reasons of
 *         dmheap_register_module.
 */
bool dmheap_ctx_set_limit(struct dmheap_ctx* ctx, const char* module_name, size_t bytes);

/**
 * @brief Keep so much memory for a module that nobody else can take.
 *
 * What it holds counts: of a reserve of 1000 bytes and 400 that it holds, 600 are kept. They are
 * kept as a number, not in a place: when the module claims them they may be in pieces. (For one
 * piece, allocate it, or make it a heap of its own.) Records of other modules cannot take them
 * either. A reserve goes when the module is unregistered.
 *
 * @param module_name The module, made known if it is not.
 * @param bytes       0: no reserve any more.
 * @return As dmheap_ctx_set_limit; false also if less is free, and not reserved for others. Then the
 *         reserve is as it was, and no module was made known.
 */
bool dmheap_ctx_set_reserve(struct dmheap_ctx* ctx, const char* module_name, size_t bytes);

/** How full a heap is and was. */
struct dmheap_heap_account {
    size_t used;     /* by live blocks, the heap's own included */
    size_t free;     /* the rest */
    size_t min_free; /* least of that at a time, since the heap is there or that was reset */
    size_t reserved; /* of `free`: what modules may still claim of their reserves */
    size_t failures[DMHEAP_REASONS]; /* requests for memory that this heap refused, by their
                                        reasons; also those for records and for keep_dead */
};

/**
 * @brief How full a heap is and was, and what it refused.
 *
 * @param ctx     NULL: the first heap that serves by default.
 * @param account Gets the figures; all zero on failure.
 * @return true. false, and one line of level ERROR, if there is no such heap.
 */
bool dmheap_ctx_get_heap_account(struct dmheap_ctx* ctx, struct dmheap_heap_account* account);

/** @brief Let a heap's min_free be what is free now. @return As dmheap_ctx_get_heap_account. */
bool dmheap_ctx_reset_min_free(struct dmheap_ctx* ctx);

/**
 * @brief Keep the last accounts of modules that are unregistered.
 *
 * @param ctx   NULL: the first heap that serves by default.
 * @param count How many, the latest ones; they take a block of the heap's own, some 100 bytes each,
 *              140 with 8-byte headers. Those kept before are forgotten. 0: none any more.
 * @return true. false, everything as it was, and one line of level ERROR, if there is no such heap
 *         or no memory for them.
 */
bool dmheap_ctx_keep_dead(struct dmheap_ctx* ctx, size_t count);

/**
 * @brief A module that was unregistered: what it held when that began, and before.
 *
 * @param ctx         NULL: the first heap that serves by default.
 * @param index       0: the last that went, 1: the one before, and so on.
 * @param module_name Gets its name; empty on failure.
 * @param account     Gets its figures; all zero on failure.
 * @return true. false if no such module is kept, or there is no such heap; nothing is logged.
 */
bool dmheap_ctx_get_dead(struct dmheap_ctx* ctx, size_t index, char module_name[DMHEAP_NAME_BYTES],
                         struct dmheap_account* account);

/* ---- marks ---------------------------------------------------------------------- */

/*
 * These are there only in a library that was built with DMHEAP_SEQUENCE=1: else they do not link.
 * So they are not registered with DMOD, either. Each block has a number then, in 4 bytes behind
 * what a client may use: how many allocations there were in all heaps until it came, the heap's own
 * and those that a limit or a reserve refused included. It keeps it in dmheap_realloc and when it is
 * handed to another module. After 2^32
 * allocations numbers begin again: a block that is older than that counts as one of later.
 */

/**
 * @brief Take a mark: what is allocated from now on counts as allocated since.
 *
 * @return The mark, for all heaps. Nothing is kept of it, so there may be any number. 0 is the mark
 *         before the first allocation. Cost: constant.
 */
uint32_t dmheap_ctx_mark(void);

/**
 * @brief Visit clients' blocks that were allocated since a mark, before this call, and are there.
 *
 * @param ctx     As for dmheap_ctx_walk.
 * @param mark    What dmheap_ctx_mark gave.
 * @param visitor As for dmheap_ctx_walk.
 * @param context Handed to it.
 * @return As dmheap_ctx_walk. Cost: as that.
 */
bool dmheap_ctx_walk_since(struct dmheap_ctx* ctx, uint32_t mark, dmheap_visitor visitor,
                           void* context);

/**
 * @brief What does a module hold of what was allocated since a mark, before this call?
 *
 * @param ctx         As for dmheap_ctx_get_module_stats.
 * @param mark        What dmheap_ctx_mark gave.
 * @param module_name The module that has it now; NULL or empty: nobody.
 * @param stats       Gets the figures, as by that function; all zero on failure.
 * @return As dmheap_ctx_walk. Cost: as that.
 */
bool dmheap_ctx_get_module_stats_since(struct dmheap_ctx* ctx, uint32_t mark,
                                       const char* module_name, struct dmheap_module_stats* stats);

/* clang-format on */

#ifdef __cplusplus
}
#endif

#include "dmheap.h" /* the last, for with DMHEAP_COMPAT it is built on what stands above */

#endif
