#!/usr/bin/env python3
"""Trains a recipe with several seeds and shows mean and standard deviation of every level.

Prints a table in Markdown; --json FILE also writes every run's figures. Models that are there
already are not trained again, so that a series can be continued; strata's own options go after --,
where {seed} stands for the seed of the run.

    bench/seeds.py recipes/cora-grow.toml --data cora.npz --seeds 10 --json cora-grow.json
    bench/seeds.py recipes/cora-grow.toml --data cora.npz --switch-points
    bench/seeds.py recipes/cora-joint.toml --data cora.npz -- \
        --set model.start=out/seeds/cora-dense-{seed}.strata
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"seeds: '{' '.join(command)}' failed: {result.stderr.strip()}")
    return json.loads(result.stdout)


def summary(values):
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    deviation = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0
    return {"mean": mean, "deviation": deviation, "values": values}


def read_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=pathlib.Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=10, help="seeds 1 to N (default: 10)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/seeds"),
                        help="folder of the models (default: out/seeds)")
    parser.add_argument("--strata", default="build/release/tools/strata/strata")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--switch-points", action="store_true")
    words = sys.argv[1:]  # argparse does not take what follows -- after other options
    end = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:end])
    arguments.options = words[end + 1:]  # of strata train
    return arguments


def main():
    arguments = read_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    runs = []
    for seed in range(1, arguments.seeds + 1):
        model = arguments.out / f"{arguments.recipe.stem}-{seed}.strata"
        if not model.exists():
            run([arguments.strata, "train", str(arguments.recipe), "--data", arguments.data,
                 "--set", f"seed={seed}",
                 *(option.replace("{seed}", str(seed)) for option in arguments.options),
                 "-o", str(model), "-q", "--json"])
        evaluate = [arguments.strata, "eval", str(model), "--data", arguments.data, "-q", "--json"]
        if arguments.switch_points:
            evaluate.append("--switch-points")
        runs.append(run(evaluate))

    first = runs[0]
    levels = []
    for k, level in enumerate(first["levels"]):
        levels.append({"level": level["level"],
                       **summary([one["levels"][k]["value"] for one in runs]),
                       "weights_pct": summary([one["levels"][k]["weights_pct"] for one in runs])["mean"],
                       "flops_pct": summary([one["levels"][k]["flops_pct"] for one in runs])["mean"]})
    points = []
    for i, point in enumerate(first["switch_points"]):
        points.append({"step": point["step"], "step_name": point["step_name"],
                       "from": point["from"], "to": point["to"],
                       **summary([one["switch_points"][i]["value"] for one in runs])})

    print(f"{arguments.recipe.name}, {len(runs)} seeds, {first['metric']} in {first['unit']}\n")
    print("| level | mean | deviation | weights % | FLOPs % |\n|---|---|---|---|---|")
    for level in levels:
        print(f"| {level['level']} | {level['mean']:.2f} | {level['deviation']:.2f} | "
              f"{level['weights_pct']:.2f} | {level['flops_pct']:.2f} |")
    if points:
        print("\n| from | to | before step | mean | deviation |\n|---|---|---|---|---|")
        for point in points:
            print(f"| {point['from']} | {point['to']} | {point['step']} {point['step_name']} | "
                  f"{point['mean']:.2f} | {point['deviation']:.2f} |")
    if arguments.json:
        document = {"recipe": arguments.recipe.name, "options": arguments.options,
                    "seeds": len(runs), "metric": first["metric"], "unit": first["unit"],
                    "levels": levels, "switch_points": points}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
