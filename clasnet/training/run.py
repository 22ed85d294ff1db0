"""One training from one seed: the model, its batches and the loop, from settings alone."""

import torch

from clasnet.data.datasets import benchmark_of
from clasnet.data.sampling import BatchSampler, usable_videos
from clasnet.errors import InputError
from clasnet.models.registry import build_model
from clasnet.training.loop import train

ACTIVATIONS = 64  # tensors of the batch's size that the largest model (ACRNet + CLASNet at full size) keeps, with room


def training_memory(settings):
    """About how many bytes a training by ``settings``, those of :func:`train_model`, takes on a card, cache aside.

    By what the networks keep for their gradients; CUDA, PyTorch, weights and moments are 2 GiB.
    """
    model = settings["model"]
    features = settings["batch_size"] * settings["segments"] * model.get("streams", 2) * model["width"]
    return (2 << 30) + 4 * features * ACTIVATIONS


def train_model(
    store, dataset, baseline, settings, seed, *, device="cpu", cache="auto", sharing=1, log=None, watch=None, **resuming
):
    """A trained model. ``seed`` fixes the initial weights, the dropout and the batches.

    ``settings``: ``model`` (of the baseline) and ``clasnet`` (arguments of CLASNet, None for the bare baseline);
    ``batch_size`` and ``segments``; ``steps``, ``lr``, ``weight_decay``, ``schedule``, ``precision`` and ``compile`` of
    :func:`clasnet.training.loop.train`. ``log(step, terms)``, ``rolling`` and ``stopping`` (``resuming``) are those of
    that function, too; ``watch(model, step)`` is called after every step; ``cache`` and ``sharing`` are those of
    :func:`clasnet.data.sampling.cached`. Raises ``InputError`` where store and model differ in width or streams.
    """
    torch.manual_seed(seed)
    recipe = {"name": baseline, "num_classes": len(store.annotations.classes), "dataset": dataset, **settings["model"]}
    model = build_model(recipe, settings["clasnet"]).to(device)
    if (model.streams, model.width) != (store.origin.streams, store.width):
        reads, has = f"{model.streams} × {model.width}", f"{store.origin.streams} × {store.width}"
        raise InputError(f"{baseline} reads {reads} features a snippet, the store of {dataset} has {has}")
    videos = usable_videos(store, benchmark_of(dataset).train, model.sampling)
    sample = BatchSampler(
        store, videos, settings["batch_size"], settings["segments"], model.sampling, seed, device, cache, sharing
    )

    def after_step(step):
        watch(model, step)

    loop = {key: settings[key] for key in ("steps", "lr", "weight_decay", "schedule", "precision", "compile")}
    return train(model, sample, **loop, log=log, after_step=after_step if watch else None, **resuming)
