# Every job of this repository has one name here; CI runs the same names (.ci/run).
# `make run` and `make test` install what they need first, so on a fresh machine they are the only two to know.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# uv otherwise tries to download a Python of its own; the system's 3.11 or newer is the one we mean.
export UV_PYTHON_DOWNLOADS := never

UV = $(shell tools/find-uv)
BIN := .venv/bin
CARGO := cargo --quiet
WORKSPACE := --manifest-path native/Cargo.toml --workspace --locked
FUZZ_SECONDS ?= 600
FUZZ_MANIFEST := native/fuzz/Cargo.toml
LOADGEN_MANIFEST := loadtests/peers/loadgen/Cargo.toml

.PHONY: help
help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-14s %s\n", $$1, $$2 }'

# --- build ------------------------------------------------------------------------------------------

.PHONY: tools
tools:
	@tools/install-system build

.PHONY: tools-test
tools-test:
	@tools/install-system build test

.PHONY: install
install: tools ## Install what is missing, build the native module, make .venv
	$(UV) sync --locked

.PHONY: build
build: tools ## Build the wheels and source archives of both distributions into dist/
	$(UV) build --all-packages

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf .venv .tools build dist native/target native/fuzz/target loadtests/results
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
	find . -name '*.egg-info' -prune -exec rm -rf {} +
	rm -f native/python/trunkline_native/*.so

# --- check ------------------------------------------------------------------------------------------

.PHONY: format
format: install ## Rewrite the sources in the agreed format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	cargo fmt --all --manifest-path native/Cargo.toml

.PHONY: lint
lint: install typecheck stubtest lint-rust ## All checks that run no test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache

.PHONY: lint-rust
lint-rust: tools
	cargo fmt --all --check --manifest-path native/Cargo.toml
	$(CARGO) clippy $(WORKSPACE) --all-targets -- -D warnings
	$(CARGO) check --locked --manifest-path $(FUZZ_MANIFEST) --bins
	cargo fmt --check --manifest-path $(LOADGEN_MANIFEST)
	$(CARGO) clippy --locked --manifest-path $(LOADGEN_MANIFEST) --target-dir build/loadgen --all-targets -- -D warnings

.PHONY: typecheck
typecheck: install ## mypy --strict; not over benchmarks, whose subjects are untyped
	$(BIN)/mypy
	$(BIN)/mypy examples loadtests
	$(BIN)/mypy --explicit-package-bases tests

.PHONY: stubtest
stubtest: install ## Compare the native module with its stubs
	MYPYPATH=native/python $(BIN)/stubtest trunkline_native --allowlist tools/stubtest-allowlist

# --- test -------------------------------------------------------------------------------------------

.PHONY: test
test: tools-test test-native test-python ## Install what is missing and run every test

.PHONY: test-native
test-native: tools ## The Rust crates' own tests
	cargo test $(WORKSPACE)

.PHONY: test-python
test-python: tools-test install ## The tests under tests/, and each benchmark once
	$(BIN)/pytest

.PHONY: bench
bench: install ## The native algorithms against the packages people use today
	$(BIN)/pytest benchmarks --benchmark-enable

# libFuzzer's coverage counters are a plain LLVM pass, so the stable compiler will do; only the address sanitizer would need a
# nightly one, and the crate under test forbids unsafe code.
FUZZ_TARGETS := request_head response_head chunks proxy_protocol grpc_web h2_frames dns_message dns_zone
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
FUZZ_TRIPLE = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: fuzz
fuzz: tools ## Fuzz each parser for FUZZ_SECONDS (600), one after the other; needs a C++ compiler
	RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --release --features run --manifest-path $(FUZZ_MANIFEST) --target $(FUZZ_TRIPLE)
	@for target in $(FUZZ_TARGETS); do \
	    mkdir -p native/fuzz/corpus/$$target native/fuzz/artifacts; \
	    native/fuzz/target/$(FUZZ_TRIPLE)/release/$$target native/fuzz/corpus/$$target \
	        -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -print_final_stats=1 -verbosity=0 \
	        -artifact_prefix=native/fuzz/artifacts/$$target-; \
	done

# --- run and load -----------------------------------------------------------------------------------

.PHONY: run
run: install ## Start the quick start: balancer, gateways and demo services on loopback
	@$(BIN)/python examples/quickstart/run.py

.PHONY: run-protocols
run-protocols: tools-test install ## Start one front door for every protocol; prints commands of curl, grpcio, h2load, wrk
	@$(BIN)/python examples/protocols/start.py

# HOST loads a remote quick start; LOCUST adds options of Locust's own (loadtests/locust/README.md).
LOAD = $(BIN)/python loadtests/locust/run.py $(if $(HOST),--host $(HOST)) \
    $(if $(USERS),--users $(USERS)) $(if $(SECONDS),--seconds $(SECONDS))
LOCUST_OPTIONS = $(if $(LOCUST),-- $(LOCUST))

.PHONY: load
load: install ## Mixed Locust load over the quick start, with a report in loadtests/results/
	@$(LOAD) $(LOCUST_OPTIONS)

.PHONY: load-ui
load-ui: install ## The same from Locust's web page
	@$(LOAD) --ui $(LOCUST_OPTIONS)

.PHONY: peers
peers: tools-test install ## Side by side with nginx and HAProxy; PEERS="--quick --case small64" is short
	@$(BIN)/python loadtests/peers/run.py $(PEERS)

# BEFORE is the Python of a work tree of the older commit, after `make install` there.
.PHONY: peers-before
peers-before: tools-test install ## Plain HTTP/1.1 beside an older build: BEFORE=/tmp/old/.venv/bin/python
	@$(BIN)/python loadtests/peers/before_after.py --before $(BEFORE) $(PEERS)

.PHONY: soak
soak: tools-test install ## Mixed traffic, reloads, deaths and upgrades for MINUTES (20): memory flat, nothing lost
	@$(BIN)/python loadtests/soak/run.py $(if $(MINUTES),--minutes $(MINUTES)) $(SOAK)
