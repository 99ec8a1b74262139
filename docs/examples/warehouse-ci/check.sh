#!/bin/sh
# What a change of a dbt project that imports rep_ai does, before it is merged; started in its
# folder. It stops at the first step that fails.
#
#   PRODUCTION  a folder with the manifest.json of production
#   CI_SCHEMA   schema of this change on the warehouse, such as pr_12: never production's
#
# Targets of profiles.yml: `dev` is a DuckDB file (VISITS_DUCKDB), `ci` the warehouse (CI_SCHEMA).
set -eu
: "${PRODUCTION:?name the folder with manifest.json of production}" "${CI_SCHEMA:?}"
summary=${GITHUB_STEP_SUMMARY:-/dev/stdout}
work=${DBT_TARGET_PATH:-target}
mkdir -p "$work"
export VISITS_DUCKDB="$work/check.duckdb"
rm -rf "$VISITS_DUCKDB" "$work/dumps"

echo '1. dbt reads the project without a warning'
dbt --quiet deps
dbt --quiet --warn-error parse --no-partial-parse --target dev

echo '2. unit tests, models and data tests on sample dumps, on DuckDB'
rep-ai sample --days 4 --sessions-per-day 40 "$work/dumps"
rep-ai run --quiet --target dev "$work/dumps"

echo '3. the warehouse takes each model, without rows'
dbt --quiet build --target ci --empty --exclude-resource-type test unit_test

echo '4. models that have changed, and what is made of them, from the rows of production'
dbt build --target ci --select state:modified+ --defer --favor-state --state "$PRODUCTION"

echo '5. rows and columns beside those of production'
python3 - "$PRODUCTION/manifest.json" "$work/run_results.json" > "$work/places.json" <<'EOF'
import json
import sys

manifest, results = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
places = {}
for result in results["results"]:
    if result["unique_id"].startswith("model."):
        node = manifest["nodes"].get(result["unique_id"])
        names = {"database": "database", "schema": "schema", "identifier": "alias"}
        places[result["unique_id"]] = node and {key: node[name] for key, name in names.items()}
print(json.dumps({"production": places}))
EOF
{
    echo '### Changed models beside production'
    dbt --quiet run-operation --target ci rep_ai_compare --args "$(cat "$work/places.json")"
} >> "$summary"
