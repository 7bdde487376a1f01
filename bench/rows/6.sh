# Row 6: organizations at growing sizes, on both engines: create, get, list, search; a LIKE scan of the same table and
# the bare database inserts for comparison.
# shellcheck shell=bash

# load_sqlite FILE ENVIRONMENT FIRST LAST, load_postgres DATABASE ENVIRONMENT FIRST LAST: rows as the product writes them.
load_sqlite() {
  sed -e "s/@ENV@/$2/g; s/@FIRST@/$3/g; s/@LAST@/$4/g" "$BENCH/sql/organizations.sqlite.sql" | sqlite3 -bail "$1"
}
load_postgres() {
  psql -q -v ON_ERROR_STOP=1 -v env="$2" -v first="$3" -v last="$4" -f "$BENCH/sql/organizations.postgres.sql" "$1"
}

organizations() { # ENGINE SIZE
  local engine="$1" size="$2" label="$1 rows=$2" round term auth="authorization: Bearer $bearer"
  local get=(load --connections 1 --seconds "$seconds" --warmup "$warmup" --header "$auth" --pid "$pid")
  for ((round = 1; round <= rounds; round++)); do
    measure 6 "list first page, $label" "$round" "${get[@]}" --url "$url/api/v1/organizations?page_size=30" --contains "next_page_token"
    # rare: one name has it; frequent: every name; absent: none.
    for term in "rare:k7$((size - 1))x" frequent:company absent:zzqqzz; do
      local wanted='"organizations"'
      [ "${term%%:*}" = absent ] || wanted='"display_name"'
      measure 6 "search ${term%%:*}, $label" "$round" "${get[@]}" --url "$url/api/v1/organizations:search?query=${term#*:}&page_size=30" --contains "$wanted"
    done
  done
  measure 6 "walk, $label" 1 walk --url "$url/api/v1/organizations?page_size=100" --header "$auth" --list organizations
}

creating() { # ENGINE SIZE
  local round connections body='{"display_name":"Company {n}","external_id":"bench-{n}"}'
  for ((round = 1; round <= rounds; round++)); do
    for connections in 1 16 64; do
      # Each caller may make 60,000 requests a minute; a fresh server has counted none.
      restart
      measure 6 "create c=$connections, $1 rows=$2" "$round" load --url "$url/api/v1/organizations" --method POST \
        --header "authorization: Bearer $bearer" --header 'content-type: application/json' --body "$body" --status 201 \
        --contains '"external_id"' --connections "$connections" --seconds "$seconds" --warmup "$warmup" --pid "$pid"
    done
    [ "$1" != postgres ] || bare_inserts "$round"
  done
}

# The same three durable rows without a product around them.
bare_inserts() {
  local connections tps
  for connections in 1 16 64; do
    tps="$("${on_driver[@]}" pgbench -n -M prepared -f "$BENCH/sql/three_rows.sql" -c "$connections" -j 1 \
      -T "${seconds%.*}" bare 2>/dev/null | awk '/^tps/ { print $3 }')"
    record 6 "pgbench three rows c=$connections" "$1" "{\"rps\":$tps,\"errors\":0}"
    printf '   %-44s rps=%s\n' "pgbench three rows c=$connections" "$tps" >&2
  done
}

# scan_ms ENGINE: a LIKE scan of the same table, median of three, in milliseconds.
scan() { # ENGINE SIZE
  local ms query="SELECT count(*) FROM organizations WHERE search_text LIKE '%zzqqzz%'"
  if [ "$1" = sqlite ]; then
    ms="$(for _ in 1 2 3; do printf '.timer on\n%s;\n' "$query" | sqlite3 "file:$folder/keystead.db?mode=ro"; done |
      awk '/real/ { print $4 * 1000 }' | sort -g | sed -n 2p)"
  else
    ms="$(for _ in 1 2 3; do psql -q -c '\timing on' -c "$query" "$database"; done | awk '/^Time/ { print $2 }' | sort -g | sed -n 2p)"
  fi
  record 6 "LIKE scan, $1 rows=$2" 1 "{\"p50_ms\":$ms,\"errors\":0}"
  printf '   %-44s p50_ms=%s\n' "LIKE scan, $1 rows=$2" "$ms" >&2
}

for engine in sqlite postgres; do
  database="organizations" folder="$RUN_DIR/row6-$engine" database_url=
  if [ "$engine" = postgres ]; then
    need postgresql-client:psql postgresql-contrib:pgbench
    start_postgres
    new_database "$database"
    main_url="$database_url"
    new_database bare
    psql -q -f "$BENCH/sql/bare.sql" bare
    database_url="$main_url"
  fi
  dev "row6-$engine" "$database_url"
  stop "$pid"
  ca=
  restart() {
    [ -z "${row6_pid:-}" ] || stop "$row6_pid"
    serve "$folder" "${database_url:-sqlite:$folder/keystead.db}"
    row6_pid="$pid" bearer="$(token)"
  }
  loaded=0
  for size in "${sizes[@]}"; do
    [ -z "${row6_pid:-}" ] || stop "$row6_pid"
    row6_pid=
    say "loading $size rows into $engine"
    if [ "$engine" = sqlite ]; then
      env_id="$(sqlite3 "$folder/keystead.db" 'SELECT default_environment_id FROM installation')"
      load_sqlite "$folder/keystead.db" "$env_id" $((loaded + 1)) "$size"
    else
      env_id="$(psql -qAtc 'SELECT default_environment_id FROM installation' "$database")"
      load_postgres "$database" "$env_id" $((loaded + 1)) "$size"
    fi
    loaded="$size"
    restart
    organizations "$engine" "$size"
    scan "$engine" "$size"
  done
  creating "$engine" "$loaded"
  stop "$row6_pid"
  row6_pid=
done
