"""A photo of a garment in, the same and similar garments out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lookalike import telemetry

if TYPE_CHECKING:
    from lookalike.answers import Answer, Explanation, GarmentChoice, Match, Regions
    from lookalike.errors import (
        AnnotationError,
        AnnotationErrors,
        BackupError,
        CatalogueError,
        ConfigError,
        FilterError,
        GalleryClosedError,
        GalleryDamagedError,
        GalleryGoneError,
        GalleryLockedError,
        GalleryNotFoundError,
        GalleryReplacedError,
        GalleryUnreachableError,
        IndexFileError,
        LookalikeError,
        MismatchError,
        MissingExtraError,
        ModelError,
        NoFinderError,
        NoGarmentError,
        PhotoError,
        PruneLimitError,
        RowFileError,
        StorageFailedError,
        StorageFullError,
        TrainingError,
        UnknownNameError,
        UnknownWordsError,
        UsageError,
    )
    from lookalike.evaluation.comparison import Comparison, compare_evaluations
    from lookalike.evaluation.evaluate import Evaluation, evaluate
    from lookalike.evaluation.garment_evaluation import GarmentEvaluation, evaluate_garments
    from lookalike.evaluation.table.cross_domain import CrossDomainTable, tabulate_cross_domain
    from lookalike.evaluation.table.table import EvaluationTable, tabulate_evaluations
    from lookalike.finding.finder import Finder, find_garments
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.transfer.backup import Backup, backup
    from lookalike.gallery.transfer.restoring import Restored, restore
    from lookalike.ingest.report import IndexReport
    from lookalike.models.export_checkpoint import Exported, export
    from lookalike.models.export_others import ExportedOther, export_encoder
    from lookalike.retrieval.opening import open
    from lookalike.retrieval.retriever import Retriever
    from lookalike.spaces import Space
    from lookalike.training.outcome import RateCurve, Stopped, Trained
    from lookalike.training.sweep import SweptRun, sweep
    from lookalike.training.train import find_rate, train
    from lookalike.tuning.calibration import Calibrated, calibrate
    from lookalike.tuning.database_augmentation import Augmentation, augment
    from lookalike.tuning.duplicates.applying import apply_decisions, unset_product
    from lookalike.tuning.duplicates.decisions import Decision, read_decisions
    from lookalike.tuning.duplicates.find import Duplicates, find_duplicates
    from lookalike.tuning.duplicates.plan import AppliedDecisions
    from lookalike.tuning.pca import Reduction, reduce
    from lookalike.tuning.tagging import Tag, Tagging, tag
    from lookalike.tuning.weight_learning import Fusion
    from lookalike.tuning.weights import forget_weights, learn_weights
    from lookalike.types import Box, Garment, Item

__all__ = [
    "AnnotationError",
    "AnnotationErrors",
    "Answer",
    "AppliedDecisions",
    "Augmentation",
    "Backup",
    "BackupError",
    "Box",
    "Calibrated",
    "CatalogueError",
    "Comparison",
    "ConfigError",
    "CrossDomainTable",
    "Decision",
    "Duplicates",
    "Evaluation",
    "EvaluationTable",
    "Explanation",
    "Exported",
    "ExportedOther",
    "FilterError",
    "Finder",
    "Fusion",
    "Gallery",
    "GalleryClosedError",
    "GalleryDamagedError",
    "GalleryGoneError",
    "GalleryLockedError",
    "GalleryNotFoundError",
    "GalleryReplacedError",
    "GalleryUnreachableError",
    "Garment",
    "GarmentChoice",
    "GarmentEvaluation",
    "IndexFileError",
    "IndexReport",
    "Item",
    "LookalikeError",
    "Match",
    "MismatchError",
    "MissingExtraError",
    "ModelError",
    "NoFinderError",
    "NoGarmentError",
    "PhotoError",
    "PruneLimitError",
    "RateCurve",
    "Reduction",
    "Regions",
    "Restored",
    "Retriever",
    "RowFileError",
    "Space",
    "Stopped",
    "StorageFailedError",
    "StorageFullError",
    "SweptRun",
    "Tag",
    "Tagging",
    "Trained",
    "TrainingError",
    "UnknownNameError",
    "UnknownWordsError",
    "UsageError",
    "apply_decisions",
    "augment",
    "backup",
    "calibrate",
    "compare_evaluations",
    "evaluate",
    "evaluate_garments",
    "export",
    "export_encoder",
    "find_duplicates",
    "find_garments",
    "find_rate",
    "forget_weights",
    "learn_weights",
    "open",
    "read_decisions",
    "reduce",
    "restore",
    "sweep",
    "tabulate_cross_domain",
    "tabulate_evaluations",
    "tag",
    "train",
    "unset_product",
]

telemetry.switch_off()  # the one effect of importing the package: a library that was imported first would report

_HOMES = {
    **dict.fromkeys(("Answer", "Explanation", "GarmentChoice", "Match", "Regions"), "lookalike.answers"),
    **dict.fromkeys(("Box", "Garment", "Item"), "lookalike.types"),
    **dict.fromkeys(("Augmentation", "augment"), "lookalike.tuning.database_augmentation"),
    **dict.fromkeys(("Calibrated", "calibrate"), "lookalike.tuning.calibration"),
    **dict.fromkeys(("Comparison", "compare_evaluations"), "lookalike.evaluation.comparison"),
    **dict.fromkeys(("Evaluation", "evaluate"), "lookalike.evaluation.evaluate"),
    **dict.fromkeys(("GarmentEvaluation", "evaluate_garments"), "lookalike.evaluation.garment_evaluation"),
    **dict.fromkeys(("Backup", "backup"), "lookalike.gallery.transfer.backup"),
    **dict.fromkeys(("Duplicates", "find_duplicates"), "lookalike.tuning.duplicates.find"),
    **dict.fromkeys(("Decision", "read_decisions"), "lookalike.tuning.duplicates.decisions"),
    **dict.fromkeys(("apply_decisions", "unset_product"), "lookalike.tuning.duplicates.applying"),
    "AppliedDecisions": "lookalike.tuning.duplicates.plan",
    **dict.fromkeys(("Restored", "restore"), "lookalike.gallery.transfer.restoring"),
    **dict.fromkeys(("CrossDomainTable", "tabulate_cross_domain"), "lookalike.evaluation.table.cross_domain"),
    **dict.fromkeys(("EvaluationTable", "tabulate_evaluations"), "lookalike.evaluation.table.table"),
    **dict.fromkeys(("Finder", "find_garments"), "lookalike.finding.finder"),
    **dict.fromkeys(("forget_weights", "learn_weights"), "lookalike.tuning.weights"),
    **dict.fromkeys(("Exported", "export"), "lookalike.models.export_checkpoint"),
    **dict.fromkeys(("ExportedOther", "export_encoder"), "lookalike.models.export_others"),
    **dict.fromkeys(("Reduction", "reduce"), "lookalike.tuning.pca"),
    **dict.fromkeys(("Tag", "Tagging", "tag"), "lookalike.tuning.tagging"),
    **dict.fromkeys(("RateCurve", "Stopped", "Trained"), "lookalike.training.outcome"),
    **dict.fromkeys(("SweptRun", "sweep"), "lookalike.training.sweep"),
    **dict.fromkeys(("find_rate", "train"), "lookalike.training.train"),
    "Fusion": "lookalike.tuning.weight_learning",
    "Gallery": "lookalike.gallery.protocol",
    "IndexReport": "lookalike.ingest.report",
    "Retriever": "lookalike.retrieval.retriever",
    "Space": "lookalike.spaces",
    "open": "lookalike.retrieval.opening",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import a public name when it is first used, so that `import lookalike` costs nothing."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("lookalike")
        except PackageNotFoundError:
            raise AttributeError("lookalike is not installed, and so has no version") from None
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "lookalike.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
