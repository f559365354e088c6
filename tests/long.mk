# SPDX-License-Identifier: MIT
#
# Tests that take minutes, each a target; docs/TESTING.md has what they found. All of them go on
# from what `make test` runs in seconds.

LENGTH ?= 6
TIME   ?= 60
FUZZ   := build/fuzz

ALL_SETTINGS := ACCOUNTING=1 SEQUENCE=1 CANARY=1 POISON=1 GUARD=1

# Those that take longest begin first.
LONG := cells exhaustive mutants-share coverage big-endian corruption random real-programs \
        fuzz-settings fuzz-afl test-and-tsan model misra

# By one make, for both compile the same.
test-and-tsan:
	@$(MAKE) --no-print-directory test tsan

# Two at a time, unless make is told otherwise; all of them, whatever fails.
test-all: timed-parts

parts:
	+@$(MAKE) --no-print-directory -k -O $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j2) \
	    $(addprefix timed-,$(LONG))

timed-parts $(addprefix timed-,$(LONG)): timed-%:
	+@begin=$$(date +%s); result=passed; \
	$(MAKE) --no-print-directory $* || result=FAILED; \
	echo "---- $*: $$result, $$(($$(date +%s) - begin)) s"; test $$result = passed

# ---- cells -----------------------------------------------------------------------

STRENGTH ?= 2

cells:
	+@tests/cells.py --strength $(STRENGTH) --only "$(ONLY)"

# ---- the other byte order ----------------------------------------------------------

# With either header width. An emulator and the address sanitizer do not go together.
BIG_ENDIAN := CC=s390x-linux-gnu-gcc-12 SANITIZE=undefined LDFLAGS=-static-libubsan EMULATOR=qemu-s390x

big-endian: big-endian-4 big-endian-8

big-endian-4 big-endian-8: big-endian-%:
	@$(MAKE) --no-print-directory $(BIG_ENDIAN) HEADER_BYTES=$* test

# ---- rules -------------------------------------------------------------------------

misra:
	tests/misra.sh

# ---- every sequence of operations ------------------------------------------------

# Two at a time, one of each width, with make -j2.
exhaustive: exhaustive-4 exhaustive-8

exhaustive-4 exhaustive-8: exhaustive-%: need-cmocka
	@test $(LENGTH) -ge 3 || { echo 'LENGTH is 3 at least'; exit 1; }
	@$(MAKE) --no-print-directory CFLAGS=-O2 SANITIZE= HEADER_BYTES=$* play-exhaustive

# One operation more takes ten times as long, so not every case has LENGTH; that with a size of each
# class, of many, has one less in the program.
play-exhaustive: $(T)/test_exhaustive
	$< $(LENGTH) '*apart'
	$< $$(($(LENGTH) - 1)) '*one_hint*'
	$< $$(($(LENGTH) - 1)) '*several*'
	$< $$(($(LENGTH) - 1)) '*each*'

# ---- random operations -----------------------------------------------------------

# With all that there is to be proven after each of them; SEED=number repeats a run.
STEPS ?= 10000000
SEED  ?= $(shell date +%s)

random:
	@$(MAKE) --no-print-directory CFLAGS=-O2 SANITIZE= $(ALL_SETTINGS) play-random

play-random: $(T)/test_model
	$< $(SEED) $(STEPS)

# ---- each bit flipped --------------------------------------------------------------

# And each word written over. As the library ships, so without assertions, and where it follows
# nothing that it has not proven; each with accounts, which are in the context, too; and with 8-byte
# headers, whose offsets lead anywhere. For 32 bit the buffer has no 4 GiB around it: fatal is what the
# address sanitizer sees, or in qemu-user, which does not run it, a fault or a write beside the buffer.
# With canaries the check has to find each bit of live headers and behind payloads. What is found and
# told is always the same, and has to be what tests/corruption.expected says: the figures that these
# leave in their folders, one build after the other. In a context that is trusted, what is told depends
# on what lies beside the buffer, and does not count.
CORRUPTED := shipped guarded accounts guarded-accounts eight guarded-eight guarded-device canaries
corrupted-shipped:          SETTINGS_CORRUPTED := HEADER_BYTES=4 ACCOUNTING=0 GUARD=0
corrupted-guarded:          SETTINGS_CORRUPTED := HEADER_BYTES=4 ACCOUNTING=0 GUARD=1
corrupted-accounts:         SETTINGS_CORRUPTED := HEADER_BYTES=4 ACCOUNTING=1 GUARD=0
corrupted-guarded-accounts: SETTINGS_CORRUPTED := HEADER_BYTES=4 ACCOUNTING=1 GUARD=1
corrupted-eight:            SETTINGS_CORRUPTED := HEADER_BYTES=8 ACCOUNTING=0 GUARD=0
corrupted-guarded-eight:    SETTINGS_CORRUPTED := HEADER_BYTES=8 ACCOUNTING=0 GUARD=1
corrupted-guarded-device:   SETTINGS_CORRUPTED = ARCH=-m32 HEADER_BYTES=4 ACCOUNTING=0 GUARD=1 \
                                                 $(if $(RUN_BY_QEMU),SANITIZE=undefined)
