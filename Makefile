# `make report` measures every MAC; `make test` checks everything; `make help` lists the rest. All
# set up what they need, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

# The package in one folder: links to its folders, which are its parts by configuration alone. mypy
# and what reads the imports know nothing of that.
WHOLE := build/lint/mlsmac
PARTS := $(patsubst %/__init__.py,%,$(filter-out package/%,$(wildcard */__init__.py)))

# Each core takes the tests in order from a place of its own, so that a file's fixtures are made once,
# and what is left of the other's when it is through.
CORES := -n 2 --dist worksteal

.PHONY: help report test lint style imports types unit sim documents setup system clean

help: ## lists these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

report: setup ## measures every MAC: build/report/report.html, report.json, energy.svg, area.svg
	$(BIN)/mlsmac report

test: lint unit sim ## checks everything: the three below, one after the other

lint: style imports types ## style and documents, who imports whom, types; a minute

unit: setup ## unit tests; `make unit TESTS=tests/golden` for some of them
	$(BIN)/pytest $(or $(TESTS),tests) $(CORES)

sim: setup ## simulation benches: every unit against golden
	$(BIN)/pytest sim $(CORES)

style: setup ## style of code and documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mlsmac.study.documents --check

imports: setup $(WHOLE) ## who imports whom, by the contracts of pyproject.toml
	cd $(dir $(WHOLE)) && $(abspath $(BIN))/lint-imports --no-logo ../../pyproject.toml

types: setup $(WHOLE) ## mypy
	cd $(dir $(WHOLE)) && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml -p mlsmac

documents: setup ## tables and plots of the documents from docs/results, and their lines wrapped
	$(BIN)/python -m mlsmac.study.documents

setup: $(INSTALLED)

system:
	@PYTHON=$(PYTHON) ./setup-system

$(INSTALLED): pyproject.toml constraints.txt | system
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# Made anew each time: it takes no time, and a folder that was renamed leaves no link.
.PHONY: $(WHOLE)
$(WHOLE):
	rm -rf $@ && mkdir -p $@
	ln -s $(addprefix ../../../,$(PARTS)) $(addprefix ../../../,$(wildcard package/*.py)) $@

clean: ## removes what was built, .venv too
	rm -rf build $(VENV)
