# What a developer does here. `make` alone explains.
# LOCAL=dir and PORT=n choose where the local stack keeps its files and its ports; FUNCTIONS=each, a process a function.

PYTHON ?= python3
LOCAL ?= .local
NAME ?=
TESTS ?=
BUILDER ?= docker
IMAGE ?= chandlery:0.1.0
ARGS ?=
export LOCAL
ifdef PORT
export PORT
endif
ifdef FUNCTIONS
export FUNCTIONS
endif

BIN := .venv/bin
LOCAL_STACK := $(BIN)/python -m knative.local
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup build image up down status restart logs run test node node-down test-node bench lint format types lock generate previous clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  LOCAL=dir PORT=n choose another place and other ports, so that two stacks can run side by side"

setup: $(READY) ## the Python environment in .venv, from requirements.txt with its hashes

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@echo "installing $$(grep -c '^[a-zA-Z0-9]' requirements.txt) packages into .venv ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

build: $(READY) ## the programs of the local stack, from Go modules (13 minutes once, then cached in ~/.cache/chandlery)
	@$(LOCAL_STACK) build

up: $(READY) ## start the whole stack in the background
	@$(LOCAL_STACK) up

down: $(READY) ## stop it and wipe its files
	@$(LOCAL_STACK) down

status: $(READY) ## show its processes
	@$(LOCAL_STACK) status || true

restart: $(READY) ## restart one process: NAME=functions after a change of code
	@$(LOCAL_STACK) restart $(NAME)

logs: $(READY) ## follow its logs; NAME=functions for one of them
	@$(LOCAL_STACK) logs $(NAME)

run: $(READY) ## start it, run the example, and say how to go on; Ctrl-C stops it
	@$(LOCAL_STACK) run

node: $(READY) ## add a real node to it (root): docs/node.md says what that does to the machine
	@$(LOCAL_STACK) node

node-down: $(READY) ## take the real node away
	@$(LOCAL_STACK) node-down

test: build ## all tests, on real stacks of their own; TESTS=tests/functions for some
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --durations=15 $(TESTS)

test-node: $(READY) ## the tests that need a real node (root)
	@$(LOCAL_STACK) build --node
	@$(BIN)/python -m pytest -m node tests/node

bench: build ## how fast it is
	@$(BIN)/python -m tests.bench

lint: $(READY) ## style, imports and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

generate: $(READY) ## what follows from the code: CRDs, manifests, our chart, event schemas, the CLI's reference
	@$(BIN)/python -m events.catalog
	@$(BIN)/python -m shared.crds
	@$(BIN)/python -m knative.manifests
	@$(BIN)/python -m knative.chart
	@$(BIN)/python -m cli.reference

previous: $(READY) ## what this release leaves behind, for the next one's tests of upgrades: at each tag
	@PYTHONPATH=. $(BIN)/python tests/golden/previous/make.py

lock: $(READY) ## requirements.txt and requirements-image.txt, with hashes, from pyproject.toml
	@$(BIN)/uv pip compile --universal --generate-hashes --all-extras --no-header --python-version 3.11 -q \
		pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --universal --generate-hashes --extra cli --no-header --python-version 3.11 -q \
		-c requirements.txt pyproject.toml -o requirements-image.txt

format: $(READY) ## put the code in shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

image: ## the image; BUILDER=podman or buildah, IMAGE=name:tag, ARGS="--build-arg BASE=..."
	@$(BUILDER) build $(ARGS) --tag $(IMAGE) .

clean: ## remove the Python environment and caches of tools
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
