#!/bin/sh
# Gives the login roles their passwords as the database container is made. psql quotes them; they reach no log.
set -eu
psql -v ON_ERROR_STOP=1 --username postgres --dbname "$POSTGRES_DB" \
  -v app="$TANHENG_APP_PASSWORD" -v worker="$TANHENG_WORKER_PASSWORD" -v owner="$TANHENG_OWNER_PASSWORD" <<'SQL'
ALTER ROLE tanheng_app PASSWORD :'app';
ALTER ROLE tanheng_worker PASSWORD :'worker';
ALTER ROLE tanheng_owner PASSWORD :'owner';
SQL
