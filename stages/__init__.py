"""One thin script per pipeline stage: read the stage's unit, call the library, write the outputs. Run them through
DVC.
"""

import os

# A stage runs a process a seed: each keeps to one thread until params.yaml says otherwise. NumPy's libraries read this
# when they load.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, products on CUDA are not deterministic
