"""What a GPU makes of the networks, as Markdown; one command, about half an hour on a card:

    python -m benchmarks.gpu [SECTION ...]

Sections: steps clustering sampling seeds minutes; all of them without any. `--device cpu --tiny` goes through the same
code in seconds and measures nothing of use. A step is the training loop's own: network, losses, gradients, Adam.
"""

import argparse
import os
import statistics
import tempfile
import time
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
import references as plain
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

import benchmarks.run as reference
from benchmarks import ROOT
from clasnet.data.datasets import benchmark_of
from clasnet.data.sampling import BatchSampler, usable_videos
from clasnet.data.store import open_store, write_store
from clasnet.data.synthetic import draw_annotations
from clasnet.models import acrnet, layers
from clasnet.models.complexity import count_flops
from clasnet.models.precision import set_tf32
from clasnet.models.registry import build_model
from clasnet.training.loop import Training
from stages.params import load_params, with_profile
from stages.variants import train_settings

PRECISIONS = ("float32", "tf32", "bf16")
NAMES = ("co2net", "delu", "acrnet")
MODELS = [(name, variant) for name in NAMES for variant in ("baseline", "clasnet")]
TINY = {"batch_size": 8, "segments": 16, "steps": 3}


class Bench:
    """Where it is measured, at which size, and how often."""

    def __init__(self, device, tiny, compile):
        self.device, self.tiny, self.compile = torch.device(device), tiny, compile
        self.repeats, self.warm_ups = (1, 0) if tiny else (10, 2)
        self.params = load_params(ROOT / "params.yaml")

    def settings(self, name, variant, profile="paper"):
        """What the training of a model on THUMOS14 reads, by the published settings or another profile's."""
        params = with_profile(self.params, profile, ROOT / "profiles")
        found = train_settings("thumos14", name, variant, [0], params)
        if found["clasnet"]:
            found["clasnet"]["fcsm"]["beta"] = params.localization.beta
        if self.tiny:
            found |= TINY | {"model": found["model"] | {"width": 8}}
        return found

    def model(self, name, settings, classes=20):
        """The model by ``settings``, with fixed weights."""
        torch.manual_seed(0)
        recipe = {"name": name, "num_classes": classes, "dataset": "thumos14", **settings["model"]}
        return build_model(recipe, settings["clasnet"]).to(self.device)

    def batch(self, settings, classes=20):
        """Random features and labels, pairs of videos with a class in common."""
        shape = settings["batch_size"], settings["segments"], 2 * settings["model"]["width"]
        labels = torch.eye(classes, device=self.device)[torch.arange(shape[0]) // 2 % classes]
        return torch.rand(shape, device=self.device), labels

    def training(self, name, settings, sample, **how):
        """A :class:`Training` of the model on batches from ``sample()``."""
        set_tf32(how.get("precision") == "tf32")
        how = {"schedule": "constant", "precision": "float32", "compile": False} | how
        return Training(self.model(name, settings).train(), sample, settings["steps"], 1e-5, 1e-3, **how)

    def step(self, name, settings, sample, repeats=None, **how):
        """:meth:`milliseconds` of a step; what it took of the card is given back."""
        try:
            return self.milliseconds(self.training(name, settings, sample, **how).advance, repeats)
        finally:
            torch.compiler.reset()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def milliseconds(self, function, repeats=None):
        """Median time of ``function()`` and its peak memory in GiB, after warm-ups; a CPU's memory is not known."""
        cuda, times = self.device.type == "cuda", []
        for n in range(self.warm_ups + (repeats or self.repeats)):
            if cuda and n == self.warm_ups:
                torch.cuda.reset_peak_memory_stats(self.device)
            start = time.perf_counter()
            function()
            if cuda:
                torch.cuda.synchronize(self.device)
            times.append(1000 * (time.perf_counter() - start))
        peak = torch.cuda.max_memory_allocated(self.device) / 2**30 if cuda else float("nan")
        return statistics.median(times[self.warm_ups :]), peak

    def matrix_rate(self, precision):
        """TFLOP/s that products of large matrices reach in ``precision``: what the card can, by its own word."""
        set_tf32(precision == "tf32")
        n = 64 if self.tiny else 8192
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        a, b = (torch.randn(n, n, device=self.device, dtype=dtype) for _ in range(2))
        return 2 * n**3 / self.milliseconds(lambda: a @ b)[0] / 1e9


def title(name, variant):
    return name + " + CLASNet" * (variant == "clasnet")


def steps(bench):
    """All six models at published size."""
    rates = {precision: bench.matrix_rate(precision) for precision in PRECISIONS}
    print("Matrix products reach", ", ".join(f"{rate:.3g} TFLOP/s in {name}" for name, rate in rates.items()) + ".")
    columns = ("", "batch", "precision", "compiled", "ms", "TFLOP/s", "share of the card's", "peak memory (GiB)")
    reference.heading("A training step at published size, THUMOS14", columns)
    for name, variant in MODELS:
        settings = bench.settings(name, variant)
        batch, segments = settings["batch_size"], settings["segments"]
        given = bench.batch(settings)
        work = 3 * batch * count_flops(bench.model(name, settings), segments)  # a backward pass costs two forward ones
        for precision, compile in product(PRECISIONS, (False, True)[: 1 + bench.compile]):
            how = {"precision": precision, "compile": compile}
            row = f"| {title(name, variant)} | {batch} × {segments} | {precision} | {'yes' if compile else 'no'} |"
            try:
                ms, peak = bench.step(name, settings, lambda given=given: given, **how)
            except RuntimeError as error:
                print(f"{row} {why(error)} | – | – | – |", flush=True)
                continue
            rate = work / ms / 1e9
            print(f"{row} {ms:.1f} | {rate:.3g} | {100 * rate / rates[precision]:.0f} % | {peak:.1f} |", flush=True)


def why(error):
    """The first words of an ``error``, of too little memory or of what cannot be compiled or stacked."""
    return f"not possible: {str(error).splitlines()[0][:90]}"


def clustering(bench):
    """ACRNet's closed form against the sequential one, in the whole step."""
    reference.heading("The whole training step of ACRNet, with the sequential clustering")
    settings, closed = bench.settings("acrnet", "baseline"), acrnet.cluster_scores
    for classes in (3, 5) if bench.tiny else (20, 200):
        given = bench.batch(settings, classes)
        model = bench.model("acrnet", settings, classes).train()
        training = Training(model, lambda given=given: given, 1, 1e-5, 1e-3, "constant", "float32", False)
        fast, _ = bench.milliseconds(training.advance)
        acrnet.cluster_scores = reference.sequential_scores
        slow, _ = bench.milliseconds(training.advance, repeats=1)
        acrnet.cluster_scores = closed
        reference.row(f"C {classes}", slow / 1000, fast / 1000)


def drawn_store(bench, folder, settings):
    """A store of THUMOS14's shape: 200 videos that train, 1.1 GB at the published width, of random features."""
    size = {"classes": 20, "train_videos": 200, "test_videos": 1, "snippets": (100, 1200)}
    if bench.tiny:
        size |= {"train_videos": 40, "snippets": (20, 30)}
    annotations = draw_annotations("thumos14", **size, rng=np.random.default_rng(0))
    rng, width = np.random.default_rng(0), 2 * settings["model"]["width"]
    features = (
        (id, rng.random((max(20, int(duration / 0.64)), width), dtype=np.float32))
        for id, duration in zip(annotations.ids.tolist(), annotations.duration, strict=True)
    )
    write_store(Path(folder) / "store", annotations, features)
    return open_store(Path(folder) / "store")


def sampling(bench):
    """A batch from the card's own memory, the host's and the disk, and a step that waits for it."""
    columns = ("batches come from", "a batch alone (ms)", "a step of CO2-Net with it (ms)")
    reference.heading("Sampling, CO2-Net's batches", columns)
    settings = bench.settings("co2net", "baseline")
    with tempfile.TemporaryDirectory() as folder:
        store = drawn_store(bench, folder, settings)
        for cache in ("device", "ram", "disk"):
            sample = sampler(bench, store, "co2net", settings, cache)
            alone, _ = bench.milliseconds(sample)
            step, _ = bench.step("co2net", settings, sample)
            print(f"| {cache} | {alone:.2f} | {step:.2f} |", flush=True)


def sampler(bench, store, name, settings, cache):
    """Batches as a training by ``settings`` draws them."""
    sampling = bench.model(name, settings).sampling
    videos = usable_videos(store, benchmark_of("thumos14").train, sampling)
    size = settings["batch_size"], settings["segments"]
    return BatchSampler(store, videos, *size, sampling, 0, bench.device, cache)


def seeds(bench):
    """Seeds of the demo's small models one after the other, and stacked by torch.func into one step."""
    count = 2 if bench.tiny else 8
    columns = ("", "one after the other (ms)", "stacked, with PyTorch's dropout and attention (ms)", "ratio")
    reference.heading(f"Gradients of {count} seeds of the demo's models", columns)
    for name, variant in MODELS:
        settings = bench.settings(name, variant, "demo")
        models, batch = [bench.model(name, settings).train() for _ in range(count)], bench.batch(settings)
        slow, _ = bench.milliseconds(lambda models=models, batch=batch: [gradients(model, *batch) for model in models])
        with replaced_layers():
            print(f"| {title(name, variant)} | {slow:.1f} | {stacked(bench, models, batch, slow)} |", flush=True)


def gradients(model, x, labels):
    """The gradients of one model's loss."""
    loss = sum(model.losses(model(x), labels, 0.5).values())
    return torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)


