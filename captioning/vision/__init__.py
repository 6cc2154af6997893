"""Photos as features: photo files read, prepared, and seen by a pretrained network.

`photo_files` reads any photo file, `extractors` gives features of what was read, by the name of the network.
"""
