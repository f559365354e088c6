/* SPDX-License-Identifier: MIT */
/**
 * @file dmheap.h
 * @brief A heap for firmware that is made of modules.
 *
 * One buffer serves all modules; dmheap_ctx.h has what there is for several, and more. Every
 * allocation belongs to a named module or to nobody; unregistering a module gives back all that it
 * holds.
 *
 * Common to all functions:
 * - Any of them may be called at any time, before dmheap_init too: then it gives false, NULL or
 *   nothing.
 * - Thread-safe, through the port's lock (DMOD's critical section inside DMOD). The lock is never
 *   held for longer than a bounded number of instructions, whatever the size of the heap and the
 *   number of blocks. Where the port's lock masks interrupts, an interrupt may call them as well,
 *   dmheap_init excepted: no other call may use its buffer, or the former heap, meanwhile.
 * - A request that fails changes nothing and logs one line of level ERROR, after the lock is
 *   released. A call that finds free memory written over logs one as well, even if it succeeds;
 *   free blocks of that size are then lost until that heap is made anew. Only a realloc that finds
 *   such memory right behind its block, and can do without it, says nothing. docs/DESIGN.md,
 *   "Overruns", tells which damage is beyond what a call sees.
 * - In a library that was built with DMHEAP_GUARD=1, a heap whose own data was written over serves as
 *   none until it is made anew; dmheap_ctx_check tells what is wrong with it.
 * - A module's name is text of 1 to 63 characters that is compared exactly and copied. NULL and
 *   the empty text name nobody. A longer one is refused, never cut.
 * - "Constant" means a bounded number of instructions, whatever the number of blocks. A name costs
 *   its length and, unless it is one of a few used lately, a look into a hash table that grows with
 *   the number of modules; as with any such table, only chance keeps its chains short.
 */
#ifndef DMHEAP_H
#define DMHEAP_H

#include "dmod_types.h"

#ifdef DMHEAP_COMPAT
#include "dmheap_compat.h" /* in this file the names below take a context first */
#else

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Take `size` bytes at `buffer` as the heap.
 *
 * A call while there is a heap starts afresh: the former heap with all its modules and blocks
 * is forgotten, and pointers into it are bad pointers from then on. After a call that fails the
 * former heap goes on working.
 *
 * @param buffer    Any address; an unaligned start is rounded up inside.
 * @param size      Bytes. Any size up to 16 MiB is accepted if one block fits into it; with 8-byte
 *                  headers, up to half of the address space.
 * @param alignment Default alignment of allocations in bytes, a power of two below `size`. Less than
 *                  the size of a pointer or of a header counts as that. Blocks are multiples of it,
 *                  up to 16; above, they stay multiples of 16.
 * @return true, and one line of level INFO. false if `buffer` is NULL, `size` is 0, `alignment` is
 *         0 or not a power of two, the buffer wraps around the address space, is too small for
 *         one block or its alignment, or too large for the headers, or another initialization is
 *         under way.
 *
 * Cost: proportional to `size`, for one bit per granule is cleared; not under the lock.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _init, (void* buffer, size_t size, size_t alignment));

