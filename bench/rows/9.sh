# Row 9: the proxy beside a direct call, nginx and npm http-proxy-3. The upstream is nginx with static files; all four
# take TLS from the driver with the same certificate and speak plain HTTP upstream.
# shellcheck shell=bash

dev main
bearer="$(token)"
upstream="http://127.0.0.1:$nginx_port"
provider="$(api POST /custom-providers "{\"display_name\":\"Bench\",\"proxy_url\":\"$upstream\",\"proxy_enabled\":true,
  \"auth_patterns\":[{\"type\":\"BEARER\",\"display_name\":\"Token\",\"fields\":[{\"field_name\":\"token\",\"label\":\"Token\",\"input_type\":\"password\",\"required\":true}]}]}" | json provider.identifier)"
connection="$(api POST /connections "{\"provider\":\"CUSTOM\",\"provider_key\":\"$provider\",\"type\":\"BEARER\"}")"
connection_name="$(json connection.key_id <<<"$connection")"
api PATCH "/connections/$(json connection.id <<<"$connection"):enable" '{}' >/dev/null

# One pass over 1,000 users.
measure 9 "create 1,000 connected accounts" 1 load --url "$url/api/v1/connected_accounts" --ca "$ca" --method POST \
  --header "authorization: Bearer $bearer" --header 'content-type: application/json' \
  --body "{\"connector\":\"$connection_name\",\"identifier\":\"user-{n%1000}\",\"connected_account\":{\"authorization_details\":{\"static_auth\":{\"details\":{\"token\":\"token-{n%1000}\"}}}}}" \
  --status 201 --connections 1 --requests 1000 --seconds 120 --warmup 0

proxy_port="$(free_port)"
background http-proxy-3 env NODE_ENV=production PORT="$proxy_port" UPSTREAM="$upstream" TLS_CERTIFICATE="$tls_certificate" \
  TLS_KEY="$tls_key" node "$(peer_script http-proxy.mjs)"
node_proxy_pid=$started
answers http-proxy-3 "https://localhost:$proxy_port/ok" --cacert "$ca"

bodies=(small medium)
[ "$rounds" -lt 5 ] || bodies+=(large)
for ((round = 1; round <= rounds; round++)); do
  for body in "${bodies[@]}"; do
    for connections in 1 16 64; do
      [ "$body" = small ] || [ "$connections" = 16 ] || continue
      shape=(load --ca "$ca" --contains '"ok":true' --connections "$connections" --seconds "$seconds" --warmup "$warmup")
      measure 9 "direct $body c=$connections" "$round" "${shape[@]}" --url "https://localhost:$nginx_tls_port/$body.json" --pid "$(nginx_worker)"
      measure 9 "nginx $body c=$connections" "$round" "${shape[@]}" --url "https://localhost:$nginx_proxy_port/$body.json" --pid "$(nginx_worker)"
      measure 9 "http-proxy-3 $body c=$connections" "$round" "${shape[@]}" --url "https://localhost:$proxy_port/$body.json" --pid "$node_proxy_pid"
      measure 9 "keystead $body c=$connections" "$round" "${shape[@]}" --url "$url/proxy/$body.json" --pid "$pid" \
        --header "authorization: Bearer $bearer" --header "connection_name: $connection_name" --header 'identifier: user-{n%1000}'
    done
  done
done
stop "$node_proxy_pid"
stop "$pid"
