#!/bin/sh
# Makes the virtual environment and installs exactly what requirements.lock names.
# usage: scripts/setup.sh PYTHON VENV
set -eu
python=$1 venv=$2
if [ -z "$python" ]; then
    echo "dataplatform needs Python 3.11 or later, and none was found." >&2
    echo "  → install it (Debian: apt-get install python3 python3-venv), or say: make PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    else
        echo "This Python cannot make virtual environments (ensurepip is missing)." >&2
        echo "  → as root: apt-get install python3-venv" >&2
        exit 1
    fi
fi
[ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { rm -rf "$venv"; "$python" -m venv "$venv"; }
echo "Installing into $venv (about half a minute) …"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -qq "$@"; }
pip install --no-deps -r requirements.lock
pip install --no-deps --no-build-isolation --editable .
scripts/mongod_libraries.sh "$venv"
