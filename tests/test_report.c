/* SPDX-License-Identifier: MIT */
/*
 * The report: text against a plain model of it that reads the heap by the layers and prints with
 * printf, JSON against the heap's own figures, and printers that do what they should not.
 *
 *     test_report            all cases, the random ones from a fresh seed
 *     test_report SEED       all cases, the random ones from that seed
 */
#include "heap_test.h"

#include <inttypes.h>
#include <limits.h>

#define TEXT_BYTES (96 * KIB)
#define BLOCKS     1024
#define OWNERS     128
#define LETTERS    26
#define WIDEST     (DMHEAP_ACCOUNTING ? 100 : 80)

/* ---- what is printed ------------------------------------------------------------------ */

static char printed[TEXT_BYTES]; /* lines with a line feed each */
static char wanted[TEXT_BYTES];
static unsigned lines;
static unsigned last_line; /* the printer gives false then; 0: never */
static size_t widest;      /* but for the first line, and those with long addresses */

static bool print_line(const char* line, void* context)
{
    const size_t length = strlen(line);
    const size_t before = strlen(printed);
    assert_false(test_port_is_held());
    assert_null(strchr(line, '\n'));
    assert_null(context);
    assert_true(before + length + 2 < TEXT_BYTES);
    (void)snprintf(printed + before, TEXT_BYTES - before, "%s\n", line);
    lines++;
    if (lines != 1 && length > widest && (sizeof(void*) == 4 || strstr(line, "0x") == NULL)) {
        widest = length;
    }
    return lines != last_line;
}

static bool report(struct dmheap_ctx* ctx, unsigned parts)
{
    printed[0] = '\0';
    lines = 0;
    widest = 0;
    return dmheap_ctx_report(ctx, parts, print_line, NULL);
}

static void expect_text(const char* text)
{
    if (strcmp(printed, text) != 0) {
        print_error("printed:\n%s\nwanted:\n%s\n", printed, text);
    }
    assert_true(strcmp(printed, text) == 0);
}

