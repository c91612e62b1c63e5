"""A second device for machines without one: what lies there is computed on the processor, and never meets what does not.

`x.to(device)` under `second_device()` gives tensors that say they lie on another device. An operation on tensors of both
raises, as on an accelerator, except for single numbers, copies and indices; so does rand, randn, randint
or randperm with a generator of the wrong one.
Values are those of the processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
NAME = "elsewhere"
COPIES = {aten._to_copy.default, aten.copy_.default}
PICKS = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}  # their second argument may lie here


class Backend(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float32]  # asked for by checkpoints


if not torch.cuda.is_available():  # before any gradient: autograd counts the devices when it is first used
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=Backend())


def device() -> torch.device:
    return torch.device(NAME, 0)


def is_there(where: Any) -> bool:
    return where is not None and torch.device(where).type == NAME


class There(Tensor):
    """A tensor that says it lies elsewhere; `here` are its values."""

    here: Tensor

    def __new__(cls, here: Tensor) -> There:
        with _disable_current_modes():
            meta = torch.empty_strided(here.size(), here.stride(), dtype=here.dtype, device="meta")
        options: dict[str, Any] = {"dispatch_device": True, "device_for_backend_keys": device()}
        new = Tensor._make_subclass(cls, meta, here.requires_grad, **options)
        new.here = here
        return new

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})

    def __repr__(self) -> str:  # type: ignore[override]
        return f"There({self.here})"


class Operations(TorchDispatchMode):
    """All operations, also those that make tensors."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


class GeneratorThere(torch.Generator):
    """A source of random numbers that says it lies elsewhere."""

    @property
    def device(self) -> torch.device:
        return device()

    def manual_seed(self, seed: int) -> GeneratorThere:
        super().manual_seed(seed)
        return self


def compute(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation on the values; its results lie where it was asked for, or where its tensors lie."""
    if function is torch.ops.prim.device.default:
        return device()
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    some = any(isinstance(tensor, There) for tensor in given)
    bound = tree_leaves((args[0], args[2:])) if function in PICKS else given
    if (
        some
        and function not in COPIES
        and any(isinstance(t, Tensor) and not isinstance(t, There) and t.ndim for t in bound)
    ):
        places = [str(tensor.device) for tensor in given]
        raise RuntimeError(f"Expected all tensors to be on the same device, but {function} has {places}")
    asked = kwargs.get("device")
    there = is_there(asked) if asked is not None else some
    if asked is not None:
        kwargs = kwargs | {"device": "cpu"}
    out = function(*tree_map(values, args), **tree_map(values, kwargs))
    wrapped = {id(tensor.here): tensor for tensor in given if isinstance(tensor, There)}

    def place(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return wrapped.get(id(value)) if id(value) in wrapped else There(value) if there else value

    return tree_map(place, out)


def values(leaf: Any) -> Any:
    return leaf.here if isinstance(leaf, There) else leaf


@contextmanager
def second_device() -> Iterator[str]:
    """Name of a device beside the processor: CUDA's where there is one, else a pretended one."""
    if torch.cuda.is_available():
        yield "cuda:0"
        return
    name = str(device())
    with pytest.MonkeyPatch.context() as patch, Operations():
        _patch(patch)
        yield name


def _patch(patch: pytest.MonkeyPatch) -> None:
    """What makes tensors without an operation, and generators."""
    make, take, Source = torch.tensor, torch.as_tensor, torch.Generator

    def tensor(data, *, dtype=None, device=None, requires_grad=False):
        new = make(data, dtype=dtype)
        return (new.to(device) if is_there(device) else new).requires_grad_(requires_grad)

    def as_tensor(data, dtype=None, device=None):
        if isinstance(data, Tensor):
            return data.to(device=device or data.device, dtype=dtype or data.dtype)
        new = take(data, dtype=dtype)
        return new.to(device) if is_there(device) else new

    def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False):
        return tensor(data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)

    class Generator(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, Source)

        def __call__(cls, device: Any = "cpu") -> Any:
            return GeneratorThere() if is_there(device) else Source(device)

    def drawn(draw):
        def draw_there(*shape, generator=None, device=None, **options):
            if generator is not None and isinstance(generator, GeneratorThere) != is_there(device):
                raise RuntimeError(f"Expected a generator on device {device}, but it is on {generator.device}")
            return draw(*shape, generator=generator, device=device, **options)

        return draw_there

    for name in ("rand", "randn", "randint", "randperm"):
        patch.setattr(torch, name, drawn(getattr(torch, name)))
    patch.setattr(torch, "tensor", tensor)
    patch.setattr(torch, "as_tensor", as_tensor)
    patch.setattr(Tensor, "new_tensor", new_tensor)
    patch.setattr(torch, "Generator", Generator("Generator", (), {}))
