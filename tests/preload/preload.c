/* SPDX-License-Identifier: MIT */
/*
 * libdmheap-preload.so: a heap of dmheap in place of malloc, in programs that know nothing of it. A
 * test and a demonstration, nothing to run a system on: all threads share one lock, and the arena
 * neither grows nor gives anything back.
 *
 *     LD_PRELOAD=$PWD/libdmheap-preload.so DMHEAP_PRELOAD_REPORT=/tmp/report program ...
 *
 *   DMHEAP_PRELOAD_MIB     size of the arena in MiB; 256 if it is not set. To start clears 1/128 of
 *                          it; the rest is touched only as it is used.
 *   DMHEAP_PRELOAD_CHECK   the whole heap is proven every so many calls, and at exit. 0, or not set:
 *                          never
 *   DMHEAP_PRELOAD_REPORT  a file, by its whole path, that each process appends to when it exits: its
 *                          calls, how they went, and who holds what. Not set: none
 *
 * A module is a program or a library, and owns what is allocated by calls that return to it. The
 * loader's own table tells which that is; it is read without a lock, so calls of the loader, or while
 * another thread loads, are as any other. A library's name is its path, of which the last 63
 * characters count; the program has a handle. A library that is unloaded keeps its blocks. Code that
 * lies in no file allocates for nobody.
 *
 * The functions do what glibc's manual says. Where that leaves room:
 * - A request that fails gives NULL with ENOMEM, also one for more than PTRDIFF_MAX bytes; with
 *   EINVAL for an alignment that is no power of two. posix_memalign has these as its result, and
 *   leaves errno and the pointer alone. What succeeds leaves errno alone, too.
 * - realloc to 0 bytes frees, and gives NULL.
 * - A pointer that is no block of the arena is refused with a line on standard error, by realloc with
 *   ENOMEM, and the program goes on; glibc would end it.
 * - The shim is started before all other libraries, so that its fork handlers are outside of theirs;
 *   or by a call that comes even before, from the loader. To start allocates nothing.
 * - fork waits for the lock: so the child, also of a process with threads, has a sound heap, and may
 *   allocate. What another thread's realloc was just moving is lost there. Its calls are counted from
 *   0 on. vfork and posix_spawn need nothing; after a bare clone nothing may be called.
 * - A signal's handler must not call: as with glibc. A call that interrupted another one of its thread
 *   ends the program with a line.
 * - A process that ends without exit, as by a signal or _exit, reports nothing.
 */
#include "dmheap_port.h"

#include "dmheap_ctx.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#if !__GLIBC_PREREQ(2, 35)
#error "_dl_find_object is what tells callers apart: it needs glibc 2.35 or later."
#endif

#define EXPORT      __attribute__((visibility("default")))
#define CALLER      __builtin_return_address(0)
#define ALIGNMENT   ((size_t)16) /* of all that is allocated: that of max_align_t */
#define MIB_DEFAULT 256U
#define MIB_MAX     ((size_t)PTRDIFF_MAX >> 20)
#define TEXT_BYTES  512U

pthread_mutex_t preload_mutex = PTHREAD_MUTEX_INITIALIZER;
__thread volatile bool preload_is_inside;

enum call {
    CALL_MALLOC,
    CALL_CALLOC,
    CALL_REALLOC,
    CALL_REALLOCARRAY,
    CALL_FREE,
    CALL_ALIGNED_ALLOC,
    CALL_POSIX_MEMALIGN,
    CALL_MEMALIGN,
    CALL_VALLOC,
    CALL_PVALLOC,
    CALL_MALLOC_USABLE_SIZE,
    CALLS
};

/* Of this process alone, since it was started or forked. */
static struct {
    size_t of[CALLS];
    size_t calls;    /* all of them */
    size_t unserved; /* requests for a size that can be, which got NULL */
    size_t errors;   /* lines of level ERROR */
    size_t checks;
    size_t faults; /* checks that found one */
} counts;

/* Set once, by the start. */
static struct dmheap_module program;
static char program_path[PATH_MAX];
static char report_path[PATH_MAX]; /* empty: none is wanted */
static size_t check_interval;

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t add_one(size_t* count)
{
    return __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
}

/* ---- the port ------------------------------------------------------------------- */

static void write_out(int file, const char* text, size_t length)
{
    while (length != 0) {
        const ssize_t written = write(file, text, length);
        if (written < 0) {
            if (errno != EINTR) {
                return;
            }
            continue;
        }
        text += written;
        length -= (size_t)written;
    }
}

