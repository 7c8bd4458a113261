"""The settings of hts_battery: read once, at the edges, never on import."""

from __future__ import annotations

import os
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from hts_battery.errors import ConfigurationError
from hts_battery.settings_file import (
    CONFIG_FILE_VARIABLE,
    ENV_PREFIX,
    PROFILE_VARIABLE,
    config_file,
    name_profile,
    named_profile,
    read_settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "CONFIG_FILE_VARIABLE",
    "ENV_PREFIX",
    "BlobStore",
    "HTSBatterySettings",
    "config_file",
    "get_settings",
    "refuse_unknown_variables",
    "use_profile",
]

_TEST_PREFIX = "HTS_BATTERY_TEST_"


class BlobStore(StrEnum):
    """Where large outputs of jobs are kept."""

    MONGO = "mongo"
    """An indexed collection beside the outputs; each blob under 16 MB."""
    GRIDFS = "gridfs"
    """GridFS of the same database: any size; slow on the embedded server."""
    S3 = "s3"
    """A bucket of an S3-compatible service, indexed in the database."""


class HTSBatterySettings(BaseSettings):
    """
    Everything a user may set, from arguments, environment or one YAML file.

    Arguments win over ``HTS_BATTERY_*`` variables, which win over the file
    ``~/.hts_battery.yaml`` (or the one named by ``HTS_BATTERY_CONFIG_FILE``).
    An unknown name is refused in each of the three; a variable set to nothing counts
    as not set. Relative folders are resolved
    against the folder in which the settings are read. What a profile of the file sets
    (:mod:`hts_battery.settings_file`) wins over the rest of the file.

    Raises
    ------
    ConfigurationError
        If a variable is not a setting, or the file cannot be read.
    pydantic.ValidationError
        If a value is not allowed (:func:`get_settings` translates it).

    Examples
    --------
    >>> HTSBatterySettings(temperatures=(0, 1000)).temperatures
    (0.0, 1000.0)
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    mongo_uri: SecretStr | None = Field(
        None,
        description="URI of a MongoDB-compatible server, TLS and credentials "
        "included; none means the embedded server.",
    )
    database: str = Field(
        "hts_battery",
        pattern=r"^[A-Za-z0-9_-]{1,63}$",
        description="Name of the database that holds every collection.",
    )
    data_dir: Path = Field(
        Path("hts-data"),
        description="Folder of everything kept on disk here: the embedded database, "
        "its log, the execution record.",
    )
    execution_record: Path | None = Field(
        None,
        description="Folder of the append-only execution record; none means "
        "executions/ in data_dir.",
    )
    prototype_folder: Path | None = Field(
        None,
        description="Folder of parent lattices of your own, one YAML file each, which "
        "every machine that computes can read; none means those of the package alone.",
    )
    temperatures: Annotated[tuple[float, ...], NoDecode] = Field(
        (0.0, 1473.0),
        min_length=1,
        description="Temperatures at which hulls are built, in K; 0 is plain DFT. "
        "In a variable: 0,1473.",
    )
    blob_store: BlobStore = Field(
        BlobStore.MONGO, description="Where large outputs of jobs are kept."
    )
    s3_bucket: str | None = Field(
        None, description="Bucket of blob_store s3; must exist."
    )
    s3_endpoint_url: str | None = Field(
        None, description="Address of an S3 service other than Amazon's."
    )
    s3_prefix: str = Field(
        "hts_battery/blobs/", description="Prefix of the names in the bucket."
    )

    launch_quota: int | None = Field(
        None,
        gt=0,
        description="Bytes that launch folders may take; above it no new job is "
        "started. None is no limit.",
    )
    outage_patience: float = Field(
        300.0,
        ge=0,
        description="Seconds that a rocket waits for a database that went away, before "
        "it leaves its result on disk. The end of its allocation ends it earlier.",
    )
    lost_after: float = Field(
        3600.0,
        gt=0,
        description="Seconds without a sign of life after which a rocket is lost, if "
        "neither its queue nor its process can be asked: four times PING_TIME_SECS of "
        "the slowest worker.",
    )
    brake_runs: int = Field(
        5,
        ge=0,
        description="Runs of a worker that end in a row without having begun, after "
        "which nothing more is submitted to it; 0 is no such brake.",
    )
    brake_failures: int = Field(
        10,
        ge=0,
        description="Candidates of a campaign that fail in a row in the same way, "
        "after which nothing more of it is sent; 0 is no such brake.",
    )
    notify_urls: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Addresses to which messages about campaigns go, as apprise "
        "writes them, for example mailto://USER:PASSWORD@HOST. In a variable "
        "separated by blanks.",
    )
    chgnet_device: str = Field(
        "cpu",
        pattern=r"^(cpu|mps|cuda(:[0-9]+)?)$",
        description="Where CHGNet computes on this machine, as PyTorch names it: cpu, "
        "cuda, cuda:1, mps.",
    )
    gpaw_command: str | None = Field(
        None,
        description="How this worker starts an interpreter that has GPAW, for example "
        "'mpirun -np 4 gpaw python'; none means this interpreter, one process.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature of the base class
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the YAML file."""
        refuse_unknown_variables(os.environ)
        written = read_settings()
        refuse_contradictions(named_profile(), written, os.environ)
        return init_settings, env_settings, InitSettingsSource(settings_cls, written)

    @field_validator("data_dir", "execution_record", "prototype_folder")
    @classmethod
    def _make_absolute(cls, folder: Path | None) -> Path | None:
        # Jobs change the working directory; a relative folder would move with it.
        return None if folder is None else folder.expanduser().absolute()

    @field_validator("notify_urls", mode="before")
    @classmethod
    def _split_urls(cls, value: object) -> object:
        return value.split() if isinstance(value, str) else value

    @field_validator("temperatures", mode="before")
    @classmethod
    def _split_temperatures(cls, value: object) -> object:
        if isinstance(value, str):
            return [part for part in value.strip("[]() ").split(",") if part.strip()]
        return value

    @field_validator("temperatures")
    @classmethod
    def _check_temperatures(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not isfinite(t) or t < 0 for t in value):
            raise ValueError("a temperature is a finite number of K, 0 or more")
        if len(set(value)) < len(value):
            raise ValueError("each temperature stands once")
        return value

    @model_validator(mode="after")
    def _check_bucket(self) -> Self:
        if self.blob_store is BlobStore.S3 and self.s3_bucket is None:
            raise ValueError("blob_store s3 needs s3_bucket")
        return self

    @property
    def workers_folder(self) -> Path:
        """Folder of the rendered workers, one folder each."""
        return self.data_dir / "workers"

    @property
    def queue_folder(self) -> Path:
        """Folder in which jobs of queues run, one folder a worker."""
        return self.data_dir / "queue"

    @property
    def runner_folder(self) -> Path:
        """Folder of the runner: what it wrote down, and its logs."""
        return self.data_dir / "runner"

    @property
    def execution_folder(self) -> Path:
        """Folder of the execution record."""
        return self.execution_record or self.data_dir / "executions"


