# Shared parts of the benchmarks; sourced by bench/run.
# shellcheck shell=bash

readonly BENCH="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/keystead"
readonly RUN_DIR="$(mktemp -d "${TMPDIR:-/tmp}/keystead-bench.XXXXXX")"
readonly STAMP="$(date -u +%Y%m%dT%H%M%SZ)"
readonly RAW="$BENCH/results/raw/$STAMP"
readonly DRIVER="$CACHE/bench-target/release/driver"
mkdir -p "$RAW" "$RUN_DIR"
chmod 711 "$RUN_DIR"

pids=()
pg_data=
say() { printf '== %s\n' "$*" >&2; }
die() { printf '!! %s\n' "$*" >&2; exit 1; }

cleanup() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  [ -z "$pg_data" ] || as_postgres "$pg_bin/pg_ctl" -D "$pg_data" -m immediate -w stop >/dev/null 2>&1 || true
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$RUN_DIR"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# --- What is needed --------------------------------------------------------------------------------

need() {
  local entry missing=()
  for entry in "$@"; do command -v "${entry#*:}" >/dev/null || missing+=("${entry%%:*}"); done
  [ "${#missing[@]}" = 0 ] || die "missing Debian packages: apt-get install ${missing[*]}"
}

build() {
  [ ! -d "$HOME/.cargo/bin" ] || PATH="$HOME/.cargo/bin:$PATH"
  say "building the driver"
  CARGO_TARGET_DIR="$CACHE/bench-target" cargo build -q --release --locked --manifest-path "$BENCH/driver/Cargo.toml"
  if [ -z "${KEYSTEAD_BIN:-}" ]; then
    say "building the product"
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CACHE/target}"
    cargo build -q --release --locked --manifest-path "$BENCH/../Cargo.toml" -p keystead
    KEYSTEAD_BIN="$CARGO_TARGET_DIR/release/keystead"
  fi
  [ -x "$KEYSTEAD_BIN" ] || die "no executable at KEYSTEAD_BIN=$KEYSTEAD_BIN"
}

need_peers() {
  local stamp
  stamp="$(sha256sum <"$BENCH/package-lock.json" | cut -d' ' -f1)"
  [ "$(cat "$CACHE/bench-peers.stamp" 2>/dev/null || true)" != "$stamp" ] || return 0
  say "installing the Node peers"
  mkdir -p "$CACHE/bench-peers"
  cp "$BENCH/package.json" "$BENCH/package-lock.json" "$CACHE/bench-peers/"
  npm ci --prefix "$CACHE/bench-peers" --no-audit --no-fund --loglevel=error
  printf '%s\n' "$stamp" >"$CACHE/bench-peers.stamp"
}

