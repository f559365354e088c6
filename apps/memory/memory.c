/* SPDX-License-Identifier: MIT */
/*
 * memory: an application for DMOD that shows what its heaps hold.
 *
 * Knows: its options. Does not know: more of heaps than dmheap_ctx.h tells. Always holds: it needs
 * no C library, and no memory but its stack, most of which dmheap_ctx_report takes; so it works where
 * a heap is full.
 */
#include "dmod.h"

#include "dmheap_ctx.h"

#define BAR 50

enum status { STATUS_SHOWN = 0, STATUS_NO_HEAP = 1, STATUS_USAGE = 2 };

struct option {
    const char* name; /* its first letter is the short form */
    unsigned parts;   /* of enum dmheap_report; 0: help */
    const char* help;
};

static const struct option options[] = {
    {"stats", DMHEAP_REPORT_STATS, "-s, --stats          how full a heap is"},
    {"modules", DMHEAP_REPORT_MODULES, "-m, --modules        who holds how much"},
    {"fragmentation", DMHEAP_REPORT_MAP | DMHEAP_REPORT_SIZES,
     "-f, --fragmentation  that, a map, and how many blocks there are of each size"},
    {"json", DMHEAP_REPORT_JSON, "-j, --json           the same as JSON; alone, all there is"},
    {"help", 0, "-h, --help           this text"},
};

#define OPTIONS (sizeof options / sizeof options[0])

struct request {
    unsigned parts;
    const char* heap_name; /* NULL: all that serve by default */
    bool wants_help;
};

/* ---- arguments ---------------------------------------------------------------------- */

static bool is_same(const char* text, const char* other)
{
    while (*text != '\0' && *text == *other) {
        text++;
        other++;
    }
    return *text == *other;
}

/* `-s` or `--stats`; NULL: there is no such option. */
static const struct option* find_option(const char* argument)
{
    for (unsigned i = 0; i < OPTIONS; i++) {
        const struct option* option = &options[i];
        const bool is_short = argument[1] == option->name[0] && argument[2] == '\0';
        if (is_short || (argument[1] == '-' && is_same(argument + 2, option->name))) {
            return option;
        }
    }
    return NULL;
}

/* What is wrong with it, or NULL. */
static const char* take_argument(const char* argument, struct request* request)
{
    if (argument[0] != '-') {
        const bool is_first = request->heap_name == NULL;
        request->heap_name = argument;
        return is_first ? NULL : "is one heap too many";
    }
    const struct option* option = find_option(argument);
    if (option == NULL) {
        return "is not known";
    }
    request->parts |= option->parts;
    request->wants_help = request->wants_help || option->parts == 0;
    return NULL;
}

static void print_help(void)
{
    Dmod_Printf("memory [options] [heap]: shows the heap of that name, or all that serve by "
                "default.\n");
    for (unsigned i = 0; i < OPTIONS; i++) {
        Dmod_Printf("  %s\n", options[i].help);
    }
    Dmod_Printf("Signs of the bar: # used, . free in pieces, blank the largest piece.\n"
                "Exit status: 0 shown, 1 no heap, 2 wrong arguments.\n");
}

/* ---- showing ------------------------------------------------------------------------ */

static bool print_line(const char* line, void* context)
{
    (void)context;
    Dmod_Printf("%s\n", line);
    return true;
}

/*
 * How many of `steps` that part is, rounded, but all of them only if nothing is missing, and none only
 * of nothing; there are 100 at most.
 */
static unsigned share_of(size_t part, size_t whole, unsigned steps)
{
    if (part == 0 || part >= whole) {
        return part == 0 ? 0 : steps;
    }
    while (whole > SIZE_MAX / 200) {
        whole >>= 1;
        part >>= 1;
    }
    const unsigned share = (unsigned)((part * steps + whole / 2) / whole);
    if (share == 0) {
        return 1;
    }
    return share < steps ? share : steps - 1;
}

static void print_bar(const struct dmheap_stats* stats)
{
    char bar[BAR + 1];
    const unsigned used = share_of(stats->used, stats->size, BAR);
    const unsigned rest = BAR - share_of(stats->largest_free, stats->size, BAR);
    for (unsigned column = 0; column < BAR; column++) {
        bar[column] = ' ';
        if (column < used) {
            bar[column] = '#';
        } else if (column < rest) {
            bar[column] = '.';
        }
    }
    bar[BAR] = '\0';
    Dmod_Printf("\n[%s] %u %% used\n", bar, share_of(stats->used, stats->size, 100));
}

static enum status show_heap(struct dmheap_ctx* heap, unsigned parts)
{
    struct dmheap_stats stats;
    if (!dmheap_ctx_report(heap, parts, print_line, NULL)) {
        return STATUS_NO_HEAP;
    }
    if ((parts & DMHEAP_REPORT_JSON) == 0) {
        if (!dmheap_ctx_get_stats(heap, &stats)) {
            return STATUS_NO_HEAP;
        }
        print_bar(&stats);
    }
    return STATUS_SHOWN;
}

static enum status show_defaults(unsigned parts)
{
    enum status status = STATUS_SHOWN;
    struct dmheap_ctx* heap = dmheap_ctx_get_default(0);
    for (unsigned i = 0; status == STATUS_SHOWN && heap != NULL; i++) {
        if (i != 0) {
            Dmod_Printf("\n");
        }
        status = show_heap(heap, parts);
        heap = dmheap_ctx_get_default(i + 1);
    }
    return status;
}

static enum status show(const struct request* request)
{
    const char* name = request->heap_name;
    struct dmheap_ctx* heap = name != NULL ? dmheap_ctx_find(name) : dmheap_ctx_get_default(0);
    if (heap == NULL) {
        Dmod_Printf("memory: there is no heap%s%s\n", name != NULL ? " " : "",
                    name != NULL ? name : "");
        return STATUS_NO_HEAP;
    }
    if (name == NULL && (request->parts & DMHEAP_REPORT_JSON) == 0) {
        return show_defaults(request->parts);
    }
    return show_heap(name != NULL ? heap : NULL, request->parts);
}

int main(int argc, char* argv[])
{
    struct request request = {0, NULL, false};
    for (int i = 1; i < argc; i++) {
        const char* wrong = take_argument(argv[i], &request);
        if (wrong != NULL) {
            Dmod_Printf("memory: %s %s; see memory --help\n", argv[i], wrong);
            return STATUS_USAGE;
        }
    }
    if (request.wants_help || argc < 2) {
        print_help();
        return STATUS_SHOWN;
    }
    if (request.parts == 0 || request.parts == DMHEAP_REPORT_JSON) {
        request.parts |= DMHEAP_REPORT_ALL;
    }
    return (int)show(&request);
}
