"""Fetch the published annotations and features of a data set, as sources.yaml lists them, into data/raw/. Nothing is
fetched twice.

    python -m stages.download DATASET [SOURCE]

SOURCE is the one that the active profile names unless it is given. The stage `features` does the same where the profile
has real data.
"""

import sys

from clasnet.data.datasets import benchmarks
from clasnet.errors import InputError
from stages.errors import stage_errors
from stages.params import read_params
from stages.sources import fetch


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in benchmarks():
        raise SystemExit(
            f"usage: python -m stages.download DATASET [SOURCE]; DATASET is one of {', '.join(benchmarks())}"
        )
    dataset, *source = sys.argv[1:]
    params = read_params()
    data = params.active_profile.data
    if not source and dataset not in data:
        raise InputError(f"profiles/{params.profile}.yaml has no {dataset}; name a source of sources.yaml to fetch one")
    source = source[0] if source else data[dataset].source
    if not source:
        raise InputError(
            f"profile {params.profile} makes {dataset} itself; name a source of sources.yaml to fetch one anyway"
        )
    annotations, features = fetch(dataset, source)
    print(f"{dataset}: annotations in {annotations}, features in {features}")


if __name__ == "__main__":
    stage_errors(main)
