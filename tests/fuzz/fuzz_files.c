/* SPDX-License-Identifier: MIT */
/*
 * Plays inputs again, without a fuzzer: the files that are named - AFL++ names one at a time -, or
 * all of the program's own, which are in tests/fuzz/X for a program fuzz_X, after one of no bytes, as
 * libFuzzer does. None is a failure.
 */
/* Else a 32-bit program cannot read every file system's folders. */
#define _FILE_OFFSET_BITS 64

#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1U << 20)

static bool play(const char* path)
{
    static uint8_t input[INPUT_MAX];
    FILE* file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    const size_t size = fread(input, 1, sizeof(input), file);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(input, size);
    return true;
}

/* How many there were. */
static unsigned play_all(const char* folder)
{
    unsigned count = 0;
    DIR* files = opendir(folder);
    for (struct dirent* file = files != NULL ? readdir(files) : NULL; file != NULL;
         file = readdir(files)) {
        char path[512];
        if (file->d_name[0] != '.') {
            (void)snprintf(path, sizeof(path), "%s/%s", folder, file->d_name);
            printf("%s\n", path);
            (void)fflush(stdout); /* it may be the last one */
            count += play(path);
        }
    }
    if (files != NULL) {
        (void)closedir(files);
    }
    return count;
}

int main(int argc, char** argv)
{
    unsigned played = 0;
    for (int i = 1; i < argc; i++) {
        played += play(argv[i]);
    }
    if (argc == 1) {
        char folder[64];
        const char* name = strrchr(argv[0], '_');
        (void)LLVMFuzzerTestOneInput((const uint8_t*)"", 0);
        (void)snprintf(folder, sizeof(folder), "tests/fuzz/%s", name != NULL ? name + 1 : "");
        played = play_all(folder);
    }
    printf("%u inputs\n", played);
    return played != 0 && (argc == 1 || played == (unsigned)argc - 1) ? EXIT_SUCCESS : EXIT_FAILURE;
}
