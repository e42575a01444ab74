# Everything runs inside .venv, without activation: `make -C path/to/trueup test` works from anywhere.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow soak bench notebooks lint docs screenshots lock jars clean
PY := .venv/bin/python

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

# Any Python 3 can say what is missing; the one that runs the project has to be found first.
setup:  ## make .venv from requirements.lock (skipped when it is up to date)
	@for p in python3.11 python3 python; do \
	  if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null; then exec "$$p" tools/preflight.py; fi; \
	done; echo "make setup needs Python 3.11 on the PATH; found no Python 3 at all. See tools/preflight.py." >&2; exit 1

demo: setup  ## the whole loop on real data, about 2 minutes; leaves its bucket in demo-root/
	@.venv/bin/trueup demo --root demo-root

test: setup  ## all tests that need nothing but .venv, on two cores (about 14 minutes)
	@$(PY) -m pytest --durations=15 --numprocesses=2 --dist=loadfile --no-loadscope-reorder

test-slow: setup  ## the slow tests, or those of one prerequisite: make test-slow K=s3
	@$(PY) -m pytest --durations=15 --slow='$(or $(K),all)'

soak: setup  ## a recorded long run of the service under load
	@$(PY) -m benchmarks.soak

bench: setup  ## what this machine does, recorded for `trueup bench` and `trueup emr plan`
	@$(PY) -m benchmarks

notebooks: setup  ## run the notebooks on a root made for it, and keep what they print and draw
	@$(PY) -m tools.notebooks

lint: setup  ## ruff over the whole tree, mypy over what ships
	@$(PY) -m ruff check .
	@$(PY) -m mypy

docs: setup  ## the documentation as a site, in site/; without network
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet
	@echo "docs: open site/index.html; to search, too: python3 -m http.server -d site"

screenshots: setup  ## the documentation's pictures, of demo-root/ in Chromium
	@$(PY) -m tools.site.screenshots

lock: setup  ## resolve requirements.in into requirements.lock
	@$(PY) tools/environment.py lock

jars: setup  ## what `make test-slow K=s3`, `K=spark`, `K=hadoop` and `K=yarn` need, by Maven into .cache/jars
	@$(PY) tools/jars.py

clean:  ## remove what runs leave behind, and keep .venv and .cache
	@rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
