"""The checkpoint that scores best on the test set, as the released codes keep it: not a protocol to report by, but one
to compare with."""

from clasnet.data.datasets import BENCHMARKS
from clasnet.data.sampling import usable_videos
from clasnet.evaluation.protocol import detection_results, evaluation_units, headline
from clasnet.inference.predict import predict
from clasnet.models.checkpoint import save_model


class BestOnTest:
    """Evaluates a model in training every ``every`` steps and after the last, and keeps the best weights in the file
    ``path``."""

    def __init__(self, store, dataset, settings, path):
        self.store, self.dataset, self.settings, self.path, self.best = store, dataset, settings, path, -1.0

    def __call__(self, model, step):
        if step % self.settings["best_on_test"]["every"] and step != self.settings["steps"]:
            return
        score = self.score(model)
        if score > self.best:
            self.best = score
            classes = self.store.annotations.classes
            save_model(self.path, model, classes=classes, num_segments=self.settings["segments"])
        model.train()

    def score(self, model):
        """Headline average of ``model`` on the test videos."""
        videos = usable_videos(self.store, BENCHMARKS[self.dataset].test, model.sampling)
        found = predict(model, self.store, videos, self.settings["segments"])
        units = evaluation_units(self.settings["best_on_test"]["units"], model.localization, self.dataset)
        return headline(
            detection_results(found, self.store.annotations.select(videos), self.dataset, units), self.dataset
        )
