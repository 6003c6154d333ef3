"""Forms in which a plan leaves the tool: tables and a document."""
