"""`python -m job_service` is `job-service`."""

from job_service.start import main

if __name__ == "__main__":
    main()
