"""Moving a SQLite file from revision to revision keeps what is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from service.store.migrations import run
from service.store.migrations.run import check, downgrade, head_revision, upgrade

JOB = "id, status, model_id, dataset_id, recipe, metadata, priority, limits, queue, attempt, created_at, fence"
MOMENT = "2026-01-01 00:00:00"


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=ON")
        yield connection


def add_job(to: sqlite3.Connection, job_id: str, dataset: str, more: str = "") -> None:
    values = (
        f"'{job_id}', 'queued', 'm', {dataset}, '{{}}', '{{}}', 0, '{{}}', 'cpu', 0, '{MOMENT}', 0"
    )
    names, given = (", kind", f", '{more}'") if more else ("", "")
    to.execute(f"INSERT INTO jobs ({JOB}, last_sequence{names}) VALUES ({values}, 1{given})")
    to.execute(
        f"INSERT INTO events VALUES ('e{job_id}', '{job_id}', 1, 't', 'info', '', '{{}}', '{MOMENT}')"
    )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of the first revision, with a job in it."""
    file = tmp_path / "old.db"
    upgrade(f"sqlite:///{file}", "0001")
    with opened(file) as to:
        to.execute(f"INSERT INTO models VALUES ('m', 'n', 'f', 's', 1, '{{}}', '{MOMENT}')")
        to.execute(
            f"INSERT INTO datasets VALUES ('d', 'n', 'f', 's', 1, NULL, NULL, '{{}}', '{MOMENT}')"
        )
        add_job(to, "job_1", "'d'")
    return file


def test_an_old_file_is_brought_up_and_its_jobs_are_compressions(old: Path) -> None:
    upgrade(f"sqlite:///{old}")

    check(f"sqlite:///{old}")
    with opened(old) as to:
        assert to.execute("SELECT id, kind FROM jobs").fetchall() == [("job_1", "compression")]
        assert to.execute("SELECT count(*) FROM events").fetchone() == (1,)
        assert to.execute("PRAGMA foreign_key_check").fetchall() == []


def test_of_data_sets_of_before_nothing_is_said(old: Path) -> None:
    upgrade(f"sqlite:///{old}")

    with opened(old) as to:
        said = to.execute("SELECT labels, seen_by_original, rows_axis FROM datasets").fetchall()
        assert said == [(None, None, None)]


def test_only_an_analysis_has_no_data_set(old: Path) -> None:
    upgrade(f"sqlite:///{old}")

    with opened(old) as to:
        add_job(to, "ana_1", "NULL", "analysis")
        for kind in ("compression", "magic"):
            with pytest.raises(sqlite3.IntegrityError):
                add_job(to, "job_2", "NULL", kind)


def test_going_back_drops_analyses_and_nothing_else(old: Path) -> None:
    upgrade(f"sqlite:///{old}")
    with opened(old) as to:
        add_job(to, "ana_1", "NULL", "analysis")

    downgrade(f"sqlite:///{old}", "0001")

    with opened(old) as to:
        assert to.execute("SELECT id FROM jobs").fetchall() == [("job_1",)]
        assert to.execute("SELECT job_id FROM events").fetchall() == [("job_1",)]
    upgrade(f"sqlite:///{old}")
    check(f"sqlite:///{old}")


def test_the_newest_revision_is_the_one_that_no_other_follows() -> None:
    assert ScriptDirectory(str(run.HERE)).get_heads() == [head_revision()]


def test_what_is_in_an_old_file_becomes_that_of_the_default_tenant(old: Path) -> None:
    upgrade(f"sqlite:///{old}")

    with opened(old) as to:
        for table in ("models", "datasets", "jobs"):
            assert to.execute(f"SELECT DISTINCT tenant FROM {table}").fetchall() == [("default",)]
        for tenant in ("a", "b"):
            to.execute(
                "INSERT INTO idempotency (tenant, key, fingerprint, response, created_at)"
                f" VALUES ('{tenant}', 'k', 'f', '{{}}', '{MOMENT}')"
            )
