/* SPDX-License-Identifier: MIT */
/*
 * Plays inputs again, without a fuzzer: all files of the folder FUZZ_CORPUS, or those that are
 * named. AFL++ names one at a time.
 */
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

/* How many there were; none is a mistake. */
static unsigned play_all(const char* folder)
{
    unsigned count = 0;
    DIR* files = opendir(folder);
    for (struct dirent* file = files != NULL ? readdir(files) : NULL; file != NULL;
         file = readdir(files)) {
        char path[512];
        if (file->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/%s", folder, file->d_name);
        printf("%s\n", path);
        (void)fflush(stdout);
        count += play(path);
    }
    if (files != NULL) {
        (void)closedir(files);
    }
    return count;
}

int main(int argc, char** argv)
{
    bool is_done = true;
    for (int i = 1; i < argc; i++) {
        is_done = play(argv[i]) && is_done;
    }
    if (argc == 1) {
        const unsigned count = play_all(FUZZ_CORPUS);
        printf("%u inputs\n", count);
        is_done = count != 0;
    }
    return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}
