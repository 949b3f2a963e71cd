"""Pure arithmetic with one source per formula: knows no Work, no device, no clock."""
