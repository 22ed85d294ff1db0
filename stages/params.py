"""params.yaml and the active profile, checked. A wrong value gives one line: file, key, value and what is allowed."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from clasnet.data.datasets import benchmark_of
from clasnet.errors import InputError
from clasnet.models.registry import BASELINES, import_extensions
from stages.networks import network_misfits
from stages.schema import Dataset, Origin, Section, read_checked
from stages.trial_files import DEVELOPMENT

PARTS = ("fcsm", "brm", "sparsity")
ROWS = {  # of Table 4
    "A": (),
    "B": ("sparsity",),
    "C": ("fcsm",),
    "D": ("brm",),
    "E": ("sparsity", "fcsm"),
    "F": ("sparsity", "brm"),
    "G": ("fcsm", "brm"),
    "H": PARTS,
}
Row = Literal["B", "C", "C-plain", "D", "E", "F", "G", "H-plain"]  # plain: the FCSM without its contrastive loss


def whole(low, high):
    """A whole number from ``low`` to ``high``; neither "4" nor 4.0, which name no stage that DVC has."""
    return Annotated[int, Field(ge=low, le=high, strict=True)]


PositiveInt = whole(1, 10**7)
Size = whole(1, 2**16)  # of an array
Layers = whole(1, 16)  # as the FCSM itself says
Cores = whole(1, 1024)
NonNegative = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1)]
Length = whole(11, 2**16)  # of a video; networks leave out those of 10 snippets or fewer
Text = Annotated[str, Field(min_length=1)]
Seed = whole(0, 2**64 - 1)  # as PyTorch takes them


class FCSM(Section):
    layers: Layers
    heads: Size
    bottleneck: Size | None
    dropout: Annotated[float, Field(ge=0, lt=1)]
    feed: Literal["none", "gated", "modulated"]
    topk: Annotated[float, Field(gt=0, le=1)]
    temperature: Annotated[float, Field(gt=0, le=1e9)]
    alpha: NonNegative
    weight: NonNegative
    follow: NonNegative


class BRM(Section):
    weight: NonNegative
    mutual: NonNegative
    distance: Literal["mse", "l1", "cosine"]


class Sparsity(Section):
    weight: NonNegative


class LocalizationParams(Section):
    beta: Share


class Training(Section):
    precision: Literal["float32", "tf32", "bf16"]
    compile: bool


class Evaluation(Section):
    checkpoint: Literal["last", "best_on_test"]
    resamples: whole(100, 100_000)


class Features(Section):
    dtype: Literal["float32", "float16"]


class Study(Section):
    dataset: Dataset
    baseline: str
    rows: list[Row]
    layers: Annotated[list[Layers], Field(min_length=1)]
    heads: Annotated[list[Size], Field(min_length=1)]

    @field_validator("rows", "layers", "heads")
    @classmethod
    def no_repeats(cls, values):
        return distinct(values)

    @property
    def variants(self):
        """The names of the study's models besides `baseline` and `clasnet`."""
        return [*self.rows, *(f"layers-{n}" for n in self.layers), *(f"heads-{n}" for n in self.heads)]


class Released(Section):
    dataset: Dataset
    baseline: Literal["co2net", "delu", "acrnet"]
    file: Text

    @field_validator("file")
    @classmethod
    def plain(cls, path):
        if re.search(r"[\"$`\\]", path):
            raise ValueError('must be a path without ", $, ` and \\, which a shell reads: rename the file')
        return path


class Twin(Section):
    seed: Seed
    width: Size
    groups: Size
    classes: whole(2, 2**16)
    train_videos: PositiveInt
    test_videos: PositiveInt
    snippets: tuple[Length, Length]

    @field_validator("snippets")
    @classmethod
    def rising(cls, snippets):
        if snippets[0] > snippets[1]:
            raise ValueError("must not fall: from the shortest to the longest video")
        return snippets

    @field_validator("classes")
    @classmethod
    def in_groups(cls, count, info):
        if count < info.data.get("groups", 0):
            raise ValueError("must be no fewer than the `groups` that they are in")
        return count

    @field_validator("train_videos")
    @classmethod
    def enough(cls, count, info):
        if count <= info.data.get("classes", 0):
            raise ValueError("must be more than the classes: networks draw pairs of videos of one class")
        return count


