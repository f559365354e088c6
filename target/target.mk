# SPDX-License-Identifier: MIT
#
# Firmware: the tests and the benchmark on emulated microcontrollers.
#
#   make test-target                  the tests, on all boards
#   make bench-target                 exact counts of instructions, twice; table, JSON, ceilings
#   make ceilings-target              set the ceilings of these counts to what is counted now
#   make run-target BOARDS=cortex-m3 RUN="test_model 42"
#                                     one program, with arguments
#
#   BOARDS=...       some of them
#   PARTS=count      an image with the benchmark only
#   SRC=path/src     another dmheap
#   PEER=%/tlsf.o    other allocators, each an object with a plug-in as bench/allocator.h describes
#                    it and named by an identifier; % is the board
#
# One image for each board holds every program; the command line of a run names one of them.
# The programs come in parts, each linked with a dmheap of its own (its port, its assertions) and
# reduced to the entries of its programs, so that the parts know nothing of each other.

BOARDS ?= cortex-m3 cortex-m0 cortex-m4f rv32imac microbit
PARTS  ?= layers ported held count
SRC    ?= src
PEER   ?=
RUN    ?=

# ---- the boards ----------------------------------------------------------------

# CC, ARCH, LIBC: the compiler. QEMU: what runs it. BOARD, CORE, SCRIPT: what of target/ is for it.
# PORT: which is tested. MIB: memory for the tests.
# ARMv6-M is a part of ARMv7-M, and a Cortex-M3 takes the same instructions as a Cortex-M0 where
# the program is the same. So cortex-m0 has the larger board, for what a micro:bit has no room for.
cortex-m3_CC     := arm-none-eabi-gcc
cortex-m3_ARCH   := -mcpu=cortex-m3 -mthumb
cortex-m3_LIBC   :=
cortex-m3_QEMU   := qemu-system-arm -M mps2-an385
cortex-m3_BOARD  := mps2
cortex-m3_CORE   := arm/start arm/newlib
cortex-m3_SCRIPT := target/arm/mps2.ld
cortex-m3_PORT   := cortex_m
cortex-m3_MIB    := 3

cortex-m0_CC     := $(cortex-m3_CC)
cortex-m0_ARCH   := -mcpu=cortex-m0 -mthumb
cortex-m0_LIBC   :=
cortex-m0_QEMU   := $(cortex-m3_QEMU)
cortex-m0_BOARD  := $(cortex-m3_BOARD)
cortex-m0_CORE   := $(cortex-m3_CORE)
cortex-m0_SCRIPT := $(cortex-m3_SCRIPT)
cortex-m0_PORT   := $(cortex-m3_PORT)
cortex-m0_MIB    := $(cortex-m3_MIB)

cortex-m4f_CC     := $(cortex-m3_CC)
cortex-m4f_ARCH   := -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16
cortex-m4f_LIBC   :=
cortex-m4f_QEMU   := qemu-system-arm -M mps2-an386
cortex-m4f_BOARD  := $(cortex-m3_BOARD)
cortex-m4f_CORE   := $(cortex-m3_CORE)
cortex-m4f_SCRIPT := $(cortex-m3_SCRIPT)
cortex-m4f_PORT   := $(cortex-m3_PORT)
cortex-m4f_MIB    := $(cortex-m3_MIB)

microbit_CC     := $(cortex-m0_CC)
microbit_ARCH   := $(cortex-m0_ARCH)
microbit_LIBC   := --specs=nano.specs
microbit_QEMU   := qemu-system-arm -M microbit
microbit_BOARD  := microbit
microbit_CORE   := $(cortex-m3_CORE)
microbit_SCRIPT := target/arm/microbit.ld
microbit_PORT   := $(cortex-m3_PORT)
microbit_MIB    := 0

