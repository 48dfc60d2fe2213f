"""Handles: the names by which models are asked for.

starter                               the model that comes with pocketpref[starter]
./model.gguf                          a file
hf:ORG/REPO                           the Q4_K_M file of a Hugging Face repository
hf:ORG/REPO:Q8_0                      its file of that quantization
hf:ORG/REPO/FILE.gguf                 exactly that file
ollama:NAME:TAG                       a model that Ollama fetched
lmstudio:ORG/REPO/FILE.gguf           a model that LM Studio fetched
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pocketpref.errors import InputError, ModelMissingError, ModelUnsupportedError

STARTER = "starter"
"""The handle of the model that comes with ``pocketpref[starter]``."""

DEFAULT_TAG = "Q4_K_M"
"""The quantization that is meant when none is named: the usual balance of size and quality."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_HUB = re.compile(
    rf"hf:(?P<repo>{_NAME}/{_NAME})(?:/(?P<file>[^:\\\x00-\x1f\x7f]+\.gguf)|:(?P<tag>[\w.-]+))?"
)
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
# Files beside a model that are no model of language.
_ASIDE = ("mmproj", "imatrix")


@dataclass(frozen=True, slots=True)
class HubHandle:
    """A GGUF file in a Hugging Face repository.

    Attributes:
        repo: ``ORG/REPO``.
        file: path in the repository, or None if a quantization is asked for instead.
        tag: the quantization.
    """

    repo: str
    file: str | None
    tag: str

    def __str__(self) -> str:
        return f"hf:{self.repo}/{self.file}" if self.file else f"hf:{self.repo}:{self.tag}"

    def choose(self, files: Iterable[str]) -> str:
        """The one file of the repository that this handle means.

        Raises:
            ModelMissingError: there is none, or more than one.
            ModelUnsupportedError: it is split into several files.
        """
        models = sorted(
            f for f in files if f.endswith(".gguf") and not any(a in f.lower() for a in _ASIDE)
        )
        fitting = [f for f in models if f == self.file or (not self.file and self._fits(f))]
        whole = [f for f in fitting if not _PART.search(f)]
        if fitting and not whole:
            raise ModelUnsupportedError(
                f"{self} is split into {len(fitting)} files",
                hint="choose a smaller quantization, or a repository with whole files",
            )
        if len(whole) != 1:
            raise ModelMissingError(
                f"{self} means {len(whole)} files of the repository, not one",
                hint="there are: " + (", ".join(models) or "no GGUF files"),
            )
        return whole[0]

    def _fits(self, file: str) -> bool:
        tag = re.escape(self.tag)
        return re.search(rf"(^|[-._/]){tag}([-._/]|$)", file, re.IGNORECASE) is not None


def parse_handle(handle: str) -> HubHandle:
    """Read a handle of the form ``hf:ORG/REPO[:TAG]`` or ``hf:ORG/REPO/FILE.gguf``.

    Raises:
        InputError: it has another form.
    """
    match = _HUB.fullmatch(handle)
    if match is None or ".." in handle:
        raise InputError(
            "this names no model that can be fetched",
            hint="write hf:ORG/REPO:Q4_K_M or hf:ORG/REPO/FILE.gguf",
        )
    return HubHandle(match["repo"], match["file"], match["tag"] or DEFAULT_TAG)
