"""Reads the raw results of one run and prints medians, ranges and the ratios to the peers.

A ratio is the median of the ratios of the rounds, with the worst round behind it: a goal counts as met only when the
median meets it and the worst round meets 0.8 of it. A variant with errors is void.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

# Row, product, peer, figure, what it means. "{x}" stands for the rest of the variant's name.
RATIOS = [
    ("1", "keystead {x}", "oidc-provider {x}", "rps", "throughput, goal >= 2.0"),
    ("1", "keystead {x}", "oidc-provider {x}", "p99_ms", "p99, goal <= 0.25"),
    ("1", "keystead {x}", "openssl rsa2048", "server_cpu_us_per_request", "CPU per signature, goal <= 1.25"),
    ("6", "create c={x}, postgres", "pgbench three rows c={x}", "rps", "throughput, goal >= 0.5"),
    ("6", "list first page, {x} rows=1000000", "list first page, {x} rows=10000", "p50_ms", "growth of a page, goal <= 1.5"),
    ("6", "search absent, {x}", "LIKE scan, {x}", "p50_ms", "search beside a scan of the table, goal at 1M <= 0.02"),
    ("9", "keystead {x}", "http-proxy-3 {x}", "rps", "throughput, goal >= 3.5"),
    ("9", "keystead {x}", "nginx {x}", "rps", "throughput, goal >= 0.4"),
    ("11", "keystead, existing data", "oidc-provider", "first_answer_ms", "time to the first answer, goal <= 0.1"),
    ("11", "keystead, existing data", "oidc-provider", "idle_mb", "idle memory"),
]
SHOWN = ("rps", "p50_ms", "p99_ms", "max_ms", "server_cpu_us_per_request", "server_peak_mb", "first_answer_ms",
         "idle_mb", "first_pages_p50_ms", "last_pages_p50_ms", "binary_mb", "peers_node_modules_mb")


def read(folder):
    """Variant -> round -> result, by row."""
    rows = defaultdict(lambda: defaultdict(dict))
    for path in sorted(folder.glob("row-*.jsonl")):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            rows[entry["row"]][entry["variant"]][entry["round"]] = entry["result"]
    return rows


def is_void(rounds):
    return any(result.get("errors", 0) for result in rounds.values())


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def print_row(row, variants):
    print(f"\nrow {row}")
    for variant, rounds in variants.items():
        errors = sum(result.get("errors", 0) for result in rounds.values())
        parts = []
        for name in SHOWN:
            values = [result[name] for result in rounds.values() if name in result]
            if values:
                spread = f" ({number(min(values))}-{number(max(values))})" if len(values) > 1 else ""
                parts.append(f"{name} {number(statistics.median(values))}{spread}")
        asked = [result["upstream"] for result in rounds.values() if "upstream" in result]
        if asked:
            each = lambda name: ",".join(str(count) for count in sorted({one[name] for one in asked}))
            parts.append(f"token requests per round {each('token_requests')}, refreshes {each('refreshes')}, reused {each('reused')}")
        if "entries" in next(iter(rounds.values())):
            walked = next(iter(rounds.values()))
            parts.append(f"{walked['entries']} of {walked['total_size']} entries in {walked['pages']} pages")
        void = f"  VOID: {errors} errors" if errors else ""
        print(f"  {variant:<46} n={len(rounds)}  {'; '.join(parts)}{void}")


def matched(pattern, variants):
    """Variants that fit the pattern, with what "{x}" stands for."""
    if "{x}" not in pattern:
        return [(pattern, "")] if pattern in variants else []
    before, after = pattern.split("{x}")
    hits = []
    for variant in variants:
        if variant.startswith(before) and after in variant[len(before):]:
            rest = variant[len(before):]
            hits.append((variant, rest.split(after)[0] if after else rest))
    return hits


def print_ratios(row, variants):
    for its_row, ours, theirs, figure, meaning in RATIOS:
        if its_row != row:
            continue
        for variant, rest in matched(ours, variants):
            peer = variants.get(theirs.replace("{x}", rest))
            if not peer or is_void(variants[variant]) or is_void(peer):
                continue
            shared = variants[variant].keys() & peer.keys()
            pairs = [(variants[variant][i][figure], peer[i][figure]) for i in shared if figure in variants[variant][i] and figure in peer[i]]
            ratios = sorted(a / b for a, b in pairs if b)
            if ratios:
                print(f"  ratio {variant} / {theirs.replace('{x}', rest)}: {number(statistics.median(ratios))}"
                      f" ({number(ratios[0])}-{number(ratios[-1])})  {meaning}")


def print_added(variants):
    """What a hop adds to the median latency, per round, with one connection."""
    direct = variants.get("direct small c=1", {})
    for name in ("nginx", "http-proxy-3", "keystead"):
        rounds = variants.get(f"{name} small c=1", {})
        if is_void(rounds) or is_void(direct):
            continue
        added = [rounds[i]["p50_ms"] - direct[i]["p50_ms"] for i in rounds.keys() & direct.keys()]
        if added:
            print(f"  added p50 by {name}: {statistics.median(added) * 1000:.0f} us ({min(added) * 1000:.0f}-{max(added) * 1000:.0f})")


def main():
    folder = Path(sys.argv[1])
    rows = read(folder)
    proof = rows.pop("driver", {})
    capacity = max((result["rps"] for rounds in proof.values() for result in rounds.values()), default=0)
    print((folder / "environment.txt").read_text().strip())
    print(f"driver against a static answer: {number(capacity)} requests/s")
    for row in sorted(rows, key=lambda name: (len(name), name)):
        print_row(row, rows[row])
        print_ratios(row, rows[row])
        if row == "9":
            print_added(rows[row])
        best = max((result.get("rps", 0) for variant, rounds in rows[row].items() if variant.startswith(("keystead", "create")) for result in rounds.values()), default=0)
        if best * 2 > capacity > 0:
            print(f"  the driver is less than twice as fast as the product here ({number(best)}): it may be the limit")
    noisy = sum(result.get("machine") == "noisy" for variants in rows.values() for rounds in variants.values() for result in rounds.values())
    if noisy:
        print(f"\n{noisy} measurements ran while other processes used the machine: repeat them when it is quiet")


if __name__ == "__main__":
    main()
