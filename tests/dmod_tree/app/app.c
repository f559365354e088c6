/* SPDX-License-Identifier: MIT */
/*
 * An application in a DMOD tree: finds the nine records as DMOD's loader does, allocates through
 * DMOD's memory interface, and logs at two levels. What the log says, run.sh compares.
 */
#define DMOD_CURRENT_ALLOCATOR "app"
#include "dmod.h"
#include "dmheap.h"

#include <stdio.h>
#include <string.h>

#ifndef DMOD_TREE_OF_THE_TEST
#error "These are not the headers of the test's tree."
#endif

extern const Dmod_ApiRegistration_t __dmod_inputs_start[];
extern const Dmod_ApiRegistration_t __dmod_inputs_end[];

int app_late(void);

static int failures;

static void check(bool condition, const char* what)
{
    printf("%s %s\n", condition ? "ok:    " : "FAILED:", what);
    failures += !condition;
}

/* ---- the critical section, counted --------------------------------------------- */

static int depth;
static int entries;

DMOD_INPUT_API_DECLARATION(Dmod, 1.0, void, _EnterCritical, (void))
{
    depth++;
    entries++;
}

DMOD_INPUT_API_DECLARATION(Dmod, 1.0, void, _ExitCritical, (void))
{
    depth--;
}

/* ---- the records --------------------------------------------------------------- */

#define SIGNATURE(NAME) "\021DMBI\022_" #NAME "@dmheap:1.0"
#define RECORD(NAME)                          \
    {                                         \
        (void*)dmheap_##NAME, SIGNATURE(NAME) \
    }

static const Dmod_ApiRegistration_t expected[] = {
    RECORD(init),
    RECORD(is_initialized),
    RECORD(register_module),
    RECORD(unregister_module),
    RECORD(malloc),
    RECORD(aligned_alloc),
    RECORD(realloc),
    RECORD(free),
    RECORD(concatenate_free_blocks),
};

/* How often the loader would find this function; -1: it would find another one by that name. */
static int count_records(const Dmod_ApiRegistration_t* wanted)
{
    int count = 0;
    for (const Dmod_ApiRegistration_t* at = __dmod_inputs_start; at < __dmod_inputs_end; at++) {
        if (strcmp(at->Signature, wanted->Signature) == 0) {
            if (at->Function != wanted->Function) {
                return -1;
            }
            count++;
        }
    }
    return count;
}

static void check_records(void)
{
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const int count = count_records(&expected[i]);
        printf("record %s: found %d times\n", expected[i].Signature + 6, count);
#ifdef APP_USES_LATE
        check(count >= 1, "at least one record");
#else
        check(count == 1, "exactly one record");
#endif
    }
}

/* ---- the memory ---------------------------------------------------------------- */

static char memory[65536];

static bool is_inside(const void* ptr)
{
    return (uintptr_t)ptr >= (uintptr_t)memory &&
           (uintptr_t)ptr < (uintptr_t)memory + sizeof memory;
}

int main(void)
{
#ifdef APP_USES_LATE
    check(app_late() == 1, "the late library is there");
#endif
    check_records();

    puts("-- level Warn");
    check(dmheap_init(memory, sizeof memory, 8), "dmheap_init");
    check(dmheap_register_module("sensor"), "register_module");
    check(dmheap_register_module("sensor"), "register_module again");

    puts("-- level Info");
    Dmod_SetLogLevel(Dmod_LogLevel_Info);
    check(dmheap_init(memory, sizeof memory, 8), "dmheap_init again");
    check(dmheap_register_module("sensor"), "register_module");

    void* block = Dmod_MallocEx(100, "sensor");
    check(is_inside(block), "Dmod_MallocEx takes from dmheap");
    block = Dmod_ReallocEx(block, 5000, "sensor");
    check(is_inside(block), "Dmod_ReallocEx takes from dmheap");
    void* aligned = Dmod_AlignedMallocEx(100, 256, NULL);
    check(is_inside(aligned) && (uintptr_t)aligned % 256 == 0, "Dmod_AlignedMallocEx aligns");
    check(Dmod_RetagEx(aligned, "other"), "Dmod_RetagEx");
    check(Dmod_RenameTag("other", "another"), "Dmod_RenameTag");
    Dmod_FreeEx(aligned, true);
    Dmod_FreeEx(aligned, true); /* one ERROR */
    Dmod_FreeModule("sensor");
    check(Dmod_MallocEx((size_t)-1, "sensor") == NULL, "malloc(SIZE_MAX) fails");

    check(entries > 10 && depth == 0, "the critical section was used, and left as often");
    return failures != 0;
}
