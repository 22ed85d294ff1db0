import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import settings

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests/data"
LONGEST = [  # files, by the time that they take
    *("test_pipeline", "test_resume", "test_cluster", "test_real_data", "test_i3d", "test_video", "test_parity"),
    *("test_statistics", "test_portable", "test_data", "test_use", "test_units", "test_size", "test_localization"),
    *("test_faults", "test_page", "test_study"),
]
OUTCOMES = Counter()  # of the tests of this run: "ran", or why one was skipped

os.environ["OMP_NUM_THREADS"] = "1"  # as many threads as PyTorch takes in a process
settings.register_profile("same", derandomize=True, deadline=None)  # the same examples in every run
settings.load_profile("same")

needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs signals, process groups and limits of POSIX")


def pytest_collection_modifyitems(items):
    """The longest files first, so that no process is left with one at the end (xdist's --no-loadscope-reorder)."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_runtest_logreport(report):
    """Keep why a test was skipped."""
    if report.skipped and isinstance(report.longrepr, tuple):
        OUTCOMES[report.longrepr[2].removeprefix("Skipped: ")] += 1
    elif report.when == "call":
        OUTCOMES["ran"] += 1


def pytest_unconfigure(config):
    """The last line of a run: what was not tested here, and why."""
    if OUTCOMES and not hasattr(config, "workerinput"):
        skipped = ", ".join(f"{count} ({why})" for why, count in OUTCOMES.items() if why != "ran")
        print(f"skipped: {skipped or 'none'}")


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Where tables, figures and page read results; a test writes the models that it needs there."""
    from made_results import Results

    monkeypatch.setattr("stages.results.RESULTS", tmp_path)
    return Results(tmp_path)


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """The folder of tests/data, with its archive of THUMOS14's annotations unpacked; its README names the sources."""
    folder = tmp_path_factory.mktemp("published")
    shutil.copytree(DATA, folder, dirs_exist_ok=True)
    shutil.unpack_archive(DATA / "annotations/thumos14.tar.xz", folder / "annotations")
    return folder


def with_example(profile):
    """The content of profiles/demo.yaml, with the settings of the example baseline as its guide gives them."""
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "examples/README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    profile["train"] |= yaml.safe_load(block)
    return profile
