import re
from pathlib import Path

import pytest
import torch
import yaml

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared():
    """The folder of real annotations and parity vectors, where there is one."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the repository")
    return SHARED


def with_example(profile):
    """The content of profiles/demo.yaml, with the settings of the example baseline as its guide gives them."""
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "examples/README.md").read_text(), re.DOTALL)[1]
    profile["train"] |= yaml.safe_load(block)
    return profile
