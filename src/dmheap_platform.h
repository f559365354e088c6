/* SPDX-License-Identifier: MIT */
/*
 * Platform: the compiler, the build settings and the port, in one place.
 *
 * Knows: which compiler this is, which port header serves, how wide a header is.
 * Does not know: anything about heaps.
 * Always holds: every setting has its default, and a check where it has a range, right here.
 *
 * Build settings (define on the command line, the same for every object that
 * includes a private header):
 *   DMHEAP_HEADER_BYTES   4 (default) or 8: bytes in front of every block.
 *                         4: heaps to 16 MiB, 252 modules.
 *                         8: heaps as large as the address space allows, 4092 modules.
 *   DMHEAP_ACCOUNTING     1: what each module holds, its peak, limit and reserve, and failures,
 *                         in constant time: 9 words per module and 17 per heap, and
 *                         some 30 instructions in malloc and in free. 0 (default): none of it.
 *   DMHEAP_PORT_HEADER    a port header, in quotes; default ports/posix where
 *                         POSIX threads are usual, else ports/bare.
 *   DMHEAP_INSIDE_DMOD    defined: the default is ports/dmod.
 *   DMHEAP_NO_INTRINSICS  1: bit scans in portable C, 0 (default): the compiler's own.
 *   DMHEAP_SEQUENCE       1: each block has a number, for dmheap_ctx_mark and its kind, which exist
 *                         then only; 4 bytes per block. 0 (default): none.
 *   DMHEAP_CANARY         1: a word behind what a client may use tells whether it or the header was
 *                         written over; 4 bytes per block. 0 (default): none.
 *   DMHEAP_PORT_RANDOM    the name of a function, `uint32_t name(void)`, whose number is the key that
 *                         the canaries begin with; called whenever a heap begins, without the lock,
 *                         of which the first time counts. The port may define it. Not defined
 *                         (default): canaries can be foretold.
 *   DMHEAP_POISON         1: a freed block is filled with 0xDD before it is free memory, without
 *                         the lock, so free takes that twice. 0 (default): it stays as it was.
 *   DMHEAP_GUARD          1: each call proves the heap's own data first, so that a heap whose data was
 *                         written over is refused, and never followed; some 80 instructions in a
 *                         malloc and free. 0 (default): only what lies between blocks is proven.
 *   DMHEAP_ASSERTS        1: internal assertions through the port, 0 (default): none.
 */
#ifndef DMHEAP_PLATFORM_H
#define DMHEAP_PLATFORM_H

#undef DMHEAP_COMPAT /* for files of clients, even where it is defined for all there are */

#ifndef DMHEAP_HEADER_BYTES
#define DMHEAP_HEADER_BYTES 4
#endif
#if DMHEAP_HEADER_BYTES != 4 && DMHEAP_HEADER_BYTES != 8
#error "DMHEAP_HEADER_BYTES is 4 or 8."
#endif

#ifndef DMHEAP_ACCOUNTING
#define DMHEAP_ACCOUNTING 0
#endif
#if DMHEAP_ACCOUNTING != 0 && DMHEAP_ACCOUNTING != 1
#error "DMHEAP_ACCOUNTING is 0 or 1."
#endif

#ifndef DMHEAP_NO_INTRINSICS
#define DMHEAP_NO_INTRINSICS 0
#endif
#if DMHEAP_NO_INTRINSICS != 0 && DMHEAP_NO_INTRINSICS != 1
#error "DMHEAP_NO_INTRINSICS is 0 or 1."
#endif

#ifndef DMHEAP_SEQUENCE
#define DMHEAP_SEQUENCE 0
#endif
#if DMHEAP_SEQUENCE != 0 && DMHEAP_SEQUENCE != 1
#error "DMHEAP_SEQUENCE is 0 or 1."
#endif

#ifndef DMHEAP_CANARY
#define DMHEAP_CANARY 0
#endif
#if DMHEAP_CANARY != 0 && DMHEAP_CANARY != 1
#error "DMHEAP_CANARY is 0 or 1."
#endif

#ifndef DMHEAP_POISON
#define DMHEAP_POISON 0
#endif
#if DMHEAP_POISON != 0 && DMHEAP_POISON != 1
#error "DMHEAP_POISON is 0 or 1."
#endif

#ifndef DMHEAP_GUARD
#define DMHEAP_GUARD 0
#endif
#if DMHEAP_GUARD != 0 && DMHEAP_GUARD != 1
#error "DMHEAP_GUARD is 0 or 1."
#endif

/* Scans in one to three instructions; elsewhere the portable ones beat a call into libgcc. */
#if !DMHEAP_NO_INTRINSICS && defined(__GNUC__) &&                        \
    (defined(__i386__) || defined(__x86_64__) || defined(__aarch64__) || \
     defined(__ARM_FEATURE_CLZ) || defined(__riscv_zbb))
#define DMHEAP_BIT_SCAN 1
#else
#define DMHEAP_BIT_SCAN 0
#endif

