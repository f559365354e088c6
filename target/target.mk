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

BOARDS ?= cortex-m3 rv32imac cortex-m0 cortex-m4f microbit
PARTS  ?= layers ported held count
SRC    ?= src
PEER   ?=
RUN    ?=

# ---- the boards ----------------------------------------------------------------

# CC, ARCH, LIBC: the compiler. QEMU: what runs it. BOARD, CORE, SCRIPT: what of target/ is for it.
# PORT: which is tested. MIB: memory for the tests. SMALL: what they do with less.
# The code of a Cortex-M0 runs on a Cortex-M3 as it is, instruction by instruction. So cortex-m0 is
# its code on the larger board; microbit is a machine with that core, and with little memory.
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
microbit_SMALL  := -DLINES_MAX=4

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

KNOWN_BOARDS := cortex-m3 rv32imac cortex-m0 cortex-m4f microbit
$(if $(filter-out $(KNOWN_BOARDS),$(BOARDS)),\
    $(error BOARDS=$(BOARDS): there are $(KNOWN_BOARDS)))

# ---- the parts -----------------------------------------------------------------

# Not for a device: pages that fault, threads and processes; many megabytes or many minutes; a
# library within a test. All others on one core; elsewhere those that exercise the whole heap, and
# on a hart what tells of another word, another libc and another ABI.
NOT_FOR_DEVICES := test_constant test_corruption test_exhaustive test_misuse test_refusal
SOME_LAYERS     := test_bits test_damage test_model test_pointers test_slices

cortex-m3_layers  := $(filter-out $(NOT_FOR_DEVICES),$(LAYER_TESTS))
rv32imac_layers   := $(SOME_LAYERS) test_dmod test_header test_module test_record
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
               -I$(SRC) -Itests -Itarget -DTEST_MIB_MAX=$($1_MIB) $($1_SMALL)
ported_FLAGS = $(call port_define,ports/$($1_PORT)/dmheap_port.h) -Itests \
               -DDMHEAP_PORT_PRINTF=printf
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

# A folder for each part in each set of flags, and one for each set of parts: no change leaves a
# stale object, and none compiles what it does not concern.
target_hash = $(firstword $(shell printf '%s' '$(subst ','\'',$1)' | cksum))
target_folder = build/target/$1/$2-$(call target_hash,$($1_CC) $($1_ARCH) $($1_LIBC) \
    $(TARGET_COMPILE) $(CFLAGS) $(call $2_FLAGS,$1) $($1_$2) $(if $(filter count,$2),$(PEER)))
$(foreach b,$(BOARDS),$(foreach p,base $(PARTS),$(eval $b_$p_DIR := $(call target_folder,$b,$p))))
$(foreach b,$(BOARDS),$(eval $b_DIR := build/target/$b/image-$(call target_hash,\
    $($b_base_DIR) $(foreach p,$(PARTS),$($b_$p_DIR)))))

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
$($1_$2_DIR)/dmheap.o: $(SRC)/dmheap.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))

$($1_$2_DIR)/variants.o: bench/dmheap.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))

$($1_$2_DIR)/test_port.o: tests/port/test_port.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))

$($1_$2_DIR)/%.o: tests/%.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))
	$$(Q)$$(call objcopy_of,$1) --redefine-sym main=$$*_main $$@

$($1_$2_DIR)/%.o: target/%.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))

$($1_$2_DIR)/%.o: bench/%.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call $2_FLAGS,$1))

$($1_$2_DIR)/joined.o: $(patsubst %,$($1_$2_DIR)/%.o,$($1_$2) $($2_OBJECTS) dmheap)
	$$(call target_join,$1,*_main)
endef

# $(call peer_rules,board,file): another allocator, of which only the plug-in is left to be seen
define peer_rules
$($1_count_DIR)/peer-$(basename $(notdir $2)).o: $2 $(TARGET_MAKE)
	$$(call target_join,$1,bench_allocator)
	$$(Q)$$(call objcopy_of,$1) --redefine-sym bench_allocator=peer_$(basename $(notdir $2)) $$@

