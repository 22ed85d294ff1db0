"""params.yaml, checked: what every stage reads first, and the stage `check` itself.

A wrong value ends the stage with one line that names the key, the value and what is allowed.
"""

import errno
import hashlib
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from clasnet.models.registry import BASELINES, import_extensions
from clasnet.data.sampling import CACHES
from clasnet.files import replacing
from clasnet.models.released import NAMES as RELEASED
from clasnet.training.loop import PRECISIONS

PARTS = ("fcsm", "brm", "sparsity")
Dataset = Literal["thumos14", "activitynet12", "activitynet13"]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Range = tuple[PositiveInt, PositiveInt]


class Section(BaseModel):
    """A block of params.yaml (or sources.yaml): unknown keys are errors, because they are misspelt ones."""

    model_config = ConfigDict(extra="forbid")


class FCSM(Section):
    layers: PositiveInt
    heads: PositiveInt
    bottleneck: PositiveInt | None
    dropout: Annotated[float, Field(ge=0, lt=1)]
    topk: Annotated[float, Field(gt=0, le=1)]
    alpha: NonNegative
    weight: NonNegative


class BRM(Section):
    weight: NonNegative
    distance: Literal["mse", "l1", "cosine"]


class Sparsity(Section):
    weight: NonNegative


class LocalizationParams(Section):
    beta: Share


class Study(Section):
    dataset: Dataset
    baseline: str
    rows: dict[Literal["B", "C", "D", "E", "F", "G"], tuple[Literal[PARTS], Literal[PARTS]]]
    layers: Annotated[list[PositiveInt], Field(min_length=1)]
    heads: Annotated[list[PositiveInt], Field(min_length=1)]


class Twin(Section):
    seed: Annotated[int, Field(ge=0)]
    width: PositiveInt
    groups: PositiveInt
    classes: PositiveInt
    train_videos: PositiveInt
    test_videos: PositiveInt
    snippets: Range

    @property
    def drawing(self):
        """What :func:`clasnet.data.synthetic.draw_annotations` takes."""
        return {key: getattr(self, key) for key in ("classes", "train_videos", "test_videos", "snippets")}


class Data(Section):
    """Where the data come from: a ``twin``; a published ``source`` of sources.yaml; or the user's own ``features`` with ``annotations``."""

    annotations: str | None = None
    twin: Twin | None = None
    source: str | None = None
    features: str | None = None

    @model_validator(mode="after")
    def one_source(self):
        if sum(place is not None for place in (self.twin, self.source, self.features)) != 1:
            raise ValueError("give one of `twin`, `source` and `features`")
        if self.features and not self.annotations:
            raise ValueError("`features` of your own need `annotations`")
        return self


class Features(Section):
    dtype: Literal["float32", "float16"]


class Training(Section):
    steps: PositiveInt
    lr: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "cosine"]
    weight_decay: NonNegative
    batch_size: PositiveInt
    segments: PositiveInt
    model: dict[str, Any]

    @field_validator("model")
    @classmethod
    def has_width(cls, model):
        if not isinstance(model.get("width"), int) or model["width"] < 1:
            raise ValueError("must hold a positive `width`")
        return model


class Computing(Section):
    cache: Literal[CACHES]
    precision: Literal[PRECISIONS]
    compile: bool


class Evaluation(Section):
    checkpoint: Literal["last", "best_on_test"]
    every: PositiveInt
    resamples: PositiveInt


class Protocol(Section):
    units: Literal["released", "seconds", "snippets"]


class Released(Section):
    dataset: Dataset
    baseline: Literal[tuple(RELEASED)]
    file: str


class Profile(Section):
    data: dict[Dataset, Data]
    evaluate: Protocol
    train: dict[str, dict[Dataset, Training]]


