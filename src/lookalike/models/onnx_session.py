"""Sessions of ONNX Runtime: quiet, without telemetry, and with errors of one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lookalike.errors import ModelError

CPU: Final = "CPUExecutionProvider"

QUIET: Final = 3  # errors only; ONNX Runtime warns about graphics cards that are not used


def open_session(
    path: Path, content: bytes, *, threads: int, providers: Sequence[str | tuple[str, dict[str, str]]] = (CPU,)
) -> Any:  # noqa: ANN401 - it has no types
    """Open a session for the content of an ONNX file.

    Args:
        path: File name for messages.
        content: Bytes of the file.
        threads: Threads of an operator.
        providers: Execution providers in the order of preference.

    Raises:
        ModelError: It is not ONNX, or cannot be run here.
    """
    onnxruntime.set_default_logger_severity(QUIET)
    onnxruntime.disable_telemetry_events()  # if imported before `lookalike.telemetry` set its variables
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = QUIET
    # Threads that spin while waiting take processor time from those that decode photos: 18 ms per photo of an indexing
    # run (MobileNetV2 at 224, 2 cores) instead of 13.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # With a memory plan for each shape, the first photo takes 21 ms instead of 18, and others the same.
    options.enable_mem_pattern = False
    try:
        return onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:  # its exceptions have no common base but Exception
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{path}: not an ONNX file that can be run here: {reason}") from error


def metadata_of(session: Any, path: Path) -> Mapping[str, str]:  # noqa: ANN401 - it has no types
    """Metadata of the model in a session.

    Raises:
        ModelError: They are not Unicode.
    """
    try:
        metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: its metadata are damaged: {error}") from None
    return metadata


def run_session(
    session: Any,  # noqa: ANN401 - it has no types
    path: Path,
    outputs: Sequence[str],
    inputs: Mapping[str, NDArray[Any]],
) -> list[NDArray[Any]]:
    """Compute outputs of the model in a session, in the order of their names.

    Args:
        session: Result of `open_session`.
        path: File name for messages.
        outputs: Names of outputs.
        inputs: Arrays by the names of inputs.

    Raises:
        ModelError: An operator fails, as one of a damaged file does.
    """
    try:
        return [np.asarray(output) for output in session.run(list(outputs), dict(inputs))]
    except Exception as error:  # its exceptions have no common base but Exception
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{path}: the model cannot be run: {reason}") from error
