"""Waking workers. A message carries a job's id and no truth: one that is lost is sent again."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kombu as untyped_kombu

log = logging.getLogger("eigenpress.job_notifier")

# Kombu marks itself as typed and leaves its functions bare.
kombu: Any = untyped_kombu

TASK = "eigenpress.run_job"
ALIVE = "eigenpress:alive:"
TIMEOUT_SECONDS = 2.0
TRANSPORT_OPTIONS = {
    "socket_connect_timeout": TIMEOUT_SECONDS,
    "socket_timeout": TIMEOUT_SECONDS,
    "max_retries": 0,
}


class JobNotifier:
    """Wakes workers through the broker at `broker_url`, or at the one that `url_file` names."""

    def __init__(self, broker_url: str | None, url_file: Path | None = None) -> None:
        self._broker_url = broker_url
        self._url_file = url_file

    @property
    def broker_url(self) -> str | None:
        """Where the broker listens, as far as that is known."""
        if self._broker_url is None and self._url_file is not None and self._url_file.exists():
            return self._url_file.read_text().strip() or None
        return self._broker_url

    def notify(self, job_id: str, queue: str) -> bool:
        """Wake a worker of `queue`. False when the broker did not take it: a reaper notifies later."""
        try:
            with self._connect() as connection:
                _publish(connection, job_id, queue)
        except Exception as error:
            log.warning("could not notify of %s: %s", job_id, error)
            return False
        return True

    def reachable(self) -> bool:
        """Say whether the broker answers."""
        return self.workers_alive() is not None

    def workers_alive(self) -> int | None:
        """Return how many workers have lately said that they live; None without a broker."""
        try:
            with self._connect() as connection:
                client = connection.default_channel.client
                return sum(1 for _ in client.scan_iter(match=f"{ALIVE}*"))
        except Exception:
            return None

    def pending(self, queue: str) -> int:
        """Return how many messages lie in a queue. Raises when the broker is away."""
        with self._connect() as connection:
            return int(connection.default_channel.client.llen(queue))

    def limits_missing(self) -> dict[str, list[str]]:
        """Return by worker what it cannot limit for its jobs. Raises when the broker is away."""
        with self._connect() as connection:
            client = connection.default_channel.client
            keys = [*client.scan_iter(match=f"{ALIVE}*")]
            told = client.mget(keys) if keys else []
        names = [key.decode().removeprefix(ALIVE) for key in keys]
        return {name: _lines(value) for name, value in zip(names, told, strict=True) if value}

    def tell_alive(self, worker: str, seconds: float, lacks: Sequence[str] = ()) -> None:
        """Say that a worker lives, and what it cannot limit for its jobs; forgotten after so many seconds.

        Raises when the broker is away.
        """
        with self._connect() as connection:
            client = connection.default_channel.client
            client.set(f"{ALIVE}{worker}", json.dumps([*lacks]), px=int(seconds * 1000))

    def tell_gone(self, worker: str) -> None:
        """Say that a worker has stopped. Raises when the broker is away."""
        with self._connect() as connection:
            connection.default_channel.client.delete(f"{ALIVE}{worker}")

    def _connect(self) -> Any:
        url = self.broker_url
        if url is None:
            raise ConnectionError("no broker is running yet")
        return kombu.Connection(url, transport_options=TRANSPORT_OPTIONS)


def _publish(connection: Any, job_id: str, queue: str) -> None:
    # The message as Celery's protocol 2 has it, so that no sender needs Celery.
    headers = {
        "lang": "py",
        "task": TASK,
        "id": job_id,
        "root_id": job_id,
        "parent_id": None,
        "group": None,
        "retries": 0,
        "ignore_result": True,
    }
    # The nameless exchange delivers to the queue that the routing key names: no binding to lose.
    kombu.Producer(connection, serializer="json").publish(
        [[job_id], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}],
        exchange="",
        routing_key=queue,
        headers=headers,
        correlation_id=job_id,
        retry=False,
    )


def _lines(told: bytes) -> list[str]:
    """Return what a worker has told; one of another version tells nothing."""
    try:
        lacks = json.loads(told)
    except ValueError:
        return []
    return [str(one) for one in lacks] if isinstance(lacks, list) else []
