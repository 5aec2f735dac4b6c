"""Numbers for Prometheus: requests as they happen, jobs as the records have them when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


@dataclass(frozen=True)
class JobCounts:
    """The state of the queue at one moment."""

    by_status: dict[str, int]
    oldest_queued_seconds: float


class Metrics:
    """One registry per application, so that two in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._latency = Histogram(
            "eigenpress_http_request_seconds",
            "Time until the answer starts.",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._series: dict[tuple[str, str, int], Histogram] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; status 0 means that the client left before an answer."""
        # A made-up method must not make a time series of its own.
        key = (method if method in METHODS else "other", route, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._latency.labels(*map(str, key))
        series.observe(seconds)

    def watch_jobs(self, count: Callable[[], JobCounts]) -> None:
        """Report the jobs that `count` finds at every scrape."""
        self.registry.register(_JobCollector(count))

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _JobCollector(Collector):
    def __init__(self, count: Callable[[], JobCounts]) -> None:
        self._count = count

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        counts = self._count()
        jobs = GaugeMetricFamily("eigenpress_jobs", "Jobs by status.", labels=["status"])
        for status, number in counts.by_status.items():
            jobs.add_metric([status], number)
        yield jobs
        yield GaugeMetricFamily(
            "eigenpress_oldest_queued_seconds",
            "Age of the oldest job that waits.",
            value=counts.oldest_queued_seconds,
        )
