/* SPDX-License-Identifier: MIT */
/*
 * What libdmheap-preload.so promises, seen by a program that it serves; run.sh runs it with the shim
 * in front, and reads the reports.
 *
 *     test_preload plugin_1.so plugin_2.so    the functions, forks, threads, libraries
 *     test_preload full                       in an arena of 1 MiB
 *     test_preload misuse                     pointers that are none; each is told
 *     test_preload overrun                    a block written over its end
 *     test_preload signal                     a handler that interrupts a call; the shim stops it
 */
#define _GNU_SOURCE
#include "report.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE      ((size_t)sysconf(_SC_PAGESIZE))
#define UNTOUCHED 77 /* an errno that nobody sets */

/* What compilers see through, they warn of: that is what is tried here. */
static const volatile size_t huge = SIZE_MAX;

static void* as_any(void* ptr)
{
    static void* volatile any;
    any = ptr;
    return any;
}

static bool is_aligned(const void* ptr, size_t alignment)
{
    return ptr != NULL && (uintptr_t)ptr % alignment == 0;
}

/* ---- before the shim is started ---------------------------------------------------- */

/* The loader asks for an indirect function while it still relocates this program. */
static char* early_block;

static int answer(void)
{
    return 42;
}

__attribute__((used)) static int (*resolve(void))(void)
{
    early_block = malloc(100);
    return answer;
}

int early_answer(void) __attribute__((ifunc("resolve")));

static void starts_with_the_first_call(void)
{
    CHECK_THAT(early_answer() == 42);
    CHECK_THAT(is_aligned(early_block, 16));
    CHECK_THAT(malloc_usable_size(early_block) >= 100);
    free(early_block);
}

static void is_in_front(void)
{
    Dl_info info;
    CHECK_THAT(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) != 0);
    CHECK_THAT(strstr(info.dli_fname, "libdmheap-preload.so") != NULL);
}

/* ---- the functions ------------------------------------------------------------------ */

/* A block of that size, aligned, all of which may be written; errno as it was. */
static bool is_right(void* block, size_t size, size_t alignment)
{
    const bool is_sound =
        is_aligned(block, alignment) && malloc_usable_size(block) >= size && errno == UNTOUCHED;
    if (is_sound) {
        memset(block, 0xA5, malloc_usable_size(block));
    }
    free(block);
    return is_sound && errno == UNTOUCHED;
}

static void each_serves(void)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 4095, 4096, 100000, 3000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const size_t size = sizes[i];
        void* block = NULL;
        errno = UNTOUCHED;
        CHECK_THAT(is_right(malloc(size), size, 16));
        CHECK_THAT(is_right(calloc(size, 3), size * 3, 16));
        CHECK_THAT(is_right(realloc(NULL, size), size, 16));
        CHECK_THAT(is_right(reallocarray(NULL, size, 3), size * 3, 16));
        CHECK_THAT(is_right(aligned_alloc(64, size), size, 64));
        CHECK_THAT(is_right(memalign(1024, size), size, 1024));
        CHECK_THAT(is_right(memalign(1, size), size, 16));
        CHECK_THAT(is_right(valloc(size), size, PAGE));
        CHECK_THAT(is_right(pvalloc(size), (size + PAGE - 1) / PAGE * PAGE, PAGE));
        CHECK_THAT(posix_memalign(&block, 4096, size) == 0 && is_right(block, size, 4096));
    }
    free(NULL);
    CHECK_THAT(malloc_usable_size(NULL) == 0);
}

static void nothing_gives_pointers_of_their_own(void)
{
    void* first = malloc(0);
    void* second = malloc(0);
    CHECK_THAT(first != NULL && second != NULL && first != second);
    free(first);
    free(second);
}

static void calloc_clears_what_was_used_before(void)
{
    for (size_t size = 1; size < 100000; size *= 3) {
        unsigned char* block = malloc(size);
        memset(block, 0xFF, size);
        free(block);
        block = calloc(1, size);
        CHECK_THAT(block != NULL && block[0] == 0 && memcmp(block, block + 1, size - 1) == 0);
        free(block);
    }
}