/* Addresses as they are on every machine. */
static void hide_addresses(char* text)
{
    char* to = text;
    for (const char* from = text; *from != '\0';) {
        if (from[0] == '0' && from[1] == 'x') {
            from += 2 + strspn(from + 2, "0123456789abcdef");
            memcpy(to, "0x...", 5);
            to += 5;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

/* ---- the model ------------------------------------------------------------------------ */

struct model_block {
    size_t start;
    size_t size;
    unsigned owner;
    bool is_untouched;
};

struct model_owner {
    unsigned id;
    char name[DMHEAP_NAME_BYTES];
    size_t bytes;
    size_t blocks;
    size_t largest;
    char letter;
};

static struct {
    struct model_block block[BLOCKS];
    size_t blocks;
    struct model_owner owner[OWNERS]; /* in the order of the report */
    size_t owners;
    size_t size;
} model;

/* Is there anything in it but zeros, and no limit? */
static bool nobody_has_account(void)
{
#if DMHEAP_ACCOUNTING
    struct dmheap_account account;
    const struct dmheap_account nothing = {.limit = SIZE_MAX};
    assert_true(dmheap_ctx_get_account(NULL, NULL, &account));
    return memcmp(&account, &nothing, sizeof(account)) != 0;
#else
    return false;
#endif
}

static void model_add_owner(unsigned id, const char* name)
{
    struct model_owner* owner = &model.owner[model.owners++];
    assert_true(model.owners <= OWNERS);
    memset(owner, 0, sizeof(*owner));
    owner->id = id;
    (void)snprintf(owner->name, sizeof(owner->name), "%s", name);
    for (size_t i = 0; i < model.blocks; i++) {
        const struct model_block* block = &model.block[i];
        if (block->owner == id) {
            owner->bytes += block->size;
            owner->blocks++;
            owner->largest = block->size > owner->largest ? block->size : owner->largest;
        }
    }
    if (id < OWNER_MODULES && owner->blocks == 0 && !(id == OWNER_NOBODY && nobody_has_account())) {
        model.owners--;
    }
}

/* The same by how much they have, stable. */
static void model_sort(void)
{
    for (size_t i = 1; i < model.owners; i++) {
        const struct model_owner owner = model.owner[i];
        size_t k = i;
        for (; k != 0 && model.owner[k - 1].bytes < owner.bytes; k--) {
            model.owner[k] = model.owner[k - 1];
        }
        model.owner[k] = owner;
    }
}

/* What is beyond the letters, in the order of ids again. */
static void model_sort_rest(void)
{
    for (size_t i = LETTERS + 1; i < model.owners; i++) {
        const struct model_owner owner = model.owner[i];
        size_t k = i;
        for (; k != LETTERS && model.owner[k - 1].id > owner.id; k--) {
            model.owner[k] = model.owner[k - 1];
        }
        model.owner[k] = owner;
    }
    for (size_t i = 0; i < model.owners; i++) {
        model.owner[i].letter = (char)(i < LETTERS ? 'A' + (char)i : '*');
    }
}

static void model_read(void)
{
    const struct dmheap_ctx* ctx = test_heap.ctx;
    memset(&model, 0, sizeof(model));
    model.size = (size_t)(ctx->end - ctx->first);
    size_t start = 0;
    for (const struct dmheap_block* block = heap_first_block(); block != NULL;
         block = heap_next_block(block)) {
        struct model_block* read = &model.block[model.blocks++];
        assert_true(model.blocks < BLOCKS);
        read->start = start;
        read->size = (size_t)block_size(block);
        read->owner = (unsigned)block_owner(block);
        start += read->size;
    }
    if (start != model.size) {
        const struct model_block rest = {start, model.size - start, 0, true};
        model.block[model.blocks++] = rest;
    }
    model_add_owner(1, "(the heap's own)");
    model_add_owner(2, "(nobody)");
    for (dmheap_word id = OWNER_MODULES; id < RECORD_ID_END; id++) {
        const struct record* record = record_of(ctx, id);
        if (record != NULL && record->name[0] != '\0') {
            model_add_owner((unsigned)id, record->name);
        }
    }
    model_sort();
    model_sort_rest();
}

/* ---- what is wanted -------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void want(const char* format, ...)
{
    const size_t before = strlen(wanted);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(wanted + before, TEXT_BYTES - before, format, arguments);
    va_end(arguments);
}

static void want_share(size_t part)
{
    uint64_t share = ((uint64_t)part * 1000 + model.size / 2) / model.size;
    share += share == 0 && part != 0;
    share -= share == 1000 && part != model.size;
    want("%3u.%u %%", (unsigned)(share / 10), (unsigned)(share % 10));
}

/* A name up to the last column. */
static void want_name(const char* name, size_t columns)
{
    const char* line = strrchr(wanted, '\n');
    const size_t room = columns - strlen(line + 1);
    const size_t length = strlen(name);
    if (length > room) {
        want("...");
        name += length - room + 3;
    }
    for (; *name != '\0'; name++) {
        want("%c", *name >= 0x20 && *name < 0x7F ? *name : '?');
    }
    want("\n");
}

static void want_figure(const char* label, size_t bytes, const char* remark)
{
    want("  %-10s%12u bytes  ", label, (unsigned)bytes);
    want_share(bytes);
    want("%s", remark);
}

static void want_summary(unsigned parts)
{
    struct dmheap_stats stats;
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    size_t own = 0;
    size_t free_bytes = 0;
    size_t pieces = 0;
    size_t largest = 0;
    for (size_t i = 0; i < model.blocks; i++) {
        const struct model_block* block = &model.block[i];
        own += block->owner == OWNER_HEAP ? block->size : 0;
        free_bytes += block->owner == OWNER_FREE ? block->size : 0;
        pieces += block->owner == OWNER_FREE;
        largest = block->owner == OWNER_FREE && block->size > largest ? block->size : largest;
    }
    want("Heap at 0x%08" PRIxPTR ": %u bytes, %u used, %u free, largest %u, scattered %u %%, "
         "%u blocks\n",
         (uintptr_t)test_heap.ctx, (unsigned)model.size, (unsigned)(model.size - free_bytes),
         (unsigned)free_bytes, (unsigned)largest, (unsigned)stats.fragmentation,
         (unsigned)stats.live_blocks);
    if ((parts & DMHEAP_REPORT_STATS) == 0) {
        return;
    }
    want("\nSummary\n");
    want_figure("size", model.size, "\n");
    want_figure("used", model.size - free_bytes, "");
    want("  %u blocks, %u the heap's own\n", (unsigned)stats.live_blocks, (unsigned)own);
    want_figure("free", free_bytes, "");
    want("  %u pieces\n", (unsigned)pieces);
    want_figure("largest", largest, "  of what is free\n");
    want_figure("scattered", free_bytes - largest, "  free, but elsewhere\n");
    want_figure("malloc", stats.largest_alloc, "  at most, now\n");
    if (stats.splitter != NULL) {
        want_figure("hole", stats.largest_hole, "");
        want("  without 0x%08" PRIxPTR " of ", (uintptr_t)stats.splitter);
        want_name(stats.splitter_owner[0] != '\0' ? stats.splitter_owner : "(nobody)", 80);
    }
}

#if DMHEAP_ACCOUNTING
static void want_quota(size_t bytes)
{
    if (bytes == SIZE_MAX) {
        want(" %10s", "-");
    } else {
        want(" %10zu", bytes);
    }
}

static void want_account(char letter, const struct dmheap_account* account, const char* name)
{
    static const char* const reasons[] = {"memory", "pieces", "limit", "reserve"};
    want("  %c", letter);
    want_quota(account->peak);
    want_quota(account->limit);
    want_quota(account->reserve);
    want_quota(account->allocations);
    want(" %8zu", account->failures);
    want_quota(account->largest_failure);
    want("  %-8s  ", account->failures != 0 ? reasons[account->last_reason] : "");
    want_name(name, 100);
}

static void want_accounts(void)
{
    static const char heading[] =
        "          peak      limit    reserve    allocs  refused      up to  last for  name\n";
    struct dmheap_heap_account totals;
    struct dmheap_account account;
    char name[DMHEAP_NAME_BYTES];
    assert_true(dmheap_ctx_get_heap_account(NULL, &totals));
    want("\nAccounts\n  least free %10u bytes\n  reserved   %10u bytes\n",
         (unsigned)totals.min_free, (unsigned)totals.reserved);
    want("  refused for  memory %zu, pieces %zu, limit %zu, reserve %zu\n%s", totals.failures[0],
         totals.failures[1], totals.failures[2], totals.failures[3], heading);
    for (size_t i = 0; i < model.owners; i++) {
        const struct model_owner* owner = &model.owner[i];
        if (owner->id != 1) {
            assert_true(
                dmheap_ctx_get_account(NULL, owner->id == 2 ? NULL : owner->name, &account));
            want_account(owner->letter, &account, owner->name);
        }
    }
    for (size_t i = 0; dmheap_ctx_get_dead(NULL, i, name, &account); i++) {
        want("%s%s", i == 0 ? "\nModules that are gone, the last one first\n" : "",
             i == 0 ? heading : "");
        want_account(' ', &account, name);
    }
}
#else
static void want_accounts(void)
{
}
#endif

static void want_owners(void)
{
    want("\nModules\n        bytes          blocks     largest  name\n");
    for (size_t i = 0; i < model.owners; i++) {
        const struct model_owner* owner = &model.owner[i];
        want("  %c %10u ", owner->letter, (unsigned)owner->bytes);
        want_share(owner->bytes);
        want(" %7u  %10u  ", (unsigned)owner->blocks, (unsigned)owner->largest);
        want_name(owner->name, 80);
    }
    want_accounts();
}

static char model_sign(const struct model_block* block)
{
    if (block->owner == OWNER_FREE) {
        return block->is_untouched ? '_' : '.';
    }
    for (size_t i = 0; i < model.owners; i++) {
        if (model.owner[i].id == block->owner) {
            return model.owner[i].letter;
        }
    }
    return '!';
}

/* The sign of the block that has most of those bytes; the first of several. */
static char model_sign_at(size_t start, size_t stop)
{
    size_t most = 0;
    char sign = '?';
    for (size_t i = 0; i < model.blocks; i++) {
        const struct model_block* block = &model.block[i];
        const size_t from = block->start > start ? block->start : start;
        const size_t end = block->start + block->size;
        const size_t to = end < stop ? end : stop;
        if (to > from && to - from > most) {
            most = to - from;
            sign = model_sign(block);
        }
    }
    return sign;
}

static void want_map(void)
{
    const size_t least = (model.size + 1023) / 1024;
    const size_t step = least > 16 ? least : 16;
    const uintptr_t first = (uintptr_t)test_heap.ctx + (uintptr_t)test_heap.ctx->first;
    want("\nMap, %u bytes a sign; . free  _ untouched  ? not readable\n", (unsigned)step);
    for (size_t at = 0; at < model.size; at += 64 * step) {
        want("  0x%08" PRIxPTR " ", first + at);
        for (size_t i = 0; i < 64 && at + i * step < model.size; i++) {
            want("%c", model_sign_at(at + i * step, at + (i + 1) * step));
        }
        want("\n");
    }
}

static void want_sizes(void)
{
    unsigned live[64] = {0};
    unsigned gaps[64] = {0};
    unsigned most = 1;
    for (size_t i = 0; i < model.blocks; i++) {
        const struct model_block* block = &model.block[i];
        const unsigned bin = bits_highest((dmheap_word)block->size);
        live[bin] += block->owner >= OWNER_NOBODY;
        gaps[bin] += block->owner == OWNER_FREE;
        most = live[bin] + gaps[bin] > most ? live[bin] + gaps[bin] : most;
    }
    want("\nSizes, of blocks (#) and of free pieces (.)\n");
    for (unsigned i = 0; i < 32; i++) {
        if (live[i] + gaps[i] != 0) {
            want("  from %10u %7u %7u  ", 1U << i, live[i], gaps[i]);
            for (unsigned k = 0; k * most < live[i] * 40; k++) {
                want("#");
            }
            for (unsigned k = 0; k * most < gaps[i] * 40; k++) {
                want(".");
            }
            want("\n");
        }
    }
}

/* The report on test_heap, as it is to be. */
static void want_report(unsigned parts)
{
    model_read();
    wanted[0] = '\0';
    want_summary(parts);
    if ((parts & (DMHEAP_REPORT_MODULES | DMHEAP_REPORT_MAP)) != 0) {
        want_owners();
    }
    if ((parts & DMHEAP_REPORT_MAP) != 0) {
        want_map();
    }
    if ((parts & DMHEAP_REPORT_SIZES) != 0) {
        want_sizes();
    }
}

static void expect_report(unsigned parts)
{
    want_report(parts);
    assert_true(report(NULL, parts));
    expect_text(wanted);
    assert_true(widest <= WIDEST);
    expect_silence();
}

/* ---- JSON ------------------------------------------------------------------------------- */

static const char* json_value(const char* at);

static const char* json_blank(const char* at)
{
    return at + strspn(at, " \n");
}

/* Behind a string; each escape is one that JSON has. */
static const char* json_string(const char* at)
{
    assert_int_equal(*at, '"');
    for (at++; *at != '"'; at++) {
        assert_true((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7F);
        if (*at == '\\') {
            at++;
            assert_true(*at != '\0' && strchr("\"\\u", *at) != NULL);
            if (*at == 'u') {
                assert_true(strspn(at + 1, "0123456789abcdef") >= 4);
            }
        }
    }
    return at + 1;
}

/* Behind a list or an object. */
static const char* json_values(const char* at, char end)
{
    at = json_blank(at + 1);
    while (*at != end) {
        if (end == '}') {
            at = json_blank(json_string(at));
            assert_int_equal(*at, ':');
            at++;
        }
        at = json_blank(json_value(json_blank(at)));
        assert_true(*at == ',' || *at == end);
        if (*at == ',') {
            at = json_blank(at + 1);
            assert_int_not_equal(*at, end);
        }
    }
    return at + 1;
}

/* Behind a value of any kind. */
static const char* json_value(const char* at)
{
    static const char* const words[] = {"true", "false", "null"};
    if (*at == '"') {
        return json_string(at);
    }
    if (*at == '{' || *at == '[') {
        return json_values(at, *at == '{' ? '}' : ']');
    }
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strncmp(at, words[i], strlen(words[i])) == 0) {
            return at + strlen(words[i]);
        }
    }
    const size_t digits = strspn(at, "0123456789");
    assert_true(digits != 0 && (digits == 1 || *at != '0'));
    return at + digits;
}

/* The value of a key of an object. */
static const char* json_get(const char* object, const char* key)
{
    const char* at = json_blank(object + 1);
    assert_int_equal(*object, '{');
    while (*at != '}') {
        const char* end = json_string(at);
        const bool is_it =
            (size_t)(end - at) == strlen(key) + 2 && strncmp(at + 1, key, strlen(key)) == 0;
        at = json_blank(json_blank(end) + 1);
        if (is_it) {
            return at;
        }
        at = json_blank(json_value(at));
        at = *at == ',' ? json_blank(at + 1) : at;
    }
    print_error("no key %s\n", key);
    fail();
    return NULL;
}

static size_t json_number(const char* object, const char* key)
{
    return (size_t)strtoull(json_get(object, key), NULL, 10);
}

/* The value behind one of a list, the first one behind its bracket; NULL: that was the last. */
static const char* json_next(const char* at)
{
    at = json_blank(at);
    return *at == ']' ? NULL : json_blank(at + (*at == ',' || *at == '['));
}

static const char* json_first(const char* list)
{
    assert_int_equal(*list, '[');
    const char* at = json_blank(list + 1);
    return *at == ']' ? NULL : at;
}

static const char* json_after(const char* value)
{
    return json_next(json_value(value));
}

/* The report as JSON, all of it well-formed: the first of its heaps. */
static const char* report_json(struct dmheap_ctx* ctx, unsigned parts)
{
    assert_true(report(ctx, parts | DMHEAP_REPORT_JSON));
    assert_int_equal(*json_blank(json_value(printed)), '\0');
    assert_true(widest < 448);
    expect_silence();
    return json_first(json_get(printed, "heaps"));
}

/* Is that string the JSON of `text`? */
static bool json_is(const char* string, const char* text)
{
    for (string++; *text != '\0'; text++) {
        unsigned code = (unsigned char)*string;
        if (*string == '\\' && string[1] == 'u') {
            code = (unsigned)strtoul((char[5]){string[2], string[3], string[4], string[5], '\0'},
                                     NULL, 16);
            string += 5;
        } else if (*string == '\\') {
            code = (unsigned char)*++string;
        }
        string++;
        if (code != (unsigned char)*text) {
            return false;
        }
    }
    return *string == '"';
}

/* ---- scenes ----------------------------------------------------------------------------- */

#define SLOTS 150

static void* slot[SLOTS];

static void random_step(unsigned names, size_t largest)
{
    const unsigned i = dice(SLOTS);
    const unsigned number = dice(names + 1);
    const char* name = number == 0 ? NULL : numbered_name(number);
    if (slot[i] != NULL) {
        dmheap_free(slot[i], false);
        slot[i] = NULL;
    } else {
        slot[i] = dice(4) == 0 ? dmheap_aligned_alloc(64, dice((uint32_t)largest), name)
                               : dmheap_malloc(dice((uint32_t)largest), name);
    }
    test_port_forget_lines();
}

static void scene_at_random(size_t size, size_t alignment, unsigned names)
{
    memset(slot, 0, sizeof(slot));
    heap_open(size, alignment);
    for (unsigned step = 0; step < 500; step++) {
        random_step(names, dice(8) == 0 ? size / 16 : 200);
    }
}

/* ---- text ------------------------------------------------------------------------------- */

static void text_is_what_the_layers_say(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 24; round++) {
        const size_t size = round % 3 == 0 ? 256 * KIB : 32 * KIB;
        scene_at_random(size, round % 2 == 0 ? 8 : 64, round % 4 == 0 ? 60 : 5);
        expect_report(DMHEAP_REPORT_ALL);
        (void)heap_verify();
        arenas_release();
    }
}

static void each_part_can_be_had_alone(void** state)
{
    (void)state;
    random_begin();
    scene_at_random(32 * KIB, 8, 5);
    for (unsigned parts = 0; parts <= DMHEAP_REPORT_ALL; parts++) {
        expect_report(parts);
    }
    expect_report(DMHEAP_REPORT_LINE);
    assert_int_equal(lines, 1);
    assert_true(report(NULL, DMHEAP_REPORT_MAP));
    assert_non_null(strstr(printed, "\nModules\n")); /* the letters */
}

/* As it was looked at once; sizes are those of 4-byte headers and nothing behind a payload. */
static void a_scene_looks_as_it_should(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_true(dmheap_ctx_set_name(dmheap_ctx_get_default(0), "main"));
    const size_t own = 4 * KIB - (size_t)(test_heap.ctx->end - test_heap.ctx->first);
    char head[80];
    assert_non_null(dmheap_malloc(1000, NULL));
    void* hole = dmheap_malloc(300, "driver");
    assert_non_null(dmheap_malloc(500, "network"));
    dmheap_free(hole, false);
    assert_true(report(NULL, DMHEAP_REPORT_LINE));
    hide_addresses(printed);
    (void)snprintf(head, sizeof(head), "Heap at 0x... main: %u bytes, ", (unsigned)(4 * KIB - own));
    assert_memory_equal(printed, head, strlen(head));
    assert_true(report(NULL, DMHEAP_REPORT_SIZES));
    assert_string_equal(
        strchr(printed, '\n') + 1,
        "\n"
        "Sizes, of blocks (#) and of free pieces (.)\n"
        "  from        256       1       1  ####################....................\n"
        "  from        512       1       0  ####################\n"
        "  from       1024       0       1  ....................\n");
}

static void a_name_that_is_too_long_shows_its_end(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_non_null(dmheap_malloc(10, long_name(63, 'a')));
    assert_non_null(dmheap_malloc(10, long_name(63, 'b')));
    expect_report(DMHEAP_REPORT_ALL);
    assert_non_null(strstr(printed, "  ...nnnn"));
    assert_non_null(strstr(printed, "nnna\n"));
    assert_non_null(strstr(printed, "nnnb\n"));
}

static void any_byte_of_a_name_can_be_shown(void** state)
{
    (void)state;
    heap_open(32 * KIB, 8);
    char name[5][DMHEAP_NAME_BYTES];
    for (unsigned i = 0; i < COUNT_OF(name); i++) {
        for (unsigned k = 0; k < 63; k++) {
            const unsigned byte = i * 63 + k + 1;
            name[i][k] = (char)(byte < 256 ? byte : 1); /* the last one is longest as JSON */
        }
        name[i][63] = '\0';
        assert_non_null(dmheap_malloc(10 + i, name[i]));
    }
    expect_report(DMHEAP_REPORT_ALL);
    const char* json = report_json(dmheap_ctx_get_default(0), DMHEAP_REPORT_MODULES);
    size_t found = 0;
    for (const char* at = json_first(json_get(json, "modules")); at != NULL; at = json_after(at)) {
        const size_t id = json_number(at, "owner");
        if (id >= OWNER_MODULES) {
            assert_true(json_is(json_get(at, "name"), name[id - OWNER_MODULES]));
            found++;
        }
    }
    assert_int_equal(found, COUNT_OF(name));
}

static void a_splitter_of_any_name_can_be_shown(void** state)
{
    (void)state;
    char name[DMHEAP_NAME_BYTES];
    memset(name, 1, sizeof(name) - 1);
    name[63] = '\0';
    heap_open(8 * KIB, 8);
    void* front = dmheap_malloc(1000, NULL);
    assert_non_null(dmheap_malloc(16, name));
    (void)heap_fill(NULL);
    dmheap_free(front, false);
    expect_report(DMHEAP_REPORT_ALL);
    const char* stats =
        json_get(report_json(dmheap_ctx_get_default(0), DMHEAP_REPORT_STATS), "stats");
    struct dmheap_stats had;
    assert_true(dmheap_ctx_get_stats(NULL, &had));
    assert_int_equal(json_number(stats, "splitter"), (uintptr_t)had.splitter);
    assert_true(json_is(json_get(stats, "splitter_owner"), had.splitter_owner));
}

static void empty_and_full_heaps_can_be_shown(void** state)
{
    (void)state;
    for (size_t size = KIB; size <= 64 * KIB; size *= 8) {
        heap_open(size, 8);
        expect_report(DMHEAP_REPORT_ALL);
        (void)report_json(NULL, DMHEAP_REPORT_ALL);
        (void)heap_fill("app");
        expect_report(DMHEAP_REPORT_ALL);
        (void)report_json(NULL, DMHEAP_REPORT_ALL);
        arenas_release();
    }
}

/* A sign of its map stands for more than some blocks have. */
/* Many blocks, and many modules with long names. */
static void a_summary_of_large_numbers_keeps_its_columns(void** state)
{
    (void)state;
    heap_open(8 * MIB, 8);
    for (unsigned i = 0; i < 100000; i++) {
        assert_non_null(dmheap_malloc(8, i < 150 ? long_name(63, (char)(i + 1)) : NULL));
    }
    assert_true(report(NULL, DMHEAP_REPORT_STATS));
    assert_non_null(strstr(printed, "  100000 blocks, "));
    assert_true(widest <= 80);
}

/* A single block in it, or a single hole, is as little as a report has to show. */
static void nothing_is_rounded_away(void** state)
{
    (void)state;
    heap_open(128 * KIB, 8);
    void* block = dmheap_malloc(16, NULL);
    expect_report(DMHEAP_REPORT_ALL);
    assert_non_null(strstr(printed, " bytes    0.1 %  1 blocks"));
    assert_non_null(strstr(printed, " bytes   99.9 %  1 pieces"));
    dmheap_free(block, false);
    block = dmheap_malloc(16, NULL);
    while (dmheap_malloc(120, NULL) != NULL || dmheap_malloc(0, NULL) != NULL) {
        test_port_forget_lines();
    }
    dmheap_free(block, false);
    test_port_forget_lines();
    expect_report(DMHEAP_REPORT_ALL);
    assert_non_null(strstr(printed, "   99.9 %  "));
    const char* line = strstr(printed, "\n  free ");
    assert_non_null(line);
    const char* none = strstr(line, " 0.0 %");
    assert_true(none == NULL || none > strchr(line + 1, '\n')); /* what is scattered, below */
}

static void a_large_heap_has_a_map_of_sixteen_lines(void** state)
{
    (void)state;
    heap_open(MIB, 8);
    assert_non_null(dmheap_malloc(300 * KIB, "app"));
    expect_report(DMHEAP_REPORT_MAP | DMHEAP_REPORT_STATS);
    const unsigned before = lines;
    assert_true(report(NULL, DMHEAP_REPORT_MODULES | DMHEAP_REPORT_STATS));
    assert_int_equal(before - lines, 2 + 16);
}

/* ---- several heaps ---------------------------------------------------------------------- */

static void heaps_are_shown_in_their_order(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    struct dmheap_ctx* main_heap = dmheap_ctx_get_default(0);
    struct dmheap_ctx* dma = dmheap_ctx_init(arena_make(2 * KIB, 0), 2 * KIB, 32);
    assert_true(dmheap_ctx_set_name(dma, "dma"));
    test_port_forget_lines();
    char both[2][80];
    assert_true(report(main_heap, DMHEAP_REPORT_LINE));
    (void)snprintf(both[0], sizeof(both[0]), "%.79s", printed);
    assert_true(report(NULL, DMHEAP_REPORT_LINE)); /* dma serves whoever names it */
    assert_int_equal(lines, 1);
    assert_true(report(dma, DMHEAP_REPORT_LINE));
    assert_non_null(strstr(printed, " dma: "));
    (void)snprintf(both[1], sizeof(both[1]), "%.79s", printed);
    assert_true(dmheap_ctx_add_default(dma));
    assert_true(report(NULL, DMHEAP_REPORT_LINE));
    assert_int_equal(lines, 3); /* an empty one between them */
    assert_memory_equal(printed, both[0], strcspn(both[0], "\n"));
    assert_non_null(strstr(printed, "\n\n"));
    assert_memory_equal(strstr(printed, "\n\n") + 2, both[1], strcspn(both[1], "\n"));

    const char* first = report_json(NULL, DMHEAP_REPORT_ALL);
    const char* second = json_after(first);
    assert_null(json_after(second));
    assert_int_equal(json_number(json_get(first, "heap"), "address"), (uintptr_t)main_heap);
    assert_true(json_is(json_get(json_get(first, "heap"), "name"), ""));
    assert_int_equal(json_number(json_get(second, "heap"), "address"), (uintptr_t)dma);
    assert_true(json_is(json_get(json_get(second, "heap"), "name"), "dma"));
    assert_int_equal(json_number(json_get(second, "heap"), "alignment"), 32);
    assert_int_equal(json_number(json_get(second, "heap"), "header_bytes"), WORD);
    first = report_json(dma, DMHEAP_REPORT_LINE);
    assert_null(json_after(first));
    assert_int_equal(json_number(json_get(first, "heap"), "address"), (uintptr_t)dma);
    assert_int_equal(*json_get(json_get(first, "heap"), "accounts"), DMHEAP_ACCOUNTING ? 't' : 'f');
    assert_int_equal(*json_get(json_get(first, "heap"), "sequence"), DMHEAP_SEQUENCE ? 't' : 'f');
    assert_int_equal(*json_get(json_get(first, "heap"), "canaries"), DMHEAP_CANARY ? 't' : 'f');
    assert_true(dmheap_ctx_deinit(dma));
}

/* ---- JSON ------------------------------------------------------------------------------- */

static const char* const kinds[] = {"free", "live", "own"};

/* The blocks of a report are those of the heap. */
static void expect_blocks(const char* list)
{
    const uintptr_t first = (uintptr_t)test_heap.ctx + (uintptr_t)test_heap.ctx->first;
    const char* at = json_first(list);
    for (size_t i = 0; i < model.blocks; i++) {
        const struct model_block* block = &model.block[i];
        assert_non_null(at);
        assert_int_equal(json_number(at, "address"), first + block->start + WORD);
        assert_int_equal(json_number(at, "size"), block->size);
        assert_int_equal(json_number(at, "owner"), block->owner);
        assert_int_equal(json_number(at, "sequence") != 0,
                         DMHEAP_SEQUENCE && block->owner != OWNER_FREE);
        const char* kind = block->is_untouched          ? "untouched"
                           : block->owner == OWNER_FREE ? kinds[0]
                           : block->owner == OWNER_HEAP ? kinds[2]
                                                        : kinds[1];
        assert_true(json_is(json_get(at, "kind"), kind));
        at = json_after(at);
    }
    assert_null(at);
}

static void expect_owners(const char* list)
{
    size_t count = 0;
    for (const char* at = json_first(list); at != NULL; at = json_after(at)) {
        const struct model_owner* owner = model.owner;
        while (owner->id != json_number(at, "owner")) {
            owner++;
            assert_true(owner < model.owner + model.owners);
        }
        assert_true(json_is(json_get(at, "name"), owner->name));
        assert_int_equal(json_number(at, "bytes"), owner->bytes);
        assert_int_equal(json_number(at, "blocks"), owner->blocks);
        assert_int_equal(json_number(at, "largest"), owner->largest);
        assert_int_equal(*json_get(at, "module"), owner->id >= OWNER_MODULES ? 't' : 'f');
        assert_int_equal(*json_get(at, "gone"), 'f');
        count++;
    }
    assert_int_equal(count, model.owners);
}

/* Each power of two has its blocks, and all of them together are the heap's. */
static void expect_sizes(const char* list)
{
    size_t bins_live = 0;
    size_t bins_free = 0;
    size_t before = 0;
    for (const char* at = json_first(list); at != NULL; at = json_after(at)) {
        const size_t from = json_number(at, "from");
        size_t live = 0;
        size_t gaps = 0;
        assert_true(from > before && bits_is_power_of_two(from));
        for (size_t i = 0; i < model.blocks; i++) {
            const struct model_block* block = &model.block[i];
            if (block->size >= from && block->size / 2 < from) {
                live += block->owner >= OWNER_NOBODY;
                gaps += block->owner == OWNER_FREE;
            }
        }
        assert_int_equal(json_number(at, "live"), live);
        assert_int_equal(json_number(at, "free"), gaps);
        bins_live += live;
        bins_free += gaps;
        before = from;
    }
    for (size_t i = 0; i < model.blocks; i++) {
        bins_live -= model.block[i].owner >= OWNER_NOBODY;
        bins_free -= model.block[i].owner == OWNER_FREE;
    }
    assert_int_equal(bins_live, 0);
    assert_int_equal(bins_free, 0);
}

static void json_is_what_the_layers_say(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 16; round++) {
        scene_at_random(32 * KIB, round % 2 == 0 ? 8 : 64, round % 4 == 0 ? 60 : 5);
        model_read();
        struct dmheap_stats had;
        assert_true(dmheap_ctx_get_stats(NULL, &had));
        const char* json = report_json(dmheap_ctx_get_default(0), DMHEAP_REPORT_ALL);
        const char* stats = json_get(json, "stats");
        assert_int_equal(json_number(stats, "size"), model.size);
        assert_int_equal(json_number(stats, "used") + json_number(stats, "free"), model.size);
        assert_int_equal(json_number(stats, "used"), had.used);
        assert_int_equal(json_number(stats, "own"), had.own);
        assert_int_equal(json_number(stats, "overhead"), had.overhead);
        assert_int_equal(json_number(stats, "live_blocks"), had.live_blocks);
        assert_int_equal(json_number(stats, "free_blocks"), had.free_blocks);
        assert_int_equal(json_number(stats, "largest_free"), had.largest_free);
        assert_int_equal(json_number(stats, "scattered"), had.free - had.largest_free);
        assert_int_equal(json_number(stats, "fragmentation"), had.fragmentation);
        assert_int_equal(json_number(stats, "largest_alloc"), had.largest_alloc);
        assert_int_equal(json_number(stats, "largest_hole"), had.largest_hole);
        expect_blocks(json_get(json, "blocks"));
        expect_owners(json_get(json, "modules"));
        expect_sizes(json_get(json, "sizes"));
        arenas_release();
    }
}

