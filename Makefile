# What a person would guess. `make demo` and `make test` need nothing but Python 3.11+ and make.
PYTHON ?= python3
SCRIPT ?= examples/why-gpus-idle.txt
BIN := .venv/bin

.PHONY: help install extras demo test test-neural fuzz soak test-all audit lint format types serve clean

help:            ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

install: $(BIN)/.installed   ## the environment, with what tests need

$(BIN)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

extras: $(BIN)/.extras   ## torch, Coqui TTS, MusicGen, TensorFlow: the CPU builds that are tested together

$(BIN)/.extras: $(BIN)/.installed requirements/constraints-cpu.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements/constraints-cpu.txt --editable '.[coqui,musicgen,avatar,training]'
	touch $@

demo: install   ## an episode from an example script
	$(BIN)/studio create $(SCRIPT)

test: install   ## the tests: no card, no weights, no network
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-neural: extras   ## the tests that need an extra: tiny neural models, TensorFlow
	$(BIN)/python -m pytest tests/models tests/tasks -m 'slow and not gpu and not network'

fuzz: install   ## 100,000 inputs through every door: scripts, profiles, lists, manifests
	STUDIO_FUZZ_INPUTS=100000 $(BIN)/python -m pytest -n 2 tests/fuzz

soak: install   ## 100 episodes in a row: memory and file handles stay as they were
	STUDIO_SOAK_EPISODES=100 $(BIN)/python -m pytest -s -m slow tests/flows/test_soak.py

test-all: extras   ## every test that needs neither a card nor the network
	$(BIN)/python -m pytest -m 'not gpu and not network'

audit: install   ## do the packages fit together, and is one of them known to be vulnerable
	$(BIN)/python -m pip check
	test -x .audit/bin/pip-audit || ($(PYTHON) -m venv .audit && .audit/bin/pip install --quiet --disable-pip-version-check pip-audit)
	.audit/bin/pip-audit --progress-spinner off --path $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

lint: extras   ## ruff, the formatter and mypy (which reads torch's and TensorFlow's types)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install   ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

serve: install   ## server, work pools, deployments and a worker on this machine; Ctrl-C ends them all
	$(BIN)/studio serve $(SERVE)

clean:   ## remove the environment and everything made here
	rm -rf .venv .audit out .pytest_cache .mypy_cache .ruff_cache .hypothesis
