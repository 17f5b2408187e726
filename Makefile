# UltraBalancer's build, for GNU make. `make help` lists the targets; CONTRIBUTING and README say more.
#
#   make deps demo     install what is needed, build, and run the balancer before three demo backends
#   make deps check    the same, and run all the tests
#
# All that is built goes to objs/. Works in the source tree and in any directory where configure was run from.

srcdir := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
O := objs
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s%s\n' '$(1)' '$(2)';)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all unit-tests integration-tests check test-binaries check-includes demo bench microbench chaos fuzz check-fuzz check-tsan \
	check-reproducible coverage lint deps clean distclean autoconf help FORCE

ifneq ($(filter deps,$(MAKECMDGOALS)),)
# `make deps check`: what is needed comes first, and only then is configure run and the rest looked at, by all CPUs.
rest := $(filter-out deps,$(MAKECMDGOALS))
deps:
	$(srcdir)/build/install-deps
ifneq ($(rest),)
.PHONY: $(rest)
$(firstword $(rest)): deps
	+@$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$$(nproc)) -f $(firstword $(MAKEFILE_LIST)) $(rest)
$(wordlist 2,$(words $(rest)),$(rest)): $(firstword $(rest)) ; @:
endif
else

# These need no configuration.
ifneq ($(filter-out clean distclean autoconf help check-includes,$(or $(MAKECMDGOALS),all)),)
include $(O)/config.mk
endif

# configure is run when there is no configuration yet, and again, with the same options, when it has changed.
$(O)/config.mk: $(srcdir)/configure $(srcdir)/build/config.mk.in $(srcdir)/build/build_config.h.in
	$(Q)if [ -x config.status ]; then ./config.status --recheck && ./config.status; else $(srcdir)/configure; fi

# --- flags ---