# Node looks for packages beside the script, so the peers' scripts go where the packages are.
peer_script() {
  cp "$BENCH"/peers/*.mjs "$CACHE/bench-peers/"
  printf '%s' "$CACHE/bench-peers/$1"
}

# --- Processes -------------------------------------------------------------------------------------

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# With two cores or more, servers and driver get cores of their own (unless UNPINNED=1).
if [ "$(nproc)" -ge 2 ] && [ -z "${UNPINNED:-}" ]; then
  on_server=(taskset -c 0)
  on_driver=(taskset -c 1)
else
  on_server=()
  on_driver=()
fi

# background NAME COMMAND…: starts a server; its process id is in $started, its output in RUN_DIR/NAME.log.
background() {
  local name="$1"
  shift
  # Emptied here and not only by the child, so that nobody reads what a former run said.
  : >"$RUN_DIR/$name.log"
  "${on_server[@]}" "$@" >>"$RUN_DIR/$name.log" 2>&1 &
  started=$!
  pids+=("$started")
}

stop() {
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
  local kept=() pid
  for pid in "${pids[@]}"; do [ "$pid" = "$1" ] || kept+=("$pid"); done
  pids=("${kept[@]}")
}
export RUST_BACKTRACE=0

# answers NAME URL [curl option…]: waits for 200.
answers() {
  local name="$1" url="$2" i
  shift 2
  for ((i = 0; i < 600; i++)); do
    ! curl -fsS -o /dev/null "$@" "$url" 2>/dev/null || return 0
    sleep 0.05
  done
  tail -20 "$RUN_DIR/$name.log" >&2 || true
  die "$name does not answer at $url"
}

# nginx_folder DIR: configuration and files of an nginx of its own: $nginx_port, $nginx_tls_port, $nginx_proxy_port.
nginx_folder() {
  local dir="$1" name
  mkdir -p "$dir/files"
  for name in small:180 medium:20000 large:1000000; do
    printf '{"ok":true,"fill":"%s"}' "$(head -c "${name#*:}" /dev/zero | tr '\0' x)" >"$dir/files/${name%:*}.json"
  done
  nginx_port="$(free_port)" nginx_tls_port="$(free_port)" nginx_proxy_port="$(free_port)"
  sed -e "s|@DIR@|$dir|g; s|@PORT@|$nginx_port|g; s|@TLS_PORT@|$nginx_tls_port|g; s|@PROXY_PORT@|$nginx_proxy_port|g" \
    -e "s|@CERTIFICATE@|$tls_certificate|g; s|@KEY@|$tls_key|g" "$BENCH/peers/nginx.conf" >"$dir/nginx.conf"
  # Started by root, nginx would give its worker to a user who cannot read the temporary folder.
  [ "$(id -u)" != 0 ] || sed -i '1a user root;' "$dir/nginx.conf"
}

start_nginx() {
  nginx_folder "$RUN_DIR/nginx"
  background nginx nginx -p "$RUN_DIR/nginx" -c "$RUN_DIR/nginx/nginx.conf"
  nginx_pid=$started
  answers nginx "http://127.0.0.1:$nginx_port/ok"
}

# The worker does the work.
nginx_worker() { pgrep -P "$nginx_pid" | head -1; }

# --- The product -----------------------------------------------------------------------------------

# dev NAME [DATABASE_URL]: `keystead dev` on a folder of its own: $url, $pid, $client_id, $client_secret, $ca.
dev() {
  local name="$1" folder="$RUN_DIR/$1"
  [ -z "${2:-}" ] || export KEYSTEAD_DATABASE_URL="$2"
  background "$name" "$KEYSTEAD_BIN" dev --data "$folder" --port "${dev_port:-0}"
  unset KEYSTEAD_DATABASE_URL
  pid=$started
  local i
  for ((i = 0; i < 600; i++)); do
    url="$(sed -n 's/^ready //p' "$RUN_DIR/$name.log")"
    [ -z "$url" ] || break
    kill -0 "$pid" 2>/dev/null || { cat "$RUN_DIR/$name.log" >&2; die "keystead dev ended"; }
    sleep 0.05
  done
  [ -n "$url" ] || die "keystead dev did not get ready"
  client_id="$(sed -n 's/^SCALEKIT_CLIENT_ID=//p' "$folder/dev.env")"
  client_secret="$(sed -n 's/^SCALEKIT_CLIENT_SECRET=//p' "$folder/dev.env")"
  ca="$folder/tls/ca.pem"
  tls_certificate="$folder/tls/localhost.pem" tls_key="$folder/tls/localhost.key"
}

# serve FOLDER [DATABASE_URL]: the data of a stopped `dev` behind a plain listener: $url, $pid.
serve() {
  local folder="$1" database="${2:-sqlite:$1/keystead.db}" port admin
  port="$(free_port)" admin="$(free_port)"
  cat >"$folder/bench.toml" <<TOML
[server]
public_url = "http://127.0.0.1:$port"
listen = "127.0.0.1:$port"
admin_listen = "127.0.0.1:$admin"
max_connections_per_address = 0
[database]
url = "$database"
[root_key]
file = "$folder/root.key"
[mail]
folder = "$folder/mail"
[seed]
admin_email = "bench@example.test"
TOML
  chmod 600 "$folder/bench.toml"
  url="http://127.0.0.1:$port"
  mkdir -p "$folder/mail"
  serve_command=("$KEYSTEAD_BIN" serve --config "$folder/bench.toml")
  background "serve-$port" "${serve_command[@]}"
  pid=$started
  answers "serve-$port" "$url/keys"
}

# token: a bearer of the API client for $url.
token() {
  curl -fsS ${ca:+--cacert "$ca"} -d grant_type=client_credentials -d "client_id=$client_id" \
    -d "client_secret=$client_secret" "$url/oauth/token" | json access_token
}

# api METHOD PATH [BODY]: one call of the REST API.
api() {
  curl -fsS ${ca:+--cacert "$ca"} -X "$1" -H "authorization: Bearer $bearer" -H 'content-type: application/json' \
    ${3:+--data "$3"} "$url/api/v1$2"
}

# json A.B.C: a value of the JSON document on standard input.
json() {
  python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value[int(name) if name.isdigit() else name]
print(value)' "$1"
}

# --- PostgreSQL ------------------------------------------------------------------------------------

as_postgres() {
  # PostgreSQL refuses to run as root.
  if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; else "$@"; fi
}

start_postgres() {
  [ -z "$pg_data" ] || return 0
  pg_bin="$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -1)"
  [ -n "$pg_bin" ] || die "missing Debian packages: apt-get install postgresql"
  local dir="$RUN_DIR/postgres" password port
  password="$(secret)"
  mkdir -p "$dir/socket"
  (umask 077 && printf '%s' "$password" >"$dir/password")
  [ "$(id -u)" != 0 ] || chown -R postgres: "$dir"
  as_postgres "$pg_bin/initdb" -D "$dir/data" -U keystead --auth=scram-sha-256 --pwfile="$dir/password" \
    --encoding=UTF8 --locale=C >"$dir/initdb.log"
  port="$(free_port)"
  # Durable as in production: fsync and synchronous_commit stay on.
  "${on_server[@]}" setpriv --reuid="$(stat -c %u "$dir/data")" --clear-groups --regid="$(stat -c %g "$dir/data")" -- \
    "$pg_bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$dir/socket -c max_connections=200 -c shared_buffers=256MB -c max_wal_size=4GB" \
    start >/dev/null
  pg_data="$dir/data"
  export PGPASSWORD="$password" PGHOST=127.0.0.1 PGPORT="$port" PGUSER=keystead
  pg_base="postgres://keystead:$password@127.0.0.1:$port"
}

new_database() {
  psql -qc "CREATE DATABASE $1" postgres
  database_url="$pg_base/$1"
}

# --- Measuring -------------------------------------------------------------------------------------

# quiet: waits until everything else uses less than a tenth of a core; prints "quiet" or "noisy".
quiet() {
  local tries="${QUIET_TRIES:-10}" i busy
  for ((i = 0; i < tries; i++)); do
    busy="$(awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat)"
    sleep 0.5
    busy=$(($(awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat) - busy))
    [ "$busy" -gt 5 ] || { echo quiet; return; }
  done
  echo noisy
}

# record ROW VARIANT ROUND JSON: keeps one raw result.
record() {
  python3 - "$@" "$(cut -d' ' -f1 /proc/loadavg)" >>"$RAW/row-$1.jsonl" <<'PY'
import json, sys
row, variant, round_, result, load = sys.argv[1:]
print(json.dumps({"row": row, "variant": variant, "round": int(round_), "load_average": float(load), "result": json.loads(result)}))
PY
}

# measure ROW VARIANT ROUND DRIVER-ARGUMENT…: runs the driver and keeps its result.
measure() {
  local row="$1" variant="$2" round="$3" result state
  shift 3
  state="$(quiet)"
  result="$("${on_driver[@]}" "$DRIVER" "$@")" || die "the driver failed for $variant"
  result="${result%\}},\"machine\":\"$state\"}"
  record "$row" "$variant" "$round" "$result"
  printf '   %-44s %s\n' "$variant" "$(python3 -c '
import json, sys
r = json.loads(sys.argv[1])
keys = ("rps", "p50_ms", "p99_ms", "server_cpu_us_per_request", "errors", "first_error", "machine", "first_answer_ms", "idle_mb", "entries", "last_pages_p50_ms")
show = lambda v: f"{v:.3g}" if isinstance(v, float) and v < 100 else f"{v:.0f}" if isinstance(v, float) else str(v)
print("  ".join(f"{k}={show(r[k])}" for k in keys if k in r))' "$result")" >&2
}

# environment: what the numbers depend on.
environment() {
  {
    uname -srm
    sed -n 's/^model name[^:]*: /cpu: /p' /proc/cpuinfo | head -1
    printf 'cores: %s\n' "$(nproc)"
    sed -n 's/^flags[^:]*: /flags: /p' /proc/cpuinfo | head -1 | grep -oE 'flags:|avx512[a-z_]*|sha_ni|vaes|aes' | tr '\n' ' '
    printf '\n'
    "$KEYSTEAD_BIN" --version | head -1
    openssl version
    nginx -v 2>&1
    printf 'node %s\n' "$(node --version)"
    sqlite3 --version | cut -c1-16
    git -C "$BENCH" describe --always --dirty 2>/dev/null || true
  } >"$RAW/environment.txt"
}
