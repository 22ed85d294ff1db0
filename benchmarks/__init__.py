"""Benchmarks, run from the repository's root: python -m benchmarks.run. They compare with the tests' references."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))  # for `import references`
