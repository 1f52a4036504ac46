"""Metrics of the processes of a server in one text, told apart by the label `process`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

LABEL = "process"


def together(texts: Mapping[int, str]) -> bytes:
    """Metrics of several processes as one text.

    They are not added up: after a process was started again, the sum of its counters and others' would fall, which
    Prometheus takes for a start of all of them from 0.

    Args:
        texts: Metrics in Prometheus' text format by the number of the process.
    """
    registry = CollectorRegistry()
    registry.register(ProcessMetrics(texts))
    return generate_latest(registry)


class ProcessMetrics(Collector):
    """Collector of the metrics of several processes.

    Args:
        texts: See `together`.
    """

    def __init__(self, texts: Mapping[int, str]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        """Metrics, each with the samples of all processes."""
        families: dict[str, Metric] = {}
        for process, text in sorted(self._texts.items()):
            for family in text_string_to_metric_families(text):
                whole = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    whole.add_sample(sample.name, {LABEL: str(process), **sample.labels}, sample.value)
        yield from families.values()
