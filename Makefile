# Everything that people and the pipeline run. `make` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# How many people the demo has; how long each fuzz target runs.
RECIPIENTS ?= 1000000
FUZZTIME ?= 5s

# One set of flags for build and test, so that they share the build cache. The version comes from git where there is one.
export GOFLAGS := $(filter-out -trimpath -buildvcs=%,$(GOFLAGS)) -trimpath -buildvcs=false
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unversioned)

TOOL := go tool -modfile=tools/go.mod
LINT := go tool -modfile=tools/lint/go.mod golangci-lint
# Packages with tests against programs that others wrote.
PEERED = $(shell grep -rl --include='*_test.go' '^//go:build peers' channels loadtest warning | xargs -r -n1 dirname | sort -u | sed 's,^,./,')
# Packages that start goroutines: those that the race detector can find something in.
RACY = $(shell grep -rlE --include='*.go' '^\s*go [a-zA-Z_]|\.Go\b' cmd dispatcher channels geofence loadtest warning 2>/dev/null | xargs -r -n1 dirname | sort -u | sed 's,^,./,')

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build redis ## build, then warn a synthetic Chongqing through three simulated carriers, and stay up
	@exec bin/tocsin demo

.PHONY: demo
demo: build redis ## the same once, as JSON with its verdict: make demo RECIPIENTS=100000
	@bin/tocsin demo --once -o json --recipients $(RECIPIENTS)

.PHONY: build
build: needs-go ## bin/tocsin
	@go build -ldflags '-X main.version=$(VERSION)' -o bin/tocsin ./cmd/tocsin

.PHONY: test
test: needs-go redis ## unit, property, conformance and end-to-end tests, against a real Redis and our simulated carriers
	go test -shuffle=on -timeout 6m ./...

.PHONY: test-peers
test-peers: needs-go redis ## the same against programs that others wrote; installs them, and fails where one is missing
	@sh tools/peers/install.sh .tools/peers
	@[ -n "$(PEERED)" ] || { echo "no test with a foreign peer was found" >&2; exit 1; }
	TOCSIN_PEERS=$(CURDIR)/.tools/peers go test -count=1 -tags peers -run "^TestPeer" -timeout 5m $(PEERED)

.PHONY: race
race: needs-go redis ## tests of the packages with goroutines under the race detector, small sizes
	@command -v cc >/dev/null || { echo "make race needs a C compiler (on Debian: apt install gcc libc6-dev)" >&2; exit 1; }
	go test -race -short -timeout 7m $(RACY)

.PHONY: lint
lint: needs-go ## golangci-lint over the Go, buf over the contract
	$(LINT) run
	$(TOOL) buf lint

.PHONY: generate
generate: needs-go ## the Go of the contract
	$(TOOL) buf generate

.PHONY: verify-generated
verify-generated: needs-go ## is the committed Go what generate makes?
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	$(TOOL) buf generate -o "$$out"; \
	diff -r --exclude='*.proto' "$$out/proto" proto || { echo "generated code is out of date: run make generate" >&2; exit 1; }

.PHONY: fuzz
fuzz: needs-go ## every fuzz target for FUZZTIME (5s)
	@sh tools/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: build redis ## the large benchmark: unthrottled, 1,000,000 people, by hand; prints JSON, after the oracle's million points and the geofence beside others
	@go test -count=1 -v ./geofence -run 'AgreesWithFractions' -oracle 1000000 -timeout 30m >&2
	@cd loadtest/peers && go test -run '^$$' -bench Find -benchtime 1x -people 1000000 -tile38 "$$(command -v tile38-server)" >&2
	@bin/tocsin bench -o json

.PHONY: bench-once
bench-once: needs-go redis ## every Go benchmark once, small, so that none rots
	go test -short -run '^$$' -bench . -benchtime 1x -timeout 5m ./...

.PHONY: check
check: ## all that must hold before a change lands; what the pipeline runs
	@for step in lint verify-generated test test-peers race fuzz bench-once 'demo RECIPIENTS=20000'; do \
		echo "== make $$step"; began=$$SECONDS; \
		$(MAKE) $$step || { echo "== make $$step failed" >&2; exit 1; }; \
		echo "== make $$step took $$((SECONDS - began)) s"; \
	done; \
	echo "== all of make check passed in $$SECONDS s"

.PHONY: redis
redis: # a redis-server of version 7 or newer, under .tools when the system has none
	@sh tools/redis.sh . >&2

.PHONY: needs-go
needs-go:
	@GOTOOLCHAIN=local go version 2>/dev/null | awk '{ split(substr($$3, 3), v, "."); ok = v[1] > 1 || v[1] == 1 && v[2] >= 26 } END { exit !ok }' \
		|| { echo "Tocsin needs Go 1.26 or newer on PATH (found: $$(GOTOOLCHAIN=local go version 2>/dev/null || echo none)); see https://go.dev/dl" >&2; exit 1; }
