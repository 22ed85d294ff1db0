"""Stages `train-*`: one model of one data set, baseline and variant, for every seed.

    python -m stages.train DATASET BASELINE VARIANT

VARIANT is `baseline` (Table 4's row A), `clasnet` (H), a row B ... G, or `layers-N` or `heads-N` of Figure 4.
"""

import sys

import torch
from dvclive import Live
from tqdm import tqdm

from clasnet.models.registry import build_baseline
from clasnet.models.checkpoint import save_model
from clasnet.models.clasnet import CLASNet
from clasnet.data.datasets import BENCHMARKS
from clasnet.data.sampling import BatchSampler, usable_videos
from clasnet.data.store import open_store
from clasnet.files import replacing
from clasnet.inference.predict import predict
from clasnet.training.loop import train
from stages.params import PARTS, load_params, stage_errors
from stages.results import detection_results, evaluation_units, headline


def pick_device(params):
    """The torch device that params.yaml asks for."""
    if params.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("params.yaml: device = 'cuda': PyTorch sees no CUDA device here; use auto or cpu")
    return torch.device("cuda" if params.device != "cpu" and torch.cuda.is_available() else "cpu")


def build_model(dataset, baseline, num_classes, params, settings, parts, **fcsm_changes):
    """The baseline, with the ``parts`` of CLASNet around it; none of them: the bare baseline."""
    model = build_baseline(baseline, num_classes=num_classes, dataset=dataset, **settings.model)
    if not parts:
        return model
    blocks = {part: getattr(params, part).model_dump() for part in PARTS if part in parts}
    if "fcsm" in blocks:
        blocks["fcsm"] |= {"beta": params.localization.beta, **fcsm_changes}
    return CLASNet(model, **blocks, ramp=params.ramp)


def variant_parts(variant, params):
    """The parts of CLASNet that a variant has, and its changes to the FCSM."""
    if variant == "baseline":
        return set(), {}
    if variant in params.study.rows:
        return set(params.study.rows[variant]), {}
    name, _, value = variant.partition("-")
    return set(PARTS), {name: int(value)} if value else {}


def train_model(store, dataset, baseline, params, settings, parts, seed, log=None, watch=None, **fcsm_changes):
    """One trained model from one seed, which fixes the initial weights, the dropout and the batches. ``watch(model, step)`` sees it after every step."""
    torch.manual_seed(seed)
    device = pick_device(params)
    model = build_model(dataset, baseline, len(store.annotations.classes), params, settings, parts, **fcsm_changes).to(device)
    if model.width != store.width:
        raise ValueError(f"{baseline} expects {model.width} features per modality, the store of {dataset} has {store.width}")
    videos = usable_videos(store, BENCHMARKS[dataset].train, model.sampling)
    sample = BatchSampler(store, videos, settings.batch_size, settings.segments, model.sampling, seed, device, params.train.cache)
    return train(model, sample, steps=settings.steps, lr=settings.lr, weight_decay=settings.weight_decay, schedule=settings.schedule,
                 precision=params.train.precision, compile=params.train.compile, log=log,
                 after_step=(lambda step: watch(model, step)) if watch else None)  # fmt: skip


class BestOnTest:
    """Keeps the weights that score best on the test set, as the released codes do: not a protocol to report by, but one to compare with."""

    def __init__(self, store, dataset, settings, every, units, path):
        self.store, self.dataset, self.settings, self.every, self.units, self.path, self.best = store, dataset, settings, every, units, path, -1.0

    def __call__(self, model, step):
        if step % self.every and step != self.settings.steps:
            return
        videos = usable_videos(self.store, BENCHMARKS[self.dataset].test, model.sampling)
        found = predict(model, self.store, videos, self.settings.segments)
        units = evaluation_units(self.units, model.localization, self.dataset)
        score = headline(detection_results(found, self.store.annotations.select(videos), self.dataset, units), self.dataset)
        if score > self.best:
            self.best = score
            save_model(self.path, model, classes=self.store.annotations.classes, num_segments=self.settings.segments)
        model.train()


def main():
    dataset, baseline, variant = sys.argv[1:]
    params = load_params()
    torch.set_num_threads(params.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    settings = params.active_profile.train[baseline][dataset]
    store = open_store(f"data/{dataset}")
    parts, changes = variant_parts(variant, params)
    name = f"{dataset}/{baseline}/{variant}"
    with replacing(f"models/{name}") as folder, Live(f"dvclive/{name}", save_dvc_exp=False, dvcyaml=None) as live:
        folder.mkdir()
        for seed in params.seeds:
            bar = tqdm(total=settings.steps, desc=f"{name} seed {seed}", leave=False, disable=None)

            def log(step, terms):
                live.step = step
                for term, value in terms.items():
                    live.log_metric(f"seed{seed}/{term}", value)
                bar.update(step + 1 - bar.n)

            watch = None
            if params.evaluate.checkpoint == "best_on_test":
                units = params.active_profile.evaluate.units
                watch = BestOnTest(store, dataset, settings, params.evaluate.every, units, folder / "best_on_test" / f"seed{seed}.pt")
            model = train_model(store, dataset, baseline, params, settings, parts, seed, log, watch, **changes)
            bar.close()
            save_model(folder / f"seed{seed}.pt", model, classes=store.annotations.classes, num_segments=settings.segments)
        live.make_summary()
    print(f"models/{name}: {len(params.seeds)} seeds, {settings.steps} steps each, {sum(p.numel() for p in model.parameters()):,} parameters")


if __name__ == "__main__":
    stage_errors(main)
