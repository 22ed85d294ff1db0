"""The files of the study's trials, reports/study/trials/*.json: what `trials` writes, and `verdict` reads."""

import hashlib
import json
from typing import Annotated

from msgspec import Meta, Struct

DEVELOPMENT = 40  # the first replicate for choices: generator seeds from 120 on
Percent = Annotated[float, Meta(ge=0, le=100, description="a number from 0 to 100")]
Correlation = Annotated[float, Meta(ge=-1, le=1, description="a number from -1 to 1")]


class Trial(Struct):
    """What one training of the study gave: mAP (%) by the share of A and by t-IoU, correlations with the truth, and how
    many test videos there were.
    """

    maps: dict[str, list[Percent]]
    correlation: dict[str, Correlation]
    videos: int


class Trials(Struct):
    """The file of one cell."""

    cell: str  # data set and baseline
    settings: str  # the digest of what the trials were made by
    trials: dict[str, dict[str, Trial]]  # by variant and replicate


def settings_digest(settings):
    """A checksum of ``settings``, or of anything that is JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
