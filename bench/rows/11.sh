# Row 11: time to the first answer, idle memory and size.
# shellcheck shell=bash

serve "$RUN_DIR/main"
stop "$pid"
existing_url="$url" existing=("${serve_command[@]}")
mkdir -p "$RUN_DIR/empty"
cp "$RUN_DIR/main/root.key" "$RUN_DIR/empty/"
serve "$RUN_DIR/empty"
stop "$pid"
fresh_url="$url" fresh=("${serve_command[@]}")
peer_port="$(free_port)"
# The other rows' nginx keeps its ports.
start_port="$(nginx_folder "$RUN_DIR/nginx-start" && echo "$nginx_port")"

first=(start --count "$starts")
measure 11 "nginx" 1 "${first[@]}" --url "http://127.0.0.1:$start_port/ok" -- \
  nginx -p "$RUN_DIR/nginx-start" -c "$RUN_DIR/nginx-start/nginx.conf"
measure 11 "keystead, existing data" 1 "${first[@]}" --url "$existing_url/keys" -- "${existing[@]}"
measure 11 "keystead, empty database" 1 "${first[@]}" --url "$fresh_url/keys" \
  --before "rm -f '$RUN_DIR'/empty/keystead.db*" -- "${fresh[@]}"
measure 11 "oidc-provider" 1 "${first[@]}" --url "http://127.0.0.1:$peer_port/jwks" -- \
  env NODE_ENV=production PORT="$peer_port" PEER_DB="$RUN_DIR/start.db" PEER_SECRET="$(secret)" node "$(peer_script oidc-provider.mjs)"

sizes_mb="$(python3 -c '
import os, sys
binary, folder = sys.argv[1:]
tree = sum(os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk(folder) for name in names)
print(f"{{\"binary_mb\": {os.path.getsize(binary) / 2**20:.1f}, \"peers_node_modules_mb\": {tree / 2**20:.1f}, \"errors\": 0}}")' \
  "$KEYSTEAD_BIN" "$CACHE/bench-peers/node_modules")"
record 11 "size" 1 "$sizes_mb"
printf '   %-44s %s\n' size "$sizes_mb" >&2
