"""Stage `complexity`: Table 5, at the published width whatever the profile."""

import sys
import time

import torch
from filelock import FileLock, Timeout
from torch import nn

from clasnet.files import replacing
from clasnet.models.complexity import count_flops, count_parameters, milliseconds
from stages.errors import LOCKS, lock_path, stage_errors
from stages.parallel import visible_devices
from stages.params import load_params
from stages.results import model_title
from stages.tabling.published import CLASSES, published_model, read_claims
from stages.tabling.write import write_table

SNIPPETS = 750
PATIENCE = 120  # seconds to wait for other stages to end before milliseconds are measured
ENCODER = 2048 * 2048 * 3 + 2048  # parameters of feat_encoder of the released CO2-Net and DELU, which they never call


def printed_sizes():
    """Millions of parameters that the paper prints: (baseline, variant) to text."""
    claims = [claim for claim in read_claims() if claim["what"] == "parameters (M)"]
    return {(claim["baseline"], claim["variant"]): claim["claimed"] for claim in claims}


def measure(models, device):
    """Parameters, FLOPs and milliseconds of one video of ``SNIPPETS`` for each of the ``models``."""
    sizes = [(count_parameters(model), count_flops(model, SNIPPETS)) for model in models]
    times = milliseconds([model.to(device) for model in models], SNIPPETS)
    return [(*size, time) for size, time in zip(sizes, times, strict=True)]


def others_at_work():
    """Is another stage at work in this folder? It would take time from what is measured."""
    own = lock_path(["complexity", *sys.argv[1:]])
    return any(path != own and is_held(path) for path in LOCKS.glob("*.lock"))


def is_held(path):
    """Does a process hold the lock in the file ``path``?"""
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def wait_for_others(patience=PATIENCE):
    """Wait until no other stage is at work, at most ``patience`` seconds."""
    end = time.monotonic() + patience
    if others_at_work():
        print(f"waiting up to {patience} s for other stages to end, to measure milliseconds", flush=True)
    while others_at_work() and time.monotonic() < end:
        time.sleep(0.2)


def cost_row(baseline, variant, measured, printed):
    """The row of one model: what was ``measured``, and what the paper prints."""
    parameters, flops, time = measured
    has_encoder = variant == "baseline" and baseline in ("co2net", "delu")
    return {
        "Method": model_title(baseline, variant),
        "Parameters": f"{parameters:,}",
        "the paper's (M)": printed.get((baseline, variant), ""),
        "with the unused encoder": f"{parameters + ENCODER:,}" if has_encoder else "",
        "GFLOP": f"{flops / 1e9:.2f}",
        "GMAC": f"{flops / 2e9:.2f}",
        "ms per video": f"{time:.0f}",
    }


def explain(model, printed):
    """Where the FCSM's parameters are, and what parts the size of ACRNet + CLASNet from the paper's ``printed`` one."""
    fcsm = model.fcsm
    heads = [fcsm.attention_rgb, fcsm.attention_flow]
    parts = {
        "dilated convolutions": fcsm.stack,
        "cross-modal attention": fcsm.cross_modal,
        "attention heads": nn.ModuleList(heads),
    }
    sizes = {name: count_parameters(part) for name, part in parts.items()}
    gates = [gate for gate in (fcsm.gate, fcsm.modulation) if gate is not None]
    if gates:
        sizes["gates"] = sum(gate.numel() for gate in gates)
    listed = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    single = count_parameters(model) - sizes["attention heads"] + len(heads) * (model.width + 1)
    return (
        f"CLASNet adds {count_parameters(fcsm):,}: {listed}. "
        f"The paper prints {printed} M for ACRNet + CLASNet. Our attention heads have two layers, as ACRNet's own; "
        f"with one 1 × 1 convolution each, the sum would be {single:,}. "
        "The paper's number of layers and heads is not known."
    )


def describe(params, device, disturbed):
    """The caption; ``disturbed``: was another stage at work while milliseconds were measured?"""
    place = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {params.threads} thread(s)"
    size = f"D = 1024, T = {SNIPPETS} snippets, C = {CLASSES} classes"
    fcsm = f"FCSM with L = {params.fcsm.layers}, H = {params.fcsm.heads}"
    return (
        f"Table 5. Cost at the published width ({size}, {fcsm}); "
        f"milliseconds measured on {place}{' WHILE ANOTHER STAGE WAS AT WORK' if disturbed else ''}; "
        "no data set is involved."
    )


def main():
    params = load_params()
    torch.set_num_threads(params.threads)
    device, printed = torch.device(visible_devices(params.device)[0]), printed_sizes()
    wait_for_others()
    disturbed = others_at_work()
    names = [(baseline, variant) for baseline in params.baselines for variant in ("baseline", "clasnet")]
    models = {name: published_model(*name, params) for name in names}
    rows = [
        cost_row(*name, measured, printed)
        for name, measured in zip(names, measure(list(models.values()), device), strict=True)
    ]
    largest = "acrnet", "clasnet"
    note = explain(models[largest], printed[largest]) if largest in models else None
    caption = describe(params, device, disturbed or others_at_work())
    with replacing("reports/tables/complexity") as folder:
        folder.mkdir()
        write_table(folder, "table5", rows, caption, note)
    print(f"reports/tables/complexity: {len(rows)} models")


if __name__ == "__main__":
    stage_errors(main)
