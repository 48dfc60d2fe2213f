"""Sentences that give the remote model orders, instead of saying how answers should be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pocketpref.egress.checks.finding import Finding
from pocketpref.egress.checks.known import Known
from pocketpref.egress.checks.reading import search

_THINGS: Final = (
    r"(?:instructions?|prompts?|rules?|guidelines?|messages?|directions?|commands?|restrictions?"
    r"|polic(?:y|ies)|system|context|conversations?|everything|anything|all)"
)
_PATTERNS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # undoing what it was told
        rf"\b(?:ignore|disregard|forget|override|overrule|bypass|drop|cancel|discard)\b"
        rf"(?: \w+){{0,4}} {_THINGS}\b",
        r"\b(?:previous|prior|above|preceding|original|hidden|initial|system|developer)"
        r" (?:instructions?|prompts?|rules?|messages?|directives?)\b",
        # becoming somebody else
        r"\byou are (?:now|no longer|a|an|the|in)\b",
        r"\b(?:act|behave|respond|answer) as (?:if you (?:are|were)|a|an|the|though you)\b"
        r"(?= (?:\w+ )?(?:admin|root|system|developer|assistant|model|hacker|user|person|human))",
        r"\b(?:pretend|role ?play|simulate|jailbreak|jailbroken|dan mode|developer mode"
        r"|debug mode|god mode|sudo|unrestricted|uncensored)\b",
        r"\bfrom now on\b|\bnew (?:instructions?|rules?|role|task|persona)\b",
        # giving away, or passing on
        r"\b(?:reveal|leak|expose|exfiltrate|disclose|upload|transmit|forward|e-?mail|post|send"
        r"|submit|copy)\b(?: \w+){0,4} (?:to|prompts?|instructions?|data|contents?|history"
        r"|messages?|everything|information|memory|memories|keys?)\b",
        r"\b(?:repeat|output|print|display|echo|recite|write out|include|quote|return|append|insert"
        r"|embed)\b(?: \w+){0,3} (?:verbatim|word for word|everything|above|below|this text"
        r"|this summary|system|prompts?|instructions?|conversations?|message history)\b",
        r"\b(?:user|person|reader|their|his|her|my|your)(?:'?s)? (?:messages?|data|names?|prompts?"
        r"|conversations?|(?:chat )?history|information|memor(?:y|ies)|inputs?)\b",
        # reaching for tools and the net
        r"\b(?:call|invoke|execute|run|use|trigger)\b(?: \w+){0,2} (?:tools?|functions?|plug-?ins?"
        r"|apis?|shells?|commands?|browsers?|code interpreter|webhooks?)\b",
        r"\b(?:visit|browse|fetch|download|open|load|click|navigate|curl|wget)\b(?: \w+){0,3}"
        r" (?:urls?|links?|pages?|sites?|websites?|images?|files?|https?|servers?)\b",
        # playing another part of the conversation
        r"(?:^|[\n.!?>\]]\s*)(?:system|assistant|user|human|developer|tool|function|model|ai)\s*:",
        r"<\s*\|?\s*/?\s*(?:im_start|im_end|system|user|assistant|endoftext|eot_id|s|inst|start_of"
        r"|end_of)\b|\[/?\s*inst\s*\]|<<\s*/?\s*sys\s*>>|#{2,}\s*(?:system|instruction|response)",
        # secrecy, and lasting rules about what stands in replies
        r"\b(?:do not|dont|never|without) (?:tell|telling|mention|mentioning|inform|informing"
        r"|reveal|revealing|disclose|disclosing|alert|alerting|show|showing)\b(?: \w+){0,2}"
        r" (?:this|these|users?|person|anyone|anybody|them|him|her)\b",
        r"\b(?:begin|start|end|finish|prefix|suffix|conclude)\b(?: \w+){0,4}"
        r" with (?:the (?:words?|code|phrase|string|link|sentence|letters?)|an? (?:link|code|image"
        r"|url))\b",
        r"\b(?:encode|encrypt|encipher|decode|decrypt|base ?64|rot ?13|hexadecimal|cipher"
        r"|steganograph\w*|acrostics?|first letters?)\b",
    )
)


def orders(text: str, known: Known) -> Iterator[Finding]:
    """Attempts to steer the remote model: injections, tools, secrecy, other roles."""
    for pattern in _PATTERNS:
        for _, start, end in search(pattern, text):
            yield Finding(start, end, "orders", "an order to the remote model")