class Data(Section):
    """A ``twin``; a published ``source`` of sources.yaml; or ``features`` of the user's own with ``annotations`` and,
    where they are not of 16 frames at 25 a second in two streams, their ``origin``.
    """

    annotations: Text | None = None
    twin: Twin | None = None
    source: Text | None = None
    features: Text | None = None
    origin: Origin = Origin()

    @model_validator(mode="after")
    def one_source(self):
        if sum(place is not None for place in (self.twin, self.source, self.features)) != 1:
            raise ValueError("give one of `twin`, `source` and `features`")
        if self.source and self.annotations:
            raise ValueError("a `source` has its own annotations, in sources.yaml")
        if self.features and not self.annotations:
            raise ValueError("`features` of your own need `annotations`")
        if "origin" in self.model_fields_set and not self.features:
            raise ValueError("`origin` is of `features` of your own; a source has its own in sources.yaml")
        return self


class Recipe(Section):
    """How one baseline is trained on one data set."""

    steps: PositiveInt
    lr: Annotated[float, Field(gt=0, le=100)]
    schedule: Literal["constant", "cosine"]
    weight_decay: NonNegative
    batch_size: Size
    segments: Size
    model: dict[str, Any]  # what the network's constructor takes (stages/networks.py)

    @field_validator("model")
    @classmethod
    def has_width(cls, model):
        width = model.get("width")
        if not isinstance(width, int) or isinstance(width, bool) or not 2 <= width <= 2**16:
            raise ValueError(f"must hold a `width`, a whole number from 2 to {2**16}")
        return model


class Protocol(Section):
    units: Literal["released", "seconds", "snippets"]
    every: PositiveInt


class Trials(Section):
    """The study over ``replicates`` from number ``first`` on (stages/trials.py).

    ``rows`` of Table 4 for the baselines ``ablated``.
    """

    first: whole(0, 10**6)
    replicates: whole(2, 1000)
    rows: list[Row]
    ablated: list[str]

    @field_validator("rows", "ablated")
    @classmethod
    def no_repeats(cls, values):
        return distinct(values)


class Profile(Section):
    """The whole of profiles/<profile>.yaml. ``trials`` is for the study's own profile. A data set without a training of
    its own has that of the one that it is like.
    """

    data: dict[Dataset, Data]
    evaluate: Protocol
    train: dict[str, dict[Dataset, Recipe]]
    trials: Trials | None = None

    @field_validator("train")
    @classmethod
    def of_every_data_set(cls, train, info):
        for dataset in info.data.get("data", {}):
            like = benchmark_of(dataset).like
            for recipes in train.values():
                if dataset not in recipes and like in recipes:
                    recipes[dataset] = recipes[like]
        return train

    @field_validator("trials")
    @classmethod
    def known(cls, trials, info):
        known, data = info.data.get("train", {}), info.data.get("data", {})
        if trials and not set(trials.ablated) <= set(known):
            raise ValueError(f"`ablated` must be of {', '.join(known)}")
        if trials and not all(one.twin for one in data.values()):
            raise ValueError("every data set must have a `twin`, of which each replicate is another draw")
        if trials and any(recipes.keys() != data.keys() for recipes in known.values()):
            raise ValueError(f"every baseline must have a training for each of {', '.join(data)}, and no other")
        if trials and trials.first < DEVELOPMENT < trials.first + trials.replicates:
            raise ValueError(f"must not cross number {DEVELOPMENT}, from which on replicates are for choices")
        if trials and len({one.twin.seed % 3 for one in data.values()}) < len(data):
            raise ValueError("no two twins may share a draw: their seeds must differ by 1 or 2 (modulo 3)")
        return trials


