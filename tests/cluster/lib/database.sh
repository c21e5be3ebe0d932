# shellcheck shell=bash
# Debian's PostgreSQL as the database of the Kratos pods. Its data are prepared once and kept in the cache: initialised,
# with the database kratos_template, in which Kratos' hundreds of migrations have run already.

database_socket=/run/postgres

database_file() {
  local digest
  digest=$({ postgres_bin; kratos_program; kratos_version; declare -f prepare_database fill_database; } | sha256sum)
  printf '%s/images/postgres-%s.tar' "$cache" "${digest:0:12}"
}

# It needs a network of its own, for the port, and a /run of its own, which the postgres user may enter.
prepare_database() {
  local out temporary
  out=$(database_file)
  [ -f "$out" ] && return
  temporary=$(mktemp "$cache/images/.postgres.XXXXXX")
  unshare --net --mount --pid --fork --kill-child --mount-proc "$bed/lib/machine" database "$temporary" >"$cache/log/database.log" 2>&1 ||
    { tail -5 "$cache/log/database.log" >&2; rm -f "$temporary"; die "the database could not be prepared; see $cache/log/database.log"; }
  mv "$temporary" "$out"
}

fill_database() { # archive: inside those namespaces
  local data=$database_socket/data
  mount -t tmpfs tmpfs /run
  ip link set lo up
  install -d -o postgres "$database_socket" "$data"
  as_postgres "$(postgres_bin)/initdb" --pgdata "$data" --no-sync --auth trust --encoding UTF8 --locale C.UTF-8 --wal-segsize 1
  cat >>"$data/postgresql.conf" <<P
listen_addresses = '*'
unix_socket_directories = '$database_socket'
max_connections = 500
wal_level = minimal
max_wal_senders = 0
fsync = off
synchronous_commit = off
full_page_writes = off
P
  echo 'host all all 10.244.0.0/16 trust' >>"$data/pg_hba.conf"
  as_postgres "$(postgres_bin)/postgres" -D "$data" &
  wait_for 30 postgres psql -h "$database_socket" -U postgres -c 'CREATE DATABASE kratos_template'
  DSN='postgres://postgres@127.0.0.1:5432/kratos_template?sslmode=disable' "$(kratos_program)" migrate sql -e --yes
  # The first Kratos of a database makes its network. Two that start at once make one each, and then neither finds what
  # people began at the other.
  psql -h "$database_socket" -U postgres -d kratos_template -qc 'INSERT INTO networks (id, created_at, updated_at) VALUES (gen_random_uuid(), now(), now())'
  as_postgres "$(postgres_bin)/pg_ctl" -D "$data" stop --mode fast
  tar -C "$data" -cf "$1" .
}

as_postgres() { (cd / && exec setpriv --reuid postgres --regid postgres --init-groups "$@"); }

start_database() { # in the first node
  mkdir -p "$state/postgres"
  [ -f "$state/postgres/PG_VERSION" ] || tar -C "$state/postgres" -xf "$(database_file)"
  rm -f "$state/postgres/postmaster.pid" # of a server that ended with the node
  install -d -o postgres "$database_socket" "$database_socket/data"
  mount --bind "$state/postgres" "$database_socket/data" # the postgres user may not pass through a home folder
  keep postgres as_postgres "$(postgres_bin)/postgres" -D "$database_socket/data"
}
