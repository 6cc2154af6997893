"""A model whose scores are a table, all captions that it may say, and beam search as it is defined."""

import itertools
import math

import numpy as np

from captioning.data.vocabulary import Vocabulary
from minigrad import Tensor

WORDS = ("a", "b", "and")
VOCABULARY = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", *WORDS])
NULL, START, END, UNK, A, B, C = range(7)


class Table:
    """Scores of the next word depend on the word before and on the picture's kind (feature 0)."""

    feature_size = 1
    vocabulary = VOCABULARY
    training = True

    def __init__(self, *tables):
        self.tables = np.asarray(tables, dtype=float)  # (kinds, V, V)
        self.modes, self.calls = [], []

    def train(self, mode=True):
        self.training = mode
        self.modes.append(mode)

    def eval(self):
        self.train(False)

    def initial_state(self, features):
        return (Tensor(np.asarray(features)[:, 0].astype(int)),)

    def attention_maps(self, state):
        return None

    def project_words(self):
        return "of all words"

    def step(self, words, state, projected=None):
        assert projected in (None, "of all words")
        self.calls.append(len(words))
        return Tensor(self.tables[state[0].data, words]), state


def table(*likeliest):
    """What follows what, at the score 5; everything else at 0, and the special words at 9."""
    scores = np.zeros((7, 7))
    scores[:, [NULL, START, UNK]] = 9.0
    for before, after in itertools.pairwise((START, *likeliest)):
        scores[before, after] = 5.0
    return scores


def random_table(seed):
    """Scores of which no two sums are equal."""
    return np.random.default_rng(seed).standard_normal((7, 7)) * 2


def log_probs(scores, caption):
    """Return log-probabilities of a caption's words (ids); forbidden words get no probability."""
    weights = np.exp(scores)
    weights[:, [NULL, START, UNK]] = 0
    return [
        math.log(weights[before, word] / weights[before].sum())
        for before, word in itertools.pairwise((START, *caption))
    ]


def value(scores, caption, power):
    return sum(log_probs(scores, caption)) / len(caption) ** power


def ids_of(words):
    return [VOCABULARY.word_to_idx[word] for word in words]


def keeps(rules, caption):
    """Whether what was said so far, or to the end, keeps to the rules."""
    n = rules.no_repeat
    runs = [] if n is None else [tuple(caption[i : i + n]) for i in range(len(caption) - n + 1)]
    if len(set(runs)) < len(runs) or {*ids_of(rules.banned)} & {*caption}:
        return False
    text = f" {' '.join(VOCABULARY.idx_to_word[word] for word in caption)} "
    if not rules.doubled_words and any(f" {word} {word} " in text or f" {word} and {word} " in text for word in WORDS):
        return False
    return caption[-1] != END or (len(caption) >= rules.min_length and {*ids_of(rules.required)} <= {*caption})


def sayable(rules, longest):
    """Captions that ended; where there are none, those that could not go on and have the most required words."""
    begun, ended, cut = [()], [], []
    for length in range(longest + 1):
        grown = {caption: [on for w in (A, B, C, END) if keeps(rules, on := (*caption, w))] for caption in begun}
        cut += [caption for caption in begun if length == longest or not grown[caption]]
        every = [on for some in grown.values() for on in some if length < longest]
        ended += [on for on in every if on[-1] == END]
        begun = [on for on in every if on[-1] != END]
    met = [len({*ids_of(rules.required)} & {*caption}) for caption in cut]
    return ended or [caption for caption, count in zip(cut, met, strict=True) if count == max(met)]


def beam_by_definition(scores, width, longest, power, groups, diversity, rules):
    """The captions that ended of beams with groups, and sets of required words, best first; without any cleverness."""
    required = ids_of(rules.required)
    sets = [frozenset(s) for n in range(len(required) + 1) for s in itertools.combinations(required, n)]
    beams, ended = [[((), 0.0)] for _ in range(groups)], {}
    for _ in range(longest):
        said = dict.fromkeys(range(7), 0)
        for g, beam in enumerate(beams):
            grown = []
            for caption, total in beam:
                for on in ((*caption, word) for word in (A, B, C, END)):
                    if keeps(rules, on):
                        new = total + log_probs(scores, on)[-1]
                        grown.append((new - diversity * said[on[-1]], on, new))
            grown.sort(reverse=True)
            kept = [x for s in sets for x in [x for x in grown if {*required} & {*x[1]} == s][: width // groups]]
            for _, on, new in kept:
                said[on[-1]] += 1
                if on[-1] == END:
                    ended[on] = new / len(on) ** power
            beams[g] = [(on, new) for _, on, new in kept if on[-1] != END]
    return sorted(ended, key=ended.get, reverse=True)