class Params(Section):
    """The whole of params.yaml."""

    profile: str
    datasets: Annotated[list[Dataset], Field(min_length=1)]
    baselines: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    threads: PositiveInt
    features: Features
    train: Computing
    device: Literal["auto", "cpu", "cuda"]
    fcsm: FCSM
    brm: BRM
    sparsity: Sparsity
    ramp: tuple[Share, Share]
    localization: LocalizationParams
    evaluate: Evaluation
    study: Study
    released: dict[str, Released]
    extensions: str
    profiles: dict[str, Profile]

    @property
    def active_profile(self):
        return self.profiles[self.profile]

    @property
    def synthetic(self):
        """Are (some of) the active profile's features made by the generator?"""
        return any(self.active_profile.data[dataset].twin for dataset in self.datasets)

    @field_validator("datasets", "baselines", "seeds")
    @classmethod
    def no_repeats(cls, values):
        if len(set(values)) != len(values):
            raise ValueError("must not repeat an entry")
        return values

    @model_validator(mode="after")
    def consistent(self):
        def require(good, key, value, allowed):
            if not good:
                raise ValueError(f"\0{key} = {value!r}: {allowed}")

        require(self.profile in self.profiles, "profile", self.profile, f"must be one of {', '.join(self.profiles)}")
        profile = self.active_profile
        import_extensions(self.extensions)
        for baseline in self.baselines:
            require(baseline in BASELINES, "baselines", baseline, f"must be one of {', '.join(BASELINES)}")
            require(baseline in profile.train, "baselines", baseline, f"needs its settings in profiles.{self.profile}.train.{baseline}")
        require(
            self.study.baseline in self.baselines, "study.baseline", self.study.baseline, f"must be one of baselines: {', '.join(self.baselines)}"
        )
        require(self.study.dataset in self.datasets, "study.dataset", self.study.dataset, f"must be one of datasets: {', '.join(self.datasets)}")
        require(self.ramp[0] <= self.ramp[1], "ramp", list(self.ramp), "must not fall")
        for dataset in self.datasets:
            require(dataset in profile.data, "datasets", dataset, f"must be one of {', '.join(profile.data)} (profiles.{self.profile}.data)")
            twin = profile.data[dataset].twin
            for baseline in self.baselines:
                here = f"profiles.{self.profile}.train.{baseline}"
                require(dataset in profile.train[baseline], here, list(profile.train[baseline]), f"must have an entry for {dataset}")
                width = profile.train[baseline][dataset].model["width"]
                require(not twin or twin.width == width, f"{here}.{dataset}.model.width", width, f"must be the twin's width {twin and twin.width}")
                for key, heads in [("fcsm.heads", self.fcsm.heads), *(("study.heads", h) for h in self.study.heads)]:
                    require(width % heads == 0, key, heads, f"must divide the width {width} of {baseline} on {dataset}")
        places = [(entry.dataset, entry.baseline) for entry in self.released.values()]
        for key, entry in self.released.items():
            require(entry.dataset in self.datasets, f"released.{key}.dataset", entry.dataset, f"must be one of datasets: {', '.join(self.datasets)}")
            require(
                entry.baseline in self.baselines, f"released.{key}.baseline", entry.baseline, f"must be one of baselines: {', '.join(self.baselines)}"
            )
            require(
                places.count((entry.dataset, entry.baseline)) == 1,
                f"released.{key}",
                entry.file,
                "there is another one of that data set and baseline",
            )
        return self


def load_params(path="params.yaml"):
    """The checked :class:`Params` of ``path``. Raises ``SystemExit`` with one line on a wrong value."""
    try:
        content = yaml.safe_load(Path(path).read_text())
        return Params.model_validate(content)
    except FileNotFoundError:
        raise SystemExit(f"{path}: no such file; run the stages from the root of the repository") from None
    except yaml.YAMLError as error:
        raise SystemExit(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise SystemExit(f"{path}: {_one_line(error.errors()[0])}") from None


def _one_line(error):
    """What pydantic says of the first wrong value, as "key = value: what is allowed"."""
    key = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    if message.startswith("\0"):
        return message[1:]
    if error["type"] == "extra_forbidden":
        parent = Params
        for part in error["loc"][:-1]:
            field = getattr(parent, "model_fields", {}).get(part)
            parent = field.annotation if field else None
        known = f"; known here: {', '.join(parent.model_fields)}" if getattr(parent, "model_fields", None) else ""
        return f"{key}: unknown key{known}"
    if error["type"] == "missing":
        return f"{key}: is missing"
    return f"{key} = {error['input']!r}: {message[0].lower()}{message[1:]}"


def stage_errors(main):
    """Run a stage's ``main``; an error that a user can mend ends it with its one line instead of a traceback."""
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) and not error.filename
        text = "the disk is full; nothing half-written is left; make room and run again" if full else error
        raise SystemExit(f"{Path(sys.argv[0]).stem}: {text}") from None


def fingerprint(baseline, extensions):
    """A line that changes when the source of a ``baseline`` from outside the library does; that of the built-in ones is the stages' own dependency."""
    module = BASELINES[baseline].__module__
    if module.startswith("clasnet."):
        return "built in\n"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(extensions).glob("*.py"))))
    return f"{module}, extensions {digest.hexdigest()}\n"


def main():
    params = load_params()
    with replacing("data/params.ok") as path:
        path.write_text("params.yaml is valid\n")
    with replacing("data/baselines") as folder:
        folder.mkdir()
        for baseline in params.baselines:
            (folder / baseline).write_text(fingerprint(baseline, params.extensions))


if __name__ == "__main__":
    stage_errors(main)
