"""What the job service runs. The app has its model, too, so both check the same."""

from typing import Annotated

from pydantic import BaseModel, Field

from job_service import JobContext, Registry, Retry

registry = Registry()


Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]


class Mail(BaseModel):
    to: Address
    subject: str = Field(min_length=1, max_length=200)


@registry.job("mail", retry=Retry(max_retries=5), timeout=30)
async def send_mail(mail: Mail, job: JobContext) -> str:
    job.log.info("mail_sent", to_domain=mail.to.partition("@")[2])  # yours talks to a mail server
    return f"sent to {mail.to}"
