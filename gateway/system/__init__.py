"""Ground floor: the only place that touches the world, through small seams."""
