# make repro: every table and figure; make study: the study that judges CLASNet, then the page with it; make test: the style of the
# code and the tests. Each makes .venv first.

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
export PATH := $(CURDIR)/$(BIN);$(PATH)
PYTHON := python
else
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
PYTHON := python3
endif

.PHONY: repro study test

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

repro: .venv/installed
	python -m stages.progress

study: .venv/installed
	dvc repro study/dvc.yaml
	dvc repro --force --single-item check
	dvc repro

test: .venv/installed
	ruff check
	ruff format --check
	python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
