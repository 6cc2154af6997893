"""Read and check data sets in the CS231n MS-COCO layout, and divide them into batches.

`dataset.open_captions` opens a folder (`folder` lists its files). A data set has a `vocabulary`, and `splits` with
captions (`captions`) and image features (`features`).
"""
