"""Data sets in the CS231n MS-COCO layout: read, checked, and given out in batches.

`dataset.open_captions` opens a folder (`folder` lists its files). A data set has a `vocabulary`, and `splits` with
captions (`captions`) and image features (`features`).
"""
