"""Scenes of several objects, with the label of every pixel: drawn from a seed, or read from published files."""

from neural.scenes.files import read_clevrtex, read_hdf5, read_npz
from neural.scenes.published import has_published, read_published
from neural.scenes.scene import Scenes
from neural.scenes.shapes import hollow_shapes, shapes
from neural.scenes.sprites import multi_dsprites
from neural.scenes.tetrominoes import tetrominoes

__all__ = [
    "Scenes",
    "has_published",
    "hollow_shapes",
    "multi_dsprites",
    "read_clevrtex",
    "read_hdf5",
    "read_npz",
    "read_published",
    "shapes",
    "tetrominoes",
]
