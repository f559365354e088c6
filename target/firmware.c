/* SPDX-License-Identifier: MIT */
/*
 * The firmware: tests and benchmark in one image; the command line says which of them runs.
 *
 * Each program is a function like main, with the program's name and _main behind it. PROGRAMS, on
 * the compiler's command line, is the list: PROGRAM(test_bits) PROGRAM(test_model) ...
 */
#include "firmware.h"
#include "semihost.h"

#include <stdio.h>
#include <string.h>

#define PROGRAM(name) int name##_main(int count, char** arguments);
PROGRAMS
#undef PROGRAM

static const struct {
    const char* name;
    int (*run)(int count, char** arguments);
} programs[] = {
#define PROGRAM(name) {#name, name##_main},
    PROGRAMS
#undef PROGRAM
};

#define PROGRAMS_COUNT (sizeof(programs) / sizeof(programs[0]))
#define ARGUMENTS_MAX  8
#define USAGE_STATUS   64

/* Cut a line into words, in place. */
static int split(char* line, char** words, int words_max)
{
    int count = 0;
    for (char* word = strtok(line, " "); word != NULL && count < words_max;
         word = strtok(NULL, " ")) {
        words[count++] = word;
    }
    words[count] = NULL;
    return count;
}

static int usage(const char* wanted)
{
    printf("no program '%s'; there are:", wanted);
    for (size_t i = 0; i < PROGRAMS_COUNT; i++) {
        printf(" %s", programs[i].name);
    }
    printf("\n");
    return USAGE_STATUS;
}

int firmware_run(void)
{
    static char line[128];
    static char* words[ARGUMENTS_MAX + 1];
    const int count =
        semihost_command_line(line, sizeof(line)) ? split(line, words, ARGUMENTS_MAX) : 0;
    const char* wanted = count != 0 ? words[0] : "";
    for (size_t i = 0; i < PROGRAMS_COUNT; i++) {
        if (strcmp(programs[i].name, wanted) == 0) {
            return programs[i].run(count, words);
        }
    }
    return usage(wanted);
}
