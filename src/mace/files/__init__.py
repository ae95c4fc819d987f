"""Files and folders: where they are kept, safe writing, mapping, and stamps of what was verified already."""
