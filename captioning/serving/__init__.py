"""A local web page that captions photos: `captioning serve`.

`server` listens on this machine only and runs the Starlette application of `app`. `upload_limits` says how much clients
may send. `photo_reader` decodes photos in a process of its own, and `answers` captions them one at a time. Nothing is
written to the disk. Starlette and uvicorn, the extra `serve`, are imported on first use.
"""
