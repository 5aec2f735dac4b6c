"""Every setting of the service, read from `EIGENPRESS_…` variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.loopback import is_loopback

PREFIX = "EIGENPRESS_"


class Settings(BaseSettings):
    """Where things are kept, what is allowed, and how patient workers are."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", validate_default=True
    )

    data_dir: Path = Field(
        Path.home() / ".local" / "share" / "eigenpress",
        description="folder of everything that is kept on this machine",
    )
    database_url: str = Field(
        "",
        description="SQLAlchemy URL of the records; default `sqlite:///{data_dir}/eigenpress.db`",
    )
    broker_url: str | None = Field(
        None, description="`redis://` URL of the queue; without it an embedded Valkey is used"
    )
    artifacts_url: str = Field(
        "", description="`file://` or `s3://bucket/prefix`; default `file://{data_dir}/artifacts`"
    )
    data_sources: str | None = Field(
        None,
        description="what library and command line may read by URL: its beginnings, and networks; without it any "
        "server over TLS; the service reads none",
    )
    max_upload_bytes: int = Field(4 * 2**30, gt=0, description="size limit of one upload")
    max_dataset_bytes: int | None = Field(
        None,
        gt=0,
        description="bytes that a data set may take once it is unpacked; default what is free on the disk for "
        "temporary files, 64 GiB at most",
    )
    max_job_memory_bytes: int | None = Field(
        None,
        gt=0,
        description="memory of a job's processes together; default four fifths of the machine's or its control "
        "group's, shared by the jobs of a worker",
    )
    max_job_disk_bytes: int | None = Field(
        None,
        gt=0,
        description="disk that a job may fill, files without a name included; default half of what is free when it "
        "starts, shared by the jobs of a worker",
    )
    max_job_runtime_seconds: float = Field(
        7 * 86_400, gt=0, description="how long a job may run, all its attempts together"
    )
    max_job_cpu_seconds: float | None = Field(
        None,
        gt=0,
        description="processor time of a job, all its attempts together; default `max_job_runtime_seconds`, or what "
        "the job asks for, on every core",
    )
    max_job_open_files: int = Field(
        1024, ge=64, description="files that a job's process may have open"
    )
    max_job_processes: int = Field(64, ge=1, description="processes that a job may have at a time")
    job_network: bool = Field(
        False,
        description="whether a job's process keeps the network; without it, it is cut off where it can be",
    )
    lease_seconds: float = Field(
        30, gt=0, description="how long a job stays with a worker that is silent"
    )
    heartbeat_seconds: float = Field(
        5, gt=0, description="how often a worker renews its lease and looks for a cancel"
    )
    reaper_seconds: float = Field(
        10, gt=0, description="how often a worker looks for lost jobs and lost messages"
    )
    max_attempts: int = Field(3, ge=1, description="how often a job is started at most")
    cancel_grace_seconds: float = Field(
        5, ge=0, description="time between SIGTERM and SIGKILL for a job that is stopped"
    )
    progress_interval_seconds: float = Field(
        0.5, ge=0, description="shortest time between two records of a job's progress"
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    host: str = Field("127.0.0.1", description="address on which the API listens")
    max_requests_per_minute: int = Field(
        12_000,
        ge=0,
        description="of the keys of one tenant together; 0 for no limit. Requests without a key are not counted",
    )
    max_queued_jobs: int | None = Field(
        10_000, gt=0, description="how many jobs and analyses of one tenant may wait"
    )
    max_running_jobs: int | None = Field(
        None, gt=0, description="how many of one tenant run at a time at most; others wait"
    )
    max_worker_seconds_per_day: int | None = Field(
        None,
        gt=0,
        description="how long jobs of one tenant may run in a day (UTC) before no more are taken in",
    )
    max_stored_bytes: int | None = Field(
        None, gt=0, description="of models, data sets and candidates of one tenant together"
    )
    require_keys: bool = Field(
        False,
        description="ask for an API key on loopback too, as behind a proxy; on any other `EIGENPRESS_HOST` one is "
        "always asked for",
    )
    port: int = Field(8000, ge=0, le=65535, description="port on which the API listens")

    @model_validator(mode="after")
    def _fill_in_places(self) -> Settings:
        self.data_dir = self.data_dir.expanduser().absolute()
        self.database_url = self.database_url or f"sqlite:///{self.data_dir / 'eigenpress.db'}"
        self.artifacts_url = self.artifacts_url or f"file://{self.data_dir / 'artifacts'}"
        if self.heartbeat_seconds >= self.lease_seconds:
            raise ValueError("heartbeat_seconds must be less than lease_seconds")
        return self

    @property
    def broker_url_file(self) -> Path:
        """The file in which an embedded broker says where it listens."""
        return self.data_dir / "broker.url"

    @property
    def opens_to_this_machine(self) -> bool:
        """Whether requests without a key are let in: only where no other machine can send one."""
        return is_loopback(self.host) and not self.require_keys

    def scratch_dir(self, job_id: str) -> Path:
        """Return the folder in which a job works; it stays between attempts."""
        return self.data_dir / "scratch" / job_id

    def environment(self) -> dict[str, str]:
        """Return the variables that give a child process these settings."""
        values = self.model_dump(exclude_none=True)
        return {PREFIX + name.upper(): str(value) for name, value in values.items()}
