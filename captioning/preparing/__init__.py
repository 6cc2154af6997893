"""One's own photos and captions become a data set in the layout of `captioning.data.folder`.

A source is read (`sources`: COCO's JSON in `coco_json`, Karpathy's splits in `karpathy_json`, `csv_table`,
`photo_folder`; by `json_files` and `text_files`) into one table of images (`table`), what it lacks is counted
(`gaps`), its photos are found (`photo_search`), its images divided into splits (`division`). Photos become features
(`photo_features`), and regions if they are wanted (by what `region_sample` finds first); a kill leaves them to be gone
on with (`unfinished_features`). Captions become word ids (`wording`). `workshop` is where the files are made,
`data_files` writes them, `recipe` says how, `pipeline` does all of it and `summary` tells what came out.
"""
