/* SPDX-License-Identifier: MIT */
/*
 * Workloads, generated: see workload.h.
 *
 * One function per pattern writes a number of units of its work. A sequence is the fill, the
 * units to settle, the measured units. Random numbers are integers throughout: no two machines
 * differ.
 */
#include "workload.h"

#include "random.h"

/* Typical numbers of a module of DMOD; the proportions matter, not the single value. */
#define LOAD_SYMBOLS     12U /* pairs of a node and its name, gone when loading is done */
#define LOAD_OWN         12U /* blocks that the module's code allocates */
#define LOAD_SLOTS       (3U + 2U * LOAD_SYMBOLS + LOAD_OWN)
#define LOAD_IMAGE_LEAST 2048U
#define LOAD_IMAGE_MOST  16384U

#define SCENE_SLOTS 7U /* 'a' to 'g' */

/* ---- the table ------------------------------------------------------------------------ */

const struct workload workloads[] = {
    {.name = "small",
     .about = "replace blocks of 8-256 bytes, uniform",
     .pattern = WORKLOAD_REPLACE,
     .least = 8,
     .most = 256,
     .usual = {100, 1000, 100000}},
    {.name = "mixed",
     .about = "replace blocks of 16-4096 bytes, log-uniform",
     .pattern = WORKLOAD_REPLACE,
     .least = 16,
     .most = 4096,
     .octaves = true,
     .usual = {100, 1000, 100000}},
    {.name = "lifo",
     .about = "allocate 50 blocks of 64 bytes, free them in reverse",
     .pattern = WORKLOAD_STACK,
     .least = 64,
     .most = 64,
     .usual = {50}},
    {.name = "realloc",
     .about = "resize blocks to 8-511 bytes",
     .pattern = WORKLOAD_REGROW,
     .least = 8,
     .most = 511,
     .usual = {500}},
    {.name = "aligned",
     .about = "replace blocks of 8-256 bytes, aligned to 64",
     .pattern = WORKLOAD_REPLACE,
     .least = 8,
     .most = 256,
     .alignment = 6,
     .usual = {500}},
    {.name = "load",
     .about = "DMOD loads and unloads modules; all memory is nobody's",
     .pattern = WORKLOAD_LOAD,
     .least = 8,
     .most = 512,
     .octaves = true,
     .alignment = 4,
     .usual = {8}},
    {.name = "modules",
     .about = "the same; what a module allocates is its own",
     .pattern = WORKLOAD_LOAD,
     .least = 8,
     .most = 512,
     .octaves = true,
     .alignment = 4,
     .owned = true,
     .usual = {8}},
    {.name = "last",
     .about = "replace the last 100 blocks, of 8-256 bytes",
     .pattern = WORKLOAD_REPLACE,
     .least = 8,
     .most = 256,
     .worked = 100,
     .usual = {100, 100000}},
    {.name = "scene",
     /* With its header each takes 16 granules of 8: a hundred of them whole words of a live map. */
     .about = "20 calls that take every path, behind blocks of 120 bytes",
     .pattern = WORKLOAD_SCENE,
     .least = 120,
     .most = 120,
     .usual = {100, 100000}},
};

const char* const workload_call[WORKLOAD_KINDS] = {
    [WORKLOAD_ALLOCATE] = "malloc",         [WORKLOAD_RELEASE] = "free",
    [WORKLOAD_RESIZE] = "realloc",          [WORKLOAD_ALIGNED] = "aligned",
    [WORKLOAD_ALLOCATE_FOR] = "malloc_for", [WORKLOAD_UNLOAD] = "unload",
};

const unsigned workload_count = sizeof(workloads) / sizeof(workloads[0]);

static bool same_text(const char* one, const char* other)
{
    while (*one != '\0' && *one == *other) {
        one++;
        other++;
    }
    return *one == *other;
}

const struct workload* workload_find(const char* name)
{
    for (unsigned i = 0; i < workload_count; i++) {
        if (same_text(workloads[i].name, name)) {
            return &workloads[i];
        }
    }
    return NULL;
}

