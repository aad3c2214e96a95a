"""`python -m service` is `job-service`."""

from service.main import main

if __name__ == "__main__":
    main()
