"""One dump: the vendor's format, and how a document is read."""
