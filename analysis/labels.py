"""Observables written once for bare arrays, and called with arrays, tensors or labelled arrays.

An observable sees arrays whose trailing axes are declared in words, and reduces them:

    @labelled(theta="time node", gives="node", unit="rad / time")
    def drift(theta, *, dim="node"):
        return theta[..., -1, :] - theta[..., 0, :]

The words are `time`, `node` and `component`. The caller's `dim` says what a node is: one dimension, or several, such as
("height", "width"), which the observable sees as one flat node axis in row-major order. A DataArray is asked for its
dimensions by name, wherever they stand; of a bare array the trailing axes are meant, and only the count of names
matters.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from analysis.checks import as_array, real_array, require_axes
from oscillators.arrays import Array, namespace

Dim = str | tuple[str, ...]
Observable = TypeVar("Observable", bound=Callable[..., Array])


def is_labelled(value: Any) -> bool:
    """Whether the value is an xarray.DataArray; xarray is not imported for the question."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(value, xarray.DataArray)


def labelled(
    *, gives: str = "", unit: str = "1", integer: bool = False, **layouts: str
) -> Callable[[Observable], Observable]:
    """Declare the axes of an observable's arguments (the state first) and of its result, and the result's unit.

    The state becomes floating point, unless it is declared `integer`: labels of places.
    """
    state = next(iter(layouts))

    def decorate(observable: Observable) -> Observable:
        signature = inspect.signature(observable)
        title = (observable.__doc__ or "").partition("\n")[0].rstrip(".")
        name = observable.__name__.lstrip("_")
        at_nodes = node_dimensions(signature.parameters["dim"].default) == ("node",)

        @functools.wraps(observable)
        def call(*args: Any, **kwargs: Any) -> Array:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            values = bound.arguments
            dims = node_dimensions(values["dim"])
            of_arrays = functools.partial(
                by_position, observable, layouts=layouts, gives=gives, dims=dims, integer=integer
            )
            if not is_labelled(values[state]):
                check_bare(state, values[state], dims if at_nodes else ())
                return of_arrays(values)
            result = by_name(of_arrays, values, layouts, gives, dims)
            return result.rename(name).assign_attrs(long_name=title, units=unit)

        return call  # type: ignore[return-value]

    return decorate


def check_bare(state: str, value: Any, dims: tuple[str, ...]) -> None:
    """Raise for what is no array, and for dimensions that an array without names cannot tell from its nodes."""
    if hasattr(value, "data_vars"):
        raise TypeError(
            f"`{state}` must be an array, but is a Dataset; pass a variable of it, for example result.theta."
        )
    wrong = [d for d in dims if d in ("time", "run", "component")]
    if wrong:
        raise ValueError(
            f"`dim` must name nodes, which are the last axes of an array without names, but is {wrong[0]!r}; move that axis "
            "last and leave `dim` out, or pass an xarray.DataArray."
        )


def by_position(
    observable: Callable[..., Array],
    values: dict[str, Any],
    *,
    layouts: dict[str, str],
    gives: str,
    dims: tuple[str, ...],
    integer: bool,
) -> Array:
    """Call the observable on bare arrays: check, flatten the node axes, compute, unfold the node axes of the result."""
    state, layout = next(iter(layouts.items()))
    array = as_array(values[state]) if integer else real_array(state, values[state])
    axes = spell(layout, dims)
    require_axes(state, array, axes)
    start = array.ndim - len(axes) + axes.index(dims[0])
    nodes = tuple(array.shape[start : start + len(dims)])
    others = {n: bare(values[n], layouts[n], dims) for n in layouts if n != state and values[n] is not None}
    flat = {n: flatten(n, a, layouts[n], nodes) for n, a in {state: array, **others}.items()}
    folded = {n: OnLattice(v, nodes) for n, v in values.items() if len(getattr(v, "node_dims", ())) > 1}
    result = observable(**{**values, **flat, **folded})
    if len(dims) == 1 or not gives:
        return result
    batch = tuple(result.shape[: result.ndim - len(gives.split())])
    return namespace(result).reshape(result, batch + nodes * len(gives.split()))


