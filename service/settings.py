"""Settings of the service, from the environment: ``RELATA_*``, plus ``PORT`` and ``REDIS_URL``."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

BUNDLED_ARTIFACTS = Path(__file__).resolve().parent.parent / "artifacts"


class Limits(BaseModel):
    """The most that one request may ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trajectories: int = 64
    entities: int = 200
    frames: int = 10_000
    values: int = 2_000_000
    horizon: int = 1_000
    num_samples: int = 256
    answer_values: int = 4_000_000


SYNC_LIMITS = Limits()
JOB_LIMITS = Limits(horizon=100_000, num_samples=1_024, answer_values=100_000_000)


class Settings(BaseSettings):
    """Everything that may differ between two installations; frozen, read once at start.

    Durations end in ``_s``, sizes in ``_bytes``.
    """

    model_config = SettingsConfigDict(
        env_prefix="RELATA_", frozen=True, extra="ignore", populate_by_name=True
    )

    home: Path = Path(".relata")
    """Where state lives: artifacts trained here, job results, the broker's files."""
    bundled_artifacts: Path = BUNDLED_ARTIFACTS
    """Read-only artifacts that come with the code."""
    artifacts: Path | None = None
    """Writable artifacts; default ``<home>/artifacts``. Laid over the bundled ones."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, validation_alias=AliasChoices("RELATA_PORT", "PORT"))
    redis_url: str | None = Field(
        default=None, validation_alias=AliasChoices("RELATA_REDIS_URL", "REDIS_URL")
    )
    """Broker and job records; none means that this process serves without jobs."""
    tenant: str = "default"

    runtime: Literal["onnx", "torch"] = "onnx"
    device: Literal["cpu", "cuda"] = "cpu"
    engine_threads: int = 1
    """Intra-operator threads of one runtime session."""
    queue_seconds: float = 5.0
    """Estimated work that may wait; above it the answer is 503 at once."""
    request_timeout_s: float = 30.0
    """Deadline of a request that names none."""
    drain_s: float = 10.0

    max_body_bytes: int = 8 * 1024 * 1024
    body_timeout_s: float = 30.0
    codec_threads: int = 2
    """Threads that decode bodies and encode answers off the event loop."""
    reload_s: float = 1.0
    """How often the artifact directories are looked at."""
    limits: Limits = SYNC_LIMITS
    job_limits: Limits = JOB_LIMITS

    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def writable_artifacts(self) -> Path:
        """Give the directory that exports and aliases are written to."""
        return self.artifacts or self.home / "artifacts"
