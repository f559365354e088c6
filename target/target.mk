# SPDX-License-Identifier: MIT
#
# Firmware images: the tests and the benchmark on emulated microcontrollers.
#
# One image for each board holds every program; the command line of a run names one of them.
# The programs come in groups, each linked with a dmheap of its own (its port, its assertions) and
# reduced to the entries of its programs, so that the groups know nothing of each other.

BOARDS ?= cortex-m3 cortex-m0 cortex-m4f rv32imac microbit
SRC    ?= src
PEER   ?=
PARTS  ?= layer ported held count

# ---- the boards ----------------------------------------------------------------

# CC, ARCH, LIBC: the compiler. QEMU: what runs it. BOARD, FILES, LINK: what of target/ is for it.
# An ARMv6-M program runs on an ARMv7-M core instruction by instruction as on a Cortex-M0, so
# the Cortex-M0 has the larger board for what does not fit into a micro:bit.
ARM_FILES       := target/arm/start.c target/arm/newlib.c
cortex-m0_CC    := arm-none-eabi-gcc
cortex-m0_ARCH  := -mcpu=cortex-m0 -mthumb
cortex-m0_QEMU  := qemu-system-arm -M mps2-an385
cortex-m0_FILES := $(ARM_FILES)
cortex-m0_LINK  := -T target/arm/mps2.ld
cortex-m0_BOARD := mps2
cortex-m0_PORT  := cortex_m

cortex-m3_CC    := arm-none-eabi-gcc
cortex-m3_ARCH  := -mcpu=cortex-m3 -mthumb
cortex-m3_QEMU  := qemu-system-arm -M mps2-an385
cortex-m3_FILES := $(cortex-m0_FILES)
cortex-m3_LINK  := $(cortex-m0_LINK)
cortex-m3_BOARD := mps2
cortex-m3_PORT  := cortex_m

cortex-m4f_CC    := arm-none-eabi-gcc
cortex-m4f_ARCH  := -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16
cortex-m4f_QEMU  := qemu-system-arm -M mps2-an386
cortex-m4f_FILES := $(cortex-m0_FILES)
cortex-m4f_LINK  := $(cortex-m0_LINK)
cortex-m4f_BOARD := mps2
cortex-m4f_PORT  := cortex_m

microbit_CC    := arm-none-eabi-gcc
microbit_ARCH  := -mcpu=cortex-m0 -mthumb
microbit_QEMU  := qemu-system-arm -M microbit
microbit_FILES := $(ARM_FILES)
microbit_LINK  := -T target/arm/microbit.ld
microbit_LIBC  := --specs=nano.specs
microbit_BOARD := microbit
microbit_PORT  := cortex_m

rv32imac_CC    := riscv64-unknown-elf-gcc
rv32imac_ARCH  := -march=rv32imac -mabi=ilp32 -misa-spec=2.2
rv32imac_QEMU  := qemu-system-riscv32 -M virt -bios none
rv32imac_FILES := target/riscv/start.c target/riscv/picolibc.c
rv32imac_LINK  := -T target/riscv/virt.ld
rv32imac_BOARD := virt
rv32imac_PORT  := riscv
rv32imac_LIBC  := --specs=picolibc.specs

$(if $(filter-out $(patsubst %_QEMU,%,$(filter %_QEMU,$(.VARIABLES))),$(BOARDS)),\
    $(error BOARDS=$(BOARDS): it is some of $(patsubst %_QEMU,%,$(filter %_QEMU,$(.VARIABLES)))))

# ---- the programs --------------------------------------------------------------

# Not for a device: pages that fault, and threads.
TARGET_LAYER_TESTS := $(filter-out test_constant,$(LAYER_TESTS))
TARGET_PORT_TESTS  := test_simple test_dmheap_unit test_dmheap_module
# What a micro:bit has room for.
microbit_LAYER_TESTS := test_bits test_block
microbit_PORT_TESTS  :=
microbit_HELD        := -DTEST_INTERRUPT_HEAP=6144

# $(call target_programs,board,LAYER or PORT)
target_programs = $(if $(filter undefined,$(origin $1_$2_TESTS)),$(TARGET_$2_TESTS),$($1_$2_TESTS))

# ---- flags ---------------------------------------------------------------------

TARGET_COMPILE := -std=c99 $(WARNINGS) -O2 -g -ffunction-sections -fdata-sections -MMD -MP \
                  -I$(SRC)/../include -I$(SRC)/../standin $(SETTINGS)
TARGET_PORT_FLAGS  := -DDMHEAP_PORT_PRINTF=printf -Itests
# Around the port of the board, the clock.
target_held_flags = -I. -DTARGET_PORT_HEADER='"ports/$($1_PORT)/dmheap_port.h"' \
    -DTARGET_BOARD_HEADER='"$($1_BOARD).h"' $($1_HELD)
