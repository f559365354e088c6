/* SPDX-License-Identifier: MIT */
/* dmheap-inspect: what a heap in an image holds, and whether it is sound. Here: its command line. */
#include "inspect.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#ifndef DMHEAP_VERSION
#define DMHEAP_VERSION "unknown"
#endif

enum status { STATUS_SOUND = 0, STATUS_BROKEN = 1, STATUS_NO_HEAP = 2, STATUS_USAGE = 3 };

static const char help[] =
    "dmheap-inspect [options] IMAGE\n"
    "\n"
    "Proves the heaps of dmheap in a raw image of memory, and shows what they hold. The image may\n"
    "be of any target and any build: the word size, the byte order, the settings and where heaps\n"
    "begin are found out. It has to begin where a heap's buffer did, or before. IMAGE is a file, "
    "or\n"
    "- for standard input; for example, from a debugger:\n"
    "\n"
    "    (gdb) dump binary memory ram.bin 0x20000000 0x20020000\n"
    "    $ dmheap-inspect --address 0x20000000 ram.bin\n"
    "\n"
    "  --text            the check, figures, modules, a map, sizes, leaks; the default\n"
    "  --json            all of that and every block: {\"heaps\": [...]}\n"
    "  --svg             a map of the memory, coloured by module\n"
    "  --html            that map and tables, as one page\n"
    "  --address=NUMBER  where the image began on the target; without it, addresses are bytes\n"
    "                    from the image's start, and alignments are proven among each other only\n"
    "  --offset=NUMBER   only the first heap from that byte of the image on; so a heap in a block\n"
    "                    of another one is shown, too\n"
    "  --module=NAME     list the blocks of that module, instead of those of modules that are\n"
    "                    gone; (nobody) for those of nobody\n"
    "  --help, --version\n"
    "\n"
    "A broken heap is shown as far as it can be read. What it holds is then a guess where a map\n"
    "has `?', or a block's size is called damaged. What was a heap once, and still is in the "
    "image,\n"
    "counts as one.\n"
    "\n"
    "Where the library keeps accounts, each owner's are shown; `last for' is why its last request\n"
    "was refused: no memory, memory in pieces, its limit, or other owners' reserves.\n"
    "\n"
    "Canaries are told from numbers by the blocks that have them: a heap without blocks counts as\n"
    "one with numbers. The seal that a library with DMHEAP_GUARD keeps is not proven.\n"
    "\n"
    "Exit status: 0 all heaps are sound; 1 one is broken, or the image ends before it does; 2 "
    "there\n"
    "is no heap in the image, it cannot be read, or the result cannot be written; 3 wrong usage.\n";

struct request {
    const char* path;
    const char* module_name;
    char format; /* t, j, s or h */
    uint64_t address;
    uint64_t offset;
    bool is_one; /* an offset was given */
};

static int complain(enum status status, const char* subject, const char* text)
{
    (void)fprintf(stderr, "dmheap-inspect: %s: %s\n", subject, text);
    return (int)status;
}

/* ---- the command line -------------------------------------------------------------- */

/* Decimal, or hexadecimal after 0x; digits and nothing else. */
static bool parse_number(const char* text, uint64_t* number)
{
    const bool is_hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char* digits = is_hexadecimal ? text + 2 : text;
    char* end = NULL;
    errno = 0;
    *number = strtoull(digits, &end, is_hexadecimal ? 16 : 10);
    return errno == 0 && *digits != '\0' && *end == '\0' &&
           strspn(digits, "0123456789abcdefABCDEF") == strlen(digits);
}

static const struct option options[] = {
    {"text", no_argument, NULL, 't'},          {"json", no_argument, NULL, 'j'},
    {"svg", no_argument, NULL, 's'},           {"html", no_argument, NULL, 'h'},
    {"address", required_argument, NULL, 'a'}, {"offset", required_argument, NULL, 'o'},
    {"module", required_argument, NULL, 'm'},  {"help", no_argument, NULL, 'H'},
    {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0}};

/* One option. False: its number is none. */
static bool take_option(int option, const char* value, struct request* request)
{
    switch (option) {
    case 't':
    case 'j':
    case 's':
    case 'h':
        request->format = (char)option;
        return true;
    case 'm':
        request->module_name = value;
        return true;
    case 'a':
        return parse_number(value, &request->address);
    default:
        request->is_one = true;
        return parse_number(value, &request->offset);
    }
}

/* ---- the image --------------------------------------------------------------------- */

/* All of a file. NULL: it cannot be read, and errno tells why. */
static unsigned char* read_all(FILE* file, size_t* size)
{
    unsigned char* bytes = NULL;
    size_t room = 0;
    *size = 0;
    while (!feof(file)) {
        if (*size == room) {
            room = room == 0 ? 65536 : 2 * room;
            unsigned char* grown = realloc(bytes, room);
            if (grown == NULL) {
                free(bytes);
                return NULL;
            }
            bytes = grown;
        }
        *size += fread(bytes + *size, 1, room - *size, file);
        if (ferror(file)) {
            free(bytes);
            return NULL;
        }
    }
    return bytes;
}

