#!/usr/bin/env python3
"""Draws the JSON of strata_bench_density as an SVG: density against speed-up over the dense kernel.

    build/release/bench/strata_bench_density --json density.json
    python3 bench/density_chart.py density.json docs/images/density.svg
"""
import json
import math
import sys

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 60, 210, 24, 48
COLOURS = ["#1b6ca8", "#5aa2d8", "#0b8457", "#62b58f", "#b8560f", "#e39a54", "#8a2d5c", "#c777a3",
           "#555555", "#9a9a9a", "#6a4fb3", "#a893dd", "#a01818", "#e06464"]
LABEL = 36  # room of a percentage on the axis
SPEEDS = [0.5, 1, 2, 5, 10, 20, 40]


def chart(document):
    layers = document["layers"]
    percents = [point["percent"] for point in layers[0]["densities"]]
    speeds = [point["over_dense"] for layer in layers for point in layer["densities"]]
    low, high = min(SPEEDS[0], *speeds), max(SPEEDS[-1], *speeds)

    def across(percent):
        share = math.log(percent / percents[0]) / math.log(percents[-1] / percents[0])
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def up(speed):
        share = math.log(speed / low) / math.log(high / low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for speed in SPEEDS:
        y = up(speed)
        dash = "" if speed == 1 else ' stroke-dasharray="2 3"'
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#999"{dash}/>'
                   f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{speed:g}</text>')
    last = -math.inf
    for percent in percents:
        x = across(percent)
        if percent != percents[-1] and min(x - last, across(percents[-1]) - x) < LABEL:
            continue
        last = x
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{percent:g} %</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">'
               'weights that are not zero</text>')
    out.append(f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
               'text-anchor="middle">times as fast as the dense kernel</text>')
    for i, layer in enumerate(layers):
        colour = COLOURS[i % len(COLOURS)]
        points = " ".join(f'{across(p["percent"]):.1f},{up(p["over_dense"]):.1f}' for p in layer["densities"])
        y = TOP + 8 + 24 * i
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        out.append(f'<line x1="{WIDTH - RIGHT + 14}" x2="{WIDTH - RIGHT + 34}" y1="{y}" y2="{y}" '
                   f'stroke="{colour}" stroke-width="3"/>'
                   f'<text x="{WIDTH - RIGHT + 40}" y="{y + 4}">{layer["kind"]}</text>')
    out.append("</svg>\n")
    return "\n".join(out)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: density_chart.py DENSITY.json CHART.svg")
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            text = chart(json.load(file))
    except (OSError, ValueError, KeyError, IndexError) as error:
        sys.exit(f"density_chart.py: {sys.argv[1]} is no result of strata_bench_density: {error}")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
