"""The readers that the fuzzing tries: each with valid files, and what reads them."""

import argparse
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.mutants import changed_bytes, changed_values, replaced
from clasnet.data.activitynet import write_activitynet
from clasnet.data.annotation_files import read_annotations
from clasnet.data.annotations import make_annotations
from clasnet.data.convert import convert
from clasnet.data.features import load_features
from clasnet.data.safe_pickle import load_object_array, stream_object_array
from clasnet.data.store import open_store, write_store
from clasnet.errors import InputError
from clasnet.evaluate import parse_tious
from clasnet.evaluation.files import evaluate_files
from clasnet.inference.predict import localize_video
from clasnet.models import checkpoint
from clasnet.models.registry import build_baseline, build_model
from stages.params import load_params
from stages.sources import load_sources, unpacked

ROOT = Path(__file__).parents[1]
RECORDS = [
    {"id": "a", "subset": "validation", "duration": 9.0, "segments": [(0.5, 2.0, "run"), (3.0, 4.0, "jump")]},
    {"id": "b", "subset": "validation", "duration": 6.4, "segments": [(0.0, 1.0, "run")], "labels": ["jump"]},
    {"id": "c", "subset": "test", "duration": 6.4, "segments": [], "ambiguous": [(1.0, 2.0)]},
]
ANNOTATIONS = make_annotations(["run", "jump"], RECORDS)
FOUND = {"a": [{"label": "run", "segment": [0, 1.5], "score": 0.5}, {"label": "jump", "segment": [3, 4], "score": 2}]}


class Reader:
    """Valid files in ``folder`` and what reads them. ``proof``: does a checksum cover them?"""

    proof = False

    def __init__(self, folder):
        self.folder = folder
        self.files = self.write()
        self.valid = {path: path.read_bytes() for path in self.files}

    def mutate(self, draw):
        """Write a mutant of one of the files."""
        path = draw.choice(self.files)
        whole = self.valid[path]
        while (mutant := self.mutant(path, whole, draw)) == whole:
            pass
        path.write_bytes(mutant)

    def mutant(self, path, whole, draw):
        if path.suffix in (".json", ".yaml") and draw.random() < 0.5:
            return changed_values(path, whole, draw)
        return changed_bytes(whole, draw)

    def restore(self):
        for path, whole in self.valid.items():
            path.write_bytes(whole)


class Evaluate(Reader):
    def write(self):
        truth, found = self.folder / "gt.json", self.folder / "found.json"
        write_activitynet(truth, ANNOTATIONS)
        found.write_text(json.dumps({"version": "1", "results": FOUND, "external_data": {}}), encoding="utf-8")
        return [truth, found]

    def read(self):
        _, result = evaluate_files(*self.files, "validation", (0.5,))
        return str(result.map)


class Thresholds(Reader):
    def write(self):
        (self.folder / "tiou").write_text("0.5:0.95:0.05", encoding="utf-8")
        return [self.folder / "tiou"]

    def read(self):
        try:
            return parse_tious(self.files[0].read_text(errors="replace", encoding="utf-8"))
        except argparse.ArgumentTypeError as error:
            raise InputError(repr(str(error))) from None


class ActivityNet(Reader):
    def write(self):
        write_activitynet(self.folder / "a.json", ANNOTATIONS)
        return [self.folder / "a.json"]

    def read(self):
        return read_annotations(self.files[0]).labels.shape


class BMN(Reader):
    def write(self):
        database = {
            f"v_{r['id']}": {
                "duration_second": r["duration"],
                "annotations": [{"segment": [s, e], "label": name} for s, e, name in r["segments"]],
            }
            for r in RECORDS
        }
        path, table = self.folder / "anet_anno_action.json", self.folder / "video_info_new.csv"
        path.write_text(json.dumps(database), encoding="utf-8")
        rows = "".join(f"v_{r['id']},9,{r['subset']}\n" for r in RECORDS)
        table.write_text(f"video,seconds,subset\n{rows}", encoding="utf-8")
        return [path, table]

    def read(self):
        return read_annotations(self.folder).labels.shape


class Thumos14(Reader):
    def write(self):
        arrays = {
            "videoname": np.array([r["id"].encode() for r in RECORDS]),
            "subset": np.array([r["subset"].encode() for r in RECORDS]),
            "duration": objects([np.array([r["duration"]]) for r in RECORDS]),
            "classlist": np.array([b"run", b"jump"]),
            "segments": objects([[list(s[:2]) for s in r["segments"]] for r in RECORDS]),
            "labels": objects([[s[2] for s in r["segments"]] for r in RECORDS]),
            "labels_all": objects([[s[2] for s in r["segments"]] for r in RECORDS]),
        }
        for name, array in arrays.items():
            np.save(self.folder / f"{name}.npy", array, allow_pickle=True)
        (self.folder / "Ambiguous_test.txt").write_text("c 1.0 2.0\n\nc 3.5 4\n", encoding="utf-8")
        return sorted(self.folder.iterdir())

    def read(self):
        return read_annotations(self.folder).labels.shape


class Features(Reader):
    def write(self):
        x = np.random.default_rng(0).random((5, 8)).astype(np.float32)
        np.save(self.folder / "a_rgb.npy", x)
        np.save(self.folder / "a_flow.npy", x)
        return sorted(self.folder.iterdir())

    def read(self):
        return load_features(self.folder / "a_rgb.npy", self.folder / "a_flow.npy").shape


class Folder(Reader):
    """A package of one file a video, or a pair, as it is converted."""

    def write(self):
        (self.folder / "f").mkdir()
        for n, name in enumerate(("a_rgb", "a_flow", "b", "v_c")):
            shape = (14, 4) if name.startswith("a") else (10, 8)  # as long as annotated
            np.save(self.folder / f"f/{name}.npy", np.random.default_rng(n).random(shape).astype(np.float32))
        return sorted((self.folder / "f").iterdir())

    def read(self):
        store = self.folder / "s"
        return convert(store, ANNOTATIONS, self.folder / "f", columns=8, subsets=("validation", "test"))


