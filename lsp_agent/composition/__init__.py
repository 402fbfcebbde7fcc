"""The composition root: everything behind the ports, put together once the editor has introduced itself."""
