#!/bin/sh
# One command of manage.py with the environment of the units, and as their account: what root wrote into DATA_DIR or a
# folder of backups, they could not change. Static files alone are root's.
set -eu
home="$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")"
set -a
. /etc/quillkeep/environment
DATA_DIR=/var/lib/quillkeep STATIC_DIR=/opt/quillkeep/static PYTHONDONTWRITEBYTECODE=1
set +a
for file in /etc/quillkeep/secrets/*; do
    export "$(basename "$file" | tr a-z- A-Z_)=$(cat "$file")"
done
[ "${1:-}" = collectstatic ] || as='setpriv --reuid=quillkeep --regid=quillkeep --init-groups'
exec ${as:-} "$home/.venv/bin/python" "$home/manage.py" "$@"
