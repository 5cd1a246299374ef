"""Parts that several kinds of arithmetic share."""
