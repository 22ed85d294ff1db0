"""One thin script per pipeline stage: read the stage's unit, call the library, write the outputs. Run them through
DVC.
"""

import os
import signal
import sys

from stages.signals import end_with_dvc

if sys.argv[0] == "-m":  # this process is to be a stage, which takes seconds to load: it can be stopped before it runs
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if "DVC_STAGE" in os.environ:  # on its own, a stage outlives the shell that it was started from
        end_with_dvc()

# A stage runs a process a seed: each keeps to one thread until params.yaml says otherwise. NumPy's libraries read this
# when they load.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, products on CUDA are not deterministic
