# make demo: learn to color on this machine, and look at the result.   make test: everything the project promises.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install -q --disable-pip-version-check --no-compile -c constraints.txt
# pip would compile 20,000 files on one core; some are templates of Python 2
COMPILE = .venv/bin/python -m compileall -q -j 0 .venv/lib > .venv/compile.log 2>&1 || true
MADE_FROM = settings.ini setup.py pyproject.toml constraints.txt

.PHONY: demo test test-lowest lessons lab slides docs export address wheel clean

demo: .venv/demo
	@.venv/bin/colorlab demo --out demo $(if $(FRESH),--fresh)

test: .venv/dev
	@PATH="$(CURDIR)/.venv/bin:$$PATH" tests/run

# the tests with the lowest versions that settings.ini allows, in a second environment
test-lowest: .venv-lowest/dev
	@PATH="$(CURDIR)/.venv-lowest/bin:$$PATH" tests/run

lessons: .venv/dev  # run every lesson in a fresh kernel and keep its outputs
	@.venv/bin/python tests/save_outputs.py $(LESSON)

lab: .venv/dev  # student notebooks of the four labs in labs/release, the teacher's in labs/source
	@.venv/bin/python tests/labs.py

slides: .venv/dev  # slides of the four labs, in slides/
	@.venv/bin/python tests/slides.py

docs: .venv/docs  # the site, docs/_build/html/index.html, from the saved outputs; a warning is an error
	@.venv/bin/python -W ignore docs/prepare.py
	@.venv/bin/sphinx-build -q -W --keep-going -j auto -c docs docs/_build/source docs/_build/html
	@.venv/bin/python -W ignore docs/build_page.py
	@echo "open docs/_build/html/index.html"

export: .venv/dev  # write the modules from the notebooks, and clean these
	@.venv/bin/nbdev-export
	@.venv/bin/nbdev-clean

address:  # write the repository's address, from settings.ini, into notebooks, README and pyproject.toml
	@$(PYTHON) tests/address.py

wheel: .venv/bin/python  # dist/colorlab-*.whl, to be uploaded beside a final notebook while there is no public repository
	@.venv/bin/python -m pip wheel -q --disable-pip-version-check --no-deps -w dist .

clean:
	rm -rf .venv .venv-lowest demo labs slides docs/_build build dist *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "colorlab needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python $(MADE_FROM)
	@echo "installing colorlab into .venv (once, a few minutes) ..."
	$(PIP) -e '.[train]'
	@$(COMPILE)
	@touch $@

.venv/dev: .venv/bin/python $(MADE_FROM)
	@echo "installing colorlab and what its authors need into .venv (once, a few minutes) ..."
	$(PIP) -e '.[dev]'
	@$(COMPILE)
	@touch $@ .venv/demo

.venv/docs: .venv/bin/python $(MADE_FROM)
	@echo "installing colorlab and what its site needs into .venv (once, a few minutes) ..."
	$(PIP) -e '.[docs]'
	@$(COMPILE)
	@touch $@ .venv/demo

.venv-lowest/dev: $(MADE_FROM)
	@echo "installing the lowest versions into .venv-lowest ..."
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install -q --disable-pip-version-check uv
	.venv-lowest/bin/uv pip install -q --python .venv-lowest/bin/python --resolution lowest-direct -e '.[dev]'
	@touch $@
