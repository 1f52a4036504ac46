"""Switches off the telemetry of libraries before they are imported.

Some libraries send reports: ONNX Runtime stores an id of the machine in the home folder and uploads events from its own
threads, OpenVINO counts imports, Ray reports clusters. Most read their switch once, at first use, so
`lookalike/__init__.py` sets all of them before any other module of Lookalike is imported, also in a worker of Ray.
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
"""Packages that only send reports; libraries that import them work without."""


def switch_off() -> None:
    """Switch off the telemetry of libraries, in this process and its children."""
    os.environ.update(SWITCHES)
    for package in LEFT_OUT:
        sys.modules.setdefault(package, None)  # type: ignore[arg-type]  # None makes an import of it fail
