"""Captions and features: the files of the CS231n layout, read, checked, and given out in batches.

`open_captions` (`dataset`) opens a folder (`layout`): its words (`vocabulary`), the captions by word ids (`captions`),
the features of the images by rows (`features`), and gives a data set of two `splits`.
"""
