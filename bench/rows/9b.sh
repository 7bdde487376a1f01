# Row 9b: 1,000 calls at once on a token that no longer works. The upstream takes 200 ms for a refresh, counts the
# refreshes and revokes the grant when a spent refresh token comes back.
# shellcheck shell=bash

upstream_port="$(free_port)"
upstream="http://127.0.0.1:$upstream_port"
background upstream "$DRIVER" upstream --port "$upstream_port" --delay-ms 200
upstream_pid=$started
answers upstream "$upstream/count"

# Negative control: the upstream does notice a spent refresh token.
curl -fsS -o /dev/null "$upstream/token" -d grant_type=refresh_token -d refresh_token=first-refresh
! curl -fsS -o /dev/null "$upstream/token" -d grant_type=refresh_token -d refresh_token=first-refresh 2>/dev/null ||
  die "the upstream took a spent refresh token"

setup_connection() {
  bearer="$(token)"
  local provider connection id
  provider="$(api POST /custom-providers "{\"display_name\":\"Stampede\",\"proxy_url\":\"$upstream/api\",\"proxy_enabled\":true,
    \"auth_patterns\":[{\"type\":\"OAUTH\",\"display_name\":\"OAuth\",\"oauth_config\":{\"authorize_uri\":\"$upstream/authorize\",\"token_uri\":\"$upstream/token\"}}]}" | json provider.identifier)"
  connection="$(api POST /connections "{\"provider\":\"CUSTOM\",\"provider_key\":\"$provider\",\"type\":\"OAUTH\"}")"
  id="$(json connection.id <<<"$connection")" connection_name="$(json connection.key_id <<<"$connection")"
  api PATCH "/connections/$id" "{\"provider\":\"CUSTOM\",\"type\":\"OAUTH\",\"provider_key\":\"$provider\",
    \"oauth_config\":{\"authorize_uri\":\"$upstream/authorize\",\"token_uri\":\"$upstream/token\",\"client_id\":\"c\",\"client_secret\":\"s\"}}" >/dev/null
}

# grant USER RESET-QUERY: the upstream starts anew and the user holds its first tokens.
grant() {
  curl -fsS -o /dev/null "$upstream/reset?$2"
  api POST /connected_accounts "{\"connector\":\"$connection_name\",\"identifier\":\"$1\",\"connected_account\":{\"authorization_details\":
    {\"oauth_token\":{\"access_token\":\"first-access\",\"refresh_token\":\"first-refresh\"}}}}" >/dev/null
}

# stampede VARIANT ROUND USER STATUS [driver argument…]
stampede() {
  local variant="$1" round="$2" user="$3" status="$4" result count
  shift 4
  result="$("${on_driver[@]}" "$DRIVER" burst --url "$url/proxy/items" --ca "$ca" --status "$status" --count 1000 \
    --header "authorization: Bearer $bearer" --header "connection_name: $connection_name" --header "identifier: $user" "$@")"
  count="$(curl -fsS "$upstream/count")"
  result="${result%\}},\"upstream\":$count}"
  record 9b "$variant" "$round" "$result"
  printf '   %-44s %s\n' "$variant" "$result" >&2
}

# expire SQL-COMMAND…: makes the stored token a past one, while the server is stopped. No job refreshes it first.
expire() {
  "$@" "UPDATE connected_accounts SET token_expires_at = 1, refresh_due_at = NULL WHERE identifier LIKE 'expired-%'"
}

dev stampede
setup_connection
for ((round = 1; round <= rounds; round++)); do
  grant "refused-$round" access=expired
  stampede "token refused upstream, one node" "$round" "refused-$round" 200

  grant "expired-$round" access=expired
  dev_port="${url##*:}"
  stop "$pid"
  expire sqlite3 "$RUN_DIR/stampede/keystead.db"
  dev stampede
  dev_port=0
  stampede "token expired, one node" "$round" "expired-$round" 200

  grant "revoked-$round" 'access=expired&refuse=true'
  # The upstream's own 401 is returned: it says more than the platform's error would.
  stampede "refresh refused, one node" "$round" "revoked-$round" 401
done

# The process dies while the refresh is on its way: the refresh token must not be sent a second time.
grant killed 'access=expired&delay_ms=3000'
"${on_driver[@]}" "$DRIVER" burst --url "$url/proxy/items" --ca "$ca" --count 1000 --header "authorization: Bearer $bearer" \
  --header "connection_name: $connection_name" --header "identifier: killed" >/dev/null &
burst=$!
for ((i = 0; i < 500; i++)); do
  [ "$(curl -fsS "$upstream/count" | json token_requests)" = 0 ] || break
  sleep 0.01
done
kill -9 "$pid"
wait "$burst" || true
stop "$pid"
dev stampede
bearer="$(token)"
# The first call finds the abandoned lease, all others an account whose user must authorize again.
curl -sS -o /dev/null --cacert "$ca" "$url/proxy/items" -H "authorization: Bearer $bearer" \
  -H "connection_name: $connection_name" -H 'identifier: killed'
stampede "killed during the refresh, then 1,000 calls" 1 killed 400
stop "$pid"

# Two nodes on one PostgreSQL database.
if command -v psql >/dev/null; then
  start_postgres
  new_database stampede
  shared_url="$database_url"
  dev stampede-a "$shared_url"
  setup_connection
  node_a_url="$url" node_a_pid="$pid" node_a_ca="$ca" node_a_client="$client_id" node_a_secret="$client_secret"
  mkdir -m 700 "$RUN_DIR/stampede-b"
  # The same root key, certificate and client on both nodes. Each is its own issuer here, so each gets its own token.
  cp -r "$RUN_DIR/stampede-a/root.key" "$RUN_DIR/stampede-a/tls" "$RUN_DIR/stampede-a/dev.env" "$RUN_DIR/stampede-b/"
  dev stampede-b "$shared_url"
  node_b_url="$url" node_b_pid="$pid" node_b_bearer="$(token)"
  url="$node_a_url" ca="$node_a_ca" client_id="$node_a_client" client_secret="$node_a_secret"
  for ((round = 1; round <= rounds; round++)); do
    grant "both-$round" access=expired
    stampede "token refused upstream, two nodes" "$round" "both-$round" 200 --also "$node_b_url" \
      --also-header "authorization: Bearer $node_b_bearer"
  done
  stop "$node_a_pid"
  stop "$node_b_pid"
fi
stop "$upstream_pid"