static void realloc_keeps_content_and_alignment(void)
{
    unsigned char* block = malloc(1000);
    report_fill(block, 1000, 1);
    void* wall = malloc(1); /* so that it has to move */
    block = realloc(block, 100000);
    CHECK_THAT(is_aligned(block, 16) && report_holds(block, 1000, 1));
    block = reallocarray(block, 50, 10);
    CHECK_THAT(is_aligned(block, 16) && report_holds(block, 500, 1));
    free(wall);
    errno = UNTOUCHED;
    CHECK_THAT(realloc(block, 0) == NULL && errno == UNTOUCHED); /* which frees */

    block = aligned_alloc(256, 100);
    report_fill(block, 100, 2);
    wall = malloc(1);
    block = realloc(block, 5000);
    CHECK_THAT(is_aligned(block, 16) && report_holds(block, 100, 2));
    free(wall);
    free(block);
}

/* ---- refusals ------------------------------------------------------------------------- */

static bool is_refused(const void* block, int error)
{
    const bool is_told = errno == error;
    errno = UNTOUCHED;
    return block == NULL && is_told;
}

static void sizes_that_cannot_be_are_refused(void)
{
    static const size_t less[] = {SIZE_MAX / 2, 4096, 1, 0};
    void* kept = malloc(100);
    report_fill(kept, 100, 3);
    errno = UNTOUCHED;
    for (size_t i = 0; i < sizeof(less) / sizeof(less[0]); i++) {
        const size_t size = huge - less[i]; /* PTRDIFF_MAX + 1 is the least */
        void* block = kept;
        CHECK_THAT(is_refused(malloc(size), ENOMEM));
        CHECK_THAT(is_refused(calloc(1, size), ENOMEM));
        CHECK_THAT(is_refused(realloc(NULL, size), ENOMEM));
        CHECK_THAT(is_refused(realloc(as_any(kept), size), ENOMEM));
        CHECK_THAT(is_refused(aligned_alloc(64, size), ENOMEM));
        CHECK_THAT(is_refused(memalign(64, size), ENOMEM));
        CHECK_THAT(is_refused(valloc(size), ENOMEM));
        CHECK_THAT(is_refused(pvalloc(size), ENOMEM));
        CHECK_THAT(posix_memalign(&block, 64, size) == ENOMEM && block == kept);
        CHECK_THAT(errno == UNTOUCHED);
    }
    CHECK_THAT(report_holds(kept, 100, 3));
    free(kept);
}

static void products_that_overflow_are_refused(void)
{
    void* kept = malloc(100);
    report_fill(kept, 100, 4);
    errno = UNTOUCHED;
    CHECK_THAT(is_refused(calloc(huge / 2, 3), ENOMEM));
    CHECK_THAT(is_refused(calloc(huge / 16 + 2, 16), ENOMEM)); /* which wraps around to 16 */
    CHECK_THAT(is_refused(reallocarray(as_any(kept), huge / 16 + 2, 16), ENOMEM));
    CHECK_THAT(is_refused(reallocarray(NULL, huge, huge), ENOMEM));
    CHECK_THAT(report_holds(kept, 100, 4));
    free(kept);
}

static void alignments_that_cannot_be_are_refused(void)
{
    static const size_t alignments[] = {0, 3, 24, 48, 100, SIZE_MAX};
    void* block = &block;
    errno = UNTOUCHED;
    for (size_t i = 0; i < sizeof(alignments) / sizeof(alignments[0]); i++) {
        CHECK_THAT(is_refused(aligned_alloc(alignments[i], 10), EINVAL));
        CHECK_THAT(is_refused(memalign(alignments[i], 10), EINVAL));
        CHECK_THAT(posix_memalign(&block, alignments[i], 10) == EINVAL && block == &block);
    }
    CHECK_THAT(posix_memalign(&block, sizeof(void*) / 2, 10) == EINVAL && block == &block);
    CHECK_THAT(errno == UNTOUCHED);
}

/* ---- threads, forks, libraries ---------------------------------------------------------- */

static void* open_plugin(const char* path)
{
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        printf("%s\n", dlerror());
    }
    return library;
}

/* Two libraries, of which the second one takes the place of the first; each keeps three blocks. */
static const char* plugin_path[2];

static void libraries_are_modules_of_their_own(void)
{
    void* place[2];
    for (int i = 0; i < 2; i++) {
        void* library = open_plugin(plugin_path[i]);
        CHECK_THAT(library != NULL);
        if (library == NULL) {
            return;
        }
        place[i] = dlsym(library, "plugin_allocate");
        int (*allocate)(void);
        memcpy(&allocate, &place[i], sizeof(allocate));
        CHECK_THAT(allocate());
        CHECK_THAT(dlclose(library) == 0);
    }
    printf("the second library is at the place of the first: %s\n",
           place[0] == place[1] ? "yes" : "no");
}

#define SLOTS 200

