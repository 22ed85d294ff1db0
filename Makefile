# make repro: every table and figure; make test: the style of the code and the tests. Each makes .venv first.

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: repro test

.venv/installed: requirements.txt
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

repro: .venv/installed
	python -m stages.progress

test: .venv/installed
	ruff check
	ruff format --check
	python -m pytest
