"""Data sets fetched from where they are published: `sources` says which, `coco` and `flickr8k` what becomes of them."""