/* Blocks come, grow and go; 0 if each has what was written to it. */
static int churn(unsigned seed, unsigned steps)
{
    static const unsigned factor = 1103515245U;
    unsigned char* slot[SLOTS] = {NULL};
    size_t size[SLOTS] = {0};
    int wrong = 0;
    for (unsigned i = 0; i < steps; i++) {
        seed = seed * factor + 12345U;
        const unsigned at = (seed >> 16) % SLOTS;
        const size_t wanted = (seed >> 8) % 3000 + 1;
        wrong += slot[at] != NULL && !report_holds(slot[at], size[at], at);
        if (slot[at] != NULL && seed % 3 != 0) {
            free(slot[at]);
            slot[at] = NULL;
            continue;
        }
        unsigned char* block = slot[at] != NULL  ? realloc(slot[at], wanted)
                               : wanted % 4 == 0 ? aligned_alloc(128, wanted)
                               : wanted % 4 == 1 ? calloc(1, wanted)
                                                 : malloc(wanted);
        if (block == NULL) {
            return wrong + 1;
        }
        const size_t kept = slot[at] == NULL ? 0 : size[at] < wanted ? size[at] : wanted;
        wrong += !report_holds(block, kept, at);
        slot[at] = block;
        size[at] = wanted;
        report_fill(block, wanted, at);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        free(slot[i]);
    }
    return wrong;
}

static bool is_over;

static void* work(void* argument)
{
    int* const wrong = argument;
    for (unsigned seed = 1; !__atomic_load_n(&is_over, __ATOMIC_RELAXED); seed++) {
        *wrong += churn(seed, 1000);
    }
    return NULL;
}

static void* load_and_unload(void* argument)
{
    int* const wrong = argument;
    while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
        void* library = dlopen(plugin_path[0], RTLD_NOW | RTLD_LOCAL);
        *wrong += library == NULL || dlclose(library) != 0;
    }
    return NULL;
}

/* A child that goes on allocating, and ends; its exit status, or -1. */
static int fork_one(unsigned seed, void (*end)(int))
{
    int status;
    const pid_t child = fork();
    if (child == 0) {
        end(churn(seed, 2000) != 0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
               ? WEXITSTATUS(status)
               : -1;
}

static void forks_while_threads_allocate(void)
{
    pthread_t thread[5];
    int wrong[5] = {0};
    is_over = false;
    for (int i = 0; i < 5; i++) {
        CHECK_THAT(pthread_create(&thread[i], NULL, i == 4 ? load_and_unload : work, &wrong[i]) ==
                   0);
    }
    int failures = 0;
    for (unsigned i = 0; i < 100; i++) {
        failures += fork_one(i, _exit) != 0;
    }
    CHECK_THAT(failures == 0);
    __atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 5; i++) {
        CHECK_THAT(pthread_join(thread[i], NULL) == 0 && wrong[i] == 0);
    }
}

static int handled;

static void allocate_in_handler(void)
{
    void* block = malloc(100);
    handled += block != NULL;
    free(block);
}

/* Handlers of a program, which run inside the shim's own. */
static void forks_with_handlers_that_allocate(void)
{
    CHECK_THAT(pthread_atfork(allocate_in_handler, allocate_in_handler, allocate_in_handler) == 0);
    (void)fflush(stdout); /* or the child writes it once more */
    CHECK_THAT(fork_one(1, exit) == 0);
    CHECK_THAT(handled == 2); /* before, and after in the parent */
}

static void vfork_shares_the_heap(void)
{
    int status;
    const pid_t child = vfork();
    if (child == 0) {
        execl("/bin/true", "true", (char*)NULL);
        _exit(1);
    }
    CHECK_THAT(waitpid(child, &status, 0) == child && WIFEXITED(status) &&
               WEXITSTATUS(status) == 0);
    CHECK_THAT(churn(7, 1000) == 0);
}

/* ---- an arena that is full --------------------------------------------------------------- */

static void a_full_arena_is_told(void)
{
    static void* block[2000];
    size_t count = 0;
    errno = UNTOUCHED;
    while (count < 2000 && (block[count] = malloc(1000)) != NULL) {
        report_fill(block[count], 1000, (unsigned)count);
        count++;
    }
    CHECK_THAT(count > 900 && count < 1100);
    CHECK_THAT(errno == ENOMEM);
    errno = UNTOUCHED;
    CHECK_THAT(is_refused(calloc(10, 100), ENOMEM));
    CHECK_THAT(is_refused(realloc(as_any(block[0]), 2000), ENOMEM));
    CHECK_THAT(is_refused(reallocarray(as_any(block[0]), 20, 100), ENOMEM));
    CHECK_THAT(is_refused(aligned_alloc(32, 1000), ENOMEM));
    CHECK_THAT(is_refused(valloc(1000), ENOMEM));
    void* ptr = &ptr;
    CHECK_THAT(posix_memalign(&ptr, 32, 1000) == ENOMEM && ptr == &ptr && errno == UNTOUCHED);
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        wrong += !report_holds(block[i], 1000, (unsigned)i);
        free(block[i]);
    }
    CHECK_THAT(wrong == 0);
    void* most = malloc(900000); /* all is back, and in one piece */
    CHECK_THAT(most != NULL);
    free(most);
}

