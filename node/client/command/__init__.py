"""The commands of a client: their words, screens and control socket."""
