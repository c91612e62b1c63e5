"""The same network at every point of a grid of parameters: labelled, resumable, on threads or a dask cluster."""

from __future__ import annotations

import hashlib
import inspect
import json
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from oscillators import checks
from oscillators.engine import STOP, cores
from oscillators.simulate import simulate

if TYPE_CHECKING:
    import xarray as xr

Point = dict[str, Any]
Outcome = tuple[Any, str]  # a Dataset, or None and the reason
Outcomes = Generator[tuple[tuple[int, ...], Outcome], None, None]  # with the index of each point


def sweep(
    build: Callable[..., Any],
    over: Mapping[str, Any],
    *,
    store: str | Path,
    client: Any = None,
    rng: int = 0,
    progress: bool = False,
) -> xr.Dataset:
    """Run a network at every point of a grid, and keep each result as soon as it is there.

        def build(K):
            return {"system": Kuramoto(omega), "coupling": K, "x0": theta, "t": t, "observe": {"r": order_parameter}}

        found = sweep(build, over={"K": np.linspace(0, 4, 41)}, store="onset.zarr")
        found.r.mean("time").plot()

    Args:
        build: function of the swept names (by keyword) that returns a dict of arguments of `simulate`, or a Dataset that it
            made itself. If it has a parameter `rng`, it is given a Generator; so is `simulate` for its noise. It depends
            on `rng` and on the values of the point alone, not on the grid, the order or the number of workers. Results
            must have the variables, shapes and coordinates of the first that comes; one that has not is a failure.
        over: name -> values (numbers, words or truth values, each once) along a dimension of that name.
        store: folder of the results (zarr, one chunk per point and variable). If it exists, the sweep goes on: points
            that are there are not run again, points that failed are. It is refused for another text of `build`; what
            `build` reads from outside (`omega` above) is not compared.
        client: of dask.distributed, whose workers run the points; None: threads of this process.
        rng: seed.
        progress: show a bar.

    Returns:
        The results along the swept dimensions, read from the store as they are used. `sweep_status` says which points
        are done, failed or missing, and `sweep_reason` why one failed; their numbers are NaN (0 for whole numbers).
        Ctrl-C ends the sweep within a second; call it again to go on.

    Raises:
        ValueError, TypeError: before the first run, for arguments that do not fit; or if every point failed.

    Note: needs the extra `scale`.
    """
    from oscillators.sweep_store import Store

    over = _checked_over(over)
    _check_build(build, over)
    if isinstance(rng, bool) or not isinstance(rng, int | np.integer) or rng < 0:
        raise ValueError(f"`rng` must be a whole number from 0, but is {checks.shown(rng)}; pass a seed such as rng=0.")
    if client is not None and not hasattr(client, "submit"):
        raise TypeError(
            f"`client` must be a dask.distributed.Client, but is {checks.shown(client)}; pass Client(), or None for threads."
        )
    results = Store(Path(store), over, {"sweep_build": _source(build), "sweep_rng": int(rng)})
    points = {index: _point(over, index) for index in results.missing()}
    attempts = _in_threads if client is None else _on_cluster(client)
    with (
        tqdm(total=results.size, initial=results.size - len(points), disable=not progress, unit="point") as bar,
        closing(attempts(build, points, int(rng))) as outcomes,
    ):
        for index, (result, reason) in outcomes:
            results.put(index, result, reason)
            bar.update()
    return results.read()


def seed_of(point: Point, rng: int) -> list[int]:
    """Entropy of the random numbers of a point: of the seed, and of names and values in the order of the names."""
    text = json.dumps(sorted((name, repr(value)) for name, value in point.items()))
    return [rng, int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")]


def attempt(build: Callable, point: Point, rng: int) -> Outcome:
    """The result at a point, or why there is none."""
    generator = np.random.default_rng(seed_of(point, rng))
    own = {"rng": generator} if "rng" in inspect.signature(build).parameters and "rng" not in point else {}
    try:
        built = build(**point, **own)
        return (simulate(**{"rng": generator, **built}) if isinstance(built, dict) else built), ""
    except Exception as error:  # of one point, not of the sweep
        return None, f"{type(error).__name__}: {error}"


def _in_threads(build: Callable, points: dict, rng: int) -> Outcomes:
    """Outcomes in the order in which they come, from threads; closed early, it ends the runs under way."""
    stop = threading.Event()

    def work(point: Point) -> Outcome:
        STOP.set(stop)
        return attempt(build, point, rng)

    pool = ThreadPoolExecutor(cores())
    try:
        pending = {pool.submit(copy_context().run, work, point): index for index, point in points.items()}
        for future in as_completed(list(pending)):
            yield pending.pop(future), future.result()
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _on_cluster(client: Any) -> Callable[..., Outcomes]:
    """The same from the workers of a cluster."""

    def outcomes(build: Callable, points: dict, rng: int) -> Outcomes:
        from distributed import as_completed

        pending = {client.submit(attempt, build, point, rng, pure=False): index for index, point in points.items()}
        try:
            for future in as_completed(list(pending)):
                yield pending.pop(future), _received(future)
        finally:
            client.cancel(list(pending))

    return outcomes


def _received(future: Any) -> Outcome:
    """What a worker sends; if it died, or its answer cannot travel, the reason."""
    error = future.exception()
    return future.result() if error is None else (None, f"{type(error).__name__}: {error}")


def _point(over: dict[str, np.ndarray], index: tuple[int, ...]) -> Point:
    return {name: values[i].item() for (name, values), i in zip(over.items(), index, strict=True)}


def _checked_over(over: Any) -> dict[str, np.ndarray]:
    """Names and their values, each a row of numbers or words."""
    if not isinstance(over, Mapping) or not over:
        raise TypeError(
            f"`over` must map names to their values, but is {checks.shown(over)}; write for example "
            "over={'K': np.linspace(0, 4, 41)}."
        )
    return {name: _checked_values(name, values) for name, values in over.items()}


def _checked_values(name: Any, values: Any) -> np.ndarray:
    row = np.asarray(values)
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("sweep_"):
        raise ValueError(
            f"`over` must have names that are words and do not begin with sweep_, but has {name!r}; name it otherwise."
        )
    if row.ndim != 1 or not len(row) or row.dtype.kind not in "biufU":
        raise ValueError(
            f"`over[{name!r}]` must be a row of numbers or words, at least one, but is {checks.shown(values)}; pass a list."
        )
    if row.dtype.kind == "f" and not np.isfinite(row).all():
        raise ValueError(f"`over[{name!r}]` must be finite, but entry {np.argmin(np.isfinite(row))} is not; drop it.")
    if len(np.unique(row)) < len(row):
        raise ValueError(
            f"`over[{name!r}]` must hold every value once, but has {len(row) - len(np.unique(row))} repeats; for repeated runs "
            "sweep over a seed."
        )
    return row


def _check_build(build: Any, over: Iterable[str]) -> None:
    if not callable(build):
        raise TypeError(f"`build` must be a function, but is {checks.shown(build)}; pass the function itself.")
    parameters = inspect.signature(build).parameters
    names = [*over, *(["rng"] if "rng" in parameters and "rng" not in over else [])]
    try:
        inspect.signature(build).bind(**dict.fromkeys(names))
    except TypeError as error:
        raise TypeError(
            f"`build` must take the swept names ({', '.join(over)}) by keyword, but: {error}; give it these parameters."
        ) from None


def _source(build: Callable) -> str:
    """The text of the function, where there is one, else its name: a store is not continued by another function."""
    try:
        return inspect.getsource(build)
    except (OSError, TypeError):
        return getattr(build, "__qualname__", repr(type(build)))
