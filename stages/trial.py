"""One trial: a model trained on one replicate, a new draw of a twin *and* a new seed, and its numbers.

Replicate n draws its twins from the profile's generator seeds + 3 n, which no two data sets or replicates share, and
trains from seed n. Those from ``DEVELOPMENT`` on are for choices; the others are for reports.
"""

import hashlib
import json
from functools import partial
from pathlib import Path

from filelock import FileLock

from clasnet.data.datasets import benchmark_of
from clasnet.data.sampling import usable_videos
from clasnet.data.store import open_store
from clasnet.evaluation.attention import Reader
from clasnet.evaluation.protocol import detection_results
from clasnet.models.clasnet import mix
from clasnet.training.run import train_model
from stages.code import code_of
from stages.twins import write_twin

STORES = Path("data/replicates")
BETAS = (0.0, 0.3, 0.5, 0.7, 1.0)  # shares of A that localisation is tried with; no training depends on them


def replicate_store(dataset, twin, replicate, annotations=None):
    """The store of ``dataset`` in one ``replicate``, drawn unless it is there.

    ``twin`` and ``annotations`` are those of the profile. Another twin, or another generator, is another store.
    """
    seed = twin["seed"] + 3 * replicate
    made_from = json.dumps([twin, annotations, code_of(["stages.twins"])], sort_keys=True)
    path = STORES / f"{dataset}-{seed}-{hashlib.sha256(made_from.encode()).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            write_twin(path, dataset, twin | {"seed": seed}, annotations)
    return open_store(path)


def run_trial(store, settings, replicate, betas=BETAS, **how):
    """Train by ``settings`` (of :func:`stages.variants.train_settings`) from seed ``replicate`` and evaluate: a dict.

    ``maps``: mAP (%) by t-IoU, for every one of ``betas`` where the attention is a mix, else for "0"; ``correlation``
    of the attentions with the truth. ``how`` goes to :func:`clasnet.training.run.train_model`.
    """
    dataset = settings["dataset"]
    model = train_model(store, dataset, settings["baseline"], settings, replicate, **how)
    videos = usable_videos(store, benchmark_of(dataset).test, model.sampling)
    reader = Reader(model, store, videos, settings["segments"])
    truth = store.annotations.select(videos)
    mixes = "fcsm" in (settings["clasnet"] or {})
    maps = {}
    for beta in betas if mixes else (0.0,):
        found = reader.predictions(partial(mixed_at, beta) if mixes else None)
        maps[f"{beta:g}"] = (100 * detection_results(found, truth, dataset).map).tolist()
    return {"maps": maps, "correlation": reader.correlations(), "videos": len(videos)}


def mixed_at(beta, n, output):
    """The attention of the ``n``-th video with the share ``beta`` of A."""
    return mix(output.baseline.attention, output.separation, beta)
