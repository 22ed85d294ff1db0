"""The checkpoint that scores best on the test set, as the released codes keep it.

Not a protocol to report by, but one to compare with.
"""

from clasnet.data.datasets import benchmark_of
from clasnet.data.sampling import usable_videos
from clasnet.evaluation.protocol import detection_results, evaluation_units, headline
from clasnet.inference.predict import predict


class BestOnTest:
    """Evaluates a model in training every ``every`` steps and after the last, and keeps the best ``weights``."""

    def __init__(self, store, dataset, settings):
        self.store, self.dataset, self.settings, self.best, self.weights = store, dataset, settings, -1.0, None

    def __call__(self, model, step):
        if step % self.settings["best_on_test"]["every"] and step != self.settings["steps"]:
            return
        score = self.score(model)
        if score > self.best:
            self.best = score
            self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        model.train()

    def score(self, model):
        """Headline average of ``model`` on the test videos."""
        videos = usable_videos(self.store, benchmark_of(self.dataset).test, model.sampling)
        found = predict(model, self.store, videos, self.settings["segments"])
        truth = self.store.annotations.select(videos)
        wanted, each = self.settings["best_on_test"]["units"], self.store.origin.seconds
        units = evaluation_units(wanted, model.localization, self.dataset, each)
        return headline(detection_results(found, truth, self.dataset, units), self.dataset)

    def state(self):
        return {"best": self.best, "weights": self.weights}

    def load(self, state):
        self.best, self.weights = state["best"], state["weights"]
