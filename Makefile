# make demo: learn to color on this machine, and look at the result.   make test: everything the project promises.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install -q --disable-pip-version-check --no-compile -c constraints.txt
UV = .venv/bin/uv pip install -q --system-certs --python .venv/bin/python -c constraints.txt
# uv installs the same versions in a fifth of pip's time; pip takes over where uv fails, as behind a mirror that only pip knows
INSTALL = $(UV) -e '.[$(1)]' || { echo 'uv failed; pip goes on ...'; $(PIP) -e '.[$(1)]'; }
MADE_FROM = settings.ini setup.py pyproject.toml constraints.txt
# a file of Python is compiled when it is first imported, and kept: a third of all files ever is
unexport PYTHONDONTWRITEBYTECODE

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
	@$(PIP) uv || echo 'no uv to be had; pip goes on without it'

.venv/demo: .venv/bin/python $(MADE_FROM)
	@echo "installing colorlab into .venv (once, a few minutes) ..."
	@$(call INSTALL,train)
	@touch $@

.venv/dev: .venv/bin/python $(MADE_FROM)
	@echo "installing colorlab and what its authors need into .venv (once, a few minutes) ..."
	@$(call INSTALL,dev)
	@touch $@ .venv/demo

.venv/docs: .venv/bin/python $(MADE_FROM)
	@echo "installing colorlab and what its site needs into .venv (once, a few minutes) ..."
	@$(call INSTALL,docs)
	@touch $@ .venv/demo

.venv-lowest/dev: $(MADE_FROM)
	@echo "installing the lowest versions into .venv-lowest ..."
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install -q --disable-pip-version-check uv
	.venv-lowest/bin/uv pip install -q --system-certs --python .venv-lowest/bin/python --resolution lowest-direct -e '.[dev]'
	@touch $@
