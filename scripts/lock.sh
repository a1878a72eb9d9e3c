#!/bin/sh
# Writes requirements.lock from pyproject.toml: one file for every Python ≥ 3.11 and every system, with markers;
# versions only. What is locked stays where it is unless pyproject asks for more; UPGRADE=1 takes the newest.
# usage: scripts/lock.sh VENV
set -eu
venv=$1
new=$(mktemp)
trap 'rm -f "$new"' EXIT
[ "${UPGRADE:-}" ] || cp requirements.lock "$new"
"$venv/bin/python" -m uv --quiet pip compile --universal --python-version 3.11 \
    --extra embedded --extra demo --extra dev --extra setup \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml --output-file "$new"
{
    echo "# Written by \`make lock\` from pyproject.toml: the exact versions that \`make setup\` installs, for every"
    echo "# Python from 3.11 on and every system (the markers say where one differs)."
    grep -vE "^#|== 'never'" "$new" | sed 's/ ;/;/'
} > requirements.lock
