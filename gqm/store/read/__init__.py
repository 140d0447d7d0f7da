"""What is read for people: lists, objects and series of the key space, as frozen values; nothing here writes.

Everything that takes more than one call is a plan (`gqm.store.plan`); its names are those of the REST API.
"""
