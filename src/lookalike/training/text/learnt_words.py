"""Words that a text encoder learns: those of labels and of the lexicon, and those of titles that describe."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from lookalike.text.lexicon import Lexicon
from lookalike.text.words import words_of
from lookalike.training.text.labelled_texts import Fact
from lookalike.training.text.phrases import BEGINNINGS, ENDINGS, JOINTS
from lookalike.training.text.settings import WordSettings


def learnt_words(
    titles: Sequence[Sequence[str]], facts: Iterable[Fact], lexicon: Lexicon, settings: WordSettings
) -> dict[str, str]:
    """Words that texts of a run may have, sorted, each with a word of the same meaning.

    A word of the lexicon is learnt if training photos show what it names. It means what the usual word for that does,
    such as `dress` for `frock` and `Kleid`, unless titles teach it. Words that name nothing have one meaning.

    Args:
        titles: Words of the training titles.
        facts: What texts can say about the training photos.
        lexicon: Phrases of values.
        settings: Which words of titles are learnt.
    """
    plain = {word for words in lexicon.plain.values() for word in words}
    plain.update(*map(words_of, (*BEGINNINGS, *ENDINGS, *JOINTS.values())))
    described = descriptive_words(titles, settings) - plain
    meanings = {word: word for word in described}
    for fact in facts:
        phrases = lexicon.all_phrases(fact.attribute, fact.value) or [tuple(fact.value.split())]
        usual = next((phrase[0] for phrase in phrases if len(phrase) == 1), None)
        for phrase in phrases:
            for word in phrase:
                meanings.setdefault(word, word)
            if len(phrase) == 1 and phrase[0] not in described:
                meanings[phrase[0]] = usual or phrase[0]
    nothing = min(plain - meanings.keys(), default="")
    return dict(sorted({**{word: nothing for word in plain}, **meanings}.items()))


def numbered(words: Mapping[str, str]) -> list[int]:
    """Number of the meaning of the padding, which is 0, and of each word.

    Args:
        words: Word of the same meaning by word; it has its own meaning.
    """
    numbers = {meaning: number for number, meaning in enumerate(sorted({*words.values()}), start=1)}
    return [0, *(numbers[meaning] for meaning in words.values())]


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
