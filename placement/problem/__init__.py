"""What is given, what is sought and what is reported: data, and judges that need no solver."""
