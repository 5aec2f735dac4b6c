"""What a worker's own processes tell each other by `EIGENPRESS_…` variables."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_settings import BaseSettings, SettingsConfigDict


@dataclass(frozen=True)
class Engines:
    """Names of the functions that do the work, as `module:function`."""

    compress: str
    analyze: str

    def of(self, kind: str) -> str:
        """Return the function for a kind of job."""
        return self.analyze if kind == "analysis" else self.compress


class WorkerOptions(BaseSettings):
    """Settings of one worker.

    `engine` names the function that compresses, `analyzer` the one that analyzes, `ahead` a module that is imported
    before there is a job; `concurrency` is how many jobs share the machine.
    """

    model_config = SettingsConfigDict(env_prefix="EIGENPRESS_", extra="ignore")

    engine: str = "spectral_engine:compress"
    analyzer: str = "spectral_engine:analyze"
    ahead: str = "spectral_engine.ahead"
    queues: tuple[str, ...] = ("gpu", "cpu")
    concurrency: int = 1

    @property
    def engines(self) -> Engines:
        """Both functions."""
        return Engines(self.engine, self.analyzer)
