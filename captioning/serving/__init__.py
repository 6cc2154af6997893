"""A page on this machine, to which one gives photos, and which shows what a captioner says of them and why.

From the bottom: `limits` says how much is taken; `reading_process` decodes photos in a process of its own, which
`photo_reader` starts, asks and ends; `answers` turns a photo into what the page shows; `worker` is the one thread that
computes. `refusals` are what clients are told, `guards` whom they are told by (no other site's page is served),
`bodies` reads uploads under the limits, `assets_table` has the page's files, `app` the routes, `connections` ends those
that say nothing, and `server` runs it all until Ctrl-C. Nothing is written to the disk.

The command is `captioning serve` (`captioning.cli.serve`). Starlette and uvicorn, the extra `serve`, are imported when
they are used.
"""
