"""Detection mAP of any submission in the ActivityNet layout, by the official protocol.

    python -m clasnet.evaluate --ground-truth GT.json --predictions PRED.json --subset validation --tiou 0.5:0.95:0.05

Predictions of a class are visited by falling score, those of equal score in the order of the file. Each takes the free
ground truth of its video and class that it overlaps most (of equal overlaps the last in the file) if their t-IoU
reaches the threshold; else it is a false positive, as is every one in a video that the subset does not have. AP is the
area under the interpolated precision-recall curve; mAP is its mean over the classes that have ground truth.
"""

import argparse
import json

from clasnet.command import command
from clasnet.data.datasets import to_tious
from clasnet.errors import InputError
from clasnet.evaluation.files import evaluate_files
from clasnet.evaluation.metrics import DetectionAP


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m clasnet.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ground-truth", required=True, help="annotations, ActivityNet JSON layout")
    parser.add_argument("--predictions", required=True, help="predictions, ActivityNet submission layout")
    parser.add_argument("--subset", default="validation", help="the subset that counts (default: %(default)s)")
    parser.add_argument(
        "--tiou",
        default="0.5:0.95:0.05",
        type=parse_tious,
        help="start:stop:step, as np.linspace gives them, or a list 0.3,0.5, as typed (default: %(default)s)",
    )
    parser.add_argument("--format", default="table", choices=("json", "table"))
    parser.add_argument("--per-class", action="store_true", help="the table has a row a class (JSON always holds them)")
    given = parser.parse_args(arguments)
    with command("clasnet.evaluate"):
        names, result = evaluate_files(given.ground_truth, given.predictions, given.subset, given.tiou)
        print(as_json(names, result) if given.format == "json" else as_table(names, result, given.per_class))


def parse_tious(text):
    """As :func:`clasnet.data.datasets.to_tious`, with an error whose line argparse prints."""
    try:
        return to_tious(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def as_json(names, result: DetectionAP):
    content = {
        "tiou": list(result.tious),
        "mAP": result.map.tolist(),
        "average": float(result.map.mean()),
        "ap_by_class": {names[c]: ap.tolist() for c, ap in zip(result.classes, result.ap.T, strict=True)},
    }
    return json.dumps(content, indent=2)


def as_table(names, result: DetectionAP, per_class):
    rows = [("class" if per_class else "", *(f"{t:g}" for t in result.tious), "average")]
    if per_class:
        rows += [table_row(names[c], ap) for c, ap in zip(result.classes, result.ap.T, strict=True)]
    rows.append(table_row("mAP (%)", result.map))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]) for name, *cells in rows)


def table_row(name, ap):
    """The cells of ``name`` and its ``ap`` [Θ] in percent, with their mean."""
    return name, *(f"{100 * x:.2f}" for x in ap), f"{100 * ap.mean():.2f}"


if __name__ == "__main__":
    main()