bool workload_is_pairs(const struct workload* workload)
{
    return workload->pattern == WORKLOAD_REPLACE || workload->pattern == WORKLOAD_STACK;
}

bool workload_uses(const struct workload* workload, enum workload_kind kind)
{
    const enum workload_pattern pattern = workload->pattern;
    switch (kind) {
    case WORKLOAD_ALLOCATE:
        return workload->alignment == 0 || pattern == WORKLOAD_LOAD;
    case WORKLOAD_RELEASE:
        return pattern != WORKLOAD_REGROW;
    case WORKLOAD_RESIZE:
        return pattern == WORKLOAD_REGROW;
    case WORKLOAD_ALIGNED:
        return workload->alignment != 0 || pattern == WORKLOAD_SCENE;
    default:
        return workload->owned;
    }
}

/* ---- random numbers ------------------------------------------------------------------- */

/*
 * least <= result < most, as least * 2^x for a uniform x; most is least times a power of two.
 * Within a doubling, 2^f is 1 + f * (0.6565 + 0.3435 * f), to 0.2 %, in 16 bits of fraction.
 */
static uint32_t random_octaves(uint32_t* state, uint32_t least, uint32_t most)
{
    uint32_t octaves = 0;
    while (least << (octaves + 1U) <= most) {
        octaves++;
    }
    const uint32_t octave = random_below(state, octaves);
    const uint32_t f = random_next(state) >> 16;
    const uint32_t factor = 65536U + (f * (43024U + (f * 22512U >> 16)) >> 16);
    return (uint32_t)((uint64_t)(least << octave) * factor >> 16);
}

/* ---- writing a sequence --------------------------------------------------------------- */

struct writer {
    const struct workload* workload;
    struct workload_op* op;
    uint32_t capacity;
    uint32_t random;
    struct workload_sequence sequence;
};

static void put(struct writer* writer, enum workload_kind kind, uint32_t slot, uint32_t tag,
                uint32_t size)
{
    const uint32_t index = writer->sequence.count++;
    if (index < writer->capacity) {
        writer->op[index] = workload_make(kind, slot, tag, size);
    }
}

static uint32_t pick_size(struct writer* writer)
{
    const struct workload* workload = writer->workload;
    return workload->octaves ? random_octaves(&writer->random, workload->least, workload->most)
                             : random_uniform(&writer->random, workload->least, workload->most);
}

static void put_allocate(struct writer* writer, uint32_t slot)
{
    const uint32_t alignment = writer->workload->alignment;
    put(writer, alignment == 0 ? WORKLOAD_ALLOCATE : WORKLOAD_ALIGNED, slot, alignment,
        pick_size(writer));
}

static void put_release(struct writer* writer, uint32_t slot)
{
    put(writer, WORKLOAD_RELEASE, slot, 0, 0);
}

static void put_fill(struct writer* writer, uint32_t live)
{
    for (uint32_t slot = 0; slot < live; slot++) {
        put_allocate(writer, slot);
    }
}

/* ---- the patterns --------------------------------------------------------------------- */

static void replace(struct writer* writer, uint32_t live, uint32_t units)
{
    const uint32_t worked = writer->workload->worked == 0 ? live : writer->workload->worked;
    for (uint32_t i = 0; i < units; i++) {
        const uint32_t slot = live - 1U - random_below(&writer->random, worked);
        put_release(writer, slot);
        put_allocate(writer, slot);
    }
}

static void stack(struct writer* writer, uint32_t live, uint32_t units)
{
    for (uint32_t i = 0; i < units; i++) {
        put_fill(writer, live);
        for (uint32_t slot = live; slot > 0; slot--) {
            put_release(writer, slot - 1U);
        }
    }
}

static void regrow(struct writer* writer, uint32_t live, uint32_t units)
{
    for (uint32_t i = 0; i < units; i++) {
        const uint32_t slot = random_below(&writer->random, live);
        put(writer, WORKLOAD_RESIZE, slot, 0, pick_size(writer));
    }
}

