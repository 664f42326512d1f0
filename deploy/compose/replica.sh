#!/bin/sh
# A streaming replica: copied from the primary when it is empty, then PostgreSQL on it. Its slot keeps what it misses.
set -eu
umask 077
data=/var/lib/postgresql/data
printf 'postgres:5432:*:quillkeep_replica:%s\n' "$(cat /run/secrets/replica-password)" >/tmp/pgpass
export PGPASSFILE=/tmp/pgpass
# A copy of the release before has no such mark: its script ended with these two.
if [ -s "$data/replica.pgpass" ] && [ -e "$data/standby.signal" ]; then touch "$data/copied-whole"; fi
if [ ! -e "$data/copied-whole" ]; then
    find "$data" -mindepth 1 -delete # what a copy that was cut off left
    chmod 0700 "$data" # the folder of a new volume is open, and PostgreSQL refuses to start on one
    psql --host postgres --username quillkeep_replica --dbname 'dbname=postgres replication=true' --no-password --quiet \
        --command 'DROP_REPLICATION_SLOT replica_1' || true # of an earlier try
    pg_basebackup --host postgres --username quillkeep_replica --no-password --pgdata "$data" --write-recovery-conf \
        --wal-method stream --create-slot --slot replica_1 --checkpoint fast
    touch "$data/copied-whole"
fi
exec postgres -D "$data" -c max_connections=300 -c hot_standby=on -c hot_standby_feedback=on -c max_standby_streaming_delay=2s -c log_min_error_statement=panic
