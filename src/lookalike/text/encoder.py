"""Text encoder: an ONNX file that gives texts vectors in the space of one photo model, with its tokenizer."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from lookalike.errors import ModelError
from lookalike.models.content_hash import read_checked, require_checksum
from lookalike.models.onnx_session import metadata_of, open_session, run_session
from lookalike.models.text_encoder_file import EMBEDDING, FORMAT, INPUT
from lookalike.projection import Projection
from lookalike.spaces import unit_rows
from lookalike.text.lexicon import lexicon
from lookalike.text.words import ReadText, read
from lookalike.types import Float32


class TextEncoder:
    """Text encoder from an ONNX file; safe to share between threads.

    The file has an input `tokens`, (B, L) int64, and an output `embedding`, (B, D) float32. Its metadata has the
    tokenizer as JSON of the library tokenizers, which pads to equal lengths, the model id of the photo model, and, if
    not all words can be understood, the learnt ones.

    Attributes:
        file: Its file.
        name: Name, such as `default`.
        photo_model: Model id of the photo model whose space it shares, such as `default@9f3c21ab`.
        learnt: Words that it has learnt, lower case; None if it reads all words.
    """

    def __init__(self, file: str | os.PathLike[str], *, threads: int = 1) -> None:
        """Load a text encoder.

        Args:
            file: ONNX file.
            threads: Threads of the network.

        Raises:
            ModelError: The file is missing, damaged, or not a text encoder.
        """
        self.file = path = Path(file)
        self._projection: Projection | None = None
        content = read_checked(path)
        self._session = open_session(path, content, threads=threads)
        metadata = metadata_of(self._session, path)
        wanted = [f"lookalike.{key}" for key in ("format", "name", "photo_model", "tokenizer")]
        if missing := [key for key in wanted if not metadata.get(key)]:
            raise ModelError(f"{path}: not a text encoder of Lookalike, its metadata lacks {', '.join(missing)}")
        made_as, self.name, self.photo_model, tokenizer = (metadata[key] for key in wanted)
        if made_as != FORMAT:
            raise ModelError(f"{path}: a model of format {made_as!r}, and a text encoder has the format {FORMAT!r}")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if [node.name for node in inputs] != [INPUT] or [node.name for node in outputs] != [EMBEDDING]:
            raise ModelError(f"{path}: a text encoder has the input {INPUT!r} and the output {EMBEDDING!r}")
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer)
            words = json.loads(metadata.get("lookalike.words", "null"))
            self.learnt: frozenset[str] | None = None if words is None else frozenset(words)
        except Exception as error:  # the tokenizer's exceptions have no common parent but Exception
            raise ModelError(f"{path}: its tokenizer or its words are damaged: {error}") from error
        self._intended = frozenset() if self.learnt is None else self.learnt & lexicon().naming
        require_checksum(path, content)

    def projected(self, projection: Projection | None) -> TextEncoder:
        """The encoder of a gallery whose vectors have a projection, or none; its network is that of this one."""
        projected = copy.copy(self)
        projected._projection = projection
        return projected

    def read(self, text: str) -> ReadText:
        """Read the text of a query, and tell the words that were not learnt."""
        return read(text, self.learnt, intended=self._intended)

    def encode(self, texts: Sequence[str]) -> Float32:
        """Encode texts: (B, D) float32 unit vectors.

        Args:
            texts: B texts; unknown words of them have no meaning, see `read`.

        Raises:
            ModelError: The network of the file fails.
        """
        encoded = self._tokenizer.encode_batch(list(texts))
        tokens = np.array([each.ids for each in encoded], dtype=np.int64)
        (found,) = run_session(self._session, self.file, [EMBEDDING], {INPUT: tokens})
        rows = np.asarray(found, dtype=np.float32)
        return unit_rows(rows) if self._projection is None else self._projection.apply(rows)
