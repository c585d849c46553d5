"""Who is told what is wrong: what was found, what of it was told to whom, and the channels it goes to."""
