"""A captioner trained on Flickr8k: the run folder that `captioning.load()` of minigrad-engine opens."""
