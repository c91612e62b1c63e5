"""Autoencoders whose units have a magnitude and a direction: CAE, CAE++, CtCAE (complex numbers), rotating features."""

from neural.autoencoders.blocks import Block, ComplexBlock, RotatingBlock, stable_angle
from neural.autoencoders.cae import CAE, CAEPlusPlus, ComplexAutoencoder, GreyCAE
from neural.autoencoders.contrast import Contrast, Sample
from neural.autoencoders.ctcae import CtCAE
from neural.autoencoders.evaluation import object_scores, phase_features, rotation_features, segments
from neural.autoencoders.network import Autoencoder, Run
from neural.autoencoders.published import autoencoder_from, load_published, published_weights
from neural.autoencoders.rotating import RotatingAutoencoder

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
    "load_published",
    "object_scores",
    "phase_features",
    "published_weights",
    "rotation_features",
    "segments",
    "stable_angle",
]