__attribute__((format(printf, 2, 0))) static void write_text(int file, const char* format,
                                                             va_list arguments)
{
    char text[TEXT_BYTES];
    const int length = vsnprintf(text, sizeof(text), format, arguments);
    if (length > 0) {
        write_out(file, text, (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
    }
}

void preload_log(const char* format, ...)
{
    const int error = errno;
    va_list arguments;
    add_one(&counts.errors);
    va_start(arguments, format);
    write_text(STDERR_FILENO, format, arguments);
    va_end(arguments);
    errno = error;
}

void preload_stop(const char* why)
{
    preload_log("[ERROR] dmheap preload: %s.\n", why);
    abort();
}

/* ---- the start -------------------------------------------------------------------- */

/*
 * What the process was started with: a count, so many arguments, NULL, variables, NULL. libc's own
 * pointers to these are not set yet when the shim is started.
 */
extern char** __libc_stack_end;

static const char* setting(const char* name)
{
    const size_t length = strlen(name);
    const size_t arguments = (size_t)(uintptr_t)__libc_stack_end[0];
    for (char** at = __libc_stack_end + 1 + arguments + 1; *at != NULL; at++) {
        if (strncmp(*at, name, length) == 0 && (*at)[length] == '=') {
            return *at + length + 1;
        }
    }
    return "";
}

/* A number of decimal digits; a process with a setting that is none is stopped. */
static size_t number_setting(const char* name, size_t least, size_t most, size_t otherwise)
{
    const char* text = setting(name);
    size_t number = 0;
    if (*text == '\0') {
        return otherwise;
    }
    for (; *text >= '0' && *text <= '9' && number <= most; text++) {
        number = number * 10 + (size_t)(*text - '0');
    }
    if (*text != '\0' || number < least || number > most) {
        preload_log("[ERROR] dmheap preload: %s is no number that can be.\n", name);
        abort();
    }
    return number;
}

/* The end of a path, as long as a module's name may be. */
static const char* path_end(const char* path)
{
    const size_t length = strlen(path);
    return length < DMHEAP_NAME_BYTES ? path : path + length - (DMHEAP_NAME_BYTES - 1);
}

/* Programs may write over what they were started with. */
static void copy_path(char copy[PATH_MAX], const char* path)
{
    if (strlen(path) >= PATH_MAX) {
        preload_stop("a path is too long");
    }
    strcpy(copy, path);
}

static void before_fork(void)
{
    dmheap_port_lock();
}

static void after_fork_in_parent(void)
{
    dmheap_port_unlock();
}

static void after_fork_in_child(void)
{
    dmheap_port_unlock();
    memset(&counts, 0, sizeof(counts));
}

/* Nothing of this may allocate. */
static void start(void)
{
    const int error = errno;
    const size_t bytes = number_setting("DMHEAP_PRELOAD_MIB", 1, MIB_MAX, MIB_DEFAULT) << 20;
    void* arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check_interval = number_setting("DMHEAP_PRELOAD_CHECK", 0, SIZE_MAX / 100, 0);
    copy_path(report_path, setting("DMHEAP_PRELOAD_REPORT"));
    copy_path(program_path, (const char*)getauxval(AT_EXECFN)); /* as it was asked for */
    if (arena == MAP_FAILED || !dmheap_init(arena, bytes, ALIGNMENT) ||
        !dmheap_ctx_open_module(NULL, path_end(program_path), &program) ||
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0) {
        preload_stop("there is no memory for the arena");
    }
    errno = error;
}

static pthread_once_t start_once = PTHREAD_ONCE_INIT;

__attribute__((constructor)) static void start_first(void)
{
    (void)pthread_once(&start_once, start);
}

/* ---- calls ------------------------------------------------------------------------ */

static void check(void)
{
    struct dmheap_finding finding;
    add_one(&counts.checks);
    if (!dmheap_ctx_check(NULL, &finding)) {
        add_one(&counts.faults);
    }
}

/* What each call begins with. */
static void begin(enum call call)
{
    (void)pthread_once(&start_once, start);
    add_one(&counts.of[call]);
    const size_t number = add_one(&counts.calls);
    if (check_interval != 0 && number % check_interval == 0) {
        check();
    }
}

static void* no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* What each request ends with that could have been served. */
static void* served(void* block)
{
    if (block == NULL) {
        add_one(&counts.unserved);
        return no_memory();
    }
    return block;
}

/*
 * The module that the call returns to; empty: the program, NULL: code in no file. The text stays for
 * as long as the call takes, for the code that it returns to has to stay as well.
 */
static const char* module_of(const void* caller)
{
    struct dl_find_object found;
    if (_dl_find_object((void*)(uintptr_t)caller, &found) != 0) {
        return NULL;
    }
    return path_end(found.dlfo_link_map->l_name);
}

static bool is_program(const char* module_name)
{
    return module_name != NULL && *module_name == '\0';
}

static void* allocate(size_t size, const void* caller)
{
    const char* const module_name = module_of(caller);
    if (size > PTRDIFF_MAX) {
        return no_memory();
    }
    return served(is_program(module_name) ? dmheap_ctx_malloc_for(NULL, size, program)
                                          : dmheap_malloc(size, module_name));
}

static void* allocate_aligned(size_t alignment, size_t size, const void* caller)
{
    const char* const module_name = module_of(caller);
    if (size > PTRDIFF_MAX) {
        return no_memory();
    }
    return served(is_program(module_name)
                      ? dmheap_ctx_aligned_alloc_for(NULL, alignment, size, program)
                      : dmheap_aligned_alloc(alignment, size, module_name));
}

static void* allocate_cleared(size_t size, const void* caller)
{
    const char* const module_name = module_of(caller);
    if (size > PTRDIFF_MAX) {
        return no_memory();
    }
    if (!is_program(module_name)) {
        return served(dmheap_ctx_calloc(NULL, 1, size, module_name));
    }
    void* const block = served(dmheap_ctx_malloc_for(NULL, size, program));
    return block != NULL ? memset(block, 0, size) : NULL;
}

/* Of the block of an array that a size_t cannot tell; PTRDIFF_MAX bytes are too many as well. */
static size_t array_bytes(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

static void* resize(void* ptr, size_t size, const void* caller)
{
    if (ptr == NULL) {
        return allocate(size, caller);
    }
    if (size == 0) {
        dmheap_free(ptr, true);
        return NULL;
    }
    return size <= PTRDIFF_MAX ? served(dmheap_realloc(ptr, size, NULL)) : no_memory();
}

static bool is_power_of_two(size_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}

static void* align(size_t alignment, size_t size, const void* caller)
{
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return allocate_aligned(alignment, size, caller);
}

/* ---- the eleven ------------------------------------------------------------------- */

EXPORT void* malloc(size_t size)
{
    begin(CALL_MALLOC);
    return allocate(size, CALLER);
}

EXPORT void* calloc(size_t count, size_t size)
{
    begin(CALL_CALLOC);
    return allocate_cleared(array_bytes(count, size), CALLER);
}

EXPORT void* realloc(void* ptr, size_t size)
{
    begin(CALL_REALLOC);
    return resize(ptr, size, CALLER);
}

EXPORT void* reallocarray(void* ptr, size_t count, size_t size)
{
    begin(CALL_REALLOCARRAY);
    return resize(ptr, array_bytes(count, size), CALLER);
}

EXPORT void free(void* ptr)
{
    begin(CALL_FREE);
    dmheap_free(ptr, true);
}

EXPORT void* aligned_alloc(size_t alignment, size_t size)
{
    begin(CALL_ALIGNED_ALLOC);
    return align(alignment, size, CALLER);
}

EXPORT int posix_memalign(void** result, size_t alignment, size_t size)
{
    begin(CALL_POSIX_MEMALIGN);
    if (!is_power_of_two(alignment) || alignment % sizeof(void*) != 0) {
        return EINVAL;
    }
    const int error = errno;
    void* const block = allocate_aligned(alignment, size, CALLER);
    errno = error;
    if (block == NULL) {
        return ENOMEM;
    }
    *result = block;
    return 0;
}

EXPORT void* memalign(size_t alignment, size_t size)
{
    begin(CALL_MEMALIGN);
    return align(alignment, size, CALLER);
}

EXPORT void* valloc(size_t size)
{
    begin(CALL_VALLOC);
    return allocate_aligned(page_bytes(), size, CALLER);
}

EXPORT void* pvalloc(size_t size)
{
    begin(CALL_PVALLOC);
    const size_t page = page_bytes();
    const size_t whole = size > PTRDIFF_MAX ? size : (size + page - 1) & ~(page - 1);
    return allocate_aligned(page, whole, CALLER);
}

EXPORT size_t malloc_usable_size(void* ptr)
{
    begin(CALL_MALLOC_USABLE_SIZE);
    return dmheap_ctx_usable_size(NULL, ptr);
}

/* ---- the report ------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void say(int file, const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_text(file, format, arguments);
    va_end(arguments);
}

static bool print(const char* line, void* context)
{
    say(*(const int*)context, "%s\n", line);
    return true;
}

/* Bytes of all blocks together when that was most. */
static size_t most_held(void)
{
    struct dmheap_heap_account account;
    return dmheap_ctx_get_heap_account(NULL, &account)
               ? account.used + account.free - account.min_free
               : 0;
}

static void write_report(int file)
{
    static const char* const name[CALLS] = {
        "malloc", "calloc",        "realloc",           "reallocarray",
        "free",   "aligned_alloc", "posix_memalign",    "memalign",
        "valloc", "pvalloc",       "malloc_usable_size"};
    say(file,
        "process %d of %d calls %zu unserved %zu errors %zu checks %zu faults %zu most %zu %s\n",
        (int)getpid(), (int)getppid(), counts.calls, counts.unserved, counts.errors, counts.checks,
        counts.faults, most_held(), program_path);
    for (unsigned i = 0; i < CALLS; i++) {
        if (counts.of[i] != 0) {
            say(file, "  %-18s %12zu\n", name[i], counts.of[i]);
        }
    }
    (void)dmheap_ctx_report(NULL, DMHEAP_REPORT_MODULES, print, &file);
    say(file, "\n");
}

/* Under a lock of the file, so that reports of several processes stand one behind the other. */
__attribute__((destructor)) static void report(void)
{
    if (check_interval != 0) {
        check();
    }
    if (report_path[0] == '\0') {
        return;
    }
    int file = open(report_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0 || flock(file, LOCK_EX) != 0) {
        preload_log("[ERROR] dmheap preload: no report can be written to %s.\n", report_path);
        return;
    }
    write_report(file);
    (void)close(file);
}
