"""The content of a first start: Gull & Lamp, a small press in a lighthouse that never was."""
