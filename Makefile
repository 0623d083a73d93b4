# The door: every job that people and CI do here. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Rounds of the kill test; WORD and BENCH_ARGUMENTS are handed on to demo and bench.
ROUNDS ?= 200
WORD ?= ocean
BENCH_ARGUMENTS ?= log --directory .build/bench --seconds 10

# How much of the table of faults, in percent; how long a soak.
FAULTS_SCALE ?= 100
HOURS ?= 1

KAFKA_VENV = .build/kafka-python

# ROUNDS means the kill test's by default; for measuring three are enough. The shell of make has a
# SECONDS of its own only inside recipes.
BENCH_ROUNDS = $(if $(filter command line environment,$(origin ROUNDS)),$(ROUNDS),3)
BENCH_SECONDS = $(or $(SECONDS),4)
BENCH_LOG_ARGUMENTS ?=
BENCH_VECTORS_ARGUMENTS ?=

SWIFT_PATHS = $(wildcard Sources Tests Examples Benchmarks Package.swift)
C_FILES = $(shell git ls-files 'CKernels/*.c' 'CKernels/*.h' 'Tests/*.c' 'Tests/*.h' \
	'Benchmarks/*.c' 'Benchmarks/*.h')
SCRIPTS = $(shell git grep -l '^\#!/usr/bin/env bash')

.PHONY: help deps build demo test test-c test-release test-arm test-kill test-kafka test-embedding \
	test-faults faults soak mutants fuzz sanitize bench peers bench-log bench-vectors bench-cache \
	format lint docs

help: ## List the jobs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Check for Swift and the C libraries; install what is missing with apt-get
	@.ci/dependencies build

build: deps ## Build the library and the command, optimised
	swift build -c release

demo: deps ## Store 25,000 words and their vectors durably, and search them (WORD=ocean)
	@echo "Building the command, optimised (the first time takes a minute or two) ..."
	@swift build -c release --product cordwood --quiet
	@"$$(swift build -c release --show-bin-path)/cordwood" demo --word "$(WORD)"

test: deps ## Run every Swift test, in debug mode
	@echo "Building and running the Swift tests (debug mode, every suite) ..."
	swift test

test-c: deps ## Run the C kernels' tests for each instruction set of this machine, sanitized
	Tests/CKernelsTests/run.sh native

test-release: deps ## Run every Swift test optimised: some faults show only there
	swift test -c release -Xswiftc -enable-testing --scratch-path .build/testable

test-arm: ## Run the C kernels' tests for 64-bit ARM, under qemu
	@.ci/dependencies arm
	Tests/CKernelsTests/run.sh arm

test-kill: deps ## kill -9 the command while it appends, ROUNDS=200 times, and check what it promised
	@.ci/dependencies python
	swift build -c release --product cordwood --quiet
	python3 Tests/Scripts/kill_loop.py --rounds $(ROUNDS) \
		--cordwood "$$(swift build -c release --show-bin-path)/cordwood"

test-kafka: deps ## Hold our record batches against kafka-python: each reads what the other wrote
	@.ci/dependencies venv
	[[ -x $(KAFKA_VENV)/bin/pip ]] || python3 -m venv $(KAFKA_VENV)
	$(KAFKA_VENV)/bin/pip install --quiet --disable-pip-version-check \
		-r Tests/Scripts/kafka_requirements.txt
	$(KAFKA_VENV)/bin/python Tests/Scripts/kafka_interop.py check

test-embedding: deps ## Build and run the README's example in a package of its own, without the command's dependencies
	Tests/Scripts/test-embedding.sh

faults: deps ## Hurt databases on this kernel, FAULTS_SCALE=100 % as often as the table in docs/durability.md says (needs root)
	@.ci/dependencies python faults
	swift build -c release --product cordwood-workload --quiet
	Tests/Faults/run.sh --scale $(FAULTS_SCALE) $(if $(FAULTS_ONLY),--only $(FAULTS_ONLY))

test-faults: deps ## A small part of that, without a change to the document; what needs root is skipped without it
	@.ci/dependencies faults || echo "Some means are missing: the table says which."
	swift build -c release --product cordwood-workload --quiet
	Tests/Faults/run.sh --scale 5 --no-docs

soak: deps ## The same and new seeds, over and over, for HOURS=1
	@.ci/dependencies python faults
	swift build -c release --product cordwood-workload --quiet
	swift build -c release -Xswiftc -enable-testing --build-tests --scratch-path .build/testable
	Tests/Faults/run.sh --hours $(HOURS)

mutants: deps ## Break durability in each way of the table, and see the tests notice (MUTANTS="name ...")
	@.ci/dependencies python
	python3 Tests/Faults/mutants.py --root . $(if $(MUTANTS),--only $(MUTANTS))

fuzz: deps ## Feed random bytes to everything that reads bytes, SECONDS=120 for each target (TARGETS="name ...")
	Tests/Faults/fuzz.sh $(or $(SECONDS),120) $(TARGETS)

sanitize: deps ## Run every Swift test under the address sanitizer and the thread sanitizer (FILTER=suites)
	FILTER='$(FILTER)' Tests/Faults/sanitize.sh

bench: deps ## Measure: BENCH_ARGUMENTS="log ..." or "vectors ..."
	swift run -c release --package-path Benchmarks cordwood-bench $(BENCH_ARGUMENTS)

peers: deps ## Measure Cordwood and its peers in one run; writes docs/benchmarks.md
	@.ci/dependencies peers
	Benchmarks/peers/run

bench-log: deps ## Measure the log beside fio and its peers; writes docs/benchmarks.md (short: ROUNDS=1 SECONDS=2)
	@.ci/dependencies peers log-peers
	ROUNDS=$(BENCH_ROUNDS) Benchmarks/peers/run-log --seconds $(BENCH_SECONDS) $(BENCH_LOG_ARGUMENTS)

bench-vectors: deps ## Measure the indexes of vectors beside their peers; writes docs/benchmarks.md (ROUNDS=5)
	@.ci/dependencies peers
	Benchmarks/peers/run-vectors $(if $(filter command line environment,$(origin ROUNDS)),--rounds $(ROUNDS)) \
		$(BENCH_VECTORS_ARGUMENTS)

bench-cache: deps ## Replay traces through the cache and libCacheSim's policies; writes docs/benchmarks.md
	@.ci/dependencies venv
	Benchmarks/peers/run-cache

format: ## Format every Swift and C file in place
	@.ci/dependencies lint
	swift format --in-place --recursive --parallel $(SWIFT_PATHS)
	clang-format -i $(C_FILES)

lint: ## Check format and style of Swift, C and shell; change nothing
	@.ci/dependencies lint
	swift format lint --strict --recursive --parallel $(SWIFT_PATHS)
	clang-format --dry-run -Werror $(C_FILES)
	shellcheck $(SCRIPTS)

docs: deps ## Check the documents: links resolve, commands exist and run
	@.ci/dependencies python
	swift build --product cordwood --quiet
	python3 Tests/Scripts/check_docs.py --cordwood "$$(swift build --show-bin-path)/cordwood"
