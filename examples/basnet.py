"""A baseline from outside the library, in the style of BaS-Net (Lee et al., AAAI 2020): background suppression.

One classifier sees every video twice: whole, where background must be found besides the actions, and filtered by an
attention, where it must not. README.md beside this file has the steps. Only `from clasnet import ...` is used, and
nothing in the library or the stages knows this file.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from clasnet import Baseline, Localization, Output, Scores, register_baseline
from clasnet.models.settings import Count, Probability, Weight


@dataclass
class BaSNetOutput(Output):
    suppressed: torch.Tensor  # [B, T, C + 1]: class logits of the filtered features


class BaSNet(Baseline):
    """``streams``: 2 of RGB and flow, or 1; ``guide`` weighs the agreement of attention and background class; ``k``:
    top-k pooling takes T / k snippets.
    """

    localization = Localization(by_class=True)  # proposals from each class's own activation, not from the attention

    def __init__(
        self,
        num_classes,
        width,
        *,
        streams: Literal[1, 2] = 2,
        k: Count = 8,
        guide: Weight = 0.2,
        dropout: Probability = 0.3,
    ):
        super().__init__(num_classes, width, streams)
        self.k, self.guide = k, guide
        self.filter = nn.Sequential(
            nn.Conv1d(self.columns, width, 1),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, 1, 1),
            nn.Sigmoid(),
        )
        self.classify = nn.Sequential(
            nn.Conv1d(self.columns, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(2 * width, num_classes + 1, 1),
        )

    def forward(self, x):
        x = x.transpose(1, 2)
        attention = self.filter(x)
        cas, suppressed = (self.classify(y).transpose(1, 2) for y in (x, x * attention))
        return BaSNetOutput(cas, attention.squeeze(1), suppressed)

    def losses(self, output, labels, progress):
        return {
            "base": self.cross_entropy(output.cas, F.pad(labels, (0, 1), value=1.0)),  # background is there,
            "suppression": self.cross_entropy(output.suppressed, F.pad(labels, (0, 1), value=0.0)),  # and suppressed
            "guide": self.guide * (1 - output.attention - output.cas.softmax(-1)[..., -1]).abs().mean(),
        }

    def scores(self, output):
        weighted = output.attention[..., None] * output.suppressed.softmax(-1)[..., :-1]
        return Scores(self.pool(output.suppressed).softmax(-1)[:, :-1], weighted, weighted)

    def pool(self, logits):
        """Logits of the video [B, C + 1] from those of its snippets [B, T, C + 1]."""
        return logits.topk(max(1, logits.shape[1] // self.k), dim=1).values.mean(1)

    def cross_entropy(self, logits, target):
        """Of the pooled ``logits`` with the labels ``target`` [B, C + 1] in equal shares."""
        return -(target / target.sum(1, keepdim=True) * self.pool(logits).log_softmax(-1)).sum(1).mean()


register_baseline("basnet", BaSNet, title="BaS-Net style")
