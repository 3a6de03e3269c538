# One command for each thing people do here; `make` alone lists them.
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev,inspector,lab,lerobot,serve
SYSTEM_PACKAGES := chromium libegl1 libgl1 libosmesa6
LIBERO_TASK := libero:object/pick_up_the_cream_cheese_and_place_it_in_the_basket
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# glibc gives big tensors back to the system at each training step, which costs half of the time unless told not to.
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := 20000000000

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint lab inspect notebooks bench faults libero setup-libero test-libero system-deps

help:  ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.installed  ## create .venv and install everything, once

$(BIN)/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	python3 -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: setup  ## run the whole method on the tabletop, or go on where it stopped, and say where the report is
	$(BIN)/wovr-lab run --scale demo --run runs/demo --force

test: setup  ## run all tests, a process on each of up to four cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: setup  ## check style with ruff
	$(BIN)/ruff check .

lab: setup  ## open JupyterLab on the first notebook
	$(BIN)/jupytext --update --to ipynb notebooks/[0-9]*.py
	$(BIN)/jupyter lab notebooks/00_map.ipynb

inspect: setup  ## open the inspector: the real and the imagined world side by side
	@# it trains nothing and shall give back what closed tabs needed
	env -u MALLOC_MMAP_MAX_ -u MALLOC_TRIM_THRESHOLD_ $(BIN)/wovr-lab inspect

SCALE ?= smoke
notebooks: setup  ## execute every notebook into runs/notebooks, as pages to look at (SCALE=demo: in full, which takes an hour or two)
	$(BIN)/python notebooks/run.py $(if $(filter-out smoke,$(SCALE)),-p scale $(SCALE))

bench: setup  ## measure speed on this machine
	$(BIN)/python benchmarks/tabletop_speed.py
	$(BIN)/python benchmarks/imagination_speed.py

faults: setup  ## kill, starve, damage and mistype everything there is, in half an hour or so, and count what survives
	@# the inspector's memory is measured as `make inspect` runs it
	env -u MALLOC_MMAP_MAX_ -u MALLOC_TRIM_THRESHOLD_ OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m every_fault tests/faults

libero: setup-libero  ## install LIBERO and run every stage of the loop on one of its tasks, at smoke scale
	$(BIN)/wovr-lab doctor
	$(BIN)/wovr-lab run --env $(LIBERO_TASK) --scale smoke --run runs/libero-smoke

setup-libero: $(VENV)/.installed-libero  ## install LIBERO with all of its assets; `make test` then tests it, too

test-libero: setup-libero  ## build and reset every task of LIBERO's suites, which takes half an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 -m every_task tests/real/libero

$(VENV)/.installed-libero: $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS),libero]'
	@touch $@

system-deps:  ## install what needs root: Chromium for the browser tests, GL libraries for LIBERO (Debian, Ubuntu)
	@dpkg -s $(SYSTEM_PACKAGES) > /dev/null 2>&1 || { $(SUDO) apt-get update && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(SYSTEM_PACKAGES); }
