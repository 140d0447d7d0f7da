"""Ways to run a handler: in a thread; `async def` handlers need none, they run as tasks of the loop."""
