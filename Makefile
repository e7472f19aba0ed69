# Gatepost: `make run` shows it working, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT_BASE ?= 2500

.PHONY: setup run test peers bench chaos lint openapi

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[postgresql,s3]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml','rb'))['dependency-groups']['dev'])")
	touch $@

run: setup
	$(BIN)/gatepost quickstart --dir var --port-base $(PORT_BASE)

lint: setup
	$(BIN)/ruff check gateway tests
	$(BIN)/mypy
	$(BIN)/lint-imports

# Tests start hundreds of programs: what is compiled is kept, whatever the environment says. They wait as often as
# they work: three at a time keep two cores busy.
test: setup lint
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist worksteal

peers:
	sh .ci/peers

bench: setup
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench control
	$(BIN)/python -m tests.bench.domains.run

chaos: setup
	$(BIN)/python -m tests.chaos

openapi: setup
	$(BIN)/python -m tests.support.openapi