class Params(Section):
    """The whole of params.yaml; ``active_profile`` is the :class:`Profile` that it names."""

    fcsm: FCSM
    brm: BRM
    sparsity: Sparsity
    ramp: tuple[Share, Share]
    localization: LocalizationParams
    profile: str
    datasets: Annotated[list[Dataset], Field(min_length=1)]
    baselines: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Annotated[list[Seed], Field(min_length=1)]], Field(min_length=1)]
    train: Training
    evaluate: Evaluation
    features: Features
    study: Study
    released: dict[Annotated[str, Field(pattern=r"^[\w-]+$")], Released]
    extensions: str
    device: Literal["auto", "cpu", "cuda"]
    jobs: Any
    threads: Cores
    cache: Literal["auto", "device", "ram", "disk"]
    _active_profile: Profile = PrivateAttr()

    @property
    def active_profile(self):
        return self._active_profile

    def recipe(self, baseline, dataset):
        """The :class:`Recipe` of one training; its model knows of features of a single stream."""
        recipe, data = self.active_profile.train[baseline][dataset], self.active_profile.data[dataset]
        if data.origin.streams == 2:
            return recipe
        return recipe.model_copy(update={"model": recipe.model | {"streams": data.origin.streams}})

    @property
    def all_seeds(self):
        """The seeds of all groups."""
        return [seed for group in self.seeds for seed in group]

    @property
    def synthetic(self):
        """Are (some of) the active profile's features made by the generator?"""
        return any(self.active_profile.data[dataset].twin for dataset in self.datasets)

    @field_validator("datasets", "baselines")
    @classmethod
    def no_repeats(cls, values):
        return distinct(values)

    @field_validator("jobs")
    @classmethod
    def auto_or_a_number(cls, value):
        if value != "auto" and not (isinstance(value, int) and 1 <= value <= 1024):
            raise ValueError("must be auto or a number of processes from 1 on, at most 1024")
        return value

    @field_validator("extensions")
    @classmethod
    def below(cls, folder):
        if not Path(folder).parts or Path(folder).is_absolute() or ".." in Path(folder).parts:
            raise ValueError("must be a folder below this one, such as examples")
        return folder

    @field_validator("seeds", mode="before")
    @classmethod
    def groups(cls, values):
        if isinstance(values, list) and values and not all(isinstance(group, list) for group in values):
            raise ValueError("must be a list of groups of seeds, such as [[0, 1, 2]] or [[0, 1], [2, 3]]")
        return values

    @field_validator("seeds")
    @classmethod
    def no_seed_twice(cls, groups):
        distinct([seed for group in groups for seed in group])
        return groups


def distinct(values):
    """``values``, which must not hold anything twice."""
    if len(set(values)) != len(values):
        raise ValueError("must not repeat an entry")
    return values


def checked_params(path):
    """As :func:`read_params`, but raises ``InputError`` or ``OSError``."""
    params = read_checked(path, Params)
    profiles = {file.stem: file for file in sorted((path.parent / "profiles").glob("*.yaml"))}
    if params.profile not in profiles:
        raise InputError(f"{path}: profile = {params.profile!r}: must be one of {', '.join(profiles)}")
    params._active_profile = read_profile(profiles[params.profile])
    for wrong in inconsistencies(params, path, profiles[params.profile]):
        raise InputError(wrong)
    return params


def wholly_checked(path):
    """As :func:`checked_params`, and the networks are asked, too."""
    params = checked_params(path)
    for wrong in network_misfits(params, path):
        raise InputError(wrong)
    return params


def load_params(path="params.yaml"):
    """The checked :class:`Params` of ``path`` with the profile beside it. Raises ``SystemExit`` with one line on a
    wrong value.

    What the networks would refuse is asked of themselves, which takes PyTorch; stages that come after `check` and do
    without it use :func:`read_params`.
    """
    return read_params(path, wholly_checked)


def read_params(path="params.yaml", check=checked_params):
    """As :func:`load_params`, but without asking the networks."""
    try:
        return check(Path(path))
    except (InputError, OSError) as error:
        raise SystemExit(str(error) + remedy()) from None


