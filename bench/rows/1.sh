# Row 1: client_credentials with RS256, beside npm oidc-provider and the bare RSA signature of OpenSSL.
# shellcheck shell=bash

serve "$RUN_DIR/main"
product_url="$url" product_pid="$pid" ca=
peer_port="$(free_port)" peer_secret="$(secret)"
background oidc-provider env NODE_ENV=production PORT="$peer_port" PEER_DB="$RUN_DIR/peer.db" PEER_SECRET="$peer_secret" \
  node "$(peer_script oidc-provider.mjs)"
peer_pid=$started
answers oidc-provider "http://127.0.0.1:$peer_port/jwks"

# token_load VARIANT ROUND CONNECTIONS SECRET CLIENT BASE TOKEN_PATH JWKS_PATH PID
token_load() {
  local variant="$1" round="$2" connections="$3" client="$4" secret="$5" base="$6" path="$7" keys="$8" of="$9"
  measure 1 "$variant c=$connections" "$round" load --url "$base$path" --method POST \
    --header 'content-type: application/x-www-form-urlencoded' \
    --body "grant_type=client_credentials&client_id=$client&client_secret=$secret" --contains '"access_token"' \
    --jwks "$base$keys" --connections "$connections" --seconds "$seconds" --warmup "$warmup" --pid "$of"
}

for ((round = 1; round <= rounds; round++)); do
  # One core, as the server has; the median of the rounds is the cost of a signature.
  signs="$("${on_server[@]}" openssl speed -seconds 1 rsa2048 2>/dev/null | awk '/rsa 2048/ { print $(NF - 1) }')"
  record 1 "openssl rsa2048" "$round" "{\"rps\":$signs,\"server_cpu_us_per_request\":$(python3 -c "print(1e6 / $signs)"),\"errors\":0}"
  printf '   %-44s rps=%s\n' "openssl rsa2048, one core" "$signs" >&2
  for connections in 1 16 64; do
    token_load keystead "$round" "$connections" "$client_id" "$client_secret" "$product_url" /oauth/token /keys "$product_pid"
    token_load oidc-provider "$round" "$connections" bench "$peer_secret" "http://127.0.0.1:$peer_port" /token /jwks "$peer_pid"
  done
done
stop "$product_pid"
stop "$peer_pid"
