/* SPDX-License-Identifier: MIT */
/*
 * A client of the context-first interface: a kernel with internal memory and SDRAM, which a driver
 * brings up, lets ordinary allocations spill into, and takes back.
 */
#include "dmod.h"
#include "dmheap.h"

#include "report.h"

static char internal_ram[8 * 1024];
static char sdram[64 * 1024];

static dmheap_context_t* kernel_ctx;

struct driver {
    dmheap_context_t* heap_ctx;
};

static bool is_in(const void* ptr, const char* start, size_t size)
{
    return (uintptr_t)ptr - (uintptr_t)start < size;
}

static void start_kernel(void)
{
    CHECK_THAT(!dmheap_is_initialized(NULL));
    kernel_ctx = dmheap_init(internal_ram, sizeof internal_ram, sizeof(void*));
    if (kernel_ctx == NULL) {
        DMOD_LOG_ERROR("no heap\n");
        CHECK_THAT(!"initialized");
    }
    dmheap_set_default_context(kernel_ctx);
    CHECK_THAT(dmheap_is_initialized(NULL) && dmheap_is_initialized(kernel_ctx));
    CHECK_THAT(dmheap_get_default_context() == kernel_ctx);
}

static void use_kernel_heap(void)
{
    CHECK_THAT(dmheap_register_module(NULL, "shell"));
    char* text = dmheap_malloc(NULL, 100, "shell");
    CHECK_THAT(is_in(text, internal_ram, sizeof internal_ram));
    report_fill(text, 100, 5);
    text = dmheap_realloc(NULL, text, 2000, "shell");
    CHECK_THAT(report_holds(text, 100, 5));
    void* const stack = dmheap_aligned_alloc(kernel_ctx, 32, 512, "shell");
    CHECK_THAT((uintptr_t)stack % 32 == 0);
    CHECK_THAT(dmheap_retag(NULL, stack, "thread"));
    dmheap_unregister_module(NULL, "shell");
    dmheap_free(kernel_ctx, stack, true);
    dmheap_concatenate_free_blocks(NULL);
}

static int driver_create(struct driver* driver)
{
    driver->heap_ctx = dmheap_init(sdram, sizeof sdram, 32);
    if (driver->heap_ctx == NULL) {
        return -1;
    }
    return dmheap_add_default_context(driver->heap_ctx) ? 0 : -1;
}

static void driver_free(struct driver* driver)
{
    CHECK_THAT(dmheap_remove_default_context(driver->heap_ctx));
    driver->heap_ctx = NULL;
}

static void run_driver(void)
{
    struct driver driver;
    CHECK_THAT(dmheap_malloc(NULL, 20000, "video") == NULL);
    CHECK_THAT(driver_create(&driver) == 0);
    CHECK_THAT(dmheap_get_default_context_count() == 2);
    void* const frame = dmheap_malloc(NULL, 20000, "video");
    CHECK_THAT(is_in(frame, sdram, sizeof sdram) && (uintptr_t)frame % 16 == 0);
    CHECK_THAT(is_in(dmheap_malloc(NULL, 100, "video"), internal_ram, sizeof internal_ram));
    dmheap_free(NULL, frame, false);
    dmheap_unregister_module(NULL, "video");
    driver_free(&driver);
    CHECK_THAT(dmheap_malloc(NULL, 20000, "video") == NULL);
    CHECK_THAT(dmheap_get_default_context_count() == 1);
}

/* The same memory once more, as when a driver is configured again. */
static void run_driver_again(void)
{
    struct driver driver;
    for (unsigned i = 0; i < 20; i++) {
        CHECK_THAT(driver_create(&driver) == 0);
    }
    CHECK_THAT(dmheap_get_default_context_count() == 2);
    CHECK_THAT(dmheap_get_default_context_at(0) == kernel_ctx);
    CHECK_THAT(dmheap_get_default_context_at(1) == driver.heap_ctx);
    CHECK_THAT(dmheap_malloc(driver.heap_ctx, 60000, "video") != NULL);
    driver_free(&driver);
}

int main(void)
{
    report_topic("start the kernel", start_kernel);
    report_topic("use its heap", use_kernel_heap);
    report_topic("run a driver", run_driver);
    report_topic("run it again", run_driver_again);
    return report_end();
}
