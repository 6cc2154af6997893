"""All captions of a table model: what a decoder may say under some rules, and a beam search as it is defined."""

from __future__ import annotations

import itertools
import math

import numpy as np

from tests.captioning.decoding.table import END, NULL, START, UNK, VOCABULARY, A, B, C

WORDS = (A, B, C)


def random_table(seed):
    """Scores of which no two sums are equal."""
    return np.random.default_rng(seed).standard_normal((7, 7)) * 2


def log_probs(scores, caption):
    """Of the words of a caption, ids, one by one; forbidden words take no probability."""
    found, before = [], START
    for word in caption:
        row = scores[before].copy()
        row[[NULL, START, UNK]] = -np.inf
        found.append(float(row[word] - np.log(np.exp(row - row.max()).sum()) - row.max()))
        before = word
    return found


def value(scores, caption, power):
    return sum(log_probs(scores, caption)) / len(caption) ** power


def keeps(rules, caption):
    """Whether what was said so far, or to the end, keeps to the rules."""
    ids = {word: VOCABULARY.word_to_idx[word] for word in (*rules.required, *rules.banned)}
    n = rules.no_repeat
    runs = [] if n is None else [tuple(caption[i : i + n]) for i in range(len(caption) - n + 1)]
    if len(set(runs)) < len(runs) or any(ids[word] in caption for word in rules.banned):
        return False
    if caption[-1:] == (END,):
        return len(caption) >= rules.min_length and all(ids[word] in caption for word in rules.required)
    return True


def sayable(rules, longest):
    """Captions that ended; where there are none, those that could not go on and have the most required words."""
    ids = [VOCABULARY.word_to_idx[word] for word in rules.required]
    begun = [()]
    ended, cut = [], []
    for length in range(longest + 1):
        grown = []
        for caption in begun:
            on = [(*caption, word) for word in (*WORDS, END) if keeps(rules, (*caption, word))]
            if length == longest or not on:
                cut.append(caption)
                continue
            ended += [each for each in on if each[-1] == END]
            grown += [each for each in on if each[-1] != END]
        begun = grown
    if ended:
        return ended
    met = [sum(word in caption for word in ids) for caption in cut]
    return [caption for caption, count in zip(cut, met, strict=True) if count == max(met)]


def beam_by_definition(scores, width, longest, power, groups, diversity, rules):
    """The captions that ended of beams with groups, and sets of required words, best first; without any cleverness."""
    required = [VOCABULARY.word_to_idx[word] for word in rules.required]
    sets = [frozenset(s) for n in range(len(required) + 1) for s in itertools.combinations(required, n)]
    beams = [{s: [((), 0.0)] if not s else [] for s in sets} for _ in range(groups)]
    ended = {}
    for _ in range(longest):
        said = dict.fromkeys(range(7), 0)
        for g, beam in enumerate(beams):
            grown = []
            for caption, total in itertools.chain.from_iterable(beam.values()):
                for word in (*WORDS, END):
                    on = (*caption, word)
                    if keeps(rules, on):
                        new = total + log_probs(scores, on)[-1]
                        grown.append((new - diversity * said[word], on, new))
            grown.sort(reverse=True)
            kept = {s: [x for x in grown if frozenset(required) & set(x[1]) == s][: width // groups] for s in sets}
            for _, on, new in itertools.chain.from_iterable(kept.values()):
                said[on[-1]] += 1
                if on[-1] == END:
                    ended[on] = new / len(on) ** power
            beams[g] = {s: [(on, new) for _, on, new in kept[s] if on[-1] != END] for s in sets}
    return sorted(ended, key=lambda caption: (-ended[caption], math.inf))
