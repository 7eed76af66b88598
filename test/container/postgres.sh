#!/bin/sh
# Entry point of the stand-in for the official PostgreSQL image: the same variables, directory, order of events (a new
# database is set up by a server that answers on its unix socket only) and refusal to start without a password.
set -eu
data=/var/lib/postgresql/18/docker

if [ ! -s "$data/PG_VERSION" ]; then
  if [ -z "${POSTGRES_PASSWORD:-}" ]; then
    echo 'POSTGRES_PASSWORD is not set.' >&2
    exit 1
  fi
  printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
  # Clients come by the loopback device, which initdb's settings cover: they share the network namespace.
  initdb --pgdata="$data" --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust \
    --auth-host=scram-sha-256 --encoding=UTF8 --locale=C >/dev/null
  rm /tmp/password
  pg_ctl --pgdata="$data" --wait --options="-c listen_addresses='' -k /run/postgresql" start >/dev/null
  createdb --host=/run/postgresql --username="$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl --pgdata="$data" --wait stop >/dev/null
fi
exec postgres -D "$data" -c listen_addresses='*' -k /run/postgresql