/* Ends the module that the next line is about: it was counted already. */
static bool print_and_unregister(const char* line, void* context)
{
    if (strstr(line, "(nobody)") != NULL) {
        dmheap_unregister_module("app");
    }
    return print_line(line, context);
}

static void a_module_that_goes_meanwhile_is_gone(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    assert_non_null(dmheap_malloc(100, NULL));
    assert_non_null(dmheap_malloc(100, "app"));
    printed[0] = '\0';
    assert_true(dmheap_ctx_report(NULL, DMHEAP_REPORT_MODULES | DMHEAP_REPORT_JSON,
                                  print_and_unregister, NULL));
    const char* owners = json_get(json_first(json_get(printed, "heaps")), "modules");
    const char* app = json_after(json_after(json_first(owners)));
    assert_true(json_is(json_get(app, "name"), "(unregistered)"));
    assert_int_equal(*json_get(app, "gone"), 't');
    assert_int_equal(json_number(app, "blocks"), 1);
}

static void json_has_the_parts_that_are_asked_for(void** state)
{
    static const struct {
        unsigned part;
        const char* key;
    } keys[] = {{DMHEAP_REPORT_STATS, "\"stats\""},
                {DMHEAP_REPORT_MODULES | DMHEAP_REPORT_MAP, "\"modules\""},
                {DMHEAP_REPORT_MAP, "\"blocks\": ["},
                {DMHEAP_REPORT_SIZES, "\"sizes\""}};
    (void)state;
    heap_open(4 * KIB, 8);
    assert_non_null(dmheap_malloc(100, "app"));
    for (unsigned parts = 0; parts <= DMHEAP_REPORT_ALL; parts++) {
        const char* json = report_json(dmheap_ctx_get_default(0), parts);
        (void)json_get(json, "heap");
        for (size_t i = 0; i < COUNT_OF(keys); i++) {
            assert_int_equal(strstr(json, keys[i].key) != NULL, (parts & keys[i].part) != 0);
        }
    }
}

