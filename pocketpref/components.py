"""The dependencies of a Pocket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pocketpref.attributes import AttributeBank
from pocketpref.egress.api_keys import ApiKeys
from pocketpref.egress.disclosure import RemoteGenerator
from pocketpref.lora import Adapter
from pocketpref.lora.manifest import Hypernetwork
from pocketpref.methods.exact import Exact
from pocketpref.methods.palm.portfolio import Portfolio
from pocketpref.personalization.frames import QUESTION_ORDER, Frame
from pocketpref.protocols import EmbedderLoader, MemoryStore, ModelLoader
from pocketpref.scoring import Arbiter, ScoringModels
from pocketpref.summary.drafts import SummaryModels


@dataclass(frozen=True, slots=True)
class Components:
    """The dependencies of one Pocket, each loaded when it is first needed.

    Attributes:
        store: the user's part of a vault.
        bank: the attributes.
        method: how choices are explained and recalled.
        recipe: what decides the index: model, embedder, bank and settings in one fingerprint.
        noise: the scoring model's noise floor, nats.
        model: loads the model that replies.
        scorer: loads the model that scores: the same weights in a form that adds less noise.
        arbiter: loads what decides where ``scorer`` cannot; None if there is nothing better.
        embedder: loads the embedder.
        about: model, embedder, vault and egress for ``status``.
        on_close: frees whatever was opened for this Pocket.
        names: gives the names of all people in the vault.
        portfolio: reads the policies that there are for the model that replies; None for none.
        hypernetwork: loads what writes adapters for the model that replies; None for none.
        summarizer: reads the adapter that makes the model write summaries; None for none.
        frame: gives the frame that moves the model that replies.
        probe_frame: finds that frame, once for each model.
        remote: makes what sends to other machines, given the API keys; None where nothing does.
    """

    store: MemoryStore
    bank: AttributeBank
    method: Exact
    recipe: Callable[[], str]
    noise: Callable[[], float]
    model: ModelLoader
    scorer: ModelLoader
    embedder: EmbedderLoader
    about: Callable[[], dict[str, Any]]
    on_close: Callable[[], None] = lambda: None
    arbiter: Callable[[], Arbiter | None] = lambda: None
    names: Callable[[], Sequence[str]] = lambda: ()
    portfolio: Callable[[], Portfolio | None] = lambda: None
    hypernetwork: Callable[[], Hypernetwork | None] = lambda: None
    summarizer: Callable[[], Adapter | None] = lambda: None
    remote: Callable[[ApiKeys], RemoteGenerator] | None = None
    frame: Callable[[], Frame] = lambda: QUESTION_ORDER
    probe_frame: Callable[[], None] = lambda: None

    @property
    def scoring(self) -> ScoringModels:
        """The models that score pairs."""
        return ScoringModels(self.scorer, self.noise, self.arbiter)

    @property
    def summary_models(self) -> SummaryModels:
        """The models that write and judge summaries."""
        return SummaryModels(self.model, self.scorer, self.embedder, self.summarizer)
