#!/usr/bin/env python3
"""Nested one-shot compression beside what it must be compared with, at the same sizes.

    bench/compress_compare.py MODEL --data PATH --levels 13.4,30,50 [--strata BINARY] [--threads N]
                              [-o RESULT.json]

MODEL is an ONNX file or a .strata file with one dense level. Rows: every order of nesting in one
file; plain magnitude, nested as well; and one-shot with a single level, one file per size, which
need not nest and is the bound. Seconds are those of the processor, all threads together, because
they count alike on a busy machine; loading and the comparison on test data are in them.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def compress(options, levels, method, folder):
    """The JSON of one run, and the processor's seconds that it took."""
    command = [options.strata, "compress", options.model, "--levels", levels, "--method", method,
               "--data", options.data, "--threads", str(options.threads), "--json", "-q",
               "-o", os.path.join(folder, "level.strata")]
    if options.convert:
        command.append("--convert")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), seconds


def cell(level, dense):
    if dense is None:
        return f"{level['output_distance']:.4f}"
    return f"{level['value']:.2f} ({level['value'] - dense:+.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--levels", default="13.4,30,50")
    parser.add_argument("--strata", default=str(ROOT / "build/release/tools/strata/strata"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--convert", action="store_true")
    parser.add_argument("-o", "--output")
    options = parser.parse_args()
    sizes = options.levels.split(",")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for method in ("together", "outwards", "inwards", "magnitude"):
            result, seconds = compress(options, options.levels, method, folder)
            rows.append({"name": f"nested, {method}", "levels": result["levels"],
                         "dense": result.get("dense_value"), "seconds": seconds})
            print(f"{rows[-1]['name']}: {seconds:.0f} s", file=sys.stderr)
        alone = [compress(options, size, "together", folder) for size in sizes]
        rows.append({"name": "one level alone", "levels": [run["levels"][0] for run, _ in alone],
                     "dense": alone[0][0].get("dense_value"),
                     "seconds": sum(seconds for _, seconds in alone)})
    dense = rows[0]["dense"]
    if dense is not None:
        print(f"dense: {dense:.2f} %, {options.model}\n")
    print("| | " + " | ".join(f"{size} %" for size in sizes) + " | s |")
    print("|---|" + "---|" * (len(sizes) + 1))
    for row in rows:
        cells = [cell(level, dense) for level in row["levels"]]
        print(f"| {row['name']} | " + " | ".join(cells) + f" | {row['seconds']:.0f} |")
    if options.output:
        pathlib.Path(options.output).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