@contextmanager
def replaced_layers():
    """Layers that torch.func can stack in the place of those that it cannot."""
    written = layers.Dropout.forward, layers.CrossModalAttention.forward
    layers.Dropout.forward, layers.CrossModalAttention.forward = nn.Dropout.forward, plain.cross_modal_attention
    try:
        yield
    finally:
        layers.Dropout.forward, layers.CrossModalAttention.forward = written


def stacked(bench, models, batch, slow):
    """Cells of the table: the time of all ``models`` in one, and the ratio to ``slow``; or why that is not possible."""
    x, labels = batch
    models[0].baseline_draws = False  # of CLASNet: torch.func cannot read the state of a generator

    def loss(weights, buffers):
        return sum(Losses.of(models[0], weights, buffers, x, labels).values())

    weights, buffers = stack_module_state(models)
    try:
        fast, _ = bench.milliseconds(lambda: vmap(grad(loss), randomness="different")(weights, buffers))
    except RuntimeError as error:
        return f"{why(error)} | –"
    return f"{fast:.1f} | {slow / fast:.2f} ×"


class Losses(nn.Module):
    """A model whose forward pass ends in its losses, so that a functional call has both."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, labels):
        return self.model.losses(self.model(x), labels, 0.5)

    @classmethod
    def of(cls, model, weights, buffers, x, labels):
        """The losses of ``model`` with other ``weights`` and ``buffers``."""
        state = {f"model.{name}": value for name, value in (weights | buffers).items()}
        return functional_call(cls(model), state, (x, labels))


def minutes(bench):
    """One training on THUMOS14 by the published settings, from its first steps with batches and all."""
    columns = ("", "steps", "precision", "a step (ms)", "a training (minutes)")
    reference.heading(
        "One THUMOS14 training, without evaluation (CoLA's authors state under an hour on a GTX 1080)", columns
    )
    with tempfile.TemporaryDirectory() as folder:
        store = drawn_store(bench, folder, bench.settings("co2net", "baseline"))
        for name, variant in MODELS:
            settings = bench.settings(name, variant)
            sample = sampler(bench, store, name, settings, "auto")
            for precision in PRECISIONS:
                row = f"| {title(name, variant)} | {settings['steps']:,} | {precision} |"
                try:
                    ms, _ = bench.step(name, settings, sample, 3 * bench.repeats, precision=precision)
                    print(f"{row} {ms:.1f} | {ms * settings['steps'] / 60_000:.1f} |", flush=True)
                except RuntimeError as error:
                    print(f"{row} {why(error)} | – |", flush=True)


SECTIONS = {"steps": steps, "clustering": clustering, "sampling": sampling, "seeds": seeds, "minutes": minutes}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that it runs")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    given = parser.parse_args(arguments)
    for name in given.sections:
        if name not in SECTIONS:
            parser.error(f"{name}: no such section; {', '.join(SECTIONS)}")
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("PyTorch sees no CUDA device here; --device cpu --tiny shows that the code runs")
    torch.set_num_threads(1)
    if given.device.startswith("cuda"):  # as trainings do there
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    reference.DEVICE = torch.device(given.device)
    place = torch.cuda.get_device_name(given.device) if given.device.startswith("cuda") else "one CPU thread"
    print(f"PyTorch {torch.__version__}, {place}.", flush=True)
    bench = Bench(given.device, given.tiny, not given.no_compile)
    for name in given.sections or SECTIONS:
        SECTIONS[name](bench)


if __name__ == "__main__":
    main()
