"""Decode captions from the scores of a captioner: word by word (`stepwise`), or by `beam_search`.

Both decode batches of images until all captions have ended. They return int32 (N,L): the words of each caption without
`<START>`, then `<END>` if the caption ended within L words, then `<NULL>`. L is at most `max_length`. Captions never
contain `<NULL>` or `<START>`, and `<UNK>` only with `allow_unknown`.
"""
