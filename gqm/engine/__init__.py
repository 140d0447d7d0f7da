"""The engine: claims jobs, runs their handlers, settles them; one asyncio loop per process."""
