"""Results of a sweep on disk: one zarr group, one chunk per point and variable.

A point's numbers are written before its status: a process that dies between the two leaves a point that is missing.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from oscillators import checks

try:
    import dask.array as da
    import zarr
except ImportError as error:
    raise ImportError(
        "`sweep` must find zarr and dask, but one is not installed; write pip install 'oscillator-systems[scale]'."
    ) from error

MISSING, DONE, FAILED = range(3)
OWN = ("sweep_status", "sweep_reason")
FORMAT = 2  # words of any length are part of this version of the format


class Store:
    """Results along the dimensions of `over`.

    Args:
        path: its folder, made when the first point has a result.
        over: name -> values.
        origin: what the results depend on besides; must be that of the results which are there.
    """

    def __init__(self, path: Path, over: dict[str, np.ndarray], origin: dict[str, Any]):
        self.path, self.over, self.origin = path, over, origin
        self.shape = tuple(map(len, over.values()))
        self.size = int(np.prod(self.shape))
        self.failures: dict[tuple[int, ...], str] = {}  # of points that came before the first result
        self.group: Any = None
        if path.exists():
            self._check_same()
            self._open()

    def missing(self) -> list[tuple[int, ...]]:
        """Indices of the points that have no result."""
        if self.group is None:
            return list(itertools.product(*map(range, self.shape)))
        return [tuple(index) for index in np.argwhere(self.group["sweep_status"][:] != DONE).tolist()]

    def put(self, index: tuple[int, ...], result: Any, reason: str = "") -> None:
        """Keep the result of a point, or the reason why it has none."""
        reason = reason or self._misfit(result)
        if self.group is None:
            if reason:
                self.failures[index] = reason
                return
            self._lay_out(result)
            for earlier, why in self.failures.items():
                self._set(earlier, FAILED, why)
        if not reason:
            self._write(index, result)
        self._set(index, FAILED if reason else DONE, reason)

    def read(self) -> xr.Dataset:
        """All results, read as they are used."""
        if self.group is None:
            index, reason = next(iter(self.failures.items()))
            point = {name: values[i].item() for (name, values), i in zip(self.over.items(), index, strict=True)}
            raise ValueError(f"`build` must succeed at some point, but failed at all {self.size}; at {point}: {reason}")
        return opened(self.path)

    def _set(self, index: tuple[int, ...], status: int, reason: str) -> None:
        self.group["sweep_reason"][index] = reason
        self.group["sweep_status"][index] = status

    def _write(self, index: tuple[int, ...], result: xr.Dataset) -> None:
        for name, variable in result.data_vars.items():
            self.group[name][index] = variable.values
        kept, own = self.group.attrs, result.attrs | self.origin
        for name in [name for name, value in kept.items() if own.get(name) != value]:
            del kept[name]  # it is not that of all points

    def _lay_out(self, first: xr.Dataset) -> None:
        """Write names, shapes and coordinates, and no numbers yet."""
        data = {name: self._along_grid(variable.variable) for name, variable in first.data_vars.items()}
        status = xr.Variable((), np.int8(MISSING), {"flag_values": [0, 1, 2], "flag_meanings": "missing done failed"})
        data |= {"sweep_status": self._along_grid(status), "sweep_reason": self._words()}
        part = self.path.with_name(self.path.name + ".part")
        whole = xr.Dataset(data, first.coords.assign(self.over), first.attrs | self.origin)
        whole.to_zarr(part, mode="w", compute=False, zarr_format=FORMAT, consolidated=False)
        part.rename(self.path)
        self._open()

    def _along_grid(self, one: xr.Variable) -> xr.Variable:
        """The variable of a point, of all points, one chunk for each."""
        fill = np.nan if one.dtype.kind in "fc" else None
        shape, chunks = (*self.shape, *one.shape), (*(1,) * len(self.shape), *one.shape)
        return xr.Variable(
            (*self.over, *one.dims), da.zeros(shape, dtype=one.dtype, chunks=chunks), one.attrs, {"_FillValue": fill}
        )

    def _words(self) -> xr.Variable:
        chunks = (1,) * len(self.shape)
        return xr.Variable(tuple(self.over), np.full(self.shape, "", object), encoding={"chunks": chunks})

    def _open(self) -> None:
        self.group = zarr.open_group(self.path, mode="r+")
        kept = opened(self.path)
        self.point = kept.isel(dict.fromkeys(self.over, 0), drop=True).drop_vars(OWN)

    def _misfit(self, result: Any) -> str:
        """Why a result cannot stand beside the others."""
        if not isinstance(result, xr.Dataset):
            return (
                "TypeError: `build` must return a dict of arguments of simulate, or a Dataset, but returned "
                f"{checks.shown(result)}"
            )
        for taken in {*self.over, *OWN} & {*result.variables, *result.dims}:
            return f"ValueError: `build` must not return {taken!r}, which is swept; name it otherwise"
        for name, variable in result.data_vars.items():
            if variable.dtype.kind not in "biufc":
                return f"TypeError: `build` must return numbers, but {name!r} has dtype {variable.dtype}"
        if self.group is not None and _layout(result) != _layout(self.point):
            return (
                "ValueError: `build` must return the same variables, shapes and coordinates at all points, but does not"
            )
        return ""

    def _check_same(self) -> None:
        """The store at the path must be of this sweep."""
        if not (self.path / "sweep_status").is_dir():
            raise ValueError(
                f"`store` must be a new folder or that of a sweep, but {self.path} is neither; name another."
            )
        kept = opened(self.path)
        for name, values in self.over.items():
            if name not in kept.dims or not np.array_equal(kept[name].values, values):
                raise ValueError(
                    f"`over` must be that of the results in {self.path}, but {name!r} is not; name another `store`."
                )
        for name, value in self.origin.items():
            if kept.attrs.get(name) != value:
                raise ValueError(
                    f"`{name.removeprefix('sweep_')}` must be that of the results in {self.path}, but has changed since; name "
                    "another `store`, or remove that one."
                )


def opened(path: Path) -> xr.Dataset:
    """What a store holds, variables by name."""
    kept = xr.open_zarr(path, chunks=None, consolidated=False)
    return kept[sorted(kept.data_vars)].drop_encoding()


def _layout(one: xr.Dataset) -> Any:
    """What all points have in common: variables and coordinates."""
    variables = {name: (v.dims, v.shape, v.dtype.kind) for name, v in one.data_vars.items()}
    return variables, {name: (c.dims, c.values.tolist()) for name, c in one.coords.items()}
