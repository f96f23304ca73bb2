# Every chore of the project. CI calls only this file. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test test-rust test-python check fmt bench torture torture-rust torture-python \
    fuzz fuzz-all clean tools python clients binaries

# Tools that are not on the machine are built once, at these versions, into a cache outside the
# clone; CAIRN_CACHE moves it.
CAIRN_CACHE ?= $(HOME)/.cache/cairn
TOOLS := $(CAIRN_CACHE)/tools
NEXTEST_VERSION := 0.9.143
DENY_VERSION := 0.20.2
FUZZ_VERSION := 0.13.2
AWS_CLI_V2_PACKAGE := 2.0.198

TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(CURDIR)/target)
PYTHON := .venv/bin/python
export PATH := $(TOOLS)/bin:$(PATH)

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

run: ## Build the release binary and serve (ARGS="--listen 127.0.0.1:4510" passes options)
	cargo build --release --locked --package cairn-server
	exec $(TARGET)/release/cairn serve $(ARGS)

test: test-rust test-python ## Install what the tests need, then run all of them

test-rust: $(TOOLS)/.nextest python
	cargo nextest run --locked --workspace --no-fail-fast
	cargo xtask requirements --listed

test-python: python clients binaries
	CAIRN_BINARY=$(TARGET)/cairn-under-test/cairn \
	CAIRN_SABOTAGED_BINARY=$(TARGET)/cairn-under-test/cairn-sabotaged \
	$(PYTHON) -m pytest tests $(PYTEST_ARGS)

# Two builds of the server under test: as shipped (development profile), and with the faults that
# the harnesses must catch. Copies, so that a later build does not change them under a running test.
binaries:
	mkdir -p $(TARGET)/cairn-under-test
	cargo build --locked --package cairn-server --features sabotage
	cp --force $(TARGET)/debug/cairn $(TARGET)/cairn-under-test/cairn-sabotaged
	cargo build --locked --package cairn-server
	cp --force $(TARGET)/debug/cairn $(TARGET)/cairn-under-test/cairn

check: $(TOOLS)/.deny ## Formatting, lints, licences, layout rules, generated files
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo deny --locked check --hide-inclusion-graph bans licenses sources
	@if [ -n "$(ADVISORY_DB)" ]; then \
	    ADVISORY_DB=$(ADVISORY_DB) cargo deny --offline --locked check advisories; \
	else echo "advisories not checked: give ADVISORY_DB, a local copy of the database"; fi
	cargo xtask tidy
	cargo xtask codegen --check
	cargo xtask requirements
	cargo xtask reliability --check

fmt: ## Format all Rust code
	cargo fmt --all

bench: python ## Everything against the budgets, at 1 million events (FULL=1: 10 million too)
	cargo build --release --locked --package cairn-server --package cairn-testkit --bins \
	    --example load
	$(PYTHON) benches/bench.py --target $(TARGET)/release $(if $(FULL),--full) $(BENCH_ARGS)
	$(PYTHON) benches/validate_logs.py --target $(TARGET)/release
	cargo bench --locked --package cairn-model | tee benches/results/$(shell date -u +%F)-model.txt

# In pieces: TORTURE="tests/faults/test_c1_kill.py" CAIRN_AMOUNTS=25% CAIRN_SEED_BASE=250 runs a
# share of one test with seeds of its own; the results add up.
TORTURE ?= tests/faults tests/access tests/clients/test_validate_logs.py
CAIRN_AMOUNTS ?= full
torture: torture-rust torture-python ## The fault plan in its full amounts (more than an hour)
	cargo xtask reliability

torture-rust: $(TOOLS)/.nextest
	CAIRN_SEEDS=10000 CAIRN_MUTATIONS=2000 CAIRN_AMOUNTS=$(CAIRN_AMOUNTS) \
	CAIRN_RESULTS=$(CURDIR)/docs/reliability-results.jsonl \
	cargo nextest run --locked --workspace --no-fail-fast \
	    -E 'package(cairn-eventlog) | package(cairn-lake) | package(cairn-trails)' || { printf \
	    '{"test": "simulations", "date": "%s", "commit": "%s", "failed": 1}\n' \
	    "$$(date -u +%F)" "$$(git rev-parse --short HEAD)" >> docs/reliability-results.jsonl; \
	    exit 1; }

