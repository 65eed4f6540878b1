"""What this process tells Prometheus: nothing is counted for it alone, the parts' own state is read when it asks."""

import os
from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from webapp import __version__
from webapp.operations.vitals import Vitals
from webapp.rendering import build
from webapp.responses import READ

router = APIRouter()

Family = tuple[str, str, str, dict[str, str]]
"""A metric's name, what it is, its label if it has one, and the field of a reading for each of the label's values."""

_GAUGES: tuple[Family, ...] = (
    (
        "feed_lag_seconds",
        "How long ago the moment is up to which every committed change has been told to the views.",
        "",
        {"": "feed_lag_s"},
    ),
    (
        "sockets",
        "Open WebSockets: pages on /live, programs on /messages.",
        "endpoint",
        {"/live": "pages", "/messages": "programs"},
    ),
    (
        "views",
        "Live views: those that somebody looks at, and those kept for those who return.",
        "state",
        {"watched": "views_watched", "kept": "views_kept"},
    ),
    ("courier_busy", "1 while this process notifies on behalf of all writers.", "", {"": "courier_is_busy"}),
    (
        "pool_connections",
        "Connections of the database pool.",
        "state",
        {"in_use": "pool_in_use", "idle": "pool_idle"},
    ),
    ("pool_waiting", "Requests and views that wait for a connection of the database pool.", "", {"": "pool_waiting"}),
)
_COUNTERS: tuple[Family, ...] = (
    ("changes", "Committed changes that the feed has told.", "", {"": "changes"}),
    ("resyncs", "How often the feed had everything shown afresh.", "", {"": "resyncs"}),
    ("frames", "Frames written to sockets.", "", {"": "frames"}),
    ("frame_bytes", "Bytes of the frames written to sockets.", "", {"": "frame_bytes"}),
    ("renders", "Templates rendered.", "", {"": "renders"}),
    (
        "conflations",
        "Times a client was passed over, to get the newest state later: it was slow, or had had its share of frames.",
        "reason",
        {"slow": "passed_over", "share": "postponed"},
    ),
    (
        "receipts",
        "Receipts that pages were asked for, and those that came unasked or too late.",
        "outcome",
        {"asked": "receipts_asked", "refused": "receipts_refused"},
    ),
)


class VitalsCollector(Collector):
    """Makes metrics of the vital signs."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        """Read everything at one moment."""
        now, database = self._vitals.read(), self._vitals.database
        for families, kind in ((_GAUGES, GaugeMetricFamily), (_COUNTERS, CounterMetricFamily)):
            for name, text, label, fields in families:
                family = kind(f"live_inventory_{name}", text, labels=[label] if label else [])
                for value, field in fields.items():
                    family.add_metric([value] if label else [], getattr(now, field))
                yield family
        if database.notify_queue_use is not None:
            text = "How full the NOTIFY queue of the whole PostgreSQL server is, from 0 to 1; asked every minute."
            yield GaugeMetricFamily("live_inventory_notify_queue_usage_ratio", text, database.notify_queue_use)
        yield InfoMetricFamily(
            "live_inventory_build",
            "What runs: release, digest of templates and static files, version of PostgreSQL.",
            {"version": __version__, "build": build(), "postgresql": database.version or ""},
        )


class Registry(Collector):
    """The metrics of one application. Each process answers for itself, so its number is a label of every sample."""

    def __init__(self, *collectors: Collector) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        for collector in collectors:
            self._registry.register(collector)

    def collect(self) -> Iterator[Metric]:
        """Read all of them."""
        pid = {"pid": str(os.getpid())}
        for metric in self._registry.collect():
            metric.samples = [
                sample._replace(labels={**sample.labels, **pid})
                for sample in metric.samples
                if not sample.name.endswith("_created")  # process_start_time_seconds says it once for all
            ]
            yield metric


@router.api_route("/metrics", methods=READ)
async def metrics(request: Request) -> Response:
    """Answer Prometheus in the format that it asks for."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    return Response(encode(request.app.state.metrics), headers=headers)
