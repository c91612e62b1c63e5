"""AKOrN: artificial Kuramoto oscillatory neurons (Miyato et al. 2025), on the core's law of unit vectors."""

from neural.akorn.attention import Attention
from neural.akorn.boards import board_scores, check_boards, digits
from neural.akorn.classifier import ClassifierAKOrN
from neural.akorn.connectivity import Connectivity, Convolution, DenseMap
from neural.akorn.discovery import clusters, features, segment
from neural.akorn.frequency import Antisymmetric, PairFrequency
from neural.akorn.itrconv import ItrConv
from neural.akorn.layer import KuramotoLayer, Run
from neural.akorn.objects import ObjectAKOrN
from neural.akorn.parts import NetworkRun, kuramoto_layer
from neural.akorn.published import Loaded, network_from
from neural.akorn.readout import Readout
from neural.akorn.resnet import ResNet18
from neural.akorn.schedule import MovingAverage, warmup
from neural.akorn.simclr import simclr_loss
from neural.akorn.sudoku import SudokuAKOrN
from neural.akorn.sudoku_data import read_boards
from neural.akorn.sudoku_small import small_boards
from neural.akorn.transformer import ImageTransformer, SudokuTransformer
from neural.akorn.voting import broken_rules, vote

__all__ = [
    "Antisymmetric",
    "Attention",
    "ClassifierAKOrN",
    "Connectivity",
    "Convolution",
    "DenseMap",
    "ImageTransformer",
    "ItrConv",
    "KuramotoLayer",
    "Loaded",
    "MovingAverage",
    "NetworkRun",
    "ObjectAKOrN",
    "PairFrequency",
    "Readout",
    "ResNet18",
    "Run",
    "SudokuAKOrN",
    "SudokuTransformer",
    "board_scores",
    "broken_rules",
    "check_boards",
    "clusters",
    "digits",
    "features",
    "kuramoto_layer",
    "network_from",
    "read_boards",
    "segment",
    "simclr_loss",
    "small_boards",
    "vote",
    "warmup",
]
