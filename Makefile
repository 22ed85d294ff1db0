# make repro: every table and figure; make study: the study that judges CLASNet, then the page with it; make test: the style of the
# code and the tests. Each makes .venv first.

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: repro study test

.venv/installed: requirements.txt
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
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
	python -m pytest
