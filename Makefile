# make repro: every table and figure; make test: the tests. Each makes .venv first.

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export OMP_NUM_THREADS := 1
# glibc gives large tensors back to the system after every operation; keeping them saves a sixth of a training, to the same bytes
export MALLOC_MMAP_THRESHOLD_ := 1073741824
export MALLOC_TRIM_THRESHOLD_ := 1073741824
JOBS ?= 2

.PHONY: repro test

.venv/installed: requirements.txt
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

# Independent stages run JOBS at a time, each on one thread; the last line does what is left and checks that all is up to date.
repro: .venv/installed
	dvc repro --quiet check
	for stages in 'features 2' 'train\|import 2' 'evaluate\|control\|complexity\|card 6'; do \
	  set -- $$stages; \
	  dvc stage list --name-only | grep "^\($$1\)" | xargs -P $(JOBS) -n $$2 dvc --wait-for-lock repro --quiet --single-item || exit 1; \
	done
	dvc repro

test: .venv/installed
	python -m pytest
