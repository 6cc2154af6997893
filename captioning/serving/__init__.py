"""A local web page that captions photos: `captioning serve`.

`server` listens on this machine only and runs the Starlette application of `app`. `upload_limits` limits what clients
may send. `photo_reader` decodes photos in a separate process, and `answers` captions them one at a time. Nothing is
written to disk. Starlette and uvicorn, from the extra `caption`, are imported on first use.
"""