static unsigned char* read_image(const char* path, size_t* size)
{
    const bool is_input = strcmp(path, "-") == 0;
    FILE* file = is_input ? stdin : fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    unsigned char* bytes = read_all(file, size);
    const int error = errno;
    if (!is_input) {
        (void)fclose(file);
    }
    errno = error;
    return bytes;
}

/* ---- the run ----------------------------------------------------------------------- */

static void show(const struct request* request, const struct inspections* all)
{
    switch (request->format) {
    case 'j':
        show_json(stdout, all, request->module_name);
        break;
    case 's':
        show_svg(stdout, all);
        break;
    case 'h':
        show_html(stdout, all, request->module_name);
        break;
    default:
        show_text(stdout, all, request->module_name);
        break;
    }
}

static void release(struct inspections* all)
{
    while (all->count != 0) {
        all->count--;
        inspect_release(all->heap[all->count]);
        free(all->heap[all->count]);
    }
    free(all->heap);
    all->heap = NULL;
}

/* Room for one more inspection; NULL: out of memory. */
static struct inspection* add(struct inspections* all)
{
    struct inspection** grown = realloc(all->heap, (all->count + 1) * sizeof(struct inspection*));
    struct inspection* inspection = grown != NULL ? malloc(sizeof(*inspection)) : NULL;
    if (grown != NULL) {
        all->heap = grown;
    }
    if (inspection != NULL) {
        all->heap[all->count++] = inspection;
    }
    return inspection;
}

/* All heaps that are asked for. False: out of memory. */
static bool inspect_all(const struct request* request, const unsigned char* bytes, size_t size,
                        struct inspections* all)
{
    size_t from = request->offset < size ? (size_t)request->offset : size;
    while (from < size && !(request->is_one && all->count != 0)) {
        struct inspection* inspection = add(all);
        if (inspection == NULL) {
            return false;
        }
        if (!inspect_image(bytes, size, &from, request->address, inspection)) {
            free(inspection);
            all->count--;
            return true;
        }
        if (inspection->blocks == NULL) {
            return false;
        }
    }
    return true;
}

/* Say what is broken. */
static int judge(const char* path, const struct inspections* all)
{
    int status = STATUS_SOUND;
    for (size_t i = 0; i < all->count; i++) {
        if (!all->heap[i]->is_sound) {
            status = complain(STATUS_BROKEN, path, all->heap[i]->fault);
        }
    }
    return status;
}

/* Is all of the result written? It is said if not. */
static bool is_written(void)
{
    return (fflush(stdout) == 0 && !ferror(stdout)) ||
           complain(STATUS_NO_HEAP, "standard output", strerror(errno)) == STATUS_SOUND;
}

/* Why there is nothing to show. */
static const char* why_none(const struct request* request, size_t size)
{
    if (size == 0) {
        return "it is empty";
    }
    if (request->is_one) {
        return "no heap of dmheap begins behind that offset";
    }
    return request->address != 0 ? "no heap of dmheap begins in it, or not at such an address"
                                 : "no heap of dmheap begins in it";
}

static int inspect(const struct request* request, const unsigned char* bytes, size_t size)
{
    struct inspections all = {NULL, 0};
    int status;
    if (!inspect_all(request, bytes, size, &all)) {
        status = complain(STATUS_NO_HEAP, request->path, "not enough memory");
    } else if (all.count == 0) {
        status = complain(STATUS_NO_HEAP, request->path, why_none(request, size));
    } else {
        show(request, &all);
        status = is_written() ? judge(request->path, &all) : STATUS_NO_HEAP;
    }
    release(&all);
    return status;
}

int main(int argc, char** argv)
{
    struct request request = {NULL, NULL, 't', 0, 0, false};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'H' || option == 'V') {
            (void)fputs(option == 'H' ? help : "dmheap-inspect " DMHEAP_VERSION "\n", stdout);
            return is_written() ? STATUS_SOUND : STATUS_NO_HEAP;
        }
        if (option == '?') { /* and why was printed */
            return complain(STATUS_USAGE, "wrong usage", "see --help");
        }
        if (!take_option(option, optarg, &request)) {
            return complain(STATUS_USAGE, optarg, "that is no number");
        }
    }
    if (optind + 1 != argc) {
        return complain(STATUS_USAGE, "name one image", "see --help");
    }
    size_t size = 0;
    request.path = argv[optind];
    unsigned char* bytes = read_image(request.path, &size);
    if (bytes == NULL) {
        return complain(STATUS_NO_HEAP, request.path, strerror(errno));
    }
    const int status = inspect(&request, bytes, size);
    free(bytes);
    return status;
}
