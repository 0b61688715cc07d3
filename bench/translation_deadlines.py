#!/usr/bin/env python3
"""How many translations are late at a fixed level and by deadline, and at which level they end.

    strata profile model.strata --threads 1
    bench/translation_deadlines.py model.strata sentences.txt --deadlines 8,12,20

Fixed levels are translated anew for each deadline, so that a machine that changes changes for all. With
--beside N, N processes of stress-ng use all the processor time that they get.
"""
import argparse
import json
import subprocess
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("sentences", help="one a line")
    parser.add_argument("--strata", default="build/release/tools/strata/strata")
    parser.add_argument("--deadlines", default="8,12,20", help="milliseconds")
    parser.add_argument("--nines", default="1.3")
    parser.add_argument("--skip", type=int, default=100, help="sentences at the beginning that are not counted")
    parser.add_argument("--beside", type=int, default=0)
    options = parser.parse_args()

    def translate(*arguments):
        command = [options.strata, "translate", options.model, options.sentences, "--threads", "1", "--json"]
        result = subprocess.run(command + list(arguments), capture_output=True, text=True, check=True)
        return json.loads(result.stdout)["translations"][options.skip :]

    def percent(items):
        items = list(items)
        return f"{100 * sum(items) / len(items):.1f}"

    inspected = subprocess.run([options.strata, "inspect", options.model, "--json"], capture_output=True, text=True, check=True)
    levels = range(len(json.loads(inspected.stdout)["levels"]))
    top = levels[-1]
    beside = None
    if options.beside:
        beside = subprocess.Popen(["stress-ng", "--cpu", str(options.beside), "--cpu-method", "int64", "-q"])
        time.sleep(2)
    try:
        print(f"| deadline | late at level 0, % | late at level {top}, % | late by deadline, % | ended at level {', '.join(map(str, reversed(levels)))}, % | changed on the way, % |")
        print("|---|---|---|---|---|---|")
        for deadline in map(float, options.deadlines.split(",")):
            fixed = [percent(t["ms"] > deadline for t in translate("--level", str(level))) for level in (0, top)]
            routed = translate("--deadline-ms", str(deadline), "--nines", options.nines)
            ended = ", ".join(percent(t["levels"][1] == level for t in routed) for level in reversed(levels))
            changed = percent(t["levels"][0] != t["levels"][1] for t in routed)
            print(f"| {deadline:g} ms | {fixed[0]} | {fixed[1]} | {percent(not t['met'] for t in routed)} | {ended} | {changed} |", flush=True)
    finally:
        if beside:
            beside.terminate()


if __name__ == "__main__":
    main()
