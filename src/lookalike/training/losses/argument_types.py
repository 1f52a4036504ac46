"""Types and ranges of the arguments of pytorch-metric-learning's losses, miners, distances and reducers, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from lookalike.config import Range, convert

FromOne: TypeAlias = Annotated[int, Range(least=1, most=100_000)]
Positive: TypeAlias = Annotated[float, Range(least=1e-6, most=1_000_000)]
NotNegative: TypeAlias = Annotated[float, Range(least=0, most=1_000_000)]
Fraction: TypeAlias = Annotated[float, Range(least=0, most=1)]
Similarity: TypeAlias = Annotated[float, Range(least=-1000, most=1000)]
"""A similarity or a distance, in the units of the loss's `distance`."""

Strategy: TypeAlias = Literal["easy", "semihard", "hard", "all"]

ARGUMENT_TYPES: Final[Mapping[str, object]] = {
    "Tn": NotNegative,
    "Tp": NotNegative,
    "alpha": Positive,
    "angle": Annotated[float, Range(above=0, below=90)],
    "anneal": Positive,
    "b": Positive,
    "base": Similarity,
    "beta": NotNegative,
    "centers_per_class": FromOne,
    "cutoff": Annotated[float, Range(above=0, most=2)],
    "eps": Annotated[float, Range(least=0, most=1)],
    "epsilon": Annotated[float, Range(least=0, most=1000)],
    "filter_percentage": Annotated[float, Range(above=0, most=1)],
    "gamma": Positive,
    "high": Similarity,
    "imbalance": Fraction,
    "is_inverted": bool,
    "la": NotNegative,
    "lambda_minus": NotNegative,
    "lambda_plus": NotNegative,
    "learn_beta": bool,
    "low": Similarity,
    "m": Fraction,
    "margin": Annotated[float, Range(least=0, most=1000)],
    "margin_minus": Similarity,
    "margin_plus": Similarity,
    "neg_eps": NotNegative,
    "neg_margin": Similarity,
    "neg_per_bin": FromOne,
    "neg_strategy": Strategy,
    "nonzero_loss_cutoff": Annotated[float, Range(above=0, most=1000)],
    "normalize_embeddings": bool,
    "nu": NotNegative,
    "num_bins": FromOne,
    "p": Annotated[float, Range(least=0.1, most=100)],
    "pos_eps": NotNegative,
    "pos_margin": Similarity,
    "pos_per_bin": FromOne,
    "pos_strategy": Strategy,
    "power": Annotated[float, Range(above=0, most=100)],
    "reduction": Literal["mean", "sum"],
    "scale": Positive,
    "smooth_loss": bool,
    "softmax_scale": Positive,
    "sub_centers": FromOne,
    "swap": bool,
    "temperature": Annotated[float, Range(least=0.0001, most=1000)],
    "triplets_per_anchor": FromOne,
    "type_of_triplets": Literal["all", "hard", "semihard", "easy"],
    "variant": Literal["O", "Ds", "Dq", "Iu", "Ib"],
}


def check_argument(owner: str, argument: str, value: object, *, default: object) -> object:
    """Check a number, a word or a flag that the settings give for an argument.

    Args:
        owner: Loss, miner, distance or reducer, for messages.
        argument: Name of the argument.
        value: Value of the settings.
        default: Value without them, which is always allowed.

    Returns:
        The value.

    Raises:
        ConfigError: It is of another type, or out of range.
        UnknownNameError: It is none of the words that the argument takes.
    """
    if type(value) is not type(default) or value != default:
        convert(ARGUMENT_TYPES[argument], value, where=f"{owner}: {argument}")
    return value