/* ---- accounts --------------------------------------------------------------------------- */

#if DMHEAP_ACCOUNTING
static void accounts_are_told_of(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    assert_true(dmheap_ctx_keep_dead(NULL, 3));
    void* block = dmheap_malloc(100, "app");
    assert_non_null(block);
    assert_true(dmheap_ctx_set_limit(NULL, "app", 1000));
    assert_true(dmheap_ctx_set_reserve(NULL, "web", 2000));
    assert_null(dmheap_malloc(5000, "app"));
    assert_null(dmheap_malloc(SIZE_MAX, NULL));
    assert_non_null(dmheap_malloc(50, "gone"));
    dmheap_unregister_module("gone");
    dmheap_unregister_module(numbered_name(1));
    assert_true(dmheap_register_module(long_name(63, 'x')));
    dmheap_unregister_module(long_name(63, 'x'));
    test_port_forget_lines();
    expect_report(DMHEAP_REPORT_ALL);
    assert_non_null(
        strstr(printed, "       1000          0          1        1       5000  limit"));
    assert_non_null(strstr(printed, "nnnx\n"));
    const char* json = report_json(dmheap_ctx_get_default(0), DMHEAP_REPORT_ALL);
    const char* totals = json_get(json, "account");
    assert_int_equal(json_number(totals, "reserved"), 2000);
    assert_memory_equal(json_get(totals, "failures"), "[1, 0, 1, 0]", 12);
    const char* dead = json_after(json_first(json_get(totals, "dead")));
    assert_null(json_after(dead));
    assert_true(json_is(json_get(dead, "name"), "gone"));
    assert_int_equal(json_number(json_get(dead, "account"), "blocks"), 1);
    unsigned found = 0;
    for (const char* at = json_first(json_get(json, "modules")); at != NULL; at = json_after(at)) {
        const char* account = json_number(at, "owner") != 1 ? json_get(at, "account") : "{}";
        if (json_is(json_get(at, "name"), "app")) {
            assert_int_equal(json_number(account, "bytes"), json_number(at, "bytes"));
            assert_int_equal(json_number(account, "blocks"), 1);
            assert_int_equal(json_number(account, "peak"), json_number(at, "bytes"));
            assert_int_equal(json_number(account, "limit"), 1000);
            assert_int_equal(json_number(account, "reserve"), 0);
            assert_int_equal(json_number(account, "allocations"), 1);
            assert_int_equal(json_number(account, "failures"), 1);
            assert_int_equal(json_number(account, "largest_failure"), 5000);
            assert_true(json_is(json_get(account, "last_reason"), "limit"));
            found++;
        }
        if (json_is(json_get(at, "name"), "(nobody)")) { /* it has nothing, but failed */
            assert_int_equal(*json_get(account, "largest_failure"), 'n');
            found++;
        }
        if (json_is(json_get(at, "name"), "web")) {
            assert_int_equal(*json_get(account, "limit"), 'n');
            assert_int_equal(json_number(account, "reserve"), 2000);
            found++;
        }
    }
    assert_int_equal(found, 3);
}

