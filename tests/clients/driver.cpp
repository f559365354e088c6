// SPDX-License-Identifier: MIT
// A C++ client of the context-first interface.
#include "dmod.h"
#include "dmheap.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>

namespace
{
char memory[16384];

class Pool
{
  public:
    explicit Pool(const char* name) : ctx(dmheap_init(memory, sizeof memory, 16))
    {
        dmheap_set_context_name(ctx, name);
    }

    template <typename T> T* make(T value) const
    {
        void* place = dmheap_aligned_alloc(ctx, alignof(T), sizeof(T), "pool");
        return place != nullptr ? new (place) T(value) : nullptr;
    }

    void release(void* ptr) const
    {
        dmheap_free(ctx, ptr, true);
    }

    dmheap_context_t* ctx;
};

std::size_t count_used(dmheap_context_t* ctx, const char* owner)
{
    struct Count {
        const char* owner;
        std::size_t blocks;
    } count = {owner, 0};
    dmheap_for_each_used_block(
        ctx,
        [](void*, std::size_t, const char* owner_name, void* user_data) {
            Count* const sum = static_cast<Count*>(user_data);
            sum->blocks += owner_name != nullptr && std::strcmp(owner_name, sum->owner) == 0;
        },
        &count);
    return count.blocks;
}

int failures = 0;

void check(bool passed, const char* text)
{
    if (!passed) {
        failures++;
        std::printf("not %s\n", text);
    }
}
} // namespace

#define CHECK_THAT(condition) check((condition), #condition)

int main()
{
    const Pool pool("cxx");
    CHECK_THAT(pool.ctx != nullptr);
    CHECK_THAT(dmheap_get_context_by_name("cxx") == pool.ctx);
    CHECK_THAT(std::strcmp(dmheap_get_context_name(nullptr), "cxx") == 0);
    double* const value = pool.make(1.5);
    CHECK_THAT(value != nullptr && *value == 1.5);
    CHECK_THAT(count_used(pool.ctx, "pool") == 1);
    dmheap_stats_t stats;
    CHECK_THAT(dmheap_get_stats(nullptr, &stats) && stats.used_block_count != 0);
    pool.release(value);
    CHECK_THAT(count_used(pool.ctx, "pool") == 0);
    dmheap_set_default_context(nullptr);
    CHECK_THAT(dmheap_malloc(nullptr, 10, "pool") == nullptr);
    std::printf("C++: %d failures\n", failures);
    return failures != 0;
}
