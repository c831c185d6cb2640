# A thin front for Meson: the commands people type. What is built is in meson.build.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

C_FILES = $(shell git ls-files '*.c' '*.h' '*.cc')

.DEFAULT_GOAL := all
.PHONY: all deps deps-check demo check bench install uninstall clean format lint help

all: $(BUILD)/build.ninja ## build build/holdfast, runnable in place
	@ninja -C $(BUILD) -j $(JOBS)

$(BUILD)/build.ninja: | deps-check
	@mkdir -p $(BUILD)
	@meson setup $(BUILD) --prefix '$(PREFIX)' >$(BUILD)/setup.log 2>&1 || \
		{ cat $(BUILD)/setup.log; exit 1; }
	@echo '$(PREFIX)' >$(BUILD)/prefix

deps-check: ## say which Debian packages the build lacks
	@scripts/deps.sh --check build

deps: ## install the Debian packages that building, testing and linting need
	@scripts/deps.sh build test lint

demo: ## install what is missing, build, and show the main job
	@scripts/deps.sh build
	@$(MAKE) --no-print-directory all
	@scripts/demo.sh $(BUILD)/holdfast

check: ## install what is missing; every test, plain and under the sanitizers
	@scripts/deps.sh build test
	@python3 scripts/check.py --jobs $(JOBS)

bench: ## ratios against the peers
	@scripts/deps.sh build bench
	@$(MAKE) --no-print-directory all
	@bench/run.sh $(BUILD)

install: $(BUILD)/build.ninja ## install under PREFIX (default /usr/local), honours DESTDIR
	@[ "$$(cat $(BUILD)/prefix 2>/dev/null)" = '$(PREFIX)' ] || \
		{ meson configure $(BUILD) --prefix '$(PREFIX)' && echo '$(PREFIX)' >$(BUILD)/prefix; }
	@$(MAKE) --no-print-directory all
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild --quiet

uninstall: ## remove what the last install put there
	@ninja -C $(BUILD) --quiet uninstall

clean: ## remove everything that was built
	rm -rf build build-asan build-tsan build-lint build-analyze

format: ## clang-format every C file
	@clang-format -i $(C_FILES)

lint: ## clang-format, clang-tidy, and gcc's analyzer
	@scripts/deps.sh lint
	@scripts/lint.sh

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14
