"""What hardware is: frozen data in SI units, each section with its source."""