# As it ships, with an empty lock.
TARGET_COUNT_FLAGS := $(call port_define,ports/bare/dmheap_port.h)
TARGET_LAYER_FLAGS := -DDMHEAP_ASSERTS=1 $(call port_define,tests/port/dmheap_port.h) \
                      -I$(SRC) -Itests -Itarget

TARGET_CONFIGURATION := $(TARGET_COMPILE) $(CFLAGS) $(PEER) $(PARTS) \
    $(foreach b,$(BOARDS),$b $($b_CC) $($b_ARCH) $($b_LIBC) $($b_LINK) $($b_BOARD) $($b_PORT) $($b_HELD))
TB := build/target/$(firstword $(shell printf '%s' '$(subst ','\'',$(TARGET_CONFIGURATION))' | cksum))

# ---- an image ------------------------------------------------------------------

# $(call target_compile,board,flags): the recipe of an object
define target_compile
$(call say,CC  )
@mkdir -p $(@D)
$(Q)$($1_CC) $($1_ARCH) $($1_LIBC) $(TARGET_COMPILE) $2 $(CFLAGS) -c -o $@ $<
endef

# $(call target_program,board,flags): the same, of a program; its main takes the program's name
define target_program
$(call target_compile,$1,$2)
$(Q)$(call target_objcopy,$1) --redefine-sym main=$(basename $(@F))_main $@
endef
target_objcopy = $(subst -gcc,-objcopy,$(firstword $($1_CC)))

# $(call target_join,board): the recipe of a group, from its objects
define target_join
$(call say,JOIN)
$(Q)$($1_CC) $($1_ARCH) -r -nostdlib -o $@ $(filter %.o %.a,$^)
$(Q)$(call target_objcopy,$1) --wildcard --keep-global-symbol='*_main' $@
endef

# $(call target_peer_rule,board,file): another allocator, reduced to its plug-in's structure
define target_peer_rule
$(TB)/$1/peer/$(basename $(notdir $2)).o: $2 target/target.mk
	$$(call say,PEER)
	@mkdir -p $$(@D)
	$$(Q)$($1_CC) $($1_ARCH) -r -nostdlib -o $$@ $$<
	$$(Q)$$(call target_objcopy,$1) --keep-global-symbol=peer_$(basename $(notdir $2)) \
	    --redefine-sym bench_allocator=peer_$(basename $(notdir $2)) $$@
endef

# $(call target_rules,board): all rules of a board
define target_rules
$1_DIR      := $(TB)/$1
$1_LAYER    := $(call target_programs,$1,LAYER)
$1_PORTED   := $(call target_programs,$1,PORT)
$1_COUNT    := $$(if $$(filter microbit,$1),,count)
$1_GROUPS   := $$(filter $(PARTS),$$(if $$($1_LAYER),layer) $$(if $$($1_PORTED),ported) held \
    $$($1_COUNT))
$1_PROGRAMS := $$(if $$(filter layer,$$($1_GROUPS)),$$($1_LAYER)) \
    $$(if $$(filter ported,$$($1_GROUPS)),$$($1_PORTED)) $$(if $$(filter held,$$($1_GROUPS)),test_interrupt) \
    $$(filter count,$$($1_GROUPS))
$1_PEERS    := $$(if $$($1_COUNT),$(subst %,$1,$(PEER)))

$(TB)/$1/layer/%.o: tests/%.c GNUmakefile target/target.mk
	$$(call target_program,$1,$(TARGET_LAYER_FLAGS))
$(TB)/$1/layer/dmheap.o: $(SRC)/dmheap.c GNUmakefile target/target.mk
	$$(call target_compile,$1,$(TARGET_LAYER_FLAGS))
$(TB)/$1/layer/test_port.o: tests/port/test_port.c GNUmakefile target/target.mk
	$$(call target_compile,$1,$(TARGET_LAYER_FLAGS))
$(TB)/$1/layer.o: $$(patsubst %,$(TB)/$1/layer/%.o,$$($1_LAYER) dmheap test_port)
	$$(call target_join,$1)

$(TB)/$1/ported/%.o: tests/%.c GNUmakefile target/target.mk
	$$(call target_program,$1,$(TARGET_PORT_FLAGS))
$(TB)/$1/ported/dmheap.o: $(SRC)/dmheap.c GNUmakefile target/target.mk
	$$(call target_compile,$1,$(TARGET_PORT_FLAGS) \
	    $(call port_define,ports/$($1_PORT)/dmheap_port.h))
$(TB)/$1/ported.o: $$(patsubst %,$(TB)/$1/ported/%.o,$$($1_PORTED) dmheap)
	$$(call target_join,$1)

$(TB)/$1/held/dmheap.o: $(SRC)/dmheap.c GNUmakefile target/target.mk
	$$(call target_compile,$1,$(call target_held_flags,$1) -DDMHEAP_PORT_HEADER='"target/port/dmheap_port.h"')
$(TB)/$1/held/%.o: target/%.c GNUmakefile target/target.mk
	$$(call target_compile,$1,$(call target_held_flags,$1) -Itests)
$(TB)/$1/held.o: $$(patsubst %,$(TB)/$1/held/%.o,test_interrupt hold dmheap)
	$$(call target_join,$1)

$(TB)/$1/count/%.o: bench/%.c GNUmakefile target/target.mk
	$$(call target_compile,$1)
$(TB)/$1/count/dmheap.o: $(SRC)/dmheap.c GNUmakefile target/target.mk
	$$(call target_compile,$1,$(TARGET_COUNT_FLAGS))
$(TB)/$1/count/variants.o: bench/dmheap.c GNUmakefile target/target.mk
	$$(call target_compile,$1)
$(TB)/$1/count/count.o: target/count.c GNUmakefile target/target.mk
	$$(call target_compile,$1,-DTARGET_BOARD_HEADER='"$($1_BOARD).h"' \
	    '-DPEERS=$$(patsubst %,PEER(%),$$(basename $$(notdir $$($1_PEERS))))')
$(TB)/$1/count.o: $$(patsubst %,$(TB)/$1/count/%.o,count dmheap variants workload) \
        $$(patsubst %,$(TB)/$1/peer/%.o,$$(basename $$(notdir $$($1_PEERS))))
	$$(call target_join,$1)

$(TB)/$1/base/%.o: target/%.c GNUmakefile target/target.mk
	$$(call target_compile,$1,'-DPROGRAMS=$$(patsubst %,PROGRAM(%),$$($1_PROGRAMS) self_test)' \
	    -DTARGET_BOARD_HEADER='"$($1_BOARD).h"' \
	    -DTARGET_NAME='"$1"')
$(TB)/$1/base/%.o: target/%.S GNUmakefile target/target.mk
	$$(call target_compile,$1)

$(TB)/$1/firmware.elf: $$(patsubst target/%,$(TB)/$1/base/%.o,\
        $$(basename target/firmware.c target/semihost.c target/self_test.c target/figure.c \
        target/$($1_BOARD).c $($1_FILES))) \
        $$(patsubst %,$(TB)/$1/%.o,$$($1_GROUPS)) $(wildcard target/*/*.ld)
	$$(call say,LINK)
	$$(Q)$($1_CC) $($1_ARCH) $($1_LIBC) -nostartfiles -Wl,--gc-sections $($1_LINK) -o $$@ $$(filter %.o,$$^)

test-target-$1: $(TB)/$1/firmware.elf
	@echo "$1:"; $$(call target_run_all,$1,self_test $$(filter-out count,$$($1_PROGRAMS)))
endef

# ---- running -------------------------------------------------------------------

# $(call target_run,board,program and arguments): one fresh start of the emulated machine
target_comma := ,
target_empty :=
target_run = timeout 120 $($1_QEMU) -display none -serial none -monitor none \
    -chardev stdio,id=out -icount shift=10$(target_comma)sleep=off \
    -semihosting-config enable=on$(target_comma)target=native$(target_comma)chardev=out$(target_comma)arg=$2 \
    -kernel $(TB)/$1/firmware.elf </dev/null

# $(call target_run_all,board,programs): each of them, as `make test` does
define target_run_all
passed=0; failed=0; \
for program in $2; do \
    if $(call target_run,$1,$$program) >$(TB)/$1/$$program.log 2>&1; then \
        echo "PASS $$program"; passed=$$((passed + 1)); \
    else \
        echo "FAIL $$program, exit status $$?:"; tail -n 40 $(TB)/$1/$$program.log; \
        failed=$$((failed + 1)); \
    fi; \
done; \
echo "$1: $$passed passed, $$failed failed"; test $$failed -eq 0
endef

# $(call bench_rules,board): count twice, compare, and keep the figures
define bench_rules
bench-target-$1: $(TB)/$1/firmware.elf
	@mkdir -p build/bench-target
	@$$(call target_run,$1,count) >$(TB)/$1/count.1.json && \
	    $$(call target_run,$1,count) >$(TB)/$1/count.2.json || { cat $(TB)/$1/count.?.json; exit 1; }
	@cmp $(TB)/$1/count.1.json $(TB)/$1/count.2.json
	@cp $(TB)/$1/count.1.json build/bench-target/$1.json
endef

$(foreach board,$(BOARDS),$(eval $(call target_rules,$(board))))
$(foreach board,$(BOARDS),$(foreach peer,$($(board)_PEERS),\
    $(eval $(call target_peer_rule,$(board),$(peer)))))

BENCH_BOARDS := $(filter-out microbit,$(BOARDS))
$(foreach board,$(BENCH_BOARDS),$(eval $(call bench_rules,$(board))))

bench-target: $(addprefix bench-target-,$(BENCH_BOARDS))
	@python3 target/table.py $(patsubst %,build/bench-target/%.json,$(BENCH_BOARDS))

test-target: $(addprefix test-target-,$(BOARDS))

.PHONY: test-target $(addprefix test-target-,$(BOARDS))
-include $(wildcard $(TB)/*/*/*.d $(TB)/*/*/*/*.d)