/**
 * @brief Is there a heap?
 *
 * @return true after a dmheap_init that succeeded; with several heaps, if one serves by default.
 *         Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _is_initialized, (void));

/**
 * @brief Make a module known.
 *
 * Not required: an allocation by an unknown name does the same, without a line in the log.
 *
 * @param module_name The name. It is copied.
 * @return true, and one line of level INFO; true also if the module is known already, and
 *         one of level WARN instead. false without a heap, for a name of nobody or one of more than
 *         63 characters, without memory for the module's record, or with as many modules
 *         as there are ids (252, or 4092 with 8-byte headers).
 *
 * Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, bool, _register_module, (const char* module_name));

/**
 * @brief Forget a module and free all its memory.
 *
 * The name is free for a new module at once. The memory is freed in slices, between which the
 * lock is released and other calls go on. A block that is being moved by a dmheap_realloc of
 * another thread at the same moment is freed by that call.
 *
 * @param module_name The name; it may stand in memory that is freed by this. NULL, and a name that
 *                    no module has: nothing, and nothing is logged.
 *
 * One line of level INFO; one of level ERROR where damaged blocks were left alone, or free memory
 * was found written over. Cost:
 * proportional to the number of blocks in the heap, at most until the module's last block is
 * found; the lock is held for at most 195 blocks passed, or for 5 to 38 freed: the more, the
 * longer the runs in which they lie; in a library built with -Os, for 5.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void, _unregister_module, (const char* module_name));

/**
 * @brief Allocate `size` bytes at the default alignment.
 *
 * @param size        Bytes; 0 gives a pointer of its own, too.
 * @param module_name The owner, made known if it is not. NULL or empty: nobody.
 * @return The memory, its content undefined. NULL if and only if there is no heap, no free memory
 *         serves the size, the name is longer than 63 characters, or the owner would be
 *         a new module that can have no record (see dmheap_register_module).
 *
 * Looked at are up to three free blocks of the size's own class, then one of the next larger class
 * that has any, then the untouched end of the heap. Where the default alignment is above 16, the
 * places are those of dmheap_aligned_alloc. After the block, a new owner's record is allocated, and a
 * table of ids where those there are full, in the places of dmheap_aligned_alloc. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void*, _malloc, (size_t size, const char* module_name));

/**
 * @brief Allocate `size` bytes at an alignment of one's own.
 *
 * @param alignment   Bytes, a power of two. One as large as the heap is served nowhere. It stays with
 *                    the block when dmheap_realloc moves it.
 * @param size        Bytes, as for dmheap_malloc.
 * @param module_name The owner, as for dmheap_malloc.
 * @return As dmheap_malloc; NULL also if `alignment` is 0 or not a power of two.
 *
 * Looked at are the first free block of the size's own class; the first of the next class whose
 * blocks serve wherever they lie; where there is none, up to three each of the own class and of the
 * next larger one; then the untouched end. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void*, _aligned_alloc,
                 (size_t alignment, size_t size, const char* module_name));

/**
 * @brief Change the size of a block.
 *
 * The content is kept up to the smaller of the two sizes. A smaller block stays in place. A larger
 * one grows in place if the memory behind it is free and suffices; else it moves, and the
 * content is copied without the lock. The block keeps its owner and its alignment.
 *
 * @param ptr         A block of this heap. NULL: as dmheap_malloc(size, module_name).
 * @param size        Bytes. 0 shrinks the block to the least; it frees nothing.
 * @param module_name The owner if `ptr` is NULL; otherwise ignored.
 * @return The block. NULL, and the old block is as it was, if `ptr` is not a live block of this
 *         heap, the block's tags were written over, or no free memory of its heap serves the size.
 *         NULL, and the block is gone, if its module was unregistered or the heap initialized anew
 *         by another thread during the move.
 *
 * Cost: constant, and the copy where it moves.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void*, _realloc, (void* ptr, size_t size, const char* module_name));

/**
 * @brief Free a block.
 *
 * A pointer that is not the start of a live block - freed before, inside a block, misaligned, from
 * elsewhere, of a former heap, any value whatever - is refused with one line of level ERROR.
 * So is a block whose header, or the next one's, was written over as far as the two
 * contradict each other or the heap's own map, which a call reads at both ends of a block; in a
 * library that was built with DMHEAP_CANARY=1, also one that was written beyond its end, or whose
 * header was changed, but for its mark that free memory is in front.
 *
 * @param ptr         A block of this heap. NULL: nothing.
 * @param concatenate true: merge it with adjacent free memory now. false allows that to happen
 *                    later; this heap merges at once in both cases, for it costs no more.
 *
 * Cost: constant. In a library that was built with DMHEAP_POISON=1, the block is filled with 0xDD
 * first, without the lock, which is then taken twice; dmheap_unregister_module does so, too.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void, _free, (void* ptr, bool concatenate));

/**
 * @brief Merge every run of adjacent free blocks.
 *
 * dmheap_free has merged them already, so nothing is left to do. Cost: constant.
 */
DMOD_BUILTIN_API(dmheap, 1.0, void, _concatenate_free_blocks, (void));

#ifdef __cplusplus
}
#endif

#endif /* DMHEAP_COMPAT */

#endif
