"""Forms in which a plan leaves the tool: tables, a document, and launch lists."""