def remedy():
    """What takes a wrong value back that `dvc exp run -S` wrote, with which it would meet the next experiment, too."""
    if "DVC_EXP_BASELINE_REV" not in os.environ:  # which DVC sets while an experiment runs
        return ""
    return "; DVC leaves a value of -S in the file: `git checkout params.yaml profiles` takes it back"


def read_profile(path):
    """The checked :class:`Profile` in the file ``path``. Raises ``InputError`` or ``OSError``."""
    return read_checked(path, Profile)


def with_profile(params, name, folder="profiles"):
    """``params`` with another active profile. Raises as :func:`read_profile`."""
    other = params.model_copy(update={"profile": name})
    other._active_profile = read_profile(Path(folder) / f"{name}.yaml")
    for wrong in network_misfits(other, Path("params.yaml")):
        raise InputError(wrong)
    return other


def inconsistencies(params, path, profile_path):
    """Lines on values of params.yaml and of the profile that do not go together, one at a time."""
    profile, study = params.active_profile, params.study
    if not Path(params.extensions).is_dir() or not set(params.baselines) <= set(BASELINES):
        load_extensions(params.extensions, path)  # only where one of them is asked for: they may load PyTorch
    for baseline in params.baselines:
        if baseline not in BASELINES:
            yield f"{path}: baselines = {baseline!r}: must be one of {', '.join(BASELINES)}"
        if baseline not in profile.train:
            yield f"{path}: baselines = {baseline!r}: needs its settings in {profile_path}, train.{baseline}"
    for key, value, allowed in (
        ("study.baseline", study.baseline, params.baselines),
        ("study.dataset", study.dataset, params.datasets),
        *((f"released.{key}.dataset", entry.dataset, params.datasets) for key, entry in params.released.items()),
        *((f"released.{key}.baseline", entry.baseline, params.baselines) for key, entry in params.released.items()),
    ):
        if value not in allowed:
            yield f"{path}: {key} = {value!r}: must be one of {key.split('.')[-1]}s: {', '.join(allowed)}"
    places = [(entry.dataset, entry.baseline) for entry in params.released.values()]
    for key, entry in params.released.items():
        if not Path(entry.file).is_file():
            yield f"{path}: released.{key}.file = {entry.file!r}: no such file"
        if places.count((entry.dataset, entry.baseline)) > 1:
            yield f"{path}: released.{key} = {entry.file!r}: there is another one of that data set and baseline"
    for dataset in params.datasets:
        yield from dataset_inconsistencies(dataset, params, path, profile_path)


def load_extensions(folder, path):
    """Import the baselines of one's own, with the file that names their folder in the line if that fails."""
    try:
        import_extensions(folder)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def dataset_inconsistencies(dataset, params, path, profile_path):
    """The same of one data set: its entries in the profile, and widths that twin, model and heads share."""
    profile = params.active_profile
    if dataset not in profile.data:
        yield f"{path}: datasets = {dataset!r}: must be one of {', '.join(profile.data)} ({profile_path}, data)"
    for key in ("annotations", "features"):
        place = getattr(profile.data[dataset], key)
        if place and not Path(place).exists():
            yield f"{profile_path}: data.{dataset}.{key} = {place!r}: no such file or folder"
    for baseline in params.baselines:
        here = f"train.{baseline}"
        if dataset not in profile.train[baseline]:
            yield f"{profile_path}: {here} = {list(profile.train[baseline])!r}: must have an entry for {dataset}"
        width = profile.train[baseline][dataset].model["width"]
        of_all = profile.train[params.baselines[0]][dataset].model["width"]
        if width != of_all and not profile.data[dataset].twin:  # which has a width of its own
            place = f"{profile_path}: {here}.{dataset}.model.width = {width!r}"
            yield f"{place}: must be {of_all}, that of {params.baselines[0]}: all read the same features"
        for key, heads in [("fcsm.heads", params.fcsm.heads), *(("study.heads", h) for h in params.study.heads)]:
            if width % heads:
                yield f"{path}: {key} = {heads!r}: must divide the width {width} of {baseline} on {dataset}"
