"""Finding the past prompt that a new one is most like, and saying so when there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketpref.protocols import Lesson
from pocketpref.records import Source, Vector


class PromptIndex:
    """The distinct past prompts of one person, with what each taught.

    Of several pairs with the same prompt the one with the largest objective stands for it (EXACT,
    section 4.1); on a tie the newest.
    """

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        """Build the index.

        Args:
            lessons: newest first, all embedded by one embedder.
        """
        self.lessons = lessons
        best: dict[bytes, Lesson] = {}
        for entry in lessons:
            held = best.get(entry.prompt_digest)
            if held is None or entry.objective > held.objective:
                best[entry.prompt_digest] = entry
        self.entries = tuple(best.values())
        self._vectors: Vector = (
            np.concatenate([e.vector for e in self.entries]).reshape(len(self.entries), -1)
            if self.entries
            else np.empty((0, 0), dtype=np.float32)
        )

    def __len__(self) -> int:
        return len(self.entries)

    def nearest(self, query: Vector, threshold: float) -> tuple[Lesson, Source] | None:
        """The entry whose prompt has the largest cosine to the query (EXACT, Algorithm 2).

        Args:
            query: unit length, shape (dimensions,).
            threshold: the least cosine that counts as related.

        Returns:
            None if no past prompt is related enough: then nothing is to be injected.
        """
        if not self.entries:
            return None
        # Not @: its threads cost more than they gain on one row after the other, and wait for one
        # another wherever the processor has other work, such as a model that replies.
        similarities = np.vecdot(self._vectors, query)
        best = int(np.argmax(similarities))
        similarity = float(similarities[best])
        if similarity < threshold:
            return None
        entry = self.entries[best]
        return entry, Source(id=entry.memory_id, similarity=similarity)