corrupted-canaries:         SETTINGS_CORRUPTED := HEADER_BYTES=4 ACCOUNTING=0 GUARD=0 CANARY=1

corruption: $(addprefix corrupted-,$(CORRUPTED))

$(addprefix corrupted-,$(CORRUPTED)):
	@$(MAKE) --no-print-directory LAYER_ASSERTS=0 $(SETTINGS_CORRUPTED) play-corruption

CORRUPTED_BUILD := $(strip $(ARCH) HEADER_BYTES=$(HEADER_BYTES) $(CHANGED))
CORRUPTED_SURE  := $(if $(filter 0,$(GUARD)),/^context\|^as far as/s/. told.*//)

play-corruption: $(T)/test_corruption $(T)/test_damage
	@echo "-- $(CORRUPTED_BUILD)"
	$< all >$(T)/test_corruption.log; status=$$?; cat $(T)/test_corruption.log; exit $$status
	@sed -n '/ tries, /{$(CORRUPTED_SURE);s/^/$(CORRUPTED_BUILD): /;p}' \
	    $(T)/test_corruption.log >$(T)/corruption.figures
	$(T)/test_damage all >$(T)/test_damage.log || { tail -n 20 $(T)/test_damage.log; exit 1; }
	@test -s $(T)/corruption.figures
	@if grep -e '^$(CORRUPTED_BUILD): ' tests/corruption.expected >$(T)/corruption.expected; then \
	    diff $(T)/corruption.expected $(T)/corruption.figures && \
	        echo "as in tests/corruption.expected"; \
	else echo "tests/corruption.expected does not have this build"; fi

# ---- fuzzing -------------------------------------------------------------------------

# What they find is added to build/fuzz; `make fuzz-corpus` keeps the least that reaches as much.
FUZZ_FLAGS = -std=c99 -O2 -g $(WARNINGS) -Iinclude -Istandin
FUZZ_TOLD  = -fsanitize=address,undefined -fno-sanitize-recover=all
fuzz_operations_FLAGS   = $(LAYER_FLAGS)
fuzz_operations_SOURCES = tests/fuzz/fuzz_operations.c
fuzz_image_FLAGS        = $(TOOL_FLAGS)
fuzz_image_SOURCES      = tests/fuzz/fuzz_image.c $(patsubst %,tools/%.c,$(INSPECT_PARTS))

# The library of these settings, and what tests have around it, for both.
FUZZ_LIBRARY := dmheap.o $(AROUND)

# A call that hangs is found as a crash is: libFuzzer ends after so many seconds with one input,
# of which each takes milliseconds. AFL++ measures how long is too long.
FUZZ_TIMEOUT := 10

# Inputs are no longer than what they are about: a program of operations, a heap of some blocks.
fuzz_operations_LONGEST := 600
fuzz_image_LONGEST      := 2600

$(addprefix $(FUZZ)/libfuzzer/,$(FUZZ_LIBRARY)): $(FUZZ)/libfuzzer/%.o: %.c FORCE
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) $(LAYER_FLAGS) $(FUZZ_TOLD) -fsanitize=fuzzer-no-link -c -o $@ $<

$(addprefix $(FUZZ)/libfuzzer/,$(FUZZERS)): $(FUZZ)/libfuzzer/%: \
        $(addprefix $(FUZZ)/libfuzzer/,$(FUZZ_LIBRARY))
	clang $(FUZZ_FLAGS) $($*_FLAGS) $(FUZZ_TOLD) -fsanitize=fuzzer -o $@ $($*_SOURCES) $^

