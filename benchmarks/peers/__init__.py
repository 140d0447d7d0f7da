"""The same work on other Python queues, each in a virtual environment of its own."""
