"""Train and use image captioners on minigrad."""
