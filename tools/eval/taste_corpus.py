"""Write a corpus of known tastes: everyday questions, each answered in eight styles.

The model is told the style outright at the end of the question, and every answer is one line of
JSON: ``{"question", "style", "answer", "topic", "seed"}``. Finished lines are kept, so that an
interrupted run goes on where it ended.

    python -m tools.eval.taste_corpus MODEL.gguf tastes.jsonl
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path

from .batched_replies import BatchedModel, Request, whole_lines

MAX_TOKENS = 150

QUESTIONS: dict[str, str] = {
    "How do I keep basil fresh after I buy it?": "cooking",
    "Why does bread dough need to rise twice?": "cooking",
    "How do I get a red wine stain out of a tablecloth?": "household",
    "What makes the tides rise and fall?": "science",
    "How does a vaccine protect the body?": "science",
    "Why do leaves change color in autumn?": "science",
    "How should I prepare for a job interview?": "work",
    "What should I look at before renting a flat?": "living",
    "How can I make rice that does not stick?": "cooking",
    "Why do metals feel colder than wood?": "science",
    "How do I train for a first ten-kilometer run?": "sport",
    "What is the difference between a debit card and a credit card?": "money",
    "How do I season a cast-iron pan?": "cooking",
    "What is the best way to store potatoes and onions?": "household",
    "How do earthquakes happen?": "science",
    "Why does ice float on water?": "science",
    "How do I plan a weekend trip with small children?": "travel",
    "What does a compound interest rate mean?": "money",
    "How do I descale a kettle?": "household",
    "Which oil should I use for frying, and why?": "cooking",
    "How do bees make honey?": "science",
    "What happens inside a star when it dies?": "science",
    "How can I sleep better at night?": "health",
    "How do I write a polite complaint to a shop?": "writing",
}
"""Questions by topic; the first twelve are answered in all styles first."""

STYLES: dict[str, str] = {
    "short": "Answer in one or two short sentences.",
    "long": "Answer at length, in several detailed paragraphs, with background and examples.",
    "bullets": "Answer as a bulleted list.",
    "prose": "Answer in flowing paragraphs, without any list, heading or bold text.",
    "formal": "Answer in formal, impersonal language.",
    "casual": "Answer casually, like chatting with a good friend, with contractions and slang!",
    "simple": "Use only very simple, everyday words, as for a child.",
    "expert": "Use precise technical terms, as for an expert in the field.",
}


def main() -> None:
    """Write what is missing of the corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--questions", type=int, default=len(QUESTIONS))
    options = parser.parse_args()
    there = {(entry["question"], entry["style"]) for entry in whole_lines(options.corpus)}
    wanted = [
        (q, s) for q in list(QUESTIONS)[: options.questions] for s in STYLES if (q, s) not in there
    ]
    seeds = [zlib.crc32(f"{question}|{style}".encode()) for question, style in wanted]
    model = BatchedModel(options.model)
    requests = [
        Request(({"role": "user", "content": f"{question}\n\n{STYLES[style]}"},), seed, MAX_TOKENS)
        for (question, style), seed in zip(wanted, seeds, strict=True)
    ]
    with options.corpus.open("a", encoding="utf-8") as file:
        for place, answer in model.write(requests):
            question, style = wanted[place]
            entry = {
                "question": question,
                "style": style,
                "answer": answer,
                "topic": QUESTIONS[question],
                "seed": seeds[place],
            }
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
    model.close()


if __name__ == "__main__":
    main()
