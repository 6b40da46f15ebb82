# `make` lists the targets. Each asks for nothing and can be repeated.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# mail-parser 1.0.1 declares Rust 1.98 and builds on 1.95: an older toolchain has to be told so (CONTRIBUTING.md).
OLDER := $(shell rustc --version 2>/dev/null | awk '{ split($$2, v, "."); if (v[1] == 1 && v[2] < 98) print "--ignore-rust-version" }')
# Always the whole workspace, so that every target shares its dependencies' builds; the crash windows of the fault
# tests rebuild only the three packages of ours.
BUILD := $(CARGO) build --workspace --locked $(OLDER)
FAULTS := --features mailtri/failpoints
SCENARIOS := $(patsubst tests/tests/%.rs,--test %,$(wildcard tests/tests/*.rs))

.PHONY: help setup servers load build release test soak fuzz demo demo-aws bench-queue bench-limits bench-aws bench-parse bench-scan bench-fleet benches lint fmt clippy doc deny clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what building and the demo need and what is missing (Debian: gcc, clamd)
	@tests/setup

servers: ## Install what the tests need beside that: redis-server, the emulator of SQS and S3
	@tests/setup servers

load:
	@tests/setup load

build: ## Build everything (debug)
	$(BUILD) --bins

release: ## Build the binary for production: target/release/mailtri
	$(CARGO) build --package mailtri --release --locked $(OLDER)

test: servers ## Run every test; scenarios reduced and seeded
	$(BUILD) --bins --tests $(FAULTS)
	$(CARGO) test --workspace --locked $(OLDER) $(FAULTS)

soak: servers load ## Run the scenarios in full
	$(BUILD) --bins --tests $(FAULTS)
	SOAK=1 $(CARGO) test --workspace --locked $(OLDER) $(FAULTS) $(SCENARIOS) --test corpus --test sandbox -- --nocapture --test-threads 1
	SOAK=1 $(CARGO) test --workspace --locked $(OLDER) $(FAULTS) --lib -- --nocapture --test-threads 1 no_reply_crosses they_pass

fuzz: ## Fuzz every reader of foreign bytes for a while (FUZZ_SECONDS=30 a target; needs nightly and cargo-fuzz)
	tests/fuzz/run

demo: setup ## Show mails going through the fleet (KEEP=1: leave it running)
	$(BUILD) --bins
	@target/debug/demo

demo-aws: setup servers ## The same on emulators of SQS, S3 and Redis, with the template deployed
	$(BUILD) --bins
	@target/debug/demo aws

bench-queue: benches ## What the embedded queue does a second, and what a backlog costs
	@target/release/examples/bench_queue

bench-limits: servers benches ## What limits cost on Redis: round trips, latency, CPU, beside a naive counter
	@target/release/examples/bench_limits

bench-aws: servers benches ## Count the requests to SQS and S3 for a mail, and what they cost
	@target/release/bench-aws

bench-parse: benches ## Processor time for a mail: the libraries, the sandbox, Node, Python
	@tests/bench-parse/setup
	@target/release/examples/bench_parse

bench-scan: benches ## What the scan reaches of what clamd can do, and a worker's memory with 100 mails of 25 MB
	@target/release/examples/bench_scan
	@target/release/bench-scan

bench-fleet: benches ## Processor time for a mail's whole way, and a worker's memory, for three kinds of traffic
	@target/release/bench-fleet

# One build for all of them, as optimised as what `make release` builds.
benches:
	$(BUILD) --release --bins --examples

lint: fmt clippy doc ## Formatting, lints, documentation

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked $(OLDER) $(FAULTS) -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked $(OLDER)

deny: ## Licences, sources, bans and, where the database can be reached, advisories
	tests/deny policy
	tests/deny advisories

clean: ## Remove everything that was built
	$(CARGO) clean
	rm -rf demo-data
