"""Forms: what visitors may send to a collection of kind `form`, how long it is kept, and who may read it."""
