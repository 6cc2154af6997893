"""From a captioner's scores to captions: word by word (`stepwise`), or by `beam_search`.

Both take whole batches, never say `<NULL>`, `<START>` or (unless asked) `<UNK>`, and stop when every caption has said
`<END>`. They return int32 (N,L): the words of each caption without `<START>`, then `<END>` if it was said within
L words, then `<NULL>`. L is at most `max_length`: see `lengths`.
"""