/*
 * Where a processor predicts branches, one mispredicted costs as much as some 50 instructions. So a
 * few that go either way at random are replaced by a little more work there (index_insert,
 * index_unlink, live_next); not at -Os, and not on microcontrollers, where a branch is cheaper.
 */
#if !defined(__OPTIMIZE_SIZE__) && \
    (defined(__i386__) || defined(__x86_64__) || defined(__aarch64__))
#define DMHEAP_AVOID_BRANCHES 1
#else
#define DMHEAP_AVOID_BRANCHES 0
#endif

#ifndef DMHEAP_ASSERTS
#define DMHEAP_ASSERTS 0
#endif
#if DMHEAP_ASSERTS != 0 && DMHEAP_ASSERTS != 1
#error "DMHEAP_ASSERTS is 0 or 1."
#endif

#ifndef DMHEAP_PORT_HEADER
#if defined(DMHEAP_INSIDE_DMOD)
#define DMHEAP_PORT_HEADER "../ports/dmod/dmheap_port.h"
#elif defined(__unix__) || defined(__APPLE__)
#define DMHEAP_PORT_HEADER "../ports/posix/dmheap_port.h"
#else
#define DMHEAP_PORT_HEADER "../ports/bare/dmheap_port.h"
#endif
#endif
#include DMHEAP_PORT_HEADER /* first of all: it may set what system headers offer */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(DMHEAP_PORT_LOG_ERROR) || !defined(DMHEAP_PORT_LOG_WARN) || \
    !defined(DMHEAP_PORT_LOG_INFO) || !defined(DMHEAP_PORT_ASSERT)
#error "The port header lacks one of DMHEAP_PORT_LOG_ERROR, _WARN, _INFO, DMHEAP_PORT_ASSERT."
#endif

#if DMHEAP_CANARY && defined(DMHEAP_PORT_RANDOM)
uint32_t DMHEAP_PORT_RANDOM(void);
#define DMHEAP_KEY() DMHEAP_PORT_RANDOM()
#else
#define DMHEAP_KEY() 0U
#endif

#if DMHEAP_ASSERTS
#define DMHEAP_ASSERT(condition) DMHEAP_PORT_ASSERT(condition)
#else
#define DMHEAP_ASSERT(condition) ((void)0)
#endif

#define DMHEAP_STATIC_ASSERT(condition, name) \
    typedef char dmheap_static_assert_##name[(condition) ? 1 : -1]

/*
 * DMHEAP_INLINE: verbs that the twins of the nine call once. dmheap_several.h is a second caller, and
 * out of line they would cost a firmware that has one heap a call and a frame each.
 */
#if defined(__GNUC__)
#define DMHEAP_INLINE          inline __attribute__((always_inline))
#define DMHEAP_MAY_ALIAS       __attribute__((may_alias))
#define DMHEAP_LIKELY(truth)   __builtin_expect(!!(truth), 1)
#define DMHEAP_UNLIKELY(truth) __builtin_expect(!!(truth), 0)
#else
#define DMHEAP_INLINE inline
#define DMHEAP_MAY_ALIAS
#define DMHEAP_LIKELY(truth)   (truth)
#define DMHEAP_UNLIKELY(truth) (truth)
#endif

/*
 * Unless the compiler is to save space: the most frequent cases of malloc and free have a path of
 * their own, in functions whose calls are all inlined, but for those that stand out of line. To
 * save space, the compiler knows best what to inline. DMHEAP_SHORT_INLINE: what it would put out of
 * line else, because two of these paths have it.
 */
#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
#define DMHEAP_SHORT_PATHS  1
#define DMHEAP_SHORT_INLINE inline __attribute__((always_inline))
#define DMHEAP_FLATTEN      __attribute__((flatten))
#define DMHEAP_NOINLINE     __attribute__((noinline))
#define DMHEAP_COLD         __attribute__((noinline, cold)) /* seldom called: small, not fast */
#else
#define DMHEAP_SHORT_PATHS  0
#define DMHEAP_SHORT_INLINE inline
#define DMHEAP_FLATTEN
#define DMHEAP_NOINLINE
#define DMHEAP_COLD
#endif

/*
 * DMHEAP_OWN_FRAME: what needs much of the stack, but not as long as its caller runs. Inlined, it
 * would keep that while others run which need as much.
 */
#if defined(__GNUC__)
#define DMHEAP_OWN_FRAME __attribute__((noinline))
#else
#define DMHEAP_OWN_FRAME
#endif

/*
 * The word: a block's header, a link, an offset and a size inside the heap are
 * all one of these. It may alias, because the heap reads and writes memory that
 * its clients use as whatever they like.
 */
#if DMHEAP_HEADER_BYTES == 4
typedef uint32_t DMHEAP_MAY_ALIAS dmheap_word;
#else
typedef uint64_t DMHEAP_MAY_ALIAS dmheap_word;
#endif

#endif
