"""One function for each command, the only orchestration there is: notebooks, jobs and the command line call it.

Each function reads the same configuration as the command of its name, takes the command's options by name, gives the
object that the command prints, and leaves behind what the command leaves. Only ``apply``, ``repair.apply`` and
``flags.apply`` change anything but the tool's own files. A group of commands is a module: ``recon flags undo`` is
``recon.flags.undo``.
"""
