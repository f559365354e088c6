/* SPDX-License-Identifier: MIT */
/* The heap as firmware modules use it: each topic is a small module or a few of them. */
#include "dmheap.h"
#include "report.h"

#include <string.h>

#define HEAP_BYTES ((size_t)131072)

static unsigned char memory[HEAP_BYTES];

static void start(void)
{
    CHECK_THAT(dmheap_init(memory, sizeof(memory), 8));
}

/* Is the whole heap one free block again? It is when a block of this size can be had. */
static bool is_whole(void)
{
    void* most = dmheap_malloc(HEAP_BYTES - HEAP_BYTES / 16, NULL);
    dmheap_free(most, true);
    return most != NULL;
}

/* ---- a file system: nodes with names and growing contents --------------------------- */

struct file {
    struct file* next;
    char* name;
    unsigned char* content;
    size_t size;
};

static struct file* file_create(struct file** all, const char* name)
{
    struct file* file = dmheap_malloc(sizeof(*file), "filesystem");
    if (file == NULL) {
        return NULL;
    }
    memset(file, 0, sizeof(*file));
    file->name = dmheap_malloc(strlen(name) + 1, "filesystem");
    if (file->name == NULL) {
        dmheap_free(file, true);
        return NULL;
    }
    memcpy(file->name, name, strlen(name) + 1);
    file->next = *all;
    *all = file;
    return file;
}

static bool file_append(struct file* file, size_t size, unsigned seed)
{
    unsigned char* content = dmheap_realloc(file->content, file->size + size, "filesystem");
    if (content == NULL) {
        return false;
    }
    report_fill(content + file->size, size, seed);
    file->content = content;
    file->size += size;
    return true;
}

static void file_system(void)
{
    enum { FILES = 20, PIECES = 5, PIECE = 300 };
    struct file* all = NULL;
    char name[32];
    start();
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof(name), "file%d.txt", i);
        CHECK_THAT(file_create(&all, name) != NULL);
    }
    for (unsigned piece = 0; piece < PIECES; piece++) {
        for (struct file* file = all; file != NULL; file = file->next) {
            CHECK_THAT(file_append(file, PIECE, piece));
        }
    }
    int number = FILES;
    for (const struct file* file = all; file != NULL; file = file->next) {
        (void)snprintf(name, sizeof(name), "file%d.txt", --number);
        CHECK_THAT(strcmp(file->name, name) == 0);
        CHECK_THAT(file->size == PIECES * PIECE);
        for (unsigned piece = 0; piece < PIECES; piece++) {
            CHECK_THAT(report_holds(file->content + piece * PIECE, PIECE, piece));
        }
    }
    dmheap_unregister_module("filesystem");
    CHECK_THAT(is_whole());
}

/* ---- a pool of network buffers ------------------------------------------------------- */

static void network_buffer_pool(void)
{
    enum { BUFFERS = 32, FRAME = 1500 };
    unsigned char* pool[BUFFERS];
    start();
    CHECK_THAT(dmheap_register_module("network"));
    for (unsigned i = 0; i < BUFFERS; i++) {
        pool[i] = dmheap_aligned_alloc(64, FRAME, "network");
        CHECK_THAT(pool[i] != NULL && (uintptr_t)pool[i] % 64 == 0);
        report_fill(pool[i], FRAME, i);
    }
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = round % 3; i < BUFFERS; i += 3) {
            CHECK_THAT(report_holds(pool[i], FRAME, i));
            dmheap_free(pool[i], false);
            pool[i] = dmheap_aligned_alloc(64, FRAME, "network");
            CHECK_THAT(pool[i] != NULL && (uintptr_t)pool[i] % 64 == 0);
            report_fill(pool[i], FRAME, i);
        }
    }
    for (unsigned i = 0; i < BUFFERS; i++) {
        CHECK_THAT(report_holds(pool[i], FRAME, i));
    }
    dmheap_unregister_module("network");
    CHECK_THAT(is_whole());
}

/* ---- several modules at once ---------------------------------------------------------- */

static void several_modules(void)
{
    enum { MODULES = 8, BLOCKS = 25 };
    unsigned char* block[MODULES][BLOCKS];
    char name[MODULES][16];
    start();
    for (unsigned m = 0; m < MODULES; m++) {
        (void)snprintf(name[m], sizeof(name[m]), "mod%u", m);
    }
    for (unsigned b = 0; b < BLOCKS; b++) {
        for (unsigned m = 0; m < MODULES; m++) {
            const size_t size = 20 + 13 * m + 7 * b;
            block[m][b] = dmheap_malloc(size, name[m]);
            CHECK_THAT(block[m][b] != NULL);
            report_fill(block[m][b], size, m * BLOCKS + b);
        }
    }
    /* Unload them one by one; nothing of those that stay may change. */
    for (unsigned gone = 0; gone < MODULES; gone++) {
        dmheap_unregister_module(name[gone]);
        for (unsigned m = gone + 1; m < MODULES; m++) {
            for (unsigned b = 0; b < BLOCKS; b++) {
                CHECK_THAT(report_holds(block[m][b], 20 + 13 * m + 7 * b, m * BLOCKS + b));
            }
        }
    }
    CHECK_THAT(is_whole());
}

