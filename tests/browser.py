"""A real headless browser: Debian's Chromium, driven through chromedriver."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.deployment.api import answers
from tests.deployment.settings import free_port
from tests.stand.assembly import Assembly
from tests.stand.install import BROWSER, find_program, install_parts
from tests.stand.process import Family

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")

# Time limits, generous for a busy machine.
START_SECONDS = 120
PAGE_SECONDS = 120

_OPTIONS = (
    "--headless=new",
    # The tests run as root, and perhaps in a container with a small /dev/shm.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    # It can reach only this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--lang=en-US",
)
# Airflow 2 puts much of a page into a shadow root, which document selectors do not reach.
_HOSTS = "return [...document.querySelectorAll('*')].filter(element => element.shadowRoot)"


class Browser(Assembly):
    """A browser with one window and a fresh profile; open and close it with ``with Browser(…) as browser``.

    Its processes end with the ``with`` block, even if this process is killed.

    :param directory: for its profile and its output; created if it is missing.
    :param size: width and height of the viewport, in pixels.
    """

    def __init__(self, directory: Path, size: tuple[int, int] = (1280, 800)) -> None:
        self._directory = directory
        self._size = size

    def _assemble(self, parts: ExitStack) -> None:
        """Install missing programs, then start the browser."""
        install_parts(BROWSER)
        self._directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        with (self._directory / "log").open("wb") as log:
            process = Family(
                [find_program("chromedriver"), f"--port={port}"],
                # The browser's home and profile.
                env={**os.environ, **dict.fromkeys(("HOME", "TMPDIR"), str(self._directory))},
                cwd=self._directory,
                stdout=log,
                stderr=log,
            )
        parts.callback(process.stop)
        url = f"http://127.0.0.1:{port}"
        self._wait_for(process, url)
        self._driver = webdriver.Remote(url, options=self._options())
        parts.callback(self._driver.quit)

    @property
    def url(self) -> str:
        """URL of the current page."""
        return self._driver.current_url

    def open(self, url: str) -> None:
        """Open a page."""
        self._driver.get(url)

    def text(self) -> str:
        """Return the visible text of the page."""
        return self._driver.find_element(By.TAG_NAME, "body").text

    def all(self, css: str, text: str = "") -> list[WebElement]:
        """Return the visible elements that match a selector and contain a text."""
        roots: list[Any] = [self._driver, *(host.shadow_root for host in self._run(_HOSTS))]
        found = [element for root in roots for element in root.find_elements(By.CSS_SELECTOR, css)]
        return [element for element in found if text in element.text and element.is_displayed()]

    def find(self, css: str, text: str = "") -> WebElement:
        """Return the first of those elements, as soon as one exists."""
        return self.wait(lambda: self.all(css, text), f"{css} {text}")[0]

    def click(self, css: str, text: str = "") -> None:
        """Click on the first of those elements, as soon as one exists that can be clicked on."""

        def clicked() -> bool:
            for element in self.all(css, text)[:1]:
                element.click()
                return True
            return False

        self.wait(clicked, f"{css} {text}")

    def wait(self, condition: Callable[[], T], what: str) -> T:
        """Return the result of *condition* as soon as it is true or not empty.

        :raises TimeoutException: if it takes too long; the message shows the visible text.
        """
        # The page may change in between.
        ignored = [StaleElementReferenceException, ElementNotInteractableException, ElementClickInterceptedException]
        try:
            return WebDriverWait(self._driver, PAGE_SECONDS, ignored_exceptions=ignored).until(lambda _: condition())
        except TimeoutException as error:
            error.add_note(f"Still waiting for {what} at {self.url}:\n{self.text()}")
            raise

    def has_loaded(self, path: str) -> bool:
        """Return whether the page has received the answer to a request whose URL contains *path*."""
        return path in str(self._run("return performance.getEntriesByType('resource').map(entry => entry.name)"))

    def picture(self) -> bytes:
        """Return a screenshot of the viewport as PNG."""
        return self._driver.get_screenshot_as_png()

    def _run(self, script: str) -> Any:
        return self._driver.execute_script(script)

    def _options(self) -> webdriver.ChromeOptions:
        options = webdriver.ChromeOptions()
        options.binary_location = find_program("chromium")
        for option in _OPTIONS:
            options.add_argument(option)
        width, height = self._size
        metrics = {"width": width, "height": height, "pixelRatio": 1.0, "mobile": False, "touch": False}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        return options

    def _wait_for(self, process: Family, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{url}/status"):
            if process.poll() is not None or time.monotonic() > deadline:
                log = (self._directory / "log").read_text(errors="replace")
                msg = f"chromedriver did not start:\n{log[-2000:]}"
                raise RuntimeError(msg)
            time.sleep(0.1)
