"""`python -m benchmarks [names] [--save]`: one table per topic, ours beside each peer that is installed.

Every library gets one thread; ours and the peer take turns in one process, so that noise hits both.
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

TOPICS = (
    "dense", "rhs", "sparse", "delayed", "startup", "ensemble", "gradients", "large", "kuranet", "contrastive", "akorn",
    "waves",
)  # fmt: skip
RESULTS = Path(__file__).parent / "results"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


def main(arguments: list[str] | None = None) -> None:
    """Run the named topics (all by default); with --save, write each table to results/<topic>.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"topics: {', '.join(TOPICS)}")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<topic>.md")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(TOPICS)
    if unknown:
        parser.error(f"`names` must be among {', '.join(TOPICS)}, but has {', '.join(sorted(unknown))}.")
    os.environ.update(ONE_THREAD)  # before NumPy, numba, torch or JAX is loaded
    from benchmarks.timing import report, table

    for name in options.names or TOPICS:
        topic = importlib.import_module(f"benchmarks.{name}")
        rows = topic.run()
        print(f"\n{name}: {topic.__doc__.splitlines()[0]}\n\n{table(rows)}", flush=True)
        if options.save:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{name}.md").write_text(report(name, topic.__doc__, rows))


if __name__ == "__main__":
    main()
