"""Rolling checkpoints: a training that is killed goes on where it was, and ends in the same bytes."""

import hashlib
import io
import time
from pathlib import Path

import torch

from clasnet.files import replacing
from clasnet.models.checkpoint import as_bytes

DIGEST = 32  # bytes of checksum before the state
FEWEST_STEPS = 50  # between two checkpoints
SHARE = 0.02  # of the training's time at most goes into writing them


class RollingCheckpoint:
    """The state of one training in the file ``path``, written again and again.

    ``identity``, a text, stands for the settings, data and code that the state belongs to: that of another is set
    aside. ``parts``: name to object with ``state()`` and ``load(state)``, which are to go on with the training (what
    logs, what watches). ``notify`` gets a line where a file is of no use.
    """

    def __init__(self, path, identity, parts, notify=print):
        self.path, self.identity, self.parts, self.notify = Path(path), identity, parts, notify
        self.step = 0  # of the last state written or read
        self.written, self.cost = time.monotonic(), 0.0

    def restore(self, training):
        """Bring ``training`` and the parts to the state in the file, if there is one of theirs."""
        if not self.path.exists():
            return
        content = self.read()
        if not content:
            self.notify(f"{self.path}: damaged checkpoint; removed, this training begins anew")
            self.path.unlink()
            return
        if content["identity"] != self.identity:
            aside = self.path.with_name(f"{self.path.name}.other")
            self.path.replace(aside)
            self.notify(
                f"{self.path}: of other settings, data or code; set aside as {aside.name}, this training begins anew"
            )
            return
        training.load(content["training"])
        for name, part in self.parts.items():
            part.load(content["parts"][name])
        self.step = training.step

    def read(self):
        """The content of the file, or None if it is damaged; nothing in it is run."""
        digest, whole = (content := self.path.read_bytes())[:DIGEST], content[DIGEST:]
        if hashlib.sha256(whole).digest() != digest:
            return None
        return torch.load(io.BytesIO(whole), map_location="cpu", weights_only=True)

    def due(self, step):
        """Is it time to write, after ``step`` steps? Rarely enough that writing stays a small share of the time."""
        if step - self.step < FEWEST_STEPS:
            return False
        return (time.monotonic() - self.written) * SHARE >= self.cost

    def save(self, training):
        """Write the state of ``training`` and of the parts; whole, or the one before stays."""
        start = time.monotonic()
        parts = {name: part.state() for name, part in self.parts.items()}
        content = {"identity": self.identity, "training": training.state(), "parts": parts}
        whole = as_bytes(content)
        with replacing(self.path) as partial, open(partial, "wb") as file:
            file.write(hashlib.sha256(whole).digest())
            file.write(whole)
        self.step, self.written = training.step, time.monotonic()
        self.cost = self.written - start
