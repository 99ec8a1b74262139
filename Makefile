# From a fresh clone on: git, make and Python 3.11, 3.12 or 3.13 are enough.

BIN := .venv/bin
PYTHONS := python3 python3.13 python3.12 python3.11 python
# dbt 1.11 does not run on Python 3.14
PYTHON_FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
# modules become bytecode when they are first imported: most of them never are
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
LOCK := $(BIN)/uv pip compile pyproject.toml --group build --quiet --universal --python-version 3.11 \
	--generate-hashes --no-strip-extras --custom-compile-command 'make lock' $(UPGRADE)

.DELETE_ON_ERROR:
.PHONY: help run start-over check test models-tested test-engine test-engines test-schedulers replay lint \
	style python-style dbt-style sql-style bench chaos fuzz report docs clean lock \
	release-notes

SAMPLE := sample.duckdb
WAREHOUSE := warehouse.duckdb
# a page is of the warehouse, or of the samples as long as there is nothing else
CHOOSE = case "$${REP_AI_DUCKDB:-$${REP_AI_TARGET:-dev}}" in dev) \
	if [ ! -e $(SAMPLE) ]; then :; elif [ -e $(WAREHOUSE) ]; then \
		echo 'This is of $(WAREHOUSE); of the samples: make $@ REP_AI_DUCKDB=$(SAMPLE)'; \
	else export REP_AI_DUCKDB=$(SAMPLE); echo 'This is of the samples in $(SAMPLE).'; fi;; esac

help: ## list what make can do
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

# samples never meet real dumps, whatever the environment says
ifeq ($(DUMPS),)
run: override export REP_AI_TARGET := dev
run: override export REP_AI_DUCKDB := $(SAMPLE)
run: override export REP_AI_PUBLISH :=
$(foreach name,PROJECT_DIR PROFILES_DIR PROFILE TARGET,$(foreach prefix,DBT DBT_ENGINE,\
	$(if $($(prefix)_$(name)),$(eval run: override export $(prefix)_$(name) :=))))
endif
run: .venv/.run $(if $(DUMPS),,sample_dumps) ## dumps in, marts out; DUMPS="path ..." or sample dumps
	@$(BIN)/rep-ai run $(or $(DUMPS),sample_dumps) || { code=$$?; [ $$code -ne 3 ] || \
		echo 'The marts are built. Some files were rejected, so this ends with an error.' >&2; \
		exit $$code; }
	@$(if $(DUMPS),,echo; echo 'These are samples, in a file of their own: $(SAMPLE).' \
		'A page of them: make report REP_AI_DUCKDB=$(SAMPLE)')

start-over: .venv/.run ## set sample.duckdb and warehouse.duckdb aside; nothing is removed
	@$(BIN)/python -m rep_ai.start_over

# far from the default, so that a unit test which reads days has to say whose
UNIT := {rep_ai_unit_tests: true, rep_ai_timezone: Pacific/Kiritimati}
# what has changed since the branch began; SINCE is any commit
SINCE = $(shell git merge-base HEAD origin/main 2>/dev/null || echo HEAD)
CHANGED = $(shell git diff --name-only --diff-filter=d $(SINCE) -- $(1))
QUICK := $(addprefix tests/python/,dump/test_document.py dump/test_sample.py landing/test_sources.py)

check: export REP_AI_TARGET := dev
check: export REP_AI_DUCKDB := target/check/warehouse.duckdb
check: SQL = $(call CHANGED,'analyses/*.sql' 'models/*.sql' 'tests/*.sql')
check: MODELS = $(basename $(notdir $(call CHANGED,'models/*.sql')))
check: style ## a first answer within two minutes, about what has changed since SINCE
	$(if $(strip $(SQL)),REP_AI_DUCKDB=:memory: $(BIN)/sqlfluff lint --disable-progress-bar $(SQL))
	rm -rf target/check
	$(BIN)/rep-ai sample target/check/dumps --days 3 --sessions-per-day 40
	$(BIN)/rep-ai run --quiet target/check/dumps
	$(if $(strip $(MODELS)),$(BIN)/dbt test --quiet --vars '$(UNIT)' \
		--select $(foreach model,$(MODELS),test_type:unit,$(model)))
	$(BIN)/python -m pytest --quiet --numprocesses 2 $(QUICK)

test: export REP_AI_TARGET := dev
test: ## everything that CI runs
	@$(TOGETHER) .venv/.test .venv/.warehouses models-tested sql-style
	REP_AI_DUCKDB=target/test/warehouse.duckdb $(BIN)/python -m pytest --numprocesses 2 --dist loadfile \
		--no-loadscope-reorder

# what takes long on one processor goes beside other things
TOGETHER = $(MAKE) --no-print-directory --jobs 2

models-tested: export REP_AI_DUCKDB := target/test/warehouse.duckdb
models-tested: export DBT_TARGET_PATH := target/test/dbt
models-tested: python-style
	rm -rf target/test
	$(BIN)/rep-ai sample target/test/dumps
	$(BIN)/rep-ai ingest target/test/dumps
	$(BIN)/dbt build --quiet --empty --exclude-resource-type test
	$(BIN)/dbt test --quiet --select test_type:unit --vars '$(UNIT)'
	$(BIN)/dbt build --quiet

test-engines: .venv/.test ## PostgreSQL and Spark beside DuckDB, and nothing else
	$(BIN)/python -m pytest tests/python/engines

