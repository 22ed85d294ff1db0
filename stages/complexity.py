"""Stage `complexity`: Table 5, at the published width whatever the profile."""

import pandas as pd
import torch
from torch import nn

from clasnet.models.complexity import count_flops, count_parameters, milliseconds
from clasnet.files import replacing
from stages.params import load_params, stage_errors
from stages.results import model_title
from stages.tables import published_model, write_table
from stages.train import pick_device

SNIPPETS, CLASSES = 750, 20
PUBLISHED_ENCODER = 2048 * 2048 * 3 + 2048  # feat_encoder of the released CO2-Net and DELU, which their networks never call


def printed_sizes():
    """Millions of parameters that the paper prints, by model."""
    claims = pd.read_csv("reports/published/claims.csv", dtype=str)
    claims = claims[claims["what"] == "parameters (M)"]
    return {(row.baseline, row.variant): row.claimed for row in claims.itertuples()}


def explain(model, printed):
    """Where the FCSM's parameters are, and what parts its size from the paper's."""
    fcsm = model.fcsm
    heads = [fcsm.attention_rgb, fcsm.attention_flow]
    parts = {"dilated convolutions": fcsm.stack, "cross-modal attention": fcsm.cross_modal, "attention heads": nn.ModuleList(heads)}
    sizes = ", ".join(f"{name} {count_parameters(part):,}" for name, part in parts.items())
    single = count_parameters(model) - count_parameters(parts["attention heads"]) + len(heads) * (model.width + 1)
    return (f"CLASNet adds {count_parameters(fcsm):,}: {sizes}, gates {fcsm.gate.numel():,}. The paper prints {printed} M for ACRNet + CLASNet. Our attention heads "
            f"have two layers, as ACRNet's own; with one 1 × 1 convolution each, the sum would be {single:,}. The paper's number of layers and heads is not known.")  # fmt: skip


def main():
    params = load_params()
    torch.set_num_threads(params.threads)
    device, printed, rows, note = pick_device(params), printed_sizes(), [], None
    for baseline in params.baselines:
        for variant in ("baseline", "clasnet"):
            name, model = model_title(baseline, variant), published_model(baseline, variant, params)
            parameters = count_parameters(model)
            unused = f"{parameters + PUBLISHED_ENCODER:,}" if variant == "baseline" and baseline in ("co2net", "delu") else ""
            time = milliseconds(model.to(device), SNIPPETS)
            flops = count_flops(model, SNIPPETS)
            note = explain(model, printed["acrnet", "clasnet"]) if (baseline, variant) == ("acrnet", "clasnet") else note
            rows.append({"Method": name, "Parameters": f"{parameters:,}", "the paper's (M)": printed.get((baseline, variant), ""), "with the unused encoder": unused,
                         "GFLOP": f"{flops / 1e9:.2f}", "GMAC": f"{flops / 2e9:.2f}", "ms per video": f"{time:.0f}"})  # fmt: skip
    place = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {params.threads} thread(s)"
    caption = (f"Table 5. Cost at the published width (D = 1024, T = {SNIPPETS} snippets, C = {CLASSES} classes, FCSM with L = {params.fcsm.layers}, "
               f"H = {params.fcsm.heads}); milliseconds measured on {place}; no data set is involved")  # fmt: skip
    with replacing("reports/tables/complexity") as folder:
        folder.mkdir()
        write_table(folder, "table5", pd.DataFrame(rows), caption + ".", note)
    print(f"reports/tables/complexity: {len(rows)} models")


if __name__ == "__main__":
    stage_errors(main)
