/* SPDX-License-Identifier: MIT */
/*
 * Instructions of single calls, see count.h.
 *
 * The inner process turns callgrind's collection on right before a call and off right behind it,
 * then has it write what it collected. The outer one reads those sums back: the first and the last
 * few are calls of the allocator that does nothing, one of each kind, and have to agree.
 */
#define _GNU_SOURCE
#include "count.h"

#include "replay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_include)
#if !__has_include(<valgrind/callgrind.h>)
#error "Install valgrind: its header callgrind.h is what the counting needs."
#endif
#endif
#include <valgrind/callgrind.h>

#define NO_VALGRIND 127

/* ---- inside ----------------------------------------------------------------------------- */

/* One place for all calls, so that what the counting adds is the same for each of a kind. */
__attribute__((noinline)) static bool counted_op(const struct bench_allocator* allocator,
                                                 struct workload_op op, void** slots)
{
    CALLGRIND_TOGGLE_COLLECT;
    const bool served = replay_op(allocator, op, slots);
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS;
    return served;
}

static void count_nothing(void)
{
    void* slot = NULL;
    for (uint32_t kind = 0; kind < WORKLOAD_KINDS; kind++) {
        const struct workload_op op = workload_make((enum workload_kind)kind, 0, 0, 8);
        (void)counted_op(&stage_nothing, op, &slot);
    }
}

static bool count_all(struct stage* stage, const struct bench_allocator* allocator)
{
    bool served = true;
    for (uint32_t i = stage->sequence.unmeasured; i < stage->sequence.count; i++) {
        served &= counted_op(allocator, stage->sequence.op[i], stage->slots);
    }
    return served;
}

int count_inside(struct point point, uint32_t measured, const struct bench_allocator* allocator)
{
    struct stage stage = stage_open(point, measured);
    const enum stage_outcome outcome = stage_settle(&stage, allocator);
    if (outcome != STAGE_SERVED) {
        return (int)outcome;
    }
    CALLGRIND_START_INSTRUMENTATION;
    count_nothing();
    const bool served = count_all(&stage, allocator);
    count_nothing();
    CALLGRIND_STOP_INSTRUMENTATION;
    stage_close(&stage);
    return served ? STAGE_SERVED : STAGE_REFUSED;
}

/* ---- outside: start valgrind -------------------------------------------------------------- */

static char* join(const char* front, const char* back)
{
    char* both = NULL;
    if (asprintf(&both, "%s%s", front, back) < 0) {
        exit(EXIT_FAILURE);
    }
    return both;
}

static void become_valgrind(const char* out_file, const char* const* command)
{
    static const char* const options[] = {
        "valgrind",       "--log-file=/dev/null", "--tool=callgrind",   "--instr-atstart=no",
        "--dump-line=no", "--collect-atstart=no", "--combine-dumps=yes"};
    enum { OPTIONS = sizeof(options) / sizeof(options[0]), MOST = 128 };
    const char* arguments[MOST] = {NULL};
    unsigned count = 0;
    while (count < OPTIONS) {
        arguments[count] = options[count];
        count++;
    }
    arguments[count++] = join("--callgrind-out-file=", out_file);
    while (*command != NULL && count < MOST - 1) {
        arguments[count++] = *command++;
    }
    if (freopen("/dev/null", "w", stdout) != NULL) {
        execvp(arguments[0], (char* const*)(uintptr_t)arguments);
    }
    _exit(NO_VALGRIND);
}

/* Why there are no counts, or NULL. */
static const char* run(const char* out_file, const char* const* command)
{
    int status = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        become_valgrind(out_file, command);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return "no process can be started";
    }
    if (!WIFEXITED(status)) {
        return "it crashed";
    }
    switch (WEXITSTATUS(status)) {
    case STAGE_SERVED:
    case STAGE_CANNOT_FILL:
    case STAGE_REFUSED:
    case STAGE_TOO_SLOW:
        return stage_explain((enum stage_outcome)WEXITSTATUS(status));
    case NO_VALGRIND:
        return "valgrind is not installed";
    default:
        return "the benchmark failed";
    }
}

/* ---- outside: read the sums ---------------------------------------------------------------- */

