# make demo and make test set themselves up in .venv; they need Python >= 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PLAIN := .venv/installed
STAMP := .venv/installed-dev
# What has to hold with any backend; tests/backends itself covers loading in fresh processes.
CORE := $(addprefix tests/keras_skelmae/test_,fast.py layers.py losses.py models.py recipes.py residual.py)
EVERYWHERE := -q -m 'not slow and not conformance' -k 'not fresh_process' $(CORE)

.PHONY: venv demo test test-quick test-oldest test-backends test-robustness test-trainings test-models test-rest test-jax test-torch test-conformance fuzz bench lint docs clean

venv: $(STAMP)

$(PLAIN): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(STAMP): $(PLAIN)
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: $(PLAIN)
	$(BIN)/skelmae demo

PYTEST := $(BIN)/python -m pytest -q -m 'not slow and not conformance'
# What one process has had JAX compile the others need not.
test-backends test-jax: export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.pytest_cache/jax
test-backends test-jax: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0
# A quarter less to compile; tests/backends trains what is compiled in earnest.
test-jax: export JAX_DISABLE_MOST_OPTIMIZATIONS := 1
QUICK := $(addprefix tests/cli/test_,commands.py errors.py help.py settings.py startup.py)
QUICK += $(addprefix tests/keras_skelmae/test_,layers.py losses.py)
TRAININGS := $(addprefix tests/keras_skelmae/test_,training.py precision.py)
# Two at a time, the longest first; each prints when it is done.
test: $(STAMP)
	$(MAKE) --jobs=2 --output-sync=target test-backends test-models test-jax test-rest test-trainings test-robustness \
		test-oldest test-torch

# One backend, no training: what most changes break first
test-quick: $(STAMP)
	$(PYTEST) tests/test_architecture.py tests/test_docs.py tests/datasets $(QUICK)

test-backends test-robustness: test-%: $(STAMP)
	$(PYTEST) tests/$*

test-trainings: $(STAMP)
	$(PYTEST) $(TRAININGS)

test-models: $(STAMP)
	$(PYTEST) tests/keras_skelmae $(addprefix --ignore=,$(TRAININGS))

test-rest: $(STAMP)
	$(PYTEST) --ignore=tests/backends --ignore=tests/robustness --ignore=tests/keras_skelmae --ignore=tests/golden

test-jax: $(STAMP)
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(EVERYWHERE)

test-torch: $(STAMP)
	KERAS_BACKEND=torch $(BIN)/python -m pytest $(EVERYWHERE)

# The oldest Keras that pyproject.toml admits, and files that it and the newest one write for each other, in processes of
# their own.
OLDEST := $(CURDIR)/.venv/keras-oldest
$(OLDEST): $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --target $@ keras==3.12.1
	touch $@

test-oldest: $(OLDEST)
	$(PYTEST) tests/golden
	PYTHONPATH=$(OLDEST) $(PYTEST) -k 'not fresh_process' tests/golden $(addprefix tests/keras_skelmae/test_,layers.py models.py)

# Keras's own test of every layer; not in `make test`, since a Keras may come whose test asks for more
test-conformance: $(STAMP)
	for backend in tensorflow jax torch; do \
		KERAS_BACKEND=$$backend $(BIN)/python -m pytest -q -m conformance tests/keras_skelmae/test_conformance.py || exit 1; \
	done

FUZZ_COUNT ?= 20000
fuzz: $(STAMP)  # damaged inputs through every reader; FUZZ_COUNT=500000 FUZZ_SEED=1 for an hour of others
	$(BIN)/python benchmarks/fuzz_readers.py --count $(FUZZ_COUNT) --seed $(or $(FUZZ_SEED),0)
	$(BIN)/python benchmarks/fuzz_models.py --count $(FUZZ_COUNT) --seed $(or $(FUZZ_SEED),0)

bench: $(STAMP)  # a short form into bench/; PEERS=torch_reference.py for PyTorch beside it
	mkdir -p bench
	$(BIN)/python benchmarks/run.py --short --output bench $(if $(PEERS),--peers $(PEERS))

docs: $(STAMP)  # runs the tutorial for its pictures, then builds site/; some minutes
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	$(BIN)/python docs/make_pictures.py
	$(BIN)/mkdocs build --quiet --strict

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell .

clean:
	rm -rf .venv build dist site docs/pictures docs/_run skelmae_demo *.egg-info .pytest_cache .ruff_cache
