"""The pages of Airflow's user interface about the tasks of one DAG run, as a logged-in user sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from tests.browser import Browser


class Pages:
    """Pages of Airflow 3.

    :param url: of the API server.
    """

    links_path = "/links"
    """Path from which a page requests the links of a task."""
    log_in_button = "button[type=submit]"

    def __init__(self, browser: Browser, url: str, dag_id: str, run_id: str) -> None:
        self.browser = browser
        self._url, self._dag_id, self._run_id = url, dag_id, run_id

    def log_in(self, user: str, password: str) -> None:
        """Fill in the login form."""
        self.browser.open(self._url)
        self.browser.find("input[name=username]").send_keys(user)
        self.browser.find("input[name=password]").send_keys(password)
        self.browser.click(self.log_in_button)
        self.browser.wait(lambda: "/login" not in self.browser.url, "somebody who has logged in")

    def task(self, task_id: str) -> None:
        """Open the page of a task, across all runs."""
        self.browser.open(f"{self._url}/dags/{self._dag_id}/tasks/{task_id}")

    def details(self, task_id: str) -> None:
        """Open the details of a task, including its links."""
        self._open(task_id, "details")

    def log(self, task_id: str) -> None:
        """Open the log of a task."""
        self._open(task_id, "")

    def fields(self, task_id: str) -> None:
        """Open the rendered templates of a task."""
        self._open(task_id, "rendered_templates")

    def _open(self, task_id: str, page: str) -> None:
        self.browser.open(f"{self._url}/dags/{self._dag_id}/runs/{self._run_id}/tasks/{task_id}/{page}")


class OldPages(Pages):
    """Pages of Airflow 2.

    :param url: of the webserver.
    """

    links_path = "/extra_links"
    log_in_button = "input[type=submit]"

    def task(self, task_id: str) -> None:
        """Open the page of a task, across all runs."""
        self._go({"task_id": task_id})

    def details(self, task_id: str) -> None:
        """Open the details of a task, including its links."""
        self._open(task_id, "details")

    def log(self, task_id: str) -> None:
        """Open the log of a task."""
        self._open(task_id, "logs")

    def fields(self, task_id: str) -> None:
        """Open the rendered templates of a task, through two links."""
        self.details(task_id)
        for link in ("More Details", "Rendered Template"):
            self.browser.click("a", link)

    def _open(self, task_id: str, page: str) -> None:
        self._go({"dag_run_id": self._run_id, "task_id": task_id, "tab": page})

    def _go(self, query: dict[str, str]) -> None:
        self.browser.open(f"{self._url}/dags/{self._dag_id}/grid?{urlencode(query)}")
