#!/bin/sh
# Makes .env from .env.example, or fills in what an .env lacks: passwords, a key, the owner's number. Needs nothing but sh. May be repeated.
set -eu
cd "$(dirname "$0")/.."
umask 077
[ -e .env ] || cp .env.example .env
chmod 600 .env
[ -z "$(tail -c1 .env)" ] || echo >> .env  # a last line that has no end
made=
# of the checkout; root's is handed to the image's own user, for nothing runs as root
owner() {
    number=$(ls -nd . | awk '{print $3}')
    if [ "$number" = 0 ]; then
        number=10001
        chown -R "$number" metadata secrets objects
    fi
    echo "$number"
}
word() { od -An -vtx1 -N24 /dev/urandom | tr -d ' \n'; }
value() {
    case $1 in
        DATAPLATFORM_UID) owner ;;
        DATAPLATFORM_SECRETS_KEY) dd if=/dev/urandom bs=32 count=1 2>/dev/null | base64 | tr '+/' '-_' | tr -d '\n' ;;
        *) word ;;
    esac
}
for name in $(sed -n -E 's/^([A-Z0-9_]*(PASSWORD|SECRETS_KEY|_UID))=$/\1/p' .env.example); do
    now=$(sed -n "s/^$name=//p" .env | tail -1)
    case $now in
        "" | change-me*)
            grep -q "^$name=" .env || echo "$name=" >> .env
            sed "s|^$name=.*|$name=$(value "$name")|" .env > .env.new
            mv .env.new .env
            made="$made $name"
            ;;
    esac
done
[ "$(id -u)" != 0 ] || chown "$(ls -nd . | awk '{print $3}')" .env  # with sudo: it is the checkout's owner's
echo "${made:+made:$made
}.env is ready: docker compose up -d"
