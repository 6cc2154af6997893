"""The captioner that comes with the package: a run folder without its history, which `Run.open("shipped")` opens.

Its model card, `flickr8k/MODEL_CARD.md`, describes its training data, licence, scores and weaknesses.
"""
