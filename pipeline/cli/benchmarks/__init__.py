"""The group `reidpipe bench`: one file per benchmark."""
