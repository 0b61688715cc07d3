#!/usr/bin/env python3
"""Tables of docs/qos.md from what `strata qos --replay ... --sweep ... -o FILE` wrote.

    bench/qos_table.py cpu=cpu.json "quota of 1 core=quota.json"

Each row is a deadline, each cell misses in percent (95 % interval); behind the semicolon the accuracy
as % of the way from level 0 to the least sparse one. Where per-request took part with several wishes
(per-request@0.5, per-request@1, ...), two columns compare it with adaptive-best-route: its accuracy at
as many misses, and how many times as often it misses at that accuracy. Both lie between two wishes,
on the line through the logarithms of their misses.
"""
import json
import math
import sys

SHOWN = ["fixed-0", "fixed-1", "per-request@2", "reroute", "best-route", "adaptive-best-route"]
ROUTER = "adaptive-best-route"


def percent(share):
    value = 100 * share
    return f"{value:.2f}" if value < 0.995 else f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def cell(policy):
    misses = "< 0.01"
    if policy["misses"] > 0:
        low, high = policy["ci95"]
        misses = f"{percent(policy['miss_rate'])} ({percent(low)}-{percent(high)})"
    if policy["name"].startswith("fixed"):
        return misses
    return f"{misses}; {100 * policy['accuracy_share']:.0f}"


def between(points, x):
    """y at x on the line through the neighbours among `points`, (x, y); None outside of them."""
    points = sorted(points)
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if x0 <= x <= x1 and x0 < x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return None


def frontier(policies):
    """Accuracy of per-request at the router's misses, and its misses at the router's accuracy over the router's."""
    router = policies[ROUTER]
    points = [
        (math.log(policy["miss_rate"]), policy["accuracy_share"])
        for name, policy in policies.items()
        if (name.startswith("per-request") or name == "fixed-1") and policy["misses"] > 0
    ]
    if router["misses"] == 0:
        return "", ""
    share = between(points, math.log(router["miss_rate"]))
    misses = between([(y, x) for x, y in points], router["accuracy_share"])
    return (
        "" if share is None else f"{100 * share:.0f}",
        "" if misses is None else f"{math.exp(misses) / router['miss_rate']:.1f}",
    )


def main():
    if len(sys.argv) < 2 or any("=" not in word for word in sys.argv[1:]):
        sys.exit(__doc__)
    heads = ["co-runner", "deadline", "level 0", "level 1", "per-request", "reroute", "best-route", ROUTER]
    heads += ["per-request at as many misses", "its misses at that accuracy", "oracle"]
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for word in sys.argv[1:]:
        label, path = word.split("=", 1)
        with open(path, encoding="utf-8") as file:
            sweep = json.load(file).get("sweep")
        if not sweep:
            sys.exit(f"qos_table: '{path}' holds no sweep of deadlines: strata qos --replay ... --sweep ...")
        for row in sweep:
            policies = {policy["name"]: policy for policy in row["policies"]}
            missing = [name for name in [*SHOWN, "oracle"] if name not in policies]
            if missing:
                sys.exit(f"qos_table: '{path}' lacks {', '.join(missing)}: name them with --policies")
            share, times = frontier(policies)
            cells = [label, f"{row['factor']:.2f}", *(cell(policies[name]) for name in SHOWN)]
            cells += [share, f"{times} times" if times else "", cell(policies["oracle"])]
            print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
