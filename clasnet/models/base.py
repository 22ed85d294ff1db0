"""What a baseline is to the rest of the library: the whole interface, in one place.

A baseline is a :class:`Baseline`. It turns snippet features into an :class:`Output`, gives the named terms of its loss,
and the :class:`Scores` that localisation reads. Training, CLASNet and localisation use nothing else, so a network of
your own needs nothing else.
"""

from dataclasses import dataclass

import torch
from torch import nn

from clasnet.data.sampling import Sampling
from clasnet.localization.settings import Localization


@dataclass
class Output:
    """What a network says of a batch. Subclass it to carry what a loss needs besides."""

    cas: torch.Tensor  # [B, T, C] or, with a background channel last, [B, T, C + 1]: class logits per snippet
    attention: torch.Tensor  # [B, T] in (0, 1): is the snippet action?


@dataclass
class Scores:
    """What localisation reads."""

    video: torch.Tensor  # [B, C]: does the video hold the class?
    snippet: torch.Tensor  # [B, T, C]: class score, by which a proposal's inside is compared with its surroundings
    activity: torch.Tensor  # [B, T, 1] or [B, T, C]: what is thresholded into proposals, for all classes or per class


class Baseline(nn.Module):
    """The interface.

    Attributes: ``num_classes`` C, ``width`` D (features per stream), ``streams`` (2 of RGB and flow, or 1), and the
    class attributes below. A subclass takes ``num_classes``, ``width`` and settings of its own, which the profile gives
    it (``model: {width: 32, ...}``); one that can read a single stream takes ``streams`` and hands it on.
    """

    sampling = Sampling()
    localization = Localization()
    recipe = None  # arguments of clasnet.models.registry.build_model that build it again; model files hold them

    def __init__(self, num_classes, width, streams=2):
        super().__init__()
        self.num_classes, self.width, self.streams = num_classes, width, streams

    @property
    def columns(self):
        """How many numbers a snippet has: 2D, or D of a single stream."""
        return self.streams * self.width

    def forward(self, x):
        """``x`` [B, T, 2D] (RGB, then flow; [B, T, D] of a single stream) to an :class:`Output`."""
        raise NotImplementedError

    def losses(self, output, labels, progress):
        """Named, weighted loss terms (scalars) whose sum is the loss.

        ``labels`` [B, C] multi-hot; ``progress`` of the training in [0, 1).
        """
        raise NotImplementedError

    def scores(self, output):
        """:class:`Scores` of ``output``.

        Read ``output.attention`` here, not a copy: CLASNet replaces it by a mix with its own.
        """
        raise NotImplementedError


def initialize(module):
    """Kaiming-uniform weights, zero bias of every convolution and linear layer, as in all three released networks."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv1d, nn.Linear)):
            nn.init.kaiming_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
