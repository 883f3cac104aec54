# make demo and make test set themselves up in .venv; they need Python >= 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: venv demo test lint docs clean

venv: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/skelmae demo

test: $(STAMP)
	$(BIN)/python -m pytest -q -m 'not slow'

docs: $(STAMP)  # runs the tutorial for its pictures, then builds site/; some minutes
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	$(BIN)/python docs/make_pictures.py
	$(BIN)/mkdocs build --quiet --strict

lint: $(STAMP)
	$(BIN)/ruff check .

clean:
	rm -rf .venv build dist site docs/pictures docs/_run skelmae_demo *.egg-info .pytest_cache .ruff_cache
