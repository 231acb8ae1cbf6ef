"""The commands of ``lpflu-bench``: each has ``add_arguments(parser)`` and ``run(args)``, and imports what is heavy inside."""
