// SPDX-License-Identifier: MIT
// The public header in a C++ program: it compiles, and what it declares links and works.
#include "dmheap_ctx.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>

namespace
{
unsigned char memory[32768];

int failures = 0;

void check(bool passed, const char* text)
{
    if (!passed) {
        failures++;
        std::printf("not %s\n", text);
    }
}

// An object of a module, in memory of the heap.
struct Sensor {
    explicit Sensor(int first) : value(first)
    {
    }

    int value;
};
} // namespace

#define CHECK_THAT(condition) check((condition), #condition)

int main()
{
    CHECK_THAT(!dmheap_is_initialized());
    CHECK_THAT(dmheap_init(memory, sizeof(memory), 8));
    CHECK_THAT(dmheap_is_initialized());
    CHECK_THAT(dmheap_register_module("sensor"));

    void* place = dmheap_malloc(sizeof(Sensor), "sensor");
    CHECK_THAT(place != nullptr);
    const Sensor* sensor = new (place) Sensor(42);
    CHECK_THAT(sensor->value == 42);

    void* aligned = dmheap_aligned_alloc(64, 100, "sensor");
    CHECK_THAT(reinterpret_cast<std::uintptr_t>(aligned) % 64 == 0);
    std::memset(aligned, 7, 100);
    aligned = dmheap_realloc(aligned, 1000, "sensor");
    CHECK_THAT(aligned != nullptr && static_cast<unsigned char*>(aligned)[99] == 7);

    dmheap_free(aligned, true);
    dmheap_concatenate_free_blocks();
    dmheap_unregister_module("sensor");
    CHECK_THAT(dmheap_malloc(sizeof(memory) - 2048, nullptr) != nullptr);

    std::printf("C++: %d failures\n", failures);
    return failures != 0;
}
