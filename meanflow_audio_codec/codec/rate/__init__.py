"""What a bit rate allows: which frames keep how many digits."""
