# SPDX-License-Identifier: MIT
#
# What a heap does with memory: `make memory` and `make fragmentation` on the host, for the width
# of ARCH and HEADER_BYTES; PEERS are further heaps of that width, as for `make bench`.

WIDTH       := $(if $(filter -m32,$(ARCH)),32,64)
SPACE_TAG   := $(WIDTH)-$(HEADER_BYTES)
SPACE_HEAPS := ^$(if $(filter 32,$(WIDTH)),i386,x86-64)[.]dmheap$(if $(filter 8,$(HEADER_BYTES)),8)[-.]

# It looks into the library's layers.
$(B)/bench/control.o: bench/control.c GNUmakefile bench/figures.mk
	$(call compile,-O2 $(SETTINGS) $(call port_define,ports/bare/dmheap_port.h) -Isrc)

$(B)/bench/memory: $(B)/bench/control.o

$(B)/bench/memory $(B)/bench/fragmentation: $(B)/bench/%: $(B)/bench/%.o $(B)/bench/space.o \
        $(B)/bench/dmheap.o $(B)/bench/core.o
	$(call say,LINK)
	$(Q)$(CC) $(ARCH) $(CFLAGS) $(LDFLAGS) -o $@ $^ -ldl

memory fragmentation: %: $(B)/bench/% | $(BENCH_OUT)
	timeout 300 $< $(addprefix --plugin ,$(PEERS)) --json $(BENCH_OUT)/$*-$(SPACE_TAG).json \
	    --values $(BENCH_OUT)/$*-$(SPACE_TAG).values
	@bench/ceilings.sh check '$(SPACE_HEAPS).*($(SPACE_BOUNDS_$*))' \
	    $(BENCH_OUT)/$*-$(SPACE_TAG).values

SPACE_BOUNDS_memory        := payload|kept|smallest|context|map
SPACE_BOUNDS_fragmentation := fragmentation

.PHONY: memory fragmentation
