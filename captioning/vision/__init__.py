"""Photos as features: photo files read, prepared, and seen by a pretrained network.

`captioning.vision.photo_files` reads any photo file, `captioning.vision.extractors` gives features of what
was read, by the name of the network.
"""