torture-python: python binaries
	CAIRN_AMOUNTS=$(CAIRN_AMOUNTS) CAIRN_BINARY=$(TARGET)/cairn-under-test/cairn \
	CAIRN_SABOTAGED_BINARY=$(TARGET)/cairn-under-test/cairn-sabotaged \
	$(PYTHON) -m pytest $(TORTURE) --timeout 7200 $(PYTEST_ARGS)

# Some targets need the whole server, and so a long build. New inputs are kept outside the clone.
FUZZ_TARGETS = $(sort $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs))))
FUZZ_FEATURES = $(if $(shell grep --after-context=2 '^name = "$(TARGET_NAME)"' fuzz/Cargo.toml | \
    grep required-features),--features server)
FUZZ_FOUND = $(CAIRN_CACHE)/fuzz/$(TARGET_NAME)
fuzz: $(TOOLS)/.fuzz ## Fuzz one parser: make fuzz TARGET_NAME=json_scan SECONDS_MAX=600
	mkdir -p $(FUZZ_FOUND)
	cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run $(FUZZ_FEATURES) $(TARGET_NAME) \
	    $(FUZZ_FOUND) corpus/$(TARGET_NAME) -- \
	    -max_total_time=$(or $(SECONDS_MAX),600) -timeout=10 -report_slow_units=1 \
	    -max_len=65536 -print_final_stats=1 -verbosity=0 \
	    $(patsubst fuzz/%,-dict=%,$(wildcard fuzz/dictionaries/$(TARGET_NAME).dict))

fuzz-all: ## Every parser, one after the other, up to the first finding (SECONDS_MAX for each)
	for target in $(FUZZ_TARGETS); do \
	    echo "== $$target"; \
	    $(MAKE) --no-print-directory fuzz TARGET_NAME=$$target FUZZ_FEATURES="--features server"; \
	done

clean: ## Remove build products and the virtual environment of this clone
	rm -rf target .venv .pytest_cache

tools: $(TOOLS)/.nextest $(TOOLS)/.deny ## Build the pinned tools that the machine lacks

# Built without optimization: they run for seconds, their build would take minutes.
$(TOOLS)/.nextest:
	mkdir -p $(TOOLS)
	command -v cargo-nextest >/dev/null || CARGO_TARGET_DIR=$(CAIRN_CACHE)/tools-target \
	    cargo install --locked --debug --root $(TOOLS) cargo-nextest@$(NEXTEST_VERSION)
	touch $@

$(TOOLS)/.deny:
	mkdir -p $(TOOLS)
	command -v cargo-deny >/dev/null || CARGO_TARGET_DIR=$(CAIRN_CACHE)/tools-target \
	    cargo install --locked --debug --root $(TOOLS) cargo-deny@$(DENY_VERSION)
	touch $@

$(TOOLS)/.fuzz:
	mkdir -p $(TOOLS)
	command -v cargo-fuzz >/dev/null || CARGO_TARGET_DIR=$(CAIRN_CACHE)/tools-target \
	    cargo install --locked --debug --root $(TOOLS) cargo-fuzz@$(FUZZ_VERSION)
	touch $@

# Version 2 of the AWS CLI is on the registry only inside a package of layers for functions.
.PHONY: aws-cli-v2
aws-cli-v2:
	rm -rf .venv/aws-cli-v2 && mkdir -p .venv/aws-cli-v2/unpacked
	.venv/bin/pip download --quiet --disable-pip-version-check --no-deps \
	    --dest .venv/aws-cli-v2/unpacked aws-cdk-asset-awscli-v2==$(AWS_CLI_V2_PACKAGE)
	cd .venv/aws-cli-v2/unpacked && ../../bin/python -m zipfile -e *.whl . && \
	    find . -name '*.tgz' -exec tar -xzf {} ';' && \
	    ../../bin/python -m zipfile -e package/lib/layer.zip .
	mv .venv/aws-cli-v2/unpacked/awscli/v2/*/dist .venv/aws-cli-v2/dist
	rm -r .venv/aws-cli-v2/unpacked
	chmod +x .venv/aws-cli-v2/dist/aws

python: .venv/.installed
.venv/.installed: tests/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	$(MAKE) --no-print-directory aws-cli-v2
	touch $@

# Tools that use the API as their users do, with packages of their own (tests/clients/tools).
clients: python
	$(PYTHON) tests/clients/tools/install.py $(CAIRN_CACHE)/clients .venv/clients