class Package(Reader):
    def write(self):
        videos = [np.random.default_rng(n).random((n + 1, 4)).astype(np.float32) for n in range(3)]
        np.save(self.folder / "p.npy", objects(videos), allow_pickle=True)
        return [self.folder / "p.npy"]

    def read(self):
        load_object_array(self.files[0])
        return [x.shape for x in stream_object_array(self.files[0])]


class Store(Reader):
    proof = True

    def write(self):
        videos = [(r["id"], np.random.default_rng(n).random((n + 5, 8))) for n, r in enumerate(RECORDS)]
        write_store(self.folder / "s", ANNOTATIONS, videos)
        return sorted((self.folder / "s").glob("[fia]*"))

    def read(self):
        store = open_store(self.folder / "s")
        a = store.annotations
        return store.features.tobytes(), a.classes, a.ids.tolist(), a.segments.tolist(), a.labels.tolist()


class Model(Reader):
    proof = True
    network = build_baseline("acrnet", num_classes=3, width=8, merge="concatenate")

    def write(self):
        path = self.folder / "m.pt"
        checkpoint.save_model(path, self.network, classes=("jump", "run", "swim"), num_segments=20)
        return [path]

    def read(self):
        model = checkpoint.load_model(self.files[0])
        weights = b"".join(x.numpy().tobytes() for x in model.state_dict().values())
        return weights, model.classes, model.num_segments, json.dumps(model.recipe, sort_keys=True)


class Localize(Model):
    """The command, on a model file and the features of a video, without its picture, which is what takes time."""

    proof = False

    def write(self):
        np.save(self.folder / "v.npy", np.random.default_rng(0).random((30, 16)).astype(np.float32))
        return [*super().write(), self.folder / "v.npy"]

    def read(self):
        model = checkpoint.load_model(self.files[0])
        return localize_video(model, load_features(self.files[1]))


class SignedLocalize(Localize):
    """The same of model files whose checksum is right and whose settings are not."""

    def mutant(self, path, whole, draw):
        return signed_mutant(self.network, whole, draw) if path.suffix == ".pt" else super().mutant(path, whole, draw)


class SignedModel(Model):
    """Model files whose checksum is right and whose settings are not."""

    proof = False

    def mutant(self, path, whole, draw):
        return signed_mutant(self.network, whole, draw)


def signed_mutant(network, whole, draw):
    """A model file of ``network``, or of it with CLASNet, with other settings and the checksum that belongs to them."""
    recipe = {"baseline": network.recipe["baseline"], "clasnet": {"fcsm": {"layers": 1, "heads": 2}}}
    recipe = recipe if draw.random() < 0.5 else network.recipe
    weights = build_model(recipe["baseline"], recipe["clasnet"]).state_dict()
    about = {"classes": ["jump", "run", "swim"], "num_segments": 20, "computed": {}}
    content = replaced({**recipe, **about}, draw)
    try:
        content["sha256"] = checkpoint.checksum(content, weights)
        return checkpoint.save(weights, {checkpoint.KEY: json.dumps(content)})
    except (TypeError, ValueError, UnicodeError):
        return changed_bytes(whole, draw)


class Checkpoint(Reader):
    def write(self):
        torch.save({"x.weight": torch.zeros(3, 4), "x.bias": torch.zeros(3)}, self.folder / "c.pkl")
        return [self.folder / "c.pkl"]

    def read(self):
        return str(type(checkpoint.read_checkpoint(self.files[0])))


class Archive(Reader):
    proof = True
    name = "a.zip"

    def write(self):
        path, rng = self.folder / self.name, np.random.default_rng(0)
        content = {f"f/{n}.npy": rng.integers(5, size=300, dtype=np.uint8).tobytes() for n in range(3)}
        if self.name.endswith(".zip"):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
                for name, whole in content.items():
                    file.writestr(name, whole)
        else:
            with tarfile.open(path, f"w:{path.suffix[1:]}") as file:
                for name, whole in content.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(whole)
                    file.addfile(member, io.BytesIO(whole))
        return [path]

    def read(self):
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        out = unpacked(self.files[0], self.folder / "out")
        return sorted(path.read_bytes() for path in out.rglob("*") if path.is_file())


class TarGz(Archive):
    name = "a.tar.gz"


class TarXz(Archive):
    name = "a.tar.xz"


class Params(Reader):
    def write(self):
        shutil.copy(ROOT / "params.yaml", self.folder)
        shutil.copytree(ROOT / "profiles", self.folder / "profiles")
        return [self.folder / "params.yaml", self.folder / "profiles/demo.yaml"]

    def read(self):
        return load_params(self.folder / "params.yaml").profile


class Sources(Reader):
    def write(self):
        return [Path(shutil.copy(ROOT / "sources.yaml", self.folder))]

    def read(self):
        return len(load_sources(self.files[0]).of("thumos14"))


def objects(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


READERS = {
    "evaluate": Evaluate,
    "tiou": Thresholds,
    "activitynet": ActivityNet,
    "bmn": BMN,
    "thumos14": Thumos14,
    "features": Features,
    "folder": Folder,
    "package": Package,
    "store": Store,
    "model": Model,
    "settings": SignedModel,
    "localize": Localize,
    "localize-settings": SignedLocalize,
    "checkpoint": Checkpoint,
    "zip": Archive,
    "tar.gz": TarGz,
    "tar.xz": TarXz,
    "params": Params,
    "sources": Sources,
}
