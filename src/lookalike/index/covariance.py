"""Variance and covariance of a query and rows that need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.errors import UsageError

Float64: TypeAlias = npt.NDArray[np.float64]


class Moments:
    """Moments of rows that are read in blocks: once for the mean, and again for each further moment.

    Args:
        blocks: Returns an iterator over all rows, in blocks of (B, D) float64.
    """

    def __init__(self, blocks: Callable[[], Iterable[Float64]]) -> None:
        self._blocks = blocks

    @cached_property
    def count(self) -> int:
        """N, number of rows."""
        return sum(len(block) for block in self._blocks())

    @cached_property
    def _mean(self) -> Float64:
        return np.asarray(sum(block.sum(axis=0) for block in self._blocks()) / self.count)

    @cached_property
    def _squares(self) -> Float64:
        return np.asarray(sum(((block - self._mean) ** 2).sum(axis=0) for block in self._blocks()))

    @cached_property
    def _products(self) -> Float64:
        return np.asarray(sum((block - self._mean).T @ (block - self._mean) for block in self._blocks()))

    def variance(self, query: Float64) -> Float64:
        """Variance of each column of the rows and the query together, with N degrees of freedom: (D,) float64.

        Raises:
            UsageError: A column does not vary, or there are no rows.
        """
        if self.count:
            away = query - self._mean
            found: Float64 = (self._squares + away**2 * self.count / (self.count + 1)) / self.count
            if found.all():
                return found
        raise UsageError("the metric seuclidean needs rows that vary in every column; choose another metric")

    def inverse_covariance(self, query: Float64) -> Float64:
        """Inverse covariance matrix of the rows and the query together: (D, D) float64.

        Raises:
            UsageError: There are too few rows, or they do not span the space.
        """
        if self.count >= len(query):
            away = query - self._mean
            products = self._products + np.outer(away, away) * self.count / (self.count + 1)
            try:
                return np.linalg.inv(products / self.count).astype(np.float64, copy=False)
            except np.linalg.LinAlgError:
                pass
        needed = len(query) + 1
        raise UsageError(
            f"the metric mahalanobis needs at least {needed} rows that vary in every direction; choose another metric"
        )
