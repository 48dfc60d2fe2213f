"""Download models from the Hugging Face Hub.

Two kinds of request are made: one for the list of a repository's files with their sha256, and one
for the file, from where the last try ended. Both carry ``User-Agent: pocketpref`` and no
description of the machine; a token only if ``HF_TOKEN`` is set. ``HF_ENDPOINT`` names another hub.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pocketpref.errors import (
    ModelDamagedError,
    ModelError,
    ModelMissingError,
    ModelUnsupportedError,
)
from pocketpref.models.gguf_file import ModelRecord, check_gguf, file_sha256, write_record
from pocketpref.models.registry import HubHandle, parse_handle

__all__ = ["parse_handle", "pull"]

ProgressCallback = Callable[[int, int], None]
"""Told the bytes that are here and the bytes there will be."""

_USER_AGENT = "pocketpref"
_SPARE = 64 << 20  # bytes of the disk that a download leaves free


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file on the hub, as the hub describes it.

    Attributes:
        url: where it is fetched from.
        source: ``hf:ORG/REPO/FILE.gguf@REVISION``.
        sha256: hex digest.
        size: in bytes.
    """

    url: str
    source: str
    sha256: str
    size: int

    @classmethod
    def find(cls, wanted: HubHandle) -> Self:
        """Ask the hub for the repository's files and choose one."""
        hub = _library()
        token = os.environ.get("HF_TOKEN") or False
        api = hub.HfApi(endpoint=_endpoint(), token=token, headers={"user-agent": _USER_AGENT})
        info = api.model_info(wanted.repo, files_metadata=True)
        files = {sibling.rfilename: sibling for sibling in info.siblings or ()}
        name = wanted.choose(files)
        stored = files[name].lfs
        if stored is None or not info.sha:
            raise ModelDamagedError(
                f"the hub publishes no sha256 for {name}", hint="fetch it by hand and name the file"
            )
        url = hub.hf_hub_url(wanted.repo, name, revision=info.sha, endpoint=_endpoint())
        return cls(url, f"hf:{wanted.repo}/{name}@{info.sha}", stored.sha256, stored.size)

    def download(self, partial: Path, on_progress: ProgressCallback) -> None:
        """Append to the partial file until it is as long as the hub says.

        ``hf_hub_download`` starts over after an interruption, and hf_xet would talk to further
        hosts; the function beneath both does neither.
        """
        from huggingface_hub.file_download import http_get

        here = partial.stat().st_size if partial.exists() else 0
        if here > self.size:
            partial.unlink()
            here = 0
        needed, free = self.size - here, shutil.disk_usage(partial.parent).free
        if needed + _SPARE > free:
            raise ModelError(
                f"the model needs {needed / 2**30:.1f} GiB in {partial.parent}; "
                f"{free / 2**30:.1f} are free",
                hint="make room, or move everything with POCKETPREF_HOME",
            )
        headers = {"user-agent": _USER_AGENT}
        if token := os.environ.get("HF_TOKEN"):
            headers["authorization"] = f"Bearer {token}"
        on_progress(here, self.size)
        with partial.open("ab") as file:
            http_get(
                self.url,
                file,
                resume_size=here,
                headers=headers,
                expected_size=self.size,
                tqdm_class=_bar(on_progress, here, self.size),
            )
            file.flush()
            os.fsync(file.fileno())  # a name must not outlive a power cut that its content does not

    def verify(self, partial: Path) -> None:
        """Compare what arrived with what the hub announced, and delete it if it differs.

        Raises:
            ModelDamagedError: it differs, or is no GGUF file.
        """
        if file_sha256(partial) != self.sha256:
            partial.unlink()
            raise ModelDamagedError(
                f"what arrived of {self.source} is not what the hub announced (sha256)",
                hint="try again; if it happens again, the server or the connection is at fault",
            )
        try:
            check_gguf(partial)
        except ModelDamagedError as error:
            partial.unlink()
            raise ModelDamagedError(f"{self.source} is no GGUF file", hint=error.hint) from None


