"""Reimplementation of the original system's search on SciPy and scikit-learn, the baseline of the benchmarks.

Features are arrays in memory, read from .npy files, and photo names are a list. A score is minus the Euclidean distance
of the deep features minus a tenth of that of the colour features; the highest scores are the answer. The clustered
search compares the query with the members of its own k-means cluster only. In every query it converts the list of names
to an array, which takes most of its time; this is reproduced here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from lookalike.types import Float32, Int64

COLOR_WEIGHT = 0.1
CLUSTERS = 50


def scores(query: Mapping[str, Float32], deep: Float32, color: Float32) -> npt.NDArray[np.float64]:
    """Score all rows for one query, (N,), by Euclidean distances of both features, the original's default."""
    distances: npt.NDArray[np.float64] = cdist(query["deep"], deep)[0]
    distances += COLOR_WEIGHT * cdist(query["color-original"], color)[0]
    return -distances


def best(scored: npt.NDArray[np.float64], k: int) -> Int64:
    """Return the positions of the k highest scores, highest first."""
    k = min(k, len(scored))
    top = np.argpartition(scored, -k)[-k:]
    return top[np.argsort(-scored[top], kind="stable")]


class Clusters(Protocol):
    """A fitted `sklearn.cluster.KMeans`."""

    labels_: npt.NDArray[np.int32]

    def predict(self, rows: Float32) -> npt.NDArray[np.int32]:
        """Return the nearest cluster of each row."""
        ...


@dataclass(frozen=True, slots=True)
class Original:
    """The original's two searches over its two features.

    Attributes:
        deep: (N, 512) float32 deep features.
        color: (N, 30) float32 colour features.
        names: Paths of the N photos, in the style of its data set.
        clusters: Clusters of the deep features; None if scikit-learn is not installed, without clustered search.
    """

    deep: Float32
    color: Float32
    names: list[str]
    clusters: Clusters | None

    def naive(self, query: Mapping[str, Float32], k: int) -> list[str]:
        """Return the names of the k best of all photos."""
        return [self.names[place] for place in best(scores(query, self.deep, self.color), k)]

    def clustered(self, query: Mapping[str, Float32], k: int) -> list[str]:
        """Return the names of the k best photos of the query's own cluster."""
        assert self.clusters is not None
        label = self.clusters.predict(query["deep"])[0]
        members = np.flatnonzero(self.clusters.labels_ == label)
        names = np.array(self.names)[members]
        return [str(names[place]) for place in best(scores(query, self.deep[members], self.color[members]), k)]


def name_of(number: int) -> str:
    """Return a path of about the length of those in the original's data set."""
    return f"img/Striped_Cotton_Blouse/img_{number:08}.jpg"


def number_of(name: str) -> int:
    """Return the number in a name made by `name_of`."""
    return int(name[-12:-4])


def fit_clusters(deep: Float32) -> Clusters:
    """Fit the original's k-means, as `sklearn.cluster.KMeans` does by default.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    from sklearn.cluster import KMeans

    fitted: Clusters = KMeans(n_clusters=CLUSTERS, random_state=0).fit(deep)
    return fitted
