# `make report` measures every MAC; `make test` checks everything. Both set up what they need, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: report test docs-tables setup system lint clean

report: setup
	$(BIN)/mlsmac report

test: setup lint
	$(BIN)/pytest tests -n 2
	$(BIN)/pytest sim -n 2

# README.md and docs/ from docs/results and from the rows' own documentation.
docs-tables: setup
	$(BIN)/python -m mlsmac.study.documents

setup: $(INSTALLED)

system:
	@PYTHON=$(PYTHON) ./setup-system

# The folders are the package's by configuration alone: a link shows them to mypy as one.
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p build/typing && ln -sfn ../.. build/typing/mlsmac
	cd build/typing && ../../$(BIN)/mypy --config-file ../../pyproject.toml \
	    $(foreach package,support golden hw units sim synth study cli data,-p mlsmac.$(package))

$(INSTALLED): pyproject.toml constraints.txt | system
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf build $(VENV)
