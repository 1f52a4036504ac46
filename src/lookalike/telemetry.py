"""Switches off the telemetry of libraries, before any of them is imported.

Some report home by themselves, past the program that uses them: ONNX Runtime writes an identifier of the machine under
the home folder and uploads events from threads of its own, OpenVINO counts imports, Ray reports clusters. Most read
their switch once, when they are first used, so `lookalike/__init__.py` throws all of them: no module of Lookalike can
be imported, in this process or in a worker of Ray, before that has been done.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final

SWITCHES: Final[Mapping[str, str]] = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime, when the first session is made: 1.32 reads this one
    "ORT_TELEMETRY_DISABLED": "1",  # and others that
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray, when a cluster is started
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, from which timm and open_clip fetch weights
}
"""Environment variables that switch telemetry off; child processes inherit them."""

LEFT_OUT: Final = ("openvino_telemetry",)
"""Packages that only report; libraries that import them work without."""


def switch_off() -> None:
    """Switch off the telemetry of libraries, in this process and its children."""
    os.environ.update(SWITCHES)
    for package in LEFT_OUT:
        sys.modules.setdefault(package, None)  # type: ignore[arg-type]  # None makes an import of it fail
