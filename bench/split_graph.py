#!/usr/bin/env python3
"""Makes a folder of graphs for inductive training out of one graph, with no node in two of them.

The graph falls into clusters, each grown from a random node over edges; clusters are dealt out to as
many graphs as are asked for, so that all of them have every kind of region and about as many nodes.
Edges between two graphs are lost. What a node of a test graph listens to was never seen in training.

    bench/split_graph.py amazon_photo.npz photo-graphs --train 12 --val 4 --test 4
    strata train recipes/photo-inductive.toml --data photo-graphs -o model.strata
"""
import argparse
import array
import ast
import collections
import pathlib
import random
import struct
import sys
import zipfile

CODES = {"i4": "i", "i8": "q", "f4": "f", "f8": "d", "u1": "B", "i1": "b", "i2": "h", "u2": "H",
         "u4": "I", "u8": "Q"}


def read_array(archive, name):
    """Values of a vector in NumPy's format."""
    data = archive.read(name + ".npy")
    wide = data[6] > 1
    length = struct.unpack_from("<I" if wide else "<H", data, 8)[0]
    begin = (12 if wide else 10) + length
    header = ast.literal_eval(data[begin - length:begin].decode())
    code = CODES.get(header["descr"][1:])
    if code is None or header["descr"][0] == ">" or len(header["shape"]) != 1:
        sys.exit(f"split_graph: '{name}' is no vector of plain numbers: {header}")
    values = array.array(code)
    values.frombytes(data[begin:begin + header["shape"][0] * values.itemsize])
    return values


def write_array(archive, name, code, values):
    descr = {"q": "<i8", "i": "<i4", "f": "<f4"}[code]
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({len(values)},), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    entry = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))  # the same bytes in every run
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) +
                     header.encode() + array.array(code, values).tobytes())


def rows_of(begins, row):
    return range(begins[row], begins[row + 1])


def grow_clusters(begins, neighbours, size, generator):
    """Every node in one list of at most `size` nodes that hang together."""
    nodes = list(range(len(begins) - 1))
    generator.shuffle(nodes)
    taken = [False] * len(nodes)
    clusters = []
    for seed in nodes:
        if taken[seed]:
            continue
        taken[seed] = True
        cluster = [seed]
        frontier = collections.deque([seed])
        while frontier and len(cluster) < size:
            node = frontier.popleft()
            for e in rows_of(begins, node):
                neighbour = neighbours[e]
                if not taken[neighbour] and len(cluster) < size:
                    taken[neighbour] = True
                    cluster.append(neighbour)
                    frontier.append(neighbour)
        clusters.append(cluster)
    return clusters


def write_part(path, nodes, source):
    place = {node: i for i, node in enumerate(nodes)}
    begins, neighbours = [0], []
    feature_begins, features, values = [0], [], []
    for node in nodes:
        neighbours += [place[source["adj_indices"][e]] for e in rows_of(source["adj_indptr"], node)
                       if source["adj_indices"][e] in place]
        begins.append(len(neighbours))
        for e in rows_of(source["attr_indptr"], node):
            features.append(source["attr_indices"][e])
            values.append(source["attr_data"][e])
        feature_begins.append(len(features))
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        write_array(archive, "adj_indptr", "i", begins)
        write_array(archive, "adj_indices", "i", neighbours)
        write_array(archive, "attr_shape", "q", [len(nodes), source["attr_shape"][1]])
        write_array(archive, "attr_indptr", "i", feature_begins)
        write_array(archive, "attr_indices", "i", features)
        write_array(archive, "attr_data", "f", values)
        write_array(archive, "labels", "i", [source["labels"][node] for node in nodes])
    return len(neighbours)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--train", type=int, default=12, help="graphs (default: 12)")
    parser.add_argument("--val", type=int, default=4, help="graphs (default: 4)")
    parser.add_argument("--test", type=int, default=4, help="graphs (default: 4)")
    parser.add_argument("--cluster", type=int, default=50, help="nodes at most (default: 50)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if min(arguments.train, arguments.val, arguments.test, arguments.cluster) < 1:
        parser.error("--train, --val, --test and --cluster must be at least 1")

    with zipfile.ZipFile(arguments.graph) as archive:
        source = {name: read_array(archive, name)
                  for name in ("adj_indptr", "adj_indices", "attr_shape", "attr_indptr",
                               "attr_indices", "attr_data", "labels")}
    generator = random.Random(arguments.seed)
    clusters = grow_clusters(source["adj_indptr"], source["adj_indices"], arguments.cluster,
                             generator)
    generator.shuffle(clusters)
    places = [f"{split}/{i:02}.npz" for split, count in
              (("train", arguments.train), ("val", arguments.val), ("test", arguments.test))
              for i in range(count)]
    parts = [[] for _ in places]
    if len(clusters) < len(parts):
        sys.exit(f"split_graph: {len(clusters)} clusters are too few for {len(parts)} graphs; "
                 "a smaller --cluster makes more")
    for cluster in sorted(clusters, key=len, reverse=True):  # the large ones first
        min(parts, key=len).extend(cluster)
    kept = 0
    for place, nodes in zip(places, parts):
        edges = write_part(arguments.folder / place, sorted(nodes), source)
        kept += edges
        print(f"{place}: {len(nodes)} nodes, {edges} edges")
    print(f"{100 * kept / len(source['adj_indices']):.1f} % of the edges are kept")


if __name__ == "__main__":
    main()