def by_name(
    of_arrays: Callable[[dict[str, Any]], Array],
    values: dict[str, Any],
    layouts: dict[str, str],
    gives: str,
    dims: tuple[str, ...],
) -> Any:
    """Call the observable of bare arrays on DataArrays: xarray brings the named dimensions to the end and keeps the others."""
    import xarray

    state = next(iter(layouts))
    missing = [d for d in spell(layouts[state], dims) if d not in values[state].dims]
    if missing:
        raise ValueError(
            f"`{state}` must have the dimension `{missing[0]}`, but has {values[state].dims}; "
            "name the node dimension(s) by `dim`, or rename the dimension."
        )
    if "t" in layouts and values["t"] is None:
        values["t"] = times(values[state])
    names = [n for n in layouts if is_labelled(values[n])]
    core = [[d for d in spell(layouts[n], dims) if d in values[n].dims] for n in names]

    def compute(*arrays: Array) -> Array:
        return of_arrays({**values, **dict(zip(names, arrays, strict=True))})

    return xarray.apply_ufunc(
        compute,
        *(values[n] for n in names),
        input_core_dims=core,
        output_core_dims=[[d + "_other" * copy for copy in range(len(gives.split())) for d in dims]],
        dask="allowed",
    )


def node_dimensions(dim: Dim) -> tuple[str, ...]:
    """The dimensions of the nodes as a tuple of names."""
    dims = (dim,) if isinstance(dim, str) else tuple(dim)
    if not dims:
        raise ValueError("`dim` must name at least one dimension, but is empty; pass the dimension(s) of the nodes.")
    return dims


@dataclass(frozen=True)
class OnLattice:
    """A coupling that needs the axes of its lattice, such as a stencil, for observables that see one node axis."""

    coupling: Any  # has `node_dims`, the names of its axes, and `field`: (..., *nodes, m) -> (..., *nodes, m)
    nodes: tuple[int, ...]

    def __post_init__(self) -> None:
        wanted = tuple(self.coupling.node_dims)
        if len(wanted) != len(self.nodes):
            raise ValueError(
                f"`dim` must name {len(wanted)} dimensions for this {type(self.coupling).__name__}, but names "
                f"{len(self.nodes)}; pass `dim={wanted}`, or what your dimensions are called."
            )

    def field(self, g: Array) -> Array:
        """Local field on the unfolded lattice, folded again: (..., node, m) -> (..., node, m)."""
        xp = namespace(g)
        return xp.reshape(self.coupling.field(xp.reshape(g, (*g.shape[:-2], *self.nodes, g.shape[-1]))), g.shape)


def spell(layout: str, dims: tuple[str, ...]) -> list[str]:
    """The axes of a layout with the node axis replaced by its dimensions: "time node" -> [time, height, width]."""
    return [d for axis in layout.split() for d in (dims if axis == "node" else (axis,))]


def bare(value: Any, layout: str, dims: tuple[str, ...]) -> Array:
    """The value as an array; of a DataArray beside a bare state, with its dimensions in the declared order."""
    if is_labelled(value):
        return value.transpose(..., *[d for d in spell(layout, dims) if d in value.dims]).data
    return as_array(value)


def flatten(name: str, array: Array, layout: str, nodes: tuple[int, ...]) -> Array:
    """Merge the axes of the nodes into one; arrays too small to have them all (to be broadcast) stay."""
    axes, count = layout.split(), len(nodes)
    stop = array.ndim - (len(axes) - 1 - axes.index("node")) if "node" in axes else 0
    if count == 1 or stop < count:
        return array
    shape = tuple(array.shape)
    if shape[stop - count : stop] not in (nodes, (1,) * count):
        raise ValueError(
            f"`{name}` must have the lattice {nodes} of the state, but has shape {shape}; transpose or cut it."
        )
    merged = (*shape[: stop - count], math.prod(shape[stop - count : stop]), *shape[stop:])
    return namespace(array).reshape(array, merged)


def times(theta: Any) -> Any:
    """The time coordinate of a DataArray."""
    if not is_labelled(theta) or "time" not in theta.coords:
        raise ValueError("`t` must be given where `theta` has no coordinate `time`, but is None; pass the times.")
    return theta.coords["time"]
