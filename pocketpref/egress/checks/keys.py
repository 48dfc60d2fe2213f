"""Secrets by their looks: known prefixes, what follows "password", and what looks drawn by lot."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from pocketpref.egress.checks.finding import Finding
from pocketpref.egress.checks.known import Known
from pocketpref.egress.checks.reading import search

_PREFIXED: Final = re.compile(
    r"""
    \b(?:
      sk-[\w-]{8,}                        # OpenAI, Anthropic, OpenRouter, DeepSeek
    | (?:sk|pk|rk)_(?:live|test)_\w{8,}   # Stripe
    | gh[pousr]_\w{16,} | github_pat_\w{16,}
    | glpat-[\w-]{12,}
    | (?:AKIA|ASIA)[A-Z0-9]{12,}          # AWS
    | AIza[\w-]{20,} | ya29\.[\w-]{20,}   # Google
    | xox[abeoprs]-[\w-]{8,}              # Slack
    | hf_\w{16,} | npm_\w{16,} | pypi-[\w-]{16,} | dop_v1_\w{16,} | shpat_\w{16,}
    | SG\.[\w-]{8,}\.[\w-]{8,}            # SendGrid
    | eyJ[\w-]{8,}(?:\.[\w-]*){0,2}       # JSON Web Token
    | AGE-SECRET-KEY-\w+ | (?:xprv|[tu]prv)\w{16,}
    )
    | -----BEGIN\ [A-Z\ ]+----- | \bssh-(?:rsa|ed25519|dss)\b | \bage1\w{16,}
    """,
    re.VERBOSE,
)
_TOLD: Final = re.compile(
    r"\b(?:pass ?words?|pass ?phrases?|pass ?codes?|pin|pins|tan|cvc|cvv|otp|seed phrase|api ?keys?"
    r"|secret ?keys?|private ?keys?|access ?tokens?|bearer|login|log ?in|user ?name|credentials?"
    r"|iban|account number|social security|ssn|passport)\b"
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9+/=_.~!@#$%^&*-]{12,}")
_WORDLIKE: Final = re.compile(r"[A-Za-z]?[a-z]+(?:[-/.][A-Za-z]?[a-z]+)*[.!?,;:]*")
BITS_A_CHARACTER: Final = 3.0
"""Entropy from which on a token of 12 characters counts as random (English words: about 2.5)."""


def secret(text: str, known: Known) -> Iterator[Finding]:
    """Keys and tokens that begin as those of a known service do."""
    for found in _PREFIXED.finditer(text):
        yield Finding(found.start(), found.end(), "secret", "a key or a token")


def told_secret(text: str, known: Known) -> Iterator[Finding]:
    """Talk of passwords, codes and accounts: nothing of it belongs into a summary."""
    for _, start, end in search(_TOLD, text):
        yield Finding(start, end, "told_secret", "talks of a password, a key or an account")


def random_token(text: str, known: Known) -> Iterator[Finding]:
    """Long tokens that are no words and as varied as if drawn by lot."""
    for found in _TOKEN.finditer(text):
        token = found[0]
        if not _WORDLIKE.fullmatch(token) and entropy(token) >= BITS_A_CHARACTER:
            yield Finding(found.start(), found.end(), "random_token", "looks like a key")


def entropy(token: str) -> float:
    """Bits a character, by how often each stands in the token itself."""
    counts = Counter(token).values()
    return -sum(n / len(token) * math.log2(n / len(token)) for n in counts)