$($1_count_DIR)/joined.o: $($1_count_DIR)/peer-$(basename $(notdir $2)).o
endef

# $(call image_rules,board)
define image_rules
$($1_base_DIR)/%.o: target/%.c $(TARGET_MAKE)
	$$(call target_compile,$1,$(call base_FLAGS,$1))

$($1_DIR)/firmware.elf: $(wildcard target/*/*.ld) $(patsubst %,$($1_base_DIR)/%.o,\
        firmware semihost self_test figure $($1_BOARD) $($1_CORE)) \
        $(foreach part,$(call parts_of,$1),$($1_$(part)_DIR)/joined.o)
	$$(call say,LINK)
	@mkdir -p $$(@D)
	$$(Q)$($1_CC) $($1_ARCH) $($1_LIBC) -nostartfiles -Wl,--gc-sections -T $($1_SCRIPT) \
	    -o $$@ $$(filter %.o,$$^)

$(foreach part,$(call parts_of,$1),$(call part_rules,$1,$(part))$(TARGET_LINE))
$(foreach peer,$(if $($1_count),$(subst %,$1,$(PEER))),$(call peer_rules,$1,$(peer))$(TARGET_LINE))
endef

define TARGET_LINE


endef

$(foreach board,$(BOARDS),$(eval $(call image_rules,$(board))))

# ---- running -------------------------------------------------------------------

# Where figures go, by board and header width: with those of bench.mk, unless they are another
# dmheap's.
TARGET_OUT   := $(if $(filter src,$(SRC)),$(BENCH_OUT),build/bench-other)
BENCH_BOARDS := $(foreach b,$(BOARDS),$(if $($b_count),$b))
figures_of    = $(TARGET_OUT)/target-$1-$(HEADER_BYTES)

# $(call run_rules,board)
define run_rules
test-target-$1: $($1_DIR)/firmware.elf
	@target/run.sh test $$< '$($1_QEMU)' $(filter-out holds count,$(call programs_of,$1))

run-target-$1: $($1_DIR)/firmware.elf
	@target/run.sh one $$< '$($1_QEMU)' $(RUN)

$(call figures_of,$1).values: $($1_DIR)/firmware.elf target/results.py FORCE
	@mkdir -p $$(@D)
	@target/run.sh count $$< '$($1_QEMU)' $(filter holds count,$(call programs_of,$1))
	@target/results.py $$(<D)/counts --machine '$($1_QEMU)' --json $$(@:values=json) \
	    --compiler "$$$$($($1_CC) --version | head -n 1)" --values $$@
endef
$(foreach board,$(BOARDS),$(eval $(call run_rules,$(board))))

test-target: $(BOARDS:%=test-target-%)

run-target: $(BOARDS:%=run-target-%)

# Names as in bench.mk. Another dmheap, less than all counts, and wide headers have no ceilings.
TARGET_NAMES := ^($(subst $(space),|,$(strip $(BENCH_BOARDS))))[.]dmheap[-.]

bench-target: $(foreach board,$(BENCH_BOARDS),$(call figures_of,$(board)).values)
ifeq ($(SRC)$(filter held,$(PARTS))$(HEADER_BYTES),srcheld4)
	$(call bounds,check,'$(TARGET_NAMES)' $^)
endif

ceilings-target: $(foreach board,$(BENCH_BOARDS),$(call figures_of,$(board)).values)
	$(call bounds,update,'$(TARGET_NAMES)' $^)

.PHONY: test-target run-target bench-target ceilings-target
.PHONY: $(BOARDS:%=test-target-%) $(BOARDS:%=run-target-%)
-include $(foreach b,$(BOARDS),$(foreach p,base $(PARTS),\
    $(wildcard $($b_$p_DIR)/*.d $($b_$p_DIR)/*/*.d)))