/* Of a module: the image, two records, symbols with names for a while, then what its code asks. */
static void load_module(struct writer* writer, uint32_t module)
{
    const uint32_t first = module * LOAD_SLOTS;
    const uint32_t symbols = first + 3U;
    const uint32_t own = symbols + 2U * LOAD_SYMBOLS;
    put(writer, WORKLOAD_ALIGNED, first, writer->workload->alignment,
        random_octaves(&writer->random, LOAD_IMAGE_LEAST, LOAD_IMAGE_MOST));
    put(writer, WORKLOAD_ALLOCATE, first + 1U, 0, 600);
    put(writer, WORKLOAD_ALLOCATE, first + 2U, 0, 40);
    for (uint32_t i = 0; i < LOAD_SYMBOLS; i++) {
        put(writer, WORKLOAD_ALLOCATE, symbols + 2U * i, 0, 16);
        put(writer, WORKLOAD_ALLOCATE, symbols + 2U * i + 1U, 0,
            random_uniform(&writer->random, 5, 32));
    }
    for (uint32_t i = 2U * LOAD_SYMBOLS; i > 0; i--) {
        put_release(writer, symbols + i - 1U);
    }
    for (uint32_t i = 0; i < LOAD_OWN; i++) {
        put(writer, writer->workload->owned ? WORKLOAD_ALLOCATE_FOR : WORKLOAD_ALLOCATE, own + i,
            writer->workload->owned ? module : 0, pick_size(writer));
    }
}

static void unload_module(struct writer* writer, uint32_t module)
{
    const uint32_t first = module * LOAD_SLOTS;
    for (uint32_t i = 3; i > 0; i--) {
        put_release(writer, first + i - 1U);
    }
    if (writer->workload->owned) {
        put(writer, WORKLOAD_UNLOAD, 0, module, 0);
        return;
    }
    for (uint32_t i = 0; i < LOAD_OWN; i++) {
        put_release(writer, first + LOAD_SLOTS - LOAD_OWN + i);
    }
}

static void load_all(struct writer* writer, uint32_t live)
{
    for (uint32_t module = 0; module < live; module++) {
        load_module(writer, module);
    }
}

static void load(struct writer* writer, uint32_t live, uint32_t units)
{
    for (uint32_t i = 0; i < units; i++) {
        const uint32_t module = random_below(&writer->random, live);
        unload_module(writer, module);
        load_module(writer, module);
    }
}

/* Untouched end, exact and range classes, aligned; free with each kind of neighbours. */
static const struct {
    char block;
    enum workload_kind kind;
    uint32_t size;
} scene_calls[] = {
    {'a', WORKLOAD_ALLOCATE, 40},  {'b', WORKLOAD_ALLOCATE, 40},  {'c', WORKLOAD_ALLOCATE, 40},
    {'d', WORKLOAD_ALLOCATE, 40},  {'e', WORKLOAD_ALLOCATE, 900}, {'f', WORKLOAD_ALLOCATE, 40},
    {'b', WORKLOAD_RELEASE, 0},    {'b', WORKLOAD_ALLOCATE, 40},  {'b', WORKLOAD_RELEASE, 0},
    {'c', WORKLOAD_RELEASE, 0},    {'b', WORKLOAD_ALLOCATE, 40},  {'e', WORKLOAD_RELEASE, 0},
    {'e', WORKLOAD_ALLOCATE, 900}, {'g', WORKLOAD_ALIGNED, 200},  {'a', WORKLOAD_RELEASE, 0},
    {'g', WORKLOAD_RELEASE, 0},    {'d', WORKLOAD_RELEASE, 0},    {'b', WORKLOAD_RELEASE, 0},
    {'e', WORKLOAD_RELEASE, 0},    {'f', WORKLOAD_RELEASE, 0},
};

static void scene(struct writer* writer, uint32_t live, uint32_t units)
{
    for (uint32_t i = 0; i < units; i++) {
        for (unsigned call = 0; call < sizeof(scene_calls) / sizeof(scene_calls[0]); call++) {
            const enum workload_kind kind = scene_calls[call].kind;
            put(writer, kind, live + (uint32_t)(scene_calls[call].block - 'a'),
                kind == WORKLOAD_ALIGNED ? 6 : 0, scene_calls[call].size);
        }
    }
}

