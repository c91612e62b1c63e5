"""The main job: real networks of oscillators, simulated, analysed and drawn; one table, and figures in a folder.

    python -m examples.demo [--graph FILE] [--out FOLDER]

runs the numbered examples one after the other. FILE is anything `oscillators.read_graph` reads; the examples on networks
then run on it. Ctrl-C stops, and keeps what is done.
"""

import argparse
import importlib
import inspect
import sys
import time
import warnings
from pathlib import Path

import matplotlib
import networkx as nx

from oscillators import as_coupling, read_graph

HEAD = ("network", "nodes", "links", "what", "measured", "theory", "wall time")


def main(arguments=None):
    """Run the examples, print the table, and return 0, 1 for input that cannot be used, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--graph", help="a network of your own: .graphml, .gexf, .gml, an edge list, or .npz[:name]")
    parser.add_argument("--out", default="out", help="folder for figures and NetCDF files (default: out)")
    parser.add_argument("--small", action="store_true", help="small sizes, for a quick look")
    options = parser.parse_args(arguments)
    try:
        graph = usable(options.graph) if options.graph else None
        Path(options.out).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError, TypeError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1

    matplotlib.use("Agg")
    rows, begin, stopped = [], time.perf_counter(), False
    try:
        for name in examples(graph):
            print(f"{name} ...", file=sys.stderr)
            rows += run(name, graph, options)
    except KeyboardInterrupt:
        stopped = True
    print(table(rows))
    found = sum(1 for file in Path(options.out).iterdir() if file.suffix in (".png", ".gif", ".nc"))
    print(f"\n{time.perf_counter() - begin:.0f} s; {found} figures and NetCDF files in {options.out}/", end="")
    print("; stopped by Ctrl-C, what was done is kept." if stopped else ".")
    return 130 if stopped else 0


def usable(path):
    """The graph in a file, or its largest connected part, with a note for everything that was changed."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        graph = read_graph(path)
    for note in notes:
        print(f"note: {note.message}")
    parts = nx.weakly_connected_components(graph) if graph.is_directed() else nx.connected_components(graph)
    largest = max(parts, key=len)
    if len(largest) < len(graph):
        print(f"note: {graph.name} is not connected; its largest part has {len(largest)} of {len(graph)} nodes.")
        graph = graph.subgraph([node for node in graph if node in largest]).copy()
    if len(graph) < 2:
        raise ValueError(f"`--graph` must have two linked nodes, but {path} has none; check that its links were read.")
    if nx.get_edge_attributes(graph, "weight") == {}:
        print(f"note: the links of {graph.name} have no attribute `weight`; each counts 1.")
    as_coupling(graph)  # complains about weights that are no numbers
    return graph


def examples(graph):
    """Names of the numbered examples, in order; a power grid needs the power that each node injects."""
    names = sorted(file.stem for file in Path(__file__).parent.glob("[0-9]*.py"))
    grid = graph is None or len(nx.get_node_attributes(graph, "injection")) == len(graph)
    return [name for name in names if grid or "power_grid" not in name]


def run(name, graph, options):
    """Rows of the table from one example, the time it took in the first of them."""
    example = importlib.import_module(f"examples.{name}").main
    own = {"graph": graph} if "graph" in inspect.signature(example).parameters else {}
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "interrupted", RuntimeWarning)  # how a run reports Ctrl-C
        try:
            rows = example(out=options.out, small=options.small, **own)
        except RuntimeWarning as interrupted:
            raise KeyboardInterrupt from interrupted
    seconds = f"{time.perf_counter() - start:.1f} s"
    return [(*row, seconds if k == 0 else "") for k, row in enumerate(rows)]


def table(rows):
    """Rows in columns, numbers to the right."""
    rows = [HEAD, *([str(cell) for cell in row] for row in rows)]
    width = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    rows.insert(1, ["─" * w for w in width])
    right = (1, 2, 4, 5, 6)
    return "\n".join(
        "  ".join(
            cell.rjust(w) if k in right else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, width, strict=True))
        )
        for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
