"""Drawing with OpenGL: a store lit once per camera, and people drawn over it."""