# The older specification, in which the compiler's own libraries are found and csr needs no name.
rv32imac_CC     := riscv64-unknown-elf-gcc
rv32imac_ARCH   := -march=rv32imac -mabi=ilp32 -misa-spec=2.2
rv32imac_LIBC   := --specs=picolibc.specs
rv32imac_QEMU   := qemu-system-riscv32 -M virt -bios none
rv32imac_BOARD  := virt
rv32imac_CORE   := riscv/start riscv/picolibc
rv32imac_SCRIPT := target/riscv/virt.ld
rv32imac_PORT   := riscv
rv32imac_MIB    := 80

KNOWN_BOARDS := cortex-m3 cortex-m0 cortex-m4f rv32imac microbit
$(if $(filter-out $(KNOWN_BOARDS),$(BOARDS)),\
    $(error BOARDS=$(BOARDS): there are $(KNOWN_BOARDS)))

# ---- the parts -----------------------------------------------------------------

# Not for a device: pages that fault, and threads. A Cortex-M3 and a RISC-V hart run all others;
# where instructions, not layers, are in question, the long ones suffice.
MOST_LAYERS := $(filter-out test_constant,$(LAYER_TESTS))
SOME_LAYERS := test_bits test_damage test_model test_pointers test_slices

cortex-m3_layers  := $(MOST_LAYERS)
rv32imac_layers   := $(MOST_LAYERS)
cortex-m0_layers  := $(SOME_LAYERS)
cortex-m4f_layers := $(SOME_LAYERS)
microbit_layers   := test_bits test_block

# With the port as a user has it, through the public header.
PORTED_TESTS      := test_simple test_dmheap_unit test_dmheap_module
cortex-m3_ported  := $(PORTED_TESTS)
rv32imac_ported   := $(PORTED_TESTS)
cortex-m0_ported  := $(PORTED_TESTS)
cortex-m4f_ported := $(PORTED_TESTS)
microbit_ported   :=

# With a port that notes how long the lock is held.
cortex-m3_held  := test_interrupt holds
rv32imac_held   := test_interrupt holds
cortex-m0_held  := test_interrupt holds
cortex-m4f_held := test_interrupt holds
microbit_held   := test_interrupt

# As it ships, with an empty lock.
cortex-m3_count  := count
rv32imac_count   := count
cortex-m0_count  := count
cortex-m4f_count := count
microbit_count   :=

# What belongs to a part besides its programs.
layers_OBJECTS := test_port
ported_OBJECTS :=
held_OBJECTS   := hold variants workload
count_OBJECTS  := variants workload

TARGET_COMPILE := -std=c99 $(WARNINGS) -O2 -g -ffunction-sections -fdata-sections -MMD -MP \
                  -I$(SRC)/../include -I$(SRC)/../standin $(SETTINGS)
# $(call layers_FLAGS,board) and so on
layers_FLAGS = -DDMHEAP_ASSERTS=1 $(call port_define,tests/port/dmheap_port.h) \
               -I$(SRC) -Itests -Itarget -DTEST_MIB_MAX=$($1_MIB)
ported_FLAGS = -DDMHEAP_PORT_PRINTF=printf $(call port_define,ports/$($1_PORT)/dmheap_port.h) -Itests
held_FLAGS   = $(call board_FLAGS,$1) $(call port_define,target/port/dmheap_port.h) -Itests \
               -DTARGET_PORT_HEADER='"ports/$($1_PORT)/dmheap_port.h"'
count_FLAGS  = $(call board_FLAGS,$1) $(call port_define,ports/bare/dmheap_port.h) \
               '-DPEERS=$(patsubst %,PEER(%),$(call peers_of,$1))'
base_FLAGS   = $(call board_FLAGS,$1) '-DPROGRAMS=$(patsubst %,PROGRAM(%),$(call programs_of,$1))'
board_FLAGS  = -DTARGET_NAME='"$1"' -DTARGET_BOARD_HEADER='"$($1_BOARD).h"' -Itarget

# $(call parts_of,board) and so on: what its image has
parts_of    = $(foreach part,$(PARTS),$(if $($1_$(part)),$(part)))
programs_of = self_test $(foreach part,$(PARTS),$($1_$(part)))
peers_of    = $(if $($1_count),$(basename $(notdir $(PEER))))