/* The sums of the dumps that the program asked for; callgrind adds one of its own at the end. */
static size_t read_sums(const char* name, uint32_t* sum, size_t capacity)
{
    static const char asked[] = "desc: Trigger: Client Request";
    char line[512];
    bool is_asked = false;
    size_t count = 0;
    FILE* file = fopen(name, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, asked, sizeof(asked) - 1) == 0) {
            is_asked = true;
        } else if (is_asked && strncmp(line, "summary: ", 9) == 0) {
            if (count < capacity) {
                sum[count] = (uint32_t)strtoul(line + 9, NULL, 10);
            }
            count++;
            is_asked = false;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

/* Subtract what nothing costs; NULL, or why the sums cannot be right. */
static const char* subtract_nothing(const struct stage* stage, uint32_t* sum)
{
    const uint32_t measured = stage_measured(stage);
    const uint32_t* before = sum;
    uint32_t* cost = sum + WORKLOAD_KINDS;
    if (memcmp(before, cost + measured, WORKLOAD_KINDS * sizeof(*sum)) != 0) {
        return "the counts do not repeat";
    }
    for (uint32_t i = 0; i < measured; i++) {
        const struct workload_op op = stage->sequence.op[stage->sequence.unmeasured + i];
        cost[i] -= before[workload_kind(op)];
        if (cost[i] > UINT32_MAX / 2) {
            return "a call costs less than nothing";
        }
    }
    return NULL;
}

/* ---- outside: figures ---------------------------------------------------------------------- */

struct figure {
    double sum;
    uint32_t calls;
    uint32_t worst;
};

static void note(struct figure* figure, uint32_t cost)
{
    figure->calls++;
    figure->sum += cost;
    if (cost > figure->worst) {
        figure->worst = cost;
    }
}

static void add_overall(struct results* results, struct result result, const struct figure* all,
                        const uint32_t* cost)
{
    const bool pairs = workload_is_pairs(result.point.workload);
    result.call = results_overall(result.point.workload);
    result.mean = all->sum * (pairs ? 2 : 1) / all->calls;
    if (result.point.workload->pattern == WORKLOAD_SCENE) {
        result.singles = calloc(all->calls, sizeof(*cost));
        for (; result.singles != NULL && result.single_count < all->calls; result.single_count++) {
            result.singles[result.single_count] = cost[result.single_count];
        }
    }
    results_add(results, result);
}

static void add_figures(struct results* results, struct result result, const struct stage* stage,
                        const uint32_t* cost)
{
    struct figure figures[WORKLOAD_KINDS] = {{0, 0, 0}};
    struct figure all = {0, 0, 0};
    for (uint32_t i = 0; i < stage_measured(stage); i++) {
        const struct workload_op op = stage->sequence.op[stage->sequence.unmeasured + i];
        note(&figures[workload_kind(op)], cost[i]);
        note(&all, cost[i]);
    }
    add_overall(results, result, &all, cost);
    for (unsigned kind = 0; kind < WORKLOAD_KINDS; kind++) {
        if (figures[kind].calls != 0) {
            result.call = workload_call[kind];
            result.mean = figures[kind].sum / figures[kind].calls;
            result.worst = figures[kind].worst;
            results_add(results, result);
        }
    }
}

static const char* count_stage(struct results* results, struct result result,
                               const struct stage* stage, const char* const* command,
                               const char* out_file)
{
    const size_t sums = stage_measured(stage) + 2U * WORKLOAD_KINDS;
    uint32_t* sum = calloc(sums, sizeof(*sum));
    const char* why = sum == NULL ? "out of memory" : run(out_file, command);
    if (why == NULL && read_sums(out_file, sum, sums) != sums) {
        why = "valgrind did not count every call";
    }
    if (why == NULL) {
        why = subtract_nothing(stage, sum);
    }
    if (why == NULL) {
        add_figures(results, result, stage, sum + WORKLOAD_KINDS);
    }
    free(sum);
    return why;
}

static const char* count_in_file(struct results* results, struct result result,
                                 const struct stage* stage, const char* const* command)
{
    char out_file[] = P_tmpdir "/bench-count-XXXXXX";
    const int descriptor = mkstemp(out_file);
    if (descriptor < 0) {
        return "no place for the counts";
    }
    close(descriptor);
    const char* why = count_stage(results, result, stage, command, out_file);
    unlink(out_file);
    return why;
}

void count_point(struct results* results, struct point point, uint32_t measured,
                 const struct bench_allocator* allocator, const char* const* command)
{
    struct result result = {
        allocator->name, point, results_overall(point.workload), 0, -1, NULL, NULL, 0};
    if (!replay_is_possible(allocator, point.workload)) {
        result.note = "it has no such call";
    } else {
        struct stage stage = stage_open(point, measured);
        result.note = count_in_file(results, result, &stage, command);
        stage_close(&stage);
    }
    if (result.note != NULL) {
        results_add(results, result);
    }
}