/* As wide as counts of 32 bits can be, and wider. */
static void accounts_of_large_numbers_keep_their_columns(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    assert_non_null(dmheap_malloc(100, long_name(63, 'x')));
    struct dmheap_holding* holding =
        record_holding(test_heap.ctx, record_find(test_heap.ctx, long_name(63, 'x')));
    holding->limit = UINT32_MAX - 1;
    holding->allocations = UINT32_MAX - 1;
    holding->failures = UINT32_MAX - 1;
    holding->largest_failure = UINT32_MAX - 1;
    holding->last_failure = DMHEAP_REASON_RESERVE;
    for (size_t i = 0; i < DMHEAP_REASONS; i++) {
        ctx_totals(test_heap.ctx)->failures[i] = UINT32_MAX - 1;
    }
    expect_report(DMHEAP_REPORT_ALL);
    assert_non_null(strstr(printed, " 4294967294  reserve   ...nnn"));
    if (sizeof(size_t) > 4 && !HAS_NARROW_WORDS) {
        assert_true(dmheap_register_module("app"));
        assert_null(dmheap_malloc(SIZE_MAX / 2, "app"));
        test_port_forget_lines();
        (void)report(NULL, DMHEAP_REPORT_ALL);
        assert_non_null(strstr(printed, " 9223372036854775807  memory    app\n"));
    }
}

