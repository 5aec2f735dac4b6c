"""What a worker's own processes tell each other by `EIGENPRESS_…` variables."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class WorkerOptions(BaseSettings):
    """Settings of one worker; `engine` names the function that compresses."""

    model_config = SettingsConfigDict(env_prefix="EIGENPRESS_", extra="ignore")

    engine: str = "spectral_engine:compress"
    queues: tuple[str, ...] = ("gpu", "cpu")