def pull(handle: str, into: Path, on_progress: ProgressCallback = lambda here, total: None) -> Path:
    """Fetch a model, or do nothing if it is here already.

    An interrupted download goes on where it ended. The file appears under its name only when it
    is whole and its sha256 is the published one, with a record of both beside it.

    Args:
        handle: ``hf:ORG/REPO:TAG`` or ``hf:ORG/REPO/FILE.gguf``.
        into: the folder; made if it is not there.
        on_progress: told (bytes here, bytes in all); what it raises ends the download.

    Returns:
        The file.

    Raises:
        InputError: the handle has another form.
        ModelMissingError: there is no such model, or the hub cannot be reached.
        ModelDamagedError: what arrived is not what the hub announced, or no GGUF file.
        ModelError: the disk is full or cannot be written.
    """
    wanted = parse_handle(handle)
    with _named_failures(wanted):
        remote = HubFile.find(wanted)
        # One name in one folder for a path in a repository, without the revision.
        name = remote.source.removeprefix("hf:").rpartition("@")[0].replace("/", "--")
        target = into / name
        record = ModelRecord(handle, remote.source, remote.sha256, remote.size)
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The record first: a file that is there without one would look like the user's own.
        if target.is_file() and file_sha256(target) == remote.sha256:
            write_record(target, record)
            return target
        partial = target.with_name(f".{target.name}.{remote.sha256[:16]}.partial")
        remote.download(partial, on_progress)
        remote.verify(partial)
        write_record(target, record)
        partial.replace(target)
    return target


def _library() -> Any:
    """``huggingface_hub`` with its telemetry off, also if it was loaded before."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import huggingface_hub
    from huggingface_hub import constants

    if int(huggingface_hub.__version__.split(".")[0]) < 1:
        raise ModelUnsupportedError(
            "pulling needs huggingface_hub 1 or newer, "
            f"and {huggingface_hub.__version__} is installed",
            hint="the sentence-transformers extra holds it back: pull from an environment without",
        )
    constants.HF_HUB_DISABLE_TELEMETRY = True
    # It logs each retry to the terminal, in the middle of a progress bar.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return huggingface_hub


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def _bar(on_progress: ProgressCallback, here: int, total: int) -> Any:
    """A class that ``http_get`` takes for a progress bar of its own kind."""

    class Bar:
        def __init__(self, **_: object) -> None:
            self.here = here

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, arrived: int) -> None:
            self.here += arrived
            on_progress(self.here, total)

    return Bar


@contextmanager
def _named_failures(wanted: HubHandle) -> Iterator[None]:
    """Turn what ``huggingface_hub`` and the network raise into errors of ours, with a hint."""
    _library()
    from huggingface_hub import errors

    # The HTTP client's own base class: httpx or, from version 2 on, httpx2.
    unreachable = errors.HTTPError  # type: ignore[attr-defined]  # imported there, not exported
    try:
        yield
    except errors.GatedRepoError:
        raise ModelMissingError(
            f"{wanted.repo} is shown only to people who accepted its licence",
            hint="accept it on the repository's page, then set HF_TOKEN",
        ) from None
    except (errors.RepositoryNotFoundError, errors.EntryNotFoundError):
        raise ModelMissingError(
            f"the hub has no model {wanted}", hint="look its name up on huggingface.co"
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        raise ModelMissingError(
            f"the hub answered with HTTP status {status} for {wanted.repo}",
            hint="try again later; what has arrived is kept",
        ) from None
    except (errors.OfflineModeIsEnabled, unreachable):
        raise ModelMissingError(
            f"cannot reach {_endpoint()} to fetch {wanted}",
            hint="check the connection and try again; what has arrived is kept. Models that are "
            "here already work without it: pocketpref models ls",
        ) from None
    except OSError as error:
        reason = error.strerror or "the download ended early"
        raise ModelError(
            f"{wanted} could not be kept: {reason}",
            hint="try again; what has arrived is kept",
        ) from None
