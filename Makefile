# Every line here is also what CI runs. `make help` lists the targets.
SHELL := /bin/bash
PY := .venv/bin/python
JOBS ?= 2
.DEFAULT_GOAL := help
.PHONY: help install demo test check lint types fmt arch unit shell process editors vscode vscode-install vscode-bench editors-bench models packages simulate fuzz killloop hostile bench generate check-generated clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

.venv/.installed: requirements.lock pyproject.toml
	@scripts/install
	@touch $@

install: .venv/.installed ## the virtual environment with the locked dependencies

demo: install ## the main job, with no key: a streamed turn with tool calls on an unsaved buffer in Neovim
	@$(PY) -m tests.demo

test: install packages lint types arch unit shell process editors vscode models simulate fuzz killloop hostile ## everything CI runs
	@scripts/report

check: install lint types arch unit ## the quick lane, under two minutes

lint: install ## ruff, format and rules
	@.venv/bin/ruff format --check -q . && .venv/bin/ruff check -q .

types: install ## mypy, strict
	@.venv/bin/mypy

fmt: install ## format and fix
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

arch: install ## layers, budgets, generated files
	@scripts/pytest arch tests/architecture tests/protocol

unit: install ## everything that starts no process of ours
	@scripts/pytest unit tests -m "not process and not slow and not editor and not real_model" -n $(JOBS) \
		--ignore tests/architecture --ignore tests/protocol --ignore tests/shell --ignore tests/vscode

shell: install packages ## commands, their policy and their sandbox; alone, because it starts hostile things
	@scripts/pytest shell tests/shell

process: install ## the real server as a process
	@scripts/pytest process tests -m "(process or slow) and not editor and not real_model" -n $(JOBS) --timeout 300 \
		--ignore tests/shell --ignore tests/vscode

editors: install packages ## real Neovim, Emacs, Vim and Kate, one after another
	@scripts/pytest editors tests -m editor --timeout 300 --ignore tests/vscode

models: install ## the embedded engine, and a real small model that plays real turns in it; fetches 0.6 GB once
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check "xllamacpp==2026.10.11549"
	@scripts/pytest models tests/local --timeout 900

vscode: install ## the VS Code extension in a real VS Code; installs about 1 GB into .cache
	@scripts/system-packages chromium
	@scripts/pytest vscode tests/vscode --timeout 900 --ignore tests/vscode/test_install.py

vscode-install: install ## VS Code without a server: installed by the extension's button, with real Python and pip
	@scripts/system-packages chromium
	@scripts/pytest vscode-install tests/vscode/test_install.py --timeout 600

vscode-bench: install ## VS Code: how soon a key is drawn while 10,000 deltas stream
	@scripts/system-packages chromium
	@scripts/pytest vscode-bench -s tests/vscode/bench_latency.py --timeout 300

editors-bench: install ## Neovim: how soon a key is drawn while 10,000 deltas stream
	@$(PY) -m tests.editors.bench_latency

packages:
	@scripts/system-packages bubblewrap emacs-nox elpa-eglot vim vim-ale kate xvfb xdotool imagemagick dbus tmux chromium strace

simulate: install ## 200,000 seeded schedules of the lane; SCHEDULES=5000000 for more
	@$(PY) -m tests.simulation --schedules $${SCHEDULES:-200000} --seed $${SEED:-0} --jobs $(JOBS)

fuzz: install ## 200,000 fuzzed frames in memory, and 200,000 fuzzed messages to the real process
	@$(PY) -m tests.wire.fuzz --count $${FRAMES:-200000} --seed $${SEED:-0}
	@$(PY) -m tests.fuzz --count $${MESSAGES:-200000} --seed $${SEED:-0} --jobs $(JOBS)

killloop: install ## 200 cycles of kill -9 at random and named points
	@$(PY) -m tests.crash --cycles $${CYCLES:-200} --seed $${SEED:-0} --jobs $(JOBS)

hostile: install packages ## 500 runs in which the model is the attacker and the user refuses whatever is asked
	@$(PY) -m tests.hostile --runs $${RUNS:-500} --seed $${SEED:-0} --jobs $(JOBS)

bench: install ## ratios against bare pygls in one run
	@$(PY) -m benchmarks

generate: install ## the checked-in schemas, and the types of the Neovim plugin
	@$(PY) -m lsp_agent schema > docs/protocol.schema.json
	@$(PY) -m lsp_agent config schema > docs/config.schema.json
	@$(PY) -m tests.editors.lua_types

clean: ## the environment and caches
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache
