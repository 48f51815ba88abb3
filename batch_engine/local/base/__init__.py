"""The modules that every other folder uses: ports, files, images and the environment of jobs."""
