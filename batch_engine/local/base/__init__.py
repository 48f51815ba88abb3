"""What every other folder uses: ports, files, images and the environment of jobs."""