/* Also of nobody, who has no block, but a part of what is reserved, or a limit, or had a block. */
static void an_account_of_nobody_is_told_of(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    expect_report(DMHEAP_REPORT_ALL);
    assert_null(strstr(printed, "(nobody)"));
    assert_true(dmheap_ctx_set_reserve(NULL, NULL, 2000));
    expect_report(DMHEAP_REPORT_ALL);
    assert_non_null(strstr(printed, "          0          -       2000 "));
    assert_non_null(strstr(report_json(dmheap_ctx_get_default(0), 2), "\"reserve\": 2000"));
    assert_true(dmheap_ctx_set_reserve(NULL, NULL, 0));
    assert_true(dmheap_ctx_set_limit(NULL, NULL, 0));
    expect_report(DMHEAP_REPORT_ALL);
    assert_non_null(strstr(printed, "(nobody)"));
    assert_true(dmheap_ctx_set_limit(NULL, NULL, SIZE_MAX));
    void* block = dmheap_malloc(100, NULL);
    dmheap_free(block, false);
    expect_report(DMHEAP_REPORT_ALL);
    assert_non_null(strstr(printed, "(nobody)"));
}
#endif

/* ---- printers --------------------------------------------------------------------------- */

static void without_a_printer_lines_go_to_the_log(void** state)
{
    (void)state;
    heap_open(2 * KIB, 8);
    assert_non_null(dmheap_malloc(100, "app"));
    assert_true(report(NULL, DMHEAP_REPORT_ALL));
    test_port_forget_lines();
    assert_true(dmheap_ctx_report(NULL, DMHEAP_REPORT_ALL, NULL, NULL));
    assert_int_equal(test_port_lines(), lines);
    assert_int_equal(test_port_lines_of(TEST_INFO), lines);
    wanted[0] = '\0';
    for (size_t i = 0; i < lines; i++) {
        want("%s", test_port_text(i));
    }
    expect_text(wanted);
    test_port_forget_lines();
}

/* Two heaps by default, with all that there may be to tell of. */
static void scene_of_two_heaps(void)
{
    heap_open(12 * KIB, 8);
    assert_true(dmheap_ctx_add_default(dmheap_ctx_init(arena_make(4 * KIB, 0), 4 * KIB, 8)));
    if (DMHEAP_ACCOUNTING) {
        assert_true(dmheap_ctx_keep_dead(NULL, 3));
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_non_null(dmheap_malloc(20, long_name(5, (char)('a' + i))));
        dmheap_unregister_module(long_name(5, (char)('a' + i)));
    }
    for (unsigned i = 0; i < 40; i++) {
        assert_non_null(dmheap_malloc(20, numbered_name(i)));
    }
    test_port_forget_lines();
}

