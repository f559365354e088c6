# SPDX-License-Identifier: MIT
#
# The benchmark on a host: `make bench` for time, `make count` for instructions.
#
# PEERS="a.so b.so" are further allocators, plug-ins as bench/allocator.h describes them; the
# first is the one that all are compared with. RUNS=1 is a short try of `make bench`, whose fastest
# run counts. Figures go below build/bench, by header width; those of a library with other settings
# than it ships with go beside that, and no bounds are kept for them.

PEERS ?=
RUNS  ?= 9

BENCH       := $(B)/bench/bench
BENCH_PARTS := bench count dmheap figure installed plugin results stage timing workload
BENCH_OUT   := build/bench$(subst $(space),,$(CHANGED:%=-%))
# jemalloc wants more thread-local memory than a program has room for when it is loaded late.
BENCH_RUN    = GLIBC_TUNABLES=glibc.rtld.optional_static_tls=65536 \
               $(BENCH) $(addprefix --plugin ,$(PEERS))

# The library as it ships, without lock and log: what is measured is the heap.
$(B)/bench/core.o: src/dmheap.c GNUmakefile bench/bench.mk
	$(call compile,-O2 $(SETTINGS) $(call port_define,ports/bare/dmheap_port.h))

$(B)/bench/%.o: bench/%.c GNUmakefile bench/bench.mk
	$(call compile,-O2 $(SETTINGS))

$(BENCH): $(BENCH_PARTS:%=$(B)/bench/%.o) $(B)/bench/core.o
	$(call say,LINK)
	$(Q)$(CC) $(ARCH) $(CFLAGS) $(LDFLAGS) -o $@ $^ -ldl

# $(call bounds,check or update,names and files)
bounds = @$(if $(CHANGED),echo 'no bounds are kept for $(CHANGED)',bench/ceilings.sh $1 $2)

$(BENCH_OUT):
	@mkdir -p $@

bench: $(BENCH) | $(BENCH_OUT)
	$(BENCH_RUN) --runs $(RUNS) --json $(BENCH_OUT)/time-$(HEADER_BYTES).json \
	    --figure $(BENCH_OUT)/time-$(HEADER_BYTES).svg

# The ceilings are those of gcc 12 on x86-64; each header width has its own.
BENCH_NAMES := ^x86-64[.]dmheap$(if $(filter 8,$(HEADER_BYTES)),8)[-.]
COUNTED     := $(BENCH_OUT)/count-$(HEADER_BYTES)

$(COUNTED).values: $(BENCH) FORCE | $(BENCH_OUT)
	$(BENCH_RUN) --count $(if $(PEERS),,--no-installed) --json $(COUNTED).json --values $@

count: $(COUNTED).values
	$(call bounds,check,'$(BENCH_NAMES)' $<)

# After a change of the library that is meant to cost, or that saves: look at the difference.
ceilings: $(COUNTED).values
	$(call bounds,update,'$(BENCH_NAMES)' $<)

.PHONY: bench count ceilings
-include $(wildcard $(B)/bench/*.d)
