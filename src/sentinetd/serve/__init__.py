"""An allowed connection carried out in the porter. What the guard does itself, as pure functions: `serve.internal`."""