static const unsigned forms[] = {DMHEAP_REPORT_ALL, DMHEAP_REPORT_ALL | DMHEAP_REPORT_JSON};

/* Where a hole is larger than any free piece, it has a line of its own. */
static void a_printer_may_end_the_report_at_the_line_of_the_hole(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* block[3];
    for (size_t i = 0; i < COUNT_OF(block); i++) {
        block[i] = dmheap_malloc(400, "app");
    }
    (void)heap_fill(NULL);
    dmheap_free(block[0], false);
    dmheap_free(block[2], false);
    assert_true(report(NULL, DMHEAP_REPORT_STATS));
    assert_non_null(strstr(printed, "hole"));
    for (last_line = 1; strstr(printed, "hole") == NULL || last_line == 1; last_line++) {
        assert_false(report(NULL, DMHEAP_REPORT_STATS));
        assert_int_equal(lines, last_line);
    }
    last_line = 0;
}

/* What cannot be read is filled up with lines of their own, in the middle and at the end. */
static void a_printer_may_end_the_report_where_the_heap_cannot_be_read(void** state)
{
    (void)state;
    heap_open(64 * KIB, 8);
    void* first = dmheap_malloc(20000, NULL);
    assert_non_null(dmheap_malloc(10, NULL));
    void* last = dmheap_malloc(heap_largest(test_heap.ctx), NULL);
    assert_non_null(last);
    dmheap_free(first, false);
    block_of(first)->header -= (dmheap_word)DMHEAP_GRANULE_MIN;
    block_of(last)->header -= 20000 / 16 * 16;
    assert_true(report(NULL, DMHEAP_REPORT_ALL));
    assert_non_null(strstr(printed, "????????"));
    const unsigned all = lines;
    for (last_line = 1; last_line <= all; last_line++) {
        assert_false(report(NULL, DMHEAP_REPORT_ALL));
        assert_int_equal(lines, last_line);
    }
    last_line = 0;
    test_port_forget_lines();
}

static void a_printer_ends_the_report_at_any_line(void** state)
{
    (void)state;
    scene_of_two_heaps();
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        assert_true(report(NULL, forms[i]));
        const unsigned all = lines;
        for (last_line = 1; last_line <= all; last_line++) {
            assert_false(report(NULL, forms[i]));
            assert_int_equal(lines, last_line);
        }
        last_line = 0;
    }
    expect_silence();
}

struct killer {
    struct dmheap_ctx* ctx;
    unsigned left; /* lines until it kills */
    bool is_done;
};

static bool print_and_kill(const char* line, void* context)
{
    struct killer* killer = context;
    (void)line;
    if (killer->left-- == 0) {
        assert_true(dmheap_ctx_deinit(killer->ctx));
        memset(test_heap.buffer, 0x5A, test_heap.size);
        killer->is_done = true;
    }
    return true;
}

static void kill_at_hold(void* context)
{
    struct killer* killer = context;
    if (!killer->is_done) {
        (void)print_and_kill("", killer);
    }
}

/* It goes whenever the lock is released: each figure may be the last that was to be had. */
static void a_heap_that_goes_between_two_lines_ends_the_report(void** state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        bool goes_on = true;
        for (unsigned hold = 0; goes_on; hold++) {
            scene_of_two_heaps();
            const unsigned which = hold % 2; /* the first of them, or the second */
            struct killer killer = {dmheap_ctx_get_default(which), hold / 2, false};
            test_heap.buffer = arenas[which].buffer;
            test_heap.size = arenas[which].size;
            printed[0] = '\0';
            test_port_on_unlock(kill_at_hold, &killer);
            const bool is_whole = dmheap_ctx_report(NULL, forms[i], print_line, NULL);
            test_port_on_unlock(NULL, NULL);
            goes_on = killer.is_done;
            assert_true(is_whole || goes_on);
            expect_silence();
            arenas_release();
        }
    }
}

/* Make it anew in its place, of another size, with another name, module and past. */
static void replace_at_hold(void* context)
{
    struct killer* killer = context;
    if (killer->is_done || killer->left-- != 0) {
        return;
    }
    killer->is_done = true;
    assert_ptr_equal(dmheap_ctx_init(killer->ctx, 3900, 8), killer->ctx);
    assert_true(dmheap_ctx_add_default(killer->ctx));
    assert_true(dmheap_ctx_set_name(killer->ctx, "impostor"));
#if DMHEAP_ACCOUNTING
    assert_true(dmheap_ctx_keep_dead(killer->ctx, 1));
    assert_true(dmheap_ctx_register_module(killer->ctx, "impostor 1"));
    dmheap_ctx_unregister_module(killer->ctx, "impostor 1");
    assert_true(dmheap_ctx_set_reserve(killer->ctx, "impostor 2", 777));
#endif
    assert_non_null(dmheap_ctx_malloc(killer->ctx, 100, "impostor 2"));
    test_port_forget_lines();
}

/* The report is about the heap that there was; one that stands in its place is never shown. */
static void a_heap_that_is_made_anew_meanwhile_is_not_shown(void** state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        bool goes_on = true;
        for (unsigned hold = 0; goes_on; hold++) {
            scene_of_two_heaps();
            const unsigned which = hold % 2;
            struct killer killer = {dmheap_ctx_get_default(which), hold / 2, false};
            printed[0] = '\0';
            lines = 0;
            test_port_on_unlock(replace_at_hold, &killer);
            (void)dmheap_ctx_report(NULL, forms[i], print_line, NULL);
            test_port_on_unlock(NULL, NULL);
            goes_on = killer.is_done;
            assert_null(strstr(printed, "impostor"));
            assert_null(strstr(printed, " 777 bytes"));
            assert_null(strstr(printed, "\"reserved\": 777"));
            if (goes_on) {
                const unsigned size = (unsigned)(killer.ctx->end - killer.ctx->first);
                wanted[0] = '\0';
                want(i == 0 ? " %u bytes" : "{\"size\": %u,", size);
                assert_null(strstr(printed, wanted));
            }
            expect_silence();
            arenas_release();
        }
    }
}

/* The heap goes at any line, and its memory is used otherwise. */
static void a_heap_that_goes_ends_the_report(void** state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        bool goes_on = true;
        unsigned ended = 0;
        for (unsigned line = 0; goes_on; line++) {
            heap_open(4 * KIB, 8);
            struct killer killer = {dmheap_ctx_get_default(0), line, false};
            for (unsigned k = 0; k < 30; k++) {
                (void)dmheap_malloc(10, numbered_name(k));
            }
            test_port_forget_lines();
            ended += !dmheap_ctx_report(killer.ctx, forms[i], print_and_kill, &killer);
            goes_on = killer.is_done;
            expect_silence();
            arenas_release();
        }
        assert_true(ended > 30);
    }
}

static bool print_and_work(const char* line, void* context)
{
    (void)line;
    (void)context;
    assert_false(test_port_is_held());
    random_step(40, 300);
    if (dice(5) == 0) {
        const unsigned number = dice(40) + 1;
        for (unsigned i = 0; i < SLOTS; i++) {
            char owner[DMHEAP_NAME_BYTES];
            if (slot[i] != NULL && dmheap_ctx_owner_of(NULL, slot[i], owner) &&
                strcmp(owner, numbered_name(number)) == 0) {
                slot[i] = NULL;
            }
        }
        dmheap_unregister_module(numbered_name(number));
    }
    (void)print_line(line, NULL);
    test_port_forget_lines();
    return true;
}

