# Everything that a newcomer needs: `make run`, `make test`, `make check`. Needs Python 3.11+ with pip and venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The requirements' hash names the stamp, so a changed lock installs anew and an unchanged one costs nothing.
LOCK := $(shell cat requirements.txt requirements-dev.txt | cksum | tr -s ' ' '-')
STAMP := $(VENV)/installed-$(LOCK)
ARGS ?=
export PORT
.DEFAULT_GOAL := help
.PHONY: help venv run servers test check lock bench faults clean

help:
	@echo "make run     start everything on http://localhost:8000 (PORT=8001 for another port)"
	@echo "make servers PostgreSQL and Valkey alone, to restore a backup into"
	@echo "make test    all tests, with their own servers (ARGS=\"-k publish\" passes on)"
	@echo "make check   lint, types, import contracts, missing and unsafe migrations, deploy check"
	@echo "make bench   measurements (ARGS=--quick for less than 3 minutes)"
	@echo "make faults  what is lost when something dies"
	@echo "make lock    compile the requirements anew"

venv: $(STAMP)

$(STAMP): requirements-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	rm -f $(VENV)/installed-*
	touch $@

run: $(STAMP)
	@exec $(BIN)/python -m cms_project.run

servers: $(STAMP)
	@exec $(BIN)/python -m cms_project.run --servers-only

test: $(STAMP)
	@$(BIN)/python -m pytest $(if $(findstring -n,$(ARGS)),,-n auto --dist worksteal) $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python -m tests.script_check
	$(BIN)/python -m tests.migration_check
	$(BIN)/python -m tests.deploy_check

lock: $(STAMP)
	rm -f requirements.txt requirements-dev.txt deploy/requirements-extras.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--python-version 3.11 pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--python-version 3.11 --extra s3 --extra vault -c requirements.txt pyproject.toml \
		-o deploy/requirements-extras.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--python-version 3.11 --all-extras -c requirements.txt pyproject.toml -o requirements-dev.txt

bench: $(STAMP)
	@test -f bench/__main__.py || { echo "bench: not built yet" >&2; exit 2; }
	@$(BIN)/python -m bench $(ARGS)

faults: $(STAMP)
	@test -f bench/faults.py || { echo "faults: not built yet" >&2; exit 2; }
	@$(BIN)/python -m bench.faults $(ARGS)

clean:
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
