"""Autoencoders whose units have a magnitude and a direction: CAE, CAE++, CtCAE (complex numbers), rotating features."""

from neural.autoencoders.blocks import Block, ComplexBlock, RotatingBlock, stable_angle
from neural.autoencoders.cae import CAE, CAEPlusPlus, ComplexAutoencoder, GreyCAE
from neural.autoencoders.contrast import Contrast, Sample
from neural.autoencoders.ctcae import CtCAE
from neural.autoencoders.evaluation import (
    clusters_guessed,
    colour_features,
    object_features,
    object_scores,
    phase_features,
    resultant,
    rotation_features,
    segments,
)
from neural.autoencoders.network import Autoencoder, Run
from neural.autoencoders.pictures import direction_colours
from neural.autoencoders.published import autoencoder_from, load_published, published_weights
from neural.autoencoders.rotating import RotatingAutoencoder
from neural.autoencoders.start import settle, spread_phases

__all__ = [
    "CAE",
    "Autoencoder",
    "Block",
    "CAEPlusPlus",
    "ComplexAutoencoder",
    "ComplexBlock",
    "Contrast",
    "CtCAE",
    "GreyCAE",
    "RotatingAutoencoder",
    "RotatingBlock",
    "Run",
    "Sample",
    "autoencoder_from",
    "clusters_guessed",
    "colour_features",
    "direction_colours",
    "load_published",
    "object_features",
    "object_scores",
    "phase_features",
    "published_weights",
    "resultant",
    "rotation_features",
    "segments",
    "settle",
    "spread_phases",
    "stable_angle",
]
