"""Small files in exactly the forms in which researchers publish preference data; texts are ours."""

from __future__ import annotations

from typing import Any

from pocketpref.importers import Format

PLANTED = "xyzzyplanted"


def prism_answer(turn: int, place: int, text: str, score: int, *, chosen: bool) -> dict[str, Any]:
    return {
        "turn": turn,
        "role": "model",
        "content": text,
        "model_name": f"model-{place}",
        "model_provider": "somebody",
        "score": score,
        "if_chosen": chosen,
        "within_turn_id": place,
    }


def prism_prompt(turn: int, text: str) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("model_name", "model_provider", "score", "if_chosen", "within_turn_id")
    )
    return {"turn": turn, "role": "user", "content": text, **nothing}


PRISM = {
    "conversation_id": "c0",
    "user_id": "user0",
    "conversation_type": "unguided",
    "opening_prompt": f"{PLANTED} tea?",
    "conversation_turns": 2,
    "conversation_history": [
        prism_prompt(0, f"{PLANTED} tea?"),
        prism_answer(0, 0, f"{PLANTED} yes", 90, chosen=True),
        prism_answer(0, 1, f"{PLANTED} no", 10, chosen=False),
        prism_answer(0, 2, f"{PLANTED} perhaps", 40, chosen=False),
        prism_prompt(1, f"{PLANTED} why?"),
        prism_answer(1, 0, f"{PLANTED} taste", 70, chosen=False),
        prism_answer(1, 1, f"{PLANTED} warmth", 80, chosen=True),
    ],
    "performance_attributes": {"fluency": 80},
    "choice_attributes": {"fluency": 80},
    "open_feedback": "good",
    "generated_datetime": "2023-11-22 15:21:31",
    "timing_duration_s": 120.0,
    "included_in_balanced_subset": True,
}

TLDR = {
    "info": {
        "id": "t3_abc",
        "post": f"{PLANTED} long story",
        "title": f"{PLANTED} title",
        "subreddit": "stories",
    },
    "summaries": [
        {"text": f" {PLANTED} short", "policy": "sup1", "note": "unclear"},
        {"text": f" {PLANTED} shorter", "policy": "ref", "note": None},
    ],
    "choice": 1,
    "worker": "w0rk3r",
    "batch": "batch9",
    "split": "train",
    "extra": {"confidence": 8},
}

FSPO = [
    {
        "prompt": f"{PLANTED} gravity?",
        "level_x": "child",
        "level_id_x": 1,
        "model_name_x": "m",
        "response_x": f"{PLANTED} things fall",
        "level_y": "expert",
        "level_id_y": 5,
        "model_name_y": "m",
        "response_y": f"{PLANTED} a curved space-time",
        "scorer_level": "expert",
        "scorer_level_id": 5,
        "label": 1,
        "det_choice": 1,
    },
    {
        "x": f"{PLANTED} dinner?",
        "yw": f"{PLANTED} soup",
        "yl": f"{PLANTED} steak",
        "level": "iterative",
        "score_persona": {"persona_uuid": "309fa18d-e081", "diet": "vegetarian"},
    },
]

ALIGNX = {
    "prompt": f"{PLANTED} post",
    "chosen": f"{PLANTED} liked",
    "rejected": f"{PLANTED} not liked",
    "Preference Direction": [0.5] * 90,
    "Demographic Information": "somebody",
    "User-Generated Content": [
        {"prompt": "p", "comment": "c", "Preference Direction": [0.5] * 90} for _ in range(4)
    ],
    "Pair-wise Comparative Feedback": [
        {
            "prompt": f"{PLANTED} post {place}",
            "chosen": f"{PLANTED} liked {place}",
            "rejected": f"{PLANTED} not liked {place}",
            "Preference Direction": [1] * 90,
        }
        for place in range(4)
    ],
}

LAMP_1 = {
    "id": "110",
    "input": 'For an author who has written the paper with the title "On tea", which reference is '
    "related? Just answer with [1] or [2] without explanation. "
    f'[1]: "{PLANTED} coffee" [2]: "{PLANTED} leaves"',
    "profile": [{"id": "1100", "title": "A paper", "abstract": "About tea."}],
}
LAMP_2 = {
    "id": "210",
    "input": "Which tag does this movie relate to among the following tags? Just answer with the "
    "tag name without further explanation. tags: [sci-fi, comedy, action] "
    f"description: {PLANTED} a film",
    "profile": [
        {"id": "2100", "tag": "comedy", "description": f"{PLANTED} a funny film"},
        {"id": "2101", "tag": "an old tag", "description": "a film"},
    ],
}
LAMP_3 = {
    "id": "310",
    "input": "What is the score of the following review on a scale of 1 to 5? just answer with 1, "
    f"2, 3, 4, or 5 without further explanation. review: {PLANTED} good tea",
    "profile": [{"id": "3100", "text": f"{PLANTED} bad tea", "score": "1"}],
}
LAMP_5 = {"id": "510", "input": "Generate a title for the following abstract of a paper: x"} | {
    "profile": [{"id": "5100", "title": "t", "abstract": "a"}]
}

PREFEVAL = {
    "preference": f"I avoid {PLANTED} milk.",
    "question": f"{PLANTED} which drink?",
    "explanation": "Milk is in many drinks.",
    "classification_task_options": [f"{PLANTED} {word}" for word in ("tea", "cocoa", "latte", "x")],
}

ROWS: dict[Format, list[dict[str, Any]]] = {
    "prism": [PRISM],
    "tldr": [TLDR],
    "fspo": FSPO,
    "alignx": [ALIGNX],
    "lamp": [
        LAMP_1 | {"output": "[2]"},
        LAMP_2 | {"output": "sci-fi"},
        LAMP_3 | {"output": "4"},
    ],
    "prefeval": [PREFEVAL],
}
"""Rows of each format."""

OUTPUTS = {
    "task": "LaMP_1",
    "golds": [
        {"id": "110", "output": "[2]"},
        {"id": "210", "output": "sci-fi"},
        {"id": "310", "output": "4"},
    ],
}
"""LaMP's answers, as they lie in a file of their own."""
