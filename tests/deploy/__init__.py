"""The files of deploy/: read, checked, and where the programs are installed, run."""
