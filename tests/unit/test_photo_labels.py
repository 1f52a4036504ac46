"""What is shown of the classes of a model's heads."""

from __future__ import annotations

import numpy as np

from lookalike.embedding.labels import labels_of

CLASSES = {"kind": ["top", "nothing"], "type": ["nothing", "shirt", "blouse"]}


def test_no_head_shows_that_there_is_nothing() -> None:
    rows = {"kind": np.array([[0.75, 0.25]], np.float32), "type": np.array([[0.5, 0.375, 0.125]], np.float32)}
    labels = labels_of(rows, CLASSES)
    assert labels.shown == {"kind": [("top", 0.75)], "type": [("shirt", 0.375), ("blouse", 0.125)]}
    assert labels.no_garment == 0.25
    assert labels.about == {"kind": 0.75, "nothing": 0.25}


def test_nothing_of_another_head_alone_says_nothing_of_the_photo() -> None:
    labels = labels_of({"type": np.array([[0.75, 0.25, 0.0]], np.float32)}, {"type": CLASSES["type"]})
    assert (labels.shown, labels.no_garment) == ({"type": [("shirt", 0.25), ("blouse", 0.0)]}, None)