$(addprefix $(FUZZ)/afl/,$(FUZZ_LIBRARY)): $(FUZZ)/afl/%.o: %.c FORCE
	@mkdir -p $(@D)
	AFL_USE_ASAN=1 afl-clang-fast $(FUZZ_FLAGS) $(LAYER_FLAGS) -c -o $@ $<

$(addprefix $(FUZZ)/afl/,$(FUZZERS)): $(FUZZ)/afl/%: $(addprefix $(FUZZ)/afl/,$(FUZZ_LIBRARY))
	AFL_USE_ASAN=1 afl-clang-fast $(FUZZ_FLAGS) $($*_FLAGS) -o $@ $($*_SOURCES) \
	    tests/fuzz/fuzz_files.c $^

fuzz: $(addprefix $(FUZZ)/libfuzzer/,$(FUZZERS))
	@for fuzzer in $(FUZZERS); do \
	    mkdir -p $(FUZZ)/$$fuzzer; \
	    case $$fuzzer in *operations) longest=$(fuzz_operations_LONGEST);; \
	        *) longest=$(fuzz_image_LONGEST);; esac; \
	    $(FUZZ)/libfuzzer/$$fuzzer -max_total_time=$(TIME) -max_len=$$longest -verbosity=0 \
	        -timeout=$(FUZZ_TIMEOUT) -print_final_stats=1 -artifact_prefix=$(FUZZ)/ \
	        $(FUZZ)/$$fuzzer tests/fuzz/$${fuzzer#fuzz_} || exit 1; \
	done

# Once more with the calls that only such a library has, and where each call proves what it follows.
# Not beside the other one, for both build the same programs.
fuzz-settings: fuzz
	@$(MAKE) --no-print-directory ACCOUNTING=1 SEQUENCE=1 GUARD=1 fuzz

# AFL++ does not start where an older run left what it found.
fuzz-afl: $(addprefix $(FUZZ)/afl/,$(FUZZERS))
	@for fuzzer in $(FUZZERS); do \
	    rm -rf $(FUZZ)/afl/found-$$fuzzer; \
	    AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_UI=1 \
	        afl-fuzz -V $(TIME) -i tests/fuzz/$${fuzzer#fuzz_} -o $(FUZZ)/afl/found-$$fuzzer \
	        -- $(FUZZ)/afl/$$fuzzer @@ >$(FUZZ)/afl/$$fuzzer.log || exit 1; \
	    grep -E '^(execs_done|corpus_count|saved_crashes|saved_hangs)' \
	        $(FUZZ)/afl/found-$$fuzzer/default/fuzzer_stats; \
	    for found in saved_crashes saved_hangs; do \
	        grep -q "^$$found *: 0$$" $(FUZZ)/afl/found-$$fuzzer/default/fuzzer_stats || exit 1; \
	    done; \
	done

fuzz-corpus: $(addprefix $(FUZZ)/libfuzzer/,$(FUZZERS))
	@for fuzzer in $(FUZZERS); do \
	    kept=tests/fuzz/$${fuzzer#fuzz_}; \
	    rm -rf $(FUZZ)/kept && mkdir -p $(FUZZ)/kept && \
	    $(FUZZ)/libfuzzer/$$fuzzer -merge=1 -use_counters=0 $(FUZZ)/kept $$kept \
	        $(FUZZ)/$$fuzzer 2>/dev/null && rm -rf $$kept && mv $(FUZZ)/kept $$kept || exit 1; \
	done

# ---- coverage --------------------------------------------------------------------------

# The builds that together compile all of src/, neither optimized nor inlined, so that each branch
# of the source is one of the program's. Those inside of an assertion do not count: a part of a
# condition that never fails has a branch that nothing takes.
COVERAGE       := build/coverage
COVERAGE_FLAGS := -O0 --coverage -Dalways_inline= -Dflatten=

COVERED := shipped eight portable small all all-eight
covered-shipped:   SETTINGS_COVERED :=
covered-eight:     SETTINGS_COVERED := HEADER_BYTES=8
covered-portable:  SETTINGS_COVERED := ARCH=-m32 HEADER_BYTES=8 NO_INTRINSICS=1 ACCOUNTING=1
covered-small:     SETTINGS_COVERED := ACCOUNTING=1
covered-small:     COVERAGE_FLAGS += -D__OPTIMIZE_SIZE__
covered-all:       SETTINGS_COVERED := $(ALL_SETTINGS)
covered-all-eight: SETTINGS_COVERED := HEADER_BYTES=8 $(ALL_SETTINGS) ACCOUNTING=0

coverage: $(addprefix covered-,$(COVERED))
	@tests/coverage.py tests/coverage.txt $(COVERAGE)/*.json

# Threads count at once.
ifneq ($(TRACE),)
$(T)/posix/%.o: override CFLAGS += -fprofile-update=atomic
endif

# What programs reach adds up from run to run, so the count begins anew.
$(addprefix covered-,$(COVERED)): covered-%:
	@rm -f $(COVERAGE)/$*-*.json
	@for step in forget-trace trace; do \
	    $(MAKE) --no-print-directory SANITIZE= $(SETTINGS_COVERED) LDFLAGS=--coverage \
	        CFLAGS="$(COVERAGE_FLAGS)" TRACE=$(COVERAGE)/$* $$step || exit 1; \
	done

forget-trace:
	@if test -d $(B); then find $(B) -name '*.gcda' -delete; fi

# Users, layers and tools have different settings, so each kind has a file of its own; gcov writes to
# the root, for one build at a time. A seed that is always the same: a fresh one may reach more, and
# another one less.
trace: export TEST_SEED := 1
trace: need-cmocka $(PROGRAMS:=.result)
	@$(call count,$(PROGRAMS:=.result))
	@mkdir -p $(dir $(TRACE))
	@for kind in posix layer tool; do \
	    flock $(dir $(TRACE)) gcovr --root . --filter src/ \
	        --exclude-branches-by-pattern '.*DMHEAP_ASSERT[(].*' --json $(TRACE)-$$kind.json $(T)/$$kind || exit 1; \
	done

# ---- mutants ----------------------------------------------------------------------------

# Every SHARE-th of them.
SHARE ?= 1

mutants: need-cmocka
	tests/mutate.py --share $(SHARE)

# A share for every day.
mutants-share:
	@$(MAKE) --no-print-directory mutants SHARE=60

# ---- the model of threads ---------------------------------------------------------------

model:
	tests/spin/run.sh

# ---- real programs -----------------------------------------------------------------------

# In place of malloc there may be hundreds of libraries, and more memory than 16 MiB.
preload:
	@$(MAKE) --no-print-directory HEADER_BYTES=8 ACCOUNTING=1 \
	    DMHEAP_DONT_IMPLEMENT_DMOD_API=ON libdmheap-preload.so

$(B)/preload/%.o: %.c GNUmakefile tests/long.mk
	$(call compile,-O2 -g -fPIC -fvisibility=hidden $(SETTINGS) -DDMHEAP_ASSERTS=$(ASSERTS) \
	    $(call port_define,tests/preload/dmheap_port.h))

# Nothing is bound late, for that allocates; and it is started before all other libraries.
$(B)/libdmheap-preload.so: $(B)/preload/dmheap.o $(B)/preload/preload.o
	$(call say,LINK)
	$(Q)$(CC) $(ARCH) $(CFLAGS) $(LDFLAGS) -shared -Wl,-z,now -Wl,-z,initfirst -o $@ $^ -pthread

libdmheap-preload.so: $(B)/libdmheap-preload.so FORCE
	@cmp -s $< $@ || { echo "$@ <- $<"; cp $< $@; }

-include $(wildcard $(B)/preload/*.d)

real-programs:
	tests/preload/run.sh $(ONLY)

.PHONY: test-all test-and-tsan parts timed-parts $(addprefix timed-,$(LONG)) cells big-endian big-endian-4 \
        big-endian-8 misra exhaustive exhaustive-4 exhaustive-8 play-exhaustive random play-random \
        corruption $(addprefix corrupted-,$(CORRUPTED)) play-corruption fuzz fuzz-settings fuzz-afl \
        fuzz-corpus coverage $(addprefix covered-,$(COVERED)) forget-trace trace mutants \
        mutants-share model preload real-programs
