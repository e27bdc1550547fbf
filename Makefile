# make evolve: evolve activation functions on the bundled images (two to three minutes on two cores)
# make test:   lint, types, import contracts and tests
# make docs:   the documentation as a site, in build/site
# make bench:  what the speed-ups are on this machine (about half an hour on two cores)
# make mutants: put bugs into modules and report which the tests do not notice (an hour; MODULE=, SAMPLE=, SEED=)
# All make .venv first, if it is missing or if what it depends on has changed.

PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help evolve test docs bench mutants check-wheel clean

help:
	@echo "make evolve       evolve activation functions on the bundled images"
	@echo "make test         lint, types, import contracts and tests"
	@echo "make docs         build the documentation as a site, in build/site"
	@echo "make bench        measure the speed-ups on this machine, in one run, against a textbook version"
	@echo "make mutants      put bugs into modules, one at a time, and report which of them the tests do not notice"
	@echo "make check-wheel  install the built wheel into an empty environment and run it there"
	@echo "make clean        remove .venv and what was built"

.venv/.installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, got $$($(PYTHON) --version 2>&1): make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

evolve: .venv/.installed
	$(BIN)/python runs/quickstart.py

# the slow ones without coverage, which would double their time
test: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term -m "not slow" tests
	$(BIN)/python -m pytest -n 2 --maxschedchunk 1 -m slow tests

docs: .venv/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "the site is build/site/index.html; searching it needs a server: $(BIN)/python -m http.server -d build/site"

bench: .venv/.installed
	$(BIN)/python -m benchmarks

mutants: .venv/.installed
	nice $(BIN)/python scripts/mutants.py $(MODULE) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

check-wheel: .venv/.installed
	sh scripts/check_wheel.sh $(BIN)/python

clean:
	rm -rf .venv build dist *.egg-info
