"""The command line of captioning: `entry` lists the commands, and each is in the module of its name."""