/* ---- dynamic data structures ----------------------------------------------------------- */

struct tree {
    struct tree* child[2];
    unsigned key;
};

static void tree_insert(struct tree** at, unsigned key)
{
    while (*at != NULL) {
        at = &(*at)->child[key > (*at)->key];
    }
    *at = dmheap_malloc(sizeof(**at), "database");
    CHECK_THAT(*at != NULL);
    if (*at != NULL) {
        memset(*at, 0, sizeof(**at));
        (*at)->key = key;
    }
}

/* Free a tree; its size, or 0 from the first node on that is out of order. */
static unsigned tree_free(struct tree* tree, unsigned low, unsigned high)
{
    if (tree == NULL || tree->key < low || tree->key > high) {
        return 0;
    }
    const unsigned count =
        1 + tree_free(tree->child[0], low, tree->key) + tree_free(tree->child[1], tree->key, high);
    dmheap_free(tree, false);
    return count;
}

static void dynamic_data_structures(void)
{
    enum { KEYS = 500 };
    struct tree* root = NULL;
    start();
    unsigned key = 7;
    for (unsigned i = 0; i < KEYS; i++) {
        key = (key * 1103515245U + 12345U) & 0xFFFFU;
        tree_insert(&root, key);
    }
    CHECK_THAT(tree_free(root, 0, 0xFFFF) == KEYS);
    dmheap_unregister_module("database");
    CHECK_THAT(is_whole());

    /* A vector that doubles. */
    unsigned* vector = NULL;
    size_t capacity = 0;
    for (unsigned i = 0; i < 5000; i++) {
        if (i == capacity) {
            capacity = capacity == 0 ? 4 : capacity * 2;
            vector = dmheap_realloc(vector, capacity * sizeof(*vector), "database");
            CHECK_THAT(vector != NULL);
        }
        if (vector == NULL) {
            return;
        }
        vector[i] = i * i;
    }
    bool right = true;
    for (unsigned i = 0; i < 5000; i++) {
        right = right && vector[i] == i * i;
    }
    CHECK_THAT(right);
    dmheap_free(vector, true);
    dmheap_unregister_module("database");
    CHECK_THAT(is_whole());
}

/* ---- memory reuse ------------------------------------------------------------------------ */

static void memory_reuse(void)
{
    start();
    unsigned char* wall = dmheap_malloc(100, "resident");
    unsigned char* first = dmheap_malloc(700, "guest");
    unsigned char* second_wall = dmheap_malloc(100, "resident");
    CHECK_THAT(wall != NULL && first != NULL && second_wall != NULL);
    dmheap_free(first, true);
    CHECK_THAT(dmheap_malloc(700, "guest") == first);
    dmheap_unregister_module("guest");

    /* A hundred lives of a module leave nothing behind. */
    unsigned char* image = NULL;
    for (unsigned life = 0; life < 100; life++) {
        unsigned char* loaded = dmheap_aligned_alloc(16, 9000, "guest");
        CHECK_THAT(loaded != NULL && (image == NULL || loaded == image));
        image = loaded;
        for (unsigned i = 0; i < 10; i++) {
            CHECK_THAT(dmheap_malloc(16 + i * 40, "guest") != NULL);
        }
        dmheap_unregister_module("guest");
    }
    dmheap_unregister_module("resident");
    CHECK_THAT(is_whole());
}

/* ---- alignment --------------------------------------------------------------------------- */

static void alignment_requirements(void)
{
    static const size_t alignments[] = {4, 8, 16, 32, 64, 128, 512, 1024};
    enum { COUNT = sizeof(alignments) / sizeof(alignments[0]) };
    unsigned char* block[COUNT];
    start();
    for (unsigned i = 0; i < COUNT; i++) {
        block[i] = dmheap_aligned_alloc(alignments[i], 200, "dma");
        CHECK_THAT(block[i] != NULL && (uintptr_t)block[i] % alignments[i] == 0);
        report_fill(block[i], 200, i);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        block[i] = dmheap_realloc(block[i], 900, "dma");
        CHECK_THAT(block[i] != NULL && (uintptr_t)block[i] % alignments[i] == 0);
        CHECK_THAT(report_holds(block[i], 200, i));
    }
    dmheap_unregister_module("dma");
    CHECK_THAT(is_whole());
}

int main(void)
{
    printf("=== DMHEAP Module Tests ===\n\n");
    report_topic("File system", file_system);
    report_topic("Network buffer pool", network_buffer_pool);
    report_topic("Several modules at once", several_modules);
    report_topic("Dynamic data structures", dynamic_data_structures);
    report_topic("Memory reuse", memory_reuse);
    report_topic("Alignment requirements", alignment_requirements);
    return report_end();
}
