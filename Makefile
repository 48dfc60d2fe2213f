# Two commands are enough: `make demo` and `make test`. Each sets up what it needs, once.
PYTHON ?= python3
VENV := .venv
TRAIN := .venv-train
ifeq ($(OS),Windows_NT)
SCRIPTS := Scripts
else
SCRIPTS := bin
endif
BIN := $(VENV)/$(SCRIPTS)
TRAIN_BIN := $(TRAIN)/$(SCRIPTS)
# A GPU build of onnxruntime: make EXTRA=gpu demo
EXTRA ?= cpu
# Two files of tests at a time; each worker holds the starter model: make SIDE_BY_SIDE= test for one.
SIDE_BY_SIDE ?= -n 2 --dist loadfile

.PHONY: help demo test test-train chromium conformance eval lint clean
help:
	@echo "make demo        set up, then show the main job on a real person's choices"
	@echo "make test        set up, then lint, type-check and test"
	@echo "make test-train  the tests that need torch (downloads about 200 MB more)"
	@echo "make chromium    fetch a Chromium, so that make test drives the page in it (Linux; needs npm)"
	@echo "make conformance  run the Model Context Protocol's own tests against the server (needs npm)"
	@echo "make eval        compare the methods on simulated people and the bundled samples"
	@echo "make clean       remove what was set up"

# The stamp is as old as the last installation: it is made again when pyproject.toml changes.
$(VENV)/installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up in $(VENV); the first time llama.cpp is compiled, which takes about 5 minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[$(EXTRA),starter,dev]"
	@touch $@

# An environment of its own: torch is large, and it wants an older huggingface_hub.
$(TRAIN)/installed: pyproject.toml
	@test -x $(TRAIN_BIN)/python || $(PYTHON) -m venv $(TRAIN)
	@echo "Setting up in $(TRAIN), with torch."
	$(TRAIN_BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(TRAIN_BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[$(EXTRA),starter,dev,sentence-transformers,export,bench,train]"
	@touch $@

demo: $(VENV)/installed
	@$(BIN)/python -m pocketpref demo

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/structure.py --check

test: lint
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not train"

# One after the other: torch fills the cores and the memory's bandwidth by itself.
test-train: $(TRAIN)/installed
	$(TRAIN_BIN)/python -m pytest -m train

# The tests of the page in a real browser are skipped where there is none.
chromium: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[browser]"
	$(BIN)/python -m tools.fetch_chromium

# The protocol's own tests. Once they are fetched, make test runs them, too.
conformance: $(VENV)/installed
	$(BIN)/python -m tools.mcp_conformance

# The figures that docs/evaluation.md says come from here: always the same ones.
eval: $(VENV)/installed
	$(BIN)/python -m tools.eval.simulated
	$(BIN)/python -m tools.eval.sample

clean:
	rm -rf $(VENV) $(TRAIN) .chromium .conformance .pytest_cache .mypy_cache .ruff_cache .hypothesis
