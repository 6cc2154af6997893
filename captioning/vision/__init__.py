"""Photos as features: photo files read, prepared, and seen by a pretrained network.

:mod:`captioning.vision.photo_files` reads any photo file, :mod:`captioning.vision.extractors` gives features of what
was read, by the name of the network.
"""
