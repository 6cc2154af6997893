"""The command line of captioning: what people type and see."""
