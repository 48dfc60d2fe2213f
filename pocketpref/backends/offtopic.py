"""What "unrelated" looks like to an embedder of which nothing has been measured.

Cosines of different embedders lie in different ranges, so a threshold of one means nothing to
another. These prompts were written for this file; they are unrelated to one another in the way in
which one person's prompts are (some share a kind of task, none a subject).
"""

from __future__ import annotations

import numpy as np

from pocketpref.records import Vector

FALSE_RECALL = 0.05
"""How often a prompt may be taken for related to a memory of unrelated ones."""

_PROMPTS = """\
Explain how DNS turns a name into an address.
Write a function that merges two sorted linked lists.
Write a function that counts the vowels of a string.
Why does my sourdough bread come out so dense?
Plan a weekend in Lisbon for two people who love music.
Draft an e-mail to my landlord about the broken heating.
Draft an e-mail that declines a job offer politely.
What were the causes of the French Revolution?
Compose a haiku about the first snow of the year.
Write a short story about a lighthouse keeper who finds a letter.
Write a short story about a robot learning to paint.
How do I change the battery of a mechanical-looking quartz watch?
Solve 3x + 7 = 22 and show every step.
A train leaves at 9:40 and arrives at 13:05; how long is the ride?
What is the difference between a virus and a bacterium?
Suggest a training plan for my first half marathon.
Summarize the plot of Hamlet in five sentences.
Translate into Spanish: the meeting was moved to Thursday.
How does compound interest work?
Which house plants survive with very little light?
Explain photosynthesis to a ten-year-old.
Explain inflation to a ten-year-old.
My cat scratches the sofa; what can I do?
Give me arguments against a four-day working week.
Give me arguments for banning cars from city centres.
Convert this CSV file to JSON with one shell command.
Why is the sky blue and the sunset red?
What should I wear to an outdoor wedding in October?
Write a cover letter for a junior accountant position.
How do vaccines train the immune system?
Name five board games for three players.
What does the second amendment say?
Fix this SQL query: it returns duplicate rows after the join.
How do I ask my boss for a raise?
Describe the smell of rain for a blind reader.
What are good names for a small bakery?
Compare electric and gas stoves for a small flat.
How long can cooked rice be kept in the fridge?
Write a toast for my sister's fortieth birthday.
Explain the offside rule in football.
What is a monad, in plain words?
List the planets by their size.
How do I remove red wine from a white carpet?
Is it safe to take ibuprofen with alcohol?
Invent a villain for a fantasy role-playing campaign.
Proofread this paragraph of my thesis about coral reefs.
What is the best way to learn touch typing?
Explain the trolley problem and its main criticisms.
How are tides caused by the moon?
Write a product description for a hand-made leather wallet.
Write unit tests for a shopping-cart class.
What happened at the battle of Thermopylae?
How do I set up a static IP address on Ubuntu?
Teach me three chords on the ukulele.
Why do leaves change colour in autumn?
Make a grocery list for a vegan week under forty dollars.
Explain what a mortgage point is.
Write a limerick about a forgetful wizard.
How do noise-cancelling headphones work?
What questions should I ask when I view a used car?
Help me apologize to a friend whose birthday I forgot.
Describe the water cycle.
Classify these reviews as positive, negative or neutral.
What is the etiquette of tipping in Japan?
"""


def offtopic_prompts() -> list[str]:
    """Sixty-four prompts, none related to another by its subject."""
    return _PROMPTS.splitlines()


def measure_relevance(vectors: Vector) -> float:
    """The cosine from which on prompts count as related, for the embedder of these vectors.

    The least threshold at which at most one in twenty prompts would recall another one of the set.

    Args:
        vectors: ``offtopic_prompts()``, embedded; unit length, shape (prompts, dimensions).
    """
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1.0)
    return float(np.quantile(cosines.max(axis=1), 1 - FALSE_RECALL))
