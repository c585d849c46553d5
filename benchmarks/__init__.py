"""`make bench`: what the engine costs beside two floors and beside dlt, on one server in one run."""
