"""Words that a text encoder learns: those of labels and of the lexicon, and those of titles that describe."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from lookalike.text.lexicon import Lexicon
from lookalike.text.words import words_of
from lookalike.training.text.labelled_texts import Fact
from lookalike.training.text.phrases import BEGINNINGS, ENDINGS, JOINTS
from lookalike.training.text.settings import WordSettings


def learnt_words(
    titles: Sequence[Sequence[str]], facts: Iterable[Fact], lexicon: Lexicon, settings: WordSettings
) -> list[str]:
    """Words that texts of a run may have, sorted.

    A word of the lexicon is learnt if training photos show what it names.

    Args:
        titles: Words of the training titles.
        facts: What texts can say about the training photos.
        lexicon: Phrases of values.
        settings: Which words of titles are learnt.
    """
    words = set(descriptive_words(titles, settings)).union(*lexicon.plain.values())
    words.update(*map(words_of, (*BEGINNINGS, *ENDINGS, *JOINTS.values())))
    for fact in facts:
        words.update(*(lexicon.all_phrases(fact.attribute, fact.value) or [tuple(fact.value.split())]))
    return sorted(words)


def descriptive_words(titles: Sequence[Sequence[str]], settings: WordSettings) -> frozenset[str]:
    """Words of titles that describe what is seen; see `WordSettings`."""
    times: Counter[str] = Counter()
    begun: Counter[str] = Counter()
    beginnings: defaultdict[str, set[str]] = defaultdict(set)
    for title in filter(None, titles):
        begun[title[0]] += 1
        for word in set(title):
            times[word] += 1
            beginnings[word].add(title[0])
    return frozenset(
        word
        for word, count in times.items()
        if count >= settings.titles
        and len(beginnings[word]) >= settings.beginnings
        and begun[word] <= settings.first * count
        and not word.isdecimal()
    )
