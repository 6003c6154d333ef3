"""Everything that is read and written: formats, their schemas, and sentences on what is wrong."""
