"""The Celery application: a way to be woken, and nothing that is kept."""

from __future__ import annotations

from typing import Any

import celery

# Longer than any job: a message is acknowledged before its job starts, so nothing waits for this.
VISIBILITY_SECONDS = 7 * 86_400


def make_app(broker_url: str) -> Any:
    """Return the application that listens at `broker_url`."""
    app = celery.Celery("eigenpress", broker=broker_url, include=["worker.tasks"])
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=False,
        worker_pool_start_method="spawn",
        # A new pool process imports for seconds on a busy machine; the default kills it after 4.
        worker_proc_alive_timeout=120,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"visibility_timeout": VISIBILITY_SECONDS},
    )
    return app
