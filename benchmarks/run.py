"""Speed and memory as ratios against plain references, each pair in the same run, as Markdown.

    python -m benchmarks.run [SECTION ...]

Sections: map command localization sampling clustering step whole_step demo_step growth
precision; all of them without any. The
references are those of the tests, loops over data frames, snippets, classes and videos, the way the field's public code
goes about it. Numbers are medians. Networks run on CUDA if there is one, else on one CPU thread.
"""

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import references as plain
import torch
from torch import nn

from benchmarks import ROOT
from benchmarks.memory import peak_mebibytes
from clasnet.data.datasets import benchmark_of
from clasnet.data.sampling import BatchSampler, sample_snippets
from clasnet.data.store import open_store, write_store
from clasnet.data.synthetic import draw_annotations, twin_videos
from clasnet.evaluation.metrics import detection_ap
from clasnet.evaluation.protocol import detection_results
from clasnet.inference.predict import predict
from clasnet.localization.localize import localize
from clasnet.localization.settings import Localization
from clasnet.models import acrnet, layers
from clasnet.models.clasnet import CLASNet
from clasnet.models.complexity import count_flops
from clasnet.models.registry import build_baseline
from clasnet.training.loop import in_float32
from clasnet.training.run import train_model
from stages.params import load_params
from stages.variants import train_settings

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PLUGIN = {
    "fcsm": {"layers": 5, "heads": 8, "topk": 0.3, "alpha": 0.25, "weight": 0.1, "beta": 0.3},
    "brm": {"weight": 1.0, "distance": "mse"},
    "sparsity": {"weight": 0.1},
}


def seconds(function, *arguments, repeats=5, **named):
    """Median time of ``function(*arguments, **named)``; the first call, a warm-up, counts only if it is alone."""
    times = []
    for _ in range(repeats + (repeats > 1)):
        start = time.perf_counter()
        function(*arguments, **named)
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[repeats > 1 :])


def row(name, slow, fast):
    print(f"| {name} | {1000 * slow:,.1f} | {1000 * fast:,.2f} | {slow / fast:,.0f} × |", flush=True)


