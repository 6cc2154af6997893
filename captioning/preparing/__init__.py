"""Make a data set from photos and captions, in the layout of `captioning.data.folder`.

`pipeline.prepare_data` does all of it: it reads a source (`sources`, `json_sources`) into a list of images (`images`),
divides them into splits, computes their features (`photo_features`, and `region_sample` for regions;
`unfinished_features` keeps the results of a killed job), and writes the files (`data_files`) in a `work_folder`.
`recipe` has the options, and the report on the result.
"""
