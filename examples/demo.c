/* SPDX-License-Identifier: MIT */
/*
 * A firmware in small: two modules on one heap. One is unloaded while the other goes on, and
 * all that it held is back, without a single call of free.
 *
 *     make demo
 *     make report       the same, with a look at the heap while both modules run
 */
#include "dmheap.h"
#include "dmheap_ctx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAP_BYTES        ((size_t)256 * 1024)
#define DEFAULT_ALIGNMENT 8

static uint8_t heap_memory[HEAP_BYTES];

/* The program ends at the first thing that is not as it should be. */
static void expect(bool condition, const char* what)
{
    if (!condition) {
        fprintf(stderr, "demo: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* ---- the sensor module: one data record --------------------------------------- */

struct sensor_data {
    uint32_t samples;
    int32_t millidegrees[60];
};

static struct sensor_data* sensor_data;

static void sensor_init(void)
{
    expect(dmheap_register_module("sensor"), "the sensor module is not known");
    sensor_data = dmheap_malloc(sizeof *sensor_data, "sensor");
    expect(sensor_data != NULL, "no memory for the sensor's data");
    memset(sensor_data, 0, sizeof *sensor_data);
    printf("Sensor module initialized with data at %p\n", (void*)sensor_data);
}

static void sensor_run(void)
{
    sensor_data->millidegrees[sensor_data->samples] = 21500;
    sensor_data->samples++;
}

static void sensor_cleanup(void)
{
    dmheap_unregister_module("sensor");
    sensor_data = NULL;
    printf("Sensor module cleaned up\n");
}

/* ---- the network module: buffers that a DMA engine can use -------------------- */

#define NETWORK_BUFFERS      10
#define NETWORK_BUFFER_BYTES 1500
#define NETWORK_ALIGNMENT    64

static uint8_t* network_buffer[NETWORK_BUFFERS];

static void network_init(void)
{
    expect(dmheap_register_module("network"), "the network module is not known");
    for (int i = 0; i < NETWORK_BUFFERS; i++) {
        network_buffer[i] =
            dmheap_aligned_alloc(NETWORK_ALIGNMENT, NETWORK_BUFFER_BYTES, "network");
        expect(network_buffer[i] != NULL, "no memory for a network buffer");
        expect((uintptr_t)network_buffer[i] % NETWORK_ALIGNMENT == 0, "a buffer is not aligned");
        memset(network_buffer[i], i, NETWORK_BUFFER_BYTES);
    }
    printf("Network module initialized with %d buffers\n", NETWORK_BUFFERS);
}

/* Each buffer must still hold what was received into it. */
static void network_run(void)
{
    for (int i = 0; i < NETWORK_BUFFERS; i++) {
        for (int byte = 0; byte < NETWORK_BUFFER_BYTES; byte++) {
            expect(network_buffer[i][byte] == i, "a network buffer was overwritten");
        }
    }
}

static void network_cleanup(void)
{
    dmheap_unregister_module("network");
    memset(network_buffer, 0, sizeof network_buffer);
    printf("Network module cleaned up\n");
}

/* ---- the system --------------------------------------------------------------- */

/* With all modules gone the memory is one piece again: nearly all of it in a single block. */
static bool heap_is_whole(void)
{
    void* all = dmheap_malloc(HEAP_BYTES / 100 * 98, NULL);
    dmheap_free(all, true);
    return all != NULL;
}

static bool print_line(const char* line, void* context)
{
    (void)context;
    return puts(line) >= 0;
}

int main(int argc, char** argv)
{
    const bool shows_heap = argc == 2 && strcmp(argv[1], "report") == 0;
    expect(argc == 1 || shows_heap, "the one argument that it knows is `report`");
    printf("=== Embedded System with dmheap ===\n\n");
    expect(dmheap_init(heap_memory, HEAP_BYTES, DEFAULT_ALIGNMENT), "the heap does not start");
    printf("Heap initialized: %u KB\n\n", (unsigned)(HEAP_BYTES / 1024));

    sensor_init();
    network_init();

    printf("\n--- Modules running ---\n");
    sensor_run();
    network_run();
    printf("Both modules are using heap memory...\n");
    if (shows_heap) {
        printf("\n");
        expect(dmheap_ctx_report(NULL, DMHEAP_REPORT_ALL, print_line, NULL), "no report");
    }

    printf("\n--- Shutting down sensor module ---\n");
    sensor_cleanup();

    printf("\n--- Network module still running ---\n");
    network_run();
    printf("Network module continues to function...\n");

    printf("\n--- System shutdown ---\n");
    network_cleanup();

    expect(heap_is_whole(), "memory was lost");
    printf("\nAll modules cleaned up successfully!\n");
    return EXIT_SUCCESS;
}
