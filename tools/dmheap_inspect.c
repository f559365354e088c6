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
    "Proves the first heap of dmheap in a raw image of memory, and shows what it holds. The image\n"
    "may be of any target: the word size, the byte order and where the heap begins are found out.\n"
    "It has to begin where the heap's buffer did, or before. IMAGE is a file, or - for standard\n"
    "input; for example, from a debugger:\n"
    "\n"
    "    (gdb) dump binary memory ram.bin 0x20000000 0x20020000\n"
    "    $ dmheap-inspect --address 0x20000000 ram.bin\n"
    "\n"
    "  --text            the check, figures, modules, a map, sizes, leaks; the default\n"
    "  --json            all of that and every block, as one object\n"
    "  --svg             a map of the memory, coloured by module\n"
    "  --html            that map and tables, as one page\n"
    "  --address=NUMBER  where the image began on the target; without it, addresses are bytes\n"
    "                    from the image's start, and alignments are proven among each other only\n"
    "  --offset=NUMBER   look for the heap from that byte of the image on\n"
    "  --module=NAME     list the blocks of that module, instead of those of modules that are\n"
    "                    gone; (nobody) for those of nobody\n"
    "  --help, --version\n"
    "\n"
    "A broken heap is shown as far as it can be read. What it holds is then a guess where a map\n"
    "has `?', or a block's size is called damaged.\n"
    "\n"
    "Exit status: 0 the heap is sound; 1 it is broken, or the image ends before it does; 2 there\n"
    "is no heap in the image, it cannot be read, or the result cannot be written; 3 wrong usage.\n";

struct request {
    const char* path;
    const char* module_name;
    char format; /* t, j, s or h */
    uint64_t address;
    uint64_t offset;
};

static int complain(enum status status, const char* subject, const char* text)
{
    (void)fprintf(stderr, "dmheap-inspect: %s: %s\n", subject, text);
    return (int)status;
}

/* ---- the command line -------------------------------------------------------------- */

/* Decimal, or hexadecimal after 0x. */
static bool parse_number(const char* text, uint64_t* number)
{
    char* end = NULL;
    errno = 0;
    *number = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == '\0' && strchr(text, '-') == NULL;
}

static const struct option options[] = {
    {"text", no_argument, NULL, 't'},          {"json", no_argument, NULL, 'j'},
    {"svg", no_argument, NULL, 's'},           {"html", no_argument, NULL, 'h'},
    {"address", required_argument, NULL, 'a'}, {"offset", required_argument, NULL, 'o'},
    {"module", required_argument, NULL, 'm'},  {"help", no_argument, NULL, 'H'},
    {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0}};

/* One option. False: it is not one, or its number is none. */
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
    case 'o':
        return parse_number(value, &request->offset);
    default:
        return false;
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

static void show(const struct request* request, const struct inspection* inspection)
{
    switch (request->format) {
    case 'j':
        show_json(stdout, inspection, request->module_name);
        break;
    case 's':
        show_svg(stdout, inspection);
        break;
    case 'h':
        show_html(stdout, inspection, request->module_name);
        break;
    default:
        show_text(stdout, inspection, request->module_name);
        break;
    }
}

static int inspect(const struct request* request, const unsigned char* bytes, size_t size)
{
    static struct inspection inspection; /* too large for a stack that is small */
    if (request->offset >= size ||
        !inspect_image(bytes, size, (size_t)request->offset, request->address, &inspection)) {
        return complain(STATUS_NO_HEAP, request->path,
                        size == 0 ? "it is empty" : "no heap of dmheap begins in it");
    }
    if (inspection.blocks == NULL) {
        return complain(STATUS_NO_HEAP, request->path, "not enough memory");
    }
    show(request, &inspection);
    const bool is_sound = inspection.is_sound;
    const char* fault = inspection.fault;
    inspect_release(&inspection);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return complain(STATUS_NO_HEAP, "standard output", strerror(errno));
    }
    return is_sound ? STATUS_SOUND : complain(STATUS_BROKEN, request->path, fault);
}

int main(int argc, char** argv)
{
    struct request request = {NULL, NULL, 't', 0, 0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'H' || option == 'V') {
            (void)fputs(option == 'H' ? help : "dmheap-inspect " DMHEAP_VERSION "\n", stdout);
            return STATUS_SOUND;
        }
        if (!take_option(option, optarg, &request)) {
            return complain(STATUS_USAGE, option == '?' ? "see --help" : optarg,
                            option == '?' ? "unknown option" : "that is no number");
        }
    }
    if (optind + 1 != argc) {
        return complain(STATUS_USAGE, "see --help", "name one image");
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
