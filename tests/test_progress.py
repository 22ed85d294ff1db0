"""The bar over the whole pipeline: what it makes of DVC's lines."""

from stages import progress

LINES = """Stage 'check' didn't change, skipping
Running stage 'features@a':
> python -m stages.features a
data/a: 3 videos
Updating lock file 'dvc.lock'

Running stage 'train@a-x':
> python -m stages.train a/x
models/a/x: 2 seeds
Running stage 'train@a-y':
ERROR: failed to reproduce 'train@a-y'
Use `dvc push` to send your updates to remote storage.
""".splitlines()


class Bar:
    n = 0

    def set_description(self, text, refresh):
        self.stage = text

    def set_postfix_str(self, text):
        self.left = text


def test_the_bar_counts_stages_and_shows_their_own_lines(monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    pipeline = progress.Pipeline(["check", "features@a", "train@a-x", "train@a-y", "train@a-z"], {"train@a-z": 300.0})
    bar, said = Bar(), []
    progress.follow(LINES, pipeline, bar, said.append)
    assert said == ["data/a: 3 videos", "models/a/x: 2 seeds", "ERROR: failed to reproduce 'train@a-y'"]
    assert bar.n == 3 and bar.stage == "train@a-y" and pipeline.left == {"train@a-y", "train@a-z"}
    assert pipeline.seconds.keys() == {"train@a-z", "features@a", "train@a-x"}
    assert bar.left == "about 7 min left"  # 300 s, and the mean of its kind for train@a-y, less what has gone
