"""Download published data sets: `sources` lists their archives, `archives` fetches and unpacks these, and `data_sets`
turns them into files that other commands read."""
