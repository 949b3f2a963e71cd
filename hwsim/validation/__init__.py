"""How far from reality: predictions against measured rows, on any CSV whose columns say what was measured."""
