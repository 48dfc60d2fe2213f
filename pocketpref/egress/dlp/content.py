"""Detect values that no grant names, and orders to the remote model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Final

from pocketpref.egress.dlp.context import Finding, Known
from pocketpref.egress.dlp.text import SMALL_WORDS, fold, folded_words, search, sentences, words
from pocketpref.records import Attribute

# What a person believes in: the attributes of category ``values``, by name, wording or paraphrase.
#
# They may be said only when a grant names them (``Known.values``). The opposite of an attribute
# says as much about a person as the attribute, and is covered by no grant.

SHARE: Final = 0.6
"""Telling words of a wording that make a sentence a paraphrase of it; two at least."""

_STEM: Final = 5
"""Letters by which words are compared: "caring", "cares"; "community", "communities"."""

_EMPTY: Final = SMALL_WORDS | {
    "putting",
    "valuing",
    "focused",
    "guided",
    "expecting",
    "point",
    "view",
}

# How else people say it. Only for the attributes that are shipped; for others, the wording counts.
_TELLTALES: Final = {
    name.casefold(): re.compile(rf"\b(?:{pattern})\b")
    for name, pattern in {
        "Western": r"western\w*|the west|europeans?|americans?|occidental",
        "Eastern": r"eastern\w*|the east|asians?|asiatic|oriental|confucian\w*|non-asian",
        "Meritocratic": r"merit(?:s|ed|ocra\w*)?|achievements?|equal outcomes?|equality"
        r"|egalitarian\w*|inequalit\w*|hard work",
        "Myopic": r"myopi\w*|(?:short|far|long)[ -]?sighted\w*|(?:short|long)[ -]term"
        r"|quick results?|quick wins?|instant gratification",
        "Principled": r"principled|morals?(?! lectur\w*| judg\w*)|moral(?:ly|ity)|ethic\w*|"
        r"virtu(?:es?|ous\w*)|righteous\w*|integrity|conscience|whatever works",
        "Hedonist": r"hedonis\w*|pleasures?|enjoyment of life|indulgen\w*|self-denial|ascetic\w*"
        r"|dut(?:y|ies)|dutiful\w*",
        "Utilitarian": r"utilitarian\w*|(?:most|greatest) good|consequentialis\w*|deontolog\w*"
        r"|whatever the consequences?|regardless of (?:the )?consequences?",
        "Realist": r"realists?|realism|idealis\w*|down[ -]to[ -]earth|dreamers?|utopi\w*",
        "Pessimistic": r"pessimis\w*|optimis(?:m|ts?|tic\w*)|(?:go|goes|going|turn|turns) (?:badly"
        r"|well|wrong)|(?:expects?|fears?) the worst|hopes? for the best|doom\w*",
        "Collectivist": r"collectiv\w*|communit\w*|(?:common|public|greater) good|solidarity"
        r"|socialis[tm]\w*|communis[tm]\w*|group first",
        "Individualistic": r"individualis[tm]\w*|libert(?:y|ies)|libertarian\w*|freedoms?"
        r"|self-reliance|self-reliant|autonomy",
        "Conspiracy": r"conspir\w*|(?:hidden|secret|sinister) (?:plots?|plans?|agendas?|motives?)"
        r"|cover[ -]?ups?|official (?:accounts?|stor(?:y|ies)|versions?|explanations?|sources?)"
        r"|mainstream media|deep state|well-known accounts?|suspect(?:s|ing)?",
        "Tech Industry Priority": r"tech industry|big tech|tech|technology (?:first|industry"
        r"|compan\w*)|silicon valley|technophil\w*|technophob\w*",
        "Eco-friendly": r"eco\w*-?friendly|environmental\w*|the environment|ecolog\w*|sustainab\w*"
        r"|climate|(?:for|before|over|above|about|to|protect\w*|caring|and) nature|nature (?:first"
        r"|and|before|comes)|conservation\w*|green (?:living|values|choices?)",
    }.items()
}


def values(text: str, known: Known) -> Iterator[Finding]:
    """Names, wordings, opposites and paraphrases of values that no grant names."""
    granted = {name.casefold() for name in known.values}
    every = [a for a in known.attributes if a.category == "values"]
    allowed = [a for a in every if a.name.casefold() in granted]
    exempt = [span for a in allowed for span in _said(text, (a.wording, a.name))]
    for attribute in every:
        opposite = "the contrary of a value that is not granted"
        found = list(_paraphrased(text, attribute.opposite, opposite))
        if attribute not in allowed:
            found += _value(text, attribute)
        for each in found:
            if not any(start <= each.start and each.end <= end for start, end in exempt):
                yield each


def _value(text: str, attribute: Attribute) -> Iterator[Finding]:
    """Where a value is named or paraphrased, or words give it away."""
    reason = "a value that no grant names"
    yield from _paraphrased(text, attribute.wording, reason)
    for start, end in _said(text, (attribute.name, f"{attribute.name}ly", f"{attribute.name}s")):
        yield Finding(start, end, "values", reason)
    telltale = _TELLTALES.get(attribute.name.casefold())
    if telltale is not None:
        for _, start, end in search(telltale, text):
            yield Finding(start, end, "values", reason)


def _said(text: str, phrases: Collection[str]) -> Iterator[tuple[int, int]]:
    """Where the words of a phrase stand in a row."""
    found = words(text)
    for wanted in map(_texts, phrases):
        for first in range(len(found) - len(wanted) + 1):
            run = found[first : first + len(wanted)]
            if [word.text for word in run] == wanted:
                yield run[0].start, run[-1].end


@lru_cache(maxsize=256)
def _texts(phrase: str) -> list[str]:
    return folded_words(fold(phrase))


def _paraphrased(text: str, wording: str, reason: str) -> Iterator[Finding]:
    """Sentences that hold most telling words of a wording, in any order and form."""
    telling = _telling(wording)
    for start, end in sentences(text):
        shared = [w for w in words(text[start:end]) if w.text[:_STEM] in telling]
        count = len({word.text[:_STEM] for word in shared})
        if count >= max(2, SHARE * len(telling)):
            first, last = start + shared[0].start, start + shared[-1].end
            yield Finding(first, last, "values", reason)


@lru_cache(maxsize=256)
def _telling(wording: str) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in _texts(wording) if word not in _EMPTY)


_THINGS: Final = (
    r"(?:instructions?|prompts?|rules?|guidelines?|messages?|directions?|commands?|restrictions?"
    r"|polic(?:y|ies)|system|context|conversations?|everything|anything|all)"
)
INJECTIONS: Final = tuple(
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
"""Patterns of prompt injection, for a folded text."""


def orders(text: str, known: Known) -> Iterator[Finding]:
    """Attempts to steer the remote model: injections, tools, secrecy, other roles."""
    for pattern in INJECTIONS:
        for _, start, end in search(pattern, text):
            yield Finding(start, end, "orders", "an order to the remote model")