static void a_printer_may_do_with_the_heap_what_it_likes(void** state)
{
    (void)state;
    random_begin();
    scene_at_random(32 * KIB, 8, 40);
    for (unsigned round = 0; round < 60; round++) {
        const unsigned form = round % 2 == 0 ? 0 : DMHEAP_REPORT_JSON;
        printed[0] = '\0';
        lines = 0;
        widest = 0;
        assert_true(dmheap_ctx_report(NULL, DMHEAP_REPORT_ALL | form, print_and_work, NULL));
        if (form != 0) {
            assert_int_equal(*json_blank(json_value(printed)), '\0');
        } else {
            assert_true(widest <= WIDEST);
        }
        (void)heap_verify();
    }
}

/* ---- bounds ----------------------------------------------------------------------------- */

static bool visit(const struct dmheap_block_info* block, void* context)
{
    (void)block;
    (void)context;
    return true;
}

static bool visit_module(const struct dmheap_module_info* info, void* context)
{
    (void)info;
    (void)context;
    return true;
}

/* It is made of walks, and of looks at single modules. */
static void a_hold_of_the_lock_is_as_short_as_a_walks(void** state)
{
    (void)state;
    random_begin();
    scene_at_random(64 * KIB, 8, 60);
    struct dmheap_stats stats;
    assert_true(test_port_reset());
    assert_true(dmheap_ctx_walk(NULL, visit, NULL));
    assert_true(dmheap_ctx_walk_modules(NULL, visit_module, NULL));
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    const unsigned most = test_port_longest_hold();
    assert_true(test_port_reset());
    assert_true(report(NULL, DMHEAP_REPORT_ALL));
    assert_true(test_port_longest_hold() <= most);
}

/* A walk for each part and for each sixteen owners. */
static void the_cost_is_as_the_manual_says(void** state)
{
    (void)state;
    heap_open(64 * KIB, 8);
    for (unsigned i = 0; i < 20; i++) {
        assert_non_null(dmheap_malloc(100, numbered_name(i)));
    }
    for (unsigned i = 0; i < 200; i++) {
        assert_non_null(dmheap_malloc(100, NULL));
    }
    assert_true(test_port_reset());
    assert_true(dmheap_ctx_walk(NULL, visit, NULL));
    const unsigned walk = test_port_holds();
    assert_true(test_port_reset());
    assert_true(report(NULL, DMHEAP_REPORT_MODULES));
    assert_true(test_port_holds() < 3 * walk + walk); /* the first line, 22 owners; and names */
    (void)test_port_reset();
}

/* ---- what is refused --------------------------------------------------------------------- */

static void what_is_refused_prints_nothing(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    struct dmheap_ctx* ctx = dmheap_ctx_get_default(0);
    assert_false(report(NULL, 32));
    expect_error();
    assert_false(report(NULL, DMHEAP_REPORT_ALL | (1U << 31)));
    expect_error();
    assert_int_equal(lines, 0);
    assert_false(report((struct dmheap_ctx*)slot, DMHEAP_REPORT_ALL));
    expect_error();
    assert_true(dmheap_ctx_deinit(ctx));
    assert_false(report(ctx, DMHEAP_REPORT_ALL));
    expect_error();
    assert_false(report(NULL, DMHEAP_REPORT_ALL | DMHEAP_REPORT_JSON));
    expect_error();
    assert_false(dmheap_ctx_report(NULL, DMHEAP_REPORT_ALL, NULL, NULL));
    expect_error();
    assert_int_equal(lines, 0);
}

/* As one of the smallest: in text and in JSON it has a place. */
static void a_block_that_seems_to_have_no_bytes_is_counted(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    block_of(dmheap_malloc(100, NULL))->header &= ~BLOCK_SIZE_MASK;
    assert_true(report(NULL, DMHEAP_REPORT_SIZES));
    assert_non_null(strstr(printed, "  from          1       1       0  "));
    assert_true(report(NULL, DMHEAP_REPORT_SIZES | DMHEAP_REPORT_JSON));
    (void)json_value(printed);
    test_port_forget_lines();
}

/* Written over at random, a heap is shown all the same, and nothing else is touched. */
static void a_damaged_heap_is_shown(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 200; round++) {
        scene_at_random(8 * KIB, 8, 20);
        const size_t first = (size_t)test_heap.ctx->first;
        for (unsigned i = 0; i < 1 + dice(20); i++) {
            unsigned char* from = (unsigned char*)test_heap.ctx + first;
            from[dice((uint32_t)(test_heap.size - first - 16))] = (unsigned char)dice(256);
        }
        (void)report(NULL, DMHEAP_REPORT_ALL);
        assert_true(lines < 400);
        (void)report(NULL, DMHEAP_REPORT_ALL | DMHEAP_REPORT_JSON);
        (void)json_value(printed);
        arenas_verify();
        arenas_release();
        test_port_forget_lines();
    }
}

int main(int argc, char** argv)
{
    random_choose(argc, argv);
    const struct CMUnitTest cases[] = {
        heap_case(text_is_what_the_layers_say),
        heap_case(each_part_can_be_had_alone),
        heap_case_if(HAS_NARROW_WORDS && !DMHEAP_ACCOUNTING && OVERHEAD == WORD,
                     a_scene_looks_as_it_should),
        heap_case(a_name_that_is_too_long_shows_its_end),
        heap_case(any_byte_of_a_name_can_be_shown),
        heap_case(a_splitter_of_any_name_can_be_shown),
        heap_case(empty_and_full_heaps_can_be_shown),
        heap_case_if(TEST_MIB_MAX >= 9, a_summary_of_large_numbers_keeps_its_columns),
        heap_case(nothing_is_rounded_away),
        heap_case(a_large_heap_has_a_map_of_sixteen_lines),
        heap_case(heaps_are_shown_in_their_order),
        heap_case(json_is_what_the_layers_say),
        heap_case(a_module_that_goes_meanwhile_is_gone),
        heap_case(json_has_the_parts_that_are_asked_for),
#if DMHEAP_ACCOUNTING
        heap_case(accounts_are_told_of),
        heap_case(an_account_of_nobody_is_told_of),
        heap_case(accounts_of_large_numbers_keep_their_columns),
#endif
        heap_case(without_a_printer_lines_go_to_the_log),
        heap_case(a_printer_ends_the_report_at_any_line),
        heap_case(a_printer_may_end_the_report_at_the_line_of_the_hole),
        heap_case(a_printer_may_end_the_report_where_the_heap_cannot_be_read),
        heap_case(a_heap_that_goes_ends_the_report),
        heap_case(a_heap_that_goes_between_two_lines_ends_the_report),
        heap_case(a_heap_that_is_made_anew_meanwhile_is_not_shown),
        heap_case(a_printer_may_do_with_the_heap_what_it_likes),
        heap_case(a_hold_of_the_lock_is_as_short_as_a_walks),
        heap_case(the_cost_is_as_the_manual_says),
        heap_case(what_is_refused_prints_nothing),
        heap_case(a_block_that_seems_to_have_no_bytes_is_counted),
        heap_case(a_damaged_heap_is_shown),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
