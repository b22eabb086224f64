# DeCube: what a newcomer, a developer and the CI type. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON     ?= python3
UV_VERSION := 0.13.9
VENV       := .venv
BIN        := $(VENV)/bin
# An installed uv is used if there is one; else a pinned one is fetched from PyPI into a venv.
UV         := $(or $(shell command -v uv 2>/dev/null),.tools/uv/bin/uv)
RUST_FILES := $(shell find crates proto/etcd proto/grpc -type f 2>/dev/null) Cargo.toml Cargo.lock
PEERS      := tools/peers/bin/benchmark
GO_FILES   := $(wildcard tools/peers/*/*.go)
# Without kubestorage: a module of its own, which a test builds.
PEER_FILES := $(filter-out tools/peers/kubestorage/%,$(GO_FILES))
# The directory that `make up` keeps its data in.
DATA_DIR   ?= ./.decube

export UV_PYTHON_DOWNLOADS := never

.PHONY: help up build wheel check test test-slow bench fmt proto peers venv clean rust-test \
  python-test store-under-test kine

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

up: build ## build what is needed and run one node with its data in ./.decube
	@DECUBE_NODE_DATA_DIR=$(DATA_DIR) $(BIN)/decube up

build: $(VENV)/.built ## leave the command at .venv/bin/decube

wheel: $(VENV)/.synced docs-assets ## build a wheel into dist/
	$(BIN)/maturin build --release --locked --out dist

check: build ## format, lint, types, layers, licences, generated files, sizes
	$(BIN)/ruff format --check src tests tools
	$(BIN)/ruff check src tests tools
	$(BIN)/mypy
	$(BIN)/stubtest decube._native
	$(BIN)/lint-imports --no-logo
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --workspace --locked --features decube-etcd-api/broken \
	  --example store_under_test -- -D warnings
	@if ! command -v go >/dev/null; then \
	  echo "check: go is not installed, so the programs of tools/peers are not checked"; \
	else \
	  wrong=$$(gofmt -l $(GO_FILES)) && test -z "$$wrong" || { echo "not as by make fmt: $$wrong"; exit 1; }; \
	  cd tools/peers && go vet ./...; \
	fi
	$(BIN)/python tools/licences.py
	$(BIN)/python tools/genproto.py --check
	$(BIN)/python tools/gendocs.py --check
	$(BIN)/pytest tests/tidy -q

test: rust-test python-test ## everything a change must pass

rust-test: $(VENV)/.synced
	cargo test --workspace --locked

python-test: build peers store-under-test
	$(BIN)/pytest -n auto --dist worksteal -m "not slow"

test-slow: build peers store-under-test ## long fuzzing, crash loops, soaks
	TEST_EFFORT=20 cargo test --workspace --release --locked -- --include-ignored
	TEST_EFFORT=20 $(BIN)/pytest -m "slow or effort" --timeout 7200

# A store that can be told to misbehave, for the robustness tests. With the features of the whole
# workspace, so that it shares what `cargo test` has compiled.
store-under-test:
	cargo build --workspace --locked --features decube-etcd-api/broken --example store_under_test

bench: build peers kine ## measure side by side with a real etcd; writes docs/benchmarks.md
	$(BIN)/python -m tools.bench

fmt: $(VENV)/.synced ## format everything
	$(BIN)/ruff format src tests tools
	$(BIN)/ruff check --fix-only src tests tools
	cargo fmt --all
	@if command -v gofmt >/dev/null; then gofmt -w $(GO_FILES); fi

proto: $(VENV)/.synced ## regenerate the Python stubs of proto/
	$(BIN)/python tools/genproto.py

venv: $(VENV)/.synced ## the Python environment alone

peers: ## etcd, etcdctl and etcd's benchmark, from their Go modules
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory $(PEERS); \
	else echo "peers: go is not installed, so tests against a real etcd will be skipped"; fi

# Whatever keeps it from being there, everything else is measured.
kine: ## a peer of `make bench` alone, because it takes minutes to build
	@if ! command -v go >/dev/null; then echo "kine: go is not installed, so its rows are left out"; \
	elif ! $(MAKE) --no-print-directory tools/peers/bin/kine; then \
	  rm -f tools/peers/bin/kine; \
	  echo "kine: it could not be built, see above, so its rows are left out"; fi

clean: ## remove what was built
	rm -rf target dist $(VENV) .tools tools/peers/bin

.tools/uv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "decube needs Python >= 3.11: set PYTHON=...")'
	$(PYTHON) -m venv .tools/uv
	.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.synced: pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --no-install-project --inexact --python $(PYTHON)
	@touch $@

$(VENV)/.built: $(VENV)/.synced $(RUST_FILES) | docs-assets
	@command -v cargo >/dev/null || { echo "decube needs a Rust toolchain: see https://rustup.rs"; exit 1; }
	PATH="$(dir $(abspath $(UV))):$$PATH" VIRTUAL_ENV=$(abspath $(VENV)) \
	  $(BIN)/maturin develop --release --locked --uv
	@touch $@

.PHONY: docs-assets
docs-assets: $(VENV)/.synced
	@$(BIN)/python tools/docs_assets.py

tools/peers/bin/kine: tools/peers/kine/go.mod tools/peers/kine/go.sum
	cd tools/peers/kine && mkdir -p ../bin && go build -o ../bin/ tool
	@touch $@

$(PEERS): tools/peers/go.mod tools/peers/go.sum $(PEER_FILES)
	cd tools/peers && mkdir -p bin && go build -o bin/ tool
	@touch $@
