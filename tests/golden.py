"""Replay golden files of published models against the library: `python -m tests.golden DIR`.

A golden file is an npz with `weight/...` (a state dict), `in/...`, `out/...` and `meta` (JSON). Every .npz of the directory
gets a line: its largest error relative to the largest entry of the output. The exit status is 1 if an error is above its
tolerance, if a file or an output of it is unknown, or if there is no file.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from tests import replays
from tests.replays.file import Golden, Output, Replay

FAMILIES = [import_module(f"tests.replays.{module.name}") for module in iter_modules(replays.__path__)]
REPLAYS: dict[str, Replay] = {
    prefix: replay for family in FAMILIES for prefix, replay in getattr(family, "REPLAYS", {}).items()
}  # by the beginning of a file's name; the longest that fits counts
RECORDS: dict[Replay, tuple[str, ...]] = {
    replay: family.RECORDS for family in FAMILIES if hasattr(family, "RECORDS") for replay in family.REPLAYS.values()
}  # beginnings of outputs that are not compared


def check(path: Path) -> tuple[bool, str]:
    """Whether a file is met, and the rest of its line."""
    try:
        golden = Golden.read(path)
        replay = replay_of(golden.name)
        outputs, records = replay(golden), RECORDS.get(replay, ())
        unknown = sorted(name for name in golden.outputs.keys() - outputs.keys() if not name.startswith(records))
        if unknown:
            return False, f"unknown output {', '.join(unknown)}"
        return compare(golden, outputs)
    except Exception as error:  # a file that cannot be replayed is a failure of its own, not the end of the others
        return False, f"{type(error).__name__}: {error}"


def replay_of(name: str) -> Replay:
    known = [prefix for prefix in REPLAYS if name.startswith(prefix)]
    if not known:
        raise LookupError(f"unknown file; its name must begin with one of {', '.join(sorted(REPLAYS))}")
    return REPLAYS[max(known, key=len)]


def compare(golden: Golden, outputs: dict[str, Any]) -> tuple[bool, str]:
    """The output nearest to its tolerance, or farthest above."""
    worst = (-1.0, 0.0, "")
    for name in sorted(golden.outputs.keys() & outputs.keys()):
        output = outputs[name] if isinstance(outputs[name], Output) else Output(outputs[name])
        error = output.error(golden.outputs[name])
        if not error <= output.tolerance:
            return False, f"{error:.1e} > {output.tolerance:.0e} in {name}"
        worst = max(worst, (error / output.tolerance, error, name))
    if not worst[2]:
        return False, "no output to compare"
    return True, f"{worst[1]:.1e} in {worst[2]}"


def main(folder: str) -> int:
    paths = sorted(Path(folder).glob("*.npz"))
    results = [check(path) for path in paths]
    for path, (met, line) in zip(paths, results, strict=True):
        print(f"{'ok    ' if met else 'FAILED'} {path.stem:32s} {line}")
    failed = sum(not met for met, _ in results)
    print(f"{len(paths)} files, {failed} failed" if paths else f"no .npz in {folder}")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