# ---- an image ------------------------------------------------------------------

TARGET_CONFIGURATION := $(TARGET_COMPILE) $(CFLAGS) $(PARTS) $(PEER) $(foreach b,$(BOARDS),\
    $b $($b_CC) $($b_ARCH) $($b_LIBC) $($b_QEMU) $(foreach p,$(PARTS),$(call $p_FLAGS,$b)))
TB := build/target/$(firstword $(shell printf '%s' '$(subst ','\'',$(TARGET_CONFIGURATION))' | cksum))

TARGET_MAKE := GNUmakefile target/target.mk

# $(call target_compile,board,flags): the recipe of an object
define target_compile
$(call say,CC  )
@mkdir -p $(@D)
$(Q)$($1_CC) $($1_ARCH) $($1_LIBC) $(TARGET_COMPILE) $2 $(CFLAGS) -c -o $@ $<
endef

# $(call target_join,board,symbols): the recipe of one object out of several, that shows only these
define target_join
$(call say,JOIN)
@mkdir -p $(@D)
$(Q)$($1_CC) $($1_ARCH) -r -nostdlib -o $@ $(filter %.o %.a,$^)
$(Q)$(call objcopy_of,$1) --wildcard --keep-global-symbol='$2' $@
endef
objcopy_of = $($1_CC:gcc=objcopy)

# $(call part_rules,board,part). The main of a program of tests/ takes the program's name.
define part_rules
$(TB)/$1/$2/dmheap.o: $(SRC)/dmheap.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))

$(TB)/$1/$2/variants.o: bench/dmheap.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))

$(TB)/$1/$2/test_port.o: tests/port/test_port.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))

$(TB)/$1/$2/%.o: tests/%.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))
	$$(Q)$$(call objcopy_of,$1) --redefine-sym main=$$*_main $$@

$(TB)/$1/$2/%.o: target/%.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))

$(TB)/$1/$2/%.o: bench/%.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))

$(TB)/$1/$2.o: $(patsubst %,$(TB)/$1/$2/%.o,$($1_$2) $($2_OBJECTS) dmheap)
	$$(call target_join,$1,*_main)
endef

# $(call peer_rules,board,file): another allocator, of which only the plug-in is left to be seen
define peer_rules
$(TB)/$1/peer/$(basename $(notdir $2)).o: $2 $(TARGET_MAKE)
	$$(call target_join,$1,bench_allocator)
	$$(Q)$$(call objcopy_of,$1) --redefine-sym bench_allocator=peer_$(basename $(notdir $2)) $$@

$(TB)/$1/count.o: $(TB)/$1/peer/$(basename $(notdir $2)).o
endef

# $(call image_rules,board)
define image_rules
$(TB)/$1/base/%.o: target/%.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call base_FLAGS,$1))

