#!/bin/bash
# The three roles of Quillkeep, one for the replica, and the database. Run once, by the image, in an empty cluster.
set -euo pipefail
# In the environment of this one command: the image runs this file in the shell that becomes the server.
OWNER="$(cat /run/secrets/owner-password)" APP="$(cat /run/secrets/app-password)" \
DELIVERY="$(cat /run/secrets/delivery-password)" REPLICA="$(cat /run/secrets/replica-password)" \
psql --username postgres --dbname postgres --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
\getenv owner OWNER
\getenv app APP
\getenv delivery DELIVERY
\getenv replica REPLICA
CREATE ROLE quillkeep_owner LOGIN PASSWORD :'owner';
CREATE ROLE quillkeep_app LOGIN PASSWORD :'app';
CREATE ROLE quillkeep_delivery LOGIN PASSWORD :'delivery';
CREATE ROLE quillkeep_replica LOGIN REPLICATION PASSWORD :'replica';
CREATE DATABASE quillkeep OWNER quillkeep_owner TEMPLATE template0;
REVOKE ALL ON DATABASE quillkeep FROM PUBLIC;
GRANT CONNECT ON DATABASE quillkeep TO quillkeep_app, quillkeep_delivery;
SQL
cat >"$PGDATA/pg_hba.conf" <<'HBA'
# The superuser comes by the socket alone, with its password.
local all all scram-sha-256
host replication quillkeep_replica samenet scram-sha-256
host quillkeep quillkeep_owner,quillkeep_app,quillkeep_delivery samenet scram-sha-256
HBA
