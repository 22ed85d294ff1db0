"""Results of THUMOS14 on disk, as the stage `collect` leaves them, for the tests of tables, figures and page."""

import json
from types import SimpleNamespace

import numpy as np
from safetensors.numpy import save_file

from clasnet.data.activitynet import write_activitynet
from clasnet.data.annotations import make_annotations


class Results:
    """A folder of results of THUMOS14, as the stage `collect` leaves it; ``write`` adds a model."""

    def __init__(self, folder):
        self.folder = folder / "thumos14"
        self.videos = [
            {
                "id": "a",
                "subset": "test",
                "duration": 64.0,
                "segments": [(10, 20, "jump"), (30, 40, "jump"), (41, 50, "jump")],
            },
            {"id": "b", "subset": "test", "duration": 64.0, "segments": [(5, 25, "run")]},
        ]
        self.truth = make_annotations(["jump", "run"], self.videos)
        self.folder.mkdir(parents=True)
        write_activitynet(self.folder / "truth.json", self.truth)
        self.dump("seconds.json", {"a": 64.0, "b": 64.0})
        self.dump("control.json", {"mAP": {"0": [0.01] * 7, "1": [0.03] * 7}, "pieces": 4, "pieces_mAP": [0.2] * 7})

    def dump(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")

    def write(
        self,
        baseline,
        variant,
        maps,
        units="seconds",
        seeds=(0, 1),
        found=None,
        curve=0.5,
        protocols=None,
        videos=0.625,
        counted=60,
    ):
        """A model with the ``maps`` by seed; in its files of seed N every score and curve is N more than given.

        ``protocols``: maps by seed of other protocols; ``videos``: the classification mAP; ``counted``: test videos.
        """
        name = f"{baseline}/{variant}"
        by_seed = {str(seed): [m / 100 for m in row] for seed, row in zip(seeds, maps, strict=True)}
        content = {"mAP": by_seed, "videos": counted, "units": units, "checkpoint": "last"}
        content["protocols"] = {f"last/{units}": by_seed}
        for protocol, rows in (protocols or {}).items():
            content["protocols"][protocol] = dict(zip(by_seed, (np.array(rows) / 100).tolist(), strict=True))
        self.dump(f"{name}/map.json", content | {"classification_mAP": dict.fromkeys(by_seed, videos)})
        resampled = np.array([[np.mean(row) - 1, np.mean(row) + 1] for row in maps]) / 100
        np.save(self.folder / name / "resamples.npy", resampled)
        for seed in seeds:
            rows = [{"label": c, "segment": s, "score": 10 * seed + x} for c, s, x in found or []]
            self.dump(f"{name}/seed{seed}.json", {"results": {"a": rows, "b": []}})
            curves = {"cas": np.full((100, 2), curve), "attention": np.full(100, seed / 10)}
            arrays = {f"{id}/{what}": curve for id in "ab" for what, curve in curves.items()}
            save_file(arrays, self.folder / name / f"curves{seed}.safetensors")


def write_trials(folder, cell, found, settings="s"):
    """The file of the trials of one ``cell`` of the study in ``folder``, of the digest ``settings``; its path."""
    path = folder / f"{cell.replace('/', '-')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cell": cell, "settings": settings, "trials": found}), encoding="utf-8")
    return path


def flat(*values):
    """mAP of every seed, the same at all t-IoUs."""
    return [[value] * 7 for value in values]


def settings(**changes):
    """What the tables read of params.yaml."""
    study = SimpleNamespace(dataset="thumos14", baseline="acrnet", rows=[])
    profile = SimpleNamespace(
        data={"thumos14": SimpleNamespace(twin=changes.pop("twin", True))}, evaluate=SimpleNamespace(units="released")
    )
    whole = {"datasets": ["thumos14"], "baselines": ["co2net", "acrnet"], "all_seeds": [0, 1], "released": {}}
    whole |= {
        "study": study,
        "active_profile": profile,
        "evaluate": SimpleNamespace(checkpoint="last"),
        "synthetic": True,
    }
    return SimpleNamespace(**whole | changes)
