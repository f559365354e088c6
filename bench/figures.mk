# SPDX-License-Identifier: MIT
#
# What a heap does with memory, what it costs a firmware, and the page that shows all figures.
#
# `make memory` and `make fragmentation` run on the host, for the width of ARCH and HEADER_BYTES;
# PEERS are further heaps of that width, as for `make bench`.

# The mean of 5 runs is still off by up to 1.5 points, that of 50 by less than half a point.
SEEDS  ?= 50
# With `update` the bounds become what is measured, see bench/ceilings.
BOUNDS ?= check
$(call one_of,BOUNDS,check update)

WIDTH       := $(if $(filter -m32,$(ARCH)),32,64)
SPACE_TAG   := $(WIDTH)-$(HEADER_BYTES)
SPACE_HEAPS := ^$(WIDTH)-bit[.]dmheap$(filter 8,$(HEADER_BYTES))[-.]

# It looks into the library's layers.
$(B)/bench/control.o: bench/control.c GNUmakefile bench/figures.mk
	$(call compile,-O2 $(SETTINGS) $(call port_define,ports/bare/dmheap_port.h) -Isrc)

$(B)/bench/memory: $(B)/bench/control.o

$(B)/bench/memory $(B)/bench/fragmentation: $(B)/bench/%: $(B)/bench/%.o $(B)/bench/space.o \
        $(B)/bench/plugin.o $(B)/bench/dmheap.o $(B)/bench/core.o
	$(call say,LINK)
	$(Q)$(CC) $(ARCH) $(CFLAGS) $(LDFLAGS) -o $@ $^ -ldl

memory_HAS        := (payload|kept|smallest|context|map)
fragmentation_HAS := fragmentation

# A run that fails leaves the figures of the one before.
memory fragmentation: FIGURES = $(BENCH_OUT)/$@-$(SPACE_TAG)
memory fragmentation: %: $(B)/bench/% | $(BENCH_OUT)
	timeout 600 $< $(addprefix --plugin ,$(PEERS)) --json $(FIGURES).json.new \
	    --values $(FIGURES).values.new $(if $(filter fragmentation,$@),--seeds $(SEEDS))
	@mv $(FIGURES).json.new $(FIGURES).json; mv $(FIGURES).values.new $(FIGURES).values
	$(call bounds,$(BOUNDS),'$(SPACE_HEAPS).*$($@_HAS)' $(FIGURES).values)

.PHONY: memory fragmentation

# ---- code size and stack ---------------------------------------------------------
#
# `make size`: what stays of the library in a firmware that uses it, by target: `nine` with the nine
# functions and without logs, `dmod` with DMOD's memory interface and a log, `ctx` with all of
# dmheap_ctx.h besides, all -Os; `fast` the nine functions with -O2, as whatever counts or times
# compiles them.

cortex-m0_SIZE := arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb
cortex-m3_SIZE := arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb
rv32imac_SIZE  := riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 --specs=picolibc.specs
nine_SIZE      := -Os -DSIZE_USES=0 $(call port_define,ports/bare/dmheap_port.h)
dmod_SIZE      := -Os -DSIZE_USES=1 $(call port_define,bench/size_port.h)
ctx_SIZE       := -Os -DSIZE_USES=2 $(call port_define,bench/size_port.h)
fast_SIZE      := -O2 -DSIZE_USES=0 $(call port_define,ports/bare/dmheap_port.h)
SIZE_TARGETS   := cortex-m0 cortex-m3 rv32imac
SIZE_DIR       := $(BENCH_OUT)/size-$(HEADER_BYTES)
SIZE_FOLDERS   := $(foreach t,$(SIZE_TARGETS),$(addprefix $(SIZE_DIR)/$t.,nine dmod ctx fast))
SIZE_FLAGS     := -std=c99 $(WARNINGS) -ffreestanding -ffunction-sections -fdata-sections \
                  -fcallgraph-info=su -Iinclude -Istandin $(SETTINGS)

# The entry is all that a linker has to begin with; the log is the firmware's, and so left open.
$(SIZE_FOLDERS): FORCE
	@mkdir -p $@
	$(Q)$($(basename $(@F))_SIZE) --version | head -n 1 >$@/compiler
	$(Q)set -e; for file in src/dmheap.c bench/size.c; do \
	    $($(basename $(@F))_SIZE) $(SIZE_FLAGS) $($(patsubst .%,%,$(suffix $(@F)))_SIZE) \
	        -c -o $@/$$(basename $$file .c).o $$file; \
	done
	$(Q)$($(basename $(@F))_SIZE) -nostartfiles -Wl,--gc-sections,--entry=main \
	    -Wl,--defsym=size_log=0,-Map=$@/firmware.map -o $@/firmware.elf $@/size.o $@/dmheap.o

size: $(SIZE_FOLDERS)
	@python3 bench/size.py --suffix '$(filter 8,$(HEADER_BYTES))' --json $(SIZE_DIR).json \
	    --values $(SIZE_DIR).values $^
	$(call bounds,$(BOUNDS),'^firmware[.].*[.]dmheap$(filter 8,$(HEADER_BYTES))[.]' \
	    $(SIZE_DIR).values)

.PHONY: size

# ---- the page of all figures -----------------------------------------------------
#
# `make figures` writes PAGE, and its picture beside it, from whatever was measured so far. `make
# measure` measures all of it first, and writes docs/PERFORMANCE.md: PEERS are plug-ins for the
# host, PEERS_32 the same for -m32, PEER as for `make bench-target`; the first of PEERS and of PEER is
# tlsf, else ratios of bench/targets count as not measured. ALONE=1 is for a page without.

PEERS_32 ?=
PEER     ?=
ALONE    ?= 0
PAGE     ?= $(BENCH_OUT)/PERFORMANCE.md
$(call one_of,ALONE,0 1)

figures: | $(BENCH_OUT)
	python3 bench/figures.py --measured $(BENCH_OUT) --targets bench/targets --page $(PAGE) \
	    --picture $(BENCH_OUT)/time-4.svg

MEASURE       := $(MAKE) --no-print-directory
MEASURE_LACKS := $(strip $(foreach v,PEERS PEERS_32 PEER,$(if $(strip $($v)),,$v)))
measure:
	@$(if $(filter 0,$(ALONE)),$(if $(MEASURE_LACKS),$(error make measure compares: name \
	    plug-ins with $(MEASURE_LACKS), or say ALONE=1)))
	rm -rf $(BENCH_OUT)
	+for bytes in 4 8; do \
	    $(MEASURE) HEADER_BYTES=$$bytes bench count memory fragmentation size && \
	    $(MEASURE) HEADER_BYTES=$$bytes ARCH=-m32 PEERS='$(PEERS_32)' memory fragmentation || exit; \
	done
	+$(MEASURE) bench-target figures PAGE=docs/PERFORMANCE.md

.PHONY: figures measure