# The last -O decides; _FORTIFY_SOURCE only works when optimising and stands in the sanitizers' way.
optimised := $(filter-out -O0,$(lastword $(filter -O%,$(CXXFLAGS))))
fortify := $(if $(optimised),$(if $(UB_SANITIZERS)$(findstring _FORTIFY_SOURCE,$(CPPFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3))
# GCC sees uninitialised values in the standard library where the sanitizers have rewritten it.
warnings := -Wall -Wextra -Wshadow -Wconversion $(UB_WERROR) $(if $(UB_SANITIZERS),-Wno-maybe-uninitialized)
includes := -I$(srcdir)/src -I$(O)
cppflags = $(includes) $(UB_LIB_CFLAGS) $(UB_DEFINES) $(fortify) $(CPPFLAGS)
# The same commit makes the same bytes wherever it is built. A debugger then looks for sources below where it was
# started; with --enable-debug the places stay.
maps := $(if $(optimised),-ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(srcdir)/=)
cxxflags = -std=c++20 $(maps) $(warnings) $(UB_HARDENING) $(UB_SANITIZE_FLAGS) $(UB_MODE_FLAGS) -pthread $(CXXFLAGS)
compile = $(CXX) $(cppflags) $(cxxflags)
# A test is compiled to be run once: not optimised and without the undefined-behaviour sanitizer in its own code, each of
# which halves its build. What helps tests (load, clients, backends) is optimised a little.
test_compile = $(CXX) $(includes) -I$(srcdir)/t $(UB_LIB_CFLAGS) $(UB_TEST_CFLAGS) $(UB_DEFINES) $(CPPFLAGS) $(cxxflags) -U_FORTIFY_SOURCE \
	-DUB_TEST_PREFIX $(if $(optimised),-O$(1) -g1) $(if $(findstring undefined,$(UB_SANITIZERS)),-fno-sanitize=undefined)
link = $(CXX) $(cxxflags) $(UB_HARDENING_LDFLAGS) $(LDFLAGS)
# No name of jemalloc's is called, so a linker that drops unused libraries must be told to keep it.
jemalloc = $(if $(strip $(JEMALLOC_LIBS)),-Wl$(comma)--push-state$(comma)--no-as-needed $(JEMALLOC_LIBS) -Wl$(comma)--pop-state)
comma := ,
libs = $(UB_LIB_LIBS) $(jemalloc) $(LIBS)

# --- sources ---

# While a layer is being changed: `make unit-tests LAYERS="core event"` builds and tests only these.
LAYERS := core event upstream http
objects = $(patsubst $(srcdir)/%.cc,$(1)/%.o,$(2))
lib_sources := $(sort $(foreach layer,$(LAYERS),$(wildcard $(srcdir)/src/$(layer)/*.cc)))
main_sources := $(wildcard $(srcdir)/src/main.cc) $(sort $(wildcard $(srcdir)/src/cli/*.cc))
support_sources := $(sort $(wildcard $(srcdir)/t/support/*.cc))
unit_layers := $(LAYERS) $(if $(filter http,$(LAYERS)),cli main)
unit_sources := $(sort $(wildcard $(srcdir)/t/unit/*.cc) \
	$(foreach layer,$(unit_layers),$(wildcard $(srcdir)/t/unit/$(layer)/*.cc)))
integration_sources := $(sort $(wildcard $(srcdir)/t/integration/*.cc))
bench_sources := $(sort $(wildcard $(srcdir)/t/bench/*.cc))
fuzz_sources := $(sort $(wildcard $(srcdir)/t/fuzz/*_fuzz.cc))

library := $(O)/libultrabalancer.a
# The binary's sources other than main() itself, so that unit tests can reach them.
cli_objects := $(call objects,$(O),$(filter-out %/main.cc,$(main_sources)))
binary := $(if $(filter %/main.cc,$(main_sources)),$(O)/ultrabalancer)
unit_binary := $(if $(unit_sources),$(O)/unit_tests)
integration_binary := $(if $(integration_sources),$(O)/integration_tests)
bench_binary := $(if $(bench_sources),$(O)/benchmarks)

all: $(library) $(binary)

# --- profile-guided optimisation (--enable-pgo): a build that counts, a run under load, then the program itself ---

P := $(O)/pgo
ifeq ($(UB_PGO),yes)
# A file's counts are known by its object's path below the build, which is the same in both builds.
profile := $(P)/trained
profile_place = -fprofile-prefix-path=$(abspath $(1)) -fprofile-dir=$(abspath $(P)/profile)
profile_count = $(call profile_place,$(P)) -fprofile-generate=$(abspath $(P)/profile) -DUB_COUNTS_RUNS
profile_use = $(call profile_place,$(O)) -fprofile-use=$(abspath $(P)/profile) -fprofile-partial-training -fprofile-correction -Wno-missing-profile -Wno-stringop-overflow
endif

# --- compiling and linking ---

# A stamp holds a command and a list of objects, and changes only when they do: then what was made by it is made again.
define stamp
$(1): FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(subst ','\'',$(2))' | cmp -s - $$@ || printf '%s\n' '$$(subst ','\'',$(2))' > $$@
endef
$(eval $(call stamp,$(O)/compile.flags,$$(compile) $$(profile_use)))
$(foreach level,0 1,$(eval $(call stamp,$(O)/test_compile.$(level).flags,$$(call test_compile,$(level)))))
$(eval $(call stamp,$(O)/link.flags,$$(link) $$(libs) $$(lib_sources) $$(main_sources)))
$(eval $(call stamp,$(O)/test.flags,$$(link) $$(libs) $$(UB_TEST_CFLAGS) $$(UB_TEST_LIBS) \
	$$(lib_sources) $$(support_sources) $$(unit_sources) $$(integration_sources) $$(bench_sources)))

# The standard library's headers take longer to read than most sources do: where a build is for tests, they are compiled
# once for each way of compiling. No source relies on it, each includes what it uses; `make PRECOMPILED=` does without.
# From -O2 on, GCC 12 has false warnings of array bounds inside of precompiled headers.
PRECOMPILED := yes
precompiled := $(if $(PRECOMPILED),$(filter -O0 -O1 -Og,$(lastword $(filter -O%,$(CXXFLAGS)))))
define precompile
$(1)/prefix.h: $(srcdir)/build/prefix.h
	@mkdir -p $$(@D) && cp $$< $$@
$(1)/prefix.h.gch: $(1)/prefix.h $(2)
	$$(call say,HEADERS,$$@)$(3) -x c++-header -o $$@ $$<
endef
headers = $(if $(2),$(1)/prefix.h.gch)
with_headers = $(if $(2),-Winvalid-pch -include $(1)/prefix.h)
$(eval $(call precompile,$(O)/pch,$(O)/compile.flags,$$(compile) $$(profile_use)))
$(foreach level,0 1,$(eval $(call precompile,$(O)/pch/$(level),$(O)/test_compile.$(level).flags,$$(call test_compile,$(level)))))

$(O)/src/%.o: $(srcdir)/src/%.cc $(O)/compile.flags $(O)/build_config.h $(profile) $(call headers,$(O)/pch,$(precompiled))
	@mkdir -p $(@D)
	$(call say,CXX,$*)$(compile) $(profile_use) $(call with_headers,$(O)/pch,$(precompiled)) -MMD -MP -c -o $@ $<

define test_rule
$(O)/t/$(1).o: $(srcdir)/t/$(1).cc $(O)/test_compile.$(2).flags $(O)/build_config.h $(call headers,$(O)/pch/$(2),$(PRECOMPILED))
	@mkdir -p $$(@D)
	$$(call say,CXX,t/$$(@:$(O)/t/%.o=%))$$(call test_compile,$(2)) $(call with_headers,$(O)/pch/$(2),$(PRECOMPILED)) -MMD -MP -c -o $$@ $$<
endef
$(eval $(call test_rule,%_test,0))
$(eval $(call test_rule,%,1))

$(O)/t/bench/%.o: $(srcdir)/t/bench/%.cc $(O)/compile.flags $(O)/build_config.h
	@mkdir -p $(@D)
	$(call say,CXX,t/bench/$*)$(compile) $(BENCHMARK_CFLAGS) -I$(srcdir)/t -MMD -MP -c -o $@ $<

$(O)/build_config.h: $(O)/config.mk
	@test -f $@ || ./config.status $@

# The dashboard's files are part of the program.
dashboard_files := $(sort $(wildcard $(srcdir)/src/http/dashboard/*))
$(O)/dashboard_files.cc: $(srcdir)/build/embed $(dashboard_files)
	$(call say,EMBED,$@)$(srcdir)/build/embed $(dashboard_files) > $@

$(O)/dashboard_files.o: $(O)/dashboard_files.cc $(O)/compile.flags
	$(call say,CXX,dashboard_files)$(compile) -c -o $@ $<

$(library): $(call objects,$(O),$(lib_sources)) $(if $(filter http,$(LAYERS)),$(O)/dashboard_files.o) $(O)/link.flags
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(O)/ultrabalancer: $(call objects,$(O),$(main_sources)) $(library) $(O)/link.flags
	$(call say,LINK,$@)$(link) -o $@ $(filter %.o %.a,$^) $(libs)

$(O)/unit_tests: $(call objects,$(O),$(unit_sources) $(support_sources)) $(cli_objects) $(library) $(O)/test.flags
	$(call say,LINK,$@)$(link) -o $@ $(filter %.o %.a,$^) $(UB_TEST_LIBS) $(libs)

$(O)/integration_tests: $(call objects,$(O),$(integration_sources) $(support_sources)) $(library) $(O)/test.flags
	$(call say,LINK,$@)$(link) -o $@ $(filter %.o %.a,$^) $(UB_TEST_LIBS) $(libs)

$(O)/benchmarks: $(call objects,$(O),$(bench_sources)) $(library) $(O)/test.flags
	$(call say,LINK,$@)$(link) -o $@ $(filter %.o %.a,$^) -lbenchmark_main $(BENCHMARK_LIBS) $(libs)

-include $(patsubst %.o,%.d,$(call objects,$(O),$(lib_sources) $(main_sources) $(support_sources) $(unit_sources) \
	$(integration_sources) $(bench_sources)))

ifeq ($(UB_PGO),yes)
$(eval $(call stamp,$(P)/compile.flags,$$(compile) $$(profile_count)))
pgo_objects := $(call objects,$(P),$(lib_sources) $(main_sources))

$(P)/src/%.o: $(srcdir)/src/%.cc $(P)/compile.flags $(O)/build_config.h
	@mkdir -p $(@D)
	$(call say,PGOCXX,$*)$(compile) $(profile_count) -MMD -MP -c -o $@ $<

$(P)/ultrabalancer: $(pgo_objects) $(O)/dashboard_files.o $(O)/link.flags
	$(call say,LINK,$@)$(link) $(profile_count) -o $@ $(filter %.o,$^) $(libs)

$(P)/trained: $(srcdir)/build/pgo-train $(P)/ultrabalancer
	@rm -rf $(P)/profile && mkdir -p $(P)/profile
	$(call say,TRAIN,$(P)/profile)$(srcdir)/build/pgo-train $(P)/ultrabalancer
	@touch $@

-include $(pgo_objects:.o=.d)
endif

# --- tests ---

need_gtest = $(if $(filter yes,$(UB_HAVE_GTEST)),,@echo "GoogleTest and GoogleMock are missing: install libgtest-dev \
	libgmock-dev (or run make deps), then ./configure" >&2; exit 1)
run_tests := $(srcdir)/build/run-tests

test-binaries: need-gtest all $(unit_binary) $(integration_binary)

.PHONY: need-gtest
need-gtest:
	$(need_gtest)

# Every suite in turn, also after one has failed. The last line says "N passed, N failed".
check: test-binaries
	$(Q)$(run_tests) $(srcdir) $(O) includes build unit integration interop

unit-tests: need-gtest $(unit_binary)
	$(Q)$(run_tests) $(srcdir) $(O) unit

integration-tests: need-gtest all $(integration_binary)
	$(Q)$(run_tests) $(srcdir) $(O) integration

.PHONY: generate
# What is made from the tables of keys and flags: the example, the completions, the manual's list of keys.
generate: need-gtest $(unit_binary)
	$(Q)UB_REGENERATE=1 UB_SRCDIR=$(srcdir) $(O)/unit_tests --gtest_brief=1 --gtest_filter='ShippedFiles.*'

.PHONY: picture
# The README's picture of the dashboard, by the test that opens it in Chromium.
picture: all
	$(Q)UB_BINARY=$(abspath $(O))/ultrabalancer UB_INTEROP_PICTURE=$(abspath $(srcdir))/docs/dashboard.png \
		$(srcdir)/t/interop/run dashboard_picture

# Hours of operation in minutes: reloads, kills, stops, upgrades under verified load (UB_CHAOS_STEPS, UB_CHAOS_SEED).
chaos: need-gtest all $(integration_binary)
	$(Q)UB_BINARY=$(abspath $(O))/ultrabalancer UB_SRCDIR=$(srcdir) UB_CHAOS_STEPS=$${UB_CHAOS_STEPS:-500} \
		$(integration_binary) --gtest_filter='Chaos.*'

check-includes:
	$(Q)$(srcdir)/build/check-includes $(srcdir)

# A build of its own, in objs/coverage.
coverage: need-gtest
	$(Q)mkdir -p $(O)/coverage && cd $(O)/coverage && { [ -f objs/config.mk ] || $(abspath $(srcdir))/configure --enable-coverage; } && \
	  $(MAKE) --no-print-directory test-binaries && $(abspath $(srcdir))/build/coverage $(abspath $(srcdir)) .

# Four whole builds, ten minutes. `make check` compares a few objects.
check-reproducible:
	$(Q)$(srcdir)/build/check-reproducible $(srcdir) $(CXX)

# Beside nginx, HAProxy and a bare relay; ten minutes. BENCH_ARGS: see t/bench/beside.
bench: all $(O)/relay
	$(Q)$(srcdir)/t/bench/beside --binary $(O)/ultrabalancer --relay $(O)/relay $(BENCH_ARGS)

$(O)/relay $(O)/relay_uring: $(O)/%: $(srcdir)/t/bench/floor/%.cc $(O)/compile.flags
	$(call say,LINK,$@)$(compile) $(UB_HARDENING_LDFLAGS) $(LDFLAGS) -o $@ $<

microbench: $(bench_binary)
	$(if $(filter yes,$(UB_HAVE_BENCHMARK)),,@echo "google-benchmark is missing: install libbenchmark-dev" >&2; exit 1)
	$(if $(bench_binary),$(bench_binary) $(BENCH_ARGS),@echo "no benchmarks")

# --- fuzzing: clang's libFuzzer, a build of its own ---

F := $(O)/fuzz
fuzz_binaries := $(patsubst $(srcdir)/t/fuzz/%.cc,$(F)/%,$(fuzz_sources))
fuzz_compile = $(CLANGXX) $(includes) $(UB_LIB_CFLAGS) -DUB_FUZZING -std=c++20 $(filter-out -Werror,$(warnings)) -O1 -g -pthread \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
$(eval $(call stamp,$(F)/compile.flags,$$(fuzz_compile)))
$(eval $(call stamp,$(F)/link.flags,$$(lib_sources) $$(fuzz_sources)))

$(eval $(call precompile,$(F)/pch,$(F)/compile.flags,$$(fuzz_compile)))

$(F)/src/%.o: $(srcdir)/src/%.cc $(F)/compile.flags $(O)/build_config.h $(call headers,$(F)/pch,$(PRECOMPILED))
	@mkdir -p $(@D)
	$(call say,FUZZCXX,$*)$(fuzz_compile) $(call with_headers,$(F)/pch,$(PRECOMPILED)) -MMD -MP -c -o $@ $<

$(F)/t/%.o: $(srcdir)/t/%.cc $(F)/compile.flags $(O)/build_config.h
	@mkdir -p $(@D)
	$(call say,FUZZCXX,t/$*)$(fuzz_compile) -I$(srcdir)/t -MMD -MP -c -o $@ $<

# Left out is what no target can reach: the master and its files, the controller, what answers at the management address.
fuzz_lib_sources := $(filter-out $(addprefix $(srcdir)/src/,$(addsuffix .cc,$(addprefix core/,channel child_process \
	daemon inheritance listen_sockets log_files management_link outbox pid_file privileges process_title reload_status \
	service_manager signal_master signals socket_owners syscall_filter) \
	http/admin_api http/config_json http/dashboard http/worker upstream/controller upstream/controller_changes \
	upstream/health_checker upstream/resolver upstream/certificate_watch)) \
	$(wildcard $(srcdir)/src/core/master*.cc $(srcdir)/src/http/management_*.cc $(srcdir)/src/http/metrics_*.cc \
	$(srcdir)/src/*/health_probe_*.cc),$(lib_sources)) $(srcdir)/src/http/management_handover.cc

$(F)/libultrabalancer.a: $(call objects,$(F),$(fuzz_lib_sources)) $(F)/link.flags
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $(filter %.o,$^)

# The importers are no part of the library.
import_sources := $(filter-out %/import_command.cc,$(wildcard $(srcdir)/src/cli/import*.cc))
$(F)/import_fuzz: $(call objects,$(F),$(import_sources))

$(F)/%_fuzz: $(F)/t/fuzz/%_fuzz.o $(F)/libultrabalancer.a
	$(call say,LINK,$@)$(CLANGXX) -fsanitize=fuzzer,address,undefined -pthread -o $@ $(filter %.o,$^) $(filter %.a,$^) $(UB_LIB_LIBS)

fuzz: $(fuzz_binaries)

check-fuzz: $(fuzz_binaries)
	$(Q)$(run_tests) $(srcdir) $(O) fuzz

ifneq ($(filter fuzz check-fuzz,$(MAKECMDGOALS)),)
.SECONDARY: $(call objects,$(F),$(fuzz_sources))
-include $(patsubst %.o,%.d,$(call objects,$(F),$(fuzz_lib_sources) $(import_sources) $(fuzz_sources)))
endif

# --- the shared slots under ThreadSanitizer: a build of its own ---

# What the slots need and no more, so that it is built in a minute.
S := $(O)/tsan
tsan_names := $(addprefix core/,clock config cpu_affinity log rate_table shm_segment status) \
	$(addprefix upstream/,alias_table backend_table backend_view balance_* balancer candidates circuit_breaker health_state peak_ewma \
	smooth_schedule upstream_group)
tsan_sources := $(sort $(wildcard $(patsubst %,$(srcdir)/src/%.cc,$(tsan_names)) $(srcdir)/t/tsan/*.cc)) \
	$(srcdir)/t/support/slot_hammer.cc
tsan_compile = $(CXX) $(includes) $(UB_LIB_CFLAGS) $(UB_DEFINES) $(CPPFLAGS) -std=c++20 $(warnings) -O1 -g -pthread \
	-fsanitize=thread -fno-omit-frame-pointer
$(eval $(call stamp,$(S)/compile.flags,$$(tsan_compile)))
$(eval $(call stamp,$(S)/link.flags,$$(tsan_sources)))

$(S)/%.o: $(srcdir)/%.cc $(S)/compile.flags $(O)/build_config.h
	@mkdir -p $(@D)
	$(call say,TSANCXX,$*)$(tsan_compile) -I$(srcdir)/t -MMD -MP -c -o $@ $<

$(S)/shared_slots_tsan: $(call objects,$(S),$(tsan_sources)) $(S)/link.flags
	$(call say,LINK,$@)$(CXX) -fsanitize=thread -pthread -o $@ $(filter %.o,$^) $(UB_LIB_LIBS)

check-tsan: $(S)/shared_slots_tsan
	$(Q)$(run_tests) $(srcdir) $(O) tsan

ifneq ($(filter check-tsan,$(MAKECMDGOALS)),)
-include $(patsubst %.o,%.d,$(call objects,$(S),$(tsan_sources)))
endif

# --- running and installing ---

demo: all
	$(Q)exec $(O)/ultrabalancer demo

include $(srcdir)/build/install.mk

# --- housekeeping ---

# clean keeps the configuration, distclean removes it too.
clean:
	$(Q)if [ -d $(O) ]; then find $(O) -mindepth 1 -maxdepth 1 ! -name config.mk ! -name build_config.h \
		-exec rm -rf {} +; fi

distclean:
	$(Q)rm -rf $(O) config.status config.log config.cache autom4te.cache
	$(Q)if grep -qs '^include .*/Makefile$$' Makefile && [ "$$(wc -l < Makefile)" -eq 1 ]; then rm -f Makefile; fi

# configure is committed; whoever changes configure.ac runs this.
autoconf:
	$(Q)cd $(srcdir) && autoconf && rm -rf autom4te.cache configure~

lint:
	$(Q)$(srcdir)/build/lint $(srcdir) '$(cppflags)'

help:
	@sed -n 's/^#   make/  make/p' $(srcdir)/Makefile
	@printf '  make %-22s%s\n' all 'build objs/ultrabalancer (V=1 shows the commands)' \
	  unit-tests 'build and run the unit tests (GTEST_FILTER=... narrows; LAYERS="core event" too)' \
	  integration-tests 'build and run the tests of the real binary' \
	  check-fuzz 'build with libFuzzer and run each target for a short time' \
	  check-tsan 'hammer the shared slots by threads under ThreadSanitizer' \
	  coverage 'build for gcov, run the unit and integration tests, say what they leave out' \
	  check-reproducible 'build twice, in two places, and compare program, installation and Debian package' \
	  chaos 'reloads, kills, stops and upgrades under verified load for minutes (UB_CHAOS_STEPS, UB_CHAOS_SEED)' \
	  bench 'CPU time a request beside nginx and HAProxy (BENCH_ARGS)' \
	  microbench 'the benchmarks of single parts' \
	  generate 'write anew what is made from the tables of keys and flags' \
	  picture "draw the README's picture of the dashboard anew" \
	  lint 'clang-tidy, cppcheck and shellcheck (UB_LINT="..." chooses)' \
	  'install, uninstall' 'honour DESTDIR and what ./configure was given' \
	  dist 'ultrabalancer-VERSION.tar.gz' \
	  deb 'the Debian package, in objs/deb (first: build/install-deps packaging)' \
	  check-deb 'install it on this machine, start, reload, upgrade, remove and purge it (root)' \
	  'clean, distclean' 'remove what was built; distclean: the configuration too' \
	  autoconf 'make configure anew from configure.ac'

endif
