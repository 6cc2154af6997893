"""Make a data set in the layout of `captioning.data.folder` of photos and captions.

`pipeline.prepare_data` does all of it: it reads a source (`sources`, `json_sources`) into a list of images (`images`),
divides them into splits, computes their features (`photo_features`, and `region_sample` for regions; what a killed job
computed is in `unfinished_features`), and writes the files (`data_files`) in a `work_folder`. `recipe` has the options,
and the report of what came out.
"""