/* ---- plans ---------------------------------------------------------------------------- */

static void fill(struct writer* writer, uint32_t live)
{
    if (writer->workload->pattern == WORKLOAD_LOAD) {
        load_all(writer, live);
    } else if (writer->workload->pattern != WORKLOAD_STACK) {
        put_fill(writer, live);
    }
}

static void work(struct writer* writer, uint32_t live, uint32_t units)
{
    switch (writer->workload->pattern) {
    case WORKLOAD_REPLACE:
        replace(writer, live, units);
        break;
    case WORKLOAD_STACK:
        stack(writer, live, units);
        break;
    case WORKLOAD_REGROW:
        regrow(writer, live, units);
        break;
    case WORKLOAD_LOAD:
        load(writer, live, units);
        break;
    case WORKLOAD_SCENE:
        scene(writer, live, units);
        break;
    }
}

static uint32_t count_slots(const struct workload_plan* plan)
{
    switch (plan->workload->pattern) {
    case WORKLOAD_LOAD:
        return plan->live * LOAD_SLOTS;
    case WORKLOAD_SCENE:
        return plan->live + SCENE_SLOTS;
    default:
        return plan->live;
    }
}

struct workload_sequence workload_generate(const struct workload_plan* plan, struct workload_op* op,
                                           uint32_t capacity)
{
    struct writer writer = {
        plan->workload, op, capacity, plan->seed, {op, 0, 0, count_slots(plan)}};
    if (writer.random == 0) {
        writer.random = 1; /* the one value that random_next would never leave */
    }
    fill(&writer, plan->live);
    work(&writer, plan->live, plan->settle);
    writer.sequence.unmeasured = writer.sequence.count;
    work(&writer, plan->live, plan->measured);
    return writer.sequence;
}

/* Calls, or pairs of them, that one unit of the plan stands for. */
static uint32_t calls_in_unit(const struct workload* workload, uint32_t live)
{
    switch (workload->pattern) {
    case WORKLOAD_STACK:
        return live;
    case WORKLOAD_LOAD:
        return LOAD_SLOTS;
    default:
        return 1;
    }
}

struct workload_plan workload_usual_plan(const struct workload* workload, uint32_t live,
                                         uint32_t measured)
{
    const uint32_t calls = calls_in_unit(workload, live);
    const uint32_t worked = workload->worked == 0 ? live : workload->worked;
    struct workload_plan plan = {workload, live, (2U * worked + 20000U) / calls,
                                 (measured + calls - 1U) / calls, 1};
    if (workload->pattern == WORKLOAD_SCENE) {
        plan.settle = 0;
        plan.measured = 1;
    }
    return plan;
}

/* The mean of pick_size: of the log-uniform ones (most - least) / ln(most / least). */
static uint32_t mean_size(const struct workload* workload)
{
    uint32_t octaves = 0;
    if (!workload->octaves) {
        return (workload->least + workload->most) / 2U;
    }
    while (workload->least << (octaves + 1U) <= workload->most) {
        octaves++;
    }
    return (workload->most - workload->least) * 1000U / (693U * octaves);
}

size_t workload_arena(const struct workload_plan* plan)
{
    const struct workload* workload = plan->workload;
    size_t block = mean_size(workload) + 16U;
    if (workload->pattern == WORKLOAD_LOAD) {
        block = LOAD_IMAGE_MOST / 2U + 640U + 2U * LOAD_SYMBOLS * 40U + LOAD_OWN * block;
    } else if (workload->alignment != 0) {
        block += (size_t)1 << workload->alignment;
    }
    const size_t tight = plan->live * block / 8U * 9U;
    const bool compares = workload->pattern == WORKLOAD_SCENE || workload->worked != 0;
    if (tight <= WORKLOAD_ARENA && (compares || 2U * tight > WORKLOAD_ARENA)) {
        return WORKLOAD_ARENA;
    }
    return 2U * tight + 8192U;
}
