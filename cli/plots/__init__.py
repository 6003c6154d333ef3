"""Static pictures for papers and README, one a file, with matplotlib (the extra `plots`)."""