@lru_cache(maxsize=1)
def get_settings() -> HTSBatterySettings:
    """
    Return the settings, read once, on first use (never on import).

    Raises
    ------
    ConfigurationError
        Says which setting, variable or file is wrong; never repeats its value,
        which may be a password.
    """
    try:
        found = HTSBatterySettings()
    except ValidationError as err:
        problems = "; ".join(
            ": ".join(
                part for part in (".".join(map(str, item["loc"])), item["msg"]) if part
            )
            for item in err.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(
            f"settings: {problems} (set by {ENV_PREFIX}* variables or {config_file()})"
        ) from None
    if found.prototype_folder is not None:
        # Documents know a parent lattice by its name alone.
        from hts_battery.structures.prototypes import use_prototypes  # noqa: PLC0415 - only where there are some

        use_prototypes(found.prototype_folder)
    return found


def use_profile(name: str | None) -> None:
    """Let this process use a profile; settings that were read before are forgotten."""
    name_profile(name)
    get_settings.cache_clear()


def refuse_contradictions(
    profile: str | None, written: Mapping[str, object], variables: Mapping[str, str]
) -> None:
    """
    Refuse a profile of the command line beside a variable that says something else.

    Variables win over the file; whoever names a profile does not expect another
    database than that profile's.

    Raises
    ------
    ConfigurationError
        Names the variable, not its value.

    Examples
    --------
    >>> refuse_contradictions("hpc", {"database": "a"}, {"HTS_BATTERY_DATABASE": "a"})
    >>> refuse_contradictions("hpc", {"database": "a"}, {"HTS_BATTERY_DATABASE": "b"})
    Traceback (most recent call last):
    ...
    hts_battery.errors.ConfigurationError: HTS_BATTERY_DATABASE is set to something \
else than the database of profile hpc: unset it, or leave --profile out
    """
    if profile is None:
        return
    for name, value in written.items():
        variable = ENV_PREFIX + name.upper()
        said = variables.get(variable)
        if said and said != str(value):
            raise ConfigurationError(
                f"{variable} is set to something else than the {name} of profile "
                f"{profile}: unset it, or leave --profile out"
            )


def refuse_unknown_variables(names: Iterable[str]) -> None:
    """
    Refuse a misspelt ``HTS_BATTERY_*`` variable, which would be ignored in silence.

    Variables that begin with ``HTS_BATTERY_TEST_`` belong to the test suite.

    Raises
    ------
    ConfigurationError
        Names the variable and the nearest setting.

    Examples
    --------
    >>> refuse_unknown_variables(["PATH", "HTS_BATTERY_MONGO_URI"])
    >>> refuse_unknown_variables(["HTS_BATTERY_MONGO_URL"])
    Traceback (most recent call last):
    ...
    hts_battery.errors.ConfigurationError: HTS_BATTERY_MONGO_URL is not a setting; \
did you mean HTS_BATTERY_MONGO_URI?
    """
    known = {ENV_PREFIX + name.upper() for name in HTSBatterySettings.model_fields}
    known |= {CONFIG_FILE_VARIABLE, PROFILE_VARIABLE}
    for name in sorted(names):
        spelt = name.upper()
        if (
            not spelt.startswith(ENV_PREFIX)
            or spelt.startswith(_TEST_PREFIX)
            or spelt in known
        ):
            continue
        near = get_close_matches(spelt, sorted(known), n=1, cutoff=0.0)[0]
        raise ConfigurationError(f"{name} is not a setting; did you mean {near}?")
