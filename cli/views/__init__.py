"""The pictures of a report: inline SVG with a table behind each, themed by style sheet."""
