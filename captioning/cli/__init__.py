"""The command line of captioning: `entry` lists the commands and imports each from its module."""
