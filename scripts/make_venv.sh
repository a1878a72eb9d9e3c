#!/bin/sh
# A virtual environment with pip, also from Debian's Python without python3-venv: as root that is installed,
# as an ordinary user Debian's pip is unpacked into a temporary folder and installs itself.
# usage: scripts/make_venv.sh PYTHON VENV
set -eu
python=$1 venv=$2
if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    exec "$python" -m venv "$venv"
fi
if command -v apt-get >/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "python$version-venv" >/dev/null &&
            exec "$python" -m venv "$venv"
    else
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
        apt() { command "$@" -qq -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o Debug::NoLocking=1; }
        apt apt-get update >/dev/null 2>&1 || true
        (cd "$work" && apt apt-get download python3-pip-whl >/dev/null 2>&1 && dpkg-deb -x python3-pip-whl*.deb .) || true
        wheel=$(echo "$work"/usr/share/python-wheels/pip-*.whl)
        if [ -e "$wheel" ]; then
            "$python" -m venv --without-pip "$venv"
            PYTHONPATH=$wheel "$venv/bin/python" -m pip --disable-pip-version-check -qq install "$wheel"
            exit 0
        fi
    fi
fi
echo "$python cannot make virtual environments (ensurepip is missing)." >&2
echo "  → as root: apt-get install python3-venv" >&2
exit 1
