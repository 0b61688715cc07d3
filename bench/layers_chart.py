#!/usr/bin/env python3
"""Draws the JSON of strata_bench_layers as an SVG: what share of the peak each layer reaches.

    build/release/bench/strata_bench_layers --json layers.json
    python3 bench/layers_chart.py layers.json docs/images/layers.svg

The peak is that of the kernel itself with every operand in the first-level cache, on one core.
"""
import json
import sys

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 150, 40, 56, 40
BAR, GAP = 13, 16
COLOURS = ["#1b6ca8", "#e39a54"]
AIM = 0.6  # what layers of 14 and 28 pixels are to reach


def chart(tables):
    table = tables[0]
    layers = table["layers"]
    row = BAR * len(layers[0]["levels"]) + GAP
    height = TOP + row * len(layers) + BOTTOM

    def across(share):
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="{LEFT}" y="20">{table["cpu"]}, {table["target"]}, {table["threads"]} thread(s); '
           f'100 % are {table["peak_gflops_per_core"]:.0f} GFLOP/s per core</text>']
    for percent in range(0, 101, 20):
        x = across(percent / 100)
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - BOTTOM}" stroke="#999" '
                   f'stroke-dasharray="{"none" if percent in (0, 100) else "2 3"}"/>'
                   f'<text x="{x:.1f}" y="{height - BOTTOM + 18}" text-anchor="middle">{percent} %</text>')
    x = across(AIM)
    out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - BOTTOM}" stroke="#a01818"/>')
    for i, level in enumerate(layers[0]["levels"]):
        x = LEFT + 170 * i
        out.append(f'<rect x="{x}" y="{TOP - 26}" width="14" height="10" fill="{COLOURS[i % len(COLOURS)]}"/>'
                   f'<text x="{x + 20}" y="{TOP - 17}">{100 * level["density"]:.2f} % of the weights</text>')
    for i, layer in enumerate(layers):
        top = TOP + row * i
        out.append(f'<text x="{LEFT - 8}" y="{top + row / 2 - 2:.1f}" text-anchor="end">{layer["name"]}</text>')
        for k, level in enumerate(layer["levels"]):
            width = across(min(level["share_of_peak"], 1)) - LEFT
            out.append(f'<rect x="{LEFT}" y="{top + BAR * k}" width="{width:.1f}" height="{BAR - 2}" '
                       f'fill="{COLOURS[k % len(COLOURS)]}"/>')
    out.append("</svg>\n")
    return "\n".join(out)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: layers_chart.py LAYERS.json CHART.svg")
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            text = chart(json.load(file))
    except (OSError, ValueError, KeyError, IndexError) as error:
        sys.exit(f"layers_chart.py: {sys.argv[1]} is no result of strata_bench_layers: {error}")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
