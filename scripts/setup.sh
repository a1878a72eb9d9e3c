#!/bin/sh
# Makes the virtual environment and installs exactly what requirements.lock names: with uv, or with pip where
# uv does not work. Needs nothing but Python ≥ 3.11; as an ordinary user, too.
# usage: scripts/setup.sh PYTHON VENV
set -eu
python=$1 venv=$2
# a /tmp that is not open to everyone stops ordinary users, and root's apt, whose downloads are another user's
[ -n "${TMPDIR:-}" ] || [ -k /tmp ] || [ ! -w /var/tmp ] || { TMPDIR=/var/tmp && export TMPDIR; }
if [ -z "$python" ]; then
    echo "dataplatform needs Python 3.11 or later, and none was found." >&2
    echo "  → install it (Debian: apt-get install python3 python3-venv), or say: make PYTHON=/path/to/python3" >&2
    exit 1
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "$python is $("$python" --version 2>&1); dataplatform needs Python 3.11 or later." >&2
    echo "  → say: make PYTHON=/path/to/python3" >&2
    exit 1
}
[ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 &&
    "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { rm -rf "$venv"; scripts/make_venv.sh "$python" "$venv"; }
echo "Installing into $venv with $("$venv/bin/python" --version) (some seconds to a minute) …"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -qq "$@"; }
with_uv() {
    uv=$(grep '^uv==' requirements.lock) && pip install --no-deps "$uv" || return 1
    uv() { "$venv/bin/python" -m uv --quiet --no-progress pip install --python "$venv/bin/python" "$@"; }
    uv --no-deps --compile-bytecode -r requirements.lock &&
        uv --no-deps --no-build-isolation --editable .
}
with_pip() {
    echo "uv does not work here; installing with pip, which takes a minute longer …"
    pip install --no-deps -r requirements.lock
    pip install --no-deps --no-build-isolation --editable .
}
# uv brings certificates of its own; behind a proxy only the system's will do
with_uv 2>/dev/null || UV_SYSTEM_CERTS=1 with_uv || with_pip
scripts/mongod_libraries.sh "$venv"
scripts/prefect_template.sh "$venv"
