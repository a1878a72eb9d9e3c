#!/bin/sh
# Brings the web pages' libraries into the package, in pinned versions, from npm. What it writes is kept in git: nobody
# who installs or runs dataplatform needs npm.
# usage: scripts/vendor_web.sh
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
get() { # package version file to
    [ -d "$work/$1" ] || { mkdir -p "$work/$1" && (cd "$work/$1" && npm pack --silent "$1@$2" >/dev/null && tar xzf ./*.tgz); }
    mkdir -p "$(dirname "$4")" && cp "$work/$1/package/$3" "$4" && chmod 644 "$4"
}
static=$here/platform/dataplatform/web/static/vendor
get htmx.org 2.0.11 dist/htmx.min.js "$static/htmx.min.js"
get htmx.org 2.0.11 LICENSE "$static/htmx.LICENSE.txt"
get htmx-ext-sse 2.2.4 dist/sse.min.js "$static/htmx-sse.min.js"
get htmx-ext-sse 2.2.4 LICENSE "$static/htmx-sse.LICENSE.txt"
get uplot 1.6.32 dist/uPlot.iife.min.js "$static/uplot.min.js"
get uplot 1.6.32 dist/uPlot.min.css "$static/uplot.min.css"
get uplot 1.6.32 LICENSE "$static/uplot.LICENSE.txt"
get @picocss/pico 2.1.1 css/pico.min.css "$static/pico.min.css"
get @picocss/pico 2.1.1 LICENSE.md "$static/pico.LICENSE.txt"
get axe-core 4.14.1 axe.min.js "$here/tests/data/axe.min.js"
