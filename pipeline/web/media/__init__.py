"""Pictures, footage and files that the page sends."""