test-schedulers: .venv/.test ## the examples of docs/schedule.md, each with its scheduler, in target/schedulers
	REP_AI_SCHEDULERS=1 $(BIN)/python -m pytest tests/python/docs/test_schedule.py

# `make test-engine TARGET=snowflake`: the environment says where it is, as docs/engines.md has it
test-engine: .venv/.test .venv/.warehouses ## a warehouse with an account beside DuckDB: TARGET=...
	PYTHONPATH=tests/python/engines:tests/python/shared REP_AI_REPLAY_SEED=0 \
		$(BIN)/python tests/python/engines/with_account.py $(TARGET)

replay: .venv/.test ## the replay test for long: HISTORIES=20, SEED=number
	REP_AI_REPLAYS=$(or $(HISTORIES),20) REP_AI_REPLAY_SEED=$(SEED) REP_AI_REPLAY_TRIES=20 \
		$(BIN)/python -m pytest tests/python/models/test_replay.py -k 'every_step and not postgres'

lint: .venv/.test ## style, types, and that dbt reads the project without a warning
	@$(TOGETHER) python-style sql-style

# what lint says at once
style: .venv/.test
	@$(TOGETHER) python-style dbt-style

python-style: .venv/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

dbt-style: export REP_AI_DUCKDB := :memory:
dbt-style: .venv/.test
	$(BIN)/dbt parse --quiet --warn-error --no-partial-parse --vars '$(UNIT)'
	$(BIN)/dbt-bouncer
	$(BIN)/dbt-score lint
	@! grep -rnE --include='*.sql' '.{101}' analyses models macros tests || { echo 'lines over 100'; exit 1; }

sql-style: export REP_AI_DUCKDB := :memory:
sql-style: dbt-style
	$(BIN)/sqlfluff lint --disable-progress-bar analyses models tests

# a quick look: REP_AI_BENCH_MB=100 REP_AI_BENCH_DAYS="30 90"
bench: .venv/.test ## how fast ingest is beside other ways, and what a night costs after a year
	$(BIN)/python tests/bench/ingest.py
	$(BIN)/python tests/bench/marts.py

chaos: .venv/.test ## kill runs some hundred times (REP_AI_KILLS), and compare all tables each time
	REP_AI_KILLS=$${REP_AI_KILLS:-100} $(BIN)/python -m pytest tests/python/landing/test_chaos.py

fuzz: .venv/.test ## damage documents for long, and load what takes minutes
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest tests/python/dump/test_fuzz.py \
		tests/python/dump/test_document.py

report: .venv/.run ## the marts as one page to look at: target/report.html
	@$(CHOOSE); $(BIN)/rep-ai report

docs: .venv/.run ## the documentation of the models: target/static_index.html
	@$(CHOOSE); $(BIN)/dbt docs generate --static && \
		echo "The page: $${DBT_TARGET_PATH:-target}/static_index.html#!/overview/rep_ai"

VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
release-notes: ## what CHANGELOG.md says of the version in pyproject.toml
	@awk '/^## \[/ {found = index($$0, "## [$(VERSION)]"); next} found {print; some = 1} END {exit !some}' \
		CHANGELOG.md

clean: ## remove what make made, but no database
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache ingest/*.egg-info logs
	rm -rf sample_dumps target

# the drivers of some warehouses cannot be beside those of other extras
WAREHOUSES := snowflake databricks bigquery redshift
EXTRAS := azure dev gcs metrics postgres report s3 sftp spark
lock: .venv/bin/python ## renew the lock files from pyproject.toml; UPGRADE=--upgrade takes the newest
	$(INSTALL) uv
	$(LOCK) $(EXTRAS:%=--extra %) --output-file requirements-dev.lock
	$(LOCK) --extra postgres --extra report --constraint requirements-dev.lock \
		--output-file requirements.lock
	$(LOCK) $(WAREHOUSES:%=--extra %) --output-file requirements-warehouses.lock

sample_dumps: | .venv/.run
	@rm -rf target/sample_dumps
	@mkdir -p target
	$(BIN)/rep-ai sample target/sample_dumps
	@mv target/sample_dumps $@

.venv/.run: requirements.lock pyproject.toml .venv/bin/python
	@echo 'Installing requirements.lock into .venv (half a minute or so)'
	@$(INSTALL) --require-hashes --requirement requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.test: requirements-dev.lock .venv/.run
	@echo 'Installing requirements-dev.lock into .venv'
	@$(INSTALL) --require-hashes --requirement requirements-dev.lock
	@touch $@

.venv/.warehouses: requirements-warehouses.lock .venv/bin/python
	@echo 'Installing requirements-warehouses.lock into .venv/warehouses (700 MB)'
	@$(BIN)/python -m venv .venv/warehouses
	@.venv/warehouses/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--require-hashes --requirement requirements-warehouses.lock
	@touch $@

.venv/bin/python:
	@for python in $(PYTHONS) ''; do \
		if [ "$$python" ] && $$python -c '$(PYTHON_FITS)' 2>/dev/null; then break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo 'Python 3.11, 3.12 or 3.13 is needed, and none is on the PATH.' >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$python cannot make virtual environments: a part of its library is missing" \
			"(Debian, Ubuntu: apt install $$python-venv)." >&2; exit 1; \
	fi; \
	$$python -m venv --clear .venv
