"""Features of photos: read a photo file, prepare its pixels, and run a pretrained network on them.

`extractors` finds a network by its name. `photo_files` reads photo files of all common formats.
"""
