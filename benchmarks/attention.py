"""How good is the attention of a trained model, and what would the truth in its place give?

    python -m benchmarks.attention DATASET MODEL.pt ...

Prints, for every model file on the test videos of data/DATASET, the correlation of its attentions with the truth
and the average mAP as it is, with the true classes, with the true snippets, and with both.
"""

import sys

from clasnet.data.datasets import benchmark_of
from clasnet.data.sampling import usable_videos
from clasnet.data.store import open_store
from clasnet.evaluation.attention import Reader
from clasnet.models.checkpoint import load_model


def main(dataset, *paths):
    store = open_store(f"data/{dataset}")
    columns = ("model", "r, a", "r, q", "r, A", "as it is", "true classes", "true snippets", "both")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for path in paths:
        model = load_model(path)
        videos = usable_videos(store, benchmark_of(dataset).test, model.sampling)
        reader = Reader(model, store, videos, model.num_segments)
        r = reader.correlations()
        known = {"attention": reader.true_attention}
        maps = [reader.average(dataset, **how) for how in ({}, {"labels": True}, known, known | {"labels": True})]
        found = [f"{r[name]:.2f}" if name in r else "–" for name in ("a", "q", "A")]
        print(f"| {' | '.join([path, *found, *(f'{value:.1f}' for value in maps)])} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
