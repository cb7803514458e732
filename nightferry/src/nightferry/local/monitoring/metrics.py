"""The engine's Prometheus metrics, which docs/local-engine.md lists."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nightferry.catalog.catalog import Catalog
from nightferry.contract import StopCode
from nightferry.local.store import RunRecord, StartRecord, Store
from nightferry.local.triggers.scheduler import Scheduler

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_DURATIONS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600)  # seconds


def classify_run(record: RunRecord) -> str:
    """Return the status label of an ended run."""
    if record.run.exit_code == 0:
        return "succeeded"
    if record.run.stop_code == StopCode.NOT_STARTED:
        return "not_started"
    return "stopped" if record.run.stop_code in (StopCode.BY_USER, StopCode.TERMINATED) else "failed"


class Metrics:
    """Counters since the engine's start, and gauges that are read from the store at each scrape."""

    def __init__(self, store: Store, catalog: Catalog, scheduler: Scheduler, running: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._runs = Counter(
            "nightferry_runs", "Runs that ended since the engine started.", ("task", "status"), registry=self._registry
        )
        self._durations = Histogram(
            "nightferry_run_duration_seconds",
            "Time from the start of a run's process to its end.",
            ("task", "status"),
            buckets=_DURATIONS,
            registry=self._registry,
        )
        self._waits = Histogram(
            "nightferry_run_wait_seconds",
            "Time from the request of a run to the start of its process.",
            ("task",),
            buckets=_DURATIONS,
            registry=self._registry,
        )
        self._starts = Counter(
            "nightferry_starts",
            "Starts by schedules and triggers that were decided since the engine started.",
            ("source", "outcome"),
            registry=self._registry,
        )
        Gauge(
            "nightferry_engine_start_time_seconds", "Start time of the engine.", registry=self._registry
        ).set_to_current_time()
        self._registry.register(_StoreCollector(store, catalog, scheduler, running))

    def run_ended(self, record: RunRecord) -> None:
        """Count a stopped run."""
        run, status = record.run, classify_run(record)
        self._runs.labels(run.task, status).inc()
        if run.started_at is not None:
            self._waits.labels(run.task).observe(max(0.0, (run.started_at - run.created_at).total_seconds()))
            if run.stopped_at is not None:
                took = (run.stopped_at - run.started_at).total_seconds()
                self._durations.labels(run.task, status).observe(max(0.0, took))

    def start_decided(self, start: StartRecord) -> None:
        """Count the result of a start by a schedule or trigger."""
        self._starts.labels(start.source, start.outcome).inc()

    def render(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class _StoreCollector(Collector):
    """The gauges of the current state."""

    def __init__(self, store: Store, catalog: Catalog, scheduler: Scheduler, running: Callable[[], int]) -> None:
        self._store = store
        self._catalog = catalog
        self._scheduler = scheduler
        self._running = running

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing, so that registering the collector does not read the store."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        queue = GaugeMetricFamily("nightferry_queued_runs", "Queued runs.", labels=("task",))
        depths = self._store.queue_depths()
        for task in sorted({*self._catalog.tasks, *depths}):
            queue.add_metric((task,), depths.get(task, 0))
        yield queue
        yield GaugeMetricFamily("nightferry_running_runs", "Running runs.", value=self._running())
        executions = GaugeMetricFamily("nightferry_open_executions", "Open executions.", labels=("workflow",))
        opened = self._store.open_counts()
        for workflow in sorted({*self._catalog.workflows, *opened}):
            executions.add_metric((workflow,), opened.get(workflow, 0))
        yield executions
        yield GaugeMetricFamily(
            "nightferry_scheduler_lag_seconds",
            "Delay of the oldest due start that was not made yet; 0 if none is due.",
            value=self._scheduler.overdue(),
        )
        yield GaugeMetricFamily(
            "nightferry_scheduler_lateness_seconds",
            "Delay of the last scheduled start.",
            value=self._scheduler.lateness,
        )
        due = GaugeMetricFamily("nightferry_schedule_next_fire_seconds", "Time of the next fire.", labels=("schedule",))
        for time, name in self._scheduler.next_fires():
            due.add_metric((name,), time.timestamp())
        yield due
        size = sum(file.stat().st_size for file in self._store.file.parent.glob(self._store.file.name + "*"))
        yield GaugeMetricFamily("nightferry_store_bytes", "Size of the store's files.", value=size)
        process = psutil.Process(os.getpid())
        yield GaugeMetricFamily(
            "nightferry_engine_memory_bytes", "Resident memory of the engine.", value=process.memory_info().rss
        )
        yield GaugeMetricFamily("nightferry_engine_open_files", "Open files of the engine.", value=process.num_fds())