$(TB)/$1/firmware.elf: $(wildcard target/*/*.ld) $(patsubst %,$(TB)/$1/base/%.o,\
        firmware semihost self_test figure $($1_BOARD) $($1_CORE)) \
        $(patsubst %,$(TB)/$1/%.o,$(call parts_of,$1))
	$$(call say,LINK)
	$$(Q)$($1_CC) $($1_ARCH) $($1_LIBC) -nostartfiles -Wl,--gc-sections -T $($1_SCRIPT) \
	    -o $$@ $$(filter %.o,$$^)

$(foreach part,$(call parts_of,$1),$(call part_rules,$1,$(part))$(TARGET_LINE))
$(foreach peer,$(if $($1_count),$(subst %,$1,$(PEER))),$(call peer_rules,$1,$(peer))$(TARGET_LINE))
endef

define TARGET_LINE


endef

$(foreach board,$(BOARDS),$(eval $(call image_rules,$(board))))

# ---- running -------------------------------------------------------------------

# $(call run_image,board,how,program and arguments): one fresh start. With target_counted, each
# instruction takes 1024 ns of the machine's time; without, it is faster.
target_comma   := ,
target_space   := $(subst ,, )
target_counted := -icount shift=10,sleep=off
run_image = timeout 100 $($1_QEMU) -display none -serial none -monitor none $2 \
    -chardev stdio,id=out -semihosting-config \
    enable=on,target=native,chardev=out$(subst $(target_space)$(target_comma),$(target_comma),$(patsubst %,$(target_comma)arg=%,$3)) \
    -kernel $(TB)/$1/firmware.elf </dev/null

# The clock and interrupts are tested with counted instructions.
COUNTED_TESTS := self_test test_interrupt

# $(call test_image,board,how,programs): as `make test` does it
define test_image
for program in $3; do \
    if $(call run_image,$1,$2,$$program) >$(TB)/$1/$$program.log 2>&1; then \
        echo "PASS $1 $$program"; \
    else \
        echo "FAIL $1 $$program, exit status $$?:"; tail -n 40 $(TB)/$1/$$program.log; \
        touch $(TB)/$1/failed; \
    fi; \
done;
endef

test-target-%: $(TB)/%/firmware.elf
	@rm -f $(TB)/$*/failed; \
	$(call test_image,$*,$(target_counted),$(filter $(COUNTED_TESTS),$(call programs_of,$*))) \
	$(call test_image,$*,,$(filter-out $(COUNTED_TESTS) holds count,$(call programs_of,$*))) \
	grep -h '^longest' $(TB)/$*/test_interrupt.log | sed 's/^/     $* /'; \
	test ! -e $(TB)/$*/failed

test-target: $(addprefix test-target-,$(BOARDS))

run-target: $(addsuffix /firmware.elf,$(addprefix $(TB)/,$(BOARDS)))
	@$(foreach board,$(BOARDS),$(call run_image,$(board),$(target_counted),$(RUN)) &&) :

# ---- counting ------------------------------------------------------------------

BENCH_BOARDS := $(filter-out microbit,$(BOARDS))
TARGET_OUT   := build/bench/target
bench_counts  = $(filter count holds,$(call programs_of,$1))

# $(call bench_rules,board): twice, and both times the same
define bench_rules
$(TARGET_OUT)-$1-$(HEADER_BYTES).values: $(TB)/$1/firmware.elf target/results.py FORCE
	@mkdir -p $$(@D)
	@for run in 1 2; do \
	    { $(foreach program,$(call bench_counts,$1),\
	        $(call run_image,$1,$(target_counted),$(program)) &&) :; } \
	        >$(TB)/$1/counts.$$$$run || { cat $(TB)/$1/counts.$$$$run; exit 1; }; \
	done
	@cmp $(TB)/$1/counts.1 $(TB)/$1/counts.2
	@target/results.py $(TB)/$1/counts.1 --machine '$($1_QEMU)' --json $$(@:values=json) \
	    --compiler "$$$$($($1_CC) --version | head -n 1)" --values $$@
endef
$(foreach board,$(BENCH_BOARDS),$(eval $(call bench_rules,$(board))))

TARGET_VALUES := $(BENCH_BOARDS:%=$(TARGET_OUT)-%-$(HEADER_BYTES).values)
# As in bench.mk; another dmheap has no ceilings here.
TARGET_NAMES  := ^($(subst $(target_space),|,$(strip $(BENCH_BOARDS))))[.]dmheap$(filter 8,$(HEADER_BYTES))[-.]

bench-target: $(TARGET_VALUES)
ifeq ($(SRC)$(filter held,$(PARTS)),srcheld)
	@bench/ceilings.sh check '$(TARGET_NAMES)' $^
endif

ceilings-target: $(TARGET_VALUES)
	@bench/ceilings.sh update '$(TARGET_NAMES)' $^

.PHONY: test-target run-target bench-target ceilings-target
-include $(wildcard $(TB)/*/*.d $(TB)/*/*/*.d $(TB)/*/*/*/*.d)
