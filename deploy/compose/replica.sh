#!/bin/sh
# A streaming replica: copied from the primary when it is empty, then PostgreSQL on it. Its slot keeps what it misses.
set -eu
umask 077
data=/var/lib/postgresql/data
if [ ! -s "$data/PG_VERSION" ]; then
    find "$data" -mindepth 1 -delete # what an interrupted copy left
    printf 'postgres:5432:*:quillkeep_replica:%s\n' "$(cat /run/secrets/replica-password)" >/tmp/pgpass
    export PGPASSFILE=/tmp/pgpass
    psql --host postgres --username quillkeep_replica --dbname 'dbname=postgres replication=true' --no-password --quiet \
        --command 'CREATE_REPLICATION_SLOT replica_1 PHYSICAL RESERVE_WAL' || true # it is there since an earlier try
    pg_basebackup --host postgres --username quillkeep_replica --no-password --pgdata "$data" \
        --wal-method stream --slot replica_1 --checkpoint fast
    # The password goes into the replica's own folder, which nobody else reads.
    mv /tmp/pgpass "$data/replica.pgpass"
    cat >>"$data/postgresql.auto.conf" <<CONF
primary_conninfo = 'host=postgres user=quillkeep_replica passfile=$data/replica.pgpass application_name=replica_1'
primary_slot_name = 'replica_1'
CONF
    touch "$data/standby.signal"
fi
exec postgres -D "$data" -c max_connections=300 -c hot_standby=on -c hot_standby_feedback=on -c max_standby_streaming_delay=2s -c log_min_error_statement=panic