def heading(title, columns=("", "reference (ms)", "here (ms)", "ratio")):
    print(f"\n### {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def drawn_predictions(count, rng, videos=2000, classes=100):
    """Ground truth of about 1.5 instances a video, and ``count`` predictions around them, as arrays."""
    truths = int(1.5 * videos)
    start = rng.uniform(0, 150, truths)
    segments = np.stack([start, start + rng.gamma(2, 15, truths)], 1)
    truth = segments, rng.integers(videos, size=truths), rng.integers(classes, size=truths)
    pick = rng.integers(truths, size=count)
    found = np.sort(segments[pick] + rng.normal(size=(count, 2)) * 8, axis=1)
    label = np.where(rng.random(count) < 0.7, truth[2][pick], rng.integers(classes, size=count))
    return truth, (found, truth[1][pick], label, rng.random(count))


def frame(segments, video, label, scores=None):
    columns = {"video": video, "label": label, "start": segments[:, 0], "end": segments[:, 1]}
    return pd.DataFrame(columns | ({} if scores is None else {"score": scores}))


def plain_detection_ap(truth, found, tious):
    return plain.pandas_detection_ap(frame(*truth), frame(*found), tious)


def bench_map():
    heading("Detection mAP, ten t-IoUs, 2,000 videos, 100 classes")
    tious = benchmark_of("activitynet12").tious
    for count in (20_000, 100_000):
        truth, found = drawn_predictions(count, np.random.default_rng(0))
        slow = seconds(plain_detection_ap, truth, found, tious, repeats=1)
        row(f"{count:,} predictions", slow, seconds(detection_ap, *truth, *found, tious))
    truth, found = drawn_predictions(1_000_000, np.random.default_rng(0))
    taken = seconds(detection_ap, *truth, *found, tious, repeats=1)
    print(f"| 1,000,000 predictions | – | {1000 * taken:,.0f} | |")


def by_video(segments, video, label, scores=None):
    """Video id to rows, as annotation and submission files hold them."""
    rows = {str(v): [] for v in range(2000)}
    for k, (v, segment, c) in enumerate(zip(video.tolist(), segments.tolist(), label.tolist(), strict=True)):
        score = {} if scores is None else {"score": float(scores[k])}
        rows[str(v)].append({"segment": segment, "label": str(c)} | score)
    return rows


def bench_command():
    heading("`python -m clasnet.evaluate` as a whole process", ("predictions", "seconds"))
    for count in (21_000, 1_000_000):
        truth, found = drawn_predictions(count, np.random.default_rng(0))
        database = {id: {"subset": "validation", "annotations": rows} for id, rows in by_video(*truth).items()}
        with tempfile.TemporaryDirectory() as folder:
            for name, content in (("truth", {"database": database}), ("predictions", {"results": by_video(*found)})):
                (Path(folder) / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
            files = ["--ground-truth", f"{folder}/truth.json", "--predictions", f"{folder}/predictions.json"]
            command = [sys.executable, "-m", "clasnet.evaluate", *files]
            taken = seconds(subprocess.run, command, check=True, capture_output=True, cwd=ROOT, repeats=3)
        print(f"| {count:,} | {taken:.2f} |", flush=True)


def plain_localization(cas, attention):
    found = plain.localize_by_attention(cas, attention, 10)
    for c in np.unique(found[:, 2]):
        own = found[:, 2] == c
        found[own, 3] = plain.soft_nms(found[own, 0], found[own, 1], found[own, 3], 0.3, True, 0.0)
    return found


def plain_localizations(videos):
    for cas, attention in videos:
        plain_localization(cas, attention)


def localizations(videos):
    for cas, attention in videos:
        weighted = cas * attention[:, None]
        top = np.sort(weighted, 0)[::-1][: max(1, len(cas) // 10)].mean(0)
        video = np.exp(top - top.max()) / np.exp(top - top.max()).sum()
        localize(video[:-1], weighted[:, :-1], attention[:, None], Localization())


def smooth(x):
    """Moving average of ``x`` [T, K] over 9 snippets."""
    return np.apply_along_axis(np.convolve, 0, x, np.ones(9) / 9, "same")


def bench_localization():
    heading("Localisation of 200 videos of 100 to 600 snippets, 20 classes, CO2-Net's settings")
    rng, videos = np.random.default_rng(0), []
    for _ in range(200):
        length = int(rng.integers(100, 600))
        attention = np.clip(0.5 + 1.5 * smooth(rng.normal(size=(length, 1)))[:, 0], 0, 1)
        videos.append((3 * smooth(rng.normal(size=(length, 21))), attention))
    row("200 videos", seconds(plain_localizations, videos, repeats=1), seconds(localizations, videos))


def plain_samples(length, rng, inclusive):
    return [plain.sample_snippets(int(n), 750, rng, inclusive) for n in length]


def bench_sampling():
    heading("Sampling the snippets of a batch, 32 videos × 750 segments")
    rng = np.random.default_rng(0)
    length = rng.integers(100, 2000, 32)
    for inclusive, name in ((True, "CO2-Net's"), (False, "ACRNet's")):
        slow = seconds(plain_samples, length, rng, inclusive)
        row(name, slow, seconds(sample_snippets, length, 750, rng, inclusive, repeats=20))


def sequential_scores(cas, segment_scores):
    """``acrnet.cluster_scores`` with the sequential algorithm deciding who is in."""
    mask = torch.zeros_like(segment_scores)
    scores, values = segment_scores.cpu().double().numpy(), cas.detach().cpu().double().numpy()
    for b in range(len(scores)):
        mask[b] = torch.from_numpy(plain.acrnet_scores(values[b], scores[b])[2])
    order = segment_scores.sort(dim=1, descending=True, stable=True).indices
    inside, ordered = mask.gather(1, order), cas.gather(1, order)
    weight = inside / (torch.arange(cas.shape[1], device=cas.device)[:, None] + 2)
    action = (weight * ordered).sum(1) / weight.sum(1).clamp(min=1)
    background = ((1 - inside) * ordered).sum(1) / (1 - inside).sum(1).clamp(min=1)
    return action.softmax(-1), background.softmax(-1), mask


def bench_clustering():
    heading(f"ACRNet's clustering, refining and scores, B 32, T 750, on {DEVICE.type}")
    for classes in (20, 200):
        torch.manual_seed(0)
        cas = torch.randn(32, 750, classes, device=DEVICE)
        scores = (cas.softmax(-1) + torch.rand(32, 750, 1, device=DEVICE)) / 2
        slow = seconds(sequential_scores, cas, scores, repeats=1)
        row(f"C {classes}", slow, seconds(acrnet.cluster_scores, cas, scores))


def training_step(model, x, labels):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)

    def step():
        loss = sum(model.losses(in_float32(model(x)), labels, 0.5).values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def matrix_rate():
    """Measured float32 matrix products, TFLOP/s."""
    n = 8192 if DEVICE.type == "cuda" else 1024
    a, b = torch.randn(n, n, device=DEVICE), torch.randn(n, n, device=DEVICE)
    return 2 * n**3 / seconds(torch.matmul, a, b) / 1e12


def bench_step():
    batch, segments = {"cuda": (32, 750), "cpu": (2, 100)}[DEVICE.type]
    rate = matrix_rate()
    heading(
        f"A training step at published size, {batch} × {segments}, 20 classes, on {DEVICE.type}; "
        f"matrix products reach {rate:.3f} TFLOP/s there",
        ("", "ms", "TFLOP/s", "share of the matrix rate", "peak memory"),
    )
    labels = torch.eye(20, device=DEVICE)[torch.arange(batch) // 2 % 20]
    x = torch.rand(batch, segments, 2048, device=DEVICE)
    for name in ("co2net", "delu", "acrnet"):
        for plugin in (False, True):
            torch.manual_seed(0)
            model = build_baseline(name, num_classes=20)
            model = (CLASNet(model, **PLUGIN) if plugin else model).to(DEVICE)
            if DEVICE.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            taken = seconds(training_step(model, x, labels))
            memory = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if DEVICE.type == "cuda" else "–"
            achieved = 3 * batch * count_flops(model, segments) / taken / 1e12  # a backward pass costs two forward ones
            label = f"{name} + CLASNet" if plugin else name
            cells = f"{1000 * taken:.0f} | {achieved:.3f} | {100 * achieved / rate:.0f} % | {memory}"
            print(f"| {label} | {cells} |", flush=True)


def bench_whole_step():
    heading(
        "The whole training step of ACRNet at published size, 32 × 750, with the sequential clustering, "
        f"on {DEVICE.type}"
    )
    x, closed = torch.rand(32, 750, 2048, device=DEVICE), acrnet.cluster_scores
    for classes in (20, 200):
        torch.manual_seed(0)
        labels = torch.eye(classes, device=DEVICE)[torch.arange(32) % classes]
        step = training_step(build_baseline("acrnet", num_classes=classes).to(DEVICE), x, labels)
        fast = seconds(step, repeats=2)
        acrnet.cluster_scores = sequential_scores
        slow = seconds(step, repeats=1)
        acrnet.cluster_scores = closed
        print(f"| C {classes} | {1000 * slow:,.0f} | {1000 * fast:,.0f} | {slow / fast:.2f} × |", flush=True)


def bench_demo_step():
    """With PyTorch's dropout, the attention by autograd, and the filter's convolution over one snippet."""
    heading(f"A training step at the demo's size, width 32, 20 classes, with and without its layers, on {DEVICE.type}")
    replaced = (layers.Dropout, nn.Dropout.forward), (layers.CrossModalAttention, plain.cross_modal_attention)
    replaced = *replaced, (layers.BitwiseFilter, plain.bitwise_filter)
    written = [layer.forward for layer, _ in replaced]
    for batch, segments in ((10, 96), (32, 48)):
        labels = torch.eye(20, device=DEVICE)[torch.arange(batch) // 2 % 20]
        x = torch.rand(batch, segments, 64, device=DEVICE)
        for name in ("co2net", "delu", "acrnet"):
            for plugin in (False, True):
                torch.manual_seed(0)
                model = build_baseline(name, num_classes=20, width=32)
                step = training_step((CLASNet(model, **PLUGIN) if plugin else model).to(DEVICE), x, labels)
                fast = seconds(step, repeats=40)
                for layer, forward in replaced:
                    layer.forward = forward
                slow = seconds(step, repeats=40)
                for (layer, _), forward in zip(replaced, written, strict=True):
                    layer.forward = forward
                label = f"{name}{' + CLASNet' * plugin}, {batch} × {segments}"
                print(f"| {label} | {1000 * slow:.1f} | {1000 * fast:.1f} | {slow / fast:.2f} × |", flush=True)


def growth_child(factor):
    """In a process of its own, so that its peak memory is its own."""
    base = peak_mebibytes()
    with tempfile.TemporaryDirectory() as folder:
        size = {"classes": 20, "train_videos": 250 * factor, "test_videos": 1, "snippets": (80, 160)}
        a = draw_annotations("activitynet12", **size, rng=np.random.default_rng(0))
        rng = np.random.default_rng(1)
        features = (
            (id, rng.random((int(duration / 0.64), 256), dtype=np.float32))
            for id, duration in zip(a.ids.tolist(), a.duration, strict=True)
        )
        start = time.perf_counter()
        write_store(Path(folder) / "s", a, features)
        write = time.perf_counter() - start
        store = open_store(Path(folder) / "s")
        sample = BatchSampler(store, store.subset("training"), 32, 100, acrnet.ACRNet.sampling, 0)
        batch = seconds(sample, repeats=20)
        truth, found = drawn_predictions(20_000 * factor, np.random.default_rng(0), videos=500 * factor)
        score = seconds(detection_ap, *truth, *found, benchmark_of("activitynet12").tious, repeats=3)
        mebibytes = store.features.nbytes / 2**20
    peak = peak_mebibytes() - base
    print(f"{mebibytes:.0f} {write:.2f} {1000 * batch:.2f} {1000 * score:.0f} {peak:.0f}")


def bench_growth():
    heading(
        "Growth with the data set",
        (
            "size",
            "features (MiB)",
            "write the store (s)",
            "a batch of 32 × 100 (ms)",
            "mAP of 20,000 × size predictions (ms)",
            "peak memory added (MiB)",
        ),
    )
    for factor in (1, 2, 4, 8):
        command = [sys.executable, "-m", "benchmarks.run", "--growth", str(factor)]
        out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout
        print(f"| {factor} × | {' | '.join(out.split())} |", flush=True)


def bench_precision():
    """Mixed precision and compilation on the demo's THUMOS14 twin: ACRNet + CLASNet, three seeds."""
    params = load_params(ROOT / "params.yaml")
    settings = train_settings("thumos14", "acrnet", "clasnet", (0, 1, 2), params)
    settings["clasnet"]["fcsm"]["beta"] = params.localization.beta
    twin = params.active_profile.data["thumos14"].twin
    heading(
        f"Mixed precision and compilation: ACRNet + CLASNet on the THUMOS14 twin, seeds 0, 1, 2, on {DEVICE.type}",
        ("", "a training (s)", "average mAP (%)"),
    )
    with tempfile.TemporaryDirectory() as folder:
        drawing = twin.model_dump(include={"classes", "train_videos", "test_videos", "snippets"})
        a = draw_annotations("thumos14", **drawing, rng=np.random.default_rng([twin.seed, 0]))
        write_store(Path(folder) / "thumos14", a, twin_videos(a, twin.groups, twin.width, twin.seed))
        store = open_store(Path(folder) / "thumos14")
        videos = store.subset("test")
        for name, options in (
            ("float32", {}),
            ("bf16", {"precision": "bf16"}),
            ("float32, compiled", {"compile": True}),
        ):
            times, maps = [], []
            for seed in (0, 1, 2):
                start = time.perf_counter()
                model = train_model(store, "thumos14", "acrnet", settings | options, seed, device=DEVICE)
                times.append(time.perf_counter() - start)
                found = predict(model, store, videos, settings["segments"])
                result = detection_results(found, store.annotations.select(videos), "thumos14")
                maps.append(100 * result.map.mean())
            spread = f"{np.mean(maps):.1f} ± {np.std(maps, ddof=1):.1f}"
            print(f"| {name} | {statistics.median(times):.1f} | {spread} |", flush=True)


SECTIONS = {
    "map": bench_map,
    "command": bench_command,
    "localization": bench_localization,
    "sampling": bench_sampling,
    "clustering": bench_clustering,
    "step": bench_step,
    "whole_step": bench_whole_step,
    "demo_step": bench_demo_step,
    "growth": bench_growth,
    "precision": bench_precision,
}


def main():
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--growth"]:
        return growth_child(int(sys.argv[2]))
    place = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "one CPU thread"
    versions = f"Python {platform.python_version()}, PyTorch {torch.__version__}, NumPy {np.__version__}"
    print(f"{versions}, {platform.machine()}, networks on {place}.")
    for name in sys.argv[1:] or SECTIONS:
        SECTIONS[name]()


if __name__ == "__main__":
    main()
