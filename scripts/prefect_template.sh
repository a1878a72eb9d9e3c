#!/bin/sh
# An empty database of this version of Prefect, migrated once: every new HOME begins with a copy of it instead of
# migrating for five seconds.    usage: scripts/prefect_template.sh VENV
set -eu
venv=$1
template=$("$venv/bin/python" -c 'from dataplatform.embedded.prefect_server import template; print(template())')
[ -e "$template" ] && exit 0
mkdir -p "$(dirname "$template")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PREFECT_HOME=$work PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1 \
    PREFECT_API_DATABASE_CONNECTION_URL=sqlite+aiosqlite:///$work/prefect.db \
    "$venv/bin/python" -m prefect server database upgrade -y >"$work/log" 2>&1 &&
    "$venv/bin/python" - "$work/prefect.db" "$work/whole.db" <<'PY' && mv "$work/whole.db" "$template"
import sqlite3, sys

with sqlite3.connect(sys.argv[1]) as source:  # one file, without its write-ahead log
    source.execute("vacuum into ?", (sys.argv[2],))
PY
[ -e "$template" ] || { echo "Prefect's database could not be prepared; the first start takes longer:" >&2; tail -3 "$work/log" >&2; }
