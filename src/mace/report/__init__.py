"""Reports: one record of a model on a device, shown as a self-contained page, as Markdown, or as JSON."""
