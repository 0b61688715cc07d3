#!/usr/bin/env python3
"""What a router could reach at best on a recording of `strata qos`, if it cannot see the future.

    strata qos ... --record run.jsonl
    bench/foresight.py run.jsonl

Tries routers of two levels that stay at the higher one at a step as long as
    elapsed + (1 + slowness) * (this step there, the rest at the lower level) + hiccup <= deadline
with two pairs of slowness and hiccup, one for calm times and one for busy ones (the request before, or the
middle one of the three before, was more than 15 % slower than its profile). The pairs are chosen in
hindsight, on the recording itself, for the most accuracy at so many misses more than the lower level has:
no router of this kind can do better, and one that must learn them does worse. Prints that accuracy, as a
share of the way from the lower level to the higher one (of the time before the switch), per deadline.
Waiting for the request before is left out.
"""
import argparse
import json

SLOWNESS = (0, 0.25, 0.5, 1, 2)
HICCUP_US = (0, 1000, 2000, 3000, 4000, 4500, 5000, 6000, 8000)


def read(path):
    with open(path, encoding="utf-8") as file:
        head, *requests = [json.loads(line) for line in file]
    times = head["profile"]["median_us"]
    if head["profile"]["level_count"] != 2:
        raise SystemExit(f"{path}: of a model with {head['profile']['level_count']} levels, not two")
    high = times[1::2]
    low = [min(a, b) for a, b in zip(times[0::2], high)]
    by_policy = {}
    for request in requests:
        if request.get("done") == 1 and request["w"] == 0:
            by_policy.setdefault(request["p"], []).append(request)
    samples = []  # (slowdown of every step, busy)
    for answered in by_policy.values():
        before = [1.0, 1.0, 1.0]
        for request in sorted(answered, key=lambda r: r["start_us"]):
            profiled = [b if level == "1" else a for a, b, level in zip(low, high, request["levels"])]
            slowdowns = [t / p for t, p in zip(request["step_us"], profiled)]
            samples.append((slowdowns, max(before[-1], sorted(before[-3:])[1]) > 1.15))
            before.append(sum(request["step_us"]) / sum(profiled))
    return low, high, samples


def try_all(low, high, samples, deadline):
    """[(misses more than at the lower level, share of the way)] of every pair, and those misses."""
    rest = [0.0] * (len(low) + 1)
    for i in reversed(range(len(low))):
        rest[i] = rest[i + 1] + low[i]
    base = sum(sum(s * t for s, t in zip(one, low)) > deadline for one in samples) / len(samples)
    found = []
    for slowness in SLOWNESS:
        for hiccup in HICCUP_US:
            misses, way = 0, 0.0
            for one in samples:
                elapsed, stay, gone = 0.0, True, 0.0
                for i, slowdown in enumerate(one):
                    stay = stay and elapsed + (high[i] + rest[i + 1]) * (1 + slowness) + hiccup <= deadline
                    elapsed += slowdown * (high[i] if stay else low[i])
                    gone += high[i] if stay else 0
                misses += elapsed > deadline
                way += gone / sum(high)
            found.append((misses / len(samples) - base, way / len(samples)))
    return found, base


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording")
    parser.add_argument("--factors", default="1.1,1.3,1.5,1.75,2", help="deadlines, of the higher level's median")
    parser.add_argument("--misses", default="0.3,1,2", help="percent more than at the lower level")
    options = parser.parse_args()
    low, high, samples = read(options.recording)
    states = [[one for one, busy in samples if busy == state] for state in (False, True)]
    shares = [len(state) / len(samples) for state in states]
    print(f"{len(samples)} requests, {100 * shares[1]:.0f} % of them in busy times")
    for factor in map(float, options.factors.split(",")):
        tried = [try_all(low, high, state, factor * sum(high)) for state in states if state]
        base = sum(share * base for share, (_, base) in zip([s for s in shares if s], tried))
        line = f"{factor:5.2f}  lower level misses {100 * base:6.2f} %"
        for misses in map(float, options.misses.split(",")):
            best = 0.0
            pairs = tried if len(tried) == 2 else [tried[0], ([(0.0, 0.0)], 0)]
            for first in pairs[0][0]:
                for second in pairs[1][0]:
                    if shares[0] * first[0] + shares[1] * second[0] <= misses / 100:
                        best = max(best, shares[0] * first[1] + shares[1] * second[1])
            line += f"   +{misses:g} %: {100 * best:3.0f} %"
        print(line)


if __name__ == "__main__":
    main()
