#!/usr/bin/env python3
"""Measures all tables of docs/kernels.md in one go: as Markdown, as JSON, and as charts.

    bench/tables.py --out out/bench                            # `./run bench` does this
    bench/tables.py --out out/bench --ort node_modules/onnxruntime-node --threads 1,2
    bench/tables.py --quick --only layers,network              # a look

Every table is made by one program of build/release/bench, which runs what it compares in turns; its
own output says on which processor, with how many threads and against which version. Without --ort
what compares with ONNX Runtime is left out, and the result says so. A table that fails is named at
the end, the others are kept.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import time


def read_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/bench"))
    parser.add_argument("--threads", default="1,2", help="thread counts (default: 1,2)")
    parser.add_argument("--ort", type=pathlib.Path, help="folder of the npm package onnxruntime-node")
    parser.add_argument("--only", default="", help="only tables with one of these in their name, e.g. layers,nesting")
    parser.add_argument("--quick", action="store_true", help="few rounds: a look, nothing to quote")
    return parser.parse_args()


def make_models(strata, out):
    """The networks that several tables are about, as .strata and as dense ONNX files."""
    published = ["--level-weights", "5.38,13.38", "--level-flops", "4.47,14.97", "--seed", "1"]
    wanted = {
        "resnet50": ["resnet50", *published],
        "resnet50-32": ["resnet50", "--input", "1x3x32x32", *published],
        "resnet50-four": ["resnet50", "--level-weights", "2,5.38,13.38,30", "--seed", "1"],
    }
    models = {}
    for name, words in wanted.items():
        models[name] = out / f"{name}.strata"
        subprocess.run([strata, "init", *words, "-q", "-o", models[name]], check=True, stdout=subprocess.DEVNULL)
    return models


def tables(arguments, models):
    """(name, title, command, file of JSON that it writes or None)"""
    programs = arguments.build / "bench"
    strata = arguments.build / "tools/strata/strata"
    out = arguments.out
    quick = arguments.quick
    for threads in arguments.threads.split(","):
        for model in ("resnet50", "resnet50-32"):
            if arguments.ort:
                name = f"{model}-onnxruntime-{threads}"
                dense = out / f"{model}.onnx"
                if not dense.exists():
                    subprocess.run([strata, "export", models[model], "--level", "dense", "-q", "-o", dense],
                                   check=True, stdout=subprocess.DEVNULL)
                yield (name, f"{model} beside dense ONNX Runtime, {threads} thread(s)",
                       ["node", "bench/compare_onnxruntime.mjs", "--ort", arguments.ort, "--onnx", dense,
                        "--model", models[model], "--strata", strata, "--threads", threads,
                        "--rounds", "1" if quick else "5", "--runs", "5" if quick else "20",
                        "--json", out / f"{name}.json"], out / f"{name}.json")
            name = f"{model}-libtorch-{threads}"
            yield (name, f"{model} beside dense libtorch and beside every level alone, {threads} thread(s)",
                   [strata, "bench", models[model], "--threads", threads, "--vs", "libtorch,alone",
                    *(["--runs", "5"] if quick else []), "-o", out / f"{name}.json"], out / f"{name}.json")
        name = f"layers-{threads}"
        yield (name, f"Layers, {threads} thread(s)",
               [programs / "strata_bench_layers", "--threads", threads, "--json", out / f"{name}.json"],
               out / f"{name}.json")
        for model in ("resnet50", "resnet50-four"):
            yield (f"{model}-nesting-{threads}", f"What nesting costs {model} step by step, {threads} thread(s)",
                   [programs / "strata_bench_nesting", models[model], threads, "4" if quick else "40"], None)
        yield (f"matrix-vector-{threads}", f"Products with few vectors, {threads} thread(s)",
               [programs / "strata_bench_matrix_vector", threads, "3" if quick else "16"], None)
        if arguments.ort:
            yield (f"dense-int8-{threads}", f"int8 values beside dense int8 of ONNX Runtime, {threads} thread(s)",
                   ["node", "bench/dense_int8.mjs", "--ort", arguments.ort, "--threads", threads,
                    "--bench", programs / "strata_bench_matrix_vector", "--rounds", "1" if quick else "5"], None)
    yield ("density", "Density against speed-up over the dense kernel, 1 thread",
           [programs / "strata_bench_density", "--rounds", "2" if quick else "15", "--json", out / "density.json"],
           out / "density.json")
    yield ("network", "Scaling, batches, first inference and memory of resnet50",
           [programs / "strata_bench_network", models["resnet50"], "--threads", arguments.threads,
            "--rounds", "3" if quick else "15", "--json", out / "network.json"], out / "network.json")


def measure(name, title, command, json_file, environment, place):
    print(f"[{place}] {name} ... ", end="", flush=True)
    begin = time.monotonic()
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    seconds = time.monotonic() - begin
    print(f"{seconds:.0f} s" if done.returncode == 0 else f"failed: {done.stderr.strip().splitlines()[-1:]}")
    result = {"name": name, "title": title, "command": command, "seconds": seconds,
              "failed": done.stderr.strip() if done.returncode else None, "text": done.stdout}
    if json_file is not None and done.returncode == 0:
        result["figures"] = json.loads(json_file.read_text(encoding="utf-8"))
        json_file.unlink()
    return result


def draw(results, out):
    """The charts of what was measured."""
    for prefix, script in (("density", "density_chart.py"), ("layers-1", "layers_chart.py")):
        for result in results:
            if result["name"] == prefix and "figures" in result:
                data = out / f"{prefix}.figures.json"
                data.write_text(json.dumps(result["figures"]), encoding="utf-8")
                subprocess.run([sys.executable, f"bench/{script}", data, out / f"{prefix}.svg"], check=True)
                data.unlink()


def markdown(document):
    parts = [f"# Measured on {document['when']}\n\n{document['system']}, strata {document['strata']}\n"]
    for result in document["tables"]:
        body = result["text"].strip() if not result["failed"] else "failed: " + result["failed"]
        if "|---" not in body:  # a table for people, whose columns are kept by spaces
            body = f"```\n{body}\n```"
        parts.append(f"## {result['title']}\n\n    {' '.join(result['command'])}\n\n{body}\n")
    return "\n".join(parts)


def main():
    arguments = read_arguments()
    strata = arguments.build / "tools/strata/strata"
    if not strata.exists():
        sys.exit(f"tables: there is no {strata}; build it with ./run build")
    arguments.out.mkdir(parents=True, exist_ok=True)
    models = make_models(strata, arguments.out)
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")  # or it takes what threads it likes
    wanted = [part for part in arguments.only.split(",") if part]
    chosen = [table for table in tables(arguments, models)
              if not wanted or any(part in table[0] for part in wanted)]
    if not chosen:
        sys.exit(f"tables: no table is called like '{arguments.only}'")
    results = [measure(*table, environment, f"{i}/{len(chosen)}") for i, table in enumerate(chosen, 1)]
    version = subprocess.run([strata, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    document = {"when": datetime.datetime.now().isoformat(timespec="minutes"),
                "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} processors",
                "strata": version, "onnxruntime": arguments.ort is not None, "quick": arguments.quick,
                "tables": results}
    (arguments.out / "tables.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (arguments.out / "tables.md").write_text(markdown(document), encoding="utf-8")
    draw(results, arguments.out)
    print(f"wrote {arguments.out}/tables.md and tables.json")
    if not arguments.ort:
        print("ONNX Runtime was left out: npm install --ignore-scripts onnxruntime-node, then --ort FOLDER")
    failed = [result["name"] for result in results if result["failed"]]
    if failed:
        sys.exit(f"tables: these failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