/* ---- misuse ------------------------------------------------------------------------------- */

static void bad_pointers_are_refused(void)
{
    static char foreign[64];
    char* freed = malloc(100);
    char* block = malloc(100);
    report_fill(block, 100, 5);
    free(as_any(freed));
    errno = UNTOUCHED;
    free(as_any(freed));                                  /* 1: freed before */
    free(as_any(block + 16));                             /* 2: inside a block */
    free(as_any(block + 1));                              /* 3: misaligned */
    free(as_any(foreign));                                /* 4: not from the arena */
    CHECK_THAT(malloc_usable_size(as_any(foreign)) == 0); /* 5 */
    CHECK_THAT(errno == UNTOUCHED);
    CHECK_THAT(is_refused(realloc(as_any(foreign), 10), ENOMEM)); /* 6 */
    CHECK_THAT(report_holds(block, 100, 5));
    free(block);
    CHECK_THAT(churn(9, 1000) == 0);
}

/* Nothing is freed that lies beside it, so only the check at exit sees it. */
static void an_overrun_is_left_to_the_check(void)
{
    static void* volatile block[3];
    for (int i = 0; i < 3; i++) {
        block[i] = malloc(100);
        CHECK_THAT(block[i] != NULL);
    }
    memset(block[1], 0xEE, malloc_usable_size(block[1]) + 8);
}

/* ---- a signal ------------------------------------------------------------------------------ */

static void allocate_on_signal(int number)
{
    (void)number;
    free(malloc(1));
}

/* Until the timer finds a call under way; the shim ends the process then. */
static int be_interrupted(void)
{
    const struct itimerval often = {{0, 100}, {0, 100}};
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = allocate_on_signal;
    if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &often, NULL) != 0) {
        return 2;
    }
    for (unsigned i = 0; i < 200000000U; i++) {
        free(malloc(100));
    }
    return 1;
}

/* Compilers know what malloc does, and would leave some calls out: -fno-builtin. */
int main(int count, char** arguments)
{
    const char* const what = count > 1 ? arguments[1] : "";
    if (strcmp(what, "signal") == 0) {
        return be_interrupted();
    }
    (void)alarm(120); /* rather than to hang */
    report_topic("is in front", is_in_front);
    if (report_failures != 0) {
        return report_end();
    }
    if (strcmp(what, "full") == 0) {
        report_topic("a full arena is told", a_full_arena_is_told);
        return report_end();
    }
    if (strcmp(what, "misuse") == 0) {
        report_topic("bad pointers are refused", bad_pointers_are_refused);
        return report_end();
    }
    if (strcmp(what, "overrun") == 0) {
        report_topic("an overrun is left to the check", an_overrun_is_left_to_the_check);
        return report_end();
    }
    if (count != 3) {
        return 2;
    }
    plugin_path[0] = arguments[1];
    plugin_path[1] = arguments[2];
    report_topic("starts with the first call", starts_with_the_first_call);
    report_topic("each serves", each_serves);
    report_topic("nothing gives pointers of their own", nothing_gives_pointers_of_their_own);
    report_topic("calloc clears what was used before", calloc_clears_what_was_used_before);
    report_topic("realloc keeps content and alignment", realloc_keeps_content_and_alignment);
    report_topic("sizes that cannot be are refused", sizes_that_cannot_be_are_refused);
    report_topic("products that overflow are refused", products_that_overflow_are_refused);
    report_topic("alignments that cannot be are refused", alignments_that_cannot_be_are_refused);
    report_topic("libraries are modules of their own", libraries_are_modules_of_their_own);
    report_topic("forks with handlers that allocate", forks_with_handlers_that_allocate);
    report_topic("vfork shares the heap", vfork_shares_the_heap);
    report_topic("forks while threads allocate", forks_while_threads_allocate);
    return report_end();
}
